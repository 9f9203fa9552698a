/*
 * Variables of the address in hand and of the delivery under way. See variables.c.
 * They are empty where there is no address or delivery. Values are views of the structs and keep
 * their taint: what came in an envelope stays untrusted.
 */
#include "expand/variables.h"

#define ADDRESS(id, expression) \
    struct str get_##id(struct ectx *x, struct str name) \
    { \
        (void)name; \
        const struct address *a = x->addr; \
        return a ? expression : STR_NONE; \
    }

#define DELIVERY(id, expression) \
    struct str get_##id(struct ectx *x, struct str name) \
    { \
        (void)name; \
        const struct delivery *d = x->dlv; \
        return d ? expression : STR_NONE; \
    }

ADDRESS(domain, a->domain)
ADDRESS(domain_data, a->domain_data)
ADDRESS(local_part, a->local_part)
ADDRESS(local_part_data, a->local_part_data)
ADDRESS(address_data, a->address_data)
ADDRESS(self_hostname, a->self_hostname)
ADDRESS(router_variable, vars_get(&a->vars, name))

DELIVERY(address_file, d->address_file)
DELIVERY(address_pipe, d->address_pipe)
DELIVERY(sending_ip_address, d->sending_ip)

/* The host being tried; before one is, the first that the address is for. */
static const struct host *host_of(const struct ectx *x)
{
    return x->dlv ? x->dlv->host : x->addr && !x->router ? x->addr->hosts : NULL;
}

struct str get_host(struct ectx *x, struct str name)
{
    (void)name;
    const struct host *h = host_of(x);
    return h ? h->name : STR_NONE;
}

struct str get_host_address(struct ectx *x, struct str name)
{
    (void)name;
    const struct host *h = host_of(x);
    return h ? h->address : STR_NONE;
}

struct str get_callout_address(struct ectx *x, struct str name)
{
    (void)name;
    const struct delivery *d = x->dlv;
    if (d && d->host && !str_empty(d->sending_ip)) {
        return str_fmt(x->pool, "[%.*s]:%d", STR_ARG(d->host->address), d->host_port);
    }
    return x->sess ? x->sess->callout_address : STR_NONE;
}

struct str get_delivery_host_port(struct ectx *x, struct str name)
{
    (void)name;
    return variable_number(x, x->dlv ? x->dlv->host_port : 0);
}

/* -1 where there is no connection. */
struct str get_sending_port(struct ectx *x, struct str name)
{
    (void)name;
    return variable_number(x, x->dlv && !str_empty(x->dlv->sending_ip) ? x->dlv->sending_port : -1);
}

struct str get_affix(struct ectx *x, struct str name)
{
    const struct address *a = x->addr;
    if (!a) {
        return STR_NONE;
    }
    bool part = str_ends(name, STR("_v"));
    if (str_starts(name, "local_part_prefix")) {
        return part ? a->prefix_v : a->prefix;
    }
    return part ? a->suffix_v : a->suffix;
}

struct str get_home(struct ectx *x, struct str name)
{
    (void)name;
    if (x->dlv && !str_unset(x->dlv->home)) {
        return x->dlv->home;
    }
    return x->addr ? x->addr->home : STR_NONE;
}

/* Known while routers ask, and no longer. */
struct str get_local_user(struct ectx *x, struct str name)
{
    const struct address *a = x->addr;
    if (!a || !x->router || !a->local_user_known) {
        return variable_number(x, UINT32_MAX);
    }
    return variable_number(x,
                           str_is(name, "local_user_uid") ? a->local_user_uid : a->local_user_gid);
}

static struct str part_of(struct ectx *x, const struct address *a, struct str name)
{
    return str_ends(name, STR("_domain")) ? a->domain
                                          : STR_CAT(x->pool, a->prefix, a->local_part, a->suffix);
}

struct str get_parent(struct ectx *x, struct str name)
{
    return x->addr && x->addr->parent ? part_of(x, x->addr->parent, name) : STR_NONE;
}

/* Of addresses that are routed; not of those an ACL looks at. */
struct str get_original(struct ectx *x, struct str name)
{
    const struct address *a = x->addr;
    while (a && a->parent) {
        a = a->parent;
    }
    return a && !str_unset(a->unique) ? part_of(x, a, name) : STR_NONE;
}

/* Of a delivery or of routing: ACLs have none. */
struct str get_return_path(struct ectx *x, struct str name)
{
    (void)name;
    const struct message *m = x->msg;
    if (x->dlv && !str_unset(x->dlv->return_path)) {
        return x->dlv->return_path;
    }
    if (m && !str_unset(m->return_path)) {
        return m->return_path;
    }
    return m && x->addr && !str_unset(x->addr->unique) ? m->sender : STR_NONE;
}
