/*
 * The smtp transport: which hosts are tried, in what order, and what is said when none will do.
 * The conversation with one host is smtp_session.c's.
 *
 * Everything lives in the delivery's pool. An address that no host decided is deferred with the
 * last reason; hosts that were passed over because of their retry times, or that have been failing
 * past all rules, give the reasons their own words.
 */
#include "transport/smtp.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <sys/random.h>

enum { SMTP_PORT = 25, LMTP_PORT = 24, SMTPS_PORT = 465, NAME_MAX_LEN = 255 };

void smtp_end_pending(struct delivery *d, enum outcome outcome, int basic_errno, int more_errno,
                      struct str message)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        if (a->outcome == ADDR_PENDING) {
            a->outcome = outcome;
            a->basic_errno = basic_errno;
            a->more_errno = more_errno;
            a->message = message;
            a->host_used = NULL;
        }
    }
}

void smtp_log_host(struct ectx *x, const struct delivery *d, const struct address *reason)
{
    const struct host *h = d->host;
    struct str where = STR_CAT(x->pool, STR("H="), h->name, STR(" ["), h->address, STR("]"));
    if (log_wants(LS_outgoing_port)) {
        where = STR_CAT(x->pool, where, str_fmt(x->pool, ":%d", d->host_port));
    }
    struct str text =
        str_empty(reason->message)
            ? str_fmt(x->pool, "%.*s %s", STR_ARG(where), strerror(reason->basic_errno))
            : STR_CAT(x->pool, where, STR(": "), reason->message);
    if (!str_empty(reason->message) && reason->basic_errno > 0) {
        text = str_fmt(x->pool, "%.*s: %s", STR_ARG(text), strerror(reason->basic_errno));
    }
    log_msg(LOG_MAIN, d->msg, "%.*s", STR_ARG(text));
    spool_msglog(d->msg, "%.*s", STR_ARG(text));
}

/* Pending addresses are as they were before a host was tried. */
static void forget_tries(struct delivery *d)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        if (a->outcome == ADDR_PENDING) {
            a->basic_errno = a->more_errno = 0;
            a->message = STR_NONE;
            a->host_used = NULL;
            a->continued = false;
        }
    }
}

/* "host", "host:port", "[address]:port" of a host list item. */
static struct host *host_of_item(struct pool *pool, struct str item)
{
    struct host *h = POOL_NEW(pool, struct host);
    struct str addr;
    struct ip ip;
    int port = 0;
    h->mx = MX_NONE;
    h->port = PORT_NONE;
    h->name = item;
    if (item.len && item.p[0] == '[' && ip_parse_port(item, &addr, &port)) {
        h->name = addr;
    } else if (!ip_parse(item, &ip)) {
        ptrdiff_t colon = str_rchr(item, ':');
        uint64_t n;
        if (colon > 0 && str_to_u64(str_from(item, (size_t)colon + 1), 10, &n) && n < 65536) {
            port = (int)n;
            h->name = str_sub(item, 0, (size_t)colon);
        }
    }
    if (port > 0) {
        h->port = port;
    }
    if (ip_parse(h->name, &ip)) {
        h->address = h->name;
    }
    return h;
}

static unsigned random_below(unsigned n)
{
    uint32_t r = 0;
    if (getrandom(&r, sizeof r, 0) != (ssize_t)sizeof r) {
        return 0;
    }
    return r % n;
}

/* Items as a list of hosts; with `shuffle` in random order, "+" starting a new group. */
static struct host *hosts_of_list(struct pool *pool, struct str list, bool shuffle)
{
    struct host *first = NULL, **group = &first;
    struct str item;
    size_t in_group = 0;
    int sep = 0;
    while (list_next(pool, &list, &sep, &item)) {
        struct host **at = group;
        if (str_is(item, "+")) {
            while (*group) {
                group = &(*group)->next;
            }
            in_group = 0;
            continue;
        }
        struct host *h = host_of_item(pool, item);
        size_t skip = shuffle ? random_below((unsigned)in_group + 1) : in_group;
        for (; skip && *at; skip--) {
            at = &(*at)->next;
        }
        h->next = *at;
        *at = h;
        in_group++;
    }
    return first;
}

