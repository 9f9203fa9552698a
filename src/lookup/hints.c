/*
 * The hints store: one LMDB file per database, spool_directory/db/NAME.mdb.
 *
 * Hints may be lost but must not stand in the way: writes are not synced, a database that cannot
 * be opened or that overflows is made anew, and callers go on without one. Because unsynced pages
 * may be torn by a crash of the machine, a database is read through once per boot, by a child
 * process, before it is trusted; the boot's id is noted beside it.
 *
 * Handles belong to the process that opened them. LMDB environments must not cross fork(): a
 * child notices by its process id and opens its own.
 */
#include "lookup/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <lmdb.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NAME_MAX_LEN = 240, KEY_MAX_LEN = 511, HASH_LEN = 32, READERS = 2048, RETRY_MS = 60000 };

/* Address space, not disk: the file grows as it is filled. */
#define MAP_SIZE ((size_t)1 << 30)

struct hints {
    struct hints *next;
    struct str name, path;
    MDB_env *env; /* NULL: could not be opened; not tried again before retry_ms */
    MDB_dbi dbi;
    MDB_txn *reader; /* kept, reset between reads */
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

static struct str mark_path(struct pool *pool, const struct hints *h)
{
    return STR_CAT(pool, h->path, STR(".boot"));
}

/* Reads every record and takes a write as far as the commit. Runs in a child: it may crash. */
static int try_all(MDB_env *env, MDB_dbi dbi)
{
    MDB_txn *txn;
    MDB_cursor *cur;
    MDB_val k, v;
    unsigned char sum = 0;
    if (mdb_txn_begin(env, NULL, 0, &txn) || mdb_cursor_open(txn, dbi, &cur)) {
        return 1;
    }
    int r;
    while ((r = mdb_cursor_get(cur, &k, &v, MDB_NEXT)) == 0) {
        for (size_t i = 0; i < v.mv_size; i++) {
            sum ^= ((const unsigned char *)v.mv_data)[i];
        }
    }
    k = (MDB_val){4, (void *)(uintptr_t) "\0try"};
    v = (MDB_val){1, &sum};
    r = r != MDB_NOTFOUND || mdb_put(txn, dbi, &k, &v, 0) || mdb_del(txn, dbi, &k, NULL);
    mdb_txn_abort(txn);
    return r;
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
        _exit(open_env(h, &env, &dbi) != 0 || try_all(env, dbi) != 0);
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

/* Once per boot, sees to it that an existing database is sound; a damaged one is removed. */
static void verify(const struct hints *h)
{
    struct pool *pool = pool_new("hints check");
    struct str id = boot_id(pool), seen, mark = mark_path(pool, h);
    if (file_read(pool, mark, 128, &seen) < 0 || !str_eq(seen, id)) {
        if (access(h->path.p, F_OK) == 0 && !survives(h)) {
            log_write(LOG_MAIN, "hints database %.*s was damaged and is made anew",
                      STR_ARG(h->name));
            remove_files(pool, h);
        }
        int fd = file_open(mark, O_WRONLY | O_CREAT | O_TRUNC, 0640);
        if (fd >= 0) {
            write_all(fd, id.p, id.len);
            if (geteuid() == 0 && fchown(fd, h->uid, h->gid) < 0) {
                debug("cannot give %.*s away: %s", STR_ARG(mark), strerror(errno));
            }
            close(fd);
        }
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
        (chown(h->path.p, h->uid, h->gid) < 0 || chown(lock.p, h->uid, h->gid) < 0)) {
        debug("cannot give hints %.*s away: %s", STR_ARG(h->name), strerror(errno));
    }
}

static bool is_damage(int r)
{
    return r == MDB_INVALID || r == MDB_CORRUPTED || r == MDB_VERSION_MISMATCH ||
           r == MDB_PAGE_NOTFOUND || r == MDB_PANIC;
}

static void start(struct hints *h)
{
    struct pool *pool = pool_new("hints open");
    verify(h);
    int r = open_env(h, &h->env, &h->dbi);
    if (is_damage(r)) {
        log_write(LOG_MAIN, "hints database %.*s was damaged and is made anew", STR_ARG(h->name));
        remove_files(pool, h);
        r = open_env(h, &h->env, &h->dbi);
    }
    if (r) {
        log_write(LOG_MAIN | LOG_PANIC, "failed to open hints database %.*s: %s", STR_ARG(h->path),
                  mdb_strerror(r));
        h->retry_ms = time_monotonic_ms() + RETRY_MS;
    } else {
        give_away(pool, h);
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
        debug("cannot give %.*s away: %s", STR_ARG(dir), strerror(errno));
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

struct hints *hints_open(const struct config *conf, const char *name)
{
    struct hints *h = find_open(name);
    if (!h) {
        if (!*name || strlen(name) > NAME_MAX_LEN || strchr(name, '/')) {
            return NULL;
        }
        h = add(conf, name);
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
            if (h->env) {
                mdb_txn_abort(h->reader);
                mdb_env_close(h->env);
            }
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
        debug("hints %.*s cannot be read: %s", STR_ARG(h->name), mdb_strerror(r));
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
    if (!make_key(key, space, &k) || !(txn = begin_read(h))) {
        return false;
    }
    bool found = mdb_get(txn, h->dbi, &k, &v) == 0;
    if (found) {
        *data = copy(pool, &v);
    }
    mdb_txn_reset(txn);
    return found;
}

/* Stores or (unset) deletes inside a transaction. */
static int store(struct hints *h, MDB_txn *txn, MDB_val *k, struct str data)
{
    MDB_val v = {data.len, (void *)(uintptr_t)data.p};
    int r = str_unset(data) ? mdb_del(txn, h->dbi, k, NULL) : mdb_put(txn, h->dbi, k, &v, 0);
    return r == MDB_NOTFOUND ? 0 : r;
}

static bool failed(struct hints *h, int r)
{
    MDB_txn *txn;
    debug("hints %.*s cannot be written: %s", STR_ARG(h->name), mdb_strerror(r));
    if (r == MDB_MAP_FULL && mdb_txn_begin(h->env, NULL, 0, &txn) == 0) {
        log_write(LOG_MAIN, "hints database %.*s was full and is made anew", STR_ARG(h->name));
        if (mdb_drop(txn, h->dbi, 0) == 0) {
            mdb_txn_commit(txn);
        } else {
            mdb_txn_abort(txn);
        }
    }
    return false;
}

static bool write_one(struct hints *h, struct str key, struct str data)
{
    char space[KEY_MAX_LEN + 1];
    MDB_val k;
    MDB_txn *txn;
    if (!make_key(key, space, &k)) {
        return false;
    }
    int r = mdb_txn_begin(h->env, NULL, 0, &txn);
    if (r) {
        return failed(h, r);
    }
    r = store(h, txn, &k, data);
    if (r) {
        mdb_txn_abort(txn);
    } else {
        r = mdb_txn_commit(txn);
    }
    return r ? failed(h, r) : true;
}

bool hints_put(struct hints *h, struct str key, struct str data)
{
    return write_one(h, key, str_unset(data) ? STR("") : data);
}

bool hints_del(struct hints *h, struct str key)
{
    return write_one(h, key, STR_NONE);
}

bool hints_update(struct hints *h, struct pool *pool, struct str key,
                  struct str (*f)(void *closure, struct pool *pool, struct str old), void *closure)
{
    char space[KEY_MAX_LEN + 1];
    MDB_val k, v;
    MDB_txn *txn;
    if (!make_key(key, space, &k)) {
        return false;
    }
    int r = mdb_txn_begin(h->env, NULL, 0, &txn);
    if (r) {
        return failed(h, r);
    }
    struct str old = mdb_get(txn, h->dbi, &k, &v) == 0 ? copy(pool, &v) : STR_NONE;
    struct str now = f(closure, pool, old);
    if (str_unset(old) == str_unset(now) && str_eq(old, now)) {
        mdb_txn_abort(txn);
        return true;
    }
    r = store(h, txn, &k, now);
    if (r) {
        mdb_txn_abort(txn);
    } else {
        r = mdb_txn_commit(txn);
    }
    return r ? failed(h, r) : true;
}

void hints_each(struct hints *h, struct pool *pool,
                bool (*f)(void *closure, struct str key, struct str data), void *closure)
{
    MDB_txn *txn;
    MDB_cursor *cur;
    MDB_val k, v;
    bool more = true;
    /* A transaction of its own: f may read and write the same database. */
    if (mdb_txn_begin(h->env, NULL, MDB_RDONLY, &txn)) {
        return;
    }
    if (mdb_cursor_open(txn, h->dbi, &cur) == 0) {
        while (more && mdb_cursor_get(cur, &k, &v, MDB_NEXT) == 0) {
            more = f(closure, copy(pool, &k), copy(pool, &v));
        }
        mdb_cursor_close(cur);
    }
    mdb_txn_abort(txn);
}
