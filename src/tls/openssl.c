/*
 * TLS by OpenSSL 3: mechanism only. What is asked of the peer, what its
 * certificate and its stapled status mean, and what is logged is decided in
 * judge.c and tls.c through the callbacks of internal.h; this file and the
 * other openssl_*.c are all that knows OpenSSL.
 *
 * A context (SSL_CTX) is made from texts that policy has read, shared by many
 * connections, and freed by its owner. A link (SSL) moves its bytes by
 * tls_pull() and tls_push(), which block until the deadline. Errors come back
 * in OpenSSL's words; nothing of its error queue is left behind.
 */
#include "tls/internal.h"
#include "tls/openssl.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct tls_context {
    SSL_CTX *ctx;
    BIO_METHOD *wire;
    struct pool *pool;
    struct str alpn; /* wire form */
    bool server, verify;
};

struct tls_link {
    SSL *ssl;
    struct tls_context *context; /* that it began with */
    struct tls *t;
    SSL_SESSION *issued; /* client: the newest that the server gave */
    int last_errno;      /* of the wire */
    bool must;           /* server: a certificate is required */
};

/* ---- words ---- */

static void ossl_versions(struct pool *pool, struct str *compiled, struct str *running)
{
    *compiled = str_dup(pool, str_c(OPENSSL_VERSION_TEXT));
    *running = str_dup(pool, str_c(OpenSSL_version(OPENSSL_VERSION)));
}

/* ---- the wire ---- */

static int wire_read(BIO *b, char *p, int n)
{
    struct tls_link *l = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    ssize_t got = tls_pull(l->t, p, (size_t)n);
    if (got < 0) {
        l->last_errno = errno;
        if (errno == EAGAIN) {
            BIO_set_retry_read(b);
        }
    }
    return (int)got;
}

static int wire_write(BIO *b, const char *p, int n)
{
    struct tls_link *l = BIO_get_data(b);
    BIO_clear_retry_flags(b); /* what a read left there would make an error look like a wait */
    ssize_t put = tls_push(l->t, p, (size_t)n);
    if (put < 0) {
        l->last_errno = errno;
    }
    return (int)put;
}

static long wire_ctrl(BIO *b, int cmd, long num, void *p)
{
    (void)b;
    (void)num;
    (void)p;
    return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *wire_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "minim stream");
    if (m) {
        BIO_meth_set_read(m, wire_read);
        BIO_meth_set_write(m, wire_write);
        BIO_meth_set_ctrl(m, wire_ctrl);
    }
    return m;
}

/* ---- small conversions ---- */

static struct str cert_der(struct pool *pool, const X509 *x)
{
    unsigned char *p = NULL;
    int n = x ? i2d_X509(x, &p) : 0;
    struct str s = n > 0 ? str_taint(str_dup(pool, str_n((char *)p, (size_t)n))) : STR_NONE;
    OPENSSL_free(p);
    return s;
}

static void chain_ders(struct pool *pool, const STACK_OF(X509) * chain, struct strvec *out)
{
    for (int i = 0; chain && i < sk_X509_num(chain); i++) {
        strvec_push(out, cert_der(pool, sk_X509_value(chain, i)));
    }
}

/* ---- callbacks of the handshake ---- */

static struct tls_link *link_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

struct tls *ossl_tls(const struct ssl_st *ssl)
{
    return link_of(ssl)->t;
}

/* RFC 6066 3: a list with one host_name. */
static struct str hello_sni(SSL *ssl)
{
    const unsigned char *p;
    size_t n;
    if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) || n < 5 || p[2] != 0) {
        return STR_NONE;
    }
    size_t len = (size_t)p[3] << 8 | p[4];
    return len <= n - 5 ? str_taint(str_n((const char *)p + 5, len)) : STR_NONE;
}

/* RFC 7301 3.1: names, each behind its length. */
static void hello_alpn(SSL *ssl, struct tls_hello *h)
{
    const unsigned char *p;
    size_t n;
    h->alpn_offered =
        SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &p, &n);
    for (size_t i = 2; h->alpn_offered && i < n && p[i] <= n - i - 1; i += p[i] + 1u) {
        strvec_push(&h->alpn, str_taint(str_n((const char *)p + i + 1, p[i])));
    }
}

static bool hello_has(SSL *ssl, unsigned type, size_t *len)
{
    const unsigned char *p;
    size_t n = 0;
    bool there = SSL_client_hello_get0_ext(ssl, type, &p, &n);
    if (len) {
        *len = n;
    }
    return there;
}

