/*
 * A server's session tickets (RFC 5077, RFC 8446 4.6.1): which key seals them and which open them.
 * The rules are here, once; the libraries only seal and open.
 *
 * Without tls_resumption_key_file the keys are never written anywhere. They lie in memory that a
 * daemon's workers share, are renewed after an hour, and one older key opens what it sealed for
 * another hour. With a file the keys are what it says; it is looked at before each use, read again
 * when it has changed, and kept in the same memory, so that a file that cannot be used leaves all
 * workers with the keys that were read before it.
 *
 * What a library is given is derived from these secrets and from what the session was made for
 * (the content of the credentials, verification, SNI): a ticket of one name opens nothing under
 * another, and servers with the same credentials and the same file open each other's.
 */
#include "tls/internal.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>

enum { KEY_LIFE = 3600, ID_SIZE = 32, FILES = 4, MAX_FILE = 1 << 16 };

struct generation {
    unsigned char secret[TLS_SECRET_SIZE];
    time_t made; /* 0: there is none */
};

/* What tells one state of a file from another; all 0: it is not there. */
struct state {
    struct timespec changed;
    off_t size;
    ino_t inode;
};

/* A key file as it was read last. */
struct key_file {
    unsigned char name[ID_SIZE]; /* its digest */
    struct state state;
    struct tls_secrets keys; /* of the last state that was good; n 0: there was none */
    bool used;
};

/* Shared by the processes of a daemon. */
struct ring {
    pthread_mutex_t lock;
    struct generation now, before;
    struct key_file files[FILES];
    unsigned next; /* the entry of files[] to be given up when all are used */
};

static struct ring *ring;

static void random_bytes(unsigned char *p, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno != EINTR) {
            BUG("no random numbers: %s", strerror(errno));
        }
        p += got > 0 ? got : 0;
        n -= got > 0 ? (size_t)got : 0;
    }
}

void tls_tickets_prepare(void)
{
    pthread_mutexattr_t shared;
    tls_once_prepare();
    if (ring) {
        return;
    }
    void *p = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) {
        return; /* no tickets then */
    }
    ring = p;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&ring->lock, &shared);
    pthread_mutexattr_destroy(&shared);
}

/* The holder of the lock may have been killed in the midst of a change. */
static void enter_ring(void)
{
    if (pthread_mutex_lock(&ring->lock) == EOWNERDEAD) {
        ring->now.made = ring->before.made = 0;
        explicit_bzero(ring->files, sizeof ring->files);
        pthread_mutex_consistent(&ring->lock);
    }
}

static void leave_ring(void)
{
    pthread_mutex_unlock(&ring->lock);
}

/* ---- keys of the daemon's own ---- */

/* In the ring: the keys as they are to be at this time, the one that seals first. */
static void own_keys(time_t now, struct tls_secrets *out)
{
    if (!ring->now.made || now - ring->now.made >= KEY_LIFE || now < ring->now.made) {
        ring->before = ring->now;
        random_bytes(ring->now.secret, sizeof ring->now.secret);
        ring->now.made = now;
    }
    if (ring->before.made && now - ring->before.made >= 2 * KEY_LIFE) {
        explicit_bzero(&ring->before, sizeof ring->before);
    }
    out->n = ring->before.made ? 2 : 1;
    memcpy(out->v[0], ring->now.secret, TLS_SECRET_SIZE);
    memcpy(out->v[1], ring->before.secret, TLS_SECRET_SIZE);
}

/* ---- keys of a file ---- */

