/*
 * What the peer's certificate and its stapled status mean for a connection, and
 * the words for it: the rules of both backends, once. The functions are called
 * in the handshake; they note the verdict in the connection and answer with the
 * TLS alert that ends it, or 0.
 *
 * An error's text begins with the step in brackets, as in Exim's log lines,
 * then says the reason in words that do not depend on the library, then has the
 * library's.
 */
#include "tls/internal.h"

#include <errno.h>

/* RFC 8446 6. */
enum {
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_REVOKED = 44,
    ALERT_EXPIRED = 45,
    ALERT_UNKNOWN_CA = 48,
    ALERT_BAD_STATUS = 113,
    ALERT_CERTIFICATE_REQUIRED = 116
};

static const struct {
    int alert;
    const char *words;
} verdicts[] = {
    [TLS_TRUSTED] = {0, ""},
    [TLS_NO_CERTIFICATE] = {ALERT_CERTIFICATE_REQUIRED, "no certificate was sent"},
    [TLS_EXPIRED] = {ALERT_EXPIRED, "certificate has expired"},
    [TLS_NOT_YET_VALID] = {ALERT_BAD_CERTIFICATE, "certificate is not yet valid"},
    [TLS_UNKNOWN_ISSUER] = {ALERT_UNKNOWN_CA, "issuer of the certificate is not trusted"},
    [TLS_SELF_SIGNED] = {ALERT_UNKNOWN_CA, "certificate is self-signed"},
    [TLS_REVOKED] = {ALERT_REVOKED, "certificate has been revoked"},
    [TLS_NO_CRL] = {ALERT_BAD_CERTIFICATE, "no current revocation list of the issuer"},
    [TLS_BAD_SIGNATURE] = {ALERT_BAD_CERTIFICATE, "signature of the certificate is wrong"},
    [TLS_BAD_PURPOSE] = {ALERT_BAD_CERTIFICATE, "certificate is not for this purpose"},
    [TLS_WEAK] = {ALERT_BAD_CERTIFICATE, "certificate is too weak"},
    [TLS_UNTRUSTED] = {ALERT_BAD_CERTIFICATE, "certificate is not valid"},
};

static const char *const alert_words[] = {
    [0] = "close notify",
    [10] = "unexpected message",
    [20] = "bad record MAC",
    [22] = "record overflow",
    [40] = "handshake failure",
    [42] = "bad certificate",
    [43] = "unsupported certificate",
    [44] = "certificate revoked",
    [45] = "certificate expired",
    [46] = "certificate unknown",
    [47] = "illegal parameter",
    [48] = "unknown CA",
    [49] = "access denied",
    [50] = "decode error",
    [51] = "decrypt error",
    [70] = "protocol version",
    [71] = "insufficient security",
    [80] = "internal error",
    [86] = "inappropriate fallback",
    [90] = "user cancelled",
    [109] = "missing extension",
    [110] = "unsupported extension",
    [112] = "unrecognized name",
    [113] = "bad certificate status response",
    [115] = "unknown PSK identity",
    [116] = "certificate required",
    [120] = "no application protocol",
};

/* ---- faults of the handshake ---- */

static struct str alert_text(struct pool *pool, int alert)
{
    const char *w = NULL;
    if (alert >= 0 && (size_t)alert < sizeof alert_words / sizeof *alert_words) {
        w = alert_words[alert];
    }
    return w ? str_fmt(pool, "the peer sent the alert %s", w)
             : str_fmt(pool, "the peer sent alert %d", alert);
}

static struct str cause_text(struct pool *pool, const struct tls_failure *f)
{
    switch (f->cause) {
    case TLS_CAUSE_VERSION: return STR("no common protocol version");
    case TLS_CAUSE_CIPHER: return STR("no common cipher suite");
    case TLS_CAUSE_ALPN: return STR("no common application protocol");
    case TLS_CAUSE_NOT_TLS: return STR("what the peer sent is not TLS");
    case TLS_CAUSE_PEER_ALERT: return alert_text(pool, f->alert);
    case TLS_CAUSE_OTHER: break;
    }
    return STR("protocol error");
}

