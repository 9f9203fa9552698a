/*
 * The one public header of route/: the router chain. An address goes in; a transport and hosts,
 * or children, or a failure come out. Used for delivery, for verification and for -bt.
 */
#ifndef ROUTE_ROUTE_H
#define ROUTE_ROUTE_H

#include "expand/expand.h"
#include "mail/mail.h"

extern const struct module route_module;

struct router_driver;
struct transport_driver; /* transport/transport.h */

/*
 * One transport of the configuration: generic options, and the driver's own in `opts`. It is
 * defined here because routers hand it out; all else about transports is in transport/.
 */
struct transport {
    struct transport *next;
    struct str name;
    const struct transport_driver *driver;
    void *opts;
    struct cfg_pos pos;
    bool local; /* by driver */
    bool body_only, delivery_date_add, disable_logging, envelope_to_add, headers_only, initgroups,
        rcpt_include_affixes, retry_use_local_part, retry_use_local_part_set, return_path_add;
    struct etext current_directory, debug_print, home_directory, max_parallel, message_size_limit,
        return_path, shadow_condition;
    struct etexts filter; /* transport_filter's arguments */
    struct str filter_text;
    struct etexts headers_add, headers_remove;
    struct rewrite_rule *headers_rewrite;
    struct str headers_rewrite_text;
    struct str shadow_text;
    const struct transport *shadow;
    int transport_filter_timeout;
    struct idopt user, group;
    bool user_gid_known; /* user is fixed and its login group was found */
    uint32_t user_gid;
    /* set by drivers that deliver several addresses at once */
    struct etext batch_id;
    int batch_max;
    struct etext multi_domain; /* of the smtp transport; else unset, which is true */
    bool pipe_as_creator;      /* of the pipe transport */
};

/* One router of the configuration: the generic options, and the driver's own in `opts`. */
struct router {
    struct router *next;
    struct str name;
    const struct router_driver *driver;
    void *opts;
    struct cfg_pos pos;
    struct etext address_data, cannot_route_message, current_directory, debug_print, domains,
        dnssec_request_domains, dnssec_require_domains, errors_to, home_directory,
        ignore_target_hosts, local_parts, senders, transport_home_directory;
    struct etext more, unseen, transport_text;
    struct etexts condition, headers_add, headers_remove, require_files;
    struct etexts set; /* values of the variables to set */
    struct str *set_names;
    struct str fallback_text, pass_router_text, redirect_router_text, self_text, local_part_prefix,
        local_part_suffix;
    struct idopt user, group;
    bool user_gid_known; /* user is fixed and its login group was found */
    uint32_t user_gid;
    bool no_repeat; /* skipped for all descendants of what it generated (repeat_use = false) */
    bool address_test, caseful_local_part, check_local_user, disable_logging, dsn_lasthop, expn,
        fail_verify, fail_verify_recipient, fail_verify_sender, initgroups, log_as_local,
        log_as_local_set, pass_on_timeout, prefix_optional, retry_use_local_part,
        retry_use_local_part_set, suffix_optional, verify, verify_only, verify_recipient,
        verify_sender;
    enum self_code { SELF_FREEZE, SELF_DEFER, SELF_FAIL, SELF_PASS, SELF_SEND, SELF_REROUTE } self;
    struct str self_domain;            /* of reroute: */
    bool self_rewrite;                 /* reroute: rewrite: */
    const struct transport *transport; /* when the name is fixed */
    const struct router *pass_router, *redirect_router;
};

enum route_result {
    ROUTE_OK, /* accepted: on the job's local or remote list */
    ROUTE_DECLINE,
    ROUTE_PASS,
    ROUTE_FAIL,
    ROUTE_DEFER,
    ROUTE_ERROR,    /* as DEFER; the configuration is at fault, and it has been logged */
    ROUTE_REROUTED, /* children generated */
    ROUTE_DISCARD
};

/* What routing is for. */
enum route_purpose {
    ROUTE_DELIVER,
    ROUTE_VERIFY_RECIPIENT,
    ROUTE_VERIFY_SENDER,
    ROUTE_TEST,
    ROUTE_EXPN
};

/*
 * One routing job: context for expansions, and the lists that results are put on. A result is put
 * at the end of its list; children come in front of the generated list, in order.
 */
struct route_job {
    struct ectx *x;
    struct address *local, *remote; /* ready for transport */
    struct address *generated;      /* to be routed next */
    struct address *succeeded;      /* blackholed */
    struct address *failed, *deferred;
    enum route_purpose why;
    /* As in struct delivery_hooks; NULL: nothing is to be sent. */
    bool (*submit)(void *owner, struct str to, struct str headers, struct str body);
    void *owner;
    struct address *waiting; /* the caller's unrouted addresses, for same_domain_copy_routing */
};

struct router_driver {
    const char *name;
    size_t opts_size;
    const struct option *options;
    /* After its options are read; false after opt_error(). May be NULL. */
    bool (*init)(struct opt_reader *r, struct router *router);
    enum route_result (*route)(struct route_job *job, const struct router *router,
                               struct address *a);
    bool no_transport;    /* chooses transports by options of its own */
    bool wants_transport; /* the generic option must be set unless verify_only is */
    bool log_as_local;    /* default of that option */
    /* Resolves transport names of its own once all sections are read. May be NULL. */
    bool (*link)(struct opt_reader *r, struct router *router);
};

/* The generic option rows (struct router). */
extern const struct option router_options[];

/* Checks that need all sections (transport and router names); reports all errors. */
bool route_link(struct config *conf, struct opt_reader *r);

/*
 * Routes one address through the chain; the address (or its children) is put on one of the job's
 * lists. Sets a->message for FAIL and DEFER in Exim's words.
 */
enum route_result route_address(struct route_job *job, struct address *a);

/* An address structure for a recipient (qualified, parsed), tainted; pool is x->pool. */
struct address *route_new_address(struct ectx *x, struct str address);

/* Child of an address with its inherited properties. */
struct address *route_child(struct ectx *x, struct address *parent, struct str address);

/* ---- for transports as well ---- */

/*
 * Takes a list of hosts apart ("h1 : h2::1234 : [::1]:25 : +"); names are not looked up. randomize
 * shuffles each group between `+` items. NULL for an empty list.
 */
struct host *route_host_list(struct pool *pool, struct str list, bool randomize);

/*
 * Takes a command line apart: white space separates, double quotes with escapes and single quotes
 * enclose an argument. False with *error.
 */
bool command_split(struct pool *pool, struct str line, struct strvec *out, struct str *error);

/* The uid of an option; false with x->error if it cannot be expanded or there is no such user. */
bool route_find_user(struct ectx *x, const struct idopt *o, uint32_t *uid, uint32_t *gid,
                     bool *gid_known);
bool route_find_group(struct ectx *x, const struct idopt *o, uint32_t *gid);

/*
 * Splits a value at sep (or at the separator it names) and compiles each item, appending to *out:
 * for OPT_REPEAT rows. False after opt_error().
 */
bool route_parse_items(struct opt_reader *r, struct etexts *out, struct str value, char sep);

/* One whole value appended. */
bool route_parse_text(struct opt_reader *r, struct etexts *out, struct str value);

/* The texts of a list as -bP prints them, joined by sep. */
struct str route_print_items(struct pool *pool, const struct etexts *l, const char *sep);

#endif
