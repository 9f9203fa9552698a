/*
 * Primitives by GnuTLS for gnutls.c: chains of certificates, signatures over data, and a certificate
 * for a server that was given none. Like gnutls.c this is mechanism: what a verdict means is decided
 * in judge.c, who may sign what in ocsp.c.
 *
 * GnuTLS' check of revocation lists is replaced by a stricter one: a missing or outdated list
 * counts, as it does with the other library. How GnuTLS went from leaf to anchor it does not tell,
 * so the way is looked for again, every signature on it checked.
 *
 * Nothing is kept between calls; results are copies in the caller's pool.
 */
#include "tls/der.h"
#include "tls/gnutls_text.h"

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

static gnutls_datum_t datum(struct str s)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.p, s.len};
}

static struct str taken(struct pool *pool, gnutls_datum_t *d)
{
    struct str s = d->data ? str_dup(pool, str_n((const char *)d->data, d->size)) : STR_NONE;
    gnutls_free(d->data);
    return s;
}

static struct str cert_der(struct pool *pool, gnutls_x509_crt_t c)
{
    gnutls_datum_t d = {NULL, 0};
    gnutls_x509_crt_export2(c, GNUTLS_X509_FMT_DER, &d);
    return str_taint(taken(pool, &d));
}

/* ---- chains ---- */

/* Most certificates of a chain that are looked at; what GnuTLS verifies by default. */
enum { MAX_CHAIN = 16 };

/* A chain in the library's form. */
struct chain {
    gnutls_x509_crt_t sent[MAX_CHAIN];
    unsigned n;
    gnutls_x509_crt_t path[MAX_CHAIN + 1]; /* leaf to anchor */
    unsigned path_n;
    gnutls_x509_crt_t anchor; /* the path's last, if it is not of those sent */
};

static bool chain_import(struct chain *c, const struct strvec *sent)
{
    for (; c->n < sent->n && c->n < MAX_CHAIN; c->n++) {
        gnutls_datum_t der = datum(sent->v[c->n]);
        if (gnutls_x509_crt_init(&c->sent[c->n]) < 0) {
            return false;
        }
        if (gnutls_x509_crt_import(c->sent[c->n], &der, GNUTLS_X509_FMT_DER) < 0) {
            gnutls_x509_crt_deinit(c->sent[c->n]);
            return false;
        }
    }
    return c->n == sent->n;
}

static void chain_free(struct chain *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        gnutls_x509_crt_deinit(c->sent[i]);
    }
    if (c->anchor) {
        gnutls_x509_crt_deinit(c->anchor);
    }
}

/* By name and by signature; dates are another matter. */
static bool is_issuer(gnutls_x509_crt_t c, gnutls_x509_crt_t issuer)
{
    unsigned status = 0;
    unsigned flags = GNUTLS_VERIFY_DISABLE_TIME_CHECKS | GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS;
    return gnutls_x509_crt_check_issuer(c, issuer) &&
           gnutls_x509_crt_verify(c, &issuer, 1, flags, &status) >= 0 && status == 0;
}

/* From the leaf to the first issuer that is trusted. */
static void chain_find_path(struct chain *c, gnutls_x509_trust_list_t trust)
{
    gnutls_x509_crt_t at = c->sent[0];
    while (at && c->path_n < MAX_CHAIN) {
        gnutls_x509_crt_t next = NULL;
        c->path[c->path_n++] = at;
        if (gnutls_x509_trust_list_get_issuer(trust, at, &c->anchor, GNUTLS_TL_GET_COPY) == 0) {
            if (!gnutls_x509_crt_equals(c->anchor, at)) {
                c->path[c->path_n++] = c->anchor;
            }
            return;
        }
        c->anchor = NULL;
        for (unsigned i = 0; i < c->n && !next; i++) {
            if (c->sent[i] != at && is_issuer(at, c->sent[i])) {
                next = c->sent[i];
            }
        }
        at = next;
    }
}

