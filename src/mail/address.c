/*
 * Addresses (RFC 5321 4.1.2, RFC 5322 3.4): one recursive-descent parser for SMTP paths, header
 * mailboxes and bare local parts.
 *
 * Results are in the caller's pool with the input's taint. It is as lenient as Exim: white space
 * and comments anywhere between tokens, empty dot-separated words, phrases without quotes. Errors
 * are texts in Exim's words; they never contain more than a short piece of the input.
 */
#include "mail/mail.h"

#include <ctype.h>

enum { ADDRESS_MAX = 256 }; /* RFC 5321 4.5.3.1.3, as Exim counts: without the brackets */

struct parser {
    struct pool *pool;
    struct str in;
    uint32_t at;
    unsigned flags;
    struct str error;
    uint32_t word_end; /* of the last word of a local part */
    bool angle;        /* inside <> */
};

static bool fail(struct parser *p, struct str text)
{
    p->error = text;
    return false;
}

static char peek(const struct parser *p)
{
    return p->at < p->in.len ? p->in.p[p->at] : '\0';
}

static bool at_end(const struct parser *p)
{
    return p->at >= p->in.len;
}

/* Skips a comment with nesting and backslashes; an unclosed one takes the rest. */
static void skip_comment(struct parser *p)
{
    int depth = 0;
    for (; !at_end(p); p->at++) {
        char c = peek(p);
        if (c == '\\' && p->at + 1 < p->in.len) {
            p->at++;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth == 0) {
            p->at++;
            return;
        }
    }
}

static void skip_space(struct parser *p)
{
    while (!at_end(p)) {
        if (peek(p) == '(') {
            skip_comment(p);
        } else if (isspace((unsigned char)peek(p))) {
            p->at++;
        } else {
            return;
        }
    }
}

static bool is_atom(char c)
{
    unsigned char u = (unsigned char)c;
    return u > 32 && u != 127 && !strchr("()<>@,;:\\\".[]", c);
}

/* A quoted string with its quotes; false if it is not closed. */
static bool quoted(struct parser *p, struct buf *out)
{
    buf_addc(out, '"');
    for (p->at++; !at_end(p); p->at++) {
        char c = peek(p);
        if (c == '"') {
            buf_addc(out, '"');
            p->at++;
            return true;
        }
        if (c == '\\' && p->at + 1 < p->in.len) {
            buf_addc(out, c);
            p->at++;
        }
        buf_addc(out, peek(p));
    }
    return fail(p, STR("unmatched doublequote in local part"));
}

/* An atom; a backslash takes the next byte whatever it is. */
static void atom(struct parser *p, struct buf *out)
{
    while (!at_end(p)) {
        if (peek(p) == '\\') {
            buf_addc(out, '\\');
            p->at++;
        } else if (!is_atom(peek(p))) {
            return;
        }
        if (!at_end(p)) {
            buf_addc(out, peek(p));
            p->at++;
        }
    }
}

/* Words and dots. *words gets the number of words; stops at the first thing that is neither. */
static bool local_part(struct parser *p, struct buf *out, int *words)
{
    *words = 0;
    for (;;) {
        p->word_end = p->at;
        skip_space(p);
        char c = peek(p);
        if (c == '.') {
            buf_addc(out, c);
            p->at++;
        } else if (c == '"' && (out->len == 0 || out->p[out->len - 1] == '.')) {
            if (!quoted(p, out)) {
                return false;
            }
            ++*words;
        } else if ((is_atom(c) || c == '\\') && (out->len == 0 || out->p[out->len - 1] == '.')) {
            atom(p, out);
            ++*words;
        } else {
            return true;
        }
    }
}

/* What stands in brackets. Outside <> nobody asks whether literals are allowed, or what they are. */
static bool literal(struct parser *p, struct buf *out)
{
    if (p->flags & MBX_NO_LITERAL && p->angle) {
        return fail(p, STR("domain literals not allowed"));
    }
    while (!at_end(p) && !strchr("]\\", peek(p)) && !isspace((unsigned char)peek(p))) {
        buf_addc(out, peek(p));
        p->at++;
    }
    if (peek(p) != ']') {
        return fail(p, STR("malformed domain literal"));
    }
    p->at++;
    if (p->flags & MBX_NO_LITERAL) {
        buf_addc(out, ']');
        return true;
    }
    struct str inside = str_from(buf_str(out), 1);
    struct ip ip;
    if (str_startsi(inside, "IPv6:")) {
        inside = str_from(inside, 5);
    }
    if (!ip_parse(inside, &ip)) {
        return fail(p, STR("malformed domain literal"));
    }
    buf_addc(out, ']');
    return true;
}

