/* The hints store: records, long keys, damage, fork. */
#include "unit/unit.h"

#include "lookup/lookup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct config *conf_in(const char *dir)
{
    struct config *c = POOL_NEW(unit_pool(), struct config);
    struct core_settings *set = POOL_NEW(unit_pool(), struct core_settings);
    set->spool_directory = str_c(dir);
    c->settings[ROOM_CORE] = set;
    return c;
}

static void remove_all(const char *dir)
{
    static const char *const names[] = {"/db/unit.mdb", "/db/unit.mdb-lock", "/db/unit.mdb.boot"};
    hints_close_all();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        unlink(STR_CAT(unit_pool(), str_c(dir), str_c(names[i])).p);
    }
    rmdir(STR_CAT(unit_pool(), str_c(dir), STR("/db")).p);
    rmdir(dir);
}

static struct str add_x(void *closure, struct pool *pool, struct str old)
{
    (void)closure;
    return str_unset(old) ? STR("x") : STR_CAT(pool, old, STR("x"));
}

static struct str forget(void *closure, struct pool *pool, struct str old)
{
    (void)closure;
    (void)pool;
    (void)old;
    return STR_NONE;
}

static bool note(void *closure, struct str key, struct str data)
{
    struct buf *b = closure;
    buf_addf(b, "%.*s=%.*s;", STR_ARG(key), STR_ARG(data));
    return b->len < 8;
}

static struct str get(struct hints *h, const char *key)
{
    struct str data;
    return hints_get(h, unit_pool(), str_c(key), &data) ? data : STR("none");
}

TEST(hints_records)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    struct buf all;
    CHECK(mkdtemp(dir) != NULL);
    struct hints *h = hints_open(conf_in(dir), "unit");
    CHECK(h != NULL);
    if (h) {
        CHECK_STR(get(h, "a"), "none");
        CHECK(hints_put(h, STR("b"), STR("2")) && hints_put(h, STR("a"), STR("1")));
        CHECK_STR(get(h, "a"), "1");
        CHECK(get(h, "a").tainted);
        CHECK(hints_update(h, unit_pool(), STR("a"), add_x, NULL));
        CHECK_STR(get(h, "a"), "1x");
        CHECK(hints_put(h, STR("c"), STR("")));
        CHECK_STR(get(h, "c"), "");
        CHECK(!hints_put(h, STR(""), STR("")));
        buf_init(&all, unit_pool(), 100);
        hints_each(h, unit_pool(), note, &all);
        CHECK_STR(buf_str(&all), "a=1x;b=2;");
        CHECK(hints_update(h, unit_pool(), STR("a"), forget, NULL));
        CHECK(hints_del(h, STR("b")) && hints_del(h, STR("b")));
        CHECK_STR(get(h, "a"), "none");
        CHECK_STR(get(h, "b"), "none");
        CHECK(hints_open(conf_in(dir), "unit") == h);
    }
    CHECK(hints_open(conf_in(dir), "../unit") == NULL);
    remove_all(dir);
}

TEST(hints_long_keys)
{
    char dir[] = "/tmp/minim-unit-XXXXXX", key[2001];
    CHECK(mkdtemp(dir) != NULL);
    struct hints *h = hints_open(conf_in(dir), "unit");
    memset(key, 'k', sizeof key);
    key[2000] = '\0';
    CHECK(h && hints_put(h, str_c(key), STR("long")));
    if (h) {
        CHECK_STR(get(h, key), "long");
        key[1999] = 'l';
        CHECK_STR(get(h, key), "none");
    }
    remove_all(dir);
}

TEST(hints_survive_damage)
{
    char dir[] = "/tmp/minim-unit-XXXXXX", junk[8192];
    CHECK(mkdtemp(dir) != NULL);
    struct hints *h = hints_open(conf_in(dir), "unit");
    CHECK(h && hints_put(h, STR("a"), STR("1")));
    hints_close_all();
    memset(junk, 'x', sizeof junk);
    struct str path = STR_CAT(unit_pool(), str_c(dir), STR("/db/unit.mdb"));
    int fd = file_open(path, O_WRONLY | O_TRUNC, 0);
    CHECK(fd >= 0 && write_all(fd, junk, sizeof junk) == 0);
    close(fd);
    h = hints_open(conf_in(dir), "unit");
    CHECK(h != NULL);
    if (h) {
        CHECK_STR(get(h, "a"), "none");
        CHECK(hints_put(h, STR("a"), STR("2")));
    }
    remove_all(dir);
}

/* After another boot a database is read through before it is trusted: torn pages are found. */
TEST(hints_are_checked_after_a_boot)
{
    char dir[] = "/tmp/minim-unit-XXXXXX", junk[4096];
    CHECK(mkdtemp(dir) != NULL);
    struct hints *h = hints_open(conf_in(dir), "unit");
    for (int i = 0; h && i < 500; i++) {
        hints_put(h, str_fmt(unit_pool(), "key%d", i), STR("some data for the record"));
    }
    hints_close_all();
    struct str path = STR_CAT(unit_pool(), str_c(dir), STR("/db/unit.mdb"));
    struct stat st;
    memset(junk, 0x5a, sizeof junk);
    int fd = file_open(path, O_WRONLY, 0);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    for (off_t at = 2 * 4096; at < st.st_size; at += 4096) {
        CHECK(pwrite(fd, junk, sizeof junk, at) == sizeof junk);
    }
    close(fd);
    fd = file_open(STR_CAT(unit_pool(), path, STR(".boot")), O_WRONLY | O_TRUNC, 0);
    CHECK(fd >= 0 && write_all(fd, "another", 7) == 0);
    close(fd);
    h = hints_open(conf_in(dir), "unit");
    CHECK(h != NULL);
    if (h) {
        CHECK_STR(get(h, "key1"), "none");
        CHECK(hints_put(h, STR("a"), STR("2")));
        CHECK_STR(get(h, "a"), "2");
    }
    remove_all(dir);
}

TEST(hints_and_fork)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    struct hints *h = hints_open(conf_in(dir), "unit");
    CHECK(h && hints_put(h, STR("a"), STR("parent")));
    pid_t pid = fork();
    if (pid == 0) {
        struct hints *mine = hints_open(conf_in(dir), "unit");
        _exit(!(mine && mine != h && str_is(get(mine, "a"), "parent") &&
                hints_update(mine, unit_pool(), STR("a"), add_x, NULL)));
    }
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    if (h) {
        CHECK_STR(get(h, "a"), "parentx");
    }
    remove_all(dir);
}
