/*
 * Lists as texts: taking them apart, and putting items together again.
 * Separators are doubled within items ("a::b"), and a list may begin with its own ("<; a;b").
 * Items are views of the list or live in the pool, with the list's taint; nothing fails.
 */
#include "expand/internal.h"

#include <ctype.h>

bool list_next(struct pool *pool, struct str *rest, int *sep, struct str *item)
{
    return net_list_next(pool, rest, sep, item);
}

char list_separator(struct str list)
{
    list = str_ltrim(list);
    if (list.len >= 2 && list.p[0] == '<') {
        unsigned char c = (unsigned char)list.p[1];
        if (ispunct(c) || iscntrl(c)) {
            return (char)c;
        }
    }
    return ':';
}

void list_add(struct buf *b, struct str item, char sep, bool first)
{
    if (!first) {
        buf_addc(b, sep);
        if (str_empty(item) || item.p[0] == sep) {
            buf_addc(b, ' '); /* separators together would stand for one as data */
        }
    }
    b->tainted |= item.tainted;
    for (uint32_t i = 0; i < item.len; i++) {
        buf_addc(b, item.p[i]);
        if (item.p[i] == sep) {
            buf_addc(b, sep);
        }
    }
}

bool list_source_begin(struct ectx *x, struct list_source *src, struct str list, int json)
{
    *src = (struct list_source){.rest = list, .json = json};
    if (json == 0) {
        return true;
    }
    struct str s = str_trim(list);
    if (s.len < 2 || s.p[0] != '[' || s.p[s.len - 1] != ']') {
        return eval_fail(x, "missing '[' wrapping array for extract json");
    }
    src->rest = str_sub(s, 1, s.len - 2u);
    return true;
}

bool list_source_next(struct ectx *x, struct list_source *src, struct str *item)
{
    if (src->json == 0) {
        return list_next(x->pool, &src->rest, &src->sep, item);
    }
    if (!json_next(&src->rest, item)) {
        return false;
    }
    if (src->json == 2 && !json_unquote(item)) {
        eval_fail(x, "missing '\"' wrapping string result for extract jsons");
        src->failed = true;
        return false;
    }
    return true;
}
