/*
 * Addresses of one host, by DNS (AAAA and A) or by name, which asks the system: /etc/hosts first.
 *
 * The first address goes into the host that was passed, further ones into new hosts of the caller's
 * pool, linked behind it. A family that cannot be asked now matters only if the other one gives
 * nothing.
 */
#include "net/internal.h"

#include <netdb.h>
#include <sys/socket.h>

/* What one host's search has got so far. */
struct collecting {
    const struct config *conf;
    struct pool *pool;
    struct host *first, *last;
    const struct host_find_opts *opts;
    bool dropped; /* an address was refused by opts->drop */
};

/* A random one of the hosts from *start to h changes its address with h. */
static void mix_in(struct host **start, struct host *h)
{
    uint32_t n = 1;
    *start = *start ? *start : h;
    for (const struct host *each = *start; each != h; each = each->next) {
        n++;
    }
    struct host *other = *start;
    for (uint32_t skip = net_random(n); skip; skip--) {
        other = other->next;
    }
    struct str swap = other->address;
    other->address = h->address;
    h->address = swap;
}

static bool has(const struct collecting *c, struct str address)
{
    for (const struct host *h = c->first; !str_unset(h->address); h = h->next) {
        if (str_eq(h->address, address)) {
            return true;
        }
        if (h == c->last) {
            break;
        }
    }
    return false;
}

/*
 * Adds an address. Where an order is to be drawn (*start: the first host of the family, NULL at its
 * beginning) it changes places with one of its family.
 */
static void collect(struct collecting *c, struct str address, struct host **start)
{
    if (has(c, address)) {
        return;
    }
    if (c->opts->drop && c->opts->drop(c->opts->closure, c->first->name, address)) {
        c->dropped = true;
        return;
    }
    struct host *h = c->first;
    if (!str_unset(h->address)) {
        h = POOL_NEW(c->pool, struct host);
        *h = *c->first;
        h->next = c->last->next;
        c->last->next = h;
    }
    c->last = h;
    h->address = address;
    if (start) {
        mix_in(start, h);
    }
}

static void collect_answer(struct collecting *c, const struct dns_answer *a)
{
    struct host *start = NULL;
    for (size_t i = 0; i < a->n; i++) {
        collect(c, ip_text(c->pool, &a->rr[i].ip), &start);
    }
}

static bool want_ipv6(const struct config *conf, struct pool *pool, struct str name,
                      const struct host_find_opts *opts)
{
    return !core_settings(conf)->disable_ipv6 && !opts->no_ipv6 && !opts->ipv4_only &&
           !net_in_domains(conf, pool, &net_settings(conf)->dns_ipv4_lookup, name);
}

/* The names and the DNSSEC state that an answer gives its host. */
static void name_host(struct host *h, const struct dns_answer *a, bool asked, struct str *qualified)
{
    h->certname = a->authentic ? a->final_name : a->qualified;
    h->name = a->final_name;
    h->dnssec = asked && a->authentic;
    if (qualified) {
        *qualified = a->address_domain;
    }
}

enum host_find dns_set_address(const struct config *conf, struct pool *pool, struct host *h,
                               const struct host_find_opts *opts, bool literal,
                               struct str *qualified)
{
    static const enum dns_type family[] = {DNS_AAAA, DNS_A};
    struct collecting c = {conf, pool, h, h, opts, false};
    struct dns_question q = {.name = h->name,
                             .dnssec = opts->dnssec_request || opts->dnssec_require,
                             .qualify_single = opts->qualify_single,
                             .search_parents = opts->search_parents};
    struct dns_answer a, named = {0};
    bool again = false, unsafe = false;
    h->address = STR_NONE;
    if (literal) {
        collect(&c, h->name, NULL);
        h->why = c.dropped ? WHY_IGNORED : h->why;
        return c.dropped ? HF_FAILED : HF_FOUND;
    }
    for (size_t i = want_ipv6(conf, pool, h->name, opts) ? 0 : 1; i < ARRAY_LEN(family); i++) {
        q.type = family[i];
        enum dns_result r = dns_ask(conf, pool, &q, &a);
        again |= r == DNS_AGAIN || r == DNS_FAIL;
        if (r == DNS_OK && opts->dnssec_require && !a.authentic) {
            unsafe = true;
        } else if (r == DNS_OK) {
            collect_answer(&c, &a);
            named = a;
        }
    }
    if (!str_unset(h->address)) {
        for (struct host *each = h;; each = each->next) {
            name_host(each, &named, q.dnssec, qualified);
            if (each == c.last) {
                return HF_FOUND;
            }
        }
    }
    h->why = c.dropped ? WHY_IGNORED : h->why;
    return unsafe ? HF_SECURITY : c.dropped ? HF_FAILED : again ? HF_AGAIN : HF_FAILED;
}

