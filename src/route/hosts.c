/*
 * From host names to addresses for the routers that name hosts: by name service or DNS, through MX
 * records for "name/mx", with ignore_target_hosts and the check for this host.
 *
 * The address's host list is changed in place; several addresses of one name are several hosts.
 */
#include "route/internal.h"

#include <stdio.h>

bool route_domain_in(struct ectx *x, const struct etext *list, struct str domain)
{
    return !str_unset(list->text) && match_domain(x, list, domain, NULL) == MATCH_YES;
}

bool route_drop_host(void *closure, struct str name, struct str address)
{
    struct host_filter *f = closure;
    struct delivery d = {.pool = f->x->pool};
    struct host h = {.name = name, .address = address, .port = PORT_NONE, .mx = MX_NONE};
    if (str_unset(f->router->ignore_target_hosts.text)) {
        return false;
    }
    struct delivery *saved = f->x->dlv;
    d.host = &h;
    f->x->dlv = &d;
    enum match m = match_host(f->x, &f->router->ignore_target_hosts, name, address, NULL);
    f->x->dlv = saved;
    f->dropped += m == MATCH_YES;
    return m == MATCH_YES;
}

/* ---- self ---- */

/* Outside of a delivery, whose log lines say it, the address is named. */
static void log_self(struct ectx *x, const struct address *a, struct str text)
{
    struct str about = STR("");
    if (x->msg == NULL || str_empty(x->msg->id)) {
        struct str from =
            x->sess ? session_fullhost(x->pool, x->sess, log_wants(LS_incoming_port)) : STR_NONE;
        about = x->sess && !str_unset(x->sess->host_address)
                    ? str_fmt(x->pool, " (while verifying <%.*s> from host %.*s)",
                              STR_ARG(a->address), STR_ARG(from))
                    : str_fmt(x->pool, " (while routing <%.*s>)", STR_ARG(a->address));
    }
    log_msg(LOG_MAIN, x->msg, "%.*s: %.*s%.*s", STR_ARG(text), STR_ARG(a->domain), STR_ARG(about));
}

enum route_result route_self(struct route_job *job, const struct router *r, struct address *a,
                             bool from_mx)
{
    struct ectx *x = job->x;
    struct str text = from_mx ? STR("lowest numbered MX record points to local host")
                              : STR("remote host address is the local host");
    a->self_hostname = a->hosts ? a->hosts->name : STR_NONE;
    switch (r->self) {
    case SELF_SEND: return ROUTE_OK;
    case SELF_PASS:
        a->message = text;
        a->keep_message = true;
        a->hosts = NULL; /* they are the next router's to find */
        return ROUTE_PASS;
    case SELF_FAIL: return route_fail(a, text);
    case SELF_REROUTE: return route_change_domain(job, r, a, r->self_domain, r->self_rewrite);
    case SELF_DEFER: return route_defer(a, ERRNO_UNKNOWNERROR, text);
    case SELF_FREEZE: break;
    }
    log_self(x, a, text);
    a->special_action = STR("freeze");
    return route_defer(a, ERRNO_UNKNOWNERROR, text);
}

/* ---- look-up ---- */

/* Whether a host is this one, by name or address. */
static bool is_local(struct ectx *x, const struct host *h)
{
    const struct core_settings *s = core_settings(x->conf);
    struct ip ip;
    if (!str_unset(s->hosts_treat_as_local.text) &&
        match_domain(x, &s->hosts_treat_as_local, h->name, NULL) == MATCH_YES) {
        return true;
    }
    return ip_parse(h->address, &ip) && net_is_local(x->conf, x->pool, &ip);
}

static bool is_mx_name(struct str name)
{
    return str_endsi(name, STR("/mx"));
}

