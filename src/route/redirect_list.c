/*
 * The parser of redirection data: aliases, .forward files, :include: files. Pure: it opens nothing
 * and decides nothing.
 *
 * Items are separated by commas and newlines; # begins a comment at the start of a line and behind
 * a comma. Texts are views of the data or live in the pool; taint is kept.
 */
#include "route/internal.h"

#include <ctype.h>

/* Skips separators, white space and comments. */
static void skip_separators(struct str *rest)
{
    bool line_start = true;
    while (rest->len) {
        char c = rest->p[0];
        if (c == '#' && line_start) {
            ptrdiff_t nl = str_chr(*rest, '\n');
            *rest = str_from(*rest, nl < 0 ? rest->len : (size_t)nl);
            continue;
        }
        if (c != ',' && !isspace((unsigned char)c)) {
            return;
        }
        line_start |= c == ',' || c == '\n';
        *rest = str_from(*rest, 1);
    }
}

/* Where an item ends: at a comma outside quotes, comments and angle brackets, or at a newline. */
static uint32_t item_end(struct str s)
{
    bool quoted = false, route = s.p[0] == '@'; /* a source route goes on to its colon */
    int comment = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (c == '\\' && i + 1 < s.len && s.p[i + 1] != '\n') {
            i++;
        } else if (c == '\n') {
            return i;
        } else if (c == '"' && !comment) {
            quoted = !quoted;
        } else if (c == '(' && !quoted) {
            comment++;
        } else if (c == ')' && !quoted && comment) {
            comment--;
        } else if (strchr("<>:", c) && !quoted && !comment) {
            route = c == '<';
        } else if (c == ',' && !quoted && !comment && !route) {
            return i;
        }
    }
    return s.len;
}

/* The text inside quotes that enclose the whole of it, with escapes undone; else itself. */
static struct str unquote(struct pool *pool, struct str s)
{
    if (s.len < 2 || s.p[0] != '"' || s.p[s.len - 1] != '"') {
        return s;
    }
    struct buf b;
    buf_init(&b, pool, s.len);
    b.tainted = s.tainted;
    for (uint32_t i = 1; i + 1 < s.len; i++) {
        if (s.p[i] == '"') {
            return s; /* the quotes are two strings, not one round everything */
        }
        if (s.p[i] == '\\' && i + 2 < s.len) {
            i++;
        }
        buf_addc(&b, s.p[i]);
    }
    return buf_str(&b);
}

bool redirect_is_address(struct pool *pool, struct str text)
{
    struct mailbox m;
    struct str error;
    return mailbox_parse(pool, text, 0, &m, &error) && !str_empty(m.domain);
}

static const struct {
    const char *word;
    enum redirect_kind kind;
    bool to_end; /* its text goes on to the end of the line */
} specials[] = {
    {":blackhole:", RD_BLACKHOLE, false},
    {":defer:", RD_DEFER, true},
    {":fail:", RD_FAIL, true},
    {":include:", RD_INCLUDE, false},
    {":unknown:", RD_UNKNOWN, false},
};

static bool take_special(struct str *rest, uint32_t end, struct redirect_item *out)
{
    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        struct str word = str_c(specials[i].word);
        if (!str_startsi(*rest, specials[i].word)) {
            continue;
        }
        if (specials[i].to_end) {
            ptrdiff_t nl = str_chr(*rest, '\n');
            end = nl < 0 ? rest->len : (uint32_t)nl;
        }
        out->kind = specials[i].kind;
        out->whole = str_rtrim(str_sub(*rest, 0, end));
        out->text = str_trim(str_from(out->whole, word.len));
        *rest = str_from(*rest, end);
        return true;
    }
    return false;
}

bool redirect_next(struct pool *pool, struct str *rest, struct redirect_item *out)
{
    skip_separators(rest);
    if (str_empty(*rest)) {
        return false;
    }
    uint32_t end = item_end(*rest);
    if (take_special(rest, end, out)) {
        return true;
    }
    out->whole = str_rtrim(str_sub(*rest, 0, end));
    *rest = str_from(*rest, end);
    out->kind = RD_ADDRESS;
    out->text = unquote(pool, out->whole);
    struct str inner = out->text;
    if (inner.p != out->whole.p && take_special(&inner, inner.len, out)) {
        return true; /* a special item may be quoted as a whole */
    }
    if (str_starts(out->text, "|") && !redirect_is_address(pool, out->whole)) {
        out->kind = RD_PIPE;
        out->text = str_trim(out->text);
    } else if (str_starts(out->text, "/") && !redirect_is_address(pool, out->whole)) {
        out->kind = RD_FILE;
    }
    return true;
}
