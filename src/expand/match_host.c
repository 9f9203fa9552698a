/*
 * Host list items: addresses and networks, lookups by address, names whose addresses count, and
 * patterns of the host's name, for which the session's host is looked up when it has to be.
 *
 * MATCH_ERROR from here means that a name or an address could not be found, which the switches of
 * the list (+include_unknown …) may turn into something else.
 */
#include "expand/internal.h"

#include <sys/socket.h>

bool session_host_name(struct ectx *x)
{
    struct session *s = x->sess;
    if (!s || str_empty(s->host_address)) {
        return false;
    }
    if (!str_empty(s->host_name)) {
        return true;
    }
    if (s->host_lookup_done) {
        return false;
    }
    struct str name, error;
    s->host_lookup_done = true;
    TRACE(TR_host_lookup | TR_bh, "looking up host name for %.*s", STR_ARG(s->host_address));
    s->host_aliases.pool = s->host_aliases.pool ? s->host_aliases.pool : s->pool;
    enum host_find r =
        net_host_name(x->conf, s->pool, s->host_address, &name, &s->host_aliases, &error);
    s->host_lookup_failed = r == HF_FAILED;
    s->host_lookup_why = error;
    s->host_lookup_deferred = r == HF_AGAIN;
    if (r == HF_FOUND || r == HF_FOUND_LOCAL) {
        s->host_name = str_taint(name);
        return true;
    }
    return false;
}

void host_not_found(struct ectx *x, struct str name)
{
    const struct session *s = x->sess;
    if (log_wants(LS_host_lookup_failed) && s && s->stream && x->msg && str_empty(x->msg->id)) {
        struct str where = session_connection(x->pool, s);
        TRACE(TR_host_lookup | TR_bh, "no IP address found for host %.*s (during %.*s)",
              STR_ARG(name), STR_ARG(where));
        log_write(LOG_MAIN, "no IP address found for host %.*s (during %.*s)", STR_ARG(name),
                  STR_ARG(where));
    }
}

static enum match by_net(struct match_state *st, const struct ip *net, unsigned bits)
{
    struct ip ip;
    return ip_parse(st->host_address, &ip) && ip_in_net(&ip, net, bits) ? MATCH_YES : MATCH_NO;
}

static enum match is_ours(struct match_state *st)
{
    struct ip ip;
    return ip_parse(st->host_address, &ip) && net_is_local(st->x->conf, st->x->pool, &ip)
               ? MATCH_YES
               : MATCH_NO;
}

/* IPv6 keys are written in full, with dots for colons except for iplsearch, which knows better. */
static struct str address_key(struct match_state *st, const struct mitem *it, const struct ip *ip)
{
    bool v6 = ip->family == AF_INET6;
    int full = v6 ? 128 : 32;
    int mask = it->mask > full ? full : it->mask;
    struct ip masked = ip_mask(*ip, (unsigned)(mask < 0 ? full : mask));
    bool colons = strcmp(it->pat.lookup.driver->name, "iplsearch") == 0;
    struct buf b;
    buf_init(&b, st->x->pool, 100);
    for (int i = 0; i < (v6 ? 16 : 4); i += v6 ? 2 : 1) {
        if (v6) {
            buf_addf(&b, "%s%02x%02x",
                     i == 0   ? ""
                     : colons ? ":"
                              : ".",
                     masked.b[i], masked.b[i + 1]);
        } else {
            buf_addf(&b, "%s%u", i == 0 ? "" : ".", masked.b[i]);
        }
    }
    if (mask >= 0) {
        buf_addf(&b, "/%d", mask);
    }
    return buf_str(&b);
}

static enum match by_lookup(struct match_state *st, const struct mitem *it)
{
    struct ip ip;
    const struct lookup_type *t = &it->pat.lookup;
    bool single = t->driver->flags & LOOKUP_SINGLE_KEY;
    if (!ip_parse(st->host_address, &ip)) {
        return MATCH_NO;
    }
    struct pattern p = it->pat;
    p.lookup.partial = -1;
    p.lookup.star = 0;
    return match_pattern(st, &p, single ? address_key(st, it, &ip) : STR(""), true);
}