static int on_hello(SSL *ssl, int *alert, void *arg)
{
    (void)arg;
    struct tls_link *l = link_of(ssl);
    struct tls_context *other = NULL;
    unsigned char id[32];
    size_t ticket;
    struct tls_hello h = {.sni = hello_sni(ssl), .alpn.pool = tls_pool(l->t)};
    bool has_ticket = hello_has(ssl, TLSEXT_TYPE_session_ticket, &ticket);
    h.asks_status = hello_has(ssl, TLSEXT_TYPE_status_request, NULL);
    h.offers_session = (has_ticket && ticket) || hello_has(ssl, TLSEXT_TYPE_psk, NULL);
    h.asks_ticket = has_ticket || hello_has(ssl, TLSEXT_TYPE_psk_kex_modes, NULL);
    hello_alpn(ssl, &h);
    if (!tls_hello(l->t, &h, &other)) {
        *alert = l->t->alpn_refused ? SSL_AD_NO_APPLICATION_PROTOCOL : SSL_AD_UNRECOGNIZED_NAME;
        return SSL_CLIENT_HELLO_ERROR;
    }
    if (other) {
        SSL_set_SSL_CTX(ssl, other->ctx);
        SSL_set_verify(ssl, SSL_CTX_get_verify_mode(other->ctx), NULL);
    }
    tls_identity(l->t, id);
    SSL_set_session_id_context(ssl, id, sizeof id);
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen,
                   const unsigned char *in, unsigned inlen, void *arg)
{
    (void)ssl;
    const struct tls_context *c = arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, outlen, (const unsigned char *)c->alpn.p, c->alpn.len, in,
                              inlen) != OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int status_of_server(SSL *ssl, struct tls_link *l)
{
    struct str proof = tls_staple(l->t, cert_der(tls_pool(l->t), SSL_get_certificate(ssl)));
    unsigned char *copy = proof.len ? OPENSSL_memdup(proof.p, proof.len) : NULL;
    if (!copy) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)proof.len);
    return SSL_TLSEXT_ERR_OK;
}

/* As a server: what to staple. As a client: what was. */
static int on_status(SSL *ssl, void *arg)
{
    (void)arg;
    struct tls_link *l = link_of(ssl);
    if (SSL_is_server(ssl)) {
        return status_of_server(ssl, l);
    }
    if (SSL_session_reused(ssl)) {
        return 1; /* no certificate came that a status could belong to; the stored one counts */
    }
    const unsigned char *p;
    long n = SSL_get_tlsext_status_ocsp_resp(ssl, &p);
    struct strvec staples = {.pool = tls_pool(l->t)};
    if (n > 0 && p) {
        strvec_push(&staples, str_taint(str_n((const char *)p, (size_t)n)));
    }
    return tls_judge_staples(l->t, &staples) == 0;
}

static enum tls_verdict verdict_of(int error)
{
    switch (error) {
    case X509_V_OK: return TLS_TRUSTED;
    case X509_V_ERR_CERT_HAS_EXPIRED: return TLS_EXPIRED;
    case X509_V_ERR_CERT_NOT_YET_VALID: return TLS_NOT_YET_VALID;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE: return TLS_UNKNOWN_ISSUER;
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN: return TLS_SELF_SIGNED;
    case X509_V_ERR_CERT_REVOKED: return TLS_REVOKED;
    case X509_V_ERR_UNABLE_TO_GET_CRL:
    case X509_V_ERR_UNABLE_TO_GET_CRL_ISSUER:
    case X509_V_ERR_CRL_HAS_EXPIRED:
    case X509_V_ERR_CRL_NOT_YET_VALID:
    case X509_V_ERR_CRL_SIGNATURE_FAILURE: return TLS_NO_CRL;
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return TLS_BAD_SIGNATURE;
    case X509_V_ERR_INVALID_PURPOSE:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
    case X509_V_ERR_PATH_LENGTH_EXCEEDED: return TLS_BAD_PURPOSE;
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
    case X509_V_ERR_CA_MD_TOO_WEAK: return TLS_WEAK;
    default: return TLS_UNTRUSTED;
    }
}

/* For DANE: these certificates, and no others, end a chain. */
static STACK_OF(X509) * trust_only(X509_STORE_CTX *c, const struct strvec *anchors)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    for (size_t i = 0; all && i < anchors->n; i++) {
        const unsigned char *p = (const unsigned char *)anchors->v[i].p;
        X509 *x = d2i_X509(NULL, &p, (long)anchors->v[i].len);
        if (x) {
            sk_X509_push(all, x);
        }
    }
    X509_STORE_CTX_set0_trusted_stack(c, all);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(c);
    X509_VERIFY_PARAM_clear_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
    return all;
}

