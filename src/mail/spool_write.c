/*
 * Writing a message to the spool.
 *
 * A short message stays in memory until its commit, which is then one open, one writev and one
 * fdatasync; a longer one is streamed into its file, which is locked meanwhile so that nobody takes
 * it for a leftover. The file is complete with its footer and is never changed again.
 */
#include "mail/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

struct spool_writer {
    const struct config *conf;
    struct pool *pool; /* the writer's own: freed with it */
    struct str dir, path;
    int fd; /* -1 while everything is in `chunk` */
    int64_t written;
    size_t used;
    char chunk[SPOOL_SMALL];
};

struct spool_writer *spool_begin(const struct config *conf, struct message *m)
{
    struct pool *pool = pool_new("spool writer");
    struct spool_writer *w = pool_alloc(pool, sizeof *w);
    w->conf = conf;
    w->pool = pool;
    w->fd = -1;
    w->written = 0;
    w->used = 0;
    m->received = time_now();
    m->id = message_id_new(m->pool, conf, &m->received);
    w->dir = spool_dir(conf, pool, m->id);
    w->path = spool_name(pool, w->dir, m->id, "");
    return w;
}

static bool create_file(struct spool_writer *w)
{
    int flags = O_RDWR | O_CREAT | O_EXCL;
    w->fd = file_open(w->path, flags, 0640);
    if (w->fd < 0 && errno == ENOENT && mkdir_parents(w->dir, 0750) == 0) {
        w->fd = file_open(w->path, flags, 0640);
    }
    return w->fd >= 0;
}

static bool spill(struct spool_writer *w)
{
    if (w->fd < 0 && (!create_file(w) || flock(w->fd, LOCK_EX) < 0)) {
        return false;
    }
    if (write_all(w->fd, w->chunk, w->used) < 0) {
        return false;
    }
    w->written += (int64_t)w->used;
    w->used = 0;
    return true;
}

bool spool_write(struct spool_writer *w, const char *p, size_t n)
{
    while (n) {
        size_t room = sizeof w->chunk - w->used, part = n < room ? n : room;
        memcpy(w->chunk + w->used, p, part);
        w->used += part;
        p += part;
        n -= part;
        if (w->used == sizeof w->chunk && !spill(w)) {
            return false;
        }
    }
    return true;
}

ssize_t spool_writer_read(struct spool_writer *w, int64_t offset, char *p, size_t n)
{
    if (offset < w->written) {
        size_t there = (size_t)(w->written - offset);
        return pread(w->fd, p, n < there ? n : there, offset);
    }
    size_t at = (size_t)(offset - w->written);
    size_t part = at >= w->used ? 0 : w->used - at < n ? w->used - at : n;
    memcpy(p, w->chunk + at, part);
    return (ssize_t)part;
}

static void discard(struct spool_writer **w)
{
    int saved = errno;
    if ((*w)->fd >= 0) {
        unlink((*w)->path.p);
        close((*w)->fd);
    }
    struct pool *pool = (*w)->pool;
    *w = NULL;
    pool_free(&pool);
    errno = saved;
}

bool spool_commit(struct spool_writer **wp, struct message *m)
{
    struct spool_writer *w = *wp;
    char footer[SPOOL_FOOTER + 1];
    int64_t body_len = w->written + (int64_t)w->used;
    m->received_complete = time_now();
    struct str meta = spool_encode(w->pool, m);
    spool_footer(footer, body_len, meta);
    struct iovec v[3] = {
        {w->chunk, w->used}, {(void *)(uintptr_t)meta.p, meta.len}, {footer, SPOOL_FOOTER}};
    bool ok =
        (w->fd >= 0 || create_file(w)) && writev_all(w->fd, v, 3) == 0 && fdatasync(w->fd) == 0;
    if (!ok) {
        discard(wp);
        return false;
    }
    close(w->fd);
    struct pool *pool = w->pool;
    *wp = NULL;
    pool_free(&pool);
    return true;
}

void spool_abort(struct spool_writer **w)
{
    if (*w) {
        discard(w);
    }
}
