/*
 * The unit test program: runs every registered test, or those whose name contains argv[1]. Prints
 * a line per failure and a last line of counts; exit status 1 if anything failed or nothing ran.
 */
#include "unit/unit.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static struct unit_test *tests;
static struct pool *pool;
static struct strvec dirs;
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

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

struct str unit_dir(void)
{
    char *path = str_cstr(pool, str_c("/tmp/minim-unit-XXXXXX"));
    if (!mkdtemp(path)) {
        perror("mkdtemp");
        exit(1);
    }
    strvec_push(&dirs, str_c(path));
    return str_c(path);
}

static void remove_dirs(void)
{
    for (size_t i = 0; i < dirs.n; i++) {
        nftw(dirs.v[i].p, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    dirs = (struct strvec){.pool = pool};
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
        dirs = (struct strvec){.pool = pool};
        t->run();
        remove_dirs();
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
