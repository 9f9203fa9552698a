/*
 * Parsers of manualroute: rules ("pattern hosts options"), and lists of hosts with ports, groups
 * and randomising.
 *
 * Parts are views of the text or live in the pool; taint is kept.
 */
#include "route/internal.h"

#include <ctype.h>
#include <stdlib.h>

static bool is_space(char c)
{
    return isspace((unsigned char)c) != 0;
}

/* A word, or a quoted string with backslash escapes undone; false if nothing is left. */
static bool take_word(struct pool *pool, struct str *rest, struct str *out)
{
    *rest = str_ltrim(*rest);
    uint32_t i = 0;
    if (str_empty(*rest)) {
        return false;
    }
    if (rest->p[0] != '"') {
        while (i < rest->len && !is_space(rest->p[i])) {
            i++;
        }
        *out = str_sub(*rest, 0, i);
        *rest = str_from(*rest, i);
        return true;
    }
    struct buf b;
    buf_init(&b, pool, rest->len);
    b.tainted = rest->tainted;
    for (i = 1; i < rest->len && rest->p[i] != '"'; i++) {
        if (rest->p[i] == '\\' && i + 1 < rest->len) {
            char c = rest->p[++i];
            buf_addc(&b, c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c);
        } else {
            buf_addc(&b, rest->p[i]);
        }
    }
    *rest = str_from(*rest, i < rest->len ? i + 1 : i);
    *out = buf_str(&b);
    return true;
}

/* Words of which the braces of ${…} keep white space inside. */
static bool take_hosts(struct pool *pool, struct str *rest, struct str *out)
{
    *rest = str_ltrim(*rest);
    if (str_empty(*rest) || rest->p[0] == '"') {
        return take_word(pool, rest, out);
    }
    uint32_t i = 0;
    for (int depth = 0; i < rest->len && (depth > 0 || !is_space(rest->p[i])); i++) {
        depth += rest->p[i] == '{' ? 1 : rest->p[i] == '}' && depth > 0 ? -1 : 0;
    }
    *out = str_sub(*rest, 0, i);
    *rest = str_from(*rest, i);
    return true;
}

bool route_rule_parse(struct pool *pool, struct str text, bool with_pattern, struct route_rule *out)
{
    *out = (struct route_rule){STR_NONE, STR(""), STR("")};
    if (with_pattern && !take_word(pool, &text, &out->pattern)) {
        return false;
    }
    if (!take_hosts(pool, &text, &out->hosts)) {
        return with_pattern;
    }
    out->options = str_trim(text);
    return true;
}

/* ---- hosts ---- */

/* "name", "name:port", "1.2.3.4", "::1", "[addr]:port", "[addr]". */
static void parse_host(struct pool *pool, struct str item, struct host *h)
{
    struct ip ip;
    uint64_t port;
    struct str name = item;
    ptrdiff_t colon = str_rchr(item, ':');
    if (str_starts(item, "[")) {
        ptrdiff_t close = str_chr(item, ']');
        if (close > 0) {
            name = str_sub(item, 1, (size_t)close - 1);
            struct str tail = str_from(item, (size_t)close + 1);
            if (str_starts(tail, ":") && str_to_u64(str_from(tail, 1), 10, &port) && port < 65536) {
                h->port = (int)port;
            }
        }
    } else if (!ip_parse(item, &ip) && colon > 0 &&
               str_to_u64(str_from(item, (size_t)colon + 1), 10, &port) && port < 65536) {
        name = str_sub(item, 0, (size_t)colon);
        h->port = (int)port;
    }
    h->name = str_dup(pool, name);
}

/* Random order within each group: a group's number is the high part of the key. */
static int by_sort(const void *a, const void *b)
{
    const struct host *const *x = a, *const *y = b;
    return (*x)->mx != (*y)->mx      ? ((*x)->mx < (*y)->mx ? -1 : 1)
           : (*x)->sort < (*y)->sort ? -1
           : (*x)->sort > (*y)->sort ? 1
                                     : 0;
}

struct host *route_host_list(struct pool *pool, struct str list, bool randomize)
{
    struct vec v = {.pool = pool};
    struct str item;
    int sep = 0, group = 0;
    while (net_list_next(pool, &list, &sep, &item)) {
        if (str_is(item, "+")) {
            group++;
        } else if (!str_empty(item)) {
            struct host *h = POOL_NEW(pool, struct host);
            *h = (struct host){.port = PORT_NONE, .mx = randomize ? group : 0};
            h->sort = randomize ? (int)arc4random_uniform(1000000) : 0;
            parse_host(pool, item, h);
            vec_push(&v, h);
        }
    }
    if (randomize && v.n > 1) {
        qsort(v.v, v.n, sizeof v.v[0], by_sort);
    }
    struct host *first = NULL, **last = &first;
    for (size_t i = 0; i < v.n; i++) {
        struct host *h = v.v[i];
        h->mx = MX_NONE;
        *last = h;
        last = &h->next;
    }
    return first;
}
