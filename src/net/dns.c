/*
 * The resolver: the only code of minim that asks the DNS.
 *
 * Questions go through libresolv (its servers, its retransmission) with a resolver state of the
 * process's own, set up afresh when resolv.conf changes. Names are checked against
 * dns_check_names_pattern and made ASCII (IDNA) first; answers are remembered (dns_cache.c) as long
 * as they live, failures to get one for a short while, so that one dead zone does not cost every
 * recipient a timeout. Results are in the caller's pool and tainted.
 */
#include "net/internal.h"

#include <arpa/nameser.h>
#include <idn2.h>
#include <netinet/in.h>
#include <resolv.h>
#include <sys/stat.h>

enum {
    PACKET_MAX = 65535,
    TTL_MAX = 86400,    /* nothing is remembered longer */
    ABSENT_MAX = 300,   /* "no such name" */
    AGAIN_SECONDS = 30, /* "try again" */
    EDNS_SIZE = 1232
};

static struct {
    bool ready;
    struct timespec changed; /* of resolv.conf, when the state was made */
    struct __res_state state;
} res;

/* The resolver state, made anew if resolv.conf is not what it was. */
static struct __res_state *resolver(void)
{
    struct stat st;
    struct timespec changed = {0};
    if (stat(_PATH_RESCONF, &st) == 0) {
        changed = st.st_mtim;
    }
    if (res.ready &&
        (changed.tv_sec != res.changed.tv_sec || changed.tv_nsec != res.changed.tv_nsec)) {
        res_nclose(&res.state);
        res.ready = false;
        dns_cache_forget();
    }
    if (!res.ready) {
        memset(&res.state, 0, sizeof res.state);
        if (res_ninit(&res.state) < 0) {
            return NULL;
        }
        res.ready = true;
        res.changed = changed;
    }
    return &res.state;
}

/* EDNS0 pseudo-record (RFC 6891 6.1), with the DO bit (RFC 3225) if asked for. */
static int add_edns(unsigned char *query, int len, size_t room, bool dnssec)
{
    const unsigned char opt[11] = {0, 0, ns_t_opt,         EDNS_SIZE >> 8, EDNS_SIZE & 0xff,
                                   0, 0, dnssec ? 0x80 : 0};
    if ((size_t)len + sizeof opt > room) {
        return len;
    }
    memcpy(query + len, opt, sizeof opt);
    HEADER h;
    memcpy(&h, query, sizeof h);
    h.arcount = htons((uint16_t)(ntohs(h.arcount) + 1));
    memcpy(query, &h, sizeof h);
    return len + (int)sizeof opt;
}

static void set_times(struct __res_state *state, const struct net_settings *set,
                      const struct dns_question *q)
{
    int retrans = q->retrans ? q->retrans : set->dns_retrans;
    int retry = q->retry ? q->retry : set->dns_retry;
    if (retrans > 0) {
        state->retrans = retrans;
    }
    if (retry > 0) {
        state->retry = retry;
    }
}

/* A server so old that it takes the pseudo-record for a mistake (RFC 6891 7). */
static bool chokes_on_edns(const unsigned char *answer, int len)
{
    return len >= NS_HFIXEDSZ && (answer[3] & 0xf) == ns_r_formerr;
}

/* One question over the wire. The length of the answer, or -1: nothing usable came. */
static int send_query(const struct net_settings *set, const char *name,
                      const struct dns_question *q, unsigned char *answer)
{
    struct __res_state *state = resolver();
    unsigned char query[NS_PACKETSZ];
    if (!state) {
        return -1;
    }
    bool dnssec = set->dns_dnssec_ok >= 0 ? set->dns_dnssec_ok > 0 : q->dnssec;
    bool edns = set->dns_use_edns0 >= 0 ? set->dns_use_edns0 > 0 : dnssec;
    int retrans = state->retrans, retry = state->retry;
    int len =
        res_nmkquery(state, QUERY, name, C_IN, (int)q->type, NULL, 0, NULL, query, sizeof query);
    if (len < 0) {
        return 0; /* a name that cannot be written as one */
    }
    set_times(state, set, q);
    int got = -1;
    if (edns) {
        unsigned char extended[sizeof query];
        memcpy(extended, query, (size_t)len);
        int n = add_edns(extended, len, sizeof extended, dnssec);
        got = res_nsend(state, extended, n, answer, PACKET_MAX);
    }
    if (!edns || chokes_on_edns(answer, got)) {
        got = res_nsend(state, query, len, answer, PACKET_MAX);
    }
    state->retrans = retrans;
    state->retry = retry;
    return got < 0 ? -1 : got < NS_HFIXEDSZ ? 0 : got;
}

