/*
 * The unit test program: runs every registered test, or those whose name contains argv[1]. Prints
 * a line per failure and a last line of counts; exit status 1 if anything failed or nothing ran.
 */
#include "unit/unit.h"

#include <stdio.h>

static struct unit_test *tests;
static struct pool *pool;
static int failures;

void unit_register(struct unit_test *t)
{
    t->next = tests;
    tests = t;
}

struct pool *unit_pool(void)
{
    return pool;
}

bool unit_check(bool ok, const char *file, int line, const char *text)
{
    if (!ok) {
        fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
        failures++;
    }
    return ok;
}

bool unit_check_str(struct str got, struct str want, const char *file, int line, const char *text)
{
    bool ok = str_eq(got, want);
    if (!ok) {
        fprintf(stderr, "%s:%d: %s is \"%.*s\", expected \"%.*s\"\n", file, line, text,
                STR_ARG(got), STR_ARG(want));
        failures++;
    }
    return ok;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    pool = pool_new("unit");
    for (struct unit_test *t = tests; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1])) {
            continue;
        }
        failures = 0;
        t->run();
        pool_clear(pool);
        if (failures) {
            failed++;
            fprintf(stderr, "FAIL %s (%s)\n", t->name, t->file);
        } else {
            passed++;
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    pool_free(&pool);
    return failed > 0 || passed == 0;
}
