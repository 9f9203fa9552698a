/*
 * TLS by GnuTLS 3.7: mechanism only. What is asked of the peer, what its certificate and its
 * stapled status mean, and what is logged is decided in judge.c and tls.c through the callbacks of
 * internal.h; this file and the other gnutls_*.c are all that knows GnuTLS.
 *
 * A context (credentials, priorities) is made from texts that policy has read, shared by many
 * connections, and freed by its owner. A link (session) moves its bytes by tls_pull() and
 * tls_push(), which block until the deadline. Errors come back in GnuTLS' words.
 *
 * GnuTLS' own view of stapled responses is not asked for: tls_judge_staples() has them all.
 */
#include "tls/gnutls_context.h"
#include "tls/gnutls_tickets.h"
#include "tls/internal.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/ocsp.h>
#include <gnutls/x509.h>

struct tls_link {
    gnutls_session_t session;
    struct tls_context *context; /* the one in use */
    struct tls *t;
    bool server, asks_status;
    bool heard;            /* server: the first ClientHello has been handed to policy */
    bool judged;           /* the peer's chain has been handed to policy */
    int alert;             /* policy ends the handshake with it; 0: it does not */
    int wire_errno;        /* of the last failure below */
    int first;             /* octet from the peer; -1: none yet */
    unsigned char tail[7]; /* the last octets from the peer, until the handshake is over */
    bool done;
    bool seals;            /* server: tickets may be issued */
    int lifetime;          /* client: seconds, of the newest ticket */
    struct str signatures; /* server: the client's list */
    bool issued;           /* client: a ticket came */
    struct str original;   /* client: cipher of the session that was offered */
};

/* ---- words and small conversions ---- */

static struct str gtls_words(int code)
{
    return str_c(gnutls_strerror(code));
}

static void gtls_versions(struct pool *pool, struct str *compiled, struct str *running)
{
    *compiled = str_dup(pool, STR(GNUTLS_VERSION));
    *running = str_dup(pool, str_c(gnutls_check_version(NULL)));
}

/* A tainted view of what GnuTLS holds. */
static struct str view(const gnutls_datum_t *d)
{
    return d && d->size ? str_taint(str_n((const char *)d->data, d->size)) : STR_NONE;
}

/* A copy of what GnuTLS handed over, which is freed. */
static struct str taken(struct pool *pool, gnutls_datum_t *d)
{
    struct str s = d->data ? str_dup(pool, str_n((const char *)d->data, d->size)) : STR_NONE;
    gnutls_free(d->data);
    d->data = NULL;
    return s;
}

static struct tls_link *link_of(gnutls_session_t session)
{
    return gnutls_session_get_ptr(session);
}

/* ---- the wire ---- */

static void note_octets(struct tls_link *l, const unsigned char *p, size_t n)
{
    size_t keep = n < sizeof l->tail ? n : sizeof l->tail;
    l->first = l->first < 0 ? *p : l->first;
    memmove(l->tail, l->tail + keep, sizeof l->tail - keep);
    memcpy(l->tail + sizeof l->tail - keep, p + n - keep, keep);
}

/*
 * The fatal alert in clear that the peer ended with; -1: none. With TLS 1.3 some clients send it so
 * (OpenSSL), and GnuTLS takes it for a record that it cannot decrypt.
 */
static int clear_alert(const struct tls_link *l)
{
    enum { ALERT = 21, FATAL = 2 };
    const unsigned char *p = l->tail;
    return p[0] == ALERT && p[1] == 3 && p[3] == 0 && p[4] == 2 && p[5] == FATAL ? p[6] : -1;
}

static ssize_t wire_pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
    struct tls_link *l = ptr;
    ssize_t got = tls_pull(l->t, p, n);
    if (got < 0) {
        l->wire_errno = errno;
        gnutls_transport_set_errno(l->session, errno);
    } else if (got > 0 && !l->done) {
        note_octets(l, p, (size_t)got);
    }
    return got;
}

/* Time-outs are kept below. */
static int wire_wait(gnutls_transport_ptr_t ptr, unsigned ms)
{
    (void)ptr, (void)ms;
    return 1;
}

