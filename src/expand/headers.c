/*
 * Message headers as variables: $h_ (decoded), $bh_ (decoded, character set left alone), $rh_ (raw),
 * $lh_ (raw, as a list), $message_headers, $reply_address.
 *
 * Values live in x->pool and are tainted. A header that the message has several times gives all of
 * them: those of addresses as one list of addresses, others one below the other.
 */
#include "expand/variables.h"

#include <stdio.h>

enum { MAX_HEADERS = 16 << 20 };

/* The body of a header if it is live and has the name; unset otherwise. */
static struct str body_if_named(const struct header *h, struct str name)
{
    struct str s = h->text;
    if (h->type == '*' || s.len <= name.len || !str_eqi(str_sub(s, 0, name.len), name)) {
        return STR_NONE;
    }
    s = str_from(s, name.len);
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = str_from(s, 1);
    }
    return str_starts(s, ":") ? str_from(s, 1) : STR_NONE;
}

static bool holds_addresses(struct str name)
{
    static const char *const names[] = {
        "from",        "sender",        "reply-to",        "to",        "cc",        "bcc",
        "resent-from", "resent-sender", "resent-reply-to", "resent-to", "resent-cc", "resent-bcc"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_isi(name, names[i])) {
            return true;
        }
    }
    return false;
}

bool header_exists(struct ectx *x, struct str name)
{
    for (const struct header *h = x->msg ? x->msg->headers : NULL; h; h = h->next) {
        if (!str_unset(body_if_named(h, name))) {
            return true;
        }
    }
    return false;
}

/* What stands between two headers of the name. */
static void separate(struct buf *b, char kind, bool addresses)
{
    if (b->len == 0 || kind == 'r') {
        return;
    }
    if (kind == 'l') {
        buf_addc(b, ':');
    } else {
        buf_addz(b, addresses ? ",\n" : "\n");
    }
}

static void add_body(struct buf *b, char kind, struct str body)
{
    if (kind == 'r') {
        buf_adds(b, body);
    } else if (kind == 'l') {
        list_add(b, str_rtrim(body), ':', true);
    } else {
        buf_adds(b, str_trim(body));
    }
}

static struct str decode(struct ectx *x, char kind, struct str s)
{
    struct str charset = core_settings(x->conf)->headers_charset, out, error;
    bool check = expand_settings(x->conf)->check_rfc2047_length;
    if (kind == 'b') {
        charset = STR_NONE;
    }
    rfc2047_decode(x->pool, s, check, charset, &out, &error);
    return out; /* a character set nobody knows is no error here */
}

struct str expand_header(struct ectx *x, char kind, struct str name)
{
    struct buf b;
    bool addresses = holds_addresses(name), found = false;
    buf_init(&b, x->pool, MAX_HEADERS);
    for (const struct header *h = x->msg ? x->msg->headers : NULL; h; h = h->next) {
        struct str body = body_if_named(h, name);
        if (!str_unset(body)) {
            separate(&b, kind, addresses);
            add_body(&b, kind, body);
            found = true;
        }
    }
    if (!found) {
        return STR_NONE;
    }
    struct str s = buf_str(&b);
    return str_taint(kind == 'h' || kind == 'b' ? decode(x, kind, s) : s);
}

static struct str all_headers(struct ectx *x, bool raw)
{
    struct buf b;
    buf_init(&b, x->pool, MAX_HEADERS);
    for (const struct header *h = x->msg ? x->msg->headers : NULL; h; h = h->next) {
        if (h->type != '*') {
            buf_adds(&b, raw ? h->text : decode(x, 'h', str_rtrim(h->text)));
            buf_addz(&b, raw ? "" : "\n");
        }
    }
    struct str s = buf_str(&b);
    return str_taint(raw ? s : str_rtrim(s));
}

struct str get_message_headers(struct ectx *x, struct str name)
{
    (void)name;
    return all_headers(x, false);
}

struct str get_message_headers_raw(struct ectx *x, struct str name)
{
    (void)name;
    return all_headers(x, true);
}

struct str get_reply_address(struct ectx *x, struct str name)
{
    (void)name;
    struct str s = str_trim(expand_header(x, 'h', STR("reply-to")));
    return str_empty(s) ? str_trim(expand_header(x, 'h', STR("from"))) : s;
}
