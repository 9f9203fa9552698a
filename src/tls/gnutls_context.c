/*
 * Makes a context of GnuTLS from the texts that policy has read: certificates and keys with the
 * proofs of their issuers, trusted certificates, CRLs, priorities, Diffie-Hellman groups, ALPN.
 *
 * It lives in a pool of its own and is its owner's to free. Each step returns GnuTLS' code, below 0
 * for an error; *where names the step, *error is a text where there is a better one than GnuTLS'.
 */
#include "tls/gnutls_context.h"

#include <gnutls/pkcs11.h>
#include <gnutls/x509.h>

void gtls_context_free(struct tls_context **context)
{
    struct tls_context *c = *context;
    if (!c) {
        return;
    }
    struct pool *pool = c->pool;
    if (c->cred) {
        gnutls_certificate_free_credentials(c->cred);
    }
    if (c->priority) {
        gnutls_priority_deinit(c->priority);
    }
    if (c->dh) {
        gnutls_dh_params_deinit(c->dh);
    }
    for (unsigned i = 0; i < c->trust.crl_count; i++) {
        gnutls_x509_crl_deinit(c->trust.crls[i]);
    }
    gnutls_free(c->trust.crls);
    *context = NULL;
    pool_free(&pool);
}

/* Proofs for intermediates cannot be given when they are asked for (TLS 1.3), only beforehand. */
static void add_chain_staples(struct tls_context *c, const struct tls_pair *pair, unsigned index)
{
    bool beyond_leaf = false;
    for (size_t i = 1; i < pair->staples.n; i++) {
        beyond_leaf = beyond_leaf || pair->staples.v[i].len;
    }
    for (size_t i = 0; beyond_leaf && i < pair->staples.n; i++) {
        gnutls_datum_t d = datum(pair->staples.v[i]);
        if (d.size && gnutls_certificate_set_ocsp_status_request_mem(c->cred, &d, index,
                                                                     GNUTLS_X509_FMT_DER) >= 0) {
            c->chain_staples = true;
        }
    }
}

static int add_pair(struct tls_context *c, const struct tls_pair *pair)
{
    gnutls_datum_t cert = datum(pair->cert_pem), key = datum(pair->key_pem);
    int r =
        gnutls_certificate_set_x509_key_mem2(c->cred, &cert, &key, GNUTLS_X509_FMT_PEM, NULL, 0);
    if (r >= 0) {
        add_chain_staples(c, pair, (unsigned)r);
    }
    return r < 0 ? r : 0;
}

static int add_trust(struct tls_context *c, const struct tls_spec *spec, struct str *error)
{
    gnutls_datum_t cas = datum(spec->cas_pem);
    unsigned flags = spec->send_ca_names ? GNUTLS_TL_USE_IN_TLS : 0;
    int r = gnutls_x509_trust_list_init(&c->trust.list, 0);
    if (r < 0) {
        return r;
    }
    gnutls_certificate_set_trust_list(c->cred, c->trust.list, 0);
    if (spec->system_cas) {
        r = gnutls_x509_trust_list_add_system_trust(c->trust.list, 0, 0);
    }
    if (r >= 0 && spec->cas_pem.len) {
        r = gnutls_x509_trust_list_add_trust_mem(c->trust.list, &cas, NULL, GNUTLS_X509_FMT_PEM,
                                                 flags, 0);
        if (r == 0 || r == GNUTLS_E_NO_CERTIFICATE_FOUND) {
            *error = STR("no certificate in the file");
            return GNUTLS_E_NO_CERTIFICATE_FOUND;
        }
    }
    return r;
}

static int add_crls(struct tls_context *c, struct str pem, struct str *error)
{
    gnutls_datum_t d = datum(pem);
    int r = gnutls_x509_crl_list_import2(&c->trust.crls, &c->trust.crl_count, &d,
                                         GNUTLS_X509_FMT_PEM, 0);
    c->trust.check_crls = true;
    if (r == GNUTLS_E_BASE64_UNEXPECTED_HEADER_ERROR || (r >= 0 && c->trust.crl_count == 0)) {
        *error = STR("no CRL in the file");
        return GNUTLS_E_NO_CERTIFICATE_FOUND;
    }
    return r;
}

/* RFC 7919: known to clients by name, and given as numbers to those that do not know them. */
static const struct {
    const char *name;
    const gnutls_datum_t *prime, *generator;
    const unsigned *key_bits;
} named_groups[] = {
    {"ffdhe2048", &gnutls_ffdhe_2048_group_prime, &gnutls_ffdhe_2048_group_generator,
     &gnutls_ffdhe_2048_key_bits},
    {"ffdhe3072", &gnutls_ffdhe_3072_group_prime, &gnutls_ffdhe_3072_group_generator,
     &gnutls_ffdhe_3072_key_bits},
    {"ffdhe4096", &gnutls_ffdhe_4096_group_prime, &gnutls_ffdhe_4096_group_generator,
     &gnutls_ffdhe_4096_key_bits},
    {"ffdhe6144", &gnutls_ffdhe_6144_group_prime, &gnutls_ffdhe_6144_group_generator,
     &gnutls_ffdhe_6144_key_bits},
    {"ffdhe8192", &gnutls_ffdhe_8192_group_prime, &gnutls_ffdhe_8192_group_generator,
     &gnutls_ffdhe_8192_key_bits},
};

