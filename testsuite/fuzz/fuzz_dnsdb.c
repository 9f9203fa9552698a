/*
 * Fuzz target: dnsdb lookups. A line of query, and the answer of the DNS to it: its first byte
 * chooses the type that was asked for.
 */
#include "lookup/internal.h"
#include "net/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A,   DNS_NS,   DNS_CNAME, DNS_SOA,  DNS_PTR, DNS_MX,
                                          DNS_TXT, DNS_AAAA, DNS_SRV,   DNS_TLSA, DNS_SPF};
    const uint8_t *end = memchr(data, '\n', size);
    if (!end || (size_t)(end - data) + 2 > size) {
        return 0;
    }
    struct pool *pool = pool_new("fuzz");
    struct lookup_call c = {.pool = pool, .key = str_n((const char *)data, (size_t)(end - data))};
    struct dns_packet p;
    volatile size_t sum = 0;
    if (dns_decode(pool, end + 2, size - (size_t)(end - data) - 2, STR("a.test.ex"),
                   types[end[1] % ARRAY_LEN(types)], &p) &&
        dnsdb_text(&c, &p.answer)) {
        for (uint32_t i = 0; i < c.data.len; i++) {
            sum += (unsigned char)c.data.p[i];
        }
    }
    pool_free(&pool);
    return 0;
}
