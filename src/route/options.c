/*
 * The generic options of routers, what is checked once all sections are read, and the module.
 * Names of transports and routers are looked up after all sections, so that their order is free;
 * every name that is missing is reported.
 */
#include "route/internal.h"

#include <pwd.h>
#include <stdio.h>

#define O(field) offsetof(struct router, field)

/* ---- options with parsers of their own ---- */

static bool add_condition(struct opt_reader *r, void *base, struct str value)
{
    return route_parse_text(r, &((struct router *)base)->condition, value);
}

static struct str print_condition(struct pool *pool, const void *base)
{
    return route_print_items(pool, &((const struct router *)base)->condition, "\n");
}

static bool add_headers(struct opt_reader *r, void *base, struct str value)
{
    return route_parse_items(r, &((struct router *)base)->headers_add, value, '\n');
}

static struct str print_headers_add(struct pool *pool, const void *base)
{
    return route_print_items(pool, &((const struct router *)base)->headers_add, "\n");
}

static bool add_removal(struct opt_reader *r, void *base, struct str value)
{
    return route_parse_items(r, &((struct router *)base)->headers_remove, value, ':');
}

static struct str print_headers_remove(struct pool *pool, const void *base)
{
    return route_print_items(pool, &((const struct router *)base)->headers_remove, ":");
}

static bool set_files(struct opt_reader *r, void *base, struct str value)
{
    return route_parse_items(r, &((struct router *)base)->require_files, value, ':');
}

static struct str print_files(struct pool *pool, const void *base)
{
    return route_print_items(pool, &((const struct router *)base)->require_files, " : ");
}

/* One "r_name = value". */
static bool add_variable(struct opt_reader *r, struct router *router, struct str item)
{
    ptrdiff_t eq = str_chr(item, '=');
    struct str name = str_trim(eq < 0 ? item : str_sub(item, 0, (size_t)eq));
    if (eq < 0 || !str_starts(name, "r_") || name.len < 3) {
        return opt_error(r, "bad variable definition \"%.*s\": must be of the form r_name = value",
                         STR_ARG(item));
    }
    struct str *names = pool_calloc(r->pool, router->set.n + 1, sizeof *names);
    if (router->set.n) {
        memcpy(names, router->set_names, router->set.n * sizeof *names);
    }
    names[router->set.n] = str_dup(r->pool, name);
    router->set_names = names;
    return route_parse_text(r, &router->set, str_ltrim(str_from(item, (size_t)eq + 1)));
}

static bool set_variables(struct opt_reader *r, void *base, struct str value)
{
    struct str rest = str_ltrim(value), item;
    int sep = ';';
    bool ok = true;
    if (rest.len >= 2 && rest.p[0] == '<') {
        sep = (unsigned char)rest.p[1];
        rest = str_from(rest, 2);
    }
    while (net_list_next(r->pool, &rest, &sep, &item)) {
        ok &= str_empty(item) || add_variable(r, base, item);
    }
    return ok;
}

static struct str print_variables(struct pool *pool, const void *base)
{
    const struct router *router = base;
    struct buf b;
    buf_init(&b, pool, 1024 * 1024);
    for (size_t i = 0; i < router->set.n; i++) {
        buf_addf(&b, "%s%.*s = %.*s", i ? "; " : "", STR_ARG(router->set_names[i]),
                 STR_ARG(router->set.v[i].text));
    }
    return buf_str(&b);
}

static bool both_verify(struct opt_reader *r, void *base, struct str value)
{
    struct router *router = base;
    (void)r;
    (void)value;
    router->verify_sender = router->verify_recipient = router->verify;
    return true;
}

static bool both_fail_verify(struct opt_reader *r, void *base, struct str value)
{
    struct router *router = base;
    (void)r;
    (void)value;
    router->fail_verify_sender = router->fail_verify_recipient = router->fail_verify;
    return true;
}

static bool note_log_as_local(struct opt_reader *r, void *base, struct str value)
{
    (void)r;
    (void)value;
    ((struct router *)base)->log_as_local_set = true;
    return true;
}

