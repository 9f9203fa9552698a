/*
 * The hints store: one LMDB file per database, spool_directory/db/NAME.mdb.
 *
 * Hints may be lost but must not stand in the way: writes are not synced, a database that cannot
 * be opened or that overflows is made anew, and callers go on without one. Because unsynced pages
 * may be torn by a crash of the machine, a database is read through once per boot, by a child
 * process, before it is trusted; the boot's id is noted beside it, in a file that is locked by
 * whoever opens the database. So one process alone makes it anew, and a database and its lock file
 * always belong together. Those that had the old one open see that its file has gone, and open the
 * new one. A database that turns out to be damaged later loses the note, and is read through again.
 *
 * Handles belong to the process that opened them. LMDB environments must not cross fork(): a
 * child notices by its process id and opens its own.
 */
#include "lookup/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    NAME_MAX_LEN = 240,
    KEY_MAX_LEN = 511,
    HASH_LEN = 32,
    READERS = 2048,
    RETRY_MS = 60000,
    CHECK_MAX_S = 120
};

/* Address space, not disk: the file grows as it is filled. */
#define MAP_SIZE ((size_t)1 << 30)

struct hints {
    struct hints *next;
    struct str name, path;
    MDB_env *env; /* NULL: could not be opened; not tried again before retry_ms */
    MDB_dbi dbi;
    MDB_txn *reader; /* kept, reset between reads */
    MDB_txn *writer; /* NULL: none is under way */
    int depth;       /* of writes within writes, which are one transaction */
    int failure;     /* the first one in it */
    int walkers;     /* hints_each under way */
    bool doubted;    /* to be opened anew, and read through */
    int64_t retry_ms;
    uid_t uid;
    gid_t gid;
};

static struct {
    struct pool *pool;
    struct hints *first;
    pid_t pid;
    struct pool *inherited; /* the parent's, for as long as we live */
} open_hints;

/* ---- damage ---- */

/* The id of this boot of the machine; empty if the system does not tell. */
static struct str boot_id(struct pool *pool)
{
    struct str id;
    return file_read(pool, STR("/proc/sys/kernel/random/boot_id"), 128, &id) == 0 ? str_trim(id)
                                                                                  : STR("");
}

static const char mark_suffix[] = ".boot";

/*
 * Opens and locks the file that holds the id of the boot in which the database was found sound. -1:
 * it cannot be had. Whoever owns the folder may put something else there: it is not followed.
 */
static int lock_mark(struct pool *pool, const struct hints *h)
{
    struct str path = STR_CAT(pool, h->path, str_c(mark_suffix));
    int fd = file_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0640);
    if (fd >= 0 && geteuid() == 0 && fchown(fd, h->uid, h->gid) < 0) {
        TRACE(TR_hints_lookup, "cannot give %.*s away: %s", STR_ARG(path), strerror(errno));
    }
    if (fd >= 0 && file_lock(fd, true) < 0) {
        TRACE(TR_hints_lookup, "cannot lock %.*s: %s", STR_ARG(path), strerror(errno));
    }
    return fd;
}

static bool is_marked(int fd, struct str id)
{
    char text[128];
    ssize_t n = pread(fd, text, sizeof text, 0);
    return n >= 0 && str_eq(str_n(text, (size_t)n), id);
}

static void set_mark(int fd, struct str id)
{
    if (ftruncate(fd, 0) < 0 || pwrite(fd, id.p ? id.p : "", id.len, 0) != (ssize_t)id.len) {
        TRACE(TR_hints_lookup, "hints: cannot note the boot: %s", strerror(errno));
    }
}

static bool is_damage(int r)
{
    return r == MDB_INVALID || r == MDB_CORRUPTED || r == MDB_VERSION_MISMATCH ||
           r == MDB_PAGE_NOTFOUND || r == MDB_PANIC;
}

/*
 * Looks at all pages, and takes a write as far as the commit. Runs in a child: it may crash. True if
 * the database is damaged; that there is no room or no permission is not damage.
 */
