/*
 * Lists of addresses in header bodies, and the writing of addresses: quoting, qualification.
 *
 * List functions split at top-level commas (comments, quotes, angle brackets and groups are
 * respected) and leave each piece to mailbox_parse().
 */
#include "mail/mail.h"

#include <ctype.h>

/* Past the comment that starts at i. */
static uint32_t past_comment(struct str s, uint32_t i)
{
    int depth = 0;
    for (; i < s.len; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '(') {
            depth++;
        } else if (s.p[i] == ')' && --depth == 0) {
            return i + 1;
        }
    }
    return s.len;
}

/* Past the quoted string that starts at i. */
static uint32_t past_quotes(struct str s, uint32_t i)
{
    for (i++; i < s.len; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == '"') {
            return i + 1;
        }
    }
    return s.len;
}

/* Past the <...> that starts at i, quotes inside it respected. */
static uint32_t past_angle(struct str s, uint32_t i)
{
    while (i < s.len && s.p[i] != '>') {
        i = s.p[i] == '"' ? past_quotes(s, i) : i + 1;
    }
    return i < s.len ? i + 1 : s.len;
}

/* True if the colon at i begins a group: what stands before it is a phrase. */
static bool begins_group(struct str s, uint32_t from, uint32_t i)
{
    struct str before = str_trim(str_sub(s, from, i - from));
    return !str_empty(before) && before.p[0] != '@' && !str_any_in(before, "<@");
}

uint32_t mailbox_list_next(struct str list, uint32_t from, bool allow_group)
{
    uint32_t i = from;
    while (i < list.len) {
        char c = list.p[i];
        if (c == ',' || (c == ';' && allow_group)) {
            return i;
        }
        if (c == ':' && allow_group && begins_group(list, from, i)) {
            return i;
        }
        i = c == '('    ? past_comment(list, i)
            : c == '"'  ? past_quotes(list, i)
            : c == '<'  ? past_angle(list, i)
            : c == '\\' ? i + 2
                        : i + 1;
    }
    return list.len;
}

/* True if a piece holds nothing but white space and comments. */
static bool is_blank(struct str s)
{
    for (uint32_t i = 0; i < s.len;) {
        if (s.p[i] == '(') {
            i = past_comment(s, i);
        } else if (isspace((unsigned char)s.p[i])) {
            i++;
        } else {
            return false;
        }
    }
    return true;
}

bool mailbox_walk(struct pool *pool, struct str body, unsigned flags,
                  bool (*f)(void *closure, const struct mailbox *m), void *closure,
                  struct str *error, struct str *bad)
{
    for (uint32_t from = 0; from < body.len;) {
        uint32_t end = mailbox_list_next(body, from, true);
        bool group_name = end < body.len && body.p[end] == ':';
        struct str piece = str_sub(body, from, end - from);
        if (!group_name && !is_blank(piece)) {
            struct mailbox m;
            struct str why;
            if (!mailbox_parse(pool, piece, flags | MBX_NULL, &m, &why)) {
                if (!error) {
                    from = end + 1;
                    continue;
                }
                *error = why;
                *bad = str_trim(piece);
                return false;
            }
            m.start += from;
            m.end += from;
            if (!f(closure, &m)) {
                return true;
            }
        }
        from = end + 1;
    }
    return true;
}

bool mailbox_each(struct pool *pool, struct str body, unsigned flags,
                  bool (*f)(void *closure, const struct mailbox *m), void *closure,
                  struct str *error)
{
    struct str bad;
    return mailbox_walk(pool, body, flags, f, closure, error, &bad);
}

static bool local_part_needs_quotes(struct str lp)
{
    if (str_empty(lp) || lp.p[0] == '.' || lp.p[lp.len - 1] == '.') {
        return true;
    }
    for (uint32_t i = 0; i < lp.len; i++) {
        unsigned char c = (unsigned char)lp.p[i];
        if (!isalnum(c) && !(c && strchr("!#$%&'*+-/=?^_`{|}~.", c))) {
            return true;
        }
    }
    return false;
}

static struct str in_quotes(struct pool *pool, struct str s)
{
    struct buf b;
    buf_init(&b, pool, (size_t)s.len * 2 + 2);
    buf_addc(&b, '"');
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') {
            buf_addc(&b, '\\');
        }
        buf_addc(&b, s.p[i]);
    }
    buf_addc(&b, '"');
    b.tainted = s.tainted;
    return buf_str(&b);
}

struct str mail_quote_local_part(struct pool *pool, struct str lp)
{
    return local_part_needs_quotes(lp) ? in_quotes(pool, lp) : lp;
}

/* Past the part of a phrase that needs no quotes: words, comments. */
static uint32_t past_plain(struct str s, uint32_t i)
{
    while (i < s.len) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '(') {
            uint32_t end = past_comment(s, i);
            if (s.p[end - 1] != ')') {
                return i;
            }
            i = end;
        } else if (isalnum(c) || c >= 128 || (c && strchr(" !#$%&'*+-/=?^_`{|}~", c))) {
            i++;
        } else {
            return i;
        }
    }
    return i;
}

struct str mail_quote_phrase(struct pool *pool, struct str phrase)
{
    struct buf b;
    buf_init(&b, pool, (size_t)phrase.len * 4 + 16);
    for (uint32_t i = 0; i < phrase.len;) {
        if (phrase.p[i] == '"') {
            uint32_t end = past_quotes(phrase, i);
            buf_adds(&b, str_sub(phrase, i, end - i));
            buf_addz(&b,
                     end == phrase.len && (end == i + 1 || phrase.p[end - 1] != '"') ? "\"" : "");
            i = end;
            continue;
        }
        uint32_t end = i;
        while (end < phrase.len && phrase.p[end] != '"') {
            end++;
        }
        struct str run = str_sub(phrase, i, end - i), words = str_trim(run);
        if (past_plain(words, 0) == words.len) {
            buf_adds(&b, run);
        } else {
            buf_adds(&b, str_sub(run, 0, (size_t)(words.p - run.p)));
            buf_adds(&b, STR_CAT(pool, STR("\""), words, STR("\"")));
            buf_adds(&b, str_from(run, (size_t)(words.p - run.p) + words.len));
        }
        i = end;
    }
    b.tainted = phrase.tainted;
    return buf_str(&b);
}

struct str mail_qualify(struct pool *pool, const struct config *conf, struct str address,
                        bool recipient)
{
    const struct core_settings *s = core_settings(conf);
    if (str_empty(address) || mailbox_at(address) >= 0) {
        return address;
    }
    return STR_CAT(pool, address, STR("@"), recipient ? s->qualify_recipient : s->qualify_domain);
}
