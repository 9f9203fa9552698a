/*
 * Where the spool keeps things: input/NN/ID and input/NN/ID-J, msglog/ID, and input/NN/ID-F, which
 * is a file to be used again and had its last name as the message ID. The folder NN follows
 * from the process number in the id, so processes create and remove files in folders of their own,
 * and an id is found without a search. A message log that cannot be written is logged and costs
 * nothing else.
 */
#include "mail/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct str spool_path(const struct config *conf, struct pool *pool, struct str name)
{
    return STR_CAT(pool, core_settings(conf)->spool_directory, STR("/"), name);
}

unsigned spool_folder(struct str id)
{
    uint64_t pid = 0;
    ptrdiff_t dash = str_rchr(id, '-');
    base62_get(dash > 7 ? str_sub(id, 7, (size_t)dash - 7) : STR("0"), &pid);
    return (unsigned)(pid % SPOOL_DIRS);
}

struct str spool_dir(const struct config *conf, struct pool *pool, struct str id)
{
    struct str name = str_fmt(pool, "input/%02u", spool_folder(id));
    name.tainted = false;
    return spool_path(conf, pool, name);
}

struct str spool_name(struct pool *pool, struct str dir, struct str id, const char *suffix)
{
    return STR_CAT(pool, dir, STR("/"), id, str_c(suffix));
}

bool spool_exists(const struct config *conf, struct str id)
{
    struct pool *pool = pool_new("spool look");
    bool there = access(spool_name(pool, spool_dir(conf, pool, id), id, "").p, F_OK) == 0;
    pool_free(&pool);
    return there;
}

struct str spool_msglog_path(const struct config *conf, struct pool *pool, struct str id, bool old)
{
    return spool_path(conf, pool, STR_CAT(pool, str_c(old ? "msglog.OLD/" : "msglog/"), id));
}

static int by_id(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Calls f for each file of the spool that has a message id for its name, and the suffix. */
static void each_file(const struct config *conf, struct pool *pool, const char *suffix,
                      void (*f)(void *closure, struct str dir, struct str name), void *closure)
{
    for (unsigned i = 0; i < SPOOL_DIRS; i++) {
        struct str name = str_fmt(pool, "input/%02u", i);
        name.tainted = false;
        struct str dir = spool_path(conf, pool, name);
        DIR *d = opendir(dir.p);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            struct str id = str_c(e->d_name);
            if (str_ends(id, str_c(suffix)) &&
                message_id_valid(id = str_sub(id, 0, id.len - strlen(suffix)))) {
                f(closure, dir, str_dup(pool, id));
            }
        }
        if (d) {
            closedir(d);
        }
    }
}

static void add_id(void *closure, struct str dir, struct str name)
{
    (void)dir;
    strvec_push(closure, name);
}

void spool_list(const struct config *conf, struct pool *pool, struct strvec *ids)
{
    if (!ids->pool) {
        ids->pool = pool;
    }
    each_file(conf, pool, "", add_id, ids);
    if (ids->n) {
        qsort(ids->v, ids->n, sizeof *ids->v, by_id);
    }
}

struct count {
    struct pool *pool;
    size_t n;
};

static void count_file(void *closure, struct str dir, struct str name)
{
    struct count *c = closure;
    struct stat st;
    int fd = file_open(spool_name(c->pool, dir, name, ""), O_RDONLY, 0);
    if (fd >= 0) {
        c->n += fstat(fd, &st) == 0 && spool_arrival(fd, &st, name) == ARRIVED;
        close(fd);
    }
}

size_t spool_count(const struct config *conf)
{
    struct count c = {.pool = pool_new("spool count")};
    each_file(conf, c.pool, "", count_file, &c);
    pool_free(&c.pool);
    return c.n;
}

bool spool_is_old(time_t t)
{
    return t < time(NULL) - SPOOL_STALE_SECONDS;
}

/* A message in the format before this one: damaged to us, but not left over. */
static bool is_other_format(int fd, const struct stat *st)
{
    char text[8];
    return st->st_size >= 40 && pread(fd, text, sizeof text, st->st_size - 40) == sizeof text &&
           memcmp(text, "minim-1 ", sizeof text) == 0;
}