/* The transport's own hosts, or those of the addresses. NULL after ending the addresses. */
static struct host *choose_hosts(struct ectx *x, struct delivery *d, const struct smtp_options *o)
{
    struct str list;
    struct host *hosts = d->addrs->hosts;
    if (hosts && !(o->hosts_override && !str_unset(o->hosts.text))) {
        return hosts;
    }
    if (str_unset(o->hosts.text)) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_BADTRANSPORT, 0,
                         str_fmt(x->pool, "%.*s transport called with no hosts set",
                                 STR_ARG(d->transport->name)));
        return NULL;
    }
    if (!expand_option(x, &o->hosts, &list)) {
        smtp_end_pending(
            d, ADDR_DEFER, ERRNO_UNKNOWNERROR, 0,
            str_fmt(x->pool, "failed to expand list of hosts \"%.*s\" in %.*s transport: %.*s",
                    STR_ARG(o->hosts.text), STR_ARG(d->transport->name), STR_ARG(x->error)));
        return NULL;
    }
    hosts = hosts_of_list(x->pool, list, o->hosts_randomize);
    if (!hosts) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_BADTRANSPORT, 0,
                         str_fmt(x->pool, "%.*s transport has empty hosts setting",
                                 STR_ARG(d->transport->name)));
    }
    return hosts;
}

/* A port number or service name. */
static int parse_port(struct pool *pool, struct str s)
{
    uint64_t n;
    if (str_to_u64(s, 10, &n)) {
        return n < 65536 ? (int)n : -1;
    }
    const struct servent *service = getservbyname(str_cstr(pool, s), "tcp");
    return service ? ntohs(service->s_port) : -1;
}

static bool default_port(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                         int *port)
{
    struct str text;
    *port = o->lmtp ? LMTP_PORT : o->smtps ? SMTPS_PORT : SMTP_PORT;
    if (str_unset(o->port.text)) {
        return true;
    }
    if (!expand_option(x, &o->port, &text)) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_UNKNOWNERROR, 0,
                         str_fmt(x->pool, "failed to expand port \"%.*s\": %.*s",
                                 STR_ARG(o->port.text), STR_ARG(x->error)));
        return false;
    }
    *port = parse_port(x->pool, str_trim(text));
    if (*port < 0) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_BADTRANSPORT, 0,
                         str_fmt(x->pool, "%.*s transport: invalid port \"%.*s\"",
                                 STR_ARG(d->transport->name), STR_ARG(text)));
        return false;
    }
    return true;
}

/* The first address of the list in `interface` that is of the host's family. */
static bool own_address(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                        struct str *out)
{
    struct str list, item;
    struct ip mine, peer;
    int sep = 0;
    *out = STR_NONE;
    if (str_unset(o->interface.text)) {
        return true;
    }
    if (!expand_option(x, &o->interface, &list)) {
        if (x->forced_fail) {
            return true;
        }
        smtp_end_pending(d, ADDR_DEFER, ERRNO_UNKNOWNERROR, 0,
                         str_fmt(x->pool,
                                 "failed to expand \"interface\" option for %.*s transport: %.*s",
                                 STR_ARG(d->transport->name), STR_ARG(x->error)));
        return false;
    }
    if (!ip_parse(d->host->address, &peer)) {
        return true;
    }
    while (list_next(x->pool, &list, &sep, &item)) {
        if (!ip_parse(item, &mine)) {
            smtp_end_pending(d, ADDR_DEFER, ERRNO_BADTRANSPORT, 0,
                             str_fmt(x->pool,
                                     "\"%.*s\" is not a valid IP address for the \"interface\" "
                                     "option for %.*s transport",
                                     STR_ARG(item), STR_ARG(d->transport->name)));
            return false;
        }
        if (mine.family == peer.family && str_unset(*out)) {
            *out = item;
        }
    }
    return true;
}

/* How DNS is asked for a host of the transport's own. */
static unsigned how_to_find(struct ectx *x, const struct smtp_options *o, const struct host *h)
{
    bool ask = match_domain(x, &o->dnssec_request_domains, h->name, NULL) == MATCH_YES;
    bool insist = match_domain(x, &o->dnssec_require_domains, h->name, NULL) == MATCH_YES;
    return (ask ? FIND_DNSSEC : 0u) | (insist ? FIND_DNSSEC_REQUIRE : 0u) |
           (o->dns_qualify_single ? FIND_QUALIFY_SINGLE : 0u) |
           (o->dns_search_parents ? FIND_SEARCH_PARENTS : 0u);
}

