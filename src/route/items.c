/*
 * Options that hold several texts, each expanded by itself: condition, headers_add, headers_remove,
 * require_files, set. A value is split when it is read, so that a fault in one item is found then.
 *
 * Everything lives in the configuration's pool.
 */
#include "route/internal.h"

#include <ctype.h>

/* Appends one text, compiled if it holds anything to expand. */
static bool add_text(struct opt_reader *r, struct etexts *out, struct str text)
{
    struct etext e = {.text = str_dup(r->pool, text)};
    if (str_any_in(text, "$\\") && r->compile && !(e.tree = r->compile(r, e.text))) {
        return false;
    }
    struct etext *v = pool_calloc(r->pool, out->n + 1, sizeof *v);
    if (out->n) {
        memcpy(v, out->v, out->n * sizeof *v);
    }
    v[out->n++] = e;
    out->v = v;
    return true;
}

bool route_parse_text(struct opt_reader *r, struct etexts *out, struct str value)
{
    return add_text(r, out, value);
}

bool route_parse_items(struct opt_reader *r, struct etexts *out, struct str value, char sep)
{
    struct str rest = str_ltrim(value), item;
    int s = (unsigned char)sep;
    bool ok = true;
    if (rest.len >= 2 && rest.p[0] == '<' && ispunct((unsigned char)rest.p[1])) {
        s = (unsigned char)rest.p[1];
        rest = str_from(rest, 2);
    }
    while (net_list_next(r->pool, &rest, &s, &item)) {
        if (!str_empty(item)) {
            ok &= add_text(r, out, item);
        }
    }
    return ok;
}

struct str route_print_items(struct pool *pool, const struct etexts *l, const char *sep)
{
    struct buf b;
    buf_init(&b, pool, 1024 * 1024);
    for (size_t i = 0; i < l->n; i++) {
        buf_addz(&b, i ? sep : "");
        buf_adds(&b, l->v[i].text);
    }
    return buf_str(&b);
}
