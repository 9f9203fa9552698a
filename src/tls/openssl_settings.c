/*
 * What of the configuration an OpenSSL context is set to: openssl_options, certificates and keys,
 * ciphers, trusted certificates, CRLs, Diffie-Hellman groups and curves.
 *
 * Texts come in, calls upon an SSL_CTX go out; nothing is kept here. What does not suit OpenSSL is
 * an error in its own words, of the pool that is handed in.
 */
#include "tls/openssl.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static BIO *text_bio(struct str text)
{
    return BIO_new_mem_buf(text.len ? text.p : "", (int)text.len);
}

/* ---- openssl_options ---- */

static const struct {
    const char *name;
    uint64_t bits;
} ossl_options[] = {
    {"all", SSL_OP_ALL},
    {"allow_client_renegotiation", SSL_OP_ALLOW_CLIENT_RENEGOTIATION},
    {"allow_no_dhe_kex", SSL_OP_ALLOW_NO_DHE_KEX},
    {"allow_unsafe_legacy_renegotiation", SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION},
    {"cipher_server_preference", SSL_OP_CIPHER_SERVER_PREFERENCE},
    {"cryptopro_tlsext_bug", SSL_OP_CRYPTOPRO_TLSEXT_BUG},
    {"dont_insert_empty_fragments", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS},
    {"ephemeral_rsa", 0},
    {"legacy_server_connect", SSL_OP_LEGACY_SERVER_CONNECT},
    {"microsoft_big_sslv3_buffer", 0},
    {"microsoft_sess_id_bug", 0},
    {"msie_sslv2_rsa_padding", 0},
    {"netscape_challenge_bug", 0},
    {"netscape_reuse_cipher_change_bug", 0},
    {"no_anti_replay", SSL_OP_NO_ANTI_REPLAY},
    {"no_compression", SSL_OP_NO_COMPRESSION},
    {"no_encrypt_then_mac", SSL_OP_NO_ENCRYPT_THEN_MAC},
    {"no_renegotiation", SSL_OP_NO_RENEGOTIATION},
    {"no_session_resumption_on_renegotiation", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
    {"no_sslv2", 0},
    {"no_sslv3", SSL_OP_NO_SSLv3},
    {"no_ticket", SSL_OP_NO_TICKET},
    {"no_tlsv1", SSL_OP_NO_TLSv1},
    {"no_tlsv1_1", SSL_OP_NO_TLSv1_1},
    {"no_tlsv1_2", SSL_OP_NO_TLSv1_2},
    {"no_tlsv1_3", SSL_OP_NO_TLSv1_3},
    {"prioritize_chacha", SSL_OP_PRIORITIZE_CHACHA},
    {"safari_ecdhe_ecdsa_bug", SSL_OP_SAFARI_ECDHE_ECDSA_BUG},
    {"single_dh_use", 0},
    {"single_ecdh_use", 0},
    {"ssleay_080_client_dh_bug", 0},
    {"sslref2_reuse_cert_type_bug", 0},
    {"tls_block_padding_bug", 0},
    {"tls_d5_bug", 0},
    {"tls_rollback_bug", SSL_OP_TLS_ROLLBACK_BUG},
    {"tlsext_padding", SSL_OP_TLSEXT_PADDING},
};

/* The bits of "+name" or "-name"; false if there is no such option. */
static bool find_option(struct str word, uint64_t *bits)
{
    if (!str_starts(word, "+") && !str_starts(word, "-")) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(ossl_options); i++) {
        if (str_isi(str_from(word, 1), ossl_options[i].name)) {
            *bits = ossl_options[i].bits;
            return true;
        }
    }
    return false;
}

/* Does with ctx, unless it is NULL, what "+name -name ..." says; false at a word that is neither. */
static bool set_options(SSL_CTX *ctx, struct str text, struct str *bad)
{
    struct str rest = text, word;
    uint64_t bits;
    while (str_next(&rest, ' ', &word)) {
        if (!word.len) {
            continue;
        }
        if (!find_option(word, &bits)) {
            *bad = word;
            return false;
        }
        if (ctx && str_starts(word, "+")) {
            SSL_CTX_set_options(ctx, bits);
        } else if (ctx) {
            SSL_CTX_clear_options(ctx, bits);
        }
    }
    return true;
}

bool ossl_options_known(struct str text, struct str *bad)
{
    return set_options(NULL, text, bad);
}

/* ---- the rest of it ---- */

static STACK_OF(X509) * read_certs(struct str pem)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *b = text_bio(pem);
    X509 *x;
    while (all && b && (x = PEM_read_bio_X509_AUX(b, NULL, NULL, NULL))) {
        sk_X509_push(all, x);
    }
    BIO_free(b);
    ERR_clear_error(); /* the end of the text is one, too */
    return all;
}

static bool add_pair(struct pool *pool, SSL_CTX *ctx, const struct tls_pair *pair,
                     struct str *error)
{
    STACK_OF(X509) *chain = read_certs(pair->cert_pem);
    BIO *b = text_bio(pair->key_pem);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, NULL, (void *)"");
    X509 *leaf = chain ? sk_X509_shift(chain) : NULL;
    bool ok = false;
    if (!leaf) {
        *error = STR("no certificate in the file");
    } else if (!key) {
        *error = ossl_words(pool);
    } else if (SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) != 1) {
        *error = ossl_words(pool);
    } else {
        ok = true;
    }
    X509_free(leaf);
    EVP_PKEY_free(key);
    BIO_free(b);
    sk_X509_pop_free(chain, X509_free);
    return ok;
}

