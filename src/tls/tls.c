/*
 * The tls module: main options, the choice of a backend, and a connection from
 * the handshake to its end as a filter under a stream's buffers.
 *
 * A struct tls lives in the pool of its connection; what it holds of a backend
 * is freed when the stream is closed. The handshake is bounded as a whole by
 * side->timeout, every later read and write by the stream's time-out. What the
 * peer's certificate and its status mean: judge.c.
 */
#include "tls/internal.h"

#include <errno.h>

#define O(field) offsetof(struct tls_settings, field)

static bool set_openssl_options(struct opt_reader *r, void *base, struct str value)
{
    struct tls_settings *s = base;
    bool is_default = str_unset(s->openssl_options), openssl = false;
    struct str bad;
    for (const struct tls_backend *const *b = tls_backends; *b; b++) {
        openssl = openssl || (*b)->options_known;
        if ((*b)->options_known && !(*b)->options_known(value, &bad)) {
            return opt_error(r, "openssl_options parse error: %.*s", STR_ARG(bad));
        }
    }
    if (!openssl && !is_default) {
        return opt_error(r, "openssl_options is set but we're using GnuTLS");
    }
    s->openssl_options = str_dup(r->pool, value);
    return true;
}

static struct str print_openssl_options(struct pool *pool, const void *base)
{
    (void)pool;
    return ((const struct tls_settings *)base)->openssl_options;
}

static const struct option options[] = {
    {"gnutls_allow_auto_pkcs11", OPT_BOOL, O(gnutls_allow_auto_pkcs11), "false",
     "GnuTLS loads PKCS#11 modules by itself", NULL, NULL},
    {"gnutls_compat_mode", OPT_BOOL, O(gnutls_compat_mode), "false",
     "GnuTLS makes allowances for broken peers", NULL, NULL},
    {"hosts_require_alpn", OPT_HOSTS, O(require_alpn_hosts), NULL,
     "clients that must agree upon an application protocol (RFC 7301)", NULL, NULL},
    {"openssl_options", OPT_CUSTOM, O(openssl_options),
     "+no_sslv2 +no_sslv3 +single_dh_use +no_ticket +no_renegotiation",
     "options of OpenSSL, each with + or -", set_openssl_options, print_openssl_options},
    {"tls_advertise_hosts", OPT_HOSTS, O(advertise_hosts), "*", "clients that are offered STARTTLS",
     NULL, NULL},
    {"tls_alpn", OPT_EXPAND, O(alpn), "smtp:esmtp",
     "application protocols (RFC 7301) of which a client that names any must "
     "name one",
     NULL, NULL},
    {"tls_backend", OPT_EXPAND, O(backend), NULL,
     "openssl or gnutls: the library that serves clients", NULL, NULL},
    {"tls_certificate", OPT_EXPAND, O(certificate), NULL,
     "files with the server's certificates and their chains", NULL, NULL},
    {"tls_crl", OPT_EXPAND, O(crl), NULL, "file or directory with certificate revocation lists",
     NULL, NULL},
    {"tls_dh_max_bits", OPT_INT, O(dh_max_bits), "2236",
     "largest Diffie-Hellman parameter GnuTLS is to use", NULL, NULL},
    {"tls_dhparam", OPT_EXPAND, O(dhparam), NULL,
     "Diffie-Hellman parameters: a file, or the name of a group", NULL, NULL},
    {"tls_eccurve", OPT_EXPAND, O(eccurve), "auto", "elliptic curves for the key exchange", NULL,
     NULL},
    {"tls_ocsp_file", OPT_EXPAND, O(ocsp_file), NULL,
     "OCSP proofs (RFC 6960) to staple, in the order of tls_certificate", NULL, NULL},
    {"tls_ocsp_refresh", OPT_DOMAINS, O(ocsp_refresh), NULL,
     "OCSP responders that proofs may be fetched from; off", NULL, NULL},
    {"tls_ocsp_responder", OPT_EXPAND, O(ocsp_responder), NULL,
     "URL of the OCSP responder; the one in the certificate if unset", NULL, NULL},
    {"tls_on_connect_ports", OPT_EXPAND, O(on_connect_ports), NULL,
     "ports on which TLS begins without STARTTLS", NULL, NULL},
    {"tls_privatekey", OPT_EXPAND, O(privatekey), NULL,
     "files with the keys of tls_certificate, if they are not in the same "
     "files",
     NULL, NULL},
    {"tls_remember_esmtp", OPT_BOOL, O(remember_esmtp), "false",
     "EHLO counts on after STARTTLS, for clients that do not repeat it", NULL, NULL},
    {"tls_require_ciphers", OPT_EXPAND, O(require_ciphers), NULL,
     "cipher suites, in the syntax of the library in use", NULL, NULL},
    {"tls_resumption_hosts", OPT_HOSTS, O(resumption_hosts), NULL,
     "clients that may resume sessions (RFC 5077)", NULL, NULL},
    {"tls_resumption_key_file", OPT_EXPAND, O(resumption_key_file), NULL,
     "file with the keys of session tickets, for servers that share them", NULL, NULL},
    {"tls_try_verify_hosts", OPT_HOSTS, O(try_verify_hosts), NULL,
     "clients that are asked for a certificate, which is verified", NULL, NULL},
    {"tls_verify_certificates", OPT_EXPAND, O(verify_certificates), "system",
     "trusted certificates: a file, a directory, or system", NULL, NULL},
    {"tls_verify_hosts", OPT_HOSTS, O(verify_hosts), NULL,
     "clients that must show a certificate that verifies", NULL, NULL},
    {0},
};

