/*
 * Taking lists apart as configurations write them: colon-separated, or by another separator that
 * "<x" at the start names; a doubled separator stands for itself; white space around items is
 * dropped.
 *
 * Items are views into the list unless a doubled separator had to be undone; taint is kept.
 */
#include "net/net.h"

#include <ctype.h>

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Separator announced at the start, or the colon. */
static void find_separator(struct str *rest, int *sep)
{
    *rest = str_ltrim(*rest);
    *sep = ':';
    if (rest->len >= 2 && rest->p[0] == '<') {
        unsigned char c = (unsigned char)rest->p[1];
        if (ispunct(c) || iscntrl(c)) {
            *sep = c;
            *rest = str_from(*rest, 2);
        }
    }
}

bool net_list_next(struct pool *pool, struct str *rest, int *sep, struct str *item)
{
    if (*sep == 0) {
        find_separator(rest, sep);
    }
    while (rest->len && is_space(rest->p[0]) && rest->p[0] != *sep) {
        *rest = str_from(*rest, 1);
    }
    if (rest->len == 0) {
        return false;
    }
    struct buf b;
    buf_init(&b, pool, (size_t)rest->len + 1);
    for (;;) {
        ptrdiff_t at = str_chr(*rest, (char)*sep);
        struct str piece = at < 0 ? *rest : str_sub(*rest, 0, (size_t)at);
        *rest = str_from(*rest, at < 0 ? rest->len : (size_t)at + 1);
        bool doubled = at >= 0 && rest->len && rest->p[0] == *sep && !iscntrl(*sep);
        if (!doubled && b.len == 0) {
            *item = str_rtrim(piece);
            return true;
        }
        buf_adds(&b, piece);
        if (!doubled) {
            *item = str_rtrim(buf_str(&b));
            return true;
        }
        buf_addc(&b, (char)*sep);
        *rest = str_from(*rest, 1);
    }
}
