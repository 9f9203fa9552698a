/*
 * Doing a lookup: the process's cache of results, partial matching, defaults.
 *
 * Results are remembered (found and not found, never failures) in a pool of their own until
 * lookup_tidy(). What is handed out is a copy in the caller's pool.
 */
#include "lookup/internal.h"

enum { CACHE_MAX = 4 << 20 };

static struct {
    struct pool *pool;
    struct map *results; /* type, options, file, key -> struct result * */
} cache;

struct result {
    bool found;
    struct str data;
};

/* A search under way: what stays the same while keys are tried. */
struct search {
    struct lookup_call call;
    const struct lookup_type *type;
};

void lookup_tidy(void)
{
    if (cache.pool) {
        pool_clear(cache.pool);
        cache.results = NULL;
    }
    lookup_files_recheck();
}

static struct str cache_key(struct pool *pool, const struct search *s)
{
    const struct lookup_call *c = &s->call;
    const struct str nul = str_n("", 1);
    struct str key =
        STR_CAT(pool, str_c(s->type->driver->name), nul, c->options, nul, c->file, nul, c->key);
    key.tainted = false;
    return key;
}

static void remember(const struct search *s, struct str key, bool found)
{
    if (cache.pool && pool_size(cache.pool) > CACHE_MAX) {
        pool_clear(cache.pool);
        cache.results = NULL;
    }
    if (!cache.pool) {
        cache.pool = pool_new("lookup results");
    }
    if (!cache.results) {
        cache.results = map_new(cache.pool, false);
    }
    struct result *r = POOL_NEW(cache.pool, struct result);
    r->found = found;
    r->data = found ? str_dup(cache.pool, s->call.data) : STR_NONE;
    map_set(cache.results, key, r);
}

/* One key, through the cache. */
static enum lookup_result find_one(struct search *s, struct str key)
{
    struct lookup_call *c = &s->call;
    if (str_empty(key)) {
        return LK_NOTFOUND;
    }
    c->key = key;
    c->data = c->error = STR_NONE;
    c->do_cache = true;
    struct str id = cache_key(c->pool, s);
    const struct result *known =
        cache.results && !s->type->no_read ? map_get(cache.results, id) : NULL;
    if (known) {
        c->data = str_dup(c->pool, known->data);
        return known->found ? LK_FOUND : LK_NOTFOUND;
    }
    enum lookup_result r = s->type->driver->find(c);
    TRACE_IN(TR_lookup, "%s lookup of \"%.*s\" in \"%.*s\": result %d", s->type->driver->name,
             STR_ARG(key), STR_ARG(c->file), (int)r);
    if (c->do_cache && (r == LK_FOUND || r == LK_NOTFOUND)) {
        remember(s, id, r == LK_FOUND);
    }
    return r;
}

/* What $1 and $2 become: the part that a wildcard stood for, and the part that stood in the key. */
struct parts {
    struct str wild, fixed;
};

static void set_parts(struct parts *p, struct str key, size_t fixed)
{
    size_t wild = key.len > fixed ? key.len - fixed - 1 : 0;
    p->wild = str_sub(key, 0, wild);
    p->fixed = str_from(key, key.len - fixed);
}

/* The last key of "partial0": the affix alone, without its dot unless it is only that. */
static enum lookup_result find_affix_alone(struct search *s, struct str key, struct parts *p)
{
    struct str affix = s->type->affix;
    if (affix.len > 1 && str_ends(affix, STR("."))) {
        affix.len--;
    }
    enum lookup_result r = find_one(s, affix);
    if (r == LK_FOUND) {
        set_parts(p, key, 0);
    }
    return r;
}

/* The affix before the key, then before what is left as leading components are dropped. */
static enum lookup_result find_partial(struct search *s, struct str key, struct parts *p)
{
    struct str affix = s->type->affix, rest = key;
    enum lookup_result r = LK_NOTFOUND;
    int dots = 0;
    for (uint32_t i = 0; i < key.len; i++) {
        dots += key.p[i] == '.';
    }
    if (affix.len) {
        r = find_one(s, STR_CAT(s->call.pool, affix, key));
        if (r == LK_FOUND) {
            *p = (struct parts){STR(""), key};
        }
    }
    while (r == LK_NOTFOUND && dots-- >= s->type->partial) {
        ptrdiff_t dot = str_chr(rest, '.');
        if (dot < 0) {
            return affix.len ? find_affix_alone(s, key, p) : r;
        }
        rest = str_from(rest, (size_t)dot + 1);
        r = find_one(s, STR_CAT(s->call.pool, affix, rest));
        if (r == LK_FOUND) {
            set_parts(p, key, rest.len);
        }
    }
    return r;
}

/* "*@domain", then "*". */
static enum lookup_result find_default(struct search *s, struct str key, struct parts *p)
{
    enum lookup_result r = LK_NOTFOUND;
    ptrdiff_t at = str_rchr(key, '@');
    if ((s->type->star & LOOKUP_STARAT) && at > 0) {
        r = find_one(s, STR_CAT(s->call.pool, STR("*"), str_from(key, (size_t)at)));
        if (r == LK_FOUND) {
            *p = (struct parts){str_sub(key, 0, (size_t)at), STR("")};
        }
    }
    if (r == LK_NOTFOUND && (s->type->star & LOOKUP_STAR)) {
        r = find_one(s, STR("*"));
        if (r == LK_FOUND) {
            *p = (struct parts){key, STR("")};
        }
    }
    return r;
}

static enum lookup_result find_key(struct search *s, struct str key, struct parts *p)
{
    enum lookup_result r = find_one(s, key);
    if (s->type->partial >= 0) {
        if (r == LK_FOUND) {
            *p = (struct parts){STR(""), key};
        } else if (r == LK_NOTFOUND) {
            r = find_partial(s, key, p);
        }
    }
    return r == LK_NOTFOUND && s->type->star ? find_default(s, key, p) : r;
}

static bool file_allowed(const struct lookup_type *type, struct str file, struct pool *pool,
                         struct str *error)
{
    if (!(type->driver->flags & LOOKUP_SINGLE_KEY) || !file.tainted) {
        return true;
    }
    *error = str_fmt(pool, "Tainted filename for search: '%.*s'", STR_ARG(file));
    log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(*error));
    return false;
}

enum lookup_result lookup_find(const struct config *conf, struct pool *pool,
                               const struct lookup_type *type, struct str file, struct str key,
                               struct str *data, struct str *matched_key, struct str *wild,
                               struct str *fixed, struct str *error)
{
    struct search s = {
        .type = type, .call = {.conf = conf, .pool = pool, .file = file, .options = type->options}};
    struct parts parts = {STR_NONE, STR_NONE};
    *data = *error = STR_NONE;
    if (!file_allowed(type, file, pool, error)) {
        return LK_ERROR;
    }
    enum lookup_result r = find_key(&s, key, &parts);
    *error = s.call.error;
    if (r == LK_FOUND) {
        struct str found = key;
        found.tainted = false;
        *data = type->ret_key ? found : s.call.data;
        if (matched_key) {
            found = s.call.key;
            found.tainted = false;
            *matched_key = found;
        }
    }
    if (wild) {
        *wild = parts.wild;
    }
    if (fixed) {
        *fixed = parts.fixed;
    }
    return r;
}