const struct tls_settings *tls_settings(const struct config *conf)
{
    return conf->settings[ROOM_TLS];
}

/* ---- backends ---- */

const struct tls_backend *tls_backend(struct str name)
{
    if (str_empty(name)) {
        return tls_backends[0];
    }
    for (size_t i = 0; tls_backends[i]; i++) {
        if (str_is(name, tls_backends[i]->name)) {
            return tls_backends[i];
        }
    }
    return NULL;
}

bool tls_has_backend(struct str name)
{
    return tls_backend(name) != NULL;
}

void tls_versions(struct buf *b)
{
    struct pool *pool = pool_new("tls versions");
    for (size_t i = 0; tls_backends[i]; i++) {
        struct str compiled, running;
        tls_backends[i]->versions(pool, &compiled, &running);
        buf_addf(b, "Library version: %s: Compile: %.*s\n", tls_backends[i]->feature,
                 STR_ARG(compiled));
        buf_addf(b, "%*s Runtime: %.*s\n", (int)strlen(tls_backends[i]->feature) + 17, "",
                 STR_ARG(running));
    }
    pool_free(&pool);
}

/* ---- the stream below ---- */

struct pool *tls_pool(struct tls *t)
{
    return t->pool;
}

/* Milliseconds until the deadline, for stream_ops. */
static int time_left(const struct tls *t)
{
    if (t->deadline < 0) {
        return -1;
    }
    int64_t left = t->deadline - time_monotonic_ms();
    return left > 0 ? (int)left : 0;
}

ssize_t tls_pull(struct tls *t, void *p, size_t n)
{
    if (t->asking && !t->under->readable(t->under_ctx)) {
        errno = EAGAIN;
        return -1;
    }
    int left = time_left(t);
    if (left == 0 && !t->under->readable(t->under_ctx)) {
        t->wire_errno = errno = ETIMEDOUT;
        return -1;
    }
    /* an end at once would be 0; that is for what is there already */
    ssize_t got = t->under->read(t->under_ctx, p, n, left ? left : 1);
    if (got < 0) {
        t->wire_errno = errno == EAGAIN ? ETIMEDOUT : errno;
        errno = t->wire_errno;
    }
    return got;
}

ssize_t tls_push(struct tls *t, const void *p, size_t n)
{
    int left = time_left(t);
    ssize_t put = t->under->write(t->under_ctx, p, n, left ? left : 1);
    if (put < 0) {
        t->wire_errno = errno;
    }
    return put;
}

static void set_deadline(struct tls *t, int timeout_ms)
{
    t->deadline = timeout_ms < 0 ? -1 : time_monotonic_ms() + timeout_ms;
}

/* ---- the filter ---- */

