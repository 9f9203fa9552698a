/* Inside route/: what the chain, the drivers and the parsers share. */
#ifndef ROUTE_INTERNAL_H
#define ROUTE_INTERNAL_H

#include "route/route.h"

/* Main options of this room. */
struct route_settings {
    struct etext percent_hack_domains;
};

/* The settings of a configuration. */
const struct route_settings *route_settings(const struct config *conf);

/* ---- the chain's helpers for drivers (chain.c, accept_address.c) ---- */

/* Sets the message of a deferred (failed) address and gives the result back. */
enum route_result route_defer(struct address *a, int basic_errno, struct str message);
enum route_result route_fail(struct address *a, struct str message);

/*
 * What an address gets from the router that handles it: errors_to, headers_add, headers_remove.
 * false: it could not be evaluated, a->message says why.
 */
bool route_own_settings(struct route_job *job, const struct router *r, struct address *a);

/* uid and gid from the router; false with a->message. */
bool route_own_identity(struct route_job *job, const struct router *r, struct address *a);

/*
 * Home and current directories for a local delivery, no longer the router's own $home. The router's
 * options are expanded when the delivery is made.
 */
void route_own_directories(const struct router *r, struct address *a);

/*
 * Accepts: all of the settings above and the transport, `transport` or the router's own, then the
 * address goes on the job's local or remote list.
 */
enum route_result route_accept(struct route_job *job, const struct router *r, struct address *a,
                               const struct transport *transport);

/* The transport that the generic option names; NULL with a->message (verification needs none). */
const struct transport *route_transport(struct route_job *job, const struct router *r,
                                        struct address *a, bool *ok);

/* A configured transport by name. */
const struct transport *route_find_transport(const struct config *conf, struct str name);

/*
 * Changes the domain (self = reroute:, widened domains): a child with the new domain is put on
 * the generated list.
 */
enum route_result route_change_domain(struct route_job *job, const struct router *r,
                                      struct address *a, struct str domain, bool rewrite);

/* Replaces a domain in the message's address headers. */
void route_rewrite_domain(struct ectx *x, struct str from, struct str to);

/* Puts an address at the end of a list. */
void route_append(struct address **list, struct address *a);

/* True while verifying. */
bool route_verifying(const struct route_job *job);

/* "failed to expand …" of option values in the wording of log lines. */
struct str route_expand_error(struct ectx *x, const char *what, const struct etext *e);

/* ---- preconditions (precondition.c) ---- */

enum precondition { PRE_RUN, PRE_SKIP, PRE_DEFER };

/* Tests everything in the documented order; PRE_DEFER sets a->message. */
enum precondition route_preconditions(struct route_job *job, const struct router *r,
                                      struct address *a);

/* require_files (files.c). */
enum precondition route_required_files(struct ectx *x, const struct router *r, struct address *a);

/* Affixes: strips what the router names off a->local_part; false: a required one is missing. */
bool route_strip_affixes(const struct router *r, struct pool *pool, struct address *a);

/* ---- hosts (hosts.c) ---- */

enum host_method { FIND_DEFAULT, FIND_BYNAME, FIND_BYDNS };

struct host_search {
    const struct router *router;
    enum host_method method;
    enum {
        HOST_FREEZE,
        HOST_DEFER,
        HOST_FAIL,
        HOST_PASS,
        HOST_DECLINE,
        HOST_IGNORE
    } find_failed,
        all_ignored;
    bool ipv4_only, ipv4_prefer;
};

/* Looks a->hosts up; the list is changed. ROUTE_OK, or what the router is to answer. */
enum route_result route_find_hosts(struct route_job *job, const struct host_search *s,
                                   struct address *a);

/* What `self` says, the first host being this one. ROUTE_OK means: go on (send). */
enum route_result route_self(struct route_job *job, const struct router *r, struct address *a,
                             bool from_mx);

/* The host filter of ignore_target_hosts, for struct host_find_opts. */
struct host_filter {
    struct ectx *x;
    const struct router *router;
    int dropped;
};
bool route_drop_host(void *closure, struct str name, struct str address);

/* True if a domain matches a router's list (unset lists match nothing). */
bool route_domain_in(struct ectx *x, const struct etext *list, struct str domain);

/* ---- what a queryprogram prints (queryprogram.c) ---- */

/* The value of NAME=text or NAME="text" in the line; unset if it is not there. */
struct str queryprogram_field(struct pool *pool, struct str line, const char *name);

/* ---- route_list, route_data (route_list.c) ---- */

/* A host list and its options, as in route_data. */
struct route_rule {
    struct str pattern, hosts, options;
};

/* Cuts a rule (with pattern) or a rule's data (without) apart; false: nothing there. */
bool route_rule_parse(struct pool *pool, struct str text, bool with_pattern,
                      struct route_rule *out);

/* ---- redirection data (redirect_list.c) ---- */

enum redirect_kind {
    RD_ADDRESS, /* text: as written */
    RD_PIPE,
    RD_FILE,
    RD_INCLUDE, /* text: path */
    RD_BLACKHOLE,
    RD_FAIL, /* text: message */
    RD_DEFER,
    RD_UNKNOWN
};

struct redirect_item {
    enum redirect_kind kind;
    struct str text;
    struct str whole; /* as written, for messages */
};

/*
 * Cuts the next item off redirection data: comments skipped, quotes round a whole item undone.
 * False at the end.
 */
bool redirect_next(struct pool *pool, struct str *rest, struct redirect_item *out);

/* Whether the text is an address with a domain (what starts with | or / may be one). */
bool redirect_is_address(struct pool *pool, struct str text);

/* ---- drivers ---- */
extern const struct router_driver accept_router, dnslookup_router, ipliteral_router,
    manualroute_router, queryprogram_router, redirect_router;

extern const struct variable route_variables[];

#endif
