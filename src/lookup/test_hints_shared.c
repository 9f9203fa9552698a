/*
 * The hints store in several processes: nothing that one writes is lost to another, a writer that is
 * killed leaves a database that can be read and written, and so does one that is damaged or taken
 * away while others have it open. Where a process is killed, and which pages are damaged, is random.
 */
#include "unit/unit.h"

#include "lookup/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 4, ROUNDS = 150, KILLS = 40, PAGE = 4096 };

static const char *const suffixes[] = {"", "-lock", ".boot"};

static struct config *conf_in(char *dir)
{
    struct config *c = POOL_NEW(unit_pool(), struct config);
    struct core_settings *set = POOL_NEW(unit_pool(), struct core_settings);
    CHECK(mkdtemp(dir) != NULL);
    set->spool_directory = str_dup(unit_pool(), str_c(dir));
    c->settings[ROOM_CORE] = set;
    return c;
}

static struct str path_of(const struct config *conf, const char *suffix)
{
    return STR_CAT(unit_pool(), core_settings(conf)->spool_directory, STR("/db/unit.mdb"),
                   str_c(suffix));
}

static void remove_all(const struct config *conf)
{
    const char *dir = str_cstr(unit_pool(), core_settings(conf)->spool_directory);
    hints_close_all();
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        unlink(path_of(conf, suffixes[i]).p);
    }
    rmdir(STR_CAT(unit_pool(), str_c(dir), STR("/db")).p);
    rmdir(dir);
}

/* Starts f in a process of its own, which ends with what f returns. */
static pid_t start(int (*f)(const struct config *conf, int n), const struct config *conf, int n)
{
    pid_t pid = fork();
    if (pid == 0) {
        _exit(f(conf, n));
    }
    CHECK(pid > 0);
    return pid;
}

static int ended(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static struct str add_one(void *closure, struct pool *pool, struct str old)
{
    int64_t n = 0;
    (void)closure;
    str_to_i64(old, &n);
    return str_fmt(pool, "%lld", (long long)n + 1);
}

static int64_t number(struct hints *h, struct str key)
{
    struct str data;
    int64_t n = -1;
    return h && hints_get(h, unit_pool(), key, &data) && str_to_i64(data, &n) ? n : -1;
}

/* ---- several writers ---- */

/* Counts up one record that all share, and writes records of its own. */
static int count_and_write(const struct config *conf, int n)
{
    bool ok = true;
    for (int i = 0; i < ROUNDS; i++) {
        struct hints *h = hints_open(conf, "unit");
        ok &= h && hints_update(h, unit_pool(), STR("count"), add_one, NULL) &&
              hints_put(h, str_fmt(unit_pool(), "own-%d-%d", n, i), str_fmt(unit_pool(), "%d", i));
        if (i % 50 == 49) {
            hints_close_all(); /* the next comes to a database that others are in the midst of */
        }
    }
    return !ok;
}

/* They make the database too: nobody may end up with one that another has removed. */
TEST(hints_of_several_writers)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    pid_t pids[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        pids[i] = start(count_and_write, conf, i);
    }
    for (int i = 0; i < WRITERS; i++) {
        CHECK(ended(pids[i]) == 0);
    }
    struct hints *h = hints_open(conf, "unit");
    int present = 0;
    CHECK(number(h, STR("count")) == WRITERS * ROUNDS);
    for (int i = 0; i < WRITERS * ROUNDS; i++) {
        int k = i % ROUNDS;
        present += number(h, str_fmt(unit_pool(), "own-%d-%d", i / ROUNDS, k)) == k;
    }
    CHECK(present == WRITERS * ROUNDS);
    remove_all(conf);
}

/* After a boot all find a damaged database at once: one makes it anew, nobody removes the new one. */
TEST(hints_damaged_are_made_anew_once)
{
    char dir[] = "/tmp/minim-unit-XXXXXX", junk[4 * PAGE];
    const struct config *conf = conf_in(dir);
    for (int round = 0; round < 10; round++) {
        pid_t pids[WRITERS];
        struct hints *h = hints_open(conf, "unit");
        CHECK(h && hints_put(h, STR("before"), STR("1")));
        hints_close_all();
        memset(junk, 0x5a, sizeof junk);
        int fd = file_open(path_of(conf, ""), O_WRONLY | O_TRUNC, 0);
        CHECK(fd >= 0 && write_all(fd, junk, sizeof junk) == 0);
        close(fd);
        CHECK(unlink(path_of(conf, ".boot").p) == 0);
        for (int i = 0; i < WRITERS; i++) {
            pids[i] = start(count_and_write, conf, i);
        }
        for (int i = 0; i < WRITERS; i++) {
            CHECK(ended(pids[i]) == 0);
        }
        h = hints_open(conf, "unit");
        CHECK(number(h, STR("before")) == -1);
        CHECK(number(h, STR("count")) == WRITERS * ROUNDS);
    }
    remove_all(conf);
}

