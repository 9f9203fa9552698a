/*
 * The dnslookup router: hosts of a mail domain from DNS, SRV records (if asked for), MX records,
 * address records, in this order.
 *
 * A domain that the resolver completed, or that widen_domains completed, is rerouted under its full
 * name.
 */
#include "route/internal.h"

#include <stdio.h>

struct opts {
    struct etext check_srv, fail_defer_domains, ipv4_only, ipv4_prefer, mx_domains, mx_fail_domains,
        srv_fail_domains;
    struct str widen_domains;
    bool check_secondary_mx, qualify_single, rewrite_headers, same_domain_copy_routing,
        search_parents;
};

#define O(field) offsetof(struct opts, field)

static const struct option options[] = {
    {"check_secondary_mx", OPT_BOOL, O(check_secondary_mx), "false",
     "this host must be among the MX hosts, and not the first", NULL, NULL},
    {"check_srv", OPT_EXPAND, O(check_srv), NULL, "service whose SRV records are asked for first",
     NULL, NULL},
    {"fail_defer_domains", OPT_DOMAINS, O(fail_defer_domains), NULL,
     "domains that wait when DNS does not know them", NULL, NULL},
    {"ipv4_only", OPT_EXPAND, O(ipv4_only), NULL, "if true, only A records are used", NULL, NULL},
    {"ipv4_prefer", OPT_EXPAND, O(ipv4_prefer), NULL, "if true, A records come before AAAA", NULL,
     NULL},
    {"mx_domains", OPT_DOMAINS, O(mx_domains), NULL, "domains that must have MX or SRV records",
     NULL, NULL},
    {"mx_fail_domains", OPT_DOMAINS, O(mx_fail_domains), NULL,
     "domains for which a failed MX lookup counts as no MX record", NULL, NULL},
    {"qualify_single", OPT_BOOL, O(qualify_single), "true",
     "the resolver completes domains of one component", NULL, NULL},
    {"rewrite_headers", OPT_BOOL, O(rewrite_headers), "true",
     "a completed domain is put in the headers", NULL, NULL},
    {"same_domain_copy_routing", OPT_BOOL, O(same_domain_copy_routing), "false",
     "other recipients of the domain get the same hosts", NULL, NULL},
    {"search_parents", OPT_BOOL, O(search_parents), "false",
     "the resolver searches in parent domains", NULL, NULL},
    {"srv_fail_domains", OPT_DOMAINS, O(srv_fail_domains), NULL,
     "domains for which a failed SRV lookup counts as no SRV record", NULL, NULL},
    {"widen_domains", OPT_STRING, O(widen_domains), NULL, "domains to add when a lookup fails",
     NULL, NULL},
    {0},
};

/* A truth option: forced failure and the four words for no are false. */
static bool is_on(struct ectx *x, const struct etext *e)
{
    struct str s;
    return !str_unset(e->text) && expand_option(x, e, &s) && !str_empty(s) && !str_is(s, "0") &&
           !str_isi(s, "no") && !str_isi(s, "false");
}

/* How to look the domain up; false with a->message. */
static bool prepare(struct route_job *job, const struct router *r, struct address *a,
                    struct host_filter *filter, struct host_find_opts *o)
{
    const struct opts *p = r->opts;
    struct ectx *x = job->x;
    struct str service;
    *o = (struct host_find_opts){.mx = true, .drop = route_drop_host, .closure = filter};
    o->a = !route_domain_in(x, &p->mx_domains, a->domain);
    o->mx_fail_is_fail = route_domain_in(x, &p->mx_fail_domains, a->domain);
    o->srv_fail_is_fail = route_domain_in(x, &p->srv_fail_domains, a->domain);
    o->dnssec_request = route_domain_in(x, &r->dnssec_request_domains, a->domain);
    o->dnssec_require = route_domain_in(x, &r->dnssec_require_domains, a->domain);
    o->qualify_single = p->qualify_single;
    o->search_parents = p->search_parents;
    o->ipv4_only = is_on(x, &p->ipv4_only);
    if (!str_unset(p->check_srv.text)) {
        if (expand_option(x, &p->check_srv, &service)) {
            o->srv = !str_empty(service);
            o->srv_service = service;
        } else if (!x->forced_fail) {
            a->message = str_fmt(x->pool, "%.*s router: failed to expand \"%.*s\": %.*s",
                                 STR_ARG(r->name), STR_ARG(p->check_srv.text), STR_ARG(x->error));
            return false;
        }
    }
    return true;
}

