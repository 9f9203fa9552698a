/* Fuzz target: answers of the DNS. The first byte chooses the type that was asked for. */
#include "net/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t touch(struct str s)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < s.len; i++) {
        sum += (unsigned char)s.p[i];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum dns_type types[] = {DNS_A,   DNS_NS,   DNS_CNAME, DNS_SOA,  DNS_PTR, DNS_MX,
                                          DNS_TXT, DNS_AAAA, DNS_SRV,   DNS_TLSA, DNS_SPF};
    struct pool *pool = pool_new("fuzz");
    struct dns_packet p;
    volatile size_t sum = 0;
    if (size > 0 && dns_decode(pool, data + 1, size - 1, STR("a.test.ex"),
                               types[data[0] % ARRAY_LEN(types)], &p)) {
        for (size_t i = 0; i < p.answer.n; i++) {
            const struct dns_rr *r = &p.answer.rr[i];
            sum += touch(r->owner) + touch(r->name) + touch(r->soa_rname) + touch(r->raw);
            sum += r->ip.family ? touch(ip_text(pool, &r->ip)) : 0;
            for (size_t k = 0; k < r->txt.n; k++) {
                sum += touch(r->txt.v[k]);
            }
        }
        sum += touch(p.cname) + touch(p.aa_zone) + touch(p.answer.final_name);
    }
    pool_free(&pool);
    return 0;
}