/* Replaces a "name/mx" host by what the MX records of the name give. */
static enum host_find find_mx(struct route_job *job, const struct host_search *s, struct address *a,
                              struct host **at, struct host *after)
{
    struct ectx *x = job->x;
    struct host *h = *at, *found = NULL;
    struct host_filter filter = {x, s->router, 0};
    struct str name = str_sub(h->name, 0, h->name.len - 3u), full, error;
    struct host_find_opts o = {
        .mx = true, .drop = route_drop_host, .closure = &filter, .ipv4_only = s->ipv4_only};
    o.dnssec_request = route_domain_in(x, &s->router->dnssec_request_domains, name);
    o.dnssec_require = route_domain_in(x, &s->router->dnssec_require_domains, name);
    enum host_find result = dns_find_hosts(x->conf, x->pool, name, &o, &found, &full, &error);
    if (result != HF_FOUND) {
        (void)a;
        return result;
    }
    struct host *last = found;
    for (;; last = last->next) {
        last->port = h->port != PORT_NONE ? h->port : last->port;
        if (!last->next) {
            break;
        }
    }
    last->next = after;
    *at = found;
    return HF_FOUND;
}

/* Drops addresses of one name that ignore_target_hosts lists; false: none is left. */
static bool filter_host(struct ectx *x, const struct host_search *s, struct host **at,
                        const struct host *end)
{
    struct host_filter filter = {x, s->router, 0};
    struct host **p = at;
    bool left = false;
    while (*p && *p != end) {
        if (route_drop_host(&filter, (*p)->name, (*p)->address)) {
            *p = (*p)->next;
        } else {
            p = &(*p)->next;
            left = true;
        }
    }
    return left;
}

/* IPv4 addresses first, or alone. */
static void order_families(struct host **at, const struct host *end, bool only)
{
    struct host *v4 = NULL, **v4_end = &v4, *v6 = NULL, **v6_end = &v6, *h = *at;
    for (; h && h != end; h = h->next) {
        if (str_chr(h->address, ':') < 0) {
            *v4_end = h;
            v4_end = &h->next;
        } else if (!only) {
            *v6_end = h;
            v6_end = &h->next;
        }
    }
    *v4_end = v6;
    *(v6 ? v6_end : v4_end) = h;
    *at = v4 ? v4 : v6 ? v6 : h;
}

static enum host_find find_addresses(struct ectx *x, const struct host_search *s, struct host *h)
{
    struct str error;
    unsigned how =
        (route_domain_in(x, &s->router->dnssec_request_domains, h->name) ? FIND_DNSSEC : 0u) |
        (route_domain_in(x, &s->router->dnssec_require_domains, h->name) ? FIND_DNSSEC_REQUIRE
                                                                         : 0u);
    bool by_name = s->method == FIND_BYNAME;
    enum host_find result =
        by_name ? HF_FAILED : net_find_addresses(x->conf, x->pool, h, false, how, &error);
    if (by_name || (result == HF_FAILED && s->method == FIND_DEFAULT)) {
        result = net_find_addresses(x->conf, x->pool, h, true, 0, &error);
        if (result == HF_FAILED) {
            host_not_found(x, h->name);
        }
    }
    return result;
}

/* Looks one host of the list up, in place. */
static enum host_find find_one(struct route_job *job, const struct host_search *s,
                               struct address *a, struct host **at)
{
    struct ectx *x = job->x;
    struct host *h = *at, *after = h->next;
    struct ip ip;
    enum host_find result = HF_FOUND;
    if (is_mx_name(h->name)) {
        return find_mx(job, s, a, at, after);
    }
    bool literal = ip_parse(h->name, &ip);
    TRACE(TR_route | TR_host_lookup, "finding IP address for %.*s\ncalling %s", STR_ARG(h->name),
          literal || s->method == FIND_BYNAME ? "host_find_byname" : "host_find_bydns");
    if (literal) {
        h->address = h->name;
    } else {
        result = find_addresses(x, s, h);
    }
    if (result != HF_FOUND && result != HF_FOUND_LOCAL) {
        return result;
    }
    if (!filter_host(x, s, at, after)) {
        return HF_FAILED;
    }
    if (s->ipv4_only || s->ipv4_prefer) {
        order_families(at, after, s->ipv4_only);
    }
    for (const struct host *p = *at; p && p != after; p = p->next) {
        if (is_local(x, p)) {
            return HF_FOUND_LOCAL;
        }
    }
    return *at == after ? HF_FAILED : HF_FOUND;
}