static enum dns_result result_of(const struct dns_packet *p)
{
    switch (p->rcode) {
    case ns_r_noerror: return p->any ? DNS_OK : DNS_NODATA;
    case ns_r_nxdomain: return DNS_NOMATCH;
    case ns_r_servfail: return DNS_AGAIN;
    default: return DNS_FAIL;
    }
}

static uint32_t lifetime(enum dns_result result, uint32_t ttl)
{
    switch (result) {
    case DNS_OK: return ttl < TTL_MAX ? ttl : TTL_MAX;
    case DNS_NOMATCH:
    case DNS_NODATA: return ttl < ABSENT_MAX ? ttl : ABSENT_MAX;
    default: return AGAIN_SECONDS;
    }
}

static struct str cache_key(struct pool *pool, const struct dns_question *q, struct str name)
{
    return str_fmt(pool, "%d%c%d.%d %.*s", (int)q->type, q->dnssec ? 'D' : 'n', q->retrans,
                   q->retry, STR_ARG(name));
}

static const char *type_name(enum dns_type type)
{
    switch (type) {
    case DNS_A: return "A";
    case DNS_AAAA: return "AAAA";
    case DNS_CNAME: return "CNAME";
    case DNS_MX: return "MX";
    case DNS_NS: return "NS";
    case DNS_PTR: return "PTR";
    case DNS_SOA: return "SOA";
    case DNS_SPF: return "SPF";
    case DNS_SRV: return "SRV";
    case DNS_TLSA: return "TLSA";
    case DNS_TXT: return "TXT";
    default: return "?";
    }
}

/* send_query() with an eye on the clock (slow_lookup_log). */
static int send_timed(const struct net_settings *set, const char *name,
                      const struct dns_question *q, unsigned char *answer)
{
    int64_t start = time_monotonic_ms();
    int n = send_query(set, name, q, answer);
    int64_t took = time_monotonic_ms() - start;
    if (set->slow_lookup_log > 0 && !q->untimed && took > set->slow_lookup_log) {
        log_write(LOG_MAIN, "Long %s lookup for '%s': %lld msec", type_name(q->type), name,
                  (long long)took);
    }
    TRACE(TR_dns, "DNS lookup of %s (%s) took %lld ms", name, type_name(q->type), (long long)took);
    return n;
}

/* One name, from memory or over the wire. */
static enum dns_result ask_name(const struct net_settings *set, struct pool *pool,
                                const struct dns_question *q, struct str name,
                                struct dns_packet *out)
{
    unsigned char packet[PACKET_MAX + 1];
    struct str key = cache_key(pool, q, name);
    const struct dns_cached *hit = dns_cache_get(key);
    *out = (struct dns_packet){0};
    if (hit) {
        bool ok = hit->len && dns_decode(pool, hit->msg, hit->len, name, q->type, out);
        return hit->len && !ok ? DNS_FAIL : hit->result;
    }
    struct dns_cached entry = {.name = name, .msg = packet};
    int n = send_timed(set, str_cstr(pool, name), q, packet);
    if (n < 0) {
        entry.result = DNS_AGAIN;
    } else if (n == 0 || !dns_decode(pool, packet, (size_t)n, name, q->type, out)) {
        entry.result = DNS_FAIL;
    } else {
        entry.result = result_of(out);
        entry.len = (size_t)n;
    }
    dns_cache_put(key, &entry, lifetime(entry.result, out->ttl));
    return entry.result;
}