static bool push_all(struct tls_link *l, const char *p, size_t n)
{
    while (n) {
        ssize_t put = tls_push(l->t, p, n);
        if (put <= 0) {
            l->wire_errno = errno;
            gnutls_transport_set_errno(l->session, errno);
            return false;
        }
        p += put;
        n -= (size_t)put;
    }
    return true;
}

/* What GnuTLS wants to send at once leaves at once: one packet for a flight, not one a record. */
static ssize_t wire_push(gnutls_transport_ptr_t ptr, const giovec_t *v, int count)
{
    struct tls_link *l = ptr;
    char flight[20000];
    size_t held = 0, total = 0;
    for (int i = 0; i < count; i++) {
        const char *p = v[i].iov_base;
        size_t n = v[i].iov_len;
        total += n;
        if (held + n > sizeof flight) {
            if (!push_all(l, flight, held)) {
                return -1;
            }
            held = 0;
        }
        if (n > sizeof flight || count == 1) {
            if (!push_all(l, p, n)) {
                return -1;
            }
        } else {
            memcpy(flight + held, p, n);
            held += n;
        }
    }
    return push_all(l, flight, held) ? (ssize_t)total : -1;
}

/* ---- callbacks of the handshake: the ClientHello, the proof ---- */

/* What of a context belongs to the session itself. */
static int use_context(struct tls_link *l, struct tls_context *c)
{
    int r = gnutls_priority_set(l->session, c->priority);
    l->context = c;
    if (r >= 0) {
        r = gnutls_credentials_set(l->session, GNUTLS_CRD_CERTIFICATE, c->cred);
    }
    if (r >= 0 && c->alpn_count) {
        unsigned flags = l->server ? GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE : 0;
        r = gnutls_alpn_set_protocols(l->session, c->alpn, c->alpn_count, flags);
    }
    if (r >= 0 && l->server) {
        gnutls_certificate_server_set_request(l->session,
                                              c->verify ? GNUTLS_CERT_REQUEST : GNUTLS_CERT_IGNORE);
    }
    return r;
}

static int on_extension(void *closure, unsigned type, const unsigned char *p, unsigned n)
{
    tls_hello_extension(closure, type, str_n((const char *)p, n));
    return 0;
}

static int on_hello(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                    const gnutls_datum_t *message)
{
    struct tls_link *l = link_of(session);
    struct tls_context *other = NULL;
    (void)type, (void)when;
    if (!incoming || l->heard) {
        return 0; /* the second ClientHello of a connection repeats the first */
    }
    l->heard = true;
    struct tls_hello hello = {.alpn.pool = tls_pool(l->t)};
    int r =
        gnutls_ext_raw_parse(&hello, on_extension, message, GNUTLS_EXT_RAW_FLAG_TLS_CLIENT_HELLO);
    if (r < 0 && r != GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
        return r;
    }
    l->asks_status = hello.asks_status;
    l->signatures = hello.signatures;
    if (!tls_hello(l->t, &hello, &other)) {
        return l->t->alpn_refused ? GNUTLS_E_NO_APPLICATION_PROTOCOL : GNUTLS_E_UNRECOGNIZED_NAME;
    }
    r = other ? use_context(l, other) : 0;
    return r < 0 || !l->context->tickets
               ? r
               : gnutls_tickets_enable(session, l->t, l->context->priority, l->context->cred,
                                       view(message), hello.offers_session, &l->seals);
}

int gtls_on_staple(gnutls_session_t session, void *ptr, gnutls_datum_t *out)
{
    struct tls_link *l = link_of(session);
    struct str proof = tls_staple(l->t, view(gnutls_certificate_get_ours(session)));
    (void)ptr;
    out->data = proof.len ? gnutls_malloc(proof.len) : NULL;
    if (!out->data) {
        return GNUTLS_E_NO_CERTIFICATE_STATUS;
    }
    memcpy(out->data, proof.p, proof.len);
    out->size = proof.len;
    return 0;
}

/*
 * Client: how long the ticket is good for stands first in NewSessionTicket, in all versions. Before
 * GnuTLS has used the message up, that is.
 */