static void trace_addresses(const struct host *h)
{
    trace_write("gethostbyname2 looked up these IP addresses:");
    for (; h; h = h->next) {
        trace_write("  name=%.*s address=%.*s", STR_ARG(h->name), STR_ARG(h->address));
    }
}

/* A plain name: the host is meant by its addresses. */
static enum match by_name(struct match_state *st, const struct mitem *it)
{
    struct str name =
        str_is(it->text, "@") ? core_settings(st->x->conf)->primary_hostname : it->text;
    struct host h = {.name = name, .port = PORT_NONE, .mx = MX_NONE};
    struct str error = STR_NONE;
    struct ip want, have;
    if (st->ip_only) {
        return match_why(st, MATCH_ERROR, "cannot match host name in match_ip list");
    }
    switch (net_find_addresses(st->x->conf, st->x->pool, &h, true, 0, &error)) {
    case HF_FOUND:
    case HF_FOUND_LOCAL: break;
    case HF_AGAIN:
        return match_why(st, MATCH_DEFER, "DNS lookup of \"%.*s\" deferred", STR_ARG(name));
    default:
        host_not_found(st->x, name);
        return match_why(st, MATCH_ERROR, "failed to find IP address for %.*s", STR_ARG(name));
    }
    if (trace_on(TR_host_lookup | TR_bh)) {
        trace_addresses(&h);
    }
    for (const struct host *each = &h; each; each = each->next) {
        if (ip_parse(each->address, &have) && ip_parse(st->host_address, &want) &&
            memcmp(&have, &want, sizeof have) == 0) {
            return MATCH_YES;
        }
    }
    return MATCH_NO;
}

/* The name of the session's host and its aliases against the pattern. */
static enum match by_session_name(struct match_state *st, const struct pattern *p)
{
    struct session *s = st->x->sess;
    if (p->kind == PAT_LOOKUP && !(p->lookup.driver->flags & LOOKUP_SINGLE_KEY)) {
        return match_pattern(st, p, STR(""), true);
    }
    if (s && str_empty(s->host_name)) {
        TRACE(TR_host_lookup | TR_bh, "sender host name required, to match against %.*s",
              STR_ARG(p->text));
    }
    if (!s || !session_host_name(st->x)) {
        return match_why(st, s && s->host_lookup_deferred ? MATCH_DEFER : MATCH_ERROR,
                         "failed to find host name for %.*s", STR_ARG(st->host_address));
    }
    enum match m = match_pattern(st, p, s->host_name, true);
    for (size_t i = 0; m == MATCH_NO && i < s->host_aliases.n; i++) {
        m = match_pattern(st, p, s->host_aliases.v[i], true);
    }
    return m;
}

static enum match by_pattern(struct match_state *st, const struct mitem *it)
{
    if (st->ip_only) {
        if (it->pat.kind == PAT_LOOKUP) {
            struct mitem by_address = *it;
            by_address.mask = -1;
            return by_lookup(st, &by_address);
        }
        return match_why(st, MATCH_ERROR, "cannot match host name in match_ip list");
    }
    if (!str_unset(st->host_name) && !st->session_host) {
        return match_pattern(st, &it->pat, st->host_name, true);
    }
    return by_session_name(st, &it->pat);
}

enum match match_host_item(struct match_state *st, const struct mitem *it)
{
    if (it->kind == MI_HOST_ANY) {
        return MATCH_YES;
    }
    if (str_empty(st->host_address)) {
        return it->kind == MI_HOST_NONE ? MATCH_YES : MATCH_NO;
    }
    switch (it->kind) {
    case MI_HOST_NONE: return MATCH_NO;
    case MI_HOST_OURS: return is_ours(st);
    case MI_HOST_NET: return by_net(st, &it->net, it->bits);
    case MI_HOST_BAD: return match_why(st, MATCH_ERROR, "malformed IPv4 address or address mask");
    case MI_HOST_LOOKUP: return by_lookup(st, it);
    case MI_HOST_NAME: return by_name(st, it);
    default: return by_pattern(st, it);
    }
}