static bool domain_char(const struct parser *p, char c, bool first)
{
    unsigned char u = (unsigned char)c;
    return isalnum(u) || (c == '-' && !first) || (u > 127 && p->flags & MBX_UTF8);
}

/* A domain: labels with dots between them, or a literal. Adds to out. */
static bool domain(struct parser *p, struct buf *out)
{
    skip_space(p);
    if (peek(p) == '[') {
        return literal(p, out);
    }
    for (;;) {
        size_t label = out->len;
        skip_space(p);
        while (!at_end(p) && domain_char(p, peek(p), out->len == label)) {
            buf_addc(out, peek(p));
            p->at++;
        }
        if (out->len == label) {
            return fail(p, STR("domain missing or malformed"));
        }
        uint32_t after = p->at;
        skip_space(p);
        if (peek(p) != '.') {
            p->at = after;
            return true;
        }
        p->at++;
        uint32_t dot = p->at;
        skip_space(p);
        if (p->flags & MBX_STRIP_DOT && !domain_char(p, peek(p), true) && peek(p) != '.') {
            p->at = dot;
            return true;
        }
        buf_addc(out, '.');
    }
}

/* @a,@b: before the address proper (RFC 5321 appendix F.2): skipped. */
static bool source_route(struct parser *p)
{
    struct buf ignored;
    buf_init(&ignored, p->pool, p->in.len + 1u);
    for (;;) {
        p->at++;
        buf_cut(&ignored, 0);
        if (!domain(p, &ignored)) {
            return false;
        }
        skip_space(p);
        if (peek(p) == ':') {
            p->at++;
            return true;
        }
        if (peek(p) != ',') {
            return fail(p, STR("colon expected after route list"));
        }
        p->at++;
        skip_space(p);
        if (peek(p) == ':') {
            p->at++;
            return true;
        }
        if (peek(p) != '@') {
            return fail(p, STR("colon expected after route list"));
        }
    }
}

/* What was read and what stands behind it, for "malformed address". */
static bool may_not_follow(struct parser *p)
{
    struct str rest = str_from(p->in, p->at), before = str_sub(p->in, 0, p->at);
    return fail(p, str_fmt(p->pool, "malformed address: %.*s may not follow %.*s",
                           rest.len > 32 ? 32 : (int)rest.len, rest.p, STR_ARG(before)));
}

/* local-part [@domain]; the start of the address proper must be at p->at. */
static bool addr_spec(struct parser *p, struct mailbox *out)
{
    struct buf lp, dom;
    int words;
    buf_init(&lp, p->pool, p->in.len + 1u);
    buf_init(&dom, p->pool, p->in.len + 16u);
    if (!local_part(p, &lp, &words)) {
        return false;
    }
    if (words == 0) {
        return fail(p, STR("missing or malformed local part"));
    }
    out->end = p->word_end;
    if (peek(p) == '@') {
        p->at++;
        if (!domain(p, &dom)) {
            return false;
        }
        out->end = p->at;
    }
    out->local_part = str_dup(p->pool, buf_str(&lp));
    out->domain = str_dup(p->pool, buf_str(&dom));
    out->local_part.tainted = out->domain.tainted = p->in.tainted;
    return true;
}

/* The '>' for each '<' that was there. */
static bool closing(struct parser *p, int excess)
{
    for (; excess >= 0; excess--) {
        if (at_end(p)) {
            return fail(p, STR("'>' missing at end of address"));
        }
        if (peek(p) != '>') {
            return may_not_follow(p);
        }
        p->at++;
    }
    return true;
}

/* <[route] addr-spec> */
static bool angle_addr(struct parser *p, struct mailbox *out)
{
    int excess = 0;
    p->angle = true;
    p->at++;
    skip_space(p);
    for (; peek(p) == '<' && p->flags & MBX_STRIP_BRACKETS; excess++) {
        p->at++;
        skip_space(p);
    }
    out->start = p->at;
    if (peek(p) == '>' && p->flags & MBX_NULL) {
        out->end = p->at;
        out->local_part = out->domain = STR("");
        return closing(p, excess);
    }
    if (peek(p) == '@') {
        uint32_t start = p->at;
        if (!source_route(p)) {
            bool only_domain = str_chr(p->in, ':') < 0 && str_chr(p->in, ',') < 0;
            return only_domain && str_starts(p->error, "colon") ? fail(p, STR("no local part"))
                                                                : (p->at = start, false);
        }
        skip_space(p);
        out->start = p->at;
    }
    if (!addr_spec(p, out)) {
        return false;
    }
    skip_space(p);
    if (str_empty(out->domain) && (at_end(p) || peek(p) != '>')) {
        return fail(p, str_fmt(p->pool, "\"@\" or \".\" expected after \"%.*s\"",
                               STR_ARG(out->local_part)));
    }
    return closing(p, excess);
}

