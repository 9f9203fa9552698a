/*
 * Hash map (map.h): chained buckets, FNV-1a, doubled when there are more entries than buckets. The
 * seed differs from map to map, so keys from the network are hard to choose to collide. Keys are
 * copied into the map's pool; values belong to the caller.
 */
#include "base/base.h"

#include <ctype.h>

struct map {
    struct pool *pool;
    struct map_entry **buckets;
    struct map_entry *first, **last;
    size_t size, count;
    uint64_t seed;
    bool nocase;
};

static uint64_t hash(const struct map *m, struct str key)
{
    uint64_t h = m->seed;
    for (uint32_t i = 0; i < key.len; i++) {
        unsigned char c = (unsigned char)key.p[i];
        h = (h ^ (uint64_t)(m->nocase ? tolower(c) : c)) * UINT64_C(1099511628211);
    }
    return h ^ (h >> 29);
}

struct map *map_new(struct pool *pool, bool nocase)
{
    struct map *m = POOL_NEW(pool, struct map);
    *m = (struct map){.pool = pool, .size = 16, .nocase = nocase};
    m->buckets = pool_calloc(pool, m->size, sizeof *m->buckets);
    m->last = &m->first;
    m->seed = UINT64_C(14695981039346656037) ^ (uint64_t)(uintptr_t)m;
    return m;
}

struct map_entry *map_find(const struct map *m, struct str key)
{
    struct map_entry *e = m->buckets[hash(m, key) & (m->size - 1)];
    while (e && !(m->nocase ? str_eqi(e->key, key) : str_eq(e->key, key))) {
        e = e->chain;
    }
    return e;
}

void *map_get(const struct map *m, struct str key)
{
    const struct map_entry *e = map_find(m, key);
    return e ? e->value : NULL;
}

static void rehash(struct map *m)
{
    m->size *= 2;
    m->buckets = pool_calloc(m->pool, m->size, sizeof *m->buckets);
    for (struct map_entry *e = m->first; e; e = e->next) {
        struct map_entry **b = &m->buckets[hash(m, e->key) & (m->size - 1)];
        e->chain = *b;
        *b = e;
    }
}

void map_set(struct map *m, struct str key, void *value)
{
    struct map_entry *e = map_find(m, key);
    if (!e) {
        if (m->count >= m->size) {
            rehash(m);
        }
        e = POOL_NEW(m->pool, struct map_entry);
        e->key = str_dup(m->pool, key);
        struct map_entry **b = &m->buckets[hash(m, key) & (m->size - 1)];
        e->chain = *b;
        *b = e;
        *m->last = e;
        m->last = &e->next;
        m->count++;
    }
    e->value = value;
}

bool map_remove(struct map *m, struct str key)
{
    struct map_entry *e = map_find(m, key);
    if (!e) {
        return false;
    }
    struct map_entry **p = &m->buckets[hash(m, key) & (m->size - 1)];
    while (*p != e) {
        p = &(*p)->chain;
    }
    *p = e->chain;
    for (p = &m->first; *p != e; p = &(*p)->next) {
    }
    *p = e->next;
    if (m->last == &e->next) {
        m->last = p;
    }
    m->count--;
    return true;
}

struct map_entry *map_first(const struct map *m)
{
    return m->first;
}

size_t map_count(const struct map *m)
{
    return m->count;
}
