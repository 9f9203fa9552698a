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

static enum redirect_read open_failed(struct pool *pool, const struct redirect_opts *o,
                                      struct str path, struct str *why)
{
    int e = errno;
    if (e == ENOENT) {
        return missing(pool, o, path, why);
    }
    if ((e == EACCES && o->ignore_eacces) || (e == ENOTDIR && o->ignore_enotdir)) {
        return REDIRECT_NONE;
    }
    *why = str_fmt(pool, "failed to open %.*s: %s", STR_ARG(path), strerror(e));
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
        return open_failed(pool, o, path, why);
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

enum redirect_read redirect_read_include(struct ectx *x, const struct address *a, struct str path,
                                         struct str *data, struct str *why)
{
    struct pool *pool = x->pool;
    int fd = route_open(pool, path, a->uid_set, a->uid, a->gid);
    if (fd < 0) {
        *why =
            str_fmt(pool, "failed to open included file %.*s: %s", STR_ARG(path), strerror(errno));
        return REDIRECT_DEFER;
    }
    enum redirect_read result = read_all(pool, fd, path, data, why);
    close(fd);
    return result;
}

int route_open(struct pool *pool, struct str path, bool as_user, uint32_t uid, uint32_t gid)
{
    int fd = file_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
    if (fd >= 0 || errno != EACCES || !as_user) {
        return fd;
    }
    return hand_open(pool, path, uid, gid);
}
