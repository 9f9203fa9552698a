/*
 * The hosts of a mail domain (RFC 5321 5.1, RFC 2782, RFC 7505): SRV or MX records, else the
 * domain's own addresses, in the order in which they are to be tried.
 *
 * Hosts are made in the caller's pool; each has one address, or none and a reason (why). A host
 * that is this machine ends the list: it and all that is not preferred to it is dropped, since
 * mail that has come so far must not go back. Error texts are those that the router's failure is
 * logged with; they are unset where the domain has plainly no such records.
 */
#include "net/internal.h"

#include <stdlib.h>
#include <sys/random.h>

uint32_t net_random(uint32_t below)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, 0) != sizeof r) {
        r = (uint32_t)time_monotonic_ms();
    }
    return below ? r % below : 0;
}

/* A name to be given addresses: one MX or SRV record. */
struct candidate {
    struct str name;
    int pref, weight, port, sort;
    bool dnssec;
};

static int by_preference(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->pref != y->pref) {
        return x->pref < y->pref ? -1 : 1;
    }
    return (x->sort > y->sort) - (x->sort < y->sort);
}

/* Sorted by preference and at random among equals; of records for one name the best is kept. */
static struct candidate *from_mx(struct pool *pool, const struct dns_answer *a, size_t *n)
{
    struct candidate *c = pool_calloc(pool, a->n, sizeof *c);
    *n = 0;
    for (size_t i = 0; i < a->n; i++) {
        size_t k = 0;
        while (k < *n && !str_eqi(c[k].name, a->rr[i].name)) {
            k++;
        }
        if (k < *n && c[k].pref <= a->rr[i].pref) {
            continue;
        }
        c[k] = (struct candidate){.name = a->rr[i].name,
                                  .pref = a->rr[i].pref,
                                  .port = PORT_NONE,
                                  .sort = (int)net_random(INT32_MAX),
                                  .dnssec = a->authentic};
        *n += k == *n;
    }
    qsort(c, *n, sizeof *c, by_preference);
    return c;
}

/* Within one priority, the order is drawn by weight (RFC 2782): v[0..n) is put in that order. */
static void draw_by_weight(struct candidate *v, size_t n)
{
    for (size_t at = 0; at + 1 < n; at++) {
        uint32_t sum = 0;
        for (size_t i = at; i < n; i++) {
            sum += (uint32_t)v[i].weight;
        }
        uint32_t pick = net_random(sum + 1);
        size_t i = at;
        for (uint32_t run = (uint32_t)v[i].weight; run < pick && i + 1 < n;) {
            run += (uint32_t)v[++i].weight;
        }
        struct candidate chosen = v[i];
        v[i] = v[at];
        v[at] = chosen;
    }
}

static struct candidate *from_srv(struct pool *pool, const struct dns_answer *a, size_t *n)
{
    struct candidate *c = pool_calloc(pool, a->n, sizeof *c);
    for (size_t i = 0; i < a->n; i++) {
        const struct dns_rr *r = &a->rr[i];
        c[i] = (struct candidate){.name = r->name,
                                  .pref = r->pref,
                                  .weight = r->weight,
                                  .port = r->port,
                                  .dnssec = a->authentic,
                                  .sort = r->weight ? 1 + (int)net_random(1000) : 0};
    }
    *n = a->n;
    qsort(c, *n, sizeof *c, by_preference);
    for (size_t i = 0, j; i < *n; i = j) {
        for (j = i; j < *n && c[j].pref == c[i].pref; j++) {
        }
        draw_by_weight(c + i, j - i);
    }
    return c;
}

/* ---- the list of hosts ---- */

struct host_list {
    struct pool *pool;
    struct host **v;
    size_t n, alloc;
};

static void push(struct host_list *l, struct host *h)
{
    if (l->n == l->alloc) {
        size_t alloc = l->alloc ? l->alloc * 2 : 16;
        struct host **v = pool_calloc(l->pool, alloc, sizeof(struct host *));
        if (l->n) {
            memcpy(v, l->v, l->n * sizeof(struct host *));
        }
        l->v = v;
        l->alloc = alloc;
    }
    l->v[l->n++] = h;
}

