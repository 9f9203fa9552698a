/*
 * Writing a message to the spool.
 *
 * A short message stays in memory until its commit, which is then one open, one writev and one
 * fdatasync. It is written over the file of a message that is done, if there is one: that needs no
 * new block, so that the file system has nothing to commit but the data. A longer one is streamed
 * into a file of its own. A file that is there before it is complete is locked, so that nobody takes
 * it for a leftover.
 */
#include "mail/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
    m->no_msglog = !core_settings(conf)->message_logs;
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

/* Creates the file of a long message. At no time is it as short as that of a short one. */
static bool create_long(struct spool_writer *w)
{
    return create_file(w) && flock(w->fd, LOCK_EX) == 0 && ftruncate(w->fd, SPOOL_SLOT + 1) == 0;
}

static bool spill(struct spool_writer *w)
{
    if (w->fd < 0 && !create_long(w)) {
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

/*
 * Takes a file that is to be used again. Whoever dies on the way leaves a file that holds no
 * message. The rename need not be on disk: by its mark the message is found under any name
 * (spool_settle).
 */
static bool take_free(struct spool_writer *w, struct str id)
{
    char old[SPOOL_ID];
    while (spool_free_take(spool_folder(id), old)) {
        struct str path = spool_name(w->pool, w->dir, str_c(old), "-F");
        w->fd = file_open(path, O_RDWR, 0);
        if (w->fd >= 0 && flock(w->fd, LOCK_EX | LOCK_NB) == 0 &&
            pwrite(w->fd, "minim-0 ", 8, 0) == 8 && rename(path.p, w->path.p) == 0) {
            return true;
        }
        if (w->fd >= 0) {
            close(w->fd);
            w->fd = -1;
        }
    }
    return false;
}

/*
 * The file is written to the end of a page: one that is used again has so many blocks for sure. If
 * it has too few, this is as with a new one: it grows.
 */
static bool write_short(struct spool_writer *w, struct str id, struct str meta)
{
    enum { PAGE = 4096 };
    static const char zeros[PAGE];
    char mark[SPOOL_MARK + 1];
    size_t over = (SPOOL_MARK + w->used + meta.len) % PAGE;
    spool_mark_text(mark, id, str_n(w->chunk, w->used), (int64_t)w->used, meta);
    if (!take_free(w, id) && !create_file(w)) {
        return false;
    }
    struct iovec v[4] = {{mark, SPOOL_MARK},
                         {w->chunk, w->used},
                         {(void *)(uintptr_t)meta.p, meta.len},
                         {(void *)(uintptr_t)zeros, over ? PAGE - over : 0}};
    return writev_all(w->fd, v, 4) == 0;
}

static bool write_long(struct spool_writer *w, struct str id, struct str meta)
{
    char mark[SPOOL_MARK + 1];
    spool_mark_text(mark, id, STR_NONE, w->written + (int64_t)w->used, meta);
    struct iovec v[3] = {
        {w->chunk, w->used}, {(void *)(uintptr_t)meta.p, meta.len}, {mark, SPOOL_MARK}};
    return (w->fd >= 0 || create_long(w)) && writev_all(w->fd, v, 3) == 0;
}

bool spool_commit(struct spool_writer **wp, struct message *m)
{
    struct spool_writer *w = *wp;
    m->received_complete = time_now();
    struct str meta = spool_encode(w->pool, m);
    bool is_short = w->fd < 0 && SPOOL_MARK + w->used + meta.len <= SPOOL_SLOT;
    bool ok = (is_short ? write_short(w, m->id, meta) : write_long(w, m->id, meta)) &&
              fdatasync(w->fd) == 0;
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
