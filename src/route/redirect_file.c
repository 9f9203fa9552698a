/*
 * Reading a file of redirection data, with the checks of owner, group and mode that keep one user
 * from steering another's mail.
 *
 * The file is opened with the user's rights when they are known and can be had; the content counts
 * as untainted, as any file that an administrator named.
 */
#include "route/redirect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024 };

static bool id_listed(const struct idlist *l, uint32_t id)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->ids[i] == id) {
            return true;
        }
    }
    return false;
}

/* Mode, owner and group; false with the reason in *why. */
static bool file_trusted(struct pool *pool, const struct redirect_opts *o, const struct router *r,
                         const struct address *a, struct str path, const struct stat *st,
                         struct str *why)
{
    bool local = r->check_local_user && a->local_user_known;
    bool owner_ok = (local && st->st_uid == a->local_user_uid) || id_listed(&o->owners, st->st_uid);
    bool group_ok =
        (local && st->st_gid == a->local_user_gid) || id_listed(&o->owngroups, st->st_gid);
    if (!S_ISREG(st->st_mode)) {
        *why = str_fmt(pool, "%.*s is not a regular file", STR_ARG(path));
    } else if (o->check_owner && !owner_ok) {
        *why = str_fmt(pool, "bad owner for %.*s", STR_ARG(path));
    } else if (o->check_group && !group_ok) {
        *why = str_fmt(pool, "bad group for %.*s", STR_ARG(path));
    } else if (st->st_mode & (unsigned)o->modemask) {
        *why =
            str_fmt(pool, "bad mode (0%o) for %.*s: 0%o bit(s) unexpected", (unsigned)st->st_mode,
                    STR_ARG(path), (unsigned)(st->st_mode & (unsigned)o->modemask));
    } else {
        return true;
    }
    return false;
}

/* The file does not exist: declines, unless its directory cannot be seen either. */
static enum redirect_read missing(struct pool *pool, const struct redirect_opts *o, struct str path,
                                  struct str *why)
{
    struct stat st;
    ptrdiff_t slash = str_rchr(path, '/');
    struct str dir = slash > 0 ? str_sub(path, 0, (size_t)slash) : STR("/");
    if (o->ignore_enotdir || stat(str_cstr(pool, dir), &st) == 0 || errno == EACCES) {
        return REDIRECT_NONE;
    }
    *why = str_fmt(pool, "failed to stat %.*s/. (%s)", STR_ARG(dir), strerror(errno));
    return REDIRECT_DEFER;
}

/* What could not be opened, and by whom. */
static struct str open_error(struct pool *pool, struct str what, int e, const struct address *a)
{
    return file_open_error(pool, what, e, a->uid_set ? a->uid : geteuid(),
                           a->uid_set ? a->gid : getegid());
}

static enum redirect_read open_failed(struct pool *pool, const struct redirect_opts *o,
                                      const struct address *a, struct str path, struct str *why)
{
    int e = errno;
    if (e == ENOENT) {
        return missing(pool, o, path, why);
    }
    if ((e == EACCES && o->ignore_eacces) || (e == ENOTDIR && o->ignore_enotdir)) {
        return REDIRECT_NONE;
    }
    *why = open_error(pool, path, e, a);
    return REDIRECT_DEFER;
}

static enum redirect_read read_all(struct pool *pool, int fd, struct str path, struct str *data,
                                   struct str *why)
{
    struct buf b;
    char chunk[16384];
    ssize_t n;
    buf_init(&b, pool, FILE_MAX);
    while ((n = read(fd, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR)) {
        if (n > 0) {
            buf_add(&b, chunk, (size_t)n);
        }
    }
    if (n < 0 || b.overflow) {
        *why = b.overflow
                   ? str_fmt(pool, "%.*s is too large", STR_ARG(path))
                   : str_fmt(pool, "error while reading %.*s: %s", STR_ARG(path), strerror(errno));
        return REDIRECT_DEFER;
    }
    *data = buf_str(&b);
    return REDIRECT_DATA;
}

enum redirect_read redirect_read_file(struct ectx *x, const struct redirect_opts *o,
                                      const struct router *r, const struct address *a,
                                      struct str path, struct str *data, struct str *why)
{
    struct stat st;
    struct pool *pool = x->pool;
    if (!str_starts(path, "/")) {
        *why = str_fmt(pool, "\"%.*s\" is not an absolute path", STR_ARG(path));
        return REDIRECT_DEFER;
    }
    if (path.tainted) {
        *why = str_fmt(pool, "Tainted name '%.*s' for file read not permitted", STR_ARG(path));
        return REDIRECT_DEFER;
    }
    int fd = route_open(pool, path, a->uid_set, a->uid, a->gid);
    if (fd < 0) {
        return open_failed(pool, o, a, path, why);
    }
    enum redirect_read result = REDIRECT_DEFER;
    if (fstat(fd, &st) < 0) {
        *why = str_fmt(pool, "failed to fstat %.*s: %s", STR_ARG(path), strerror(errno));
    } else if (file_trusted(pool, o, r, a, path, &st, why)) {
        result = read_all(pool, fd, path, data, why);
    }
    close(fd);
    return result;
}

/* True if no link led the open file out of the directory. */
static bool inside(struct pool *pool, int fd, struct str dir)
{
    char self[32], got[PATH_MAX], want[PATH_MAX];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(self, got, sizeof got);
    return n > 0 && n < (ssize_t)sizeof got && realpath(str_cstr(pool, dir), want) &&
           str_starts(str_n(got, (uint32_t)n), want) && got[strlen(want)] == '/';
}

enum redirect_read redirect_read_include(struct ectx *x, const struct address *a, struct str path,
                                         struct str dir, struct str *data, struct str *why)
{
    struct pool *pool = x->pool;
    int fd = route_open(pool, path, a->uid_set, a->uid, a->gid);
    bool out = !str_unset(dir) && (fd < 0 || !inside(pool, fd, dir));
    enum redirect_read result = REDIRECT_DEFER;
    if (out) {
        *why = str_fmt(pool,
                       "failed to open %.*s (component of included file); could be symbolic link",
                       STR_ARG(path));
    } else if (fd < 0) {
        *why = open_error(pool, STR_CAT(pool, STR("included file "), path), errno, a);
    } else {
        result = read_all(pool, fd, path, data, why);
    }
    if (fd >= 0) {
        close(fd);
    }
    return result;
}

/*
 * A user's file is opened as the user: our own rights would reach files that are none of the
 * user's business. That something is not there can be told without.
 */
int route_open(struct pool *pool, struct str path, bool as_user, uint32_t uid, uint32_t gid)
{
    struct stat st;
    if (!as_user || !hand_available() || path.tainted) {
        return file_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
    }
    if (stat(str_cstr(pool, path), &st) < 0 && errno != EACCES) {
        return -1;
    }
    int fd = hand_open(pool, path, uid, gid);
    /* Root, or one of never_users: nobody opens anything as them; what all may read will do. */
    return fd < 0 && errno == EPERM ? file_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0) : fd;
}