/* ---- transactions ---- */

static bool move_one(void *closure, struct hints *h)
{
    const bool *keep = closure;
    return hints_update(h, unit_pool(), STR("to"), add_one, NULL) && number(h, STR("to")) > 0 &&
           hints_del(h, STR("from")) && *keep;
}

TEST(hints_together_or_not_at_all)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    struct hints *h = hints_open(conf, "unit");
    bool keep = false;
    CHECK(h && hints_put(h, STR("from"), STR("1")));
    if (h) {
        CHECK(!hints_together(h, move_one, &keep));
        CHECK(number(h, STR("from")) == 1 && number(h, STR("to")) == -1);
        keep = true;
        CHECK(hints_together(h, move_one, &keep));
        CHECK(number(h, STR("from")) == -1 && number(h, STR("to")) == 1);
    }
    remove_all(conf);
}

/* ---- killed writers ---- */

static int told; /* the end of a pipe: how far the writer came, a byte each time */

/* Two records that must always agree, and a long one for pages to be taken and given back. */
static bool write_pair(void *closure, struct hints *h)
{
    struct str *long_one = closure;
    int64_t n = number(h, STR("a")) + 1;
    return hints_put(h, STR("a"), str_fmt(unit_pool(), "%lld", (long long)n)) &&
           hints_put(h, str_fmt(unit_pool(), "long-%d", (int)(n % 7)),
                     str_sub(*long_one, 0, (uint32_t)(n * 977 % long_one->len))) &&
           hints_put(h, STR("b"), str_fmt(unit_pool(), "%lld", (long long)n));
}

static int write_pairs(const struct config *conf, int n)
{
    struct str long_one = str_fmt(unit_pool(), "%20000d", n);
    struct hints *h = hints_open(conf, "unit");
    while (h && hints_together(h, write_pair, &long_one) && write(told, "+", 1) == 1) {
    }
    return 1;
}

static uint32_t seed(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint32_t)t.tv_nsec ^ (uint32_t)getpid();
}

/* How many bytes are in the pipe, once there is one; -1: nobody writes. */
static int come_so_far(int fd)
{
    char text[65536];
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 10000) == 1 ? (int)read(fd, text, sizeof text) : -1;
}

/* Lets a writer work until it has written at least once, and some time that nobody knows. */
static void write_and_kill(const struct config *conf, int n, unsigned us)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    told = ends[1];
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    pid_t pid = start(write_pairs, conf, n);
    close(ends[1]);
    CHECK(come_so_far(ends[0]) > 0);
    usleep(us); /* the instant of the kill is what varies */
    kill(pid, SIGKILL);
    CHECK(WIFSIGNALED(ended(pid)));
    close(ends[0]);
}

TEST(hints_of_killed_writers)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    uint32_t r = seed();
    int64_t before = 0;
    struct hints *h = hints_open(conf, "unit");
    CHECK(h && hints_put(h, STR("a"), STR("0")) && hints_put(h, STR("b"), STR("0")));
    for (int i = 0; i < KILLS; i++) {
        r = r * 1664525u + 1013904223u;
        write_and_kill(conf, i, (r >> 16) % 3000);
        h = hints_open(conf, "unit"); /* this process has had it open all the time */
        int64_t now = number(h, STR("a"));
        CHECK(now > before);
        CHECK(now == number(h, STR("b")));
        CHECK(h && hints_update(h, unit_pool(), STR("c"), add_one, NULL));
        CHECK(number(h, STR("c")) == i + 1);
        /* What a writer had all but committed when it died counts from the next write on. */
        before = number(h, STR("a"));
        CHECK(before >= now && before - now <= 1 && before == number(h, STR("b")));
    }
    hints_close_all();
    h = hints_open(conf, "unit");
    CHECK(number(h, STR("a")) == before);
    remove_all(conf);
}

/* ---- the reader of pages ---- */

static bool is_sound(const struct config *conf)
{
    int fd = file_open(path_of(conf, ""), O_RDONLY, 0);
    bool sound = fd >= 0 && hints_file_sound(fd);
    close(fd);
    return sound;
}