/* ---- by name ---- */

/* One family of the system's answer; *error gets h_errno if there is none. */
static bool collect_system(struct collecting *c, const char *name, int family, struct str *canon,
                           int *error)
{
    struct hostent he, *found = NULL;
    char space[16384];
    if (gethostbyname2_r(name, family, &he, space, sizeof space, &found, error) != 0 || !found) {
        return false;
    }
    for (char **p = he.h_addr_list; *p; p++) {
        struct ip ip = {.family = family};
        memcpy(ip.b, *p, family == AF_INET ? 4 : 16);
        collect(c, ip_text(c->pool, &ip), NULL);
    }
    if (str_unset(*canon)) {
        *canon = str_taint(str_dup(c->pool, str_c(he.h_name)));
    }
    return true;
}

static enum host_find find_by_name(const struct config *conf, struct pool *pool, struct host *h,
                                   struct str *error)
{
    static const struct host_find_opts none;
    struct collecting c = {conf, pool, h, h, &none, false};
    const char *name = str_cstr(pool, h->name);
    struct str canon = STR_NONE;
    int why6 = HOST_NOT_FOUND, why4 = HOST_NOT_FOUND;
    h->address = STR_NONE;
    if (want_ipv6(conf, pool, h->name, &none)) {
        collect_system(&c, name, AF_INET6, &canon, &why6);
    }
    collect_system(&c, name, AF_INET, &canon, &why4);
    if (str_unset(h->address)) {
        bool again =
            (why4 == TRY_AGAIN || why6 == TRY_AGAIN) &&
            !net_in_domains(conf, pool, &net_settings(conf)->dns_again_means_nonexist, h->name);
        *error = str_fmt(pool, "host lookup of %.*s failed: %s", STR_ARG(h->name),
                         hstrerror(again ? TRY_AGAIN : why4));
        return again ? HF_AGAIN : HF_FAILED;
    }
    for (struct host *each = h;; each = each->next) {
        each->certname = h->name;
        each->name = each == h ? each->name : canon;
        if (each == c.last) {
            break;
        }
    }
    h->name = canon;
    return HF_FOUND;
}

static enum host_find find_by_dns(const struct config *conf, struct pool *pool, struct host *h,
                                  unsigned how, struct str *error)
{
    const struct host_find_opts opts = {.a = true,
                                        .dnssec_request = how & FIND_DNSSEC,
                                        .dnssec_require = how & FIND_DNSSEC_REQUIRE,
                                        .qualify_single = how & FIND_QUALIFY_SINGLE,
                                        .search_parents = how & FIND_SEARCH_PARENTS};
    enum host_find r = dns_set_address(conf, pool, h, &opts, false, NULL);
    if (r != HF_FOUND) {
        *error = str_fmt(pool, "DNS lookup of %.*s failed%s", STR_ARG(h->name),
                         r == HF_AGAIN ? " for now" : "");
    }
    return r;
}

enum host_find net_find_addresses(const struct config *conf, struct pool *pool, struct host *h,
                                  bool byname, unsigned how, struct str *error)
{
    struct host *after = h->next;
    struct ip ip;
    enum host_find r = HF_FOUND;
    *error = STR_NONE;
    if (ip_parse(h->name, &ip)) {
        h->address = h->name;
    } else {
        r = byname ? find_by_name(conf, pool, h, error) : find_by_dns(conf, pool, h, how, error);
    }
    for (struct host *each = h; r == HF_FOUND && each != after; each = each->next) {
        if (net_host_is_local(conf, pool, each)) {
            r = HF_FOUND_LOCAL;
        }
    }
    return r;
}