enum spool_arrival spool_arrival(int fd, const struct stat *st, struct str id)
{
    char text[SPOOL_MARK];
    struct spool_mark mark;
    off_t at = st->st_size <= SPOOL_SLOT ? 0 : st->st_size - SPOOL_MARK;
    if (pread(fd, text, SPOOL_MARK, at) == SPOOL_MARK &&
        spool_mark_read(str_n(text, SPOOL_MARK), &mark) && str_eq(mark.id, id)) {
        return ARRIVED;
    }
    return is_other_format(fd, st) ? ARRIVED : spool_is_old(st->st_mtime) ? LEFT_OVER : ARRIVING;
}

/*
 * A file that is used again gets its new name by a rename that is not synced. If the power fails it
 * may have an old name and hold a message that was promised; the mark tells which. While the machine
 * runs nobody sees that: a file is made to hold nothing before its name changes.
 */
static bool give_name_back(const struct config *conf, struct pool *pool, int fd, struct str path,
                           struct str id)
{
    struct spool_mark mark;
    struct str meta;
    char *room = pool_alloc(pool, SPOOL_SLOT);
    if (spool_slot_read(fd, room, &mark, &meta) != SLOT_GOOD || str_eq(mark.id, id)) {
        return false;
    }
    mark.id.tainted = false;
    struct str name = spool_name(pool, spool_dir(conf, pool, mark.id), mark.id, "");
    if (renameat2(AT_FDCWD, path.p, AT_FDCWD, name.p, RENAME_NOREPLACE) < 0 && errno != ENOENT) {
        log_write(LOG_MAIN | LOG_PANIC, "cannot rename %.*s to %.*s: %s", STR_ARG(path),
                  STR_ARG(name), strerror(errno));
    }
    return true;
}

void spool_settle(const struct config *conf, int fd, struct str id, const char *suffix)
{
    struct pool *pool = pool_new("spool settle");
    struct str path = spool_name(pool, spool_dir(conf, pool, id), id, suffix);
    struct stat st;
    bool known = fstat(fd, &st) == 0;
    bool again = known && st.st_size <= SPOOL_SLOT && give_name_back(conf, pool, fd, path, id);
    if (known && !again && (*suffix || spool_arrival(fd, &st, id) == LEFT_OVER)) {
        unlink(path.p);
    }
    pool_free(&pool);
}

struct tidy {
    const struct config *conf;
    struct pool *pool;
    bool start; /* of a daemon: nobody knows of the free files */
};

/* Settles a file if it is not the message of its name, or if it has been free for long. */
static void tidy_file(const struct tidy *t, struct str dir, struct str id, const char *suffix)
{
    struct stat st;
    int fd = file_open(spool_name(t->pool, dir, id, suffix), O_RDWR, 0);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &st) == 0) {
        bool doubtful = !*suffix ? spool_arrival(fd, &st, id) != ARRIVED
                                 : t->start || spool_is_old(st.st_ctime);
        if (doubtful && flock(fd, LOCK_EX | LOCK_NB) == 0) {
            spool_settle(t->conf, fd, id, suffix);
        }
    }
    close(fd);
}

static void tidy_message(void *closure, struct str dir, struct str id)
{
    tidy_file(closure, dir, id, "");
}

static void tidy_free(void *closure, struct str dir, struct str id)
{
    tidy_file(closure, dir, id, "-F");
}

static void tidy(const struct config *conf, bool start)
{
    struct tidy t = {.conf = conf, .pool = pool_new("spool tidy"), .start = start};
    each_file(conf, t.pool, "", tidy_message, &t);
    each_file(conf, t.pool, "-F", tidy_free, &t);
    pool_free(&t.pool);
}

void spool_tidy(const struct config *conf)
{
    tidy(conf, false);
}

void spool_start(const struct config *conf)
{
    spool_free_share();
    tidy(conf, true);
}

/* True if the directory's file system has so much room, else logged; a limit of 0 is none. */
static bool has_room(const char *what, const char *dir, int64_t bytes, int inodes,
                     struct str *error)
{
    struct statvfs fs;
    if (bytes <= 0 && inodes <= 0) {
        return true;
    }
    if (statvfs(dir, &fs) < 0) {
        if (errno == ENOENT) {
            return true;
        }
        log_write(LOG_MAIN | LOG_PANIC, "cannot accept message: failed to stat %s directory %s: %s",
                  what, dir, strerror(errno));
        *error = STR("directory");
        return false;
    }
    int64_t space = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize, nodes = (int64_t)fs.f_favail;
    if ((bytes <= 0 || space >= bytes) && (inodes <= 0 || fs.f_files == 0 || nodes >= inodes)) {
        return true;
    }
    log_write(LOG_MAIN, "%s directory space check failed: space=%lld inodes=%lld", what,
              (long long)space / 1024, (long long)nodes);
    *error = STR("space");
    return false;
}

