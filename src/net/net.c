/*
 * The net module: options of the resolver and of local addresses, and what is derived from them.
 *
 * dns_check_names_pattern is compiled once, when the configuration is read; the compiled pattern
 * lives in the configuration's pool.
 */
#include "net/internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define O(field) offsetof(struct net_settings, field)

static const struct option options[] = {
    {"allow_mx_to_ip", OPT_BOOL, O(allow_mx_to_ip), "false", "MX records may point to IP addresses",
     NULL, NULL},
    {"dns_again_means_nonexist", OPT_DOMAINS, O(dns_again_means_nonexist), NULL,
     "names whose temporary DNS errors mean that they do not exist", NULL, NULL},
    {"dns_check_names_pattern", OPT_STRING, O(dns_check_names_pattern),
     "(?i)^(?>(?(1)\\.|())[^\\W](?>[a-z0-9/_-]*[^\\W])?)+(\\.?)$",
     "names that do not match are not looked up", NULL, NULL},
    {"dns_cname_loops", OPT_INT, O(dns_cname_loops), "1", "how many CNAMEs are followed", NULL,
     NULL},
    {"dns_dnssec_ok", OPT_INT, O(dns_dnssec_ok), "-1", "0 never, 1 always ask for DNSSEC", NULL,
     NULL},
    {"dns_ipv4_lookup", OPT_DOMAINS, O(dns_ipv4_lookup), NULL,
     "hosts whose IPv6 addresses are not looked up", NULL, NULL},
    {"dns_retrans", OPT_TIME, O(dns_retrans), "0s", "time between two tries of a question", NULL,
     NULL},
    {"dns_retry", OPT_INT, O(dns_retry), "0", "how often a question is tried", NULL, NULL},
    {"dns_trust_aa", OPT_DOMAINS, O(dns_trust_aa), NULL,
     "zones whose authoritative answers count as DNSSEC-verified", NULL, NULL},
    {"dns_use_edns0", OPT_INT, O(dns_use_edns0), "-1", "0 never, 1 always use EDNS0", NULL, NULL},
    {"extra_local_interfaces", OPT_EXPAND, O(extra_local_interfaces), NULL,
     "addresses that are local for routing but not listened on", NULL, NULL},
    {"host_lookup_order", OPT_STRING, O(host_lookup_order), "bydns:byaddr",
     "how host names are looked up from addresses", NULL, NULL},
    {"local_interfaces", OPT_EXPAND, O(local_interfaces), NULL,
     "addresses to listen on; they are the local ones for routing too", NULL, NULL},
    {"slow_lookup_log", OPT_INT, O(slow_lookup_log), "0",
     "DNS questions that take more milliseconds are logged", NULL, NULL},
    {0},
};

const struct net_settings *net_settings(const struct config *conf)
{
    return conf->settings[ROOM_NET];
}

void net_set_matcher(struct config *conf, net_matcher *matcher)
{
    struct net_settings *set = conf->settings[ROOM_NET];
    set->matcher = matcher;
}

void net_set_local(struct config *conf, struct str local, struct str extra)
{
    struct net_settings *set = conf->settings[ROOM_NET];
    set->local_text = local;
    set->extra_local_text = extra;
}

bool net_in_domains(const struct config *conf, struct pool *pool, const struct etext *list,
                    struct str name)
{
    const struct net_settings *set = net_settings(conf);
    return set->matcher && !str_unset(list->text) && set->matcher(conf, pool, list, name);
}

bool net_clean_name(const struct net_settings *set, struct str name)
{
    if (!set->name_pattern) {
        return true;
    }
    pcre2_match_data *md = pcre2_match_data_create_from_pattern(set->name_pattern, NULL);
    if (!md) {
        BUG("out of memory");
    }
    int r = pcre2_match(set->name_pattern, (PCRE2_SPTR)(name.len ? name.p : ""), name.len, 0, 0, md,
                        NULL);
    pcre2_match_data_free(md);
    return r >= 0;
}

static void *take(size_t size, void *pool)
{
    return pool_alloc(pool, size);
}

static void leave(void *p, void *pool)
{
    (void)p;
    (void)pool;
}

/* Makes PCRE2 take its memory from the configuration's pool, so that it goes with it. */
static pcre2_compile_context *in_pool(struct pool *pool)
{
    pcre2_general_context *g = pcre2_general_context_create(take, leave, pool);
    return g ? pcre2_compile_context_create(g) : NULL;
}

static bool compile_pattern(struct net_settings *set, struct opt_reader *r)
{
    struct str p = set->dns_check_names_pattern;
    int error;
    PCRE2_SIZE at;
    PCRE2_UCHAR text[128];
    if (str_empty(p)) {
        return true;
    }
    set->name_pattern = pcre2_compile((PCRE2_SPTR)p.p, p.len, 0, &error, &at, in_pool(r->pool));
    if (set->name_pattern) {
        return true;
    }
    pcre2_get_error_message(error, text, sizeof text);
    return opt_error(r, "regular expression error in \"%.*s\": %s at offset %zu", STR_ARG(p),
                     (char *)text, (size_t)at);
}

static bool check_lookup_order(const struct net_settings *set, struct opt_reader *r)
{
    struct str rest = set->host_lookup_order, item;
    while (str_next(&rest, ':', &item)) {
        item = str_trim(item);
        if (!str_is(item, "bydns") && !str_is(item, "byaddr")) {
            return opt_error(r, "host_lookup_order may hold bydns and byaddr only, not \"%.*s\"",
                             STR_ARG(item));
        }
    }
    return true;
}

static bool finish(struct config *conf, struct opt_reader *r)
{
    struct net_settings *set = conf->settings[ROOM_NET];
    set->local_text = set->local_interfaces.text;
    set->extra_local_text = set->extra_local_interfaces.text;
    if (set->dns_cname_loops < 0) {
        return opt_error(r, "dns_cname_loops must not be negative");
    }
    return compile_pattern(set, r) && check_lookup_order(set, r);
}

static const char *const features[] = {"IPv6", "DNSSEC", NULL};

const struct module net_module = {
    .features = features,
    .name = "net",
    .room = ROOM_NET,
    .settings_size = sizeof(struct net_settings),
    .options = options,
    .finish = finish,
};