/* Fills in a host's address; more of them are linked behind it. False: the host is of no use. */
static bool resolve(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                    struct host *h)
{
    struct str error = STR_NONE;
    struct ip ip;
    enum host_find found = HF_FOUND;
    if (str_unset(h->address)) {
        found =
            net_find_addresses(x->conf, x->pool, h, o->gethostbyname, how_to_find(x, o, h), &error);
    } else if (ip_parse(h->address, &ip) && !o->allow_localhost &&
               str_unset(d->addrs->self_hostname) && !d->addrs->hosts &&
               net_is_local(x->conf, x->pool, &ip)) {
        found = HF_FOUND_LOCAL;
    }
    if (found == HF_AGAIN || found == HF_SECURITY) {
        smtp_end_pending(
            d, ADDR_DEFER, ERRNO_DNSDEFER, 0,
            str_fmt(x->pool, "host lookup for %.*s did not complete", STR_ARG(h->name)));
        return false;
    }
    if (found == HF_FAILED) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_UNKNOWNHOST, 0,
                         str_fmt(x->pool,
                                 "failed to lookup IP address for host %.*s in %.*s transport",
                                 STR_ARG(h->name), STR_ARG(d->transport->name)));
        return false;
    }
    if (found == HF_FOUND_LOCAL && !o->allow_localhost && str_unset(d->addrs->self_hostname)) {
        smtp_end_pending(d, ADDR_DEFER, ERRNO_HOST_IS_LOCAL, 0,
                         str_fmt(x->pool, "%.*s transport found host %.*s to be local",
                                 STR_ARG(d->transport->name), STR_ARG(h->name)));
        return false;
    }
    return !str_unset(h->address);
}

/* Counts over the hosts of one delivery. */
struct tries {
    int total, tried, waiting, expired;
    bool unresolved;  /* a name could not be looked up */
    bool skipped_new; /* an expired host was not tried although the message is newer */
    bool past_cutoff; /* hosts that have been failing for too long are tried all the same */
};

static bool retry_with_ip(struct ectx *x, const struct smtp_options *o)
{
    bool on = true;
    return !expand_bool_option(x, &o->retry_include_ip_address, true, &on) || on;
}

/* One host with its address. */
static enum smtp_try one_host(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                              struct host *h, int port, struct tries *t)
{
    struct str interface;
    d->host = h;
    d->host_port = h->port != PORT_NONE ? h->port : port;
    if (smtp_is_elsewhere(d)) {
        d->passed_over = true;
        return TRY_NEXT_HOST;
    }
    t->total++;
    if (d->hooks && d->hooks->host_check && !d->hooks->host_check(d, h) &&
        !(t->past_cutoff && h->status == HOST_UNUSABLE_EXPIRED)) {
        t->waiting += h->status != HOST_UNUSABLE_EXPIRED;
        t->expired += h->status == HOST_UNUSABLE_EXPIRED;
        return TRY_NEXT_HOST;
    }
    t->expired += h->status == HOST_UNUSABLE_EXPIRED;
    forget_tries(d);
    d->host_refused = false;
    if (!own_address(x, d, o, &interface)) {
        return TRY_STOP;
    }
    t->tried++;
    return smtp_try_host(x, d, o, d->host_port, interface);
}

/* What the failed addresses' messages say may stand in the bounce. */
static void tell_sender(struct delivery *d)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        a->pass_message |= a->outcome == ADDR_FAIL;
    }
}

/* What is said of addresses that no host would take, when none could be tried. */
static void none_tried(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                       const struct tries *t)
{
    bool one_domain = true;
    for (const struct address *a = d->addrs; a; a = a->next) {
        one_domain &= str_eqi(a->domain, d->addrs->domain);
    }
    struct str who =
        !one_domain ? STR("") : STR_CAT(x->pool, STR(" for '"), d->addrs->domain, STR("'"));
    (void)o;
    if (t->expired && !t->waiting && !d->passed_over) {
        smtp_end_pending(d, ADDR_FAIL, ERRNO_HRETRY, 0,
                         str_fmt(x->pool, "all hosts%.*s have been failing for a long time %s",
                                 STR_ARG(who),
                                 t->tried ? "and were last tried after this message arrived"
                                          : "(and retry time not reached)"));
        for (struct address *a = d->addrs; a; a = a->next) {
            a->timed_out = a->outcome == ADDR_FAIL && a->basic_errno == ERRNO_HRETRY;
        }
        tell_sender(d);
        return;
    }
    smtp_end_pending(d, ADDR_DEFER, ERRNO_HRETRY, 0,
                     str_fmt(x->pool, "retry time not reached for any host%.*s", STR_ARG(who)));
    for (struct address *a = d->addrs; a; a = a->next) {
        a->no_retry |= a->outcome == ADDR_DEFER;
    }
}

static const struct address *first_pending(const struct delivery *d)
{
    const struct address *a = d->addrs;
    while (a && a->outcome != ADDR_PENDING) {
        a = a->next;
    }
    return a;
}

static bool any_pending(const struct delivery *d)
{
    return first_pending(d) != NULL;
}

/* The server did not want this message now; another may go to it. */
static bool is_about_message(const struct address *a)
{
    return (a->basic_errno == ERRNO_MAIL4XX || a->basic_errno == ERRNO_DATA4XX) &&
           a->more_errno != ERRNO_SMTP_CODE(421);
}