static int import_group(struct pool *scratch, gnutls_dh_params_t dh, struct str name)
{
    struct str prime;
    for (size_t i = 0; i < ARRAY_LEN(named_groups); i++) {
        if (str_is(name, named_groups[i].name)) {
            return gnutls_dh_params_import_raw2(
                dh, named_groups[i].prime, named_groups[i].generator, *named_groups[i].key_bits);
        }
    }
    if (gnutls_text_group(scratch, name, &prime)) {
        gnutls_datum_t p = datum(prime), two = {(unsigned char *)(uintptr_t) "\2", 1};
        return gnutls_dh_params_import_raw(dh, &p, &two);
    }
    return GNUTLS_E_UNIMPLEMENTED_FEATURE;
}

static int set_dh(struct pool *scratch, struct tls_context *c, const struct tls_spec *spec)
{
    enum { LIBRARY_BITS = 2048 };
    gnutls_datum_t pem = datum(spec->dhparam_pem);
    if (str_is(spec->dhparam_group, "none")) {
        return 0;
    }
    if (!pem.size && !spec->dhparam_group.len) {
        return spec->dh_bits > 0 && spec->dh_bits < LIBRARY_BITS
                   ? 0
                   : gnutls_certificate_set_known_dh_params(c->cred, GNUTLS_SEC_PARAM_MEDIUM);
    }
    int r = gnutls_dh_params_init(&c->dh);
    if (r >= 0) {
        r = pem.size ? gnutls_dh_params_import_pkcs3(c->dh, &pem, GNUTLS_X509_FMT_PEM)
                     : import_group(scratch, c->dh, spec->dhparam_group);
    }
    if (r >= 0) {
        gnutls_certificate_set_dh_params(c->cred, c->dh);
    }
    return r;
}

static void keep_alpn(struct tls_context *c, struct str wire)
{
    struct str rest = str_dup(c->pool, wire);
    c->alpn = pool_calloc(c->pool, wire.len / 2 + 1, sizeof *c->alpn);
    while (rest.len) {
        uint32_t n = (unsigned char)rest.p[0];
        c->alpn[c->alpn_count++] = datum(str_sub(rest, 1, n));
        rest = str_from(rest, n + 1);
    }
}

static int set_priority(struct pool *scratch, struct tls_context *c, const struct tls_spec *spec,
                        const char **where, struct str *error)
{
    const char *at = "";
    struct str text;
    *where = "setting curves";
    if (!gnutls_text_priority(scratch, spec->ciphers, spec->eccurve, &text, error)) {
        return GNUTLS_E_INVALID_REQUEST;
    }
    *where = "setting cipher list";
    int r = gnutls_priority_init(&c->priority, str_cstr(scratch, text), &at);
    if (r < 0 && at && *at) {
        *error = str_fmt(scratch, "%s At \"%.20s\"", gnutls_strerror(r), at);
    }
    return r;
}

/* Every step; <0 with *where, and *error where there is a better text than GnuTLS'. */
static int fill_context(struct pool *scratch, struct tls_context *c, const struct tls_spec *spec,
                        const char **where, struct str *error)
{
    *where = "gnutls_certificate_allocate_credentials";
    int r = gnutls_certificate_allocate_credentials(&c->cred);
    if (r < 0) {
        return r;
    }
    gnutls_certificate_set_flags(c->cred, GNUTLS_CERTIFICATE_API_V2);
    gnutls_certificate_set_verify_flags(c->cred, GNUTLS_VERIFY_DISABLE_CRL_CHECKS);
    *where = "cert/key setup";
    for (size_t i = 0; r >= 0 && i < spec->pair_count; i++) {
        r = add_pair(c, &spec->pairs[i]);
    }
    if (r >= 0) {
        r = set_priority(scratch, c, spec, where, error);
    }
    if (r >= 0) {
        *where = "loading trusted certificates";
        r = add_trust(c, spec, error);
    }
    if (r >= 0 && spec->crls_pem.len) {
        *where = "loading CRLs";
        r = add_crls(c, spec->crls_pem, error);
    }
    if (r >= 0 && spec->server) {
        *where = "setting D-H parameters";
        r = set_dh(scratch, c, spec);
    }
    c->tickets = spec->server && spec->tickets;
    return r;
}

struct tls_context *gtls_context(struct pool *scratch, const struct tls_spec *spec,
                                 const char **where, struct str *error)
{
    struct pool *pool = pool_new("GnuTLS context");
    struct tls_context *c = POOL_NEW(pool, struct tls_context);
    c->pool = pool;
    c->verify = spec->verify;
    *error = STR_NONE;
    if (!spec->auto_pkcs11) {
        gnutls_pkcs11_init(GNUTLS_PKCS11_FLAG_MANUAL, NULL);
    }
    keep_alpn(c, spec->alpn);
    int r = fill_context(scratch, c, spec, where, error);
    if (r < 0) {
        if (str_unset(*error)) {
            *error = str_c(gnutls_strerror(r));
        }
        gtls_context_free(&c);
        return NULL;
    }
    if (spec->server) {
        gnutls_certificate_set_ocsp_status_request_function(c->cred, gtls_on_staple, NULL);
    }
    return c;
}
