/*
 * Which addresses and ports a daemon listens on: local_interfaces, daemon_smtp_ports and -oX; and
 * the sockets for them, which a reload keeps open where the new configuration wants them as well.
 *
 * A plan lives in the pool it was made in. Errors go to the log in Exim's words; the sockets are
 * not blocking, because several workers are woken for one connection now and then.
 */
#include "main/daemon.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_LISTENERS = 256 };

/* ---- plan ---- */

static bool port_number(struct pool *pool, struct str s, int *port)
{
    int64_t n;
    if (str_to_i64(s, &n)) {
        *port = (int)n;
        return n >= 0 && n < 65536;
    }
    const struct servent *service = getservbyname(str_cstr(pool, s), "tcp");
    *port = service ? ntohs((uint16_t)service->s_port) : 0;
    return service != NULL;
}

static bool is_any(const struct ip *ip)
{
    static const unsigned char zero[16];
    return memcmp(ip->b, zero, sizeof zero) == 0;
}

static bool add(struct listeners *l, const struct ip *ip, int port)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].port == port && l->v[i].ip.family == ip->family &&
            memcmp(l->v[i].ip.b, ip->b, sizeof ip->b) == 0) {
            return true;
        }
    }
    if (l->n == MAX_LISTENERS) {
        return false;
    }
    l->v[l->n++] = (struct listener){.ip = *ip, .port = port, .fd = -1};
    return true;
}

/* Adds an interface with its own port, or with each of the ports. */
static bool add_interface(const struct config *conf, struct pool *pool, struct listeners *l,
                          struct str item, struct str ports, struct str *error)
{
    struct ip ip;
    struct str address, name;
    int port, sep = 0;
    if (!ip_parse_port(item, &address, &port) || !ip_parse(address, &ip)) {
        *error = str_fmt(pool, "malformed IP address \"%.*s\" in local_interfaces", STR_ARG(item));
        return false;
    }
    if (ip.family == AF_INET6 && core_settings(conf)->disable_ipv6) {
        return true;
    }
    if (port > 0) {
        return add(l, &ip, port);
    }
    while (net_list_next(pool, &ports, &sep, &name)) {
        if (!port_number(pool, name, &port)) {
            *error = str_fmt(pool, "TCP port \"%.*s\" not found", STR_ARG(name));
            return false;
        }
        add(l, &ip, port);
    }
    return true;
}

/* Splits -oX: items with a dot or colon are interfaces, others ports; both are lists again. */
static void split_override(struct pool *pool, struct str list, struct str *interfaces,
                           struct str *ports)
{
    struct buf i, p;
    struct str item;
    int sep = 0;
    buf_init(&i, pool, 65536);
    buf_init(&p, pool, 65536);
    while (net_list_next(pool, &list, &sep, &item)) {
        struct buf *b = str_any_in(item, ".:") ? &i : &p;
        buf_addz(b, b->len ? " ; " : "<; ");
        buf_adds(b, item);
    }
    *interfaces = i.len ? buf_str(&i) : *interfaces;
    *ports = p.len ? buf_str(&p) : *ports;
}

bool listeners_plan(const struct config *conf, struct pool *pool, struct str override,
                    struct listeners *out, struct str *error)
{
    struct str ports = main_settings(conf)->daemon_smtp_ports, item;
    struct str interfaces = net_settings(conf)->local_text;
    int sep = 0;
    if (str_empty(interfaces)) {
        interfaces = STR("<; ::0 ; 0.0.0.0");
    }
    if (!str_unset(override)) {
        split_override(pool, override, &interfaces, &ports);
    }
    *out = (struct listeners){pool_calloc(pool, MAX_LISTENERS, sizeof *out->v), 0};
    while (net_list_next(pool, &interfaces, &sep, &item)) {
        if (!add_interface(conf, pool, out, item, ports, error)) {
            return false;
        }
    }
    return true;
}

void listeners_mark_tls(const struct config *conf, struct listeners *l, bool all)
{
    for (size_t i = 0; i < l->n; i++) {
        l->v[i].tls = all || smtp_in_tls_port(conf, l->v[i].port);
    }
}

/* ---- sockets ---- */

static struct listener *find(const struct listeners *l, const struct listener *like)
{
    for (size_t i = 0; l && i < l->n; i++) {
        if (l->v[i].port == like->port && l->v[i].ip.family == like->ip.family &&
            memcmp(l->v[i].ip.b, like->ip.b, sizeof like->ip.b) == 0) {
            return &l->v[i];
        }
    }
    return NULL;
}

/* Waits so many seconds; true if SIGTERM or SIGINT came, which are blocked and stay pending. */
static bool told_to_end(int seconds)
{
    sigset_t set;
    struct timespec t = {.tv_sec = seconds};
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    int sig = sigtimedwait(&set, NULL, &t);
    if (sig > 0) {
        raise(sig);
    }
    return sig > 0;
}

