/* Fuzz target: TLSA records: each begins with an octet that tells its length. */
#include "tls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct dns_rr rr[16] = {0};
    struct dns_answer answer = {.rr = rr};
    volatile size_t sum = 0;
    while (size > 0 && answer.n < ARRAY_LEN(rr)) {
        size_t n = data[0] == 255 || data[0] >= size ? size - 1 : data[0];
        rr[answer.n].type = DNS_TLSA;
        rr[answer.n++].raw = str_dup(pool, str_n((const char *)data + 1, n));
        data += n + 1;
        size -= n + 1;
    }
    const struct tlsa_set *set = tlsa_parse(pool, &answer);
    sum += (size_t)tlsa_usages(set) + tlsa_text(pool, set).len;
    for (size_t i = 0; set && i < answer.n; i++) {
        struct str cert = str_from(rr[i].raw, 3);
        sum += tlsa_matches_leaf(pool, set, cert) + (size_t)tlsa_trusts(pool, set, cert);
    }
    pool_free(&pool);
    return 0;
}
