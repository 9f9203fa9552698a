/* Growing vectors in a pool: of pointers, and of strings. A zeroed struct with pool set is empty. */
#ifndef BASE_VEC_H
#define BASE_VEC_H

#include "base/str.h"

struct vec {
    struct pool *pool;
    void **v;
    size_t n, alloc;
};

struct strvec {
    struct pool *pool;
    struct str *v;
    size_t n, alloc;
};

/* Appends one element. */
void vec_push(struct vec *v, void *item);
void strvec_push(struct strvec *v, struct str s);

/* True if the vector holds an equal string; the second form folds ASCII case. */
bool strvec_has(const struct strvec *v, struct str s);
bool strvec_hasi(const struct strvec *v, struct str s);

#endif