static bool same_state(const struct state *a, const struct state *b)
{
    return a->size == b->size && a->inode == b->inode && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Reads it; false with *why. What others might have read or written is no secret. */
static bool read_keys(struct pool *pool, struct str path, struct tls_secrets *out, struct str *why)
{
    struct stat st;
    struct str text;
    if (path.tainted) {
        *why = STR("tainted file name");
        return false;
    }
    if (stat(str_cstr(pool, path), &st) < 0 || file_read(pool, path, MAX_FILE, &text) < 0) {
        *why = str_c(strerror(errno));
        return false;
    }
    bool ours = !(st.st_mode & (S_IRWXO | S_IWGRP));
    if (!ours) {
        *why = str_fmt(pool, "mode %04o lets others at the keys", (unsigned)st.st_mode & 07777u);
    }
    bool ok = ours && tls_keys_parse(pool, text, out, why);
    explicit_bzero((char *)(uintptr_t)text.p, text.len);
    return ok;
}

/* In the ring: the entry of a file; the first time one without keys. */
static struct key_file *entry_of(const unsigned char name[ID_SIZE])
{
    for (size_t i = 0; i < FILES; i++) {
        if (ring->files[i].used && memcmp(ring->files[i].name, name, ID_SIZE) == 0) {
            return &ring->files[i];
        }
    }
    struct key_file *f = &ring->files[ring->next++ % FILES];
    explicit_bzero(f, sizeof *f);
    memcpy(f->name, name, ID_SIZE);
    f->state.changed.tv_nsec = -1; /* like no state a file can be in */
    f->used = true;
    return f;
}

static void complain(struct str path, struct str why, bool has_keys)
{
    log_write(LOG_MAIN | LOG_PANIC, "tls_resumption_key_file %.*s: %.*s: %s", STR_ARG(path),
              STR_ARG(why),
              has_keys ? "the keys read before stay in use" : "keys of this daemon alone are used");
}

/* True with the keys of the file, or those that were read from it before. */
static bool file_keys(struct pool *pool, struct str path, struct tls_secrets *out)
{
    unsigned char name[ID_SIZE];
    struct stat st;
    struct state state = {.size = 0};
    struct str why = STR_NONE;
    memcpy(name, digest(pool, DIGEST_SHA256, path).p, sizeof name);
    if (!path.tainted && stat(str_cstr(pool, path), &st) == 0) {
        state = (struct state){st.st_ctim, st.st_size, st.st_ino};
    }
    enter_ring();
    struct key_file *f = entry_of(name);
    bool changed = !same_state(&f->state, &state);
    f->state = state; /* nobody else reads and complains meanwhile */
    *out = f->keys;
    leave_ring();
    if (!changed) {
        return out->n > 0;
    }
    struct tls_secrets fresh = {.n = 0};
    if (!read_keys(pool, path, &fresh, &why)) {
        complain(path, why, out->n > 0);
        return out->n > 0;
    }
    enter_ring();
    entry_of(name)->keys = *out = fresh;
    entry_of(name)->state = state;
    leave_ring();
    explicit_bzero(&fresh, sizeof fresh);
    return true;
}

void tls_tickets_ready(struct pool *pool, const struct tls_side *side)
{
    struct tls_secrets all;
    tls_tickets_prepare();
    if (ring && !str_empty(side->resumption_key_file)) {
        file_keys(pool, side->resumption_key_file, &all);
        explicit_bzero(&all, sizeof all);
    }
}

static bool secrets_of(struct tls *t, struct tls_secrets *out)
{
    struct str path = t->side->resumption_key_file;
    tls_tickets_prepare();
    if (!ring) {
        return false;
    }
    if (str_empty(path) || !file_keys(t->pool, path, out)) {
        enter_ring();
        own_keys(time_now().tv_sec, out);
        leave_ring();
    }
    return true;
}

/* ---- what a ticket is bound to ---- */

void tls_identity(struct tls *t, unsigned char id[32])
{
    const struct tls_credentials *c = t->named ? t->named : t->credentials;
    struct buf b;
    buf_init(&b, t->pool, SIZE_MAX);
    buf_adds(&b, c->identity);
    buf_addf(&b, " %d ", t->side->verify);
    buf_adds(&b, str_lower(t->pool, t->facts->sni));
    struct str d = digest(t->pool, DIGEST_SHA256, buf_str(&b));
    memcpy(id, d.p, ID_SIZE);
}

static struct str derive(struct tls *t, const unsigned char *secret, const char *what)
{
    unsigned char id[ID_SIZE];
    tls_identity(t, id);
    struct str data = STR_CAT(t->pool, str_c(what), str_n((const char *)id, sizeof id));
    return digest_hmac(t->pool, DIGEST_SHA256, str_n((const char *)secret, TLS_SECRET_SIZE), data);
}

static void make_key(struct tls *t, const unsigned char *secret, struct tls_ticket_key *out)
{
    memcpy(out->name, derive(t, secret, "name").p, sizeof out->name);
    memcpy(out->cipher, derive(t, secret, "cipher").p, sizeof out->cipher);
    memcpy(out->mac, derive(t, secret, "mac").p, sizeof out->mac);
}

enum tls_ticket tls_ticket_choose(struct tls *t, const struct tls_secrets *all,
                                  const unsigned char *name, struct tls_ticket_key *out)
{
    for (size_t i = 0; i < all->n; i++) {
        make_key(t, all->v[i], out);
        if (!name || memcmp(name, out->name, sizeof out->name) == 0) {
            return i == 0 ? TLS_TICKET_GOOD : TLS_TICKET_RENEW;
        }
    }
    explicit_bzero(out, sizeof *out);
    return TLS_TICKET_NONE;
}

enum tls_ticket tls_ticket_key(struct tls *t, const unsigned char *name, struct tls_ticket_key *out)
{
    struct tls_secrets all;
    if (!secrets_of(t, &all)) {
        return TLS_TICKET_NONE;
    }
    enum tls_ticket found = tls_ticket_choose(t, &all, name, out);
    if (!name) {
        t->facts->resumption |= RESUME_SERVER_TICKET;
    }
    explicit_bzero(&all, sizeof all);
    return found;
}

size_t tls_ticket_stems(struct tls *t, unsigned char stems[][64])
{
    struct tls_secrets all;
    if (!secrets_of(t, &all)) {
        return 0;
    }
    for (size_t i = 0; i < all.n; i++) {
        memcpy(stems[i], derive(t, all.v[i], "stem 1").p, ID_SIZE);
        memcpy(stems[i] + ID_SIZE, derive(t, all.v[i], "stem 2").p, ID_SIZE);
    }
    size_t n = all.n;
    explicit_bzero(&all, sizeof all);
    return n;
}
