/*
 * Vectors (vec.h). They grow by doubling in their pool; elements are never moved by anyone else,
 * and an element's address is valid only until the next push.
 */
#include "base/base.h"

static size_t grown(size_t alloc)
{
    return alloc ? alloc * 2 : 8;
}

void vec_push(struct vec *v, void *item)
{
    if (v->n == v->alloc) {
        size_t alloc = grown(v->alloc);
        void **p = pool_calloc(v->pool, alloc, sizeof *p);
        if (v->n) {
            memcpy(p, v->v, v->n * sizeof *p);
        }
        v->v = p;
        v->alloc = alloc;
    }
    v->v[v->n++] = item;
}

void strvec_push(struct strvec *v, struct str s)
{
    if (v->n == v->alloc) {
        size_t alloc = grown(v->alloc);
        struct str *p = pool_calloc(v->pool, alloc, sizeof *p);
        if (v->n) {
            memcpy(p, v->v, v->n * sizeof *p);
        }
        v->v = p;
        v->alloc = alloc;
    }
    v->v[v->n++] = s;
}

bool strvec_has(const struct strvec *v, struct str s)
{
    for (size_t i = 0; i < v->n; i++) {
        if (str_eq(v->v[i], s)) {
            return true;
        }
    }
    return false;
}

bool strvec_hasi(const struct strvec *v, struct str s)
{
    for (size_t i = 0; i < v->n; i++) {
        if (str_eqi(v->v[i], s)) {
            return true;
        }
    }
    return false;
}
