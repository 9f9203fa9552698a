/*
 * Session resumption as a client does it (RFC 5077, RFC 8446 2.2): what it keeps of a session, and
 * when that may be used. The rules are here, once; the libraries only hand over. A server's part:
 * tickets.c.
 *
 * A record holds the library's session and the facts of the handshake that made it. It is data of
 * ours in a hints file, but is read as if it were not: whatever does not fit is refused.
 */
#include "tls/internal.h"

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

/* ---- what a client's session depends on ---- */

struct str tls_session_key(struct pool *pool, const struct tls_side *side, struct str host,
                           struct str address, int port, struct str balancer)
{
    const struct tls_backend *b = tls_backend(side->backend);
    struct str error;
    struct tls_credentials *c = b ? tls_credentials(pool, b, side, &error) : NULL;
    struct buf k;
    buf_init(&k, pool, SIZE_MAX);
    buf_adds(&k, c ? c->identity : STR_NONE); /* without credentials nothing comes about */
    tls_credentials_drop(&c);
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
enum { DIGEST_SIZE = 32 };
static const int64_t LATEST = (int64_t)1 << 40; /* time that is believed, in seconds */

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

/*
 * A bit that tipped over in a secret would be found by the server, which then ends the handshake; so
 * it has to be found before.
 */
struct str tls_record_seal(struct pool *pool, struct str record)
{
    return STR_CAT(pool, record, digest(pool, DIGEST_SHA256, record));
}

/* Takes the digest off; false if it is not that of the record. */
static bool unseal(struct pool *pool, struct str *record)
{
    if (record->len < DIGEST_SIZE) {
        return false;
    }
    struct str body = str_sub(*record, 0, record->len - DIGEST_SIZE);
    struct str seal = str_from(*record, record->len - DIGEST_SIZE);
    *record = body;
    return str_eq(seal, digest(pool, DIGEST_SHA256, body));
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
    *record = tls_record_seal(pool, buf_str(&b));
    return true;
}

bool tls_record_read(struct pool *pool, struct str record, struct tls_record *out)
{
    struct str rest = record;
    int64_t n[8];
    if (!str_starts(rest, MAGIC) || !unseal(pool, &rest)) {
        return false;
    }
    rest = str_from(rest, sizeof MAGIC - 1);
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        if (!get_number(&rest, ' ', &n[i]) || n[i] < 0 ||
            n[i] > (i > 0 && i < 6 ? INT32_MAX : LATEST)) {
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
