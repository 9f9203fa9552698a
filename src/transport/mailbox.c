/*
 * Appending to a mailbox file: lock file, checks of what is there, locks on the open file, quota,
 * the message, and the file as it was if writing fails.
 *
 * Runs with the recipient's rights, in the worker or in the hand. Whatever cannot be done now is a
 * deferral with Exim's words.
 */
#include "transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIST_TRIES = 10, OUT_SIZE = 65536 };

struct mailbox_file {
    const struct plan *p;
    struct plan_result *r;
    struct pool *pool;
    const char *path;
    const char *lock; /* lock file we hold; NULL: none */
    int fd;
    bool created;
    struct stat st;
};

static void nap(int seconds)
{
    poll(NULL, 0, seconds * 1000);
}

/* ---- output ---- */

struct out {
    int fd;
    size_t n;
    char p[OUT_SIZE];
};

static bool out_flush(struct out *o)
{
    size_t n = o->n;
    o->n = 0;
    return n == 0 || write_all(o->fd, o->p, n) == 0;
}

static bool out_put(void *closure, const char *p, size_t n)
{
    struct out *o = closure;
    if (n > OUT_SIZE - o->n && !out_flush(o)) {
        return false;
    }
    if (n >= OUT_SIZE) {
        return write_all(o->fd, p, n) == 0;
    }
    memcpy(o->p + o->n, p, n);
    o->n += n;
    return true;
}

void result_write_failed(struct plan_result *r, int e, struct str path)
{
    if (e == EDQUOT) {
        result_set(r, ADDR_DEFER, e, "mailbox is full");
    } else {
        result_set(r, ADDR_DEFER, e, "error while writing to %.*s", STR_ARG(path));
    }
}

bool plan_write_file(const struct plan *p, int fd, struct str path, struct plan_result *r)
{
    struct out *o = pool_alloc(r->pool, sizeof *o);
    struct line_filter f = {.put = out_put, .closure = o};
    o->fd = fd;
    o->n = 0;
    if (!plan_write_message(p, &f) || !out_flush(o) || (fsync(fd) < 0 && errno != EINVAL)) {
        result_write_failed(r, errno, path);
        return false;
    }
    r->f.written = f.written;
    return true;
}

/* ---- directories ---- */

/* Whether directories may be made there: create_file has named the place. */
static bool may_create(const struct plan *p, struct str path)
{
    struct str under = p->text[PT_CREATE_UNDER];
    return !p->f.forbid_create &&
           (str_unset(under) ||
            (path.len > under.len && str_eq(str_sub(path, 0, under.len), under)));
}

int plan_make_directories(struct pool *pool, const struct plan *p, struct str path, bool whole)
{
    struct stat st;
    ptrdiff_t slash = whole ? (ptrdiff_t)path.len : str_rchr(path, '/');
    struct str dir = str_sub(path, 0, slash > 0 ? (size_t)slash : 1);
    if (stat(str_cstr(pool, dir), &st) == 0) {
        return 0;
    }
    if (errno != ENOENT) {
        return -1;
    }
    if (!p->f.create_directory) {
        return 0; /* opening the file will say what is missing */
    }
    if (!may_create(p, STR_CAT(pool, dir, STR("/")))) {
        errno = ENOENT;
        return -1;
    }
    return mkdir_parents(dir, (mode_t)p->f.directory_mode);
}

/* ---- the lock file ---- */

/* A name of our own to hitch the lock to. */
static const char *hitching_post(struct mailbox_file *b)
{
    return str_fmt(b->pool, "%s.%.*s.%08x.%08x", b->lock, STR_ARG(b->p->text[PT_HOST]),
                   (unsigned)time(NULL), (unsigned)getpid())
        .p;
}

/* One attempt: 1 locked, 0 somebody else has it, -1 with errno. */
static int hitch(struct mailbox_file *b)
{
    struct stat st;
    const char *post = hitching_post(b);
    int fd = open(post, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (mode_t)b->p->f.lockfile_mode);
    if (fd < 0) {
        return -1;
    }
    /* NFS may lose the answer to link(2): the count of links tells */
    bool linked = link(post, b->lock) == 0;
    if (!linked) {
        linked = fstat(fd, &st) == 0 && st.st_nlink == 2;
    }
    close(fd);
    unlink(post);
    return linked;
}

