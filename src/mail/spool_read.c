/*
 * Reading messages back, and the changes made to one while it is on the spool.
 *
 * A message is claimed with a lock on its file (flock, so it goes with the descriptor); whoever
 * holds it may append to the journal beside it. Records of the journal, one a line, control
 * characters escaped:
 *     D address    delivered            F seconds    frozen          T    thawed
 *     S sender     new sender           W n          delay warnings sent
 *     R text       added recipient      N            first delivery is over
 */
#include "mail/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the disk says, so that an update writes only what changed. */
struct spool_state {
    bool frozen, manually_thawed, firsttime;
    time_t frozen_at;
    struct str sender;
    size_t recipients, delivered;
    int warning_count;
};

void spool_remember(struct message *m)
{
    struct spool_state *s = m->spool->baseline;
    *s =
        (struct spool_state){m->frozen, m->manually_thawed, m->deliver_firsttime, m->frozen_at,
                             m->sender, m->recipient_count, m->delivered.n,       m->warning_count};
}

static struct str unescape(struct pool *pool, struct str s)
{
    struct str out;
    return xtext_decode(pool, s, &out) ? out : STR("");
}

static void apply_recipient(struct message *m, struct str text)
{
    struct str address = STR(""), errors_to = STR(""), parent = STR("");
    int64_t n = -1;
    str_next(&text, ' ', &address);
    str_next(&text, ' ', &errors_to);
    str_next(&text, ' ', &parent);
    struct recipient *r = message_add_recipient(m, str_taint(unescape(m->pool, address)));
    errors_to = unescape(m->pool, errors_to);
    r->errors_to = str_empty(errors_to) ? STR_NONE : errors_to;
    str_to_i64(parent, &n);
    r->parent = (int)n;
}

static void apply_record(struct message *m, char kind, struct str value)
{
    int64_t n = 0;
    switch (kind) {
    case 'D': strvec_push(&m->delivered, unescape(m->pool, value)); break;
    case 'F':
        str_to_i64(value, &n);
        m->frozen = true;
        m->manually_thawed = false;
        m->frozen_at = n;
        break;
    case 'T':
        m->frozen = false;
        m->manually_thawed = str_is(value, "1");
        break;
    case 'S': m->sender = str_taint(unescape(m->pool, value)); break;
    case 'R': apply_recipient(m, value); break;
    case 'W':
        str_to_i64(value, &n);
        m->warning_count = (int)n;
        break;
    case 'N': m->deliver_firsttime = false; break;
    default: log_msg(LOG_MAIN | LOG_PANIC, m, "unknown record \"%c\" in journal ignored", kind);
    }
}

void spool_journal_apply(struct message *m, struct str journal)
{
    struct str line;
    while (str_chr(journal, '\n') >= 0 && str_next(&journal, '\n', &line)) {
        if (line.len) {
            apply_record(m, line.p[0], str_from(line, 2));
        }
    }
}

/* A short message: the whole file. */
static bool read_short(struct spool_file *f, struct message *m, struct str *meta)
{
    struct spool_mark mark;
    char *room = pool_alloc(m->pool, SPOOL_SLOT);
    if (spool_slot_read(f->fd, room, &mark, meta) != SLOT_GOOD || !str_eq(mark.id, f->id)) {
        return false;
    }
    f->small = str_n(room, (size_t)(SPOOL_MARK + mark.body_len + mark.meta_len));
    f->body_at = SPOOL_MARK;
    f->body_len = mark.body_len;
    return true;
}

