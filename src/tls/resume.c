/*
 * Session resumption (RFC 5077, RFC 8446 2.2): the keys of a server's tickets, and what a client
 * keeps of a session. The rules are here, once; the libraries only seal, open and hand over.
 *
 * Ticket keys are never written anywhere. They lie in memory that a daemon's workers share, are
 * renewed after an hour, and one older key opens what it sealed for another hour; the ticket is
 * then renewed. A key is bound to what the session was made for (credentials, verification and
 * SNI), so that a ticket of one name opens nothing under another.
 *
 * A client's record holds the library's session and the facts of the handshake that made it. It is
 * data of ours in a hints file, but is read as if it were not: whatever does not fit is refused.
 */
#include "tls/internal.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/random.h>

enum { KEY_LIFE = 3600, SECRET_SIZE = 64, ID_SIZE = 32 };

struct generation {
    unsigned char secret[SECRET_SIZE];
    time_t made; /* 0: there is none */
};

/* Shared by the processes of a daemon. */
struct ring {
    pthread_mutex_t lock;
    unsigned char stem[SECRET_SIZE]; /* for a library that rotates by itself */
    struct generation now, before;
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
    random_bytes(ring->stem, sizeof ring->stem);
}

/* With the keys as they are to be at this time; the holder of the lock may have been killed. */
static void enter_ring(time_t now)
{
    if (pthread_mutex_lock(&ring->lock) == EOWNERDEAD) {
        ring->now.made = ring->before.made = 0;
        pthread_mutex_consistent(&ring->lock);
    }
    if (!ring->now.made || now - ring->now.made >= KEY_LIFE || now < ring->now.made) {
        ring->before = ring->now;
        random_bytes(ring->now.secret, sizeof ring->now.secret);
        ring->now.made = now;
    }
    if (ring->before.made && now - ring->before.made >= 2 * KEY_LIFE) {
        explicit_bzero(&ring->before, sizeof ring->before);
    }
}

/* ---- what the bits of $tls_in_resumption and $tls_out_resumption say together ---- */

static const char *const meanings[32] = {
    [1] = "not requested or offered ",
    [3] = "client requested, no server ticket",
    [7] = "client offered session, no server action",
    [9] = "no client request",
    [11] = "client requested new ticket, server provided",
    [13] = "client offered session, not used",
    [15] = "client offered session, server only provided new ticket",
    [17] = "session resumed unasked",
    [19] = "session resumed unasked",
    [23] = "session resumed",
    [25] = "session resumed unasked",
    [27] = "session resumed unasked",
    [29] = "session resumed",
    [31] = "session resumed, also new ticket",
};

struct str tls_resume_decode(struct pool *pool)
{
    struct buf b;
    buf_init(&b, pool, 4096);
    for (unsigned i = 1; i < ARRAY_LEN(meanings); i++) {
        if (i > 1) {
            buf_addc(&b, ':');
        }
        if (meanings[i]) {
            buf_addz(&b, meanings[i]);
        } else {
            buf_addf(&b, " 0x%02X ", i);
        }
    }
    struct str list = buf_str(&b);
    list.tainted = false;
    return list;
}

/* ---- what a ticket is bound to ---- */

void tls_identity(struct tls *t, unsigned char id[32])
{
    const struct tls_side *side = t->side;
    struct buf b;
    buf_init(&b, t->pool, SIZE_MAX);
    buf_adds(&b, tls_credentials_key(t->pool, t->backend, side));
    buf_addf(&b, " %d ", side->verify);
    buf_adds(&b, str_lower(t->pool, t->facts->sni));
    struct str d = digest(t->pool, DIGEST_SHA256, buf_str(&b));
    memcpy(id, d.p, ID_SIZE);
}

static struct str derive(struct tls *t, const unsigned char *secret, const char *what)
{
    unsigned char id[ID_SIZE];
    tls_identity(t, id);
    struct str data = STR_CAT(t->pool, str_c(what), str_n((const char *)id, sizeof id));
    return digest_hmac(t->pool, DIGEST_SHA256, str_n((const char *)secret, SECRET_SIZE), data);
}