static int on_ticket(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
                     const gnutls_datum_t *message)
{
    struct tls_link *l = link_of(session);
    (void)type, (void)when;
    if (incoming && message->size >= 4) {
        const unsigned char *p = message->data;
        uint32_t seconds = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
        l->lifetime = seconds < INT32_MAX ? (int)seconds : INT32_MAX;
        l->issued = true;
        l->t->facts->resumption |= RESUME_SERVER_TICKET;
    }
    return 0;
}

/* ---- the peer's chain ---- */

/* The library's verdict on a chain that is not empty. */
static void verify_chain(struct tls_link *l, struct tls_chain *chain)
{
    struct pool *pool = tls_pool(l->t);
    const char *purpose = l->server ? GNUTLS_KP_TLS_WWW_CLIENT : GNUTLS_KP_TLS_WWW_SERVER;
    gnutls_typed_vdata_st data = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)purpose,
                                  0};
    struct strvec anchors = {.pool = pool};
    if (!l->server && tls_anchors(l->t, &chain->sent, &anchors)) {
        gnutls_chain_by_anchors(pool, &anchors, purpose, chain);
        return;
    }
    unsigned status = 0;
    int r = gnutls_certificate_verify_peers(l->session, &data, 1, &status);
    gnutls_chain_verdict(pool, &l->context->trust, r, status, chain);
}

static int judge_staples(struct tls_link *l, unsigned chain_length)
{
    struct strvec staples = {.pool = tls_pool(l->t)};
    size_t known = 0;
    for (unsigned i = 0; i < chain_length; i++) {
        gnutls_datum_t d = {NULL, 0};
        bool there = gnutls_ocsp_status_request_get2(l->session, i, &d) >= 0 && d.size;
        strvec_push(&staples, there ? view(&d) : STR(""));
        known = there ? staples.n : known;
    }
    staples.n = known;
    return tls_judge_staples(l->t, &staples);
}

/* The certificates are there, whether good or not, or none was sent. */
static int on_verify(gnutls_session_t session)
{
    struct tls_link *l = link_of(session);
    struct pool *pool = tls_pool(l->t);
    struct tls_chain chain = {.sent.pool = pool, .path.pool = pool, .depth = -1};
    unsigned n = 0;
    const gnutls_datum_t *raw = gnutls_certificate_get_peers(session, &n);
    l->judged = true;
    for (unsigned i = 0; raw && i < n; i++) {
        strvec_push(&chain.sent, view(&raw[i]));
    }
    if (chain.sent.n) {
        verify_chain(l, &chain);
    } else {
        chain.verdict = TLS_NO_CERTIFICATE;
    }
    l->alert = tls_judge_chain(l->t, &chain);
    if (!l->alert && !l->server && l->asks_status) {
        l->alert = judge_staples(l, n);
    }
    return l->alert ? GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR : 0;
}

/* ---- links ---- */

static void gtls_link_free(struct tls_link **l)
{
    if (*l) {
        if ((*l)->session) {
            gnutls_deinit((*l)->session);
        }
        *l = NULL;
    }
}

/* A client asks for a status unless all that is optional is left out: then the extended master secret
 * of TLS 1.2 goes, too. */
static unsigned session_flags(const struct tls_side *side)
{
    unsigned flags = side->resume ? 0 : GNUTLS_NO_TICKETS;
    if (side->server) {
        return flags | GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET;
    }
    if (!side->request_ocsp) {
        flags |= GNUTLS_NO_EXTENSIONS;
    }
    return flags | GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT;
}

static int set_client(struct tls_link *l, const struct tls_side *side)
{
    int r = 0;
    if (side->sni.len) {
        r = gnutls_server_name_set(l->session, GNUTLS_NAME_DNS, side->sni.p, side->sni.len);
    }
    if (side->dh_bits > 0) {
        gnutls_dh_set_prime_bits(l->session, (unsigned)side->dh_bits);
    }
    gnutls_handshake_set_hook_function(l->session, GNUTLS_HANDSHAKE_NEW_SESSION_TICKET,
                                       GNUTLS_HOOK_PRE, on_ticket);
    return r;
}