/* Has OpenSSL verify, and policy judge; OpenSSL makes the alert from the error
 * that is left set. */
static int on_verify(X509_STORE_CTX *c, void *arg)
{
    (void)arg;
    SSL *ssl = X509_STORE_CTX_get_ex_data(c, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_link *l = link_of(ssl);
    struct pool *pool = tls_pool(l->t);
    struct tls_chain chain = {.sent.pool = pool, .path.pool = pool};
    struct strvec anchors = {.pool = pool};
    STACK_OF(X509) *only = NULL;

    chain_ders(pool, X509_STORE_CTX_get0_untrusted(c), &chain.sent);
    if (tls_anchors(l->t, &chain.sent, &anchors)) {
        only = trust_only(c, &anchors);
    }
    int ok = X509_verify_cert(c);
    int error = ok == 1 ? X509_V_OK : X509_STORE_CTX_get_error(c);
    chain.verdict = ok == 1 ? TLS_TRUSTED : verdict_of(error);
    chain.depth = ok == 1 ? -1 : X509_STORE_CTX_get_error_depth(c);
    chain.text = ok == 1 ? STR_NONE : str_c(X509_verify_cert_error_string(error));
    if (ok == 1) {
        chain_ders(pool, X509_STORE_CTX_get0_chain(c), &chain.path);
    }
    bool go_on = tls_judge_chain(l->t, &chain) == 0;
    sk_X509_pop_free(only, X509_free);
    ERR_clear_error();
    /* kept with a session, so that a server knows it again when it is resumed */
    X509_STORE_CTX_set_error(c, l->t->facts->verified ? X509_V_OK
                                : error != X509_V_OK  ? error
                                                      : X509_V_ERR_HOSTNAME_MISMATCH);
    return go_on;
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_link *l = link_of(ssl);
    SSL_SESSION_free(l->issued);
    l->issued = session;
    l->t->facts->resumption |= RESUME_SERVER_TICKET;
    return 1; /* the reference is ours now */
}

/* ---- contexts ---- */

static void ossl_context_free(struct tls_context **c)
{
    if (*c) {
        struct pool *pool = (*c)->pool;
        SSL_CTX_free((*c)->ctx);
        BIO_meth_free((*c)->wire);
        *c = NULL;
        pool_free(&pool);
    }
}

static void ossl_callbacks(struct tls_context *c, const struct tls_spec *spec)
{
    SSL_CTX_set_cert_verify_callback(c->ctx, on_verify, NULL);
    SSL_CTX_set_tlsext_status_cb(c->ctx, on_status);
    if (spec->server) {
        SSL_CTX_set_client_hello_cb(c->ctx, on_hello, NULL);
        SSL_CTX_set_verify(c->ctx, spec->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
        if (c->alpn.len) {
            SSL_CTX_set_alpn_select_cb(c->ctx, on_alpn, c);
        }
        return;
    }
    SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL); /* else the verdict would not count */
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c->ctx, on_new_session);
    if (c->alpn.len) {
        SSL_CTX_set_alpn_protos(c->ctx, (const unsigned char *)c->alpn.p, c->alpn.len);
    }
}