/*
 * What host_find_failed or host_all_ignored makes of a host that does not exist. A router that lets
 * the next one try says nothing; why the address failed is not the sender's to know.
 */
static enum route_result failed_result(int action, struct address *a, int why, struct str text)
{
    switch (action) {
    case HOST_PASS: return ROUTE_PASS;
    case HOST_DECLINE: return ROUTE_DECLINE;
    case HOST_FAIL: a->keep_message = true; return route_fail(a, text);
    case HOST_FREEZE: a->special_action = STR("freeze"); break;
    default: break;
    }
    return route_defer(a, why, text);
}

/* A name that has no address is noted when a message is delivered; for clients, by the look-up. */
static void log_no_address(const struct route_job *job, struct str name)
{
    if (job->why == ROUTE_DELIVER) {
        log_msg(log_if(LS_host_lookup_failed, LOG_MAIN), job->x->msg,
                "no IP address found for host %.*s", STR_ARG(name));
    }
}

static struct str name_of(int action)
{
    static const char *const names[] = {"freeze", "defer", "fail", "pass", "decline", "ignore"};
    return str_c(names[action]);
}

static enum route_result all_ignored(struct ectx *x, const struct host_search *s, struct address *a)
{
    struct str text = str_fmt(x->pool,
                              "lookup failed for all hosts in %.*s router: host_find_failed=ignore "
                              "host_all_ignored=%.*s",
                              STR_ARG(s->router->name), STR_ARG(name_of(s->all_ignored)));
    return failed_result(s->all_ignored, a, ERRNO_UNKNOWNERROR, text);
}

enum route_result route_find_hosts(struct route_job *job, const struct host_search *s,
                                   struct address *a)
{
    struct ectx *x = job->x;
    bool self_send = false; /* the first is this host, which is wanted: so are others that are */
    for (struct host **at = &a->hosts; *at;) {
        struct host *h = *at, *after = h->next;
        struct str name = is_mx_name(h->name) ? str_sub(h->name, 0, h->name.len - 3u) : h->name;
        bool mx = is_mx_name(h->name);
        enum host_find result = find_one(job, s, a, at);
        if (result == HF_FOUND_LOCAL && !self_send) {
            if (at == &a->hosts) {
                enum route_result answer = route_self(job, s->router, a, mx);
                if (answer != ROUTE_OK) {
                    return answer;
                }
                self_send = true;
            } else {
                *at = NULL; /* this host: neither it nor what is behind it is tried */
                break;
            }
        } else if (result == HF_AGAIN) {
            struct str text = str_fmt(x->pool,
                                      "host lookup for %.*s did not complete (DNS "
                                      "timeout?)",
                                      STR_ARG(name));
            return s->router->pass_on_timeout ? ROUTE_PASS : route_defer(a, ERRNO_DNSDEFER, text);
        } else if (result != HF_FOUND && result != HF_FOUND_LOCAL) {
            if (!mx && s->method != FIND_BYDNS) {
                log_no_address(job, name);
            }
            if (s->find_failed == HOST_IGNORE) {
                *at = after;
                continue;
            }
            return failed_result(s->find_failed, a, ERRNO_UNKNOWNHOST,
                                 str_fmt(x->pool, "lookup of host \"%.*s\" failed in %.*s router",
                                         STR_ARG(name), STR_ARG(s->router->name)));
        }
        while (*at && *at != after) {
            at = &(*at)->next;
        }
    }
    return a->hosts ? ROUTE_OK : all_ignored(x, s, a);
}