static struct tls_link *gtls_link(struct tls_context *c, struct tls *t, const struct tls_side *side)
{
    struct tls_link *l = POOL_NEW(tls_pool(t), struct tls_link);
    l->t = t;
    l->first = -1;
    l->server = side->server;
    if (gnutls_init(&l->session, session_flags(side)) < 0) {
        return NULL;
    }
    gnutls_session_set_ptr(l->session, l);
    gnutls_transport_set_ptr(l->session, l);
    gnutls_transport_set_pull_function(l->session, wire_pull);
    gnutls_transport_set_pull_timeout_function(l->session, wire_wait);
    gnutls_transport_set_vec_push_function(l->session, wire_push);
    gnutls_session_set_verify_function(l->session, on_verify);
    if (side->gnutls_compat) {
        gnutls_session_enable_compatibility_mode(l->session);
    }
    int r = use_context(l, c);
    if (r >= 0 && side->server) {
        gnutls_handshake_set_hook_function(l->session, GNUTLS_HANDSHAKE_CLIENT_HELLO,
                                           GNUTLS_HOOK_PRE, on_hello);
    } else if (r >= 0) {
        l->asks_status = side->request_ocsp;
        r = set_client(l, side);
    }
    if (r < 0) {
        gtls_link_free(&l);
    }
    return l;
}

/* ---- the handshake ---- */

static enum tls_cause cause_of(const struct tls_link *l, int code)
{
    enum { CHANGE_CIPHER_SPEC = 20, APPLICATION_DATA = 23 };
    if (l->first >= 0 && (l->first < CHANGE_CIPHER_SPEC || l->first > APPLICATION_DATA)) {
        return TLS_CAUSE_NOT_TLS;
    }
    switch (code) {
    case GNUTLS_E_FATAL_ALERT_RECEIVED: return TLS_CAUSE_PEER_ALERT;
    case GNUTLS_E_UNSUPPORTED_VERSION_PACKET: return TLS_CAUSE_VERSION;
    case GNUTLS_E_NO_CIPHER_SUITES:
    case GNUTLS_E_UNKNOWN_CIPHER_SUITE:
    case GNUTLS_E_NO_COMMON_KEY_SHARE:
    case GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM:
    case GNUTLS_E_INCOMPATIBLE_SIG_WITH_KEY:
    case GNUTLS_E_UNWANTED_ALGORITHM:
    case GNUTLS_E_INSUFFICIENT_CREDENTIALS: return TLS_CAUSE_CIPHER;
    case GNUTLS_E_NO_APPLICATION_PROTOCOL: return TLS_CAUSE_ALPN;
    default: return TLS_CAUSE_OTHER;
    }
}

/* What a code means; errno is that of the wire, or 0 if TLS failed. */
static enum tls_io io_of(struct tls_link *l, int code)
{
    if (code >= 0) {
        return TLS_IO_OK;
    }
    errno = 0;
    switch (code) {
    case GNUTLS_E_AGAIN: return TLS_IO_AGAIN;
    case GNUTLS_E_PREMATURE_TERMINATION: return TLS_IO_EOF;
    case GNUTLS_E_INTERRUPTED: errno = EINTR; break; /* by a signal the caller waits for */
    case GNUTLS_E_PULL_ERROR:
    case GNUTLS_E_PUSH_ERROR: errno = l->wire_errno;
    }
    return TLS_IO_ERROR;
}

/* The reason goes to the peer, if it still listens; what it did before is what counts. */
static void send_alert(struct tls_link *l, int code)
{
    int before = l->t->wire_errno;
    if (l->alert) {
        gnutls_alert_send(l->session, GNUTLS_AL_FATAL, (gnutls_alert_description_t)l->alert);
    } else {
        gnutls_alert_send_appropriate(l->session, code);
    }
    l->t->wire_errno = before;
}