static ssize_t filter_result(struct tls *t, enum tls_io io, size_t n)
{
    switch (io) {
    case TLS_IO_OK: return (ssize_t)n;
    case TLS_IO_EOF: t->ended = true; return 0;
    case TLS_IO_AGAIN: errno = EAGAIN; return -1;
    case TLS_IO_ERROR:
        if (!errno) {
            errno = EPROTO;
        }
        return -1;
    }
    return -1;
}

static ssize_t filter_read(void *ctx, char *p, size_t n, int timeout_ms)
{
    struct tls *t = ctx;
    if (t->stashed && n) {
        *p = t->stash;
        t->stashed = false;
        return 1;
    }
    if (t->ended) {
        return 0;
    }
    size_t got = 0;
    set_deadline(t, timeout_ms);
    enum tls_io io;
    do {
        io = t->backend->read(t->link, p, n, &got);
    } while (io == TLS_IO_AGAIN); /* something else came, a ticket perhaps */
    return filter_result(t, io, got);
}

static ssize_t filter_write(void *ctx, const char *p, size_t n, int timeout_ms)
{
    struct tls *t = ctx;
    size_t put = 0;
    set_deadline(t, timeout_ms);
    enum tls_io io;
    do {
        io = t->backend->write(t->link, p, n, &put);
    } while (io == TLS_IO_AGAIN);
    if (io == TLS_IO_EOF) { /* to a writer an end is an error */
        t->ended = true;
        errno = t->wire_errno ? t->wire_errno : EPIPE;
        return -1;
    }
    return filter_result(t, io, put);
}

/*
 * Bytes under TLS need not be bytes for the reader (tickets, alerts): only
 * reading tells. An end or an error counts as readable, so that it is found.
 */
static bool filter_readable(void *ctx)
{
    struct tls *t = ctx;
    if (t->stashed || t->ended || t->backend->pending(t->link)) {
        return true;
    }
    if (!t->under->readable(t->under_ctx)) {
        return false;
    }
    size_t got = 0;
    t->asking = true;
    set_deadline(t, 0);
    enum tls_io io = t->backend->read(t->link, &t->stash, 1, &got);
    t->asking = false;
    t->stashed = io == TLS_IO_OK && got == 1;
    t->ended = io == TLS_IO_EOF || io == TLS_IO_ERROR;
    return io != TLS_IO_AGAIN;
}

static void let_go(struct tls *t)
{
    t->backend->link_free(&t->link);
    tls_credentials_drop(&t->credentials);
    tls_credentials_drop(&t->named);
}

static void filter_close(void *ctx)
{
    struct tls *t = ctx;
    t->facts->tls = NULL;
    if (t->link) {
        enum { GOODBYE_MS = 1000 };
        set_deadline(t, GOODBYE_MS);
        t->backend->bye(t->link);
        let_go(t);
    }
    t->under->close(t->under_ctx);
}

static const struct stream_ops filter_ops = {filter_read, filter_write, filter_readable,
                                             filter_close};

/* ---- a server is told whom the client means ---- */

#define NO_ALPN "(handshake): ALPN required but not negotiated"

/*
 * A client that names several protocols may be one whose words were meant for another server: only
 * one that knows what it speaks is served (RFC 9325 3.7).
 */
static bool alpn_is_fine(struct tls *t, const struct tls_hello *h)
{
    const struct tls_side *side = t->side;
    struct buf b;
    t->alpn_refused = side->require_alpn && !h->alpn_offered;
    if (t->alpn_refused) {
        t->error = (struct tls_error){TLS_FAULT_HANDSHAKE, STR(NO_ALPN)};
    } else if (h->alpn.n > 1 && !str_empty(side->alpn)) {
        buf_init(&b, t->pool, UINT16_MAX);
        for (size_t i = 0; i < h->alpn.n; i++) {
            buf_addz(&b, i ? ":" : "");
            buf_adds(&b, h->alpn.v[i]);
        }
        log_write(LOG_MAIN, "TLS ALPN (%.*s) rejected",
                  STR_ARG(str_printable(t->pool, buf_str(&b), false)));
        t->alpn_refused = true;
        tls_explain(t, TLS_IO_ERROR, &(struct tls_failure){.cause = TLS_CAUSE_ALPN, .alert = -1},
                    &t->error);
    }
    return !t->alpn_refused;
}