/* The name as the resolver takes it: without the final dot, non-ASCII labels encoded. */
static bool to_ascii(struct pool *pool, struct str name, struct str *out)
{
    *out = name;
    for (uint32_t i = 0; i < name.len; i++) {
        if (name.p[i] == '\0') {
            return false;
        }
        if ((unsigned char)name.p[i] > 127) {
            uint8_t *ascii;
            if (idn2_lookup_u8((const uint8_t *)str_cstr(pool, name), &ascii,
                               IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK) {
                return false;
            }
            *out = str_dup(pool, str_c((const char *)ascii));
            out->tainted = name.tainted;
            idn2_free(ascii);
            return true;
        }
    }
    return true;
}

/* The better of two failures: what is temporary must not be hidden by a later "no such name". */
static enum dns_result worse(enum dns_result kept, enum dns_result now)
{
    if (kept == DNS_AGAIN || now == DNS_AGAIN) {
        return DNS_AGAIN;
    }
    return kept == DNS_NODATA ? kept : now;
}

/* The name itself and, as the question allows, inside the resolver's domains. */
static enum dns_result search(const struct net_settings *set, struct pool *pool,
                              const struct dns_question *q, struct str *name,
                              struct dns_packet *out)
{
    bool dotted = str_chr(*name, '.') >= 0, rooted = str_ends(*name, STR("."));
    bool domains = !rooted && (dotted ? q->search_parents : q->qualify_single);
    enum dns_result result = DNS_NOMATCH;
    struct str plain = rooted ? str_sub(*name, 0, name->len - 1u) : *name;
    struct __res_state *state = domains ? resolver() : NULL;
    if (dotted || !domains) {
        result = ask_name(set, pool, q, plain, out);
        if (result == DNS_OK || !domains) {
            *name = plain;
            return result;
        }
    }
    for (int i = 0; state && i < MAXDNSRCH && state->dnsrch[i]; i++) {
        struct str full = STR_CAT(pool, plain, STR("."), str_c(state->dnsrch[i]));
        enum dns_result now = ask_name(set, pool, q, full, out);
        if (now == DNS_OK) {
            *name = full;
            return now;
        }
        if (!dotted) { /* else what is said of the name itself counts */
            result = worse(result, now);
        }
        if (!q->search_parents) {
            break;
        }
    }
    if (!dotted) {
        enum dns_result now = ask_name(set, pool, q, plain, out);
        result = now == DNS_OK ? now : worse(result, now);
        *name = plain;
    }
    return result;
}

/* SRV and TLSA names begin with labels that no host name may have. */
static bool name_is_clean(const struct net_settings *set, const struct dns_question *q,
                          struct str name)
{
    struct str rest = name, label;
    if (q->type == DNS_TXT || q->type == DNS_PTR) {
        return true;
    }
    if (q->type == DNS_SRV || q->type == DNS_TLSA) {
        str_next(&rest, '.', &label);
        str_next(&rest, '.', &label);
    }
    return net_clean_name(set, rest);
}

static bool authentic(const struct config *conf, struct pool *pool, const struct net_settings *set,
                      const struct dns_packet *p)
{
    return p->ad || (p->aa && !str_unset(p->aa_zone) &&
                     net_in_domains(conf, pool, &set->dns_trust_aa, p->aa_zone));
}

static enum dns_result fail(struct pool *pool, const struct dns_question *q, enum dns_result result,
                            struct dns_answer *out)
{
    static const char *const why[] = {"succeeded", "no such name", "no such record",
                                      "try again later", "bad answer"};
    out->error = str_fmt(pool, "DNS lookup of %.*s failed: %s", STR_ARG(q->name), why[result]);
    return result;
}

/* "Try again" counts as "no such name" for the names of dns_again_means_nonexist. */
static enum dns_result soften(const struct config *conf, struct pool *pool,
                              const struct net_settings *set, enum dns_result result,
                              struct str name)
{
    if (result == DNS_AGAIN && net_in_domains(conf, pool, &set->dns_again_means_nonexist, name)) {
        TRACE(TR_dns, "%.*s is in dns_again_means_nonexist", STR_ARG(name));
        return DNS_NOMATCH;
    }
    return result;
}

enum dns_result dns_ask(const struct config *conf, struct pool *pool, const struct dns_question *q,
                        struct dns_answer *out)
{
    const struct net_settings *set = net_settings(conf);
    struct dns_packet p;
    struct str name, qualified = STR_NONE, domain = STR_NONE;
    bool secure = true;
    *out = (struct dns_answer){0};
    if (!to_ascii(pool, q->name, &name) || !name_is_clean(set, q, name)) {
        return fail(pool, q, DNS_NOMATCH, out);
    }
    for (int hops = 0; hops <= set->dns_cname_loops; hops++) {
        enum dns_result result = search(set, pool, q, &name, &p);
        if (result != DNS_OK) {
            return fail(pool, q, soften(conf, pool, set, result, name), out);
        }
        if (!hops) {
            qualified = name;
            domain = str_unset(p.last_alias) ? name : p.last_alias;
        }
        secure = secure && authentic(conf, pool, set, &p);
        if (p.answer.n) {
            *out = p.answer;
            out->authentic = secure;
            out->qualified = qualified;
            out->address_domain = domain;
            if (str_unset(p.cname)) {
                out->final_name = name;
            }
            return DNS_OK;
        }
        if (str_unset(p.cname)) {
            return fail(pool, q, DNS_FAIL, out);
        }
        name = p.cname;
    }
    log_write(LOG_MAIN, "CNAME loop for %.*s encountered", STR_ARG(q->name));
    return fail(pool, q, DNS_FAIL, out);
}

enum dns_result dns_lookup(const struct config *conf, struct pool *pool, struct str name,
                           enum dns_type type, bool dnssec, struct dns_answer *out)
{
    const struct dns_question q = {.name = name, .type = type, .dnssec = dnssec};
    return dns_ask(conf, pool, &q, out);
}

enum dns_result dns_lookup_as(const struct config *conf, struct pool *pool, struct str name,
                              enum dns_type type, const struct dns_asking *how,
                              struct dns_answer *out)
{
    const struct dns_question q = {.name = name,
                                   .type = type,
                                   .dnssec = how->dnssec,
                                   .retrans = how->retrans,
                                   .retry = how->retry};
    return dns_ask(conf, pool, &q, out);
}