bool spool_check_space(const struct config *conf, int64_t message_size, struct str *error)
{
    const struct mail_settings *s = mail_settings(conf);
    int64_t spool = s->check_spool_space > 0 ? s->check_spool_space + message_size : 0;
    struct pool *pool = pool_new("log directory");
    struct str logs = log_directory(conf, pool);
    bool ok = has_room("spool", core_settings(conf)->spool_directory.p, spool,
                       s->check_spool_inodes, error) &&
              (str_unset(logs) || has_room("log", str_cstr(pool, logs), s->check_log_space,
                                           s->check_log_inodes, error));
    *error = ok ? STR_NONE : *error;
    pool_free(&pool);
    return ok;
}

void spool_msglog(struct message *m, const char *fmt, ...)
{
    if (!m->spool && m->no_msglog) {
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    struct str text = str_vfmt(m->pool, fmt, ap);
    va_end(ap);
    struct str line = STR_CAT(m->pool, time_log(m->pool, time_now(), false, false, false), STR(" "),
                              text, STR("\n"));
    if (m->spool) {
        if (core_settings(m->spool->conf)->message_logs) {
            buf_adds(&m->spool->msglog, line);
        }
    } else {
        m->pending_msglog =
            str_unset(m->pending_msglog) ? line : STR_CAT(m->pool, m->pending_msglog, line);
    }
}

struct str spool_msglog_take(struct message *m)
{
    if (!m->spool) {
        return STR_NONE;
    }
    struct str lines = str_dup(m->pool, buf_str(&m->spool->msglog));
    buf_cut(&m->spool->msglog, 0);
    return lines;
}

void spool_msglog_put(struct message *m, struct str lines)
{
    if (m->spool) {
        buf_adds(&m->spool->msglog, lines);
    }
}

void spool_msglog_flush(struct message *m)
{
    struct spool_file *f = m->spool;
    struct str path = spool_msglog_path(f->conf, m->pool, f->id, false);
    bool kept = core_settings(f->conf)->preserve_message_logs && !str_unset(m->pending_msglog);
    if (f->msglog.len == 0 && !kept) {
        return;
    }
    int fd = file_open(path, O_WRONLY | O_APPEND | O_CREAT, 0640);
    if (fd < 0 && errno == ENOENT &&
        mkdir_parents(spool_path(f->conf, m->pool, STR("msglog")), 0750) == 0) {
        fd = file_open(path, O_WRONLY | O_APPEND | O_CREAT, 0640);
    }
    struct stat st;
    bool fresh = fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0;
    struct str lines = buf_str(&f->msglog);
    if (fresh && !str_unset(m->pending_msglog)) {
        lines = STR_CAT(m->pool, m->pending_msglog, lines);
    }
    if (fd < 0 || write_all(fd, lines.p, lines.len) < 0) {
        log_msg(LOG_MAIN | LOG_PANIC, m, "Couldn't write message log %.*s: %s", STR_ARG(path),
                strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    m->msglog_on_disk = true;
    buf_cut(&f->msglog, 0);
}

struct str spool_msglog_read(const struct config *conf, struct pool *pool, struct str id)
{
    struct str text;
    if (file_read(pool, spool_msglog_path(conf, pool, id, false), SPOOL_META_MAX, &text) == 0) {
        return text;
    }
    struct message m = {.pool = pool};
    struct str error;
    /* what would be its first lines, where logs are kept */
    if (!core_settings(conf)->message_logs || spool_peek(conf, id, &m, &error) != SPOOL_OK) {
        return STR_NONE;
    }
    text = m.pending_msglog;
    spool_close(&m);
    return text;
}

void spool_discard(const struct config *conf, struct str id)
{
    struct pool *pool = pool_new("spool discard");
    if (message_id_valid(id)) {
        id.tainted = false;
        struct str dir = spool_dir(conf, pool, id);
        unlink(spool_name(pool, dir, id, "").p);
        unlink(spool_name(pool, dir, id, "-J").p);
        unlink(spool_msglog_path(conf, pool, id, false).p);
    }
    pool_free(&pool);
}
