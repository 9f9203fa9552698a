/*
 * Header fields (RFC 5322 2.2, 3.6): names, types, search, syntax of the address headers.
 *
 * A header's text is the whole field with its final newline. Deleted and replaced headers stay in
 * the list with type '*' and are never found.
 */
#include "mail/mail.h"

#include <ctype.h>
#include <stdio.h>

/* The headers with a meaning to us, and the letter the spool records for each. */
static const struct {
    const char *name;
    char type;
    bool addresses; /* checked by verify = header_syntax */
} types[] = {
    {"bcc", 'B', true},          {"cc", 'C', true},
    {"from", 'F', true},         {"message-id", 'I', false},
    {"received", 'P', false},    {"reply-to", 'R', true},
    {"sender", 'S', true},       {"to", 'T', true},
    {"return-path", 'O', false}, {"delivery-date", 'L', false},
    {"envelope-to", 'E', false},
};

bool header_name_ok(struct str text, uint32_t *name_len)
{
    uint32_t i = 0;
    while (i < text.len && (unsigned char)text.p[i] > 32 && text.p[i] != 127 && text.p[i] != ':') {
        i++;
    }
    *name_len = i;
    uint32_t colon = i;
    while (colon < text.len && (text.p[colon] == ' ' || text.p[colon] == '\t')) {
        colon++;
    }
    return i > 0 && colon < text.len && text.p[colon] == ':';
}

char header_type(struct str text, bool resent)
{
    uint32_t n;
    if (!header_name_ok(text, &n)) {
        return ' ';
    }
    struct str name = str_sub(text, 0, n);
    if (str_startsi(name, "resent-")) {
        name = str_from(name, 7);
    } else if (resent && !str_isi(name, "received")) {
        return ' ';
    }
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_isi(name, types[i].name)) {
            return types[i].type;
        }
    }
    return ' ';
}

struct str header_name(const struct header *h)
{
    uint32_t n;
    return header_name_ok(h->text, &n) ? str_sub(h->text, 0, n) : STR("");
}

struct str header_body(const struct header *h)
{
    ptrdiff_t colon = str_chr(h->text, ':');
    return colon < 0 ? STR("") : str_from(h->text, (size_t)colon + 1);
}

static struct header *find_from(struct header *h, struct str name)
{
    for (; h; h = h->next) {
        if (h->type != '*' && str_eqi(header_name(h), name)) {
            return h;
        }
    }
    return NULL;
}

struct header *header_find(const struct message *m, struct str name)
{
    return find_from(m->headers, name);
}

struct header *header_find_next(struct header *h, struct str name)
{
    return find_from(h->next, name);
}

/* Whether all addresses of a header line have domains where they need one. */
struct bare_check {
    bool allowed, found;
};

static bool note_bare(void *closure, const struct mailbox *m)
{
    struct bare_check *c = closure;
    c->found = c->found || (!c->allowed && str_empty(m->domain) && !str_empty(m->text));
    return !c->found;
}

static bool has_addresses(char type)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (types[i].type == type) {
            return types[i].addresses;
        }
    }
    return false;
}

bool headers_check_syntax(struct pool *pool, const struct message *m, unsigned flags,
                          struct str *error)
{
    for (const struct header *h = m->headers; h; h = h->next) {
        struct str why = STR("unqualified address not permitted");
        bool sender = h->type == 'F' || h->type == 'S' || h->type == 'R';
        struct bare_check bare = {.allowed = sender ? m->allow_unqualified_sender
                                                    : m->allow_unqualified_rcpt};
        if (!has_addresses(h->type) ||
            (mailbox_each(pool, str_rtrim(header_body(h)), flags, note_bare, &bare, &why) &&
             !bare.found)) {
            continue;
        }
        struct str name = header_name(h), body = str_trim(header_body(h));
        *error = str_fmt(pool, "%.*s: failing address in \"%.*s:\" header is: %.*s", STR_ARG(why),
                         STR_ARG(name), body.len > 1024 ? 1024 : (int)body.len, body.p);
        return false;
    }
    return true;
}