/* "(step): words: the library's words", the last only where there are any. */
static struct str compose(struct tls *t, const char *step, struct str words, struct str library)
{
    struct str tail =
        library.len ? STR_CAT(t->pool, STR(": "), str_printable(t->pool, library, true)) : STR_NONE;
    return STR_CAT(t->pool, STR("("), str_c(step), STR("): "), words, tail);
}

void tls_explain(struct tls *t, enum tls_io io, const struct tls_failure *failure,
                 struct tls_error *error)
{
    const char *step = t->side->server ? t->backend->accept : t->backend->connect;
    if (io == TLS_IO_ERROR && t->wire_errno == ETIMEDOUT) {
        *error =
            (struct tls_error){TLS_FAULT_TIMEOUT, compose(t, step, STR("timed out"), STR_NONE)};
    } else if (io == TLS_IO_EOF || t->wire_errno == ECONNRESET || t->wire_errno == EPIPE) {
        *error = (struct tls_error){
            TLS_FAULT_CLOSED, compose(t, step, STR("the peer closed the connection"), STR_NONE)};
    } else if (t->wire_errno) {
        *error = (struct tls_error){TLS_FAULT_CLOSED,
                                    compose(t, step, str_c(strerror(t->wire_errno)), STR_NONE)};
    } else {
        *error = (struct tls_error){TLS_FAULT_HANDSHAKE,
                                    compose(t, step, cause_text(t->pool, failure), failure->text)};
    }
}

/* ---- the certificate ---- */

static int refuse_chain(struct tls *t, int alert, enum tls_fault fault, struct str words,
                        struct str library)
{
    t->error =
        (struct tls_error){fault, compose(t, "certificate verification failed", words, library)};
    return alert;
}

bool tls_anchors(struct tls *t, const struct strvec *sent, struct strvec *anchors)
{
    const struct tlsa_set *dane = t->side->dane;
    if (!dane) {
        return false;
    }
    for (size_t i = 0; i < sent->n; i++) {
        if (tlsa_trusts(t->pool, dane, sent->v[i])) {
            strvec_push(anchors, sent->v[i]);
        }
    }
    tlsa_anchors(dane, anchors);
    return true;
}

/* Who issued the leaf: the next of the verified path, or whoever sent along
 * fits by name. */
static void find_issuer(struct tls *t, const struct tls_chain *chain)
{
    const struct strvec *v = chain->path.n ? &chain->path : &chain->sent;
    struct cert c;
    for (size_t i = v->n > 1 ? 1 : 0; i < v->n; i++) {
        if (cert_parse(t->pool, str_dup(t->pool, v->v[i]), &c) &&
            str_eq(c.subject, t->leaf.issuer)) {
            t->issuer = c;
            return;
        }
    }
}

static bool bears_a_name(struct tls *t)
{
    const struct strvec *names = &t->side->names;
    for (size_t i = 0; i < names->n; i++) {
        if (cert_bears_name(t->pool, &t->leaf, names->v[i])) {
            return true;
        }
    }
    return names->n == 0;
}

/* RFC 7671 5.1: for usage 3 neither names nor dates matter; for usage 2 the
 * chain and the name do. */
static int judge_by_dane(struct tls *t, const struct tls_chain *chain)
{
    struct tls_facts *f = t->facts;
    f->dane = true;
    if (tlsa_matches_leaf(t->pool, t->side->dane, t->leaf.der)) {
        f->verified = t->dane_matched = true;
        return 0;
    }
    if (chain->verdict != TLS_TRUSTED) {
        return refuse_chain(t, verdicts[chain->verdict].alert, TLS_FAULT_DANE,
                            STR("no TLSA record matches the certificate"), chain->text);
    }
    t->trusted = true;
    if (!bears_a_name(t)) {
        return refuse_chain(t, ALERT_BAD_CERTIFICATE, TLS_FAULT_DANE,
                            STR("certificate name mismatch"), STR_NONE);
    }
    f->verified = true;
    return 0;
}