static bool add_trust(struct pool *pool, SSL_CTX *ctx, const struct tls_spec *spec,
                      struct str *error)
{
    if (spec->system_cas && SSL_CTX_set_default_verify_paths(ctx) != 1) {
        *error = ossl_words(pool);
        return false;
    }
    STACK_OF(X509) *cas = read_certs(spec->cas_pem);
    STACK_OF(X509_NAME) *names = spec->send_ca_names ? sk_X509_NAME_new_null() : NULL;
    for (int i = 0; i < sk_X509_num(cas); i++) {
        X509 *x = sk_X509_value(cas, i);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x);
        if (names) {
            sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(x)));
        }
    }
    if (names) {
        SSL_CTX_set_client_CA_list(ctx, names);
    }
    if (sk_X509_num(cas) == 0 && spec->cas_pem.len) {
        *error = STR("no certificate in the file");
    }
    bool ok = sk_X509_num(cas) > 0 || !spec->cas_pem.len;
    sk_X509_pop_free(cas, X509_free);
    ERR_clear_error();
    return ok;
}

static bool add_crls(SSL_CTX *ctx, struct str pem, struct str *error)
{
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    BIO *b = text_bio(pem);
    X509_CRL *crl;
    int n = 0;
    while ((crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL))) {
        X509_STORE_add_crl(store, crl);
        X509_CRL_free(crl);
        n++;
    }
    BIO_free(b);
    ERR_clear_error();
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    if (n == 0) {
        *error = STR("no CRL in the file");
    }
    return n > 0;
}

/* Names of TLS 1.3 suites go one way, all the rest another; Exim's underscores
 * are hyphens. */
static bool set_ciphers(struct pool *pool, SSL_CTX *ctx, struct str list, struct str *error)
{
    struct buf old, suites;
    buf_init(&old, pool, list.len + 2u);
    buf_init(&suites, pool, list.len + 2u);
    struct str rest = list, word;
    while (str_next(&rest, ':', &word)) {
        struct buf *b = str_starts(word, "TLS_") ? &suites : &old;
        if (b->len) {
            buf_addc(b, ':');
        }
        for (uint32_t i = 0; i < word.len; i++) {
            buf_addc(b, word.p[i] == '_' && b == &old ? '-' : word.p[i]);
        }
    }
    bool ok = (!old.len || SSL_CTX_set_cipher_list(ctx, buf_str(&old).p) == 1) &&
              (!suites.len || SSL_CTX_set_ciphersuites(ctx, buf_str(&suites).p) == 1);
    if (!ok) {
        *error = ossl_words(pool);
    }
    return ok;
}

static EVP_PKEY *dh_group(struct pool *pool, struct str name)
{
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_utf8_string("group", str_cstr(pool, name), 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
    if (!c || EVP_PKEY_keygen_init(c) != 1 || EVP_PKEY_CTX_set_params(c, params) != 1 ||
        EVP_PKEY_generate(c, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(c);
    return key;
}

static bool set_dh(struct pool *pool, SSL_CTX *ctx, const struct tls_spec *spec, struct str *error)
{
    EVP_PKEY *key;
    if (spec->dhparam_pem.len) {
        BIO *b = text_bio(spec->dhparam_pem);
        key = PEM_read_bio_Parameters(b, NULL);
        BIO_free(b);
    } else if (str_is(spec->dhparam_group, "none")) {
        return true;
    } else if (spec->dhparam_group.len) {
        key = dh_group(pool, spec->dhparam_group);
    } else {
        SSL_CTX_set_dh_auto(ctx, 1);
        return true;
    }
    if (key && SSL_CTX_set0_tmp_dh_pkey(ctx, key) == 1) {
        return true;
    }
    EVP_PKEY_free(key);
    *error = ossl_words(pool);
    return false;
}

bool ossl_settings(struct pool *pool, SSL_CTX *ctx, const struct tls_spec *spec, const char **where,
                   struct str *error)
{
    *where = "openssl_options";
    SSL_CTX_set_options(ctx, SSL_OP_NO_SSLv3 | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                 SSL_OP_NO_COMPRESSION);
    if (!set_options(ctx, spec->options, error)) {
        return false;
    }
    if (spec->tickets) {
        SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
    } else if (spec->server) {
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    *where = "cert/key setup";
    for (size_t i = 0; i < spec->pair_count; i++) {
        if (!add_pair(pool, ctx, &spec->pairs[i], error)) {
            return false;
        }
    }
    *where = "setting cipher list";
    if (spec->ciphers.len && !set_ciphers(pool, ctx, spec->ciphers, error)) {
        return false;
    }
    *where = "loading trusted certificates";
    if (!add_trust(pool, ctx, spec, error)) {
        return false;
    }
    *where = "loading CRLs";
    if (spec->crls_pem.len && !add_crls(ctx, spec->crls_pem, error)) {
        return false;
    }
    *where = "setting D-H parameters";
    if (spec->server && !set_dh(pool, ctx, spec, error)) {
        return false;
    }
    *where = "setting curves";
    if (spec->eccurve.len && !str_isi(spec->eccurve, "auto") &&
        SSL_CTX_set1_groups_list(ctx, str_cstr(pool, spec->eccurve)) != 1) {
        *error = ossl_words(pool);
        return false;
    }
    return true;
}
