/*
 * Files (file.h). Paths are struct str: a tainted one is refused with EPERM before the kernel
 * sees it, one with a NUL byte with EINVAL. Errors are -1 and errno; descriptors that are returned
 * belong to the caller and are closed on exec.
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

/* A terminated copy on the caller's stack; -1 with errno if the path cannot be used. */
static int path_copy(struct str path, char out[PATH_MAX])
{
    if (path.tainted) {
        errno = EPERM;
        return -1;
    }
    if (path.len >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (str_empty(path) || str_chr(path, '\0') >= 0) {
        errno = EINVAL;
        return -1;
    }
    memcpy(out, path.p, path.len);
    out[path.len] = '\0';
    return 0;
}

int file_open(struct str path, int flags, mode_t mode)
{
    char name[PATH_MAX];
    return path_copy(path, name) < 0 ? -1 : open(name, flags | O_CLOEXEC, mode);
}

static int read_fd(struct pool *pool, int fd, size_t max, struct str *out)
{
    struct buf b;
    buf_init(&b, pool, max);
    for (;;) {
        char chunk[16384];
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            *out = buf_str(&b);
            return 0;
        }
        if (!buf_add(&b, chunk, (size_t)n)) {
            errno = EFBIG;
            return -1;
        }
    }
}

int file_read(struct pool *pool, struct str path, size_t max, struct str *out)
{
    int fd = file_open(path, O_RDONLY, 0);
    if (fd < 0) {
        return -1;
    }
    int result = read_fd(pool, fd, max, out);
    int saved = errno;
    close(fd);
    errno = saved;
    return result;
}

int write_all(int fd, const void *p, size_t n)
{
    struct iovec v = {(void *)(uintptr_t)p, n};
    return writev_all(fd, &v, 1);
}

int writev_all(int fd, struct iovec *v, int n)
{
    while (n > 0) {
        ssize_t done = writev(fd, v, n < IOV_MAX ? n : IOV_MAX);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return -1;
        }
        while (n > 0 && (size_t)done >= v->iov_len) {
            done -= (ssize_t)v->iov_len;
            v++;
            n--;
        }
        if (n > 0) {
            v->iov_base = (char *)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
    return 0;
}

int mkdir_parents(struct str path, mode_t mode)
{
    char name[PATH_MAX];
    bool denied = false;
    if (path_copy(path, name) < 0) {
        return -1;
    }
    for (char *p = name + 1;; p++) {
        if (*p != '/' && *p != '\0') {
            continue;
        }
        char kept = *p;
        *p = '\0';
        if (mkdir(name, mode) < 0 && errno != EEXIST) {
            if (!kept || errno != EACCES) {
                errno = denied && errno == ENOENT ? EACCES : errno;
                return -1;
            }
            denied = true; /* it may be there all the same */
        }
        if (!kept) {
            return 0;
        }
        *p = kept;
    }
}

int file_lock(int fd, bool wait)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r;
    do {
        r = fcntl(fd, wait ? F_SETLKW : F_SETLK, &fl);
    } while (r < 0 && errno == EINTR && wait);
    return r;
}

int fd_nonblock(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -1 : fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
}

struct str file_open_error(struct pool *pool, struct str what, int e, uint32_t uid, uint32_t gid)
{
    struct str who =
        e == EACCES ? str_fmt(pool, " (euid=%lu egid=%lu)", (unsigned long)uid, (unsigned long)gid)
                    : STR("");
    return str_fmt(pool, "failed to open %.*s: %s%.*s", STR_ARG(what), strerror(e), STR_ARG(who));
}
