/*
 * Primitives by GnuTLS for gnutls.c: signatures over data, and a certificate for a server that was
 * given none. Like gnutls.c this is mechanism: who may sign what is decided in ocsp.c.
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