/* IPv6 addresses go before IPv4 ones of the same preference; otherwise the order is kept. */
static void prefer_ipv6(struct host_list *l)
{
    for (size_t i = 1; i < l->n; i++) {
        struct host *h = l->v[i];
        if (str_chr(h->address, ':') < 0) {
            continue;
        }
        size_t k = i;
        while (k > 0 && l->v[k - 1]->mx == h->mx && !str_unset(l->v[k - 1]->address) &&
               str_chr(l->v[k - 1]->address, ':') < 0) {
            l->v[k] = l->v[k - 1];
            k--;
        }
        l->v[k] = h;
    }
}

/* The same address and port twice: the later one goes. */
static void drop_duplicates(struct host_list *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++) {
        size_t k = 0;
        while (k < kept && (str_unset(l->v[i]->address) || l->v[k]->port != l->v[i]->port ||
                            !str_eq(l->v[k]->address, l->v[i]->address))) {
            k++;
        }
        if (k == kept) {
            l->v[kept++] = l->v[i];
        }
    }
    l->n = kept;
}

static struct host *link_up(const struct host_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        l->v[i]->next = i + 1 < l->n ? l->v[i + 1] : NULL;
    }
    return l->n ? l->v[0] : NULL;
}

bool net_host_is_local(const struct config *conf, struct pool *pool, const struct host *h)
{
    struct ip ip;
    return net_in_domains(conf, pool, &core_settings(conf)->hosts_treat_as_local, h->name) ||
           (ip_parse(h->address, &ip) && net_is_local(conf, pool, &ip));
}

/* Cuts the list before the first preference that has a host of ours; true if nothing is left. */
static bool cut_at_local(const struct config *conf, struct host_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (net_host_is_local(conf, l->pool, l->v[i])) {
            size_t keep = i;
            while (keep > 0 && l->v[keep - 1]->mx == l->v[i]->mx) {
                keep--;
            }
            if (keep == 0) {
                return true;
            }
            l->n = keep;
            return false;
        }
    }
    return false;
}

/* ---- finding ---- */

struct finding {
    const struct config *conf;
    struct pool *pool;
    const struct host_find_opts *opts;
    struct host_list list;
    bool saw_ip; /* a record names an IP address instead of a host */
    bool soft, insecure;
    bool
        decided; /* there are records, or it cannot be said: the domain's own address is no way out */
};

/* One candidate's addresses are added, or itself as unusable. */
static void resolve(struct finding *f, const struct candidate *c)
{
    struct host *h = POOL_NEW(f->pool, struct host);
    *h = (struct host){
        .name = c->name, .port = c->port, .mx = c->pref, .sort = c->sort, .dnssec = c->dnssec};
    struct ip ip;
    bool is_ip = ip_parse(c->name, &ip);
    f->saw_ip |= is_ip;
    enum host_find r = str_empty(c->name)
                           ? HF_FAILED
                           : dns_set_address(f->conf, f->pool, h, f->opts,
                                             is_ip && net_settings(f->conf)->allow_mx_to_ip, NULL);
    if (r != HF_FOUND) {
        h->status = HOST_UNUSABLE;
        h->why = h->why == WHY_IGNORED ? WHY_IGNORED : r == HF_FAILED ? WHY_FAILED : WHY_DEFERRED;
        f->soft |= r == HF_AGAIN;
        f->insecure |= r == HF_SECURITY;
    }
    if (h->why == WHY_IGNORED) {
        return;
    }
    for (struct host *a = h; a; a = a->next) {
        push(&f->list, a);
    }
}

static bool any_usable(const struct host_list *l)
{
    for (size_t i = 0; i < l->n; i++) {
        if (!str_unset(l->v[i]->address)) {
            return true;
        }
    }
    return false;
}

static enum host_find failure(const struct finding *f, struct str *error)
{
    if (f->insecure) {
        *error = STR("host lookup done insecurely");
        return HF_SECURITY;
    }
    if (f->soft) {
        *error = STR("host lookup did not complete");
        return HF_AGAIN;
    }
    if (f->decided && f->list.n && str_empty(f->list.v[0]->name)) {
        *error = STR("an MX or SRV record indicated no SMTP service");
    } else if (f->decided) {
        *error = f->saw_ip
                     ? STR("all relevant MX records point to non-existent hosts or (invalidly) "
                           "to IP addresses")
                     : STR("all relevant MX records point to non-existent hosts");
    }
    return HF_FAILED;
}