/* Does what was sent end in a certificate that signed itself? */
static bool chain_is_self_signed(const struct chain *c)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (gnutls_x509_crt_check_issuer(c->sent[i], c->sent[i])) {
            return true;
        }
    }
    return false;
}

/* Which certificate of the path has run out, or is not valid yet; -1: none. */
static int chain_untimely(const struct chain *c, bool expired)
{
    time_t now = time_now().tv_sec;
    for (unsigned i = 0; i < c->path_n; i++) {
        if (expired ? gnutls_x509_crt_get_expiration_time(c->path[i]) < now
                    : gnutls_x509_crt_get_activation_time(c->path[i]) > now) {
            return (int)i;
        }
    }
    return -1;
}

/* Each certificate below the anchor needs a good list of its issuer that does not name it. */
static enum tls_verdict chain_revoked(const struct chain *c, const struct gnutls_trust *trust,
                                      int *depth)
{
    for (unsigned i = 0; i + 1 < c->path_n; i++) {
        gnutls_x509_crt_t issuer = c->path[i + 1];
        bool covered = false;
        *depth = (int)i;
        for (unsigned k = 0; k < trust->crl_count; k++) {
            gnutls_x509_crl_t crl = trust->crls[k];
            unsigned status = 0;
            if (!gnutls_x509_crl_check_issuer(crl, issuer) ||
                gnutls_x509_crl_verify(crl, &issuer, 1, 0, &status) < 0 || status) {
                continue;
            }
            covered = true;
            if (gnutls_x509_crt_check_revocation(c->path[i], &crl, 1) == 1) {
                return TLS_REVOKED;
            }
        }
        if (!covered) {
            return TLS_NO_CRL;
        }
    }
    *depth = -1;
    return TLS_TRUSTED;
}

/* The bits of GnuTLS' status, the weightiest first. */
static const struct {
    unsigned bit;
    enum tls_verdict verdict;
} verdicts[] = {
    {GNUTLS_CERT_SIGNER_NOT_FOUND, TLS_UNKNOWN_ISSUER},
    {GNUTLS_CERT_SIGNER_NOT_CA, TLS_BAD_PURPOSE},
    {GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, TLS_BAD_PURPOSE},
    {GNUTLS_CERT_PURPOSE_MISMATCH, TLS_BAD_PURPOSE},
    {GNUTLS_CERT_REVOKED, TLS_REVOKED},
    {GNUTLS_CERT_SIGNATURE_FAILURE, TLS_BAD_SIGNATURE},
    {GNUTLS_CERT_INSECURE_ALGORITHM, TLS_WEAK},
    {GNUTLS_CERT_EXPIRED, TLS_EXPIRED},
    {GNUTLS_CERT_NOT_ACTIVATED, TLS_NOT_YET_VALID},
};

static enum tls_verdict verdict_of(unsigned status)
{
    for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
        if (status & verdicts[i].bit) {
            return verdicts[i].verdict;
        }
    }
    return status ? TLS_UNTRUSTED : TLS_TRUSTED;
}

static void add_words(struct pool *pool, unsigned status, struct tls_chain *out)
{
    gnutls_datum_t words = {NULL, 0};
    if (status &&
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &words, 0) >= 0) {
        out->text = str_trim(taken(pool, &words));
    }
}

/* Fills verdict, depth and path from GnuTLS' status for the chain. */
static void explain_status(struct pool *pool, struct chain *c, const struct gnutls_trust *trust,
                           unsigned status, struct tls_chain *out)
{
    enum tls_verdict v = verdict_of(status);
    out->verdict = v;
    if (v == TLS_UNKNOWN_ISSUER && chain_is_self_signed(c)) {
        out->verdict = TLS_SELF_SIGNED;
    }
    if (v != TLS_TRUSTED && v != TLS_EXPIRED && v != TLS_NOT_YET_VALID) {
        return;
    }
    int depth = -1;
    chain_find_path(c, trust->list);
    v = trust->check_crls ? chain_revoked(c, trust, &depth) : TLS_TRUSTED;
    if (v != TLS_TRUSTED) {
        out->verdict = v;
        out->depth = depth;
    } else if (out->verdict != TLS_TRUSTED) {
        out->depth = chain_untimely(c, out->verdict == TLS_EXPIRED);
    }
    for (unsigned i = 0; out->verdict == TLS_TRUSTED && i < c->path_n; i++) {
        strvec_push(&out->path, cert_der(pool, c->path[i]));
    }
}