bool tls_hello(struct tls *t, const struct tls_hello *h, struct tls_context **context)
{
    struct tls_side *side = t->side;
    struct str why = STR_NONE;
    *context = NULL;
    t->facts->sni = str_dup(t->pool, h->sni);
    if (side->resume) { /* of others nothing is looked at */
        t->facts->resumption |= h->asks_ticket ? RESUME_CLIENT_ASKED : 0;
        t->facts->resumption |= h->offers_session ? RESUME_CLIENT_OFFERED : 0;
    }
    if (h->asks_status && t->facts->ocsp == OCSP_NOT_REQUESTED) {
        t->facts->ocsp = OCSP_NO_RESPONSE;
    }
    if (!alpn_is_fine(t, h)) {
        return false;
    }
    if (str_empty(h->sni) || !side->on_sni) {
        return true;
    }
    if (side->on_sni(side->closure, side, t->facts->sni, &why)) {
        t->named = tls_credentials(t->pool, t->backend, side, &why);
        if (t->named) {
            *context = t->named->context;
            return true;
        }
    }
    t->error = (struct tls_error){TLS_FAULT_SETUP, why};
    return false;
}

struct str tls_staple(struct tls *t, struct str leaf)
{
    const struct tls_credentials *c = t->named ? t->named : t->credentials;
    struct str proof = staple_for(c->pairs, c->pair_count, leaf);
    if (proof.len) {
        t->facts->ocsp = OCSP_VERIFIED;
        t->facts->ocsp_detail = ocsp_summary(t->pool, proof, leaf);
    }
    return proof;
}

/* ---- the handshake ---- */

/* Client: offers the session that is kept, if it is still worth what is asked for now. */
static void offer_session(struct tls *t)
{
    const struct tls_side *side = t->side;
    struct tls_record *r = POOL_NEW(t->pool, struct tls_record);
    if (!side->resume) {
        return;
    }
    t->facts->resumption |= RESUME_CLIENT_ASKED;
    if (!str_unset(side->session) && tls_session_usable(t->pool, side->session, side) &&
        tls_record_read(t->pool, side->session, r) &&
        t->backend->session_offer(t->link, r->session)) {
        t->offered = r;
        t->facts->resumption |= RESUME_CLIENT_OFFERED;
    }
}

/* In a resumed session the facts are those of the handshake that made it. */
static void recall(struct tls *t)
{
    const struct tls_record *r = t->offered;
    struct tls_facts *f = t->facts;
    f->cipher = r->facts.cipher;
    f->cipher_std = r->facts.cipher_std;
    f->bits = r->facts.bits;
    f->verified = r->facts.verified;
    f->dane = r->facts.dane;
    f->ocsp = r->facts.ocsp;
    f->ocsp_detail = r->facts.ocsp_detail;
    f->peercert = r->facts.peercert;
    t->proof_until = r->proof_until;
}

static void learn(struct tls *t)
{
    struct tls_facts *f = t->facts;
    f->backend = t->backend->name;
    f->tls = t;
    t->backend->facts(t->link, t->pool, f);
    if (f->resumption & RESUME_RESUMED && t->side->server) {
        f->ocsp = OCSP_NOT_REQUESTED; /* no certificate was sent that a status could belong to */
    } else if (f->resumption & RESUME_RESUMED && t->offered) {
        recall(t);
    }
    if (f->peercert.len && (t->leaf.der.len || cert_parse(t->pool, f->peercert, &t->leaf))) {
        f->peerdn = t->backend->slash_dn ? cert_dn_oneline(t->pool, t->leaf.subject)
                                         : cert_dn_text(t->pool, t->leaf.subject);
    }
}

static bool shake_hands(struct tls *t, struct tls_error *error)
{
    struct tls_failure failure = {.alert = -1};
    set_deadline(t, t->side->timeout > 0 ? t->side->timeout * 1000 : -1);
    enum tls_io io = t->backend->handshake(t->link, t->pool, &failure);
    if (!str_unset(t->error.text)) {
        *error = t->error; /* whatever the library makes of it */
        return false;
    }
    if (io != TLS_IO_OK) {
        tls_explain(t, io, &failure, error);
        return false;
    }
    return true;
}