static bool try_all(MDB_env *env, MDB_dbi dbi)
{
    MDB_txn *txn;
    MDB_val k = {4, (void *)(uintptr_t) "\0try"}, v = {1, (void *)(uintptr_t) "x"};
    int fd, r = mdb_txn_begin(env, NULL, 0, &txn);
    if (r) {
        return is_damage(r);
    }
    bool sound = mdb_env_get_fd(env, &fd) == 0 && hints_file_sound(fd);
    r = sound ? mdb_put(txn, dbi, &k, &v, 0) : 0;
    r = r || !sound ? r : mdb_del(txn, dbi, &k, NULL);
    mdb_txn_abort(txn);
    return !sound || (r != 0 && r != MDB_MAP_FULL && r != ENOMEM);
}

static int open_env(const struct hints *h, MDB_env **env, MDB_dbi *dbi);

/* Opens and reads the database in a child process; true if that went well. */
static bool survives(const struct hints *h)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        MDB_env *env;
        MDB_dbi dbi;
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(null, STDERR_FILENO);
        signal(SIGALRM, SIG_DFL);
        alarm(CHECK_MAX_S); /* pages that lead round and round */
        int r = open_env(h, &env, &dbi);
        _exit(r ? is_damage(r) : try_all(env, dbi));
    }
    if (pid < 0) {
        return true;
    }
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return true;
        }
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void remove_files(struct pool *pool, const struct hints *h)
{
    unlink(h->path.p);
    unlink(STR_CAT(pool, h->path, STR("-lock")).p);
}

static void remove_damaged(struct pool *pool, const struct hints *h)
{
    log_write(LOG_MAIN, "hints database %.*s was damaged and is made anew", STR_ARG(h->name));
    remove_files(pool, h);
}

/*
 * True if the file is shorter than its own header says. A header may count pages that the last
 * transaction took and gave back, so this is a suspicion and no more.
 */
static bool is_short(const struct hints *h)
{
    MDB_envinfo info;
    MDB_stat page;
    struct stat st;
    return stat(h->path.p, &st) == 0 && mdb_env_info(h->env, &info) == 0 &&
           mdb_env_stat(h->env, &page) == 0 &&
           (uint64_t)st.st_size < ((uint64_t)info.me_last_pgno + 1) * page.ms_psize;
}

