/*
 * Primitives by OpenSSL 3: signatures, a certificate of one's own, the words of its errors.
 *
 * Mechanism only; openssl.c makes the connections. What is made belongs to the pool that is handed
 * in; OpenSSL's own objects are freed before a function returns, and nothing is left behind in its
 * error queue. A failure is told in OpenSSL's words.
 */
#include "tls/internal.h"
#include "tls/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

/* The oldest error of the queue, which is emptied. */
struct str ossl_words(struct pool *pool)
{
    unsigned long e = ERR_get_error();
    char text[256];
    ERR_clear_error();
    if (!e) {
        return STR_NONE;
    }
    ERR_error_string_n(e, text, sizeof text);
    return str_dup(pool, str_taint(str_c(text)));
}

/* ---- a certificate of one's own ---- */

static struct str bio_text(struct pool *pool, BIO *b)
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    return str_dup(pool, str_n(p, (size_t)n));
}

static X509 *sign_certificate(EVP_PKEY *key, const unsigned char *name, int name_len)
{
    enum { SECONDS_BACK = 3600, SECONDS_VALID = 30 * 86400 };
    X509 *x = X509_new();
    uint64_t serial;
    if (!x || RAND_bytes((unsigned char *)&serial, sizeof serial) != 1) {
        X509_free(x);
        return NULL;
    }
    X509_NAME *dn = X509_get_subject_name(x);
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -SECONDS_BACK);
    X509_gmtime_adj(X509_getm_notAfter(x), SECONDS_VALID);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(dn, "O", MBSTRING_ASC, (const unsigned char *)"minim", -1, -1, 0);
    X509_NAME_add_entry_by_txt(dn, "CN", MBSTRING_ASC, name, name_len, -1, 0);
    X509_set_issuer_name(x, dn);
    if (!X509_sign(x, key, EVP_sha256())) {
        X509_free(x);
        return NULL;
    }
    return x;
}

bool ossl_self_sign(struct pool *pool, struct str name, struct str *cert_pem, struct str *key_pem,
                    struct str *error)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key ? sign_certificate(key, (const unsigned char *)name.p, (int)name.len) : NULL;
    BIO *c = BIO_new(BIO_s_mem()), *k = BIO_new(BIO_s_mem());
    bool ok = x && c && k && PEM_write_bio_X509(c, x) == 1 &&
              PEM_write_bio_PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) == 1;
    if (ok) {
        *cert_pem = bio_text(pool, c);
        *key_pem = bio_text(pool, k);
    } else {
        *error = ossl_words(pool);
    }
    BIO_free(c);
    BIO_free(k);
    X509_free(x);
    EVP_PKEY_free(key);
    return ok;
}

/* ---- signatures ---- */

/* The digest and key type that an AlgorithmIdentifier calls for. */
static bool ossl_algorithm(struct str der, EVP_PKEY *key, EVP_MD_CTX *md)
{
    const unsigned char *p = (const unsigned char *)der.p;
    X509_ALGOR *alg = d2i_X509_ALGOR(NULL, &p, (long)der.len);
    int digest = NID_undef, type = NID_undef;
    bool ok = alg && OBJ_find_sigid_algs(OBJ_obj2nid(alg->algorithm), &digest, &type) == 1;
    X509_ALGOR_free(alg);
    if (!ok || type != EVP_PKEY_get_base_id(key)) {
        return false;
    }
    const EVP_MD *m = digest == NID_undef ? NULL : EVP_get_digestbynid(digest);
    if (!m && digest != NID_undef) {
        return false;
    }
    return EVP_DigestVerifyInit(md, NULL, m, NULL, key) == 1;
}

bool ossl_verify_signature(struct str spki, struct str algorithm, struct str data, struct str sig)
{
    const unsigned char *p = (const unsigned char *)spki.p;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)spki.len);
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok = key && md && ossl_algorithm(algorithm, key, md) &&
              EVP_DigestVerify(md, (const unsigned char *)sig.p, sig.len,
                               (const unsigned char *)data.p, data.len) == 1;
    EVP_MD_CTX_free(md);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}
