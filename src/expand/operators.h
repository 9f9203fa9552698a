/* Declarations of the operators' functions, which the table in operators.c gathers. */
#ifndef EXPAND_OPERATORS_H
#define EXPAND_OPERATORS_H

#include "expand/internal.h"

/* Defines the function of an operator: x context, param, s subject, *out result. */
#define OPERATOR_ARGS \
    __attribute__((unused)) struct ectx *x, __attribute__((unused)) struct str param, \
        __attribute__((unused)) struct str s, struct str *out
#define OPERATOR(id) \
    static bool op_##id(OPERATOR_ARGS); \
    static bool op_##id(OPERATOR_ARGS)
#define PUBLIC_OPERATOR(id) bool op_##id(OPERATOR_ARGS)

#define DECLARE_OPERATOR(id) PUBLIC_OPERATOR(id);
#define OPERATORS_MORE(X) \
    X(base32) \
    X(base32d) X(base62) X(base62d) X(domain_from_alabel) X(domain_to_alabel) X(eval) X(eval10) \
        X(expand) X(hash) X(ipv6denorm) X(ipv6norm) X(length) X(listcount) X(listnamed) \
            X(localpart_from_alabel) X(localpart_to_alabel) X(mask) X(nhash) X(randint) \
                X(reverse_ip) X(stat) X(substr) X(time_eval) X(time_interval)

/* The operators of operators_more.c. */
OPERATORS_MORE(DECLARE_OPERATOR)

/* A number as a result. */
struct str operator_number(struct ectx *x, int64_t n);

/* True if what follows the underscore of length_, substr_, hash_, nhash_ (or short) is numbers. */
bool operator_numbers_ok(const char *base, struct str param);

#endif