static bool note_retry_use_local_part(struct opt_reader *r, void *base, struct str value)
{
    (void)r;
    (void)value;
    ((struct router *)base)->retry_use_local_part_set = true;
    return true;
}

/* freeze, defer, fail, pass, send, reroute: [rewrite:] domain */
static bool set_self(struct opt_reader *r, void *base, struct str value)
{
    static const struct {
        const char *name;
        enum self_code code;
    } words[] = {{"freeze", SELF_FREEZE},  {"defer", SELF_DEFER},    {"fail", SELF_FAIL},
                 {"fail_soft", SELF_PASS}, {"fail_hard", SELF_FAIL}, {"pass", SELF_PASS},
                 {"send", SELF_SEND}};
    struct router *router = base;
    struct str rest;
    router->self_text = str_dup(r->pool, value);
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_is(value, words[i].name)) {
            router->self = words[i].code;
            return true;
        }
    }
    if (!str_starts(value, "reroute:")) {
        return opt_error(r, "%.*s is not valid for the self option", STR_ARG(value));
    }
    rest = str_trim(str_from(value, 8));
    router->self_rewrite = str_starts(rest, "rewrite:");
    if (router->self_rewrite) {
        rest = str_trim(str_from(rest, 8));
    }
    router->self = SELF_REROUTE;
    router->self_domain = str_dup(r->pool, rest);
    return !str_empty(rest) || opt_error(r, "self = reroute: needs a domain");
}

static struct str print_self(struct pool *pool, const void *base)
{
    (void)pool;
    return ((const struct router *)base)->self_text;
}

