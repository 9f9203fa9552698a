/* Fuzz target: certificates, their names and all that is made of them. */
#include "tls/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t touch(struct str s)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        sum += (unsigned char)s.p[i];
    }
    return sum;
}

static size_t touch_fields(struct pool *pool, const struct cert *c)
{
    static const char *const fields[] = {
        "version",       "serial_number", "subject",      "issuer",   "notbefore", "notafter",
        "sig_algorithm", "signature",     "subj_altname", "ocsp_uri", "crl_uri"};
    static const char *const modifiers[] = {NULL, "", "CN", ">,dns", ">:", "int"};
    size_t sum = 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        for (size_t k = 0; k < ARRAY_LEN(modifiers); k++) {
            struct str out = STR_NONE, error;
            if (cert_field(pool, c, str_c(fields[i]), str_c(modifiers[k]), &out, &error)) {
                sum += touch(out);
            }
        }
    }
    return sum;
}

/* The bytes as a certificate and, as they are, as a Name and as PEM. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct str bytes = str_n((const char *)data, size);
    struct strvec v = {.pool = pool};
    struct cert c;
    volatile size_t sum = 0;
    if (cert_parse(pool, bytes, &c)) {
        sum += touch_fields(pool, &c) + touch(c.tbs) + touch(c.spki) + touch(c.public_key);
        sum += cert_bears_name(pool, &c, STR("a.test.ex")) + cert_bears_name(pool, &c, STR("::1"));
        sum += touch(cert_dn_oneline(pool, c.subject));
    }
    sum += touch(cert_dn_text(pool, bytes)) + touch(cert_dn_oneline(pool, bytes));
    if (pem_certificates(pool, bytes, &v)) {
        for (size_t i = 0; i < v.n; i++) {
            sum += touch(v.v[i]);
        }
    }
    pool_free(&pool);
    return 0;
}