void gnutls_chain_verdict(struct pool *pool, const struct gnutls_trust *trust, int result,
                          unsigned status, struct tls_chain *out)
{
    struct chain c = {.n = 0};
    if (result >= 0 && chain_import(&c, &out->sent)) {
        add_words(pool, status, out);
        explain_status(pool, &c, trust, status, out);
    } else {
        out->verdict = TLS_UNTRUSTED;
        out->text = str_c(gnutls_strerror(result < 0 ? result : GNUTLS_E_CERTIFICATE_ERROR));
    }
    chain_free(&c);
}

/* A list of these certificates alone; NULL if memory is short. */
static gnutls_x509_trust_list_t list_of(const struct strvec *anchors)
{
    gnutls_x509_trust_list_t list;
    if (gnutls_x509_trust_list_init(&list, 0) < 0) {
        return NULL;
    }
    for (size_t i = 0; i < anchors->n; i++) {
        gnutls_datum_t d = datum(anchors->v[i]);
        gnutls_x509_trust_list_add_trust_mem(list, &d, NULL, GNUTLS_X509_FMT_DER, 0, 0);
    }
    return list;
}

void gnutls_chain_by_anchors(struct pool *pool, const struct strvec *anchors, const char *purpose,
                             struct tls_chain *out)
{
    gnutls_typed_vdata_st data = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)purpose,
                                  0};
    struct gnutls_trust trust = {.list = list_of(anchors)};
    struct chain c = {.n = 0};
    unsigned status = 0;
    int r = GNUTLS_E_CERTIFICATE_ERROR;
    if (trust.list && chain_import(&c, &out->sent)) {
        r = gnutls_x509_trust_list_verify_crt2(trust.list, c.sent, c.n, &data, 1,
                                               GNUTLS_VERIFY_DISABLE_CRL_CHECKS, &status, NULL);
    }
    chain_free(&c);
    gnutls_chain_verdict(pool, &trust, r, status, out);
    if (trust.list) {
        gnutls_x509_trust_list_deinit(trust.list, 1);
    }
}

/* ---- a certificate of one's own ---- */

static int sign_certificate(gnutls_x509_crt_t c, gnutls_x509_privkey_t key, struct str name)
{
    enum { SECONDS_BACK = 3600, SECONDS_VALID = 30 * 86400 };
    unsigned char serial[8];
    time_t now = time_now().tv_sec;
    int r = gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof serial);
    serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, and of full width */
    if (r < 0 || (r = gnutls_x509_crt_set_version(c, 3)) < 0 ||
        (r = gnutls_x509_crt_set_serial(c, serial, sizeof serial)) < 0 ||
        (r = gnutls_x509_crt_set_activation_time(c, now - SECONDS_BACK)) < 0 ||
        (r = gnutls_x509_crt_set_expiration_time(c, now + SECONDS_VALID)) < 0 ||
        (r = gnutls_x509_crt_set_key(c, key)) < 0 ||
        (r = gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_ORGANIZATION_NAME, 0, "minim", 5)) <
            0 ||
        (r = gnutls_x509_crt_set_dn_by_oid(c, GNUTLS_OID_X520_COMMON_NAME, 0, name.p, name.len)) <
            0) {
        return r;
    }
    return gnutls_x509_crt_sign2(c, c, key, GNUTLS_DIG_SHA256, 0);
}