/* Opens one socket, trying again while its port is in use; -1 after a log line. */
static int open_one(const struct config *conf, const struct listener *li, bool patient)
{
    const struct main_settings *s = main_settings(conf);
    const int *backlog = option_field(conf, "smtp_connect_backlog");
    struct pool *pool = pool_new("listen");
    struct str address = ip_text(pool, &li->ip);
    int fd, tries = patient ? s->daemon_startup_retries : 0;
    while ((fd = net_listen(&li->ip, li->port, backlog ? *backlog : SOMAXCONN)) < 0) {
        const char *why = strerror(errno);
        if (is_any(&li->ip)) {
            address = li->ip.family == AF_INET6 ? STR("(any IPv6)") : STR("(any IPv4)");
        }
        if (tries-- <= 0) {
            log_write(LOG_MAIN | LOG_PANIC,
                      "socket bind() to port %d for address %.*s failed: %s: daemon abandoned",
                      li->port, STR_ARG(address), why);
            break;
        }
        log_write(LOG_MAIN,
                  "socket bind() to port %d for address %.*s failed: %s: waiting %ds before trying "
                  "again (%d more %s)",
                  li->port, STR_ARG(address), why, s->daemon_startup_sleep, tries + 1,
                  tries ? "tries" : "try");
        if (told_to_end(s->daemon_startup_sleep)) {
            break;
        }
    }
    pool_free(&pool);
    if (fd >= 0) {
        fd_nonblock(fd, true);
    }
    return fd;
}

/* True if the kernel has no IPv6 and the address is only the wildcard of the default. */
static bool without_ipv6(const struct listener *li)
{
    return is_any(&li->ip) && li->ip.family == AF_INET6 &&
           (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

static void remove_at(struct listeners *l, size_t i)
{
    memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof *l->v);
    l->n--;
}

bool listeners_open(const struct config *conf, struct listeners *l, const struct listeners *old,
                    bool patient)
{
    for (size_t i = 0; i < l->n; i++) {
        const struct listener *had = find(old, &l->v[i]);
        if (had) {
            l->v[i].fd = had->fd;
            continue;
        }
        int probe = l->v[i].ip.family == AF_INET6 ? net_listen(&l->v[i].ip, 0, 1) : -2;
        if (probe >= 0) {
            close(probe);
        } else if (probe == -1 && without_ipv6(&l->v[i])) {
            remove_at(l, i--);
            continue;
        }
        l->v[i].fd = open_one(conf, &l->v[i], patient);
        if (l->v[i].fd < 0) {
            l->n = i;
            listeners_drop(l, old);
            return false;
        }
    }
    return true;
}

void listeners_drop(struct listeners *old, const struct listeners *l)
{
    for (size_t i = 0; i < old->n; i++) {
        if (!find(l, &old->v[i])) {
            /* workers that are busy have it open still: for them, too, it ends now */
            shutdown(old->v[i].fd, SHUT_RDWR);
            close(old->v[i].fd);
        }
    }
}

int listeners_waiting(const struct listeners *l)
{
    int n = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct tcp_info info;
        socklen_t len = sizeof info;
        if (getsockopt(l->v[i].fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0) {
            n += (int)info.tcpi_unacked; /* of a listening socket: its queue */
        }
    }
    return n;
}

/* ---- text ---- */

/* True if an earlier entry has the same text: the address, or for wildcards the port. */
static bool told_before(const struct listeners *l, size_t i)
{
    bool any = is_any(&l->v[i].ip);
    for (size_t k = 0; k < i; k++) {
        if (l->v[k].tls != l->v[i].tls) {
            continue;
        }
        if (any && is_any(&l->v[k].ip) && l->v[k].port == l->v[i].port) {
            return true;
        }
        if (!any && l->v[k].ip.family == l->v[i].ip.family &&
            memcmp(l->v[k].ip.b, l->v[i].ip.b, sizeof l->v[k].ip.b) == 0) {
            return true;
        }
    }
    return false;
}

static void wildcard_text(struct buf *b, const struct listeners *l, size_t i)
{
    bool both = false;
    for (size_t k = i + 1; k < l->n; k++) {
        both |= is_any(&l->v[k].ip) && l->v[k].port == l->v[i].port;
    }
    bool six = l->v[i].ip.family == AF_INET6;
    buf_addf(b, " port %d (%s%s)", l->v[i].port, six ? "IPv6" : "IPv4",
             !both ? ""
             : six ? " and IPv4"
                   : " and IPv6");
}

static void address_text(struct buf *b, struct pool *pool, const struct listeners *l, size_t i)
{
    size_t n = 0;
    struct buf ports;
    buf_init(&ports, pool, 8192);
    for (size_t k = i; k < l->n; k++) {
        if (l->v[k].tls == l->v[i].tls && l->v[k].ip.family == l->v[i].ip.family &&
            memcmp(l->v[k].ip.b, l->v[i].ip.b, sizeof l->v[k].ip.b) == 0) {
            buf_addf(&ports, "%s%d", n++ ? "," : "", l->v[k].port);
        }
    }
    struct str address = ip_text(pool, &l->v[i].ip), list = buf_str(&ports);
    buf_addf(b, n > 1 ? " [%.*s]:{%.*s}" : " [%.*s]:%.*s", STR_ARG(address), STR_ARG(list));
}

/* Those with TLS from the start, or those without; empty if there are none. */
static struct str kind_text(struct pool *pool, const struct listeners *l, bool tls)
{
    struct buf b;
    buf_init(&b, pool, 65536);
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].tls != tls || told_before(l, i)) {
            continue;
        }
        if (is_any(&l->v[i].ip)) {
            wildcard_text(&b, l, i);
        } else {
            address_text(&b, pool, l, i);
        }
    }
    return buf_str(&b);
}

struct str listeners_text(struct pool *pool, const struct listeners *l)
{
    struct str plain = kind_text(pool, l, false), tls = kind_text(pool, l, true);
    if (l->n == 0) {
        return STR("not listening for SMTP");
    }
    return STR_CAT(pool, STR("listening "), str_empty(plain) ? STR("") : STR("for SMTP on"), plain,
                   str_empty(plain) || str_empty(tls) ? STR("") : STR(" and "),
                   str_empty(tls) ? STR("") : STR("for SMTPS on"), tls);
}
