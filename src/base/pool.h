/*
 * Pools: memory with one lifetime. Nothing is freed singly; pool_release() gives back what was
 * taken since a mark, pool_free() everything. Memory that cannot be had ends the process with a
 * line on standard error: there is no caller that could do better.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool;

struct pool_mark {
    void *block;
    size_t used;
};

/* A new pool; name (a literal) is for diagnostics. */
struct pool *pool_new(const char *name);

/* Frees the pool and sets *pool to NULL; NULL is allowed. */
void pool_free(struct pool **pool);

/* Empties the pool but keeps its first block for the next use. */
void pool_clear(struct pool *pool);

/* size bytes aligned for any type; the second form is zeroed. Never NULL. */
void *pool_alloc(struct pool *pool, size_t size);
void *pool_zalloc(struct pool *pool, size_t size);

/* Zeroed array of n elements; an overflow of the product ends the process. */
void *pool_calloc(struct pool *pool, size_t n, size_t size);

/* A zeroed object of the type. */
#define POOL_NEW(pool, type) ((type *)pool_zalloc((pool), sizeof(type)))

/* Remembers the fill level; gives back all that was allocated since. Marks nest like brackets. */
struct pool_mark pool_mark(struct pool *pool);
void pool_release(struct pool *pool, struct pool_mark mark);

/* Bytes taken from the system for this pool. */
size_t pool_size(const struct pool *pool);

#endif