/* True if what comes is a phrase that leads to '<': words, quoted strings, dots. */
static bool phrase_leads_to_angle(struct parser p)
{
    struct buf sink;
    buf_init(&sink, p.pool, p.in.len + 1u);
    while (!at_end(&p)) {
        skip_space(&p);
        char c = peek(&p);
        if (c == '<') {
            return true;
        }
        if (c == '"') {
            if (!quoted(&p, &sink)) {
                return false;
            }
        } else if (is_atom(c) || c == '.' || c == '\\' || c == '[' || c == ']') {
            p.at++;
        } else {
            return false;
        }
    }
    return false;
}

static bool word_begins(const struct parser *p)
{
    char c = peek(p);
    return is_atom(c) || c == '"' || c == '\\';
}

/* Something behind a word that makes it a phrase, which leads to no '<'. */
static bool no_phrase(struct parser *p)
{
    struct buf sink;
    buf_init(&sink, p->pool, p->in.len + 1u);
    while (word_begins(p)) {
        if (peek(p) == '"' && !quoted(p, &sink)) {
            return fail(p, STR("unmatched doublequote in local part (expected word or \"<\")"));
        }
        if (word_begins(p) && peek(p) != '"') {
            atom(p, &sink);
        }
        skip_space(p);
    }
    return fail(p, STR("missing or malformed local part (expected word or \"<\")"));
}

static bool mailbox(struct parser *p, struct mailbox *out)
{
    skip_space(p);
    if (peek(p) != '<' && phrase_leads_to_angle(*p)) {
        struct buf sink;
        buf_init(&sink, p->pool, p->in.len + 1u);
        while (peek(p) != '<') {
            if (peek(p) == '"') {
                quoted(p, &sink);
            } else if (peek(p) == '(') {
                skip_comment(p);
            } else {
                p->at++;
            }
        }
    }
    if (peek(p) == '<') {
        return angle_addr(p, out);
    }
    bool routed = peek(p) == '@';
    if (routed && !source_route(p)) {
        return str_starts(p->error, "colon") && str_chr(p->in, ',') < 0
                   ? fail(p, STR("no local part"))
                   : false;
    }
    skip_space(p);
    out->start = p->at;
    if (at_end(p)) {
        return fail(p, routed ? STR("missing or malformed local part") : STR("empty address"));
    }
    if (!word_begins(p) && peek(p) != '.') {
        return fail(p, STR("missing or malformed local part (expected word or \"<\")"));
    }
    if (!addr_spec(p, out)) {
        return false;
    }
    skip_space(p);
    if (str_empty(out->domain) && !at_end(p) && peek(p) != ';') {
        return no_phrase(p);
    }
    if (str_empty(out->domain) && routed) {
        return fail(p, STR("domain missing in source-routed address"));
    }
    return true;
}

bool mailbox_parse(struct pool *pool, struct str text, unsigned flags, struct mailbox *out,
                   struct str *error)
{
    struct parser p = {.pool = pool, .in = text, .flags = flags};
    *out = (struct mailbox){0};
    if (str_empty(str_trim(text)) && flags & MBX_NULL) {
        out->text = out->local_part = out->domain = STR("");
        return true;
    }
    bool ok = mailbox(&p, out);
    if (ok) {
        skip_space(&p);
        ok = at_end(&p) || may_not_follow(&p);
    }
    if (!ok) {
        *error = p.error;
        return false;
    }
    out->text = str_empty(out->domain) ? out->local_part
                                       : STR_CAT(pool, out->local_part, STR("@"), out->domain);
    out->text.tainted = text.tainted;
    if (out->text.len > ADDRESS_MAX) {
        *error = str_fmt(pool, "address is ridiculously long: %.64s...", str_cstr(pool, out->text));
        return false;
    }
    return true;
}

unsigned mailbox_flags(const struct config *conf)
{
    const struct core_settings *s = core_settings(conf);
    return (s->allow_domain_literals ? 0u : MBX_NO_LITERAL) |
           (s->strip_trailing_dot ? MBX_STRIP_DOT : 0u) |
           (s->strip_excess_angle_brackets ? MBX_STRIP_BRACKETS : 0u) |
           (s->allow_utf8_domains ? MBX_UTF8 : 0u);
}

ptrdiff_t mailbox_at(struct str address)
{
    bool in_quotes = false;
    ptrdiff_t found = -1;
    for (uint32_t i = 0; i < address.len; i++) {
        char c = address.p[i];
        if (c == '\\') {
            i++;
        } else if (c == '"') {
            in_quotes = !in_quotes;
        } else if (c == '@' && !in_quotes) {
            found = i;
        }
    }
    return found;
}
