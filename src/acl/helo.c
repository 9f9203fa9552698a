/*
 * Verification of the name a client gave with HELO or EHLO: an address literal must be its address;
 * a name must be one of its names, or lead to its address. What is found out is kept in the session;
 * a look-up that cannot be done now leaves the question open.
 */
#include "acl/internal.h"

static bool literal_matches(const struct session *s)
{
    struct str inner = str_sub(s->helo_name, 1, s->helo_name.len - 2u);
    if (str_startsi(inner, "IPv6:") || str_startsi(inner, "IPv4:")) {
        inner = str_from(inner, 5);
    }
    struct ip a, b;
    return ip_parse(inner, &a) && ip_parse(s->host_address, &b) && a.family == b.family &&
           memcmp(a.b, b.b, sizeof a.b) == 0;
}

static bool is_host_name(const struct session *s)
{
    if (!str_empty(s->host_name) && str_eqi(s->host_name, s->helo_name)) {
        TRACE(TR_receive | TR_bh, "matched host name");
        return true;
    }
    return strvec_hasi(&s->host_aliases, s->helo_name);
}

/* Forward look-up of the name; *unsure if it could not be done for now. */
static bool leads_here(struct ectx *x, bool *unsure)
{
    struct session *s = x->sess;
    struct host_find_opts opts = {.a = true};
    TRACE(TR_receive | TR_bh, "getting IP address for %.*s", STR_ARG(s->helo_name));
    struct host *hosts = NULL;
    struct str fqdn, error;
    enum host_find rc =
        dns_find_hosts(x->conf, x->pool, s->helo_name, &opts, &hosts, &fqdn, &error);
    *unsure |= rc == HF_AGAIN;
    for (struct host *h = hosts; h; h = h->next) {
        if (str_eq(h->address, s->host_address)) {
            TRACE(TR_receive | TR_bh, "IP address for %.*s matches calling address",
                  STR_ARG(s->helo_name));
            return true;
        }
    }
    return false;
}

bool acl_verify_helo(struct ectx *x)
{
    struct session *s = x->sess;
    bool unsure = false;
    if (s->helo_verified || s->helo_checked || str_empty(s->helo_name)) {
        s->helo_checked = true;
        return true;
    }
    TRACE(TR_receive | TR_bh, "verifying EHLO/HELO argument \"%.*s\"", STR_ARG(s->helo_name));
    if (str_empty(s->host_address)) {
        s->helo_verified = true;
    } else if (s->helo_name.p[0] == '[' && s->helo_name.len > 2) {
        s->helo_verified = literal_matches(s);
        if (s->helo_verified) {
            TRACE(TR_receive | TR_bh, "matched host address");
        }
    } else {
        if (str_empty(s->host_name) && !s->host_lookup_failed) {
            s->host_name_unshown = session_host_name(x);
            unsure = s->host_lookup_deferred;
        }
        s->helo_verified = is_host_name(s) || leads_here(x, &unsure);
    }
    s->helo_checked = s->helo_verified || !unsure;
    return s->helo_checked;
}
