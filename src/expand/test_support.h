/* What the unit tests of expand/ share: a small configuration without a file, and evaluation in it. */
#ifndef EXPAND_TEST_SUPPORT_H
#define EXPAND_TEST_SUPPORT_H

#include "expand/internal.h"
#include "unit/unit.h"

/* A context over a fresh configuration of core/, net/, lookup/ and expand/, in the test's pool. */
void test_ectx(struct ectx *x);

/* Adds a named list; a text that does not compile is printed and left out. */
void test_named_list(struct ectx *x, enum list_kind kind, const char *name, const char *text);

/* The value of a text, or "error: " and why not. */
struct str test_value(struct ectx *x, const char *text);

/* A text and its value, as test_value() gives it. */
struct value_case {
    const char *text, *want;
};

/* Checks a table, which a NULL text ends; a failure names the row's text. */
void test_values(struct ectx *x, const struct value_case *cases);

#endif