int tls_judge_chain(struct tls *t, const struct tls_chain *chain)
{
    const struct tls_side *side = t->side;
    bool must = side->verify == TLS_VERIFY_MUST;
    if (chain->sent.n == 0 || !cert_parse(t->pool, str_dup(t->pool, chain->sent.v[0]), &t->leaf)) {
        enum tls_verdict v = chain->sent.n ? TLS_UNTRUSTED : TLS_NO_CERTIFICATE;
        if (!must && !side->dane) {
            return 0;
        }
        return refuse_chain(t, side->server ? verdicts[v].alert : ALERT_HANDSHAKE_FAILURE,
                            side->dane ? TLS_FAULT_DANE : TLS_FAULT_VERIFY,
                            str_c(verdicts[v].words), STR_NONE);
    }
    find_issuer(t, chain);
    if (side->dane) {
        return judge_by_dane(t, chain);
    }
    t->trusted = chain->verdict == TLS_TRUSTED;
    bool named = t->trusted && bears_a_name(t);
    t->facts->verified = side->verify != TLS_VERIFY_OFF && t->trusted && named;
    if (!must || t->facts->verified) {
        return 0;
    }
    if (t->trusted) {
        return refuse_chain(t, ALERT_BAD_CERTIFICATE, TLS_FAULT_VERIFY,
                            STR("certificate name mismatch"), STR_NONE);
    }
    return refuse_chain(t, verdicts[chain->verdict].alert, TLS_FAULT_VERIFY,
                        str_c(verdicts[chain->verdict].words), chain->text);
}

/* ---- its status ---- */

static int refuse_status(struct tls *t, struct str words)
{
    t->error = (struct tls_error){TLS_FAULT_OCSP,
                                  compose(t, "certificate status check failed", words, STR_NONE)};
    return ALERT_BAD_STATUS;
}

/*
 * A must-staple certificate (RFC 7633) is as good as a requirement. Where the
 * certificate is matched by a TLSA record of usage 3 its issuer need not be
 * known, so that a status cannot be checked: there a requirement does not
 * apply.
 */
int tls_judge_staples(struct tls *t, const struct strvec *staples)
{
    struct tls_facts *f = t->facts;
    bool required = t->side->require_ocsp || t->leaf.must_staple;
    if (staples->n == 0 || str_empty(staples->v[0])) {
        f->ocsp = OCSP_NO_RESPONSE;
        if (!required || t->dane_matched) {
            return 0;
        }
        log_write(LOG_MAIN, "Required TLS certificate status not received");
        return refuse_status(t, STR("Required TLS certificate status not received"));
    }
    if (!t->issuer.der.len || (!t->trusted && !t->dane_matched)) {
        f->ocsp = OCSP_NOT_VERIFIED;
        f->ocsp_detail = STR("not verified: the issuer of the certificate is not trusted");
        return required && !t->dane_matched
                   ? refuse_status(t, STR("the issuer of the certificate is not trusted"))
                   : 0;
    }
    struct ocsp_status status;
    ocsp_check(t->pool, t->backend, str_dup(t->pool, staples->v[0]), &t->leaf, &t->issuer,
               time_now().tv_sec, &status);
    f->ocsp = status.result == OCSP_GOOD ? OCSP_VERIFIED : OCSP_FAILED;
    f->ocsp_detail = status.text;
    if (status.result == OCSP_GOOD) {
        t->proof_until = status.next_update;
        return 0;
    }
    struct str words = ocsp_words(t->pool, &status);
    log_write(LOG_MAIN, "%.*s", STR_ARG(words));
    return required ? refuse_status(t, words) : 0;
}
