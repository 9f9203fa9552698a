/*
 * Unit tests: a test file beside the code (src/ROOM/test_NAME.c) defines functions with TEST(name);
 * they register themselves and run in the order of their files.
 */
#ifndef UNIT_UNIT_H
#define UNIT_UNIT_H

#include "base/base.h"

struct unit_test {
    const char *name, *file;
    void (*run)(void);
    struct unit_test *next;
};

/* Called before main by TEST. */
void unit_register(struct unit_test *t);

/* Counts a check; prints file, line and text when it fails. Returns ok. */
bool unit_check(bool ok, const char *file, int line, const char *text);
bool unit_check_str(struct str got, struct str want, const char *file, int line, const char *text);

/* A pool that is emptied after each test. */
struct pool *unit_pool(void);

/* A new folder, which is removed with all that is in it after the test. */
struct str unit_dir(void);

#define TEST(id) \
    static void test_##id(void); \
    __attribute__((constructor)) static void register_##id(void) \
    { \
        static struct unit_test t = {#id, __FILE__, test_##id, NULL}; \
        unit_register(&t); \
    } \
    static void test_##id(void)

#define CHECK(cond) unit_check((cond), __FILE__, __LINE__, #cond)
#define CHECK_STR(got, want) unit_check_str((got), str_c(want), __FILE__, __LINE__, #got)

#endif