/* Whatever is written and deleted, the database is never taken for a damaged one. */
TEST(hints_file_that_is_sound)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    struct hints *h = hints_open(conf, "unit");
    struct str data = str_fmt(unit_pool(), "%20000d", 1);
    uint32_t r = seed();
    CHECK(h && is_sound(conf));
    for (int i = 0; h && i < 20000; i++) {
        r = r * 1664525u + 1013904223u;
        struct pool_mark mark = pool_mark(unit_pool());
        struct str key = str_fmt(unit_pool(), "%*d", 1 + (int)(r >> 28), (int)(r >> 8) % 400);
        uint32_t len = (r >> 4) % ((r & 15) ? 100 : data.len);
        CHECK((r >> 20) % 100 < (i < 10000 ? 40 : 60) ? hints_del(h, key)
                                                      : hints_put(h, key, str_sub(data, 0, len)));
        pool_release(unit_pool(), mark);
        if (i % 50 == 0) {
            CHECK(is_sound(conf));
        }
    }
    for (int i = 0; h && i < 16 * 400; i++) {
        CHECK(hints_del(h, str_fmt(unit_pool(), "%*d", 1 + i % 16, i / 16)));
    }
    CHECK(is_sound(conf));
    remove_all(conf);
}

/* ---- damage and removal under those who have it open ---- */

static struct hints *filled(const struct config *conf)
{
    struct hints *h = hints_open(conf, "unit");
    for (int i = 0; h && i < 800; i++) {
        CHECK(hints_put(h, str_fmt(unit_pool(), "key%d", i), STR("some data for the record")));
    }
    for (int i = 0; h && i < 800; i += 5) { /* so that there are free pages */
        CHECK(hints_del(h, str_fmt(unit_pool(), "key%d", i)));
    }
    return h;
}

TEST(hints_that_were_removed)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    struct hints *h = filled(conf);
    CHECK(h && unlink(path_of(conf, "").p) == 0);
    h = hints_open(conf, "unit");
    CHECK(h && !hints_put(h, STR(""), STR("")) && hints_put(h, STR("a"), STR("1")));
    CHECK(number(h, STR("key1")) == -1);
    pid_t pid = start(count_and_write, conf, 0); /* it must be the same file */
    CHECK(ended(pid) == 0);
    CHECK(number(hints_open(conf, "unit"), STR("count")) == ROUNDS);
    remove_all(conf);
}

/* Reads and writes whatever is there. May die of it. */
static int use(const struct config *conf, int n)
{
    bool ok = true;
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(null, STDERR_FILENO);
    for (int i = 0; i < 800 && ok; i++) {
        struct str key = str_fmt(unit_pool(), "key%d", (i * 7 + n) % 800), data;
        struct hints *h = hints_open(conf, "unit");
        ok = h != NULL;
        if (ok && hints_get(h, unit_pool(), key, &data) && i % 5 == 0) {
            ok = hints_del(h, key);
        }
        h = hints_open(conf, "unit");
        ok = ok && h && hints_put(h, key, str_sub(STR("some data for the record"), 0, 4 + n)) &&
             hints_update(h, unit_pool(), STR("count"), add_one, NULL);
    }
    return !ok;
}

/* A file that was cut short is noticed by whoever opens it, whatever the boot. */
TEST(hints_that_were_cut_short)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    for (int pages = 0; pages < 12; pages++) {
        filled(conf);
        hints_close_all();
        CHECK(truncate(path_of(conf, "").p, pages * PAGE + (pages & 1) * 100) == 0);
        CHECK(ended(start(use, conf, 0)) == 0);
        CHECK(number(hints_open(conf, "unit"), STR("count")) == 800);
        hints_close_all();
        CHECK(unlink(path_of(conf, "").p) == 0);
    }
    remove_all(conf);
}

static uint32_t damage(const struct config *conf, uint32_t r)
{
    char junk[PAGE];
    struct stat st;
    int fd = file_open(path_of(conf, ""), O_WRONLY, 0);
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    for (int i = 0; i < 3; i++) {
        r = r * 1664525u + 1013904223u;
        memset(junk, (int)(r >> 24), sizeof junk);
        off_t at = (off_t)((r >> 8) % (uint32_t)(st.st_size / PAGE)) * PAGE;
        CHECK(pwrite(fd, junk, sizeof junk, at) == sizeof junk);
    }
    close(fd);
    return r;
}

/*
 * Damaged in the midst of work: whoever dies of it, or finds it, is followed by one that has a sound
 * database. This process does not touch it: LMDB may write over its memory.
 */
TEST(hints_that_were_damaged_in_use)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    const struct config *conf = conf_in(dir);
    uint32_t r = seed();
    int met = 0;
    for (int round = 0; round < 15; round++) {
        unlink(path_of(conf, "").p);
        CHECK(ended(start(use, conf, 0)) == 0);
        r = damage(conf, r);
        for (int i = 1; i < 4; i++) {
            if (ended(start(use, conf, i)) != 0) {
                met++;
                hints_doubt(conf); /* as the supervisor does */
                CHECK(ended(start(use, conf, i + 10)) == 0);
            }
        }
    }
    CHECK(met > 0);
    remove_all(conf);
}