/* A long message: its end, from where the records begin if they are not too long. */
static bool read_long(struct spool_file *f, struct message *m, int64_t size, struct str *meta)
{
    struct pool *pool = m->pool;
    struct spool_mark mark;
    int64_t want = size < SPOOL_SMALL ? size : SPOOL_SMALL;
    char *tail = pool_alloc(pool, (size_t)want + 1);
    if (pread(f->fd, tail, (size_t)want, size - want) != want) {
        return false;
    }
    errno = 0;
    tail[want] = '\0';
    struct str text = str_n(tail + want - SPOOL_MARK, SPOOL_MARK);
    if (!spool_mark_read(text, &mark) || !str_eq(mark.id, f->id) ||
        mark.body_len != size - SPOOL_MARK - mark.meta_len) {
        return false;
    }
    f->body_len = mark.body_len;
    if (want == size) {
        f->small = str_n(tail, (size_t)size);
    }
    if (mark.meta_len <= want - SPOOL_MARK) {
        *meta = str_n(text.p - mark.meta_len, (size_t)mark.meta_len);
    } else {
        char *p = pool_alloc(pool, (size_t)mark.meta_len);
        if (pread(f->fd, p, (size_t)mark.meta_len, f->body_len) != mark.meta_len) {
            return false;
        }
        *meta = str_n(p, (size_t)mark.meta_len);
    }
    return spool_mark_sum(text, STR_NONE, *meta) == mark.sum;
}

/* False with errno, which is 0 if it is not the finished file of this message. */
static bool read_parts(struct spool_file *f, struct message *m, int64_t size, struct str *meta)
{
    errno = 0;
    return size <= SPOOL_SLOT ? read_short(f, m, meta) : read_long(f, m, size, meta);
}

static void read_journal(struct spool_file *f, struct message *m)
{
    struct str text;
    if (file_read(m->pool, spool_name(m->pool, f->dir, f->id, "-J"), SPOOL_META_MAX, &text) == 0) {
        spool_journal_apply(m, text);
    }
}

/*
 * What a file is that cannot be read. One that does not say to be this message is no message; nor
 * is a short one that is being written over while we read, of which only the beginning may be
 * there. Whoever has locked an old one clears it away.
 */
static enum spool_open judge_unreadable(struct spool_file *f, const struct stat *st, bool locked,
                                        struct str *error, struct pool *pool)
{
    int e = errno;
    enum spool_arrival arrival = e ? ARRIVED : spool_arrival(f->fd, st, f->id);
    bool moving = !e && st->st_size <= SPOOL_SLOT && !spool_is_old(st->st_mtime);
    *error =
        e ? str_fmt(pool, "%s", strerror(e)) : str_fmt(pool, "size=%lld", (long long)st->st_size);
    if (arrival == LEFT_OVER && locked) {
        spool_settle(f->conf, f->fd, f->id, "");
    }
    close(f->fd);
    return arrival == ARRIVED && !moving ? SPOOL_DAMAGED : SPOOL_GONE;
}

/*
 * Locks the file and looks whether it is still the one of the name: it may have been removed, or be
 * another message's by now.
 */
static enum spool_open claim(struct spool_file *f, struct pool *pool, struct stat *st)
{
    struct stat named;
    if (fstat(f->fd, st) < 0) {
        return SPOOL_GONE;
    }
    if (flock(f->fd, LOCK_EX | LOCK_NB) < 0) {
        return spool_arrival(f->fd, st, f->id) == ARRIVED ? SPOOL_LOCKED : SPOOL_GONE;
    }
    if (stat(spool_name(pool, f->dir, f->id, "").p, &named) < 0 || named.st_ino != st->st_ino) {
        return SPOOL_GONE;
    }
    *st = named;
    return SPOOL_OK;
}