const struct option router_options[] = {
    {"address_data", OPT_EXPAND, O(address_data), NULL, "text kept with the address", NULL, NULL},
    {"address_test", OPT_BOOL, O(address_test), "true", "used by -bt", NULL, NULL},
    {"cannot_route_message", OPT_EXPAND, O(cannot_route_message), NULL,
     "text for addresses that nobody can route, this router being the last", NULL, NULL},
    {"caseful_local_part", OPT_BOOL, O(caseful_local_part), "false",
     "the local part's case matters", NULL, NULL},
    {"check_local_user", OPT_BOOL, O(check_local_user), "false",
     "the local part must be a user of this host", NULL, NULL},
    {"condition", OPT_REPEAT, O(condition), NULL, "must expand to something true", add_condition,
     print_condition},
    {"debug_print", OPT_EXPAND, O(debug_print), NULL, "printed when addresses are tested", NULL,
     NULL},
    {"disable_logging", OPT_BOOL, O(disable_logging), "false",
     "deliveries by this router are not logged", NULL, NULL},
    {"dnssec_request_domains", OPT_DOMAINS, O(dnssec_request_domains), "*",
     "domains that DNS is asked about with DNSSEC", NULL, NULL},
    {"dnssec_require_domains", OPT_DOMAINS, O(dnssec_require_domains), NULL,
     "domains whose DNS answers must be authenticated", NULL, NULL},
    {"domains", OPT_DOMAINS, O(domains), NULL, "the address's domain must be one of these", NULL,
     NULL},
    {"dsn_lasthop", OPT_BOOL, O(dsn_lasthop), "false",
     "success notifications are sent here, not asked of the next host", NULL, NULL},
    {"errors_to", OPT_EXPAND, O(errors_to), NULL, "who gets bounces", NULL, NULL},
    {"expn", OPT_BOOL, O(expn), "true", "used by EXPN", NULL, NULL},
    {"fail_verify", OPT_BOOL, O(fail_verify), "false",
     "addresses that are accepted here do not verify", both_fail_verify, NULL},
    {"fail_verify_recipient", OPT_BOOL, O(fail_verify_recipient), "false",
     "the same, for recipients", NULL, NULL},
    {"fail_verify_sender", OPT_BOOL, O(fail_verify_sender), "false", "the same, for senders", NULL,
     NULL},
    {"fallback_hosts", OPT_STRING, O(fallback_text), NULL, "hosts to try when all others failed",
     NULL, NULL},
    {"group", OPT_GROUP, O(group), NULL, "group for local deliveries", NULL, NULL},
    {"headers_add", OPT_REPEAT, O(headers_add), NULL, "headers for addresses accepted here",
     add_headers, print_headers_add},
    {"headers_remove", OPT_REPEAT, O(headers_remove), NULL,
     "names of headers that are left out for addresses accepted here", add_removal,
     print_headers_remove},
    {"ignore_target_hosts", OPT_HOSTS, O(ignore_target_hosts), NULL,
     "host addresses that count as absent", NULL, NULL},
    {"initgroups", OPT_BOOL, O(initgroups), "false", "deliveries get all groups of their user",
     NULL, NULL},
    {"local_part_prefix", OPT_STRING, O(local_part_prefix), NULL,
     "prefixes to take off the local part", NULL, NULL},
    {"local_part_prefix_optional", OPT_BOOL, O(prefix_optional), "false",
     "a prefix need not be there", NULL, NULL},
    {"local_part_suffix", OPT_STRING, O(local_part_suffix), NULL,
     "suffixes to take off the local part", NULL, NULL},
    {"local_part_suffix_optional", OPT_BOOL, O(suffix_optional), "false",
     "a suffix need not be there", NULL, NULL},
    {"local_parts", OPT_LOCALPARTS, O(local_parts), NULL, "the local part must be one of these",
     NULL, NULL},
    {"log_as_local", OPT_BOOL, O(log_as_local), NULL,
     "deliveries are logged by the local part alone (default for accept)", note_log_as_local, NULL},
    {"more", OPT_TRUTH, O(more), "true", "the next router is tried when this one declines", NULL,
     NULL},
    {"pass_on_timeout", OPT_BOOL, O(pass_on_timeout), "false",
     "the next router is tried when DNS does not answer", NULL, NULL},
    {"pass_router", OPT_STRING, O(pass_router_text), NULL, "the router that comes after a pass",
     NULL, NULL},
    {"redirect_router", OPT_STRING, O(redirect_router_text), NULL,
     "the router at which generated addresses begin", NULL, NULL},
    {"require_files", OPT_CUSTOM, O(require_files), NULL,
     "files that must exist, or with ! must not", set_files, print_files},
    {"retry_use_local_part", OPT_BOOL, O(retry_use_local_part), NULL,
     "retry data of routing is kept by address, not by domain", note_retry_use_local_part, NULL},
    {"router_home_directory", OPT_EXPAND, O(home_directory), NULL, "$home while the router runs",
     NULL, NULL},
    {"self", OPT_CUSTOM, O(self), "freeze", "what to do when the first host is this one", set_self,
     print_self},
    {"senders", OPT_ADDRESSES, O(senders), NULL, "the message's sender must be one of these", NULL,
     NULL},
    {"set", OPT_REPEAT, O(set), NULL, "variables r_name = value for the address", set_variables,
     print_variables},
    {"transport", OPT_EXPAND, O(transport_text), NULL, "name of the transport", NULL, NULL},
    {"transport_current_directory", OPT_EXPAND, O(current_directory), NULL,
     "current directory for local deliveries", NULL, NULL},
    {"transport_home_directory", OPT_EXPAND, O(transport_home_directory), NULL,
     "$home for local deliveries", NULL, NULL},
    {"unseen", OPT_TRUTH, O(unseen), "false", "the address goes on to the next router as well",
     NULL, NULL},
    {"user", OPT_USER, O(user), NULL, "user for local deliveries", NULL, NULL},
    {"verify", OPT_BOOL, O(verify), "true", "used for verification", both_verify, NULL},
    {"verify_only", OPT_BOOL, O(verify_only), "false", "used for nothing but verification", NULL,
     NULL},
    {"verify_recipient", OPT_BOOL, O(verify_recipient), "true", "used to verify recipients", NULL,
     NULL},
    {"verify_sender", OPT_BOOL, O(verify_sender), "true", "used to verify senders", NULL, NULL},
    {0},
};

