/*
 * From an address to a host name: PTR records or the system's tables (host_lookup_order), then the
 * forward check that the name leads back to the address.
 *
 * Names are tainted and live in the caller's pool. A name whose forward look-up does not give the
 * address is dropped; if none is left there is no name. The forward check asks DNS only, so a name
 * that stands in /etc/hosts alone does not pass.
 */
#include "net/internal.h"

#include <netdb.h>
#include <sys/socket.h>

enum { MAX_NAMES = 20 };

static enum host_find by_ptr(const struct config *conf, struct pool *pool, const struct ip *ip,
                             struct strvec *names)
{
    struct dns_answer a;
    enum dns_result r =
        dns_lookup(conf, pool, ip_reverse_name(pool, ip, STR_NONE), DNS_PTR, true, &a);
    if (r == DNS_AGAIN) {
        return HF_AGAIN;
    }
    for (size_t i = 0; r == DNS_OK && i < a.n && i < MAX_NAMES; i++) {
        if (!str_empty(a.rr[i].name) && !str_is(a.rr[i].name, ".")) {
            strvec_push(names, a.rr[i].name);
        }
    }
    return names->n ? HF_FOUND : HF_FAILED;
}

static enum host_find by_system(struct pool *pool, const struct ip *ip, struct strvec *names)
{
    struct hostent he, *found = NULL;
    char space[16384];
    int error = 0;
    TRACE(TR_host_lookup | TR_bh, "IP address lookup using gethostbyaddr()");
    if (gethostbyaddr_r(ip->b, ip->family == AF_INET ? 4 : 16, ip->family, &he, space, sizeof space,
                        &found, &error) != 0 ||
        !found) {
        TRACE(TR_host_lookup | TR_bh, "IP address lookup failed: h_errno=%d", error);
        return error == TRY_AGAIN ? HF_AGAIN : HF_FAILED;
    }
    if (!he.h_name || !he.h_name[0] || he.h_name[0] == '.') {
        return HF_FAILED;
    }
    strvec_push(names, str_taint(str_lower(pool, str_c(he.h_name))));
    for (char **p = he.h_aliases; p && *p && names->n < MAX_NAMES; p++) {
        strvec_push(names, str_taint(str_lower(pool, str_c(*p))));
    }
    return HF_FOUND;
}

static enum host_find find_names(const struct config *conf, struct pool *pool, const struct ip *ip,
                                 struct strvec *names)
{
    struct str rest = net_settings(conf)->host_lookup_order, item;
    int sep = 0;
    enum host_find r = HF_FAILED;
    while (r == HF_FAILED && net_list_next(pool, &rest, &sep, &item)) {
        r = str_is(item, "bydns") ? by_ptr(conf, pool, ip, names) : by_system(pool, ip, names);
    }
    return r;
}

static void trace_forward(const struct host *h, enum host_find r, struct str name,
                          const struct ip *ip)
{
    if (!trace_on(TR_host_lookup | TR_bh)) {
        return;
    }
    if (r != HF_FOUND) {
        trace_write(r == HF_AGAIN ? "temporary error for host name lookup"
                                  : "no IP addresses found for %.*s",
                    STR_ARG(name));
        return;
    }
    trace_write("checking addresses for %.*s", STR_ARG(name));
    for (; h; h = h->next) {
        struct ip found;
        bool same = ip_parse(h->address, &found) && memcmp(&found, ip, sizeof found) == 0;
        trace_write("  %.*s%s", STR_ARG(h->address), same ? " OK" : "");
    }
}

/* True if the name leads to the address; *again if that cannot be said now. */
static bool leads_back(const struct config *conf, struct pool *pool, struct str name,
                       const struct ip *ip, bool *again)
{
    const struct host_find_opts opts = {.a = true, .dnssec_request = true};
    struct host h = {.name = name};
    struct ip found;
    enum host_find r = dns_set_address(conf, pool, &h, &opts, false, NULL);
    *again = r == HF_AGAIN;
    trace_forward(&h, r, name, ip);
    for (const struct host *each = &h; r == HF_FOUND && each; each = each->next) {
        if (ip_parse(each->address, &found) && memcmp(&found, ip, sizeof found) == 0) {
            return true;
        }
    }
    return false;
}

enum host_find net_host_name(const struct config *conf, struct pool *pool, struct str address,
                             struct str *name, struct strvec *aliases, struct str *error)
{
    struct strvec names = {.pool = pool};
    struct ip ip;
    *name = *error = STR_NONE;
    if (!ip_parse(address, &ip)) {
        return HF_FAILED;
    }
    enum host_find r = find_names(conf, pool, &ip, &names);
    if (r == HF_FAILED) {
        if (log_wants(LS_host_lookup_failed)) {
            log_write(LOG_MAIN, "no host name found for IP address %.*s", STR_ARG(address));
        }
        *error = STR("failed to find host name from IP address");
    }
    if (r != HF_FOUND) {
        return r;
    }
    aliases->pool = aliases->pool ? aliases->pool : pool;
    TRACE(TR_host_lookup | TR_bh, "IP address lookup yielded \"%.*s\"", STR_ARG(names.v[0]));
    for (size_t i = 0; i < names.n; i++) {
        bool again;
        if (leads_back(conf, pool, names.v[i], &ip, &again)) {
            if (str_unset(*name)) {
                *name = names.v[i];
            } else {
                strvec_push(aliases, names.v[i]);
            }
        } else if (again) {
            *name = STR_NONE;
            return HF_AGAIN;
        }
    }
    if (str_unset(*name)) {
        TRACE(TR_host_lookup | TR_bh, "%.*s does not match any IP address for %.*s",
              STR_ARG(address), STR_ARG(names.v[0]));
        *error = str_fmt(pool, "%.*s does not match any IP address for %.*s", STR_ARG(address),
                         STR_ARG(names.v[0]));
        return HF_FAILED;
    }
    return HF_FOUND;
}
