/*
 * Items that go through lists: filter, map, reduce, sort; and listextract.
 *
 * $item is bound for each turn in a scope that the turn leaves behind.
 */
#include "expand/internal.h"

#include <stdlib.h>

enum { MAX_LIST = 16 << 20 };

/* A list being put together, written with the separator of the one it comes from. */
struct making {
    struct buf b;
    char sep;
    bool any;
};

static void make_begin(struct making *m, struct pool *pool, struct str from)
{
    buf_init(&m->b, pool, MAX_LIST);
    m->sep = list_separator(from);
    m->any = false;
}

static void make_add(struct making *m, struct str item)
{
    list_add(&m->b, item, m->sep, !m->any);
    m->any = true;
}

bool item_filter(struct ectx *x, const struct item *it, struct str *out)
{
    struct str list, item;
    struct making m;
    int sep = 0;
    if (!expand_arg(x, it->args[0], &list)) {
        return false;
    }
    make_begin(&m, x->pool, list);
    struct scope *outer = x->scope;
    while (list_next(x->pool, &list, &sep, &item)) {
        bool keep;
        scope_set(x, STR("item"), item);
        bool ok = eval_condition(x, it->cond, &keep);
        x->scope = outer;
        if (!ok) {
            return false;
        }
        if (keep) {
            make_add(&m, item);
        }
    }
    *out = buf_str(&m.b);
    return true;
}

bool item_map(struct ectx *x, const struct item *it, struct str *out)
{
    struct str list, item, value;
    struct making m;
    int sep = 0;
    if (!expand_arg(x, it->args[0], &list)) {
        return false;
    }
    make_begin(&m, x->pool, list);
    struct scope *outer = x->scope;
    while (list_next(x->pool, &list, &sep, &item)) {
        scope_set(x, STR("item"), item);
        bool ok = expand_arg(x, it->args[1], &value);
        x->scope = outer;
        if (!ok) {
            return false;
        }
        make_add(&m, value);
    }
    *out = buf_str(&m.b);
    return true;
}

bool item_reduce(struct ectx *x, const struct item *it, struct str *out)
{
    struct str list, item, value;
    int sep = 0;
    if (!expand_arg(x, it->args[0], &list) || !expand_arg(x, it->args[1], &value)) {
        return false;
    }
    struct scope *outer = x->scope;
    while (list_next(x->pool, &list, &sep, &item)) {
        scope_set(x, STR("item"), item);
        scope_set(x, STR("value"), value);
        bool ok = expand_arg(x, it->args[2], &value);
        x->scope = outer;
        if (!ok) {
            return false;
        }
    }
    *out = value;
    return true;
}

/* ---- sort ---- */

struct sort_entry {
    struct str item, field;
};

static const struct expand_condition *comparator(struct ectx *x, struct str name)
{
    static const char *const allowed[] = {"<",  "<=",  ">",  ">=",  "lt", "lti",
                                          "le", "lei", "gt", "gti", "ge", "gei"};
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
        if (str_is(name, allowed[i])) {
            return find_condition_row(x->conf, name);
        }
    }
    eval_fail(x, "comparator not handled for sort");
    return NULL;
}

bool item_sort(struct ectx *x, const struct item *it, struct str *out)
{
    struct str list, by_name, item;
    struct making m;
    int sep = 0;
    size_t n = 0, alloc = 0;
    struct sort_entry *v = NULL;
    if (!expand_arg(x, it->args[0], &list) || !expand_arg(x, it->args[1], &by_name)) {
        return false;
    }
    const struct expand_condition *by = comparator(x, str_trim(by_name));
    if (!by) {
        return false;
    }
    make_begin(&m, x->pool, list);
    struct scope *outer = x->scope;
    while (list_next(x->pool, &list, &sep, &item)) {
        struct sort_entry e = {.item = item};
        scope_set(x, STR("item"), item);
        bool ok = expand_arg(x, it->args[2], &e.field);
        x->scope = outer;
        if (!ok) {
            return false;
        }
        if (n == alloc) {
            struct sort_entry *more =
                pool_calloc(x->pool, alloc = alloc ? alloc * 2 : 16, sizeof *v);
            if (n) {
                memcpy(more, v, n * sizeof *v);
            }
            v = more;
        }
        size_t at = 0;
        for (bool less = false; at < n && !less; at += !less) {
            /* What cannot be compared does not stand before anything. */
            less = by->test(x, (struct str[]){e.field, v[at].field}, 2, &less) && less;
        }
        memmove(v + at + 1, v + at, (n - at) * sizeof *v);
        v[at] = e;
        n++;
    }
    for (size_t i = 0; i < n; i++) {
        make_add(&m, v[i].item);
    }
    *out = buf_str(&m.b);
    return true;
}

/* ---- listextract ---- */

/* The nth item (from the end if negative) of a list with the separator given, 0: the list's own. */
static bool nth_item(struct pool *pool, struct str list, int64_t n, struct str *out)
{
    struct str rest = list, item;
    int sep = 0;
    if (n < 0) {
        int64_t count = 0;
        while (list_next(pool, &rest, &sep, &item)) {
            count++;
        }
        n += count + 1;
        rest = list;
        sep = 0;
    }
    for (; n > 0 && list_next(pool, &rest, &sep, &item); n--) {
        if (n == 1) {
            *out = item;
            return true;
        }
    }
    return false;
}

bool item_listextract(struct ectx *x, const struct expand_arg *const *args, size_t n,
                      struct str *out, bool *found)
{
    struct str number, list;
    int64_t which;
    (void)n;
    if (!expand_arg(x, args[0], &number)) {
        return false;
    }
    number = str_trim(number);
    if (str_empty(number)) {
        return eval_fail(x, "first argument of \"listextract\" must not be empty");
    }
    if (!str_to_i64(number, &which)) {
        return eval_fail(x, "first argument of \"listextract\" must be numeric");
    }
    if (!expand_arg(x, args[1], &list)) {
        return false;
    }
    *found = nth_item(x->pool, list, which, out);
    return true;
}
