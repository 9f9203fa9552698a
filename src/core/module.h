/*
 * What a room hands to the program: rows, and functions called once. main/modules.c holds the list.
 * Tables end with a row whose name is NULL; a NULL table is empty. Row types that belong to higher
 * rooms are named here only.
 */
#ifndef CORE_MODULE_H
#define CORE_MODULE_H

#include "core/config.h"
#include "core/shared.h"

struct expand_item;      /* ${name {...}...}  expand/expand.h */
struct expand_operator;  /* ${name:...}       expand/expand.h */
struct expand_condition; /* ${if name ...}    expand/expand.h */
struct lookup_driver;    /* lookup/lookup.h */
struct hint_kind;        /* lookup/lookup.h: what its hints databases hold */
struct router_driver;    /* route/route.h */
struct transport_driver; /* transport/transport.h */
struct auth_driver;      /* auth/auth.h */
struct acl_condition;    /* acl/acl.h: conditions and modifiers */

struct module {
    const char *name;
    enum room room;
    size_t settings_size;         /* of the room's settings struct; 0: none */
    const struct option *options; /* main section */
    const struct variable *variables;
    const struct expand_item *items;
    const struct expand_operator *operators;
    const struct expand_condition *conditions;
    const struct lookup_driver *const *lookups; /* NULL-terminated arrays of drivers */
    const struct router_driver *const *routers;
    const struct transport_driver *const *transports;
    const struct auth_driver *const *auths;
    const struct acl_condition *acl_conditions;
    const struct hint_kind *hints;
    const char *const *features; /* words of -bV "Support for:" */
    /* After all options are read: checks and derived settings. False after r->error. May be NULL. */
    bool (*finish)(struct config *conf, struct opt_reader *r);
};

#endif