static struct tls_context *ossl_context(struct pool *scratch, const struct tls_spec *spec,
                                        const char **where, struct str *error)
{
    struct pool *pool = pool_new("OpenSSL context");
    struct tls_context *c = POOL_NEW(pool, struct tls_context);
    c->pool = pool;
    c->server = spec->server;
    c->verify = spec->verify;
    c->alpn = str_dup(pool, spec->alpn);
    c->ctx = SSL_CTX_new(spec->server ? TLS_server_method() : TLS_client_method());
    c->wire = wire_method();
    *where = "SSL_CTX_new";
    if (!c->ctx || !c->wire) {
        *error = ossl_words(scratch);
        ossl_context_free(&c);
        return NULL;
    }
    SSL_CTX_set_mode(c->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_id_context(c->ctx, (const unsigned char *)"minim", 5);
    if (spec->server) {
        ossl_tickets(c->ctx, spec->tickets);
    }
    if (!ossl_settings(scratch, c->ctx, spec, where, error)) {
        ossl_context_free(&c);
        return NULL;
    }
    ossl_callbacks(c, spec);
    ERR_clear_error();
    return c;
}

/* ---- links ---- */

static void ossl_link_free(struct tls_link **l)
{
    if (*l) {
        SSL_SESSION_free((*l)->issued);
        SSL_free((*l)->ssl);
        *l = NULL;
    }
}

static bool ossl_client_asks(struct tls_link *l, struct pool *pool, const struct tls_side *side)
{
    if (side->sni.len && !SSL_set_tlsext_host_name(l->ssl, str_cstr(pool, side->sni))) {
        return false;
    }
    if (side->request_ocsp) {
        SSL_set_tlsext_status_type(l->ssl, TLSEXT_STATUSTYPE_ocsp);
    }
    return true;
}

static struct tls_link *ossl_link(struct tls_context *c, struct tls *t, const struct tls_side *side)
{
    struct tls_link *l = POOL_NEW(tls_pool(t), struct tls_link);
    BIO *wire = BIO_new(c->wire);
    l->context = c;
    l->t = t;
    l->must = side->server && side->verify == TLS_VERIFY_MUST;
    l->ssl = SSL_new(c->ctx);
    if (!l->ssl || !wire) {
        BIO_free(wire);
        ossl_link_free(&l);
        return NULL;
    }
    BIO_set_data(wire, l);
    BIO_set_init(wire, 1);
    SSL_set_bio(l->ssl, wire, wire);
    SSL_set_app_data(l->ssl, l);
    if (l->must) {
        SSL_set_verify(l->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    if (!side->server && !ossl_client_asks(l, tls_pool(t), side)) {
        ossl_link_free(&l);
    }
    return l;
}

static enum tls_cause cause_of(int reason)
{
    switch (reason) {
    case SSL_R_NO_SHARED_CIPHER:
    case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
    case SSL_R_NO_SUITABLE_KEY_SHARE:
    case SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: return TLS_CAUSE_CIPHER;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
    case SSL_R_WRONG_SSL_VERSION:
    case SSL_R_NO_PROTOCOLS_AVAILABLE:
    case SSL_R_UNKNOWN_PROTOCOL: return TLS_CAUSE_VERSION;
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
    case SSL_R_HTTPS_PROXY_REQUEST:
    case SSL_R_PACKET_LENGTH_TOO_LONG:
    case SSL_R_BAD_RECORD_TYPE: return TLS_CAUSE_NOT_TLS;
    case SSL_R_NO_APPLICATION_PROTOCOL: return TLS_CAUSE_ALPN;
    default: return reason > SSL_AD_REASON_OFFSET ? TLS_CAUSE_PEER_ALERT : TLS_CAUSE_OTHER;
    }
}

/* What became of a call that gave r; leaves errno for a failure of the wire, 0
 * for one of TLS. */
static enum tls_io ossl_result(struct tls_link *l, int r, struct pool *pool,
                               struct tls_failure *failure)
{
    int e = SSL_get_error(l->ssl, r);
    int reason = ERR_GET_REASON(ERR_peek_error());
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE) {
        return TLS_IO_AGAIN;
    }
    if (e == SSL_ERROR_ZERO_RETURN || reason == SSL_R_UNEXPECTED_EOF_WHILE_READING ||
        (e == SSL_ERROR_SYSCALL && !l->last_errno)) {
        ERR_clear_error();
        return TLS_IO_EOF;
    }
    errno = e == SSL_ERROR_SYSCALL ? l->last_errno : 0;
    if (failure && !errno) {
        failure->cause = cause_of(reason);
        failure->alert =
            failure->cause == TLS_CAUSE_PEER_ALERT ? reason - SSL_AD_REASON_OFFSET : -1;
        failure->text = ossl_words(pool);
        errno = 0;
    }
    int saved = errno;
    ERR_clear_error();
    errno = saved;
    return TLS_IO_ERROR;
}

static enum tls_io ossl_handshake(struct tls_link *l, struct pool *pool,
                                  struct tls_failure *failure)
{
    ERR_clear_error();
    l->last_errno = 0;
    bool server = SSL_is_server(l->ssl);
    int r = server ? SSL_accept(l->ssl) : SSL_connect(l->ssl);
    bool missing =
        r <= 0 && ERR_GET_REASON(ERR_peek_error()) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
    if (missing || (r == 1 && server && SSL_get_verify_mode(l->ssl) != SSL_VERIFY_NONE &&
                    !SSL_get0_peer_certificate(l->ssl))) {
        /* OpenSSL has nothing verified where nothing was sent */
        const struct tls_chain none = {.verdict = TLS_NO_CERTIFICATE, .depth = -1};
        tls_judge_chain(l->t, &none);
    }
    return r == 1 ? TLS_IO_OK : ossl_result(l, r, pool, failure);
}

static enum tls_io ossl_read(struct tls_link *l, char *p, size_t n, size_t *got)
{
    ERR_clear_error();
    l->last_errno = 0;
    int r = SSL_read_ex(l->ssl, p, n, got);
    return r == 1 ? TLS_IO_OK : ossl_result(l, r, NULL, NULL);
}

static enum tls_io ossl_write(struct tls_link *l, const char *p, size_t n, size_t *put)
{
    ERR_clear_error();
    l->last_errno = 0;
    int r = SSL_write_ex(l->ssl, p, n, put);
    return r == 1 ? TLS_IO_OK : ossl_result(l, r, NULL, NULL);
}

static bool ossl_pending(struct tls_link *l)
{
    return SSL_pending(l->ssl) > 0;
}

static void ossl_bye(struct tls_link *l)
{
    SSL_shutdown(l->ssl);
    ERR_clear_error();
}

/* ---- facts ---- */

/* RFC 9266 for TLS 1.3, RFC 5929 3 (the first Finished) before. */
static struct str ossl_binding(struct tls_link *l, struct pool *pool)
{
    char raw[64];
    size_t n = 32;
    if (SSL_version(l->ssl) >= TLS1_3_VERSION) {
        if (SSL_export_keying_material(l->ssl, (unsigned char *)raw, n, "EXPORTER-Channel-Binding",
                                       24, (const unsigned char *)"", 0, 1) != 1) {
            n = 0;
        }
    } else if (SSL_is_server(l->ssl) != SSL_session_reused(l->ssl)) {
        n = SSL_get_peer_finished(l->ssl, raw, sizeof raw);
    } else {
        n = SSL_get_finished(l->ssl, raw, sizeof raw);
    }
    ERR_clear_error();
    return n ? base64_encode(pool, str_n(raw, n)) : STR_NONE;
}

static void ossl_facts(struct tls_link *l, struct pool *pool, struct tls_facts *f)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(l->ssl);
    const char *version = SSL_get_version(l->ssl);
    const unsigned char *alpn;
    unsigned alpn_len;

    f->bits = SSL_CIPHER_get_bits(cipher, NULL);
    /* "TLSv1.3" is written without its v */
    f->version = strncmp(version, "TLSv", 4) == 0 ? STR_CAT(pool, STR("TLS"), str_c(version + 4))
                                                  : str_dup(pool, str_c(version));
    f->cipher =
        str_fmt(pool, "%.*s:%s:%d", STR_ARG(f->version), SSL_CIPHER_get_name(cipher), f->bits);
    f->cipher.tainted = false;
    f->cipher_std = str_dup(pool, str_c(SSL_CIPHER_standard_name(cipher)));
    SSL_get0_alpn_selected(l->ssl, &alpn, &alpn_len);
    if (alpn_len) {
        f->alpn = str_dup(pool, str_taint(str_n((const char *)alpn, alpn_len)));
    }
    f->peercert = cert_der(pool, SSL_get0_peer_certificate(l->ssl));
    f->ourcert = cert_der(pool, SSL_get_certificate(l->ssl));
    f->ourcert.tainted = false;
    f->binding = ossl_binding(l, pool);
    if (SSL_session_reused(l->ssl)) {
        f->resumption |= RESUME_RESUMED;
        f->verified = f->peercert.len && SSL_get_verify_result(l->ssl) == X509_V_OK;
    }
}

/* ---- sessions ---- */

static bool ossl_session_offer(struct tls_link *l, struct str session)
{
    return ossl_offer(l->ssl, session);
}

static struct str ossl_session_take(struct tls_link *l, struct pool *pool, int *lifetime)
{
    return l->issued ? ossl_pack(l->issued, pool, lifetime) : STR_NONE;
}

const struct tls_backend tls_openssl = {
    .name = "openssl",
    .feature = "OpenSSL",
    .accept = "SSL_accept",
    .connect = "SSL_connect",
    .slash_dn = true,
    .options_known = ossl_options_known,
    .versions = ossl_versions,
    .context = ossl_context,
    .context_free = ossl_context_free,
    .link = ossl_link,
    .link_free = ossl_link_free,
    .handshake = ossl_handshake,
    .read = ossl_read,
    .write = ossl_write,
    .pending = ossl_pending,
    .bye = ossl_bye,
    .facts = ossl_facts,
    .self_sign = ossl_self_sign,
    .verify_signature = ossl_verify_signature,
    .session_offer = ossl_session_offer,
    .session_take = ossl_session_take,
};