/* The look-up, then with each of widen_domains added. *domain is what was looked up last. */
static enum host_find look_up(struct route_job *job, const struct router *r, struct address *a,
                              const struct host_find_opts *o, struct str *domain, struct str *full,
                              struct str *error)
{
    const struct opts *p = r->opts;
    struct ectx *x = job->x;
    struct str rest = p->widen_domains, item;
    int sep = 0;
    bool widen = !str_unset(rest) && (job->why != ROUTE_VERIFY_SENDER || !p->rewrite_headers);
    *domain = a->domain;
    for (;;) {
        *full = STR_NONE;
        *error = STR_NONE;
        enum host_find result =
            dns_find_hosts(x->conf, x->pool, *domain, o, &a->hosts, full, error);
        if (result != HF_FAILED || !widen || !net_list_next(x->pool, &rest, &sep, &item)) {
            return result;
        }
        *domain = STR_CAT(x->pool, a->domain, STR("."), item);
    }
}

static bool has_ipv4(const struct host *h)
{
    return str_chr(h->address, ':') < 0;
}

/* ipv4_prefer: addresses of one MX preference and name, IPv4 first. */
static void prefer_ipv4(struct host **at)
{
    while (*at) {
        struct host *v4 = NULL, **end4 = &v4, *v6 = NULL, **end6 = &v6, *h = *at;
        struct str name = h->name;
        int mx = h->mx;
        for (; h && h->mx == mx && str_eqi(h->name, name); h = h->next) {
            struct host ***end = has_ipv4(h) ? &end4 : &end6;
            **end = h;
            *end = &h->next;
        }
        *end6 = h;
        *end4 = v6 ? v6 : h;
        *at = v4 ? v4 : v6;
        at = v6 ? end6 : end4;
    }
}

static enum route_result not_found(struct route_job *job, const struct router *r, struct address *a,
                                   struct str error)
{
    const struct opts *p = r->opts;
    if (!str_empty(error)) {
        a->message = error;
    }
    if (route_domain_in(job->x, &p->fail_defer_domains, a->domain)) {
        return route_defer(a, ERRNO_UNKNOWNERROR,
                           STR("missing MX, or all MXs point to missing A records, and defer "
                               "requested"));
    }
    return ROUTE_DECLINE;
}

static enum route_result try_later(struct route_job *job, const struct router *r, struct address *a,
                                   bool security)
{
    struct str text = security ? str_fmt(job->x->pool, "host lookup done insecurely")
                               : STR("host lookup did not complete");
    return r->pass_on_timeout ? ROUTE_PASS : route_defer(a, ERRNO_UNKNOWNERROR, text);
}

/* True if the list holds more than hosts worse than or as good as this one. */
static bool is_secondary(enum host_find result, bool cut)
{
    return result == HF_FOUND && cut;
}

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    const struct opts *p = r->opts;
    struct ectx *x = job->x;
    struct host_filter filter = {x, r, 0};
    struct host_find_opts o;
    struct str domain, full, error;
    if (str_starts(a->domain, "[")) {
        a->message =
            str_fmt(x->pool, "mail domain \"%.*s\" is syntactically invalid", STR_ARG(a->domain));
        return ROUTE_DECLINE;
    }
    if (!prepare(job, r, a, &filter, &o)) {
        return route_defer(a, ERRNO_UNKNOWNERROR, a->message);
    }
    bool local_cut = false;
    o.local_cut = &local_cut;
    enum host_find result = look_up(job, r, a, &o, &domain, &full, &error);
    if (result == HF_FAILED) {
        return not_found(job, r, a, error);
    }
    if (result == HF_AGAIN || result == HF_SECURITY) {
        return try_later(job, r, a, result == HF_SECURITY);
    }
    if (p->check_secondary_mx && !is_secondary(result, local_cut)) {
        return ROUTE_DECLINE;
    }
    if (str_unset(full) || str_starts(full, "*")) {
        full = domain;
    }
    if (!str_eqi(full, a->domain)) {
        return route_change_domain(job, r, a, full, p->rewrite_headers);
    }
    if (result == HF_FOUND_LOCAL) {
        enum route_result answer = route_self(job, r, a, a->hosts && a->hosts->mx != MX_NONE);
        if (answer != ROUTE_OK) {
            return answer;
        }
    }
    if (is_on(x, &p->ipv4_prefer)) {
        prefer_ipv4(&a->hosts);
    }
    a->share_routing = p->same_domain_copy_routing;
    return route_accept(job, r, a, NULL);
}

const struct router_driver dnslookup_router = {
    .name = "dnslookup",
    .opts_size = sizeof(struct opts),
    .options = options,
    .route = route,
    .wants_transport = true,
};