bool gnutls_self_sign(struct pool *pool, struct str name, struct str *cert_pem, struct str *key_pem,
                      struct str *error)
{
    gnutls_x509_privkey_t key = NULL;
    gnutls_x509_crt_t c = NULL;
    gnutls_datum_t cert_out = {NULL, 0}, key_out = {NULL, 0};
    unsigned bits = GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1);
    int r = gnutls_x509_privkey_init(&key);
    if (r >= 0) {
        r = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA, bits, 0);
    }
    if (r >= 0 && (r = gnutls_x509_crt_init(&c)) >= 0) {
        r = sign_certificate(c, key, name);
    }
    if (r >= 0) {
        r = gnutls_x509_crt_export2(c, GNUTLS_X509_FMT_PEM, &cert_out);
    }
    if (r >= 0) {
        r = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_out);
    }
    *cert_pem = taken(pool, &cert_out);
    *key_pem = taken(pool, &key_out);
    *error = str_c(gnutls_strerror(r));
    gnutls_x509_crt_deinit(c);
    gnutls_x509_privkey_deinit(key);
    return r >= 0;
}

/* ---- signatures ---- */

static const struct {
    gnutls_digest_algorithm_t hash;
    gnutls_sign_algorithm_t rsa, pss; /* by the kind of key */
} pss_algorithms[] = {
    {GNUTLS_DIG_SHA256, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256, GNUTLS_SIGN_RSA_PSS_SHA256},
    {GNUTLS_DIG_SHA384, GNUTLS_SIGN_RSA_PSS_RSAE_SHA384, GNUTLS_SIGN_RSA_PSS_SHA384},
    {GNUTLS_DIG_SHA512, GNUTLS_SIGN_RSA_PSS_RSAE_SHA512, GNUTLS_SIGN_RSA_PSS_SHA512},
};

/* RFC 4055 3.1: the digest of RSASSA-PSS is the first of its parameters. */
static gnutls_sign_algorithm_t pss_algorithm(struct pool *pool, struct der parameters, bool rsa_key)
{
    struct der outer = der_enter(&parameters, DER_SEQUENCE);
    struct der first = der_enter(&outer, DER_CONTEXT_HOLDS(0));
    struct der hash = der_enter(&first, DER_SEQUENCE);
    struct str oid = der_oid_text(pool, der_take(&hash, DER_OID));
    for (size_t i = 0; !hash.bad && oid.len && i < ARRAY_LEN(pss_algorithms); i++) {
        if (str_is(oid, gnutls_digest_get_oid(pss_algorithms[i].hash))) {
            return rsa_key ? pss_algorithms[i].rsa : pss_algorithms[i].pss;
        }
    }
    return GNUTLS_SIGN_UNKNOWN;
}

static gnutls_sign_algorithm_t sign_algorithm(struct pool *pool, struct str der, bool rsa_key)
{
    struct der r = der_of(der), alg = der_enter(&r, DER_SEQUENCE);
    struct str oid = der_oid_text(pool, der_take(&alg, DER_OID));
    if (alg.bad || !oid.len) {
        return GNUTLS_SIGN_UNKNOWN;
    }
    if (str_is(oid, "1.2.840.113549.1.1.10")) {
        return pss_algorithm(pool, alg, rsa_key);
    }
    return gnutls_oid_to_sign(str_cstr(pool, oid));
}

bool gnutls_verify_signature(struct str spki, struct str algorithm, struct str data, struct str sig)
{
    gnutls_datum_t key_der = datum(spki), bytes = datum(data), signature = datum(sig);
    gnutls_pubkey_t key = NULL;
    bool ok = gnutls_pubkey_init(&key) >= 0 &&
              gnutls_pubkey_import(key, &key_der, GNUTLS_X509_FMT_DER) >= 0;
    if (ok) {
        struct pool *pool = pool_new("signature");
        bool rsa = gnutls_pubkey_get_pk_algorithm(key, NULL) == GNUTLS_PK_RSA;
        gnutls_sign_algorithm_t how = sign_algorithm(pool, algorithm, rsa);
        pool_free(&pool);
        ok = how != GNUTLS_SIGN_UNKNOWN &&
             gnutls_pubkey_verify_data2(key, how, GNUTLS_VERIFY_ALLOW_SIGN_WITH_SHA1, &bytes,
                                        &signature) >= 0;
    }
    gnutls_pubkey_deinit(key);
    return ok;
}
