/*
 * Growing buffer with a mandatory cap. Past the cap nothing is added and `overflow` stays set, so
 * that a chain of additions needs one check at its end.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

struct buf {
    struct pool *pool;
    char *p;
    size_t len, alloc, cap;
    bool overflow, tainted;
};

/* Empties *b; memory comes from pool, the content never exceeds cap bytes. */
void buf_init(struct buf *b, struct pool *pool, size_t cap);

/* Appends n bytes; false (and overflow set) if the cap would be passed. */
bool buf_add(struct buf *b, const char *p, size_t n);

/* Appends a string and hands on its taint. */
bool buf_adds(struct buf *b, struct str s);

/* Appends a NUL-terminated string; a byte. */
bool buf_addz(struct buf *b, const char *cstr);
bool buf_addc(struct buf *b, char c);

/* Appends as printf does; the content counts as tainted from then on. */
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

/* Cuts the content to len bytes. */
void buf_cut(struct buf *b, size_t len);

/* View of the content, NUL-terminated behind its length; valid until the next addition. */
struct str buf_str(struct buf *b);

#endif