static enum host_find find_all(struct finding *f, const struct candidate *c, size_t n,
                               struct host **hosts, struct str *error)
{
    for (size_t i = 0; i < n; i++) {
        resolve(f, &c[i]);
    }
    drop_duplicates(&f->list);
    prefer_ipv6(&f->list);
    bool usable = any_usable(&f->list) && !f->insecure;
    size_t before = f->list.n;
    bool ours = cut_at_local(f->conf, &f->list);
    if (f->opts->local_cut && f->list.n != before) {
        *f->opts->local_cut = true;
    }
    *hosts = link_up(&f->list);
    if (ours) {
        return HF_FOUND_LOCAL;
    }
    return usable ? HF_FOUND : failure(f, error);
}

/* Records that DNSSEC was to vouch for, and did not. */
static bool insecure(const struct finding *f, enum dns_result r, const struct dns_answer *a)
{
    return r == DNS_OK && f->opts->dnssec_require && !a->authentic;
}

static enum dns_result ask(const struct finding *f, struct str name, enum dns_type type,
                           struct dns_answer *a)
{
    const struct dns_question q = {.name = name,
                                   .type = type,
                                   .dnssec = f->opts->dnssec_request || f->opts->dnssec_require,
                                   .qualify_single = f->opts->qualify_single,
                                   .search_parents = f->opts->search_parents};
    return dns_ask(f->conf, f->pool, &q, a);
}

/* The records of one type. Leaves f->decided unset if there are none. */
static enum host_find find_by(struct finding *f, struct str domain, enum dns_type type,
                              struct host **hosts, struct str *fq, struct str *error)
{
    bool srv = type == DNS_SRV;
    bool soft_is_absent = srv ? f->opts->srv_fail_is_fail : f->opts->mx_fail_is_fail;
    struct str name = domain;
    struct dns_answer a;
    size_t n;
    if (srv) {
        name = STR_CAT(f->pool, STR("_"), f->opts->srv_service, STR("._tcp."), domain);
    }
    enum dns_result r = ask(f, name, type, &a);
    bool unsafe = insecure(f, r, &a);
    if (r == DNS_OK && !unsafe) {
        f->decided = true;
        *fq = srv ? *fq : a.address_domain;
        struct candidate *c = srv ? from_srv(f->pool, &a, &n) : from_mx(f->pool, &a, &n);
        return find_all(f, c, n, hosts, error);
    }
    if (soft_is_absent || r == DNS_NOMATCH || r == DNS_NODATA) {
        f->decided = !srv && r == DNS_NOMATCH; /* no name: no address either */
        return HF_FAILED;
    }
    f->decided = true;
    f->insecure = unsafe;
    f->soft = true;
    return failure(f, error);
}

/* The domain's own addresses. */
static enum host_find find_own(struct finding *f, struct str domain, struct host **hosts,
                               struct str *fq, struct str *error)
{
    struct host *h = POOL_NEW(f->pool, struct host);
    *h = (struct host){.name = domain, .port = PORT_NONE, .mx = MX_NONE};
    enum host_find r = dns_set_address(f->conf, f->pool, h, f->opts, false, fq);
    if (r != HF_FOUND) {
        f->insecure = r == HF_SECURITY;
        f->soft = r == HF_AGAIN;
        return failure(f, error);
    }
    for (struct host *a = h; a; a = a->next) {
        push(&f->list, a);
    }
    bool ours = cut_at_local(f->conf, &f->list);
    *hosts = link_up(&f->list);
    return ours ? HF_FOUND_LOCAL : HF_FOUND;
}

enum host_find dns_find_hosts(const struct config *conf, struct pool *pool, struct str domain,
                              const struct host_find_opts *opts, struct host **hosts,
                              struct str *fully_qualified, struct str *error)
{
    struct finding f = {.conf = conf, .pool = pool, .opts = opts, .list = {.pool = pool}};
    struct str fq = domain;
    enum host_find r = HF_FAILED;
    *hosts = NULL;
    *error = STR_NONE;
    if (opts->srv) {
        r = find_by(&f, domain, DNS_SRV, hosts, &fq, error);
    }
    if (opts->mx && !f.decided) {
        r = find_by(&f, domain, DNS_MX, hosts, &fq, error);
    }
    if (opts->a && !f.decided) {
        r = find_own(&f, domain, hosts, &fq, error);
    }
    if (fully_qualified) {
        *fully_qualified = fq;
    }
    return r;
}
