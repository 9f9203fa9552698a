/*
 * Unit tests of spool files that are used again: the way there and back, and every state that a
 * kill or a loss of power may leave.
 */
#include "mail/internal.h"
#include "unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static struct core_settings core;
static struct mail_settings mail;

/* A configuration whose spool is a fresh directory, and processes that share a table. */
static struct config *fresh(void)
{
    struct config *conf = POOL_NEW(unit_pool(), struct config);
    char none[SPOOL_ID];
    core = (struct core_settings){.message_logs = true};
    mail = (struct mail_settings){.message_body_visible = 500};
    core.spool_directory = unit_dir();
    conf->settings[ROOM_CORE] = &core;
    conf->settings[ROOM_MAIL] = &mail;
    spool_start(conf);
    for (unsigned i = 0; i < SPOOL_DIRS; i++) {
        while (spool_free_take(i, none)) {
        }
    }
    return conf;
}

/* A message whose body is n times the letter; its id. */
static struct str put(const struct config *conf, char letter, size_t n)
{
    struct message m = {.pool = unit_pool(), .sender = STR("a@b")};
    m.acl_m.pool = m.acl_c.pool = unit_pool();
    struct spool_writer *w = spool_begin(conf, &m);
    char *data = pool_alloc(unit_pool(), n + 1);
    memset(data, letter, n);
    CHECK(spool_write(w, data, n));
    message_add_recipient(&m, STR("r@s"));
    CHECK(spool_commit(&w, &m));
    return m.id;
}

static enum spool_open look(const struct config *conf, struct str id)
{
    struct message m = {.pool = unit_pool()};
    struct str error;
    enum spool_open state = spool_load(conf, id, &m, &error);
    if (state == SPOOL_OK) {
        spool_close(&m);
    }
    return state;
}

/* The message can be read and its body is n times the letter. */
static bool holds(const struct config *conf, struct str id, char letter, size_t n)
{
    struct message m = {.pool = unit_pool()};
    struct str error;
    char *p = pool_alloc(unit_pool(), n + 2);
    if (spool_load(conf, id, &m, &error) != SPOOL_OK) {
        return false;
    }
    bool ok = spool_body_read(&m, 0, p, n + 2) == (ssize_t)n && str_eq(m.id, id);
    for (size_t i = 0; ok && i < n; i++) {
        ok = p[i] == letter;
    }
    int64_t at;
    char c = letter;
    int fd = spool_body_fd(&m, &at);
    ok = ok && (n == 0 || (pread(fd, &c, 1, at) == 1 && c == letter));
    spool_close(&m);
    return ok;
}

static void deliver(const struct config *conf, struct str id)
{
    struct message m = {.pool = unit_pool()};
    struct str error;
    CHECK(spool_load(conf, id, &m, &error) == SPOOL_OK);
    spool_remove(&m);
}

static const char *file(const struct config *conf, struct str id, const char *suffix)
{
    struct pool *pool = unit_pool();
    return spool_name(pool, spool_dir(conf, pool, id), id, suffix).p;
}

static bool there(const struct config *conf, struct str id, const char *suffix)
{
    return access(file(conf, id, suffix), F_OK) == 0;
}

static ino_t inode(const struct config *conf, struct str id, const char *suffix)
{
    struct stat st = {0};
    CHECK(stat(file(conf, id, suffix), &st) == 0);
    return st.st_ino;
}

static off_t size(const struct config *conf, struct str id)
{
    struct stat st = {0};
    CHECK(stat(file(conf, id, ""), &st) == 0);
    return st.st_size;
}

static size_t queued(const struct config *conf)
{
    struct strvec ids = {.pool = unit_pool()};
    spool_list(conf, unit_pool(), &ids);
    return ids.n;
}

static void overwrite(const char *path, const char *text, off_t at)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, text, strlen(text), at) == (ssize_t)strlen(text));
    close(fd);
}

static void make_old(const char *path)
{
    struct timespec old[2] = {{1000, 0}, {1000, 0}};
    CHECK(utimensat(AT_FDCWD, path, old, 0) == 0);
}

/* A second message in the file of the first; the first was delivered. */
static struct str put_over(const struct config *conf, struct str *first)
{
    *first = put(conf, 'a', 9000);
    ino_t i = inode(conf, *first, "");
    deliver(conf, *first);
    CHECK(there(conf, *first, "-F") && !there(conf, *first, ""));
    struct str second = put(conf, 'b', 300);
    CHECK(inode(conf, second, "") == i && !there(conf, *first, "-F"));
    return second;
}

