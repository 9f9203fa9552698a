/*
 * Capped buffers (buf.h). Growth doubles and leaves the old bytes in the pool; buffers that live
 * long are given a pool of their own. Passing the cap is not an error of its own: the addition is
 * refused, `overflow` stays set, and the content stays what it was.
 */
#include "base/base.h"

#include <stdio.h>

void buf_init(struct buf *b, struct pool *pool, size_t cap)
{
    *b = (struct buf){.pool = pool, .cap = cap};
}

static bool reserve(struct buf *b, size_t n)
{
    if (n > b->cap - b->len) {
        b->overflow = true;
        return false;
    }
    if (b->len + n + 1 > b->alloc) {
        size_t size = b->alloc ? b->alloc * 2 : 128;
        while (size < b->len + n + 1) {
            size *= 2;
        }
        char *p = pool_alloc(b->pool, size);
        if (b->len) {
            memcpy(p, b->p, b->len);
        }
        b->p = p;
        b->alloc = size;
    }
    return true;
}

bool buf_add(struct buf *b, const char *p, size_t n)
{
    if (!reserve(b, n)) {
        return false;
    }
    if (n) {
        memcpy(b->p + b->len, p, n);
    }
    b->len += n;
    return true;
}

bool buf_adds(struct buf *b, struct str s)
{
    b->tainted |= s.tainted;
    return buf_add(b, s.p, s.len);
}

bool buf_addz(struct buf *b, const char *cstr)
{
    return buf_add(b, cstr, strlen(cstr));
}

bool buf_addc(struct buf *b, char c)
{
    return buf_add(b, &c, 1);
}

bool buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    bool ok = n >= 0 && reserve(b, (size_t)n);
    if (ok) {
        vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    b->tainted = true;
    va_end(again);
    return ok;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    bool ok = buf_vaddf(b, fmt, ap);
    va_end(ap);
    return ok;
}

void buf_cut(struct buf *b, size_t len)
{
    if (len < b->len) {
        b->len = len;
    }
}

struct str buf_str(struct buf *b)
{
    if (!b->p) {
        return (struct str){"", 0, b->tainted};
    }
    b->p[b->len] = '\0';
    struct str s = str_n(b->p, b->len);
    s.tainted = b->tainted;
    return s;
}
