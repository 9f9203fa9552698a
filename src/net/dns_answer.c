/*
 * Decoding DNS messages (RFC 1035 4) with libresolv's parser.
 *
 * The bytes come from the network: every length is checked against the record, every name is
 * expanded by dn_expand() inside the message. A record whose data does not fit its type is left
 * out. All strings are copies in the caller's pool and tainted.
 */
#include "net/internal.h"

#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/socket.h>

enum { MAX_RECORDS = 1000 };

/* A name inside the record's data; false if it does not end within it. */
static bool get_name(struct pool *pool, const ns_msg *msg, const ns_rr *rr, size_t at,
                     struct str *out, size_t *used)
{
    char name[NS_MAXDNAME];
    if (at >= ns_rr_rdlen(*rr)) {
        return false;
    }
    int n =
        dn_expand(ns_msg_base(*msg), ns_msg_end(*msg), ns_rr_rdata(*rr) + at, name, sizeof name);
    if (n < 0 || at + (size_t)n > ns_rr_rdlen(*rr)) {
        return false;
    }
    *out = str_taint(str_dup(pool, str_c(name)));
    if (used) {
        *used = at + (size_t)n;
    }
    return true;
}

static bool get_texts(struct pool *pool, const ns_rr *rr, struct strvec *out)
{
    const unsigned char *p = ns_rr_rdata(*rr), *end = p + ns_rr_rdlen(*rr);
    out->pool = pool;
    while (p < end) {
        size_t n = *p++;
        if (n > (size_t)(end - p)) {
            return false;
        }
        strvec_push(out, str_taint(str_dup(pool, str_n((const char *)p, n))));
        p += n;
    }
    return true;
}

static bool get_soa(struct pool *pool, const ns_msg *msg, const ns_rr *rr, struct dns_rr *out)
{
    size_t at;
    if (!get_name(pool, msg, rr, 0, &out->name, &at) ||
        !get_name(pool, msg, rr, at, &out->soa_rname, &at) || ns_rr_rdlen(*rr) - at < 20) {
        return false;
    }
    for (size_t i = 0; i < 5; i++) {
        out->soa[i] = ns_get32(ns_rr_rdata(*rr) + at + 4 * i);
    }
    return true;
}

static bool get_address(const ns_rr *rr, int family, size_t len, struct dns_rr *out)
{
    if (ns_rr_rdlen(*rr) != len) {
        return false;
    }
    out->ip.family = family;
    memcpy(out->ip.b, ns_rr_rdata(*rr), len);
    return true;
}

/* The record's data by its type; false if it does not fit. */
static bool get_data(struct pool *pool, const ns_msg *msg, const ns_rr *rr, struct dns_rr *out)
{
    const unsigned char *p = ns_rr_rdata(*rr);
    size_t len = ns_rr_rdlen(*rr);
    switch (out->type) {
    case DNS_A: return get_address(rr, AF_INET, 4, out);
    case DNS_AAAA: return get_address(rr, AF_INET6, 16, out);
    case DNS_NS:
    case DNS_CNAME:
    case DNS_PTR: return get_name(pool, msg, rr, 0, &out->name, NULL);
    case DNS_SOA: return get_soa(pool, msg, rr, out);
    case DNS_TXT:
    case DNS_SPF: return get_texts(pool, rr, &out->txt);
    case DNS_MX:
        out->pref = len > 2 ? (int)ns_get16(p) : 0;
        return get_name(pool, msg, rr, 2, &out->name, NULL);
    case DNS_SRV:
        if (len < 7) {
            return false;
        }
        out->pref = (int)ns_get16(p);
        out->weight = (int)ns_get16(p + 2);
        out->port = (int)ns_get16(p + 4);
        return get_name(pool, msg, rr, 6, &out->name, NULL);
    default: out->raw = str_taint(str_dup(pool, str_n((const char *)p, len))); return true;
    }
}

static bool get_record(struct pool *pool, const ns_msg *msg, const ns_rr *rr, struct dns_rr *out)
{
    *out = (struct dns_rr){.type = (enum dns_type)ns_rr_type(*rr), .ttl = ns_rr_ttl(*rr)};
    if (ns_rr_class(*rr) != ns_c_in || !get_data(pool, msg, rr, out)) {
        return false;
    }
    out->owner = str_taint(str_dup(pool, str_c(ns_rr_name(*rr))));
    return true;
}

/* Absence may be remembered as long as the SOA of the authority section says (RFC 2308 5). */
static void read_authority(struct pool *pool, ns_msg *msg, struct dns_packet *out)
{
    for (int i = 0; i < ns_msg_count(*msg, ns_s_ns) && i < MAX_RECORDS; i++) {
        ns_rr rr;
        struct dns_rr r;
        if (ns_parserr(msg, ns_s_ns, i, &rr) < 0) {
            return;
        }
        if (!get_record(pool, msg, &rr, &r)) {
            continue;
        }
        if (str_unset(out->aa_zone) && r.type == (out->any ? DNS_NS : DNS_SOA)) {
            out->aa_zone = r.owner;
        }
        if (!out->any && r.type == DNS_SOA) {
            out->ttl = r.ttl < r.soa[4] ? r.ttl : r.soa[4];
        }
    }
}

static void read_answers(struct pool *pool, ns_msg *msg, struct str name, enum dns_type type,
                         struct dns_packet *out)
{
    int count = ns_msg_count(*msg, ns_s_an);
    struct str at = name;
    count = count < MAX_RECORDS ? count : MAX_RECORDS;
    out->any = count > 0;
    out->ttl = UINT32_MAX;
    out->answer.rr = pool_calloc(pool, (size_t)count, sizeof *out->answer.rr);
    for (int i = 0; i < count; i++) {
        ns_rr rr;
        struct dns_rr *r = &out->answer.rr[out->answer.n];
        if (ns_parserr(msg, ns_s_an, i, &rr) < 0) {
            break;
        }
        out->ttl = ns_rr_ttl(rr) < out->ttl ? ns_rr_ttl(rr) : out->ttl;
        if (!get_record(pool, msg, &rr, r)) {
            continue;
        }
        if (r->type == DNS_CNAME) {
            out->cname = r->name;
            out->last_alias = r->owner;
            at = r->name;
        }
        if (r->type == type) {
            out->answer.n++;
        }
    }
    out->answer.final_name = at;
}

bool dns_decode(struct pool *pool, const unsigned char *bytes, size_t len, struct str name,
                enum dns_type type, struct dns_packet *out)
{
    ns_msg msg;
    *out = (struct dns_packet){0};
    if (len > 65535 || ns_initparse(bytes, (int)len, &msg) < 0) {
        return false;
    }
    out->rcode = ns_msg_getflag(msg, ns_f_rcode);
    out->ad = ns_msg_getflag(msg, ns_f_ad);
    out->aa = ns_msg_getflag(msg, ns_f_aa);
    read_answers(pool, &msg, name, type, out);
    if (!out->any) {
        out->ttl = 0;
    }
    read_authority(pool, &msg, out);
    return true;
}