/* Pending addresses keep the reason that the last host left with them. */
/* Those for whom no host was left: the last one tried decides between deferral and failure. */
static void defer_pending(struct delivery *d)
{
    for (struct address *a = d->addrs; a; a = a->next) {
        if (a->outcome == ADDR_PENDING) {
            a->outcome = d->host_refused ? ADDR_FAIL : ADDR_DEFER;
            a->no_retry = !d->host_refused;
        }
    }
}

static void try_each(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                     struct host *hosts, int port, struct tries *t)
{
    for (struct host *h = hosts; h && any_pending(d); h = h->next) {
        if (t->tried >= o->hosts_max_try || t->total >= o->hosts_max_try_hardlimit) {
            break;
        }
        if (!d->only_kept) { /* else what the one host said counts */
            forget_tries(d);
        }
        if (!resolve(x, d, o, h)) {
            t->unresolved = true;
            for (struct address *a = d->addrs; a && h->next; a = a->next) {
                a->outcome = a->outcome == ADDR_DEFER ? ADDR_PENDING : a->outcome;
            }
            continue;
        }
        if (one_host(x, d, o, h, port, t) != TRY_NEXT_HOST) {
            break;
        }
    }
}

static void try_hosts(struct ectx *x, struct delivery *d, const struct smtp_options *o,
                      struct host *hosts, int port)
{
    struct tries t = {0};
    try_each(x, d, o, hosts, port, &t);
    if (!o->delay_after_cutoff && any_pending(d) && !t.tried && t.total && t.expired == t.total) {
        t = (struct tries){.past_cutoff = true};
        try_each(x, d, o, hosts, port, &t);
    }
    const struct address *pending = first_pending(d);
    if (!pending) {
        return;
    }
    if (d->host_refused && t.tried) {
        defer_pending(d);
        return;
    }
    bool host_to_blame = !is_about_message(pending);
    bool all_expired = t.tried && t.total > 0 && t.expired == t.total;
    if ((t.tried == 0 && !t.unresolved) || all_expired) {
        none_tried(x, d, o, &t);
    } else {
        defer_pending(d);
    }
    if (host_to_blame && pending->outcome == ADDR_DEFER && d->hooks && d->hooks->waits) {
        d->hooks->waits(d, hosts);
    }
}

/* The message's longest line is more than the limit: no host may get it (RFC 5321 4.5.3.1.6). */
static bool lines_too_long(struct ectx *x, struct delivery *d, const struct smtp_options *o)
{
    if (o->message_linelength_limit <= 0 || d->msg->max_line <= o->message_linelength_limit) {
        return false;
    }
    smtp_end_pending(d, ADDR_FAIL, ERRNO_BADTRANSPORT, 0,
                     str_fmt(x->pool, "message has lines too long for transport"));
    tell_sender(d);
    return true;
}

static void deliver(struct ectx *x, struct delivery *d)
{
    const struct smtp_options *o = d->transport->opts;
    int port;
    transport_note(x, d);
    for (struct address *a = d->addrs; a; a = a->next) {
        a->outcome = ADDR_PENDING;
        if (!a->fallback_set && !a->fallback_hosts && !str_empty(o->fallback_hosts)) {
            a->fallback_hosts = hosts_of_list(x->pool, o->fallback_hosts, o->hosts_randomize);
        }
        a->fallback_set = true;
    }
    d->retry_with_ip = retry_with_ip(x, o);
    if (lines_too_long(x, d, o) || !default_port(x, d, o, &port)) {
        return;
    }
    struct host *hosts = choose_hosts(x, d, o);
    if (hosts) {
        try_hosts(x, d, o, hosts, port);
    }
}

static bool init(struct opt_reader *r, struct transport *t)
{
    struct smtp_options *o = t->opts;
    o->lmtp = str_is(o->protocol, "lmtp");
    o->smtps = str_is(o->protocol, "smtps");
    t->multi_domain = o->multi_domain;
    if (!o->lmtp && !o->smtps && !str_is(o->protocol, "smtp")) {
        return opt_error(r, "%.*s transport: protocol must be smtp, smtps or lmtp",
                         STR_ARG(t->name));
    }
    if (o->command_timeout <= 0 || o->data_timeout <= 0 || o->final_timeout <= 0) {
        return opt_error(r, "command, data, or final timeout value is zero for %.*s transport",
                         STR_ARG(t->name));
    }
    return true;
}

const struct transport_driver smtp_transport = {
    .name = "smtp",
    .opts_size = sizeof(struct smtp_options),
    .options = smtp_option_rows,
    .init = init,
    .deliver = deliver,
};
