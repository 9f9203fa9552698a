/*
 * The resolver's memory: received messages by question, for as long as their records live.
 *
 * One cache per process, in a pool of its own. It is bounded by number and by bytes; when it is
 * full it is emptied as a whole, which costs a few questions and needs no bookkeeping. Entries are
 * copies; what is handed out is a view until the next entry is put in. A forked child goes on with
 * its copy.
 */
#include "net/internal.h"

enum { MAX_ENTRIES = 1000, MAX_BYTES = 1 << 20 };

static struct {
    struct pool *pool;
    struct map *entries; /* key -> struct dns_cached * */
    size_t n;
} cache;

static void empty(void)
{
    if (!cache.pool) {
        cache.pool = pool_new("dns cache");
    } else {
        pool_clear(cache.pool);
    }
    cache.entries = map_new(cache.pool, true);
    cache.n = 0;
}

const struct dns_cached *dns_cache_get(struct str key)
{
    const struct dns_cached *e = cache.entries ? map_get(cache.entries, key) : NULL;
    return e && e->expires > time_monotonic_ms() ? e : NULL;
}

void dns_cache_put(struct str key, const struct dns_cached *entry, uint32_t seconds)
{
    if (!cache.entries || cache.n >= MAX_ENTRIES || pool_size(cache.pool) > MAX_BYTES) {
        empty();
    }
    struct dns_cached *e = pool_alloc(cache.pool, sizeof *e);
    *e = *entry;
    e->name = str_dup(cache.pool, entry->name);
    e->expires = time_monotonic_ms() + (int64_t)seconds * 1000;
    if (e->len) {
        e->msg = pool_alloc(cache.pool, e->len);
        memcpy(e->msg, entry->msg, e->len);
    }
    map_set(cache.entries, key, e);
    cache.n++;
}

void dns_cache_forget(void)
{
    if (cache.pool) {
        empty();
    }
}