void hints_doubt(const struct config *conf)
{
    struct pool *pool = pool_new("hints doubt");
    struct str path = STR_CAT(pool, core_settings(conf)->spool_directory, STR("/db"));
    DIR *dir = opendir(str_cstr(pool, path));
    struct dirent *e;
    while (dir && (e = readdir(dir))) {
        if (!str_ends(str_c(e->d_name), str_c(mark_suffix))) {
            continue;
        }
        int fd = openat(dirfd(dir), e->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1) {
            set_mark(fd, STR(""));
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    if (dir) {
        closedir(dir);
    }
    pool_free(&pool);
}

/* ---- opening ---- */

static int open_env(const struct hints *h, MDB_env **env, MDB_dbi *dbi)
{
    MDB_txn *txn;
    int r = mdb_env_create(env);
    if (r) {
        return r;
    }
    mdb_env_set_mapsize(*env, MAP_SIZE);
    mdb_env_set_maxreaders(*env, READERS);
    /* what resumes a TLS session is a secret */
    mode_t mode = str_is(h->name, "tls") ? 0600 : 0640;
    r = mdb_env_open(*env, h->path.p, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS, mode);
    if (r == 0) {
        int dead;
        mdb_reader_check(*env, &dead);
        r = mdb_txn_begin(*env, NULL, MDB_RDONLY, &txn);
    }
    if (r == 0) {
        r = mdb_dbi_open(txn, NULL, 0, dbi);
        mdb_txn_abort(txn);
    }
    if (r) {
        mdb_env_close(*env);
        *env = NULL;
    }
    return r;
}

/* Files made by root belong to whom minim works as. */
static void give_away(struct pool *pool, const struct hints *h)
{
    const struct str lock = STR_CAT(pool, h->path, STR("-lock"));
    if (geteuid() == 0 &&
        (lchown(h->path.p, h->uid, h->gid) < 0 || lchown(lock.p, h->uid, h->gid) < 0)) {
        TRACE(TR_hints_lookup, "cannot give hints %.*s away: %s", STR_ARG(h->name),
              strerror(errno));
    }
}

static void close_env(struct hints *h)
{
    if (h->env) {
        mdb_txn_abort(h->reader);
        mdb_env_close(h->env);
    }
    h->env = NULL;
    h->reader = NULL;
    h->doubted = false;
}

/* Opens the database, which is read through first where it is not known to be sound. */
static int open_sound(struct pool *pool, struct hints *h, bool known)
{
    int r;
    if (access(h->path.p, F_OK) < 0) {
        remove_files(pool, h); /* the lock file of one that somebody took away */
    } else if (!known && !survives(h)) {
        remove_damaged(pool, h);
    }
    r = open_env(h, &h->env, &h->dbi);
    if (r == 0 && known && is_short(h)) {
        close_env(h);
        if (!survives(h)) {
            remove_damaged(pool, h);
        }
        r = open_env(h, &h->env, &h->dbi);
    }
    if (is_damage(r)) {
        remove_damaged(pool, h);
        r = open_env(h, &h->env, &h->dbi);
    }
    return r;
}

static void start(struct hints *h)
{
    struct pool *pool = pool_new("hints open");
    struct str id = boot_id(pool);
    int mark = lock_mark(pool, h);
    bool known = mark >= 0 && is_marked(mark, id);
    int r = open_sound(pool, h, known);
    if (r) {
        log_write(LOG_MAIN | LOG_PANIC, "failed to open hints database %.*s: %s", STR_ARG(h->path),
                  mdb_strerror(r));
        h->retry_ms = time_monotonic_ms() + RETRY_MS;
    } else {
        give_away(pool, h);
    }
    if (mark >= 0) {
        if (!known) {
            set_mark(mark, id);
        }
        close(mark);
    }
    pool_free(&pool);
}

static struct hints *add(const struct config *conf, const char *name)
{
    struct pool *pool = open_hints.pool;
    struct str dir = STR_CAT(pool, core_settings(conf)->spool_directory, STR("/db"));
    struct hints *h = POOL_NEW(pool, struct hints);
    *h = (struct hints){.next = open_hints.first,
                        .name = str_dup(pool, str_c(name)),
                        .path = STR_CAT(pool, dir, STR("/"), str_c(name), STR(".mdb")),
                        .uid = priv_work_uid(conf),
                        .gid = priv_work_gid(conf)};
    if (access(dir.p, F_OK) < 0 && mkdir_parents(dir, 0750) == 0 && geteuid() == 0 &&
        chown(dir.p, h->uid, h->gid) < 0) {
        TRACE(TR_hints_lookup, "cannot give %.*s away: %s", STR_ARG(dir), strerror(errno));
    }
    open_hints.first = h;
    return h;
}

/* A child starts with none: what it inherited belongs to its parent and is left untouched. */
static void after_fork(void)
{
    if (open_hints.pid != getpid()) {
        hints_close_all();
        open_hints.pool = pool_new("hints");
        open_hints.pid = getpid();
    }
}

static struct hints *find_open(const char *name)
{
    after_fork();
    struct hints *h = open_hints.first;
    while (h && !str_is(h->name, name)) {
        h = h->next;
    }
    return h;
}

bool hints_present(const struct config *conf, const char *name)
{
    struct hints *h = find_open(name);
    if (h && h->env) {
        return true;
    }
    char path[PATH_MAX];
    int n = snprintf(path, sizeof path, "%.*s/db/%s.mdb",
                     STR_ARG(core_settings(conf)->spool_directory), name);
    return n > 0 && n < PATH_MAX && access(path, F_OK) == 0;
}

/* True if the file has been removed or replaced by another. */
static bool is_gone(const struct hints *h)
{
    struct stat st;
    int fd;
    return mdb_env_get_fd(h->env, &fd) || fstat(fd, &st) < 0 || st.st_nlink == 0;
}

/* Something is wrong with it: whoever opens it next reads it through. */
static void doubt(struct hints *h)
{
    struct pool *pool = pool_new("hints doubt");
    int mark = lock_mark(pool, h);
    if (mark >= 0) {
        set_mark(mark, STR(""));
        close(mark);
    }
    h->doubted = true;
    pool_free(&pool);
}

struct hints *hints_open(const struct config *conf, const char *name)
{
    struct hints *h = find_open(name);
    if (!h) {
        if (!*name || strlen(name) > NAME_MAX_LEN || strchr(name, '/')) {
            return NULL;
        }
        h = add(conf, name);
    }
    if (h->env && !h->depth && !h->walkers && (h->doubted || is_gone(h))) {
        close_env(h);
    }
    if (!h->env && time_monotonic_ms() >= h->retry_ms) {
        start(h);
    }
    return h->env ? h : NULL;
}

void hints_close_all(void)
{
    if (open_hints.pid == getpid()) {
        for (struct hints *h = open_hints.first; h; h = h->next) {
            close_env(h);
        }
        pool_free(&open_hints.pool);
    } else if (open_hints.pool) {
        open_hints.inherited = open_hints.pool;
    }
    open_hints.pool = NULL;
    open_hints.first = NULL;
    open_hints.pid = 0;
}

/* ---- records ---- */

/* LMDB's keys are short: the end of a long one gives way to a hash of the whole. */
static bool make_key(struct str key, char space[KEY_MAX_LEN + 1], MDB_val *out)
{
    if (key.len == 0) {
        return false;
    }
    if (key.len <= KEY_MAX_LEN) {
        *out = (MDB_val){key.len, (void *)(uintptr_t)key.p};
        return true;
    }
    uint64_t a = UINT64_C(14695981039346656037), b = UINT64_C(0x9e3779b97f4a7c15);
    for (uint32_t i = 0; i < key.len; i++) {
        a = (a ^ (unsigned char)key.p[i]) * UINT64_C(1099511628211);
        b = (b + (unsigned char)key.p[i]) * UINT64_C(6364136223846793005) + 1;
    }
    memcpy(space, key.p, KEY_MAX_LEN - HASH_LEN);
    snprintf(space + KEY_MAX_LEN - HASH_LEN, HASH_LEN + 1, "%016llx%016llx", (unsigned long long)a,
             (unsigned long long)b);
    *out = (MDB_val){KEY_MAX_LEN, space};
    return true;
}

static struct str copy(struct pool *pool, const MDB_val *v)
{
    return str_taint(str_dup(pool, str_n(v->mv_size ? v->mv_data : "", v->mv_size)));
}

/* The kept read transaction, made current. */
static MDB_txn *begin_read(struct hints *h)
{
    int r =
        h->reader ? mdb_txn_renew(h->reader) : mdb_txn_begin(h->env, NULL, MDB_RDONLY, &h->reader);
    if (r) {
        TRACE(TR_hints_lookup, "hints %.*s cannot be read: %s", STR_ARG(h->name), mdb_strerror(r));
        mdb_txn_abort(h->reader);
        h->reader = NULL;
    }
    return h->reader;
}

bool hints_get(struct hints *h, struct pool *pool, struct str key, struct str *data)
{
    char space[KEY_MAX_LEN + 1];
    MDB_val k, v;
    MDB_txn *txn;
    if (!make_key(key, space, &k) || !(txn = h->writer ? h->writer : begin_read(h))) {
        return false;
    }
    int r = mdb_get(txn, h->dbi, &k, &v);
    if (r == 0) {
        *data = copy(pool, &v);
    }
    if (!h->writer) {
        mdb_txn_reset(txn);
    }
    if (is_damage(r) && h->writer) {
        h->failure = h->failure ? h->failure : r;
    } else if (is_damage(r)) {
        doubt(h);
    }
    return r == 0;
}

/* After the end of a write: whoever opens the database may wait for one with the mark locked. */
static void failed(struct hints *h, int r)
{
    MDB_txn *txn;
    TRACE(TR_hints_lookup, "hints %.*s cannot be written: %s", STR_ARG(h->name), mdb_strerror(r));
    if (is_damage(r)) {
        doubt(h);
    }
    if (r == MDB_MAP_FULL && mdb_txn_begin(h->env, NULL, 0, &txn) == 0) {
        log_write(LOG_MAIN, "hints database %.*s was full and is made anew", STR_ARG(h->name));
        if (mdb_drop(txn, h->dbi, 0) == 0) {
            mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
}

/* Begins a write, or a part of the one that is under way. */
static bool begin_write(struct hints *h)
{
    int r = h->depth ? 0 : mdb_txn_begin(h->env, NULL, 0, &h->writer);
    if (r) {
        failed(h, r);
        return false;
    }
    h->failure = h->depth++ ? h->failure : 0;
    return true;
}

/* Ends it: with keep, and if nothing in it failed, what was written counts. */
static bool end_write(struct hints *h, bool keep)
{
    if (--h->depth) {
        return h->failure == 0;
    }
    int r = h->failure;
    if (keep && r == 0) {
        r = mdb_txn_commit(h->writer);
    } else {
        mdb_txn_abort(h->writer);
    }
    h->writer = NULL;
    if (r) {
        failed(h, r);
    }
    return r == 0;
}

/* Stores or (unset) deletes within a write. */
static void store(struct hints *h, MDB_val *k, struct str data)
{
    MDB_val v = {data.len, (void *)(uintptr_t)data.p};
    int r = str_unset(data) ? mdb_del(h->writer, h->dbi, k, NULL)
                            : mdb_put(h->writer, h->dbi, k, &v, 0);
    if (r && r != MDB_NOTFOUND && h->failure == 0) {
        h->failure = r;
    }
}

static bool write_one(struct hints *h, struct str key, struct str data)
{
    char space[KEY_MAX_LEN + 1];
    MDB_val k;
    if (!make_key(key, space, &k) || !begin_write(h)) {
        return false;
    }
    store(h, &k, data);
    return end_write(h, true);
}

bool hints_put(struct hints *h, struct str key, struct str data)
{
    return write_one(h, key, str_unset(data) ? STR("") : data);
}

bool hints_del(struct hints *h, struct str key)
{
    return write_one(h, key, STR_NONE);
}

bool hints_together(struct hints *h, bool (*f)(void *closure, struct hints *h), void *closure)
{
    if (!begin_write(h)) {
        return false;
    }
    bool keep = f(closure, h);
    return end_write(h, keep) && keep;
}

bool hints_update(struct hints *h, struct pool *pool, struct str key,
                  struct str (*f)(void *closure, struct pool *pool, struct str old), void *closure)
{
    char space[KEY_MAX_LEN + 1];
    MDB_val k, v;
    if (!make_key(key, space, &k) || !begin_write(h)) {
        return false;
    }
    int r = mdb_get(h->writer, h->dbi, &k, &v);
    if (r && r != MDB_NOTFOUND && h->failure == 0) {
        h->failure = r;
    }
    struct str old = r == 0 ? copy(pool, &v) : STR_NONE;
    struct str now = f(closure, pool, old);
    bool changed = str_unset(old) != str_unset(now) || !str_eq(old, now);
    if (changed) {
        store(h, &k, now);
    }
    return end_write(h, changed);
}

void hints_each(struct hints *h, struct pool *pool,
                bool (*f)(void *closure, struct str key, struct str data), void *closure)
{
    MDB_txn *txn;
    MDB_cursor *cur;
    MDB_val k, v;
    bool more = true;
    /* A transaction of its own: f may read and write the same database. */
    int r = mdb_txn_begin(h->env, NULL, MDB_RDONLY, &txn);
    if (r) {
        return;
    }
    h->walkers++;
    r = mdb_cursor_open(txn, h->dbi, &cur);
    if (r == 0) {
        while (more && (r = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
            more = f(closure, copy(pool, &k), copy(pool, &v));
        }
        mdb_cursor_close(cur);
    }
    mdb_txn_abort(txn);
    h->walkers--;
    if (is_damage(r) && !h->depth) {
        doubt(h);
    }
}