static struct str no_backend(struct pool *pool, struct str name)
{
    return str_fmt(pool, "(tls_backend): there is no \"%.*s\"", STR_ARG(name));
}

bool tls_start(struct pool *pool, struct stream *s, struct tls_side *side, struct tls_facts **facts,
               struct tls_error *error)
{
    struct tls *t = POOL_NEW(pool, struct tls);
    *error = (struct tls_error){TLS_FAULT_SETUP, STR_NONE};
    t->pool = pool;
    t->side = side;
    t->facts = POOL_NEW(pool, struct tls_facts);
    t->facts->sni = side->server ? STR_NONE : str_dup(pool, side->sni);
    t->facts->tlsa_usage = side->dane ? tlsa_usages(side->dane) : 0;
    t->backend = tls_backend(side->backend);
    if (!t->backend) {
        error->text = no_backend(pool, side->backend);
        return false;
    }
    t->credentials = tls_credentials(pool, t->backend, side, &error->text);
    if (!t->credentials) {
        return false;
    }
    t->link = t->backend->link(t->credentials->context, t, side);
    if (!t->link) {
        error->text = STR("(setting up the connection): refused by the library");
        tls_credentials_drop(&t->credentials);
        return false;
    }
    stream_under(s, &t->under, &t->under_ctx);
    t->facts->ocsp = !side->server && side->request_ocsp ? OCSP_NO_RESPONSE : OCSP_NOT_REQUESTED;
    t->peer = str_dup(pool, side->peer);
    t->facts->resumption = RESUME_SUPPORTED;
    if (!side->server) {
        offer_session(t);
    }
    if (!shake_hands(t, error)) {
        let_go(t);
        return false;
    }
    learn(t);
    if (side->require_alpn && str_unset(t->facts->alpn)) {
        *error = (struct tls_error){TLS_FAULT_HANDSHAKE, STR(NO_ALPN)};
        let_go(t);
        return false;
    }
    t->side = NULL;
    *facts = t->facts;
    return stream_push(s, &filter_ops, t);
}

bool tls_ready(struct pool *pool, const struct tls_side *side, struct tls_error *error)
{
    const struct tls_backend *b = tls_backend(side->backend);
    *error = (struct tls_error){TLS_FAULT_SETUP, STR_NONE};
    if (!b) {
        error->text = no_backend(pool, side->backend);
        return false;
    }
    struct tls_credentials *c = tls_credentials(pool, b, side, &error->text);
    bool ok = c != NULL;
    tls_credentials_drop(&c);
    if (ok && side->server && side->resume) {
        tls_tickets_ready(pool, side);
    }
    return ok;
}

/* ---- log ---- */

void tls_log(struct buf *b, const struct tls_facts *f)
{
    if (!f) {
        return;
    }
    if (log_wants(LS_tls_cipher) && f->cipher.len) {
        buf_addz(b, " X=");
        buf_adds(b, f->cipher);
        if (log_wants(LS_tls_resumption) && f->resumption & RESUME_RESUMED) {
            buf_addc(b, '*');
        }
    }
    if (log_wants(LS_tls_certificate_verified) && f->cipher.len) {
        buf_addz(b, f->dane && f->verified ? " CV=dane" : f->verified ? " CV=yes" : " CV=no");
    }
    if (log_wants(LS_tls_peerdn) && !str_unset(f->peerdn)) {
        buf_addz(b, " DN=\"");
        buf_adds(b, str_printable(b->pool, f->peerdn, true));
        buf_addz(b, "\"");
    }
    if (log_wants(LS_tls_sni) && f->sni.len) {
        buf_addz(b, " SNI=");
        buf_adds(b, str_printable(b->pool, f->sni, false));
    }
}

const struct module tls_module = {
    .name = "tls",
    .room = ROOM_TLS,
    .settings_size = sizeof(struct tls_settings),
    .options = options,
    .variables = tls_variables,
    .features = tls_features,
};