/* Removes a lock file that must have been forgotten. */
static void break_old_lock(const struct mailbox_file *b)
{
    struct stat st;
    int timeout = b->p->f.lockfile_timeout;
    if (timeout > 0 && stat(b->lock, &st) == 0 && time(NULL) - st.st_ctime > timeout) {
        unlink(b->lock);
    }
}

static bool take_lock_file(struct mailbox_file *b)
{
    struct str path = b->p->text[PT_PATH];
    b->lock = STR_CAT(b->pool, path, STR(".lock")).p;
    for (int i = 0; i < b->p->f.lock_retries; i++) {
        int got = hitch(b);
        if (got > 0) {
            return true;
        }
        if (got < 0) {
            int e = errno;
            const char *what = b->lock;
            b->lock = NULL;
            result_set(b->r, ADDR_DEFER, e,
                       "creating lock file hitching post %s.%.*s.%08x.%08x "
                       "(euid=%u egid=%u)",
                       what, STR_ARG(b->p->text[PT_HOST]), (unsigned)time(NULL), (unsigned)getpid(),
                       (unsigned)geteuid(), (unsigned)getegid());
            return false;
        }
        break_old_lock(b);
        if (i + 1 < b->p->f.lock_retries) {
            nap(b->p->f.lock_interval);
        }
    }
    b->lock = NULL;
    result_set(b->r, ADDR_DEFER, ERRNO_LOCKFAILED, "failed to lock mailbox %.*s (lock file)",
               STR_ARG(path));
    return false;
}

static void drop_lock_file(struct mailbox_file *b)
{
    if (b->lock) {
        unlink(b->lock);
        b->lock = NULL;
    }
}

/* ---- opening ---- */

static bool defer(struct mailbox_file *b, int why, const char *text)
{
    struct str path = b->p->text[PT_PATH];
    result_set(b->r, ADDR_DEFER, why, "mailbox %.*s %s", STR_ARG(path), text);
    return false;
}

/* Owner and group, of the file or of a link to it. */
static bool check_owner(struct mailbox_file *b, const char *what)
{
    const struct plan_facts *f = &b->p->f;
    const struct stat *st = &b->st;
    if (f->check_owner && st->st_uid != f->uid) {
        result_set(b->r, ADDR_DEFER, ERRNO_BADUGID, "mailbox %s%s has wrong uid (%u != %u)",
                   b->path, what, (unsigned)st->st_uid, f->uid);
        return false;
    }
    if (f->check_group && st->st_gid != f->gid) {
        result_set(b->r, ADDR_DEFER, ERRNO_BADUGID, "mailbox %s%s has wrong gid (%u != %u)",
                   b->path, what, (unsigned)st->st_gid, f->gid);
        return false;
    }
    return true;
}

/* Owner, group, kind and mode of what is there; sets the mode if it is too wide. */
static bool check_existing(struct mailbox_file *b)
{
    const struct plan_facts *f = &b->p->f;
    struct stat *st = &b->st;
    mode_t mode = st->st_mode & 07777, wanted = (mode_t)f->mode;
    if (!check_owner(b, "")) {
        return false;
    }
    if (!S_ISREG(st->st_mode) && !(f->allow_fifo && S_ISFIFO(st->st_mode))) {
        return defer(b, ERRNO_NOTREGULAR,
                     f->allow_fifo ? "is not a regular file or named pipe"
                                   : "is not a regular file");
    }
    if (st->st_nlink > 1 && S_ISREG(st->st_mode)) {
        result_set(b->r, ADDR_DEFER, ERRNO_NOTREGULAR, "mailbox %s has too many links (%u)",
                   b->path, (unsigned)st->st_nlink);
        return false;
    }
    if (mode == wanted || S_ISFIFO(st->st_mode)) {
        return true;
    }
    if ((mode & wanted) != wanted && f->mode_fail_narrower) {
        result_set(b->r, ADDR_DEFER, ERRNO_BADMODE,
                   "mailbox %s has the wrong mode %o (%o expected)", b->path, (unsigned)mode,
                   (unsigned)wanted);
        return false;
    }
    if (mode & ~wanted && chmod(b->path, mode & wanted) < 0) {
        result_set(b->r, ADDR_DEFER, errno, "attempting to chmod mailbox %s", b->path);
        return false;
    }
    return true;
}

