/*
 * The ipliteral router: addresses whose domain is an IP address literal, [1.2.3.4] or [IPv6:…].
 */
#include "route/internal.h"

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    struct ectx *x = job->x;
    struct ip ip;
    struct str text = a->domain;
    if (text.len < 3 || text.p[0] != '[' || text.p[text.len - 1] != ']') {
        return ROUTE_DECLINE;
    }
    text = str_sub(text, 1, text.len - 2u);
    if (str_startsi(text, "IPv6:") || str_startsi(text, "IPv4:")) {
        text = str_from(text, 5);
    }
    if (!ip_parse(text, &ip)) {
        return ROUTE_DECLINE;
    }
    struct host_filter filter = {x, r, 0};
    if (route_drop_host(&filter, a->domain, text)) {
        a->message = STR("literal IP address blocked by ignore_target_hosts");
        return ROUTE_DECLINE;
    }
    a->hosts = POOL_NEW(x->pool, struct host);
    *a->hosts = (struct host){
        .name = a->domain, .address = str_dup(x->pool, text), .port = PORT_NONE, .mx = MX_NONE};
    if (net_is_local(x->conf, x->pool, &ip)) {
        enum route_result result = route_self(job, r, a, false);
        if (result != ROUTE_OK) {
            return result;
        }
    }
    return route_accept(job, r, a, NULL);
}

static const struct option options[] = {{0}};

const struct router_driver ipliteral_router = {
    .name = "ipliteral",
    .options = options,
    .route = route,
    .wants_transport = true,
};
