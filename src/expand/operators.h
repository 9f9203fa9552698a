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

/* A number as a result. */
struct str operator_number(struct ectx *x, int64_t n);

/* True if what follows the underscore of length_, substr_, hash_, nhash_ (or their short names) is numbers. */
bool operator_numbers_ok(const char *base, struct str param);

PUBLIC_OPERATOR(base32);
PUBLIC_OPERATOR(base32d);
PUBLIC_OPERATOR(base62);
PUBLIC_OPERATOR(base62d);
PUBLIC_OPERATOR(domain_from_alabel);
PUBLIC_OPERATOR(domain_to_alabel);
PUBLIC_OPERATOR(eval);
PUBLIC_OPERATOR(eval10);
PUBLIC_OPERATOR(expand);
PUBLIC_OPERATOR(hash);
PUBLIC_OPERATOR(ipv6denorm);
PUBLIC_OPERATOR(ipv6norm);
PUBLIC_OPERATOR(length);
PUBLIC_OPERATOR(listcount);
PUBLIC_OPERATOR(listnamed);
PUBLIC_OPERATOR(localpart_from_alabel);
PUBLIC_OPERATOR(localpart_to_alabel);
PUBLIC_OPERATOR(mask);
PUBLIC_OPERATOR(nhash);
PUBLIC_OPERATOR(quote_lookup);
PUBLIC_OPERATOR(randint);
PUBLIC_OPERATOR(reverse_ip);
PUBLIC_OPERATOR(stat);
PUBLIC_OPERATOR(substr);
PUBLIC_OPERATOR(time_eval);
PUBLIC_OPERATOR(time_interval);

#endif
