/*
 * The manualroute router: hosts by rule, from a list in the configuration (route_list) or from data
 * looked up for the domain (route_data).
 * The rules are taken apart when the configuration is read; hosts live in the context's pool. A
 * rule that is malformed at run time defers the address with the reason.
 */
#include "route/internal.h"

#include <stdio.h>

/* A rule of route_list, its parts compiled. */
struct rule {
    struct etext pattern; /* a domain list of one item */
    struct etext hosts;
    struct str options;
};

struct opts {
    struct str find_failed_text, all_ignored_text, route_list;
    struct etext route_data;
    bool hosts_randomize, same_domain_copy_routing;
    int find_failed, all_ignored;
    struct rule *rules;
    size_t n;
};

#define O(field) offsetof(struct opts, field)

static const struct option options[] = {
    {"host_all_ignored", OPT_STRING, O(all_ignored_text), "defer",
     "what to do when all hosts were ignored: decline, defer, fail, freeze, pass", NULL, NULL},
    {"host_find_failed", OPT_STRING, O(find_failed_text), "freeze",
     "what to do when a host does not exist: decline, defer, fail, freeze, ignore, pass", NULL,
     NULL},
    {"hosts_randomize", OPT_BOOL, O(hosts_randomize), "false", "hosts are tried in random order",
     NULL, NULL},
    {"route_data", OPT_EXPAND, O(route_data), NULL, "hosts and options for the domain", NULL, NULL},
    {"route_list", OPT_STRING, O(route_list), NULL,
     "rules separated by semicolons: domain pattern, hosts, options", NULL, NULL},
    {"same_domain_copy_routing", OPT_BOOL, O(same_domain_copy_routing), "false",
     "other recipients of the domain get the same hosts", NULL, NULL},
    {0},
};

static int action(struct str s)
{
    static const char *const names[] = {"freeze", "defer", "fail", "pass", "decline", "ignore"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_is(s, names[i])) {
            return (int)i;
        }
    }
    return -1;
}

static bool compile_rule(struct opt_reader *r, const struct route_rule *text, struct rule *out)
{
    out->options = text->options;
    out->hosts.text = text->hosts;
    if (str_any_in(text->hosts, "$\\") && !(out->hosts.tree = r->compile(r, text->hosts))) {
        return false;
    }
    /* one item: colons within it are its own */
    out->pattern.text = str_any_in(text->pattern, ":") && str_chr(text->pattern, '\n') < 0
                            ? STR_CAT(r->pool, STR("<\n"), text->pattern)
                            : text->pattern;
    if (str_any_in(text->pattern, "$\\")) {
        return (out->pattern.tree = r->compile(r, out->pattern.text)) != NULL;
    }
    return !r->compile_list ||
           (out->pattern.list = r->compile_list(r, OPT_DOMAINS, out->pattern.text)) != NULL;
}

static bool read_rules(struct opt_reader *r, struct opts *o)
{
    struct str rest = str_ltrim(o->route_list), item;
    struct route_rule text;
    int sep = ';';
    bool ok = true;
    if (rest.len >= 2 && rest.p[0] == '<') {
        sep = (unsigned char)rest.p[1];
        rest = str_from(rest, 2);
    }
    o->rules = pool_calloc(r->pool, (size_t)rest.len + 1, sizeof *o->rules);
    r->option = "route_list";
    while (net_list_next(r->pool, &rest, &sep, &item)) {
        if (route_rule_parse(r->pool, item, true, &text)) {
            ok &= compile_rule(r, &text, &o->rules[o->n++]);
        }
    }
    return ok;
}

static bool init(struct opt_reader *r, struct router *router)
{
    struct opts *o = router->opts;
    o->find_failed = action(o->find_failed_text);
    o->all_ignored = action(o->all_ignored_text);
    if (o->find_failed < 0) {
        return opt_error(r, "invalid setting for host_find_failed: %.*s",
                         STR_ARG(o->find_failed_text));
    }
    if (o->all_ignored < 0 || o->all_ignored == HOST_IGNORE) {
        return opt_error(r, "invalid setting for host_all_ignored: %.*s",
                         STR_ARG(o->all_ignored_text));
    }
    if (str_unset(o->route_list) == str_unset(o->route_data.text)) {
        return opt_error(r, "route_list or route_data (but not both) must be specified");
    }
    return str_unset(o->route_list) || read_rules(r, o);
}

/* The words behind the hosts; unset result: fine, else the text from a word that is not known. */
static struct str read_options(struct ectx *x, struct str text, bool *randomize,
                               struct host_search *s, const struct transport **transport)
{
    struct str word;
    const char *end = text.p + text.len;
    while (str_next(&text, ' ', &word)) {
        word = str_trim(word);
        if (str_empty(word)) {
            continue;
        } else if (str_is(word, "randomize")) {
            *randomize = true;
        } else if (str_is(word, "no_randomize")) {
            *randomize = false;
        } else if (str_is(word, "byname")) {
            s->method = FIND_BYNAME;
        } else if (str_is(word, "bydns")) {
            s->method = FIND_BYDNS;
        } else if (str_is(word, "ipv4_only")) {
            s->ipv4_only = true;
        } else if (str_is(word, "ipv4_prefer")) {
            s->ipv4_prefer = true;
        } else if (!(*transport = route_find_transport(x->conf, word))) {
            return str_n(word.p, (size_t)(end - word.p));
        }
    }
    return STR_NONE;
}

