/*
 * Fuzz target: OCSP responses. The certificate they are checked for is fixed; no input finds its
 * hashes by chance, so the corpus has responses that name it.
 */
#include "tls/ocsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t touch(struct str s)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        sum += (unsigned char)s.p[i];
    }
    return sum;
}

/* Lets signatures pass by their bytes, so that what comes behind them is reached. */
static bool any_signature(struct str spki, struct str algorithm, struct str data, struct str sig)
{
    return (touch(spki) + touch(algorithm) + touch(data) + touch(sig)) % 4;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tls_backend backend = {.name = "fuzz", .verify_signature = any_signature};
    struct pool *pool = pool_new("fuzz");
    struct str bytes = str_n((const char *)data, size);
    struct str name = STR("\x30\x27\x31\x12\x30\x10\x06\x03\x55\x04\x0a\x0c\x09"
                          "Example A"
                          "\x31\x11\x30\x0f\x06\x03\x55\x04\x03\x0c\x08"
                          "Issuer A");
    struct cert leaf = {.serial = STR("\x10\x01"), .issuer = name};
    struct cert issuer = {.subject = name, .public_key = STR("no key")};
    struct ocsp_response r;
    struct ocsp_status s;
    int status;
    volatile size_t sum = 0;
    if (ocsp_read(pool, bytes, &r, &status) == OCSP_GOOD) {
        for (size_t i = 0; i < r.count; i++) {
            sum += touch(r.singles[i].name_hash) + touch(r.singles[i].key_hash);
        }
        sum += touch(r.tbs) + touch(r.by_name) + touch(r.by_key) + touch(r.signature);
    }
    ocsp_check(pool, &backend, bytes, &leaf, &issuer, 1780000000, &s);
    sum += touch(s.text) + touch(ocsp_words(pool, &s));
    sum += (size_t)ocsp_usable_until(pool, bytes, leaf.serial);
    pool_free(&pool);
    return 0;
}
