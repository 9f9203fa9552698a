/*
 * Pools (pool.h): a chain of blocks, the newest first. An allocation larger than a block gets a
 * block of its own. The first block is a page, together with the pool itself; pages that are freed
 * are kept for the next pool. So a conversation dirties few pages of a worker, which shares the
 * rest of its memory with its supervisor, and most pools cost no call of malloc. Under
 * AddressSanitizer pages come from malloc, and freed tails are poisoned, so that a leak is found,
 * and a use after release.
 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { BLOCK_SIZE = 8192, ALIGN = 16, PAGE = 4096, PAGES_AT_ONCE = 32 };

struct block {
    struct block *older;
    size_t used, size;
    _Alignas(ALIGN) char data[];
};

struct pool {
    const char *name;
    struct block *newest, *first;
    size_t total;
};

/* Where the first block begins in its page, and what it holds. */
enum {
    FIRST_AT = (sizeof(struct pool) + ALIGN - 1) / ALIGN * ALIGN,
    FIRST_SIZE = PAGE - FIRST_AT - (int)sizeof(struct block)
};

/* ---- pages ---- */

#if ASAN_ON
static void *page_new(void)
{
    return malloc(PAGE);
}

static void page_free(void *p)
{
    free(p);
}
#else
struct page {
    struct page *next;
};

static struct {
    struct page *freed; /* the latest first */
    char *fresh;        /* never used yet, `left` of them */
    int left;
} pages;

static void *page_new(void)
{
    struct page *p = pages.freed;
    if (p) {
        pages.freed = p->next;
        return p;
    }
    if (pages.left == 0) {
        void *more = mmap(NULL, (size_t)PAGES_AT_ONCE * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (more == MAP_FAILED) {
            return NULL;
        }
        pages.fresh = more;
        pages.left = PAGES_AT_ONCE;
    }
    pages.left--;
    pages.fresh += PAGE;
    return pages.fresh - PAGE;
}

static void page_free(void *page)
{
    struct page *p = page;
    p->next = pages.freed;
    pages.freed = p;
}
#endif

/* ---- blocks ---- */

static struct block *block_new(struct pool *pool, size_t size)
{
    struct block *b = malloc(sizeof *b + size);
    if (!b) {
        fprintf(stderr, "minim: out of memory: %zu bytes for pool %s, which holds %zu\n", size,
                pool->name, pool->total);
        exit(71); /* EX_OSERR */
    }
    *b = (struct block){.older = pool->newest, .size = size};
    ASAN_POISON_MEMORY_REGION(b->data, size);
    pool->newest = b;
    pool->total += size;
    return b;
}

struct pool *pool_new(const char *name)
{
    struct pool *pool = page_new();
    if (!pool) {
        fprintf(stderr, "minim: out of memory for pool %s\n", name);
        exit(71);
    }
    struct block *b = (struct block *)(void *)((char *)pool + FIRST_AT);
    *b = (struct block){.size = FIRST_SIZE};
    *pool = (struct pool){.name = name, .newest = b, .first = b, .total = FIRST_SIZE};
    ASAN_POISON_MEMORY_REGION(b->data, FIRST_SIZE);
    return pool;
}

static void block_drop(struct pool *pool)
{
    struct block *b = pool->newest;
    pool->newest = b->older;
    pool->total -= b->size;
    ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
    free(b);
}

void pool_free(struct pool **pool)
{
    struct pool *p = *pool;
    if (!p) {
        return;
    }
    *pool = NULL; /* now: the pointer may itself live in the pool */
    while (p->newest != p->first) {
        block_drop(p);
    }
    ASAN_UNPOISON_MEMORY_REGION(p->first->data, p->first->size);
    page_free(p);
}

void pool_clear(struct pool *pool)
{
    while (pool->newest != pool->first) {
        block_drop(pool);
    }
    pool->first->used = 0;
    ASAN_POISON_MEMORY_REGION(pool->first->data, pool->first->size);
}

void *pool_alloc(struct pool *pool, size_t size)
{
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (need < size) {
        BUG("allocation of %zu bytes in pool %s", size, pool->name);
    }
    struct block *b = pool->newest;
    if (b->size - b->used < need) {
        b = block_new(pool, need > BLOCK_SIZE ? need : BLOCK_SIZE);
    }
    void *p = b->data + b->used;
    b->used += need;
    ASAN_UNPOISON_MEMORY_REGION(p, size);
    return p;
}

void *pool_zalloc(struct pool *pool, size_t size)
{
    void *p = pool_alloc(pool, size);
    memset(p, 0, size);
    return p;
}

void *pool_calloc(struct pool *pool, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        BUG("array of %zu times %zu bytes in pool %s", n, size, pool->name);
    }
    return pool_zalloc(pool, total);
}

struct pool_mark pool_mark(struct pool *pool)
{
    return (struct pool_mark){pool->newest, pool->newest->used};
}

void pool_release(struct pool *pool, struct pool_mark mark)
{
    while (pool->newest != mark.block) {
        if (pool->newest == pool->first) {
            BUG("mark of pool %s is not in it", pool->name);
        }
        block_drop(pool);
    }
    struct block *b = pool->newest;
    b->used = mark.used;
    ASAN_POISON_MEMORY_REGION(b->data + b->used, b->size - b->used);
}

size_t pool_size(const struct pool *pool)
{
    return pool->total;
}