static enum spool_open load(const struct config *conf, struct str id, struct message *m, bool lock,
                            struct str *error)
{
    struct pool *pool = m->pool;
    struct spool_file *f = POOL_NEW(pool, struct spool_file);
    struct stat st;
    struct str meta;
    id = str_dup(pool, id);
    if (!message_id_valid(id)) {
        return SPOOL_GONE;
    }
    id.tainted = false;
    f->conf = conf;
    f->id = id;
    f->journal_fd = -1;
    f->dir = spool_dir(conf, pool, id);
    f->baseline = POOL_NEW(pool, struct spool_state);
    f->fd = file_open(spool_name(pool, f->dir, id, ""), lock ? O_RDWR : O_RDONLY, 0);
    if (f->fd < 0) {
        *error = str_fmt(pool, "%s", strerror(errno));
        return errno == ENOENT ? SPOOL_GONE : SPOOL_DAMAGED;
    }
    enum spool_open state = lock                     ? claim(f, pool, &st)
                            : fstat(f->fd, &st) == 0 ? SPOOL_OK
                                                     : SPOOL_GONE;
    if (state != SPOOL_OK || st.st_nlink == 0) {
        close(f->fd);
        return state != SPOOL_OK ? state : SPOOL_GONE;
    }
    buf_init(&f->msglog, pool, SPOOL_META_MAX);
    m->spool = f;
    if (!read_parts(f, m, st.st_size, &meta) || !spool_decode(pool, meta, m)) {
        m->id = id;
        m->spool = NULL;
        return judge_unreadable(f, &st, lock, error, pool);
    }
    m->deliver_firsttime = true;
    read_journal(f, m);
    spool_remember(m);
    return SPOOL_OK;
}

enum spool_open spool_load(const struct config *conf, struct str id, struct message *m,
                           struct str *error)
{
    return load(conf, id, m, true, error);
}

enum spool_open spool_peek(const struct config *conf, struct str id, struct message *m,
                           struct str *error)
{
    return load(conf, id, m, false, error);
}

ssize_t spool_body_read(struct message *m, int64_t offset, char *p, size_t n)
{
    struct spool_file *f = m->spool;
    if (offset >= f->body_len) {
        return 0;
    }
    if ((int64_t)n > f->body_len - offset) {
        n = (size_t)(f->body_len - offset);
    }
    if (!str_unset(f->small)) {
        memcpy(p, f->small.p + f->body_at + offset, n);
        return (ssize_t)n;
    }
    return pread(f->fd, p, n, f->body_at + offset);
}

int spool_body_fd(struct message *m, int64_t *offset)
{
    *offset = m->spool->body_at;
    return m->spool->fd;
}

bool spool_journal_ready(struct message *m)
{
    struct spool_file *f = m->spool;
    if (f->journal_fd < 0) {
        f->journal_fd =
            file_open(spool_name(m->pool, f->dir, f->id, "-J"), O_RDWR | O_APPEND | O_CREAT, 0640);
    }
    return f->journal_fd >= 0;
}

/* Cuts off what a write left that the disk had no room for: half an address is another address. */
static void journal_trim(int fd)
{
    char tail[4096];
    struct stat st;
    off_t from = fstat(fd, &st) == 0 && st.st_size > (off_t)sizeof tail
                     ? st.st_size - (off_t)sizeof tail
                     : 0;
    ssize_t n = pread(fd, tail, sizeof tail, from);
    while (n > 0 && tail[n - 1] != '\n') {
        n--;
    }
    if (n >= 0 && ftruncate(fd, from + n) < 0) {
        log_write(LOG_PANIC, "cannot repair a journal: %s", strerror(errno));
    }
}

/* Appends whole lines to the journal; data are on disk when it returns if sync is set. */
static bool journal_write(struct message *m, struct str lines, bool sync)
{
    struct spool_file *f = m->spool;
    if (!spool_journal_ready(m)) {
        return false;
    }
    if (write_all(f->journal_fd, lines.p, lines.len) < 0) {
        int error = errno;
        journal_trim(f->journal_fd);
        errno = error;
        return false;
    }
    return !sync || fdatasync(f->journal_fd) == 0;
}

bool spool_delivered(struct message *m, struct str unique)
{
    struct str line = STR_CAT(m->pool, STR("D "), xtext_encode(m->pool, unique), STR("\n"));
    strvec_push(&m->delivered, str_dup(m->pool, unique));
    if (!journal_write(m, line, m->recipient_count > 1)) {
        return false; /* spool_update() will try again */
    }
    m->spool->baseline->delivered = m->delivered.n;
    return true;
}