static void make_key(struct tls *t, const struct generation *g, struct tls_ticket_key *out)
{
    memcpy(out->name, derive(t, g->secret, "name").p, sizeof out->name);
    memcpy(out->cipher, derive(t, g->secret, "cipher").p, sizeof out->cipher);
    memcpy(out->mac, derive(t, g->secret, "mac").p, sizeof out->mac);
}

enum tls_ticket tls_ticket_key(struct tls *t, const unsigned char *name, struct tls_ticket_key *out)
{
    enum tls_ticket found = TLS_TICKET_NONE;
    tls_tickets_prepare();
    if (!ring) {
        return TLS_TICKET_NONE;
    }
    enter_ring(time_now().tv_sec);
    make_key(t, &ring->now, out);
    if (!name) {
        t->facts->resumption |= RESUME_SERVER_TICKET;
        found = TLS_TICKET_GOOD;
    } else if (memcmp(name, out->name, sizeof out->name) == 0) {
        found = TLS_TICKET_GOOD;
    } else if (ring->before.made) {
        make_key(t, &ring->before, out);
        found = memcmp(name, out->name, sizeof out->name) == 0 ? TLS_TICKET_RENEW : TLS_TICKET_NONE;
    }
    pthread_mutex_unlock(&ring->lock);
    return found;
}

bool tls_ticket_stem(struct tls *t, unsigned char key[64])
{
    tls_tickets_prepare();
    if (!ring) {
        return false;
    }
    memcpy(key, derive(t, ring->stem, "stem 1").p, ID_SIZE);
    memcpy(key + ID_SIZE, derive(t, ring->stem, "stem 2").p, ID_SIZE);
    return true;
}

/* ---- what a client's session depends on ---- */

struct str tls_session_key(struct pool *pool, const struct tls_side *side, struct str host,
                           struct str address, int port, struct str balancer)
{
    const struct tls_backend *b = tls_backend(side->backend);
    struct buf k;
    buf_init(&k, pool, SIZE_MAX);
    buf_adds(&k, b ? tls_credentials_key(pool, b, side) : STR_NONE);
    buf_addf(&k, " verify=%d request=%d require=%d port=%d", side->verify, side->request_ocsp,
             side->require_ocsp, port);
    const struct str texts[] = {host, address, balancer, side->sni};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        buf_addf(&k, " %u:", (unsigned)texts[i].len);
        buf_adds(&k, texts[i]);
    }
    for (size_t i = 0; i < side->names.n; i++) {
        buf_addf(&k, " name %u:", (unsigned)side->names.v[i].len);
        buf_adds(&k, side->names.v[i]);
    }
    if (side->dane) {
        buf_addz(&k, " dane ");
        buf_adds(&k, tlsa_text(pool, side->dane));
    }
    struct str h = hex_encode(pool, digest(pool, DIGEST_SHA256, buf_str(&k)));
    h.tainted = false; /* hex digits name nothing else */
    return h;
}

/* ---- a client's record ---- */

#define MAGIC "minim tls 1\n"

static void put_text(struct buf *b, struct str s)
{
    buf_addf(b, "%d:", str_unset(s) ? -1 : (int)s.len);
    buf_adds(b, s);
}

static bool get_number(struct str *rest, char end, int64_t *out)
{
    ptrdiff_t at = str_chr(*rest, end);
    if (at < 0 || !str_to_i64(str_sub(*rest, 0, (size_t)at), out)) {
        return false;
    }
    *rest = str_from(*rest, (size_t)at + 1);
    return true;
}

static bool get_text(struct str *rest, struct str *out)
{
    int64_t n;
    if (!get_number(rest, ':', &n) || n < -1 || n > (int64_t)rest->len) {
        return false;
    }
    *out = n < 0 ? STR_NONE : str_sub(*rest, 0, (size_t)n);
    *rest = str_from(*rest, n < 0 ? 0 : (size_t)n);
    return true;
}