TEST(reuse_there_and_back)
{
    struct config *conf = fresh();
    struct str first, second = put_over(conf, &first);
    CHECK(size(conf, second) == 12288 && queued(conf) == 1 && spool_count(conf) == 1);
    CHECK(holds(conf, second, 'b', 300) && look(conf, first) == SPOOL_GONE);
    deliver(conf, second);
    CHECK(queued(conf) == 0 && spool_count(conf) == 0);
    struct str third = put(conf, 'c', 14000);
    CHECK(holds(conf, third, 'c', 14000) && size(conf, third) == SPOOL_SLOT); /* it has grown */
    deliver(conf, third);
    CHECK(holds(conf, put(conf, 'd', 0), 'd', 0));
}

TEST(reuse_size_tells_short_from_long)
{
    struct config *conf = fresh();
    struct str id = put(conf, 'a', 10000);
    struct spool_mark mark;
    struct str meta;
    char *room = pool_alloc(unit_pool(), SPOOL_SLOT);
    int fd = open(file(conf, id, ""), O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0 && spool_slot_read(fd, room, &mark, &meta) == SLOT_GOOD);
    close(fd);
    /* the records of the next may be some bytes shorter or longer: their times differ */
    size_t most = (size_t)(SPOOL_SLOT - SPOOL_MARK - mark.meta_len);
    for (size_t n = most - 6; n < most + 6; n++) {
        id = put(conf, 'b', n);
        CHECK(holds(conf, id, 'b', n));
        CHECK(n != most - 6 || size(conf, id) == SPOOL_SLOT);
        CHECK(size(conf, id) == SPOOL_SLOT || n > most - 6);
        CHECK(size(conf, id) >= SPOOL_SLOT && (n != most + 5 || size(conf, id) > SPOOL_SLOT));
        deliver(conf, id);
    }
}

TEST(reuse_is_bounded)
{
    struct config *conf = fresh();
    struct strvec ids = {.pool = unit_pool()};
    size_t kept = 0;
    for (int i = 0; i < 24; i++) {
        strvec_push(&ids, put(conf, 'a', 10));
    }
    for (size_t i = 0; i < ids.n; i++) {
        deliver(conf, ids.v[i]);
        kept += there(conf, ids.v[i], "-F");
    }
    CHECK(kept == 16 && queued(conf) == 0);
    spool_tidy(conf); /* they are not old */
    CHECK(there(conf, ids.v[0], "-F"));
    spool_start(conf);
    CHECK(!there(conf, ids.v[0], "-F"));
    CHECK(holds(conf, put(conf, 'b', 10), 'b', 10)); /* the table's entries are of no use now */
}

TEST(reuse_lost_renames)
{
    struct config *conf = fresh();
    struct str first, second = put_over(conf, &first);
    /* the name of the file when it was free, then the one before */
    CHECK(rename(file(conf, second, ""), file(conf, first, "-F")) == 0);
    CHECK(queued(conf) == 0);
    spool_start(conf);
    CHECK(holds(conf, second, 'b', 300) && !there(conf, first, "-F"));
    CHECK(rename(file(conf, second, ""), file(conf, first, "")) == 0);
    CHECK(look(conf, first) == SPOOL_GONE && look(conf, second) == SPOOL_GONE);
    CHECK(spool_count(conf) == 0);
    spool_tidy(conf);
    CHECK(holds(conf, second, 'b', 300) && !there(conf, first, ""));
    /* a name that is in use is not taken away from its owner */
    struct str other = put(conf, 'c', 10);
    CHECK(link(file(conf, second, ""), file(conf, first, "")) == 0);
    overwrite(file(conf, second, ""), "", 0);
    spool_tidy(conf);
    CHECK(holds(conf, second, 'b', 300) && holds(conf, other, 'c', 10));
}

TEST(reuse_locked_files_are_left_alone)
{
    struct config *conf = fresh();
    struct str first, second = put_over(conf, &first);
    CHECK(rename(file(conf, second, ""), file(conf, first, "-F")) == 0);
    int fd = open(file(conf, first, "-F"), O_RDWR | O_CLOEXEC);
    CHECK(flock(fd, LOCK_EX) == 0);
    spool_start(conf);
    CHECK(there(conf, first, "-F") && !there(conf, second, ""));
    close(fd);
    spool_start(conf);
    CHECK(there(conf, second, ""));
    /* a free file that somebody has locked is passed over */
    deliver(conf, second);
    fd = open(file(conf, second, "-F"), O_RDWR | O_CLOEXEC);
    CHECK(flock(fd, LOCK_EX) == 0);
    struct str third = put(conf, 'c', 10);
    CHECK(there(conf, second, "-F") && holds(conf, third, 'c', 10));
    close(fd);
}