/* ---- checks ---- */

static const struct router *find_router(const struct router *from, struct str name)
{
    for (const struct router *r = from; r; r = r->next) {
        if (str_eq(r->name, name)) {
            return r;
        }
    }
    return NULL;
}

/* The login group of a fixed user, so that a delivery need not ask for it. */
static void find_login_group(struct router *router)
{
    const struct passwd *pw = NULL;
    if (router->user.set && str_unset(router->user.text.text) && (pw = getpwuid(router->user.id))) {
        router->user_gid = pw->pw_gid;
        router->user_gid_known = true;
    }
}

static bool link_names(struct config *conf, struct opt_reader *r, struct router *router)
{
    bool ok = true;
    struct str t = router->transport_text.text;
    if (!str_unset(t) && !router->transport_text.tree &&
        !(router->transport = route_find_transport(conf, t))) {
        ok = opt_error(r, "%.*s router:\n  transport \"%.*s\" not found", STR_ARG(router->name),
                       STR_ARG(t));
    }
    struct str pass = router->pass_router_text, redirect = router->redirect_router_text;
    if (!str_unset(pass) && !(router->pass_router = find_router(router->next, pass))) {
        ok = opt_error(r, "new_router \"%.*s\" %s \"%.*s\" router", STR_ARG(pass),
                       find_router(conf->routers, pass) ? "does not follow" : "not found for",
                       STR_ARG(router->name));
    }
    if (!str_unset(redirect) && !(router->redirect_router = find_router(conf->routers, redirect))) {
        ok = opt_error(r, "new_router \"%.*s\" not found for \"%.*s\" router", STR_ARG(redirect),
                       STR_ARG(router->name));
    }
    return ok;
}

static bool link_router(struct config *conf, struct opt_reader *r, struct router *router)
{
    const struct router_driver *d = router->driver;
    bool ok = link_names(conf, r, router);
    if (d->wants_transport && str_unset(router->transport_text.text) && !router->verify_only) {
        ok = opt_error(r, "%.*s router:\n  a transport is required for this router",
                       STR_ARG(router->name));
    }
    if (d->no_transport && !str_unset(router->transport_text.text)) {
        ok = opt_error(r, "%.*s router:\n  transport must not be set for the %s router driver",
                       STR_ARG(router->name), d->name);
    }
    if (!router->log_as_local_set) {
        router->log_as_local = d->log_as_local;
    }
    if (!router->retry_use_local_part_set) {
        router->retry_use_local_part =
            router->check_local_user || !str_unset(router->local_parts.text) ||
            router->condition.n || !str_unset(router->local_part_prefix) ||
            !str_unset(router->local_part_suffix) || !str_unset(router->senders.text) ||
            router->require_files.n;
    }
    find_login_group(router);
    return (!d->link || d->link(r, router)) && ok;
}

bool route_link(struct config *conf, struct opt_reader *r)
{
    bool ok = true;
    r->option = "";
    for (struct router *router = conf->routers; router; router = router->next) {
        if (router->driver) {
            r->pos = router->pos;
            ok &= link_router(conf, r, router);
        }
    }
    return ok;
}

static const struct option main_options[] = {
    {"percent_hack_domains", OPT_DOMAINS, offsetof(struct route_settings, percent_hack_domains),
     NULL, "domains in which user%domain stands for another address", NULL, NULL},
    {0},
};

const struct route_settings *route_settings(const struct config *conf)
{
    return conf->settings[ROOM_ROUTE];
}

static const struct router_driver *const drivers[] = {
    &accept_router,
    &dnslookup_router,
    &ipliteral_router,
    &manualroute_router,
    &queryprogram_router,
    &redirect_router,
    NULL,
};

const struct module route_module = {
    .name = "route",
    .room = ROOM_ROUTE,
    .settings_size = sizeof(struct route_settings),
    .options = main_options,
    .routers = drivers,
    .variables = route_variables,
};