static enum tls_io fail_handshake(struct tls_link *l, int code, struct tls_failure *failure)
{
    enum tls_io io = io_of(l, code);
    int saved = errno;
    failure->alert = -1;
    if (io == TLS_IO_ERROR && !saved) {
        failure->cause = cause_of(l, code);
        failure->text = gtls_words(code);
        if (failure->cause == TLS_CAUSE_PEER_ALERT) {
            failure->alert = (int)gnutls_alert_get(l->session);
        } else if (code == GNUTLS_E_DECRYPTION_FAILED && clear_alert(l) >= 0) {
            failure->cause = TLS_CAUSE_PEER_ALERT;
            failure->alert = clear_alert(l);
            failure->text = gtls_words(GNUTLS_E_FATAL_ALERT_RECEIVED);
        } else {
            send_alert(l, code);
        }
    }
    errno = saved;
    return io;
}

/* What GnuTLS leaves to do: nothing is verified where nothing was sent, no ticket is issued. */
static int finish_server(struct tls_link *l)
{
    bool resumed = gnutls_session_is_resumed(l->session) != 0;
    /* a resumed session says what was sent, not what that is worth */
    if (l->context->verify && !l->judged && on_verify(l->session)) {
        return GNUTLS_E_CERTIFICATE_ERROR;
    }
    if (l->context->chain_staples && l->asks_status && !resumed) {
        tls_staple(l->t, view(gnutls_certificate_get_ours(l->session)));
    }
    if (!l->seals || !(l->t->facts->resumption & RESUME_CLIENT_ASKED)) {
        return 0;
    }
    int r = 0;
    if (gnutls_protocol_get_version(l->session) >= GNUTLS_TLS1_3) {
        r = gnutls_session_ticket_send(l->session, 1, 0);
    } else if (resumed) {
        return 0; /* before TLS 1.3 a ticket is not renewed */
    }
    if (r >= 0) {
        l->t->facts->resumption |= RESUME_SERVER_TICKET;
    }
    return r == GNUTLS_E_INVALID_REQUEST ? 0 : r;
}

static enum tls_io gtls_handshake(struct tls_link *l, struct pool *pool,
                                  struct tls_failure *failure)
{
    int r;
    (void)pool;
    l->wire_errno = 0;
    do {
        r = gnutls_handshake(l->session);
    } while (r < 0 && r != GNUTLS_E_AGAIN && !gnutls_error_is_fatal(r));
    l->done = true;
    if (r >= 0 && l->server) {
        r = finish_server(l);
    }
    return r < 0 ? fail_handshake(l, r, failure) : TLS_IO_OK;
}

/* ---- bytes ---- */

/*
 * What is no data is passed over: warnings, tickets (which GnuTLS reports as if nothing had come), a
 * wish for a new handshake, which is refused. True if reading goes on; a peer that sends nothing
 * else is cut off.
 */
static bool is_passed_over(struct tls_link *l, int code, int *times)
{
    enum { MOST = 64 };
    switch (code) {
    case GNUTLS_E_REHANDSHAKE:
        gnutls_alert_send(l->session, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION);
        break;
    case GNUTLS_E_AGAIN:
        if (l->wire_errno == EAGAIN) {
            return false;
        }
        break;
    case GNUTLS_E_WARNING_ALERT_RECEIVED: break;
    default: return false;
    }
    return ++*times < MOST;
}

static enum tls_io gtls_read(struct tls_link *l, char *p, size_t n, size_t *got)
{
    ssize_t r;
    int times = 0;
    do {
        l->wire_errno = 0;
        r = gnutls_record_recv(l->session, p, n);
    } while (r < 0 && is_passed_over(l, (int)r, &times));
    *got = r > 0 ? (size_t)r : 0;
    return r == 0 ? TLS_IO_EOF : io_of(l, (int)r);
}

static enum tls_io gtls_write(struct tls_link *l, const char *p, size_t n, size_t *put)
{
    ssize_t r;
    do {
        r = gnutls_record_send(l->session, p, n);
    } while (r == GNUTLS_E_INTERRUPTED);
    *put = r > 0 ? (size_t)r : 0;
    return io_of(l, (int)r);
}

static bool gtls_pending(struct tls_link *l)
{
    return gnutls_record_check_pending(l->session) > 0;
}