static void changed_recipients(struct message *m, size_t from, struct buf *b)
{
    for (size_t i = from; i < m->recipient_count; i++) {
        const struct recipient *r = &m->recipients[i];
        struct str address = xtext_encode(m->pool, r->address);
        struct str errors_to = xtext_encode(m->pool, r->errors_to);
        buf_addf(b, "R %.*s %.*s %d\n", STR_ARG(address), STR_ARG(errors_to), r->parent);
    }
}

bool spool_update(struct message *m)
{
    struct spool_state *s = m->spool->baseline;
    struct buf b;
    buf_init(&b, m->pool, SPOOL_META_MAX);
    for (size_t i = s->delivered; i < m->delivered.n; i++) {
        struct str address = xtext_encode(m->pool, m->delivered.v[i]);
        buf_addf(&b, "D %.*s\n", STR_ARG(address));
    }
    if (m->frozen && (!s->frozen || s->frozen_at != m->frozen_at)) {
        buf_addf(&b, "F %lld\n", (long long)m->frozen_at);
    }
    if (!m->frozen && (s->frozen || s->manually_thawed != m->manually_thawed)) {
        buf_addf(&b, "T %d\n", m->manually_thawed);
    }
    if (!str_eq(m->sender, s->sender)) {
        struct str sender = xtext_encode(m->pool, m->sender);
        buf_addf(&b, "S %.*s\n", STR_ARG(sender));
    }
    if (m->warning_count != s->warning_count) {
        buf_addf(&b, "W %d\n", m->warning_count);
    }
    if (s->firsttime && !m->deliver_firsttime) {
        buf_addz(&b, "N \n");
    }
    changed_recipients(m, s->recipients, &b);
    spool_remember(m);
    return b.len == 0 || journal_write(m, buf_str(&b), true);
}

static void close_files(struct message *m)
{
    struct spool_file *f = m->spool;
    if (f->journal_fd >= 0) {
        close(f->journal_fd);
    }
    close(f->fd);
    m->spool = NULL;
}

/*
 * Takes the name of a message away: from now on it is done. The file gets a name for free ones if
 * it is fit to be used again and there is a place, which is returned; else it is removed, and -1.
 */
static int keep_file(struct spool_file *f, struct pool *pool)
{
    struct str path = spool_name(pool, f->dir, f->id, "");
    int place = f->body_at ? spool_free_reserve(spool_folder(f->id)) : -1;
    if (place >= 0 && rename(path.p, spool_name(pool, f->dir, f->id, "-F").p) < 0) {
        spool_free_set(place, STR_NONE);
        place = -1;
    }
    if (place < 0) {
        unlink(path.p);
    }
    return place;
}

void spool_remove(struct message *m)
{
    struct spool_file *f = m->spool;
    const struct core_settings *s = core_settings(f->conf);
    struct str log = spool_msglog_path(f->conf, m->pool, f->id, false);
    int place = keep_file(f, m->pool);
    struct str id = f->id;
    if (f->journal_fd >= 0 || m->delivered.n || !m->deliver_firsttime || m->frozen) {
        unlink(spool_name(m->pool, f->dir, f->id, "-J").p);
    }
    if (s->preserve_message_logs) {
        spool_msglog_flush(m);
        mkdir_parents(spool_path(f->conf, m->pool, STR("msglog.OLD")), 0750);
        rename(log.p, spool_msglog_path(f->conf, m->pool, f->id, true).p);
    } else if (!m->deliver_firsttime || !s->message_logs || m->msglog_on_disk) {
        unlink(log.p);
    }
    close_files(m);
    if (place >= 0) {
        spool_free_set(place, id); /* now that it is not locked any more */
    }
}

void spool_close(struct message *m)
{
    if (m->spool) {
        spool_msglog_flush(m);
        close_files(m);
    }
}
