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
DELIVERY(host, d->host ? d->host->name : STR_NONE)
DELIVERY(host_address, d->host ? d->host->address : STR_NONE)
DELIVERY(sending_ip_address, d->sending_ip)

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

struct str get_local_user(struct ectx *x, struct str name)
{
    const struct address *a = x->addr;
    if (!a || !a->local_user_known) {
        return variable_number(x, UINT32_MAX);
    }
    return variable_number(x,
                           str_is(name, "local_user_uid") ? a->local_user_uid : a->local_user_gid);
}

static struct str part_of(const struct address *a, struct str name)
{
    return str_ends(name, STR("_domain")) ? a->domain : a->local_part;
}

struct str get_parent(struct ectx *x, struct str name)
{
    return x->addr && x->addr->parent ? part_of(x->addr->parent, name) : STR_NONE;
}

struct str get_original(struct ectx *x, struct str name)
{
    const struct address *a = x->addr;
    while (a && a->parent) {
        a = a->parent;
    }
    return a ? part_of(a, name) : STR_NONE;
}

struct str get_return_path(struct ectx *x, struct str name)
{
    (void)name;
    if (x->dlv && !str_unset(x->dlv->return_path)) {
        return x->dlv->return_path;
    }
    return !x->msg                          ? STR_NONE
           : str_unset(x->msg->return_path) ? x->msg->sender
                                            : x->msg->return_path;
}