bool tls_session_record(struct pool *pool, const struct tls_facts *f, struct str *record)
{
    struct tls *t = f->tls;
    int lifetime = 0;
    struct str session = t ? t->backend->session_take(t->link, pool, &lifetime) : STR_NONE;
    struct buf b;
    if (!session.len) {
        return false;
    }
    buf_init(&b, pool, SIZE_MAX);
    buf_addz(&b, MAGIC);
    buf_addf(&b, "%lld %d %d %d %d %d %lld %lld ", (long long)time_now().tv_sec, lifetime, f->bits,
             f->verified, f->dane, (int)f->ocsp, (long long)t->proof_until,
             (long long)t->leaf.not_after);
    put_text(&b, f->cipher);
    put_text(&b, f->cipher_std);
    put_text(&b, f->peercert);
    put_text(&b, f->ocsp_detail);
    put_text(&b, t->peer);
    put_text(&b, session);
    *record = buf_str(&b);
    return true;
}

bool tls_record_read(struct pool *pool, struct str record, struct tls_record *out)
{
    struct str rest = record;
    int64_t n[8];
    if (!str_starts(rest, MAGIC)) {
        return false;
    }
    rest = str_from(rest, sizeof MAGIC - 1);
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        if (!get_number(&rest, ' ', &n[i])) {
            return false;
        }
    }
    struct tls_facts *f = &out->facts;
    *out = (struct tls_record){
        .stored = n[0], .lifetime = (int)n[1], .proof_until = n[6], .leaf_until = n[7]};
    f->bits = (int)n[2];
    f->verified = n[3] == 1;
    f->dane = n[4] == 1;
    f->ocsp = n[5] >= OCSP_NOT_REQUESTED && n[5] <= OCSP_VERIFIED ? (enum tls_ocsp)n[5]
                                                                  : OCSP_NOT_REQUESTED;
    if (!get_text(&rest, &f->cipher) || !get_text(&rest, &f->cipher_std) ||
        !get_text(&rest, &f->peercert) || !get_text(&rest, &f->ocsp_detail) ||
        !get_text(&rest, &out->peer) || !get_text(&rest, &out->session) || rest.len ||
        !out->session.len) {
        return false;
    }
    f->cipher = str_dup(pool, f->cipher);
    f->cipher_std = str_dup(pool, f->cipher_std);
    f->peercert = str_dup(pool, str_taint(f->peercert));
    f->ocsp_detail = str_dup(pool, f->ocsp_detail);
    return true;
}

/*
 * A session is worth what its handshake was worth: it is offered only while the certificate is
 * valid, the ticket lives and, where a status is required, the proof that was stapled then is.
 */
bool tls_record_usable(const struct tls_record *r, bool ocsp_required, time_t now)
{
    enum { DEFAULT_LIFE = 7200 };
    int life = r->lifetime > 0 ? r->lifetime : DEFAULT_LIFE;
    if (now < r->stored || now - r->stored >= life || now >= r->leaf_until) {
        return false;
    }
    if (ocsp_required && (r->facts.ocsp != OCSP_VERIFIED || now >= r->proof_until)) {
        return false;
    }
    return r->facts.ocsp != OCSP_VERIFIED || now < r->proof_until;
}

bool tls_session_usable(struct pool *pool, struct str record, const struct tls_side *side)
{
    struct tls_record r;
    return tls_record_read(pool, record, &r) &&
           tls_record_usable(&r, side->require_ocsp, time_now().tv_sec);
}

struct str tls_session_text(struct pool *pool, struct str record)
{
    struct tls_record r;
    if (!tls_record_read(pool, record, &r)) {
        return STR_NONE;
    }
    struct str made = time_strftime(pool, "%d-%b-%Y %H:%M:%S", r.stored, false);
    return str_fmt(pool, "%.*s %.*s X=%.*s CV=%s life=%ds ocsp=%d", STR_ARG(made), STR_ARG(r.peer),
                   STR_ARG(r.facts.cipher),
                   !r.facts.verified ? "no"
                   : r.facts.dane    ? "dane"
                                     : "yes",
                   r.lifetime, (int)r.facts.ocsp);
}

int64_t tls_session_time(struct str record)
{
    int64_t made;
    struct str rest = str_starts(record, MAGIC) ? str_from(record, sizeof MAGIC - 1) : STR("");
    return get_number(&rest, ' ', &made) ? made : 0;
}