/* A named pipe can be opened only if somebody reads it. */
static bool open_existing(struct mailbox_file *b)
{
    struct stat now;
    int flags =
        O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC | (S_ISFIFO(b->st.st_mode) ? O_NONBLOCK : 0);
    b->fd = open(b->path, flags);
    if (b->fd < 0) {
        if (errno == ENXIO) {
            result_set(b->r, ADDR_DEFER, errno,
                       "while opening named pipe %s (could mean no process is reading it)",
                       b->path);
            return false;
        }
        if (errno == ENOENT) {
            b->r->f.outcome = ADDR_PENDING; /* it has gone: start again */
            return false;
        }
        result_set(b->r, ADDR_DEFER, errno, "while opening mailbox %s", b->path);
        return false;
    }
    if (fstat(b->fd, &now) < 0 || now.st_ino != b->st.st_ino || now.st_dev != b->st.st_dev ||
        now.st_uid != b->st.st_uid || (now.st_mode & S_IFMT) != (b->st.st_mode & S_IFMT)) {
        b->r->f.freeze = true;
        result_set(b->r, ADDR_DEFER, ERRNO_INODECHANGED,
                   "opened mailbox %s inode number changed "
                   "from %lu to %lu",
                   b->path, (unsigned long)b->st.st_ino, (unsigned long)now.st_ino);
        return false;
    }
    b->st = now;
    return true;
}

static bool create(struct mailbox_file *b, bool through_link)
{
    const struct plan_facts *f = &b->p->f;
    struct str path = b->p->text[PT_PATH];
    if (f->file_must_exist) {
        return defer(b, ENOENT, "does not exist, but file_must_exist is set");
    }
    if (f->forbid_create) {
        result_set(b->r, ADDR_DEFER, ERRNO_BADCREATE,
                   "mailbox %.*s does not exist, but creation outside the home directory is not "
                   "permitted",
                   STR_ARG(path));
        return false;
    }
    int flags = O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_CLOEXEC | (through_link ? 0 : O_EXCL);
    b->fd = open(b->path, flags, (mode_t)f->mode);
    if (b->fd < 0) {
        if (errno == EEXIST) {
            b->r->f.outcome = ADDR_PENDING;
            return false;
        }
        result_set(b->r, ADDR_DEFER, errno, "while creating mailbox %s", b->path);
        return false;
    }
    b->created = true;
    if (fchmod(b->fd, (mode_t)f->mode) < 0 || fstat(b->fd, &b->st) < 0) {
        result_set(b->r, ADDR_DEFER, errno, "while setting perms on mailbox %s", b->path);
        return false;
    }
    return true;
}

/* Opens what is there or makes it, however it changes meanwhile. */
static bool open_mailbox(struct mailbox_file *b)
{
    const struct plan_facts *f = &b->p->f;
    for (int i = 0; i < EXIST_TRIES; i++) {
        b->r->f.outcome = ADDR_DEFER;
        bool is_link = false, there = lstat(b->path, &b->st) == 0;
        if (!there && errno != ENOENT) {
            result_set(b->r, ADDR_DEFER, errno, "attempting to stat mailbox %s", b->path);
            return false;
        }
        if (there && S_ISLNK(b->st.st_mode)) {
            if (!check_owner(b, " (symlink)")) {
                return false;
            }
            if (!f->allow_symlink) {
                return defer(b, ERRNO_NOTREGULAR, "is not a regular file");
            }
            is_link = true;
            there = stat(b->path, &b->st) == 0;
        }
        bool ok = there ? check_existing(b) && open_existing(b) : create(b, is_link);
        if (ok) {
            return true;
        }
        if (b->r->f.outcome != ADDR_PENDING) {
            return false;
        }
    }
    b->r->f.freeze = true;
    result_set(b->r, ADDR_DEFER, ERRNO_EXISTRACE, "mailbox %s: existence unclear", b->path);
    return false;
}

/* ---- locks on the open file ---- */

static void on_alarm(int sig)
{
    (void)sig; /* it only interrupts the call that waits */
}

/* A blocking call bounded by a timer; 0 or -1 with errno. */
static int with_timer(int seconds, int (*call)(int fd), int fd)
{
    struct sigaction ours = {.sa_handler = on_alarm}, theirs;
    sigaction(SIGALRM, &ours, &theirs);
    alarm((unsigned)seconds);
    int r = call(fd), e = errno;
    alarm(0);
    sigaction(SIGALRM, &theirs, NULL);
    errno = e;
    return r;
}

