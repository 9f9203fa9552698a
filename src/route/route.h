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

/* One router of the configuration: the generic options, and the driver's own in `opts`. */
struct router {
    struct router *next;
    struct str name;
    const struct router_driver *driver;
    void *opts;
    struct cfg_pos pos;
    struct etext address_data, condition, debug_print, errors_to, headers_add, headers_remove,
        local_parts, domains, senders, require_files, transport_text, fallback_hosts, pass_router_text,
        redirect_router_text, cannot_route_message, home_directory, current_directory, set, self_text,
        local_part_prefix, local_part_suffix, ignore_target_hosts, translate_ip_address,
        transport_home_directory, transport_current_directory, dnssec_request_domains,
        dnssec_require_domains;
    struct idopt user, group;
    bool address_test, caseful_local_part, check_local_user, disable_logging, expn, fail_verify,
        fail_verify_recipient, fail_verify_sender, initgroups, log_as_local, more_default, retry_use_local_part,
        same_domain_copy_routing, unseen_default, verify, verify_only, verify_recipient, verify_sender,
        prefix_optional, suffix_optional, pass_on_timeout, repeat_use;
    struct etext more, unseen;
    const struct transport *transport;   /* when the name is fixed */
    const struct router *pass_router, *redirect_router;
};

enum route_result {
    ROUTE_OK,      /* accepted: transport (and hosts) set, or put on the generated list */
    ROUTE_DECLINE, ROUTE_PASS, ROUTE_FAIL, ROUTE_DEFER, ROUTE_ERROR,
    ROUTE_REROUTED, /* children generated */
    ROUTE_DISCARD
};

/* One routing job: context for expansions, and the lists that results are put on. */
struct route_job {
    struct ectx *x;
    struct address *local, *remote;  /* ready for transport */
    struct address *generated;       /* to be routed next */
    struct address *succeeded;       /* blackholed */
    struct address *failed, *deferred;
    enum { ROUTE_DELIVER, ROUTE_VERIFY_RECIPIENT, ROUTE_VERIFY_SENDER, ROUTE_TEST, ROUTE_EXPN } why;
};

struct router_driver {
    const char *name;
    size_t opts_size;
    const struct option *options;
    bool (*init)(struct opt_reader *r, struct router *router); /* after its options are read; may be NULL */
    enum route_result (*route)(struct route_job *job, const struct router *router, struct address *a);
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

/* An address structure for a recipient (qualified, parsed); pool is x->pool. */
struct address *route_new_address(struct ectx *x, struct str address);

/* Child of an address with its inherited properties. */
struct address *route_child(struct ectx *x, struct address *parent, struct str address);

#endif