static void gtls_bye(struct tls_link *l)
{
    gnutls_bye(l->session, GNUTLS_SHUT_WR);
}

/* ---- facts ---- */

/* RFC 9266 for TLS 1.3, RFC 5929 3 before. */
static struct str gtls_binding(struct tls_link *l, struct pool *pool)
{
    gnutls_datum_t d = {NULL, 0};
    bool new = gnutls_protocol_get_version(l->session) >= GNUTLS_TLS1_3;
    if (gnutls_session_channel_binding(
            l->session, new ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE, &d) < 0) {
        return STR_NONE;
    }
    return base64_encode(pool, taken(pool, &d));
}

/* A resumed session bears the text of its first connection. */
static struct str cipher_text(struct tls_link *l, struct pool *pool, struct str version, int bits)
{
    const struct gnutls_deciders d = {.priority = l->context->priority,
                                      .cred = l->context->cred,
                                      .signatures = l->signatures,
                                      .sni = l->t->facts->sni};
    if (l->original.len && gnutls_session_is_resumed(l->session)) {
        return str_dup(pool, l->original);
    }
    return gnutls_cipher_text(pool, l->session, version, bits, l->server ? &d : NULL);
}

static void gtls_facts(struct tls_link *l, struct pool *pool, struct tls_facts *f)
{
    gnutls_datum_t alpn = {NULL, 0};
    unsigned n = 0;
    const gnutls_datum_t *peers = gnutls_certificate_get_peers(l->session, &n);
    const char *version = gnutls_protocol_get_name(gnutls_protocol_get_version(l->session));

    f->version = str_dup(pool, str_c(version));
    f->bits = (int)(8 * gnutls_cipher_get_key_size(gnutls_cipher_get(l->session)));
    f->cipher = cipher_text(l, pool, f->version, f->bits);
    f->cipher_std = str_dup(pool, str_c(gnutls_ciphersuite_get(l->session)));
    if (gnutls_alpn_get_selected_protocol(l->session, &alpn) >= 0) {
        f->alpn = str_dup(pool, view(&alpn));
    }
    f->peercert = peers && n ? str_dup(pool, view(peers)) : STR_NONE;
    f->ourcert = str_dup(pool, view(gnutls_certificate_get_ours(l->session)));
    f->ourcert.tainted = false;
    f->binding = gtls_binding(l, pool);
    if (gnutls_session_is_resumed(l->session)) {
        f->resumption |= RESUME_RESUMED;
    }
}

/* ---- sessions ---- */

static bool gtls_session_offer(struct tls_link *l, struct str session)
{
    struct str cipher, rest;
    if (!gnutls_text_unpack(session, &cipher, &rest) ||
        gnutls_session_set_data(l->session, rest.p, rest.len) < 0) {
        return false;
    }
    l->original = str_dup(tls_pool(l->t), cipher);
    return true;
}

static struct str gtls_session_take(struct tls_link *l, struct pool *pool, int *lifetime)
{
    gnutls_datum_t d = {NULL, 0};
    if (!l->issued || gnutls_session_get_data2(l->session, &d) < 0) {
        return STR_NONE;
    }
    struct tls_facts f = {0};
    gtls_facts(l, pool, &f);
    *lifetime = l->lifetime;
    return gnutls_text_pack(pool, f.cipher, taken(pool, &d));
}

const struct tls_backend tls_gnutls = {
    .name = "gnutls",
    .feature = "GnuTLS",
    .accept = "gnutls_handshake",
    .connect = "gnutls_handshake",
    .slash_dn = false,
    .versions = gtls_versions,
    .context = gtls_context,
    .context_free = gtls_context_free,
    .link = gtls_link,
    .link_free = gtls_link_free,
    .handshake = gtls_handshake,
    .read = gtls_read,
    .write = gtls_write,
    .pending = gtls_pending,
    .bye = gtls_bye,
    .facts = gtls_facts,
    .self_sign = gnutls_self_sign,
    .verify_signature = gnutls_verify_signature,
    .session_offer = gtls_session_offer,
    .session_take = gtls_session_take,
};