static int fcntl_wait(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLKW, &l);
}

static int fcntl_try(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_SETLK, &l);
}

static int flock_wait(int fd)
{
    return flock(fd, LOCK_EX);
}

/* Asks for the locks once; false: somebody else has one. */
static bool lock_once(const struct mailbox_file *b)
{
    const struct plan_facts *f = &b->p->f;
    if (S_ISFIFO(b->st.st_mode)) {
        return true;
    }
    if (f->use_fcntl &&
        (f->lock_fcntl_timeout > 0 ? with_timer(f->lock_fcntl_timeout, fcntl_wait, b->fd)
                                   : fcntl_try(b->fd)) < 0) {
        return false;
    }
    if (f->use_flock &&
        (f->lock_flock_timeout > 0 ? with_timer(f->lock_flock_timeout, flock_wait, b->fd)
                                   : flock(b->fd, LOCK_EX | LOCK_NB)) < 0) {
        return false;
    }
    return true;
}

/* How often a lock is asked for; with time-outs the whole wait stays about the same. */
static int lock_tries(const struct plan_facts *f)
{
    int timeout = f->use_fcntl ? f->lock_fcntl_timeout : f->lock_flock_timeout;
    if (timeout <= 0) {
        return f->lock_retries;
    }
    int n = (f->lock_retries * f->lock_interval + timeout - 1) / timeout;
    return n > 0 ? n : 1;
}

/* Opens and locks; without blocking locks the file is closed between attempts. */
static bool open_and_lock(struct mailbox_file *b)
{
    const struct plan_facts *f = &b->p->f;
    int tries = lock_tries(f);
    for (int i = 0; i < tries; i++) {
        if (b->fd < 0 && !open_mailbox(b)) {
            return false;
        }
        if (lock_once(b)) {
            return fstat(b->fd, &b->st) == 0; /* the size may have changed while we waited */
        }
        if (f->lock_fcntl_timeout <= 0 && f->lock_flock_timeout <= 0) {
            close(b->fd);
            b->fd = -1;
            if (i + 1 < tries) {
                nap(f->lock_interval);
            }
        }
    }
    result_set(b->r, ADDR_DEFER, ERRNO_LOCKFAILED, "failed to lock mailbox %s (fcntl/flock)",
               b->path);
    return false;
}

/* ---- delivery ---- */

static void deliver(struct mailbox_file *b)
{
    const struct plan *p = b->p;
    struct str path = p->text[PT_PATH];
    int64_t before = S_ISREG(b->st.st_mode) ? b->st.st_size : 0;
    b->r->f.size_before = p->f.mailbox_size >= 0 ? p->f.mailbox_size : before;
    if (!quota_fits(p, b->r, b->r->f.size_before, -1)) {
        b->r->f.more_errno = (int)(time(NULL) - b->st.st_atime);
        return;
    }
    if (!plan_write_file(p, b->fd, path, b->r)) {
        if (S_ISREG(b->st.st_mode) && ftruncate(b->fd, before) < 0) {
            b->r->f.freeze = true;
        }
        return;
    }
    b->r->f.outcome = ADDR_OK;
    b->r->f.size_after = b->r->f.size_before + b->r->f.written;
    b->r->text[RT_FILE] = path;
}

void mbox_run(const struct plan *p, struct plan_result *r)
{
    struct mailbox_file b = {.p = p, .r = r, .pool = r->pool, .fd = -1};
    struct str path = p->text[PT_PATH];
    b.path = str_cstr(r->pool, path);
    if (plan_make_directories(r->pool, p, path, false) < 0 && !p->f.file_must_exist) {
        int e = errno;
        result_set(r, ADDR_DEFER, e, "failed to create directories for %s: %s", b.path,
                   strerror(e));
        return;
    }
    if (p->f.use_lockfile && !take_lock_file(&b)) {
        return;
    }
    if (open_and_lock(&b)) {
        deliver(&b);
    }
    if (b.fd >= 0) {
        close(b.fd);
    }
    if (b.created && r->f.outcome != ADDR_OK && b.st.st_size == 0) {
        unlink(b.path);
    }
    drop_lock_file(&b);
}
