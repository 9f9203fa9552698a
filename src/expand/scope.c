/*
 * Scopes: $0 to $20 and the values that items and other rooms set by name.
 *
 * A scope is a chain of bindings, newest first; setting one adds a link in x->pool, restoring drops
 * back to a link remembered before. Nothing is changed in place, so a remembered scope stays valid.
 */
#include "expand/internal.h"

struct scope *scope_set_numeric(struct ectx *x, const struct str *values, size_t n)
{
    struct scope *previous = x->scope;
    struct scope *s = POOL_NEW(x->pool, struct scope);
    s->outer = previous;
    s->numbers = pool_calloc(x->pool, n ? n : 1, sizeof *s->numbers);
    s->n = (int)n;
    for (size_t i = 0; i < n; i++) {
        s->numbers[i] = str_dup(x->pool, values[i]);
    }
    x->scope = s;
    return previous;
}

void scope_restore(struct ectx *x, struct scope *previous)
{
    x->scope = previous;
}

void scope_set(struct ectx *x, struct str name, struct str value)
{
    struct scope *s = POOL_NEW(x->pool, struct scope);
    *s = (struct scope){.outer = x->scope,
                        .name = str_dup(x->pool, name),
                        .value = str_dup(x->pool, str_unset(value) ? STR("") : value)};
    x->scope = s;
}

struct str scope_get(const struct ectx *x, struct str name)
{
    for (const struct scope *s = x->scope; s; s = s->outer) {
        if (!str_unset(s->name) && str_eq(s->name, name)) {
            return s->value;
        }
    }
    return STR_NONE;
}

struct str scope_number(const struct ectx *x, int n)
{
    for (const struct scope *s = x->scope; s; s = s->outer) {
        if (str_unset(s->name)) {
            return n < s->n ? s->numbers[n] : STR_NONE;
        }
    }
    return STR_NONE;
}

void scope_keep_numbers(struct ectx *x, struct scope *outer)
{
    for (const struct scope *s = x->scope; s != outer; s = s->outer) {
        if (str_unset(s->name)) {
            x->scope = outer;
            scope_set_numeric(x, s->numbers, (size_t)s->n);
            return;
        }
    }
    x->scope = outer;
}
