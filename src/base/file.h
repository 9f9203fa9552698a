/* Files: whole reads and writes, locks, directories. All return -1 with errno set on failure. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/str.h"
#include <sys/types.h>
#include <sys/uio.h>

/*
 * Reads a whole file into the pool, at most max bytes (more: EFBIG). A tainted path is refused
 * with EPERM; the content counts as untainted.
 */
int file_read(struct pool *pool, struct str path, size_t max, struct str *out);

/* Writes all bytes, through EINTR and short writes. */
int write_all(int fd, const void *p, size_t n);

/* Writes all of the vector (which it uses up). */
int writev_all(int fd, struct iovec *v, int n);

/* Creates the directory and its missing parents with the mode; an existing directory is success. */
int mkdir_parents(struct str path, mode_t mode);

/* Whole-file advisory lock (fcntl, exclusive); wait says whether to block. */
int file_lock(int fd, bool wait);

/* open(2) for a struct str; tainted paths are refused with EPERM; O_CLOEXEC is always set. */
int file_open(struct str path, int flags, mode_t mode);

/*
 * "failed to open WHAT: reason" in Exim's words; a denied permission names the identity that was
 * denied it.
 */
struct str file_open_error(struct pool *pool, struct str what, int e, uint32_t uid, uint32_t gid);

/* Sets or clears O_NONBLOCK. */
int fd_nonblock(int fd, bool on);

#endif