/* Finds the rule for the domain; ROUTE_OK with the unexpanded hosts and options. */
static enum route_result find_rule(struct ectx *x, const struct opts *o, struct address *a,
                                   const struct etext **hosts, struct str *rule_options)
{
    for (size_t i = 0; i < o->n; i++) {
        struct str data = STR_NONE;
        TRACE(TR_route, "route_item = %.*s %.*s%s%.*s", STR_ARG(o->rules[i].pattern.text),
              STR_ARG(o->rules[i].hosts.text), str_empty(o->rules[i].options) ? "" : " ",
              STR_ARG(o->rules[i].options));
        enum match m = match_domain(x, &o->rules[i].pattern, a->domain, &data);
        if (m == MATCH_YES) {
            if (!str_unset(data)) {
                scope_set(x, STR("value"), data);
            }
            *hosts = &o->rules[i].hosts;
            *rule_options = o->rules[i].options;
            return ROUTE_OK;
        }
        if (m == MATCH_DEFER || m == MATCH_ERROR) {
            return route_defer(
                a, ERRNO_LISTDEFER,
                str_fmt(x->pool, "lookup defer in route_list: %.*s", STR_ARG(x->error)));
        }
    }
    return ROUTE_DECLINE;
}

static void trace_hosts(const char *which, struct str hosts, struct str words)
{
    TRACE(TR_route, "%s list of hosts = '%.*s' options = '%.*s'", which, STR_ARG(hosts),
          STR_ARG(words));
}

/* Hosts and options as text, whichever way they come. */
static enum route_result find_data(struct ectx *x, const struct router *r, struct address *a,
                                   struct str *hosts, struct str *rule_options)
{
    const struct opts *o = r->opts;
    const struct etext *unexpanded = NULL;
    struct route_rule data;
    struct str text;
    if (!str_unset(o->route_list)) {
        enum route_result result = find_rule(x, o, a, &unexpanded, rule_options);
        if (result != ROUTE_OK) {
            return result;
        }
        trace_hosts("original", unexpanded->text, *rule_options);
        if (!expand_option(x, unexpanded, hosts)) {
            if (x->forced_fail) {
                return ROUTE_DECLINE;
            }
            a->message = str_fmt(x->pool, "%.*s router: failed to expand \"%.*s\": %.*s",
                                 STR_ARG(r->name), STR_ARG(unexpanded->text), STR_ARG(x->error));
            return ROUTE_DEFER;
        }
        trace_hosts("expanded", *hosts, *rule_options);
        return ROUTE_OK;
    }
    if (!expand_option(x, &o->route_data, &text)) {
        return x->forced_fail
                   ? ROUTE_DECLINE
                   : route_defer(a, ERRNO_UNKNOWNERROR,
                                 str_fmt(x->pool, "failed to expand \"%.*s\": %.*s",
                                         STR_ARG(o->route_data.text), STR_ARG(x->error)));
    }
    text = str_trim(text);
    if (str_empty(text) || !route_rule_parse(x->pool, text, false, &data)) {
        return ROUTE_DECLINE;
    }
    *hosts = data.hosts;
    *rule_options = data.options;
    trace_hosts("original", *hosts, *rule_options);
    trace_hosts("expanded", *hosts, *rule_options);
    return ROUTE_OK;
}

static enum route_result bad_option(struct ectx *x, const struct router *r, struct address *a,
                                    struct str word)
{
    log_msg(LOG_MAIN, x->msg,
            "Error in %.*s router: unknown routing option or transport name \"%.*s\"",
            STR_ARG(r->name), STR_ARG(word));
    return route_defer(a, 0,
                       str_fmt(x->pool,
                               "error in router: unknown routing option or transport name \"%.*s\"",
                               STR_ARG(word)));
}

/* A local transport gets the hosts as they are written. */
static void hosts_as_text(struct ectx *x, struct address *a, struct str hosts)
{
    if (!str_empty(hosts)) {
        a->hosts = POOL_NEW(x->pool, struct host);
        *a->hosts = (struct host){.name = hosts, .port = PORT_NONE, .mx = MX_NONE};
    }
}

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    struct ectx *x = job->x;
    const struct opts *o = r->opts;
    const struct transport *transport = NULL;
    struct host_search s = {
        .router = r, .find_failed = o->find_failed, .all_ignored = o->all_ignored};
    struct str hosts, words;
    bool randomize = o->hosts_randomize, ok = true;
    enum route_result result = find_data(x, r, a, &hosts, &words);
    if (result != ROUTE_OK) {
        return result;
    }
    struct str unknown = read_options(x, words, &randomize, &s, &transport);
    if (!str_unset(unknown)) {
        return bad_option(x, r, a, unknown);
    }
    if (!transport && !(transport = route_transport(job, r, a, &ok)) && !ok &&
        !route_verifying(job)) {
        return route_defer(a, ERRNO_BADTRANSPORT, a->message);
    }
    hosts = str_trim(hosts);
    if (transport && transport->local) {
        hosts_as_text(x, a, hosts);
    } else if ((a->hosts = route_host_list(x->pool, hosts, randomize))) {
        result = route_find_hosts(job, &s, a);
    } else if (transport) {
        a->message = str_fmt(x->pool, "error in %.*s router: no host(s) specified for domain %.*s",
                             STR_ARG(r->name), STR_ARG(a->domain));
        log_msg(LOG_MAIN, x->msg, "%.*s", STR_ARG(a->message));
        return route_defer(a, 0, a->message);
    }
    if (result != ROUTE_OK) {
        return result;
    }
    a->share_routing = o->same_domain_copy_routing;
    return route_accept(job, r, a, transport);
}

const struct router_driver manualroute_router = {
    .name = "manualroute",
    .opts_size = sizeof(struct opts),
    .options = options,
    .init = init,
    .route = route,
};