TEST(reuse_new_name_old_message)
{
    struct config *conf = fresh();
    struct str first = put(conf, 'a', 9000), never = put(conf, 'x', 1);
    CHECK(unlink(file(conf, never, "")) == 0);
    /* the rename reached the disk, what was to be written did not: the message before it is sent
       once more, as if its removal had been lost */
    CHECK(rename(file(conf, first, ""), file(conf, never, "")) == 0);
    CHECK(look(conf, never) == SPOOL_GONE);
    spool_tidy(conf);
    CHECK(holds(conf, first, 'a', 9000) && !there(conf, never, ""));
}

TEST(reuse_killed_before_it_was_written)
{
    struct config *conf = fresh();
    struct str id = put(conf, 'a', 9000);
    overwrite(file(conf, id, ""), "minim-0 ", 0);
    CHECK(look(conf, id) == SPOOL_GONE && spool_count(conf) == 0);
    spool_tidy(conf);
    CHECK(there(conf, id, "")); /* somebody may be about to */
    make_old(file(conf, id, ""));
    spool_tidy(conf);
    CHECK(!there(conf, id, ""));
}

TEST(reuse_torn)
{
    struct config *conf = fresh();
    struct str first, second = put_over(conf, &first);
    /* the first page is new, the second is not */
    struct str id = put(conf, 'a', 9000);
    overwrite(file(conf, id, ""), "not of this message", 4096);
    CHECK(look(conf, id) == SPOOL_GONE); /* it may be being written */
    spool_tidy(conf);
    CHECK(there(conf, id, ""));
    make_old(file(conf, id, ""));
    CHECK(look(conf, id) == SPOOL_DAMAGED);
    spool_tidy(conf);
    CHECK(there(conf, id, "")); /* nobody can tell it from a message that the disk has spoilt */
    spool_discard(conf, id);
    /* under the name of another it is nothing */
    overwrite(file(conf, second, ""), "X", SPOOL_MARK + 7);
    CHECK(rename(file(conf, second, ""), file(conf, first, "-F")) == 0);
    spool_start(conf);
    CHECK(!there(conf, first, "-F") && !there(conf, second, "") && queued(conf) == 0);
}

TEST(reuse_readers_keep_what_they_have_read)
{
    struct config *conf = fresh();
    struct str first = put(conf, 'a', 9000), error;
    struct message m = {.pool = unit_pool()};
    char c[2];
    CHECK(spool_peek(conf, first, &m, &error) == SPOOL_OK);
    deliver(conf, first);
    struct str second = put(conf, 'b', 9000);
    CHECK(there(conf, second, "") && spool_body_read(&m, 8999, c, 2) == 1 && c[0] == 'a');
    spool_close(&m);
    /* the name leads to another's message: not for a reader, not for a delivery */
    CHECK(link(file(conf, second, ""), file(conf, first, "")) == 0);
    m = (struct message){.pool = unit_pool()};
    CHECK(spool_peek(conf, first, &m, &error) == SPOOL_GONE);
    CHECK(look(conf, first) == SPOOL_GONE && holds(conf, second, 'b', 9000));
}

TEST(reuse_every_bit_of_a_mark_counts)
{
    struct pool *pool = unit_pool();
    struct spool_mark mark;
    struct str body = STR("body\n"), meta = STR("id 1:x\n"), id = STR("1abcde-00000000001-0001");
    char text[SPOOL_MARK + 1];
    spool_mark_text(text, id, body, body.len, meta);
    struct str good = str_dup(pool, str_n(text, SPOOL_MARK));
    CHECK(spool_mark_read(good, &mark) && str_eq(mark.id, id) && mark.body_len == 5);
    CHECK(mark.meta_len == meta.len && mark.sum == spool_mark_sum(good, body, meta));
    CHECK(mark.sum != spool_mark_sum(good, STR("bodx\n"), meta));
    CHECK(mark.sum != spool_mark_sum(good, body, STR("id 1:y\n")));
    CHECK(mark.sum != spool_mark_sum(good, STR("body"), STR("\nid 1:x\n")));
    for (int i = 0; i < 74 * 8; i++) {
        char other[SPOOL_MARK];
        memcpy(other, good.p, SPOOL_MARK);
        other[i / 8] = (char)(other[i / 8] ^ 1 << i % 8);
        struct str t = str_n(other, SPOOL_MARK);
        bool digit_case =
            i / 8 >= 58 && i % 8 == 5; /* a digit of the sum in capitals is the same */
        CHECK(digit_case || !spool_mark_read(t, &mark) ||
              mark.sum != spool_mark_sum(t, body, meta));
    }
}

TEST(reuse_other_format_is_kept)
{
    struct config *conf = fresh();
    struct str id = put(conf, 'a', 40000);
    char tail[] = "minim-1 0000000000009c40 01234567      \n";
    overwrite(file(conf, id, ""), tail, size(conf, id) - (off_t)strlen(tail));
    make_old(file(conf, id, ""));
    spool_tidy(conf);
    CHECK(there(conf, id, "") && look(conf, id) == SPOOL_DAMAGED);
}
