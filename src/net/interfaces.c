/*
 * Which addresses are this machine's own.
 *
 * Asking the kernel costs a netlink conversation, so its answer is kept in the process for a
 * minute, in a pool of its own. local_interfaces narrows the set down unless it names a wildcard
 * address; extra_local_interfaces adds to it. 127.0.0.1 and ::1
 * are always local.
 */
#include "net/internal.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { KEEP_MS = 60000 };

static struct {
    struct pool *pool;
    const struct config *conf;
    int64_t until;
    struct ip *ips;
    size_t n;
} local;

struct ip_list {
    struct ip *v;
    size_t n, alloc;
};

static void add(struct ip_list *l, const struct ip *ip)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].family == ip->family && memcmp(l->v[i].b, ip->b, sizeof ip->b) == 0) {
            return;
        }
    }
    if (l->n == l->alloc) {
        struct ip *more = pool_calloc(local.pool, l->alloc ? l->alloc * 2 : 16, sizeof *more);
        if (l->n) {
            memcpy(more, l->v, l->n * sizeof *more);
        }
        l->alloc = l->alloc ? l->alloc * 2 : 16;
        l->v = more;
    }
    l->v[l->n++] = *ip;
}

static void add_running(struct ip_list *l, bool v6)
{
    struct ifaddrs *found;
    if (getifaddrs(&found) < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "unable to find the addresses of this host's interfaces");
        return;
    }
    for (const struct ifaddrs *i = found; i; i = i->ifa_next) {
        struct ip ip = {0};
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET) {
            struct sockaddr_in a;
            memcpy(&a, i->ifa_addr, sizeof a);
            ip.family = AF_INET;
            memcpy(ip.b, &a.sin_addr, 4);
            add(l, &ip);
        } else if (v6 && i->ifa_addr && i->ifa_addr->sa_family == AF_INET6) {
            struct sockaddr_in6 a;
            memcpy(&a, i->ifa_addr, sizeof a);
            ip.family = AF_INET6;
            memcpy(ip.b, &a.sin6_addr, 16);
            add(l, &ip);
        }
    }
    freeifaddrs(found);
}

static bool is_wild(const struct ip *ip)
{
    static const unsigned char zero[16];
    return memcmp(ip->b, zero, sizeof zero) == 0;
}

/* The addresses a list option names; a wildcard stands for all that the machine has. */
static void add_listed(struct ip_list *l, struct str text, bool v6)
{
    struct str item, addr;
    int sep = 0;
    struct ip ip;
    int port;
    while (net_list_next(local.pool, &text, &sep, &item)) {
        if (!ip_parse_port(item, &addr, &port) || !ip_parse(addr, &ip)) {
            log_write(LOG_MAIN | LOG_PANIC, "malformed IP address \"%.*s\" in local_interfaces",
                      STR_ARG(item));
        } else if (is_wild(&ip)) {
            add_running(l, v6);
        } else if (v6 || ip.family == AF_INET) {
            add(l, &ip);
        }
    }
}

static void refresh(const struct config *conf)
{
    const struct net_settings *set = net_settings(conf);
    bool v6 = !core_settings(conf)->disable_ipv6;
    struct ip_list l = {0};
    if (local.conf == conf && time_monotonic_ms() < local.until) {
        return;
    }
    if (!local.pool) {
        local.pool = pool_new("local addresses");
    }
    pool_clear(local.pool);
    if (str_unset(set->local_text)) {
        add_running(&l, v6);
    } else {
        add_listed(&l, set->local_text, v6);
    }
    add_listed(&l, set->extra_local_text, v6);
    local.ips = l.v;
    local.n = l.n;
    local.conf = conf;
    local.until = time_monotonic_ms() + KEEP_MS;
}

void net_local_addresses(const struct config *conf, struct pool *pool, struct strvec *out)
{
    refresh(conf);
    out->pool = out->pool ? out->pool : pool;
    for (size_t i = 0; i < local.n; i++) {
        strvec_push(out, ip_text(pool, &local.ips[i]));
    }
}

bool net_is_local(const struct config *conf, struct pool *pool, const struct ip *ip)
{
    static const unsigned char v4_loopback[4] = {127, 0, 0, 1}, v6_loopback[16] = {[15] = 1};
    (void)pool;
    if (ip->family == AF_INET ? memcmp(ip->b, v4_loopback, 4) == 0
                              : memcmp(ip->b, v6_loopback, 16) == 0) {
        return true;
    }
    refresh(conf);
    for (size_t i = 0; i < local.n; i++) {
        if (local.ips[i].family == ip->family &&
            memcmp(local.ips[i].b, ip->b, ip->family == AF_INET ? 4 : 16) == 0) {
            return true;
        }
    }
    return false;
}
