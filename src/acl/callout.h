/* Between callout.c and callout_cache.c. */
#ifndef ACL_CALLOUT_H
#define ACL_CALLOUT_H

#include "acl/internal.h"

/* What is known of one question; the domain's own also of how it takes any mail at all. */
enum callout_fact {
    CALLOUT_UNKNOWN,
    CALLOUT_YES,
    CALLOUT_NO,
    CALLOUT_ACCEPTS,
    CALLOUT_REJECTS,
    CALLOUT_REJECTS_NULL
};

/* What the cache remembers, and what a callout adds to it. */
struct callout_known {
    enum callout_fact domain, random, postmaster, address;
};

/*
 * Looks the address up in the cache. True if it decides: *rc is the result, with the messages of
 * the address set. Otherwise *known holds what is known of the domain.
 */
bool callout_cached(struct ectx *x, struct address *a, bool is_sender, const struct callout *c,
                    struct str mailfrom, struct callout_known *known, enum verify_result *rc);

/* A record of the cache for struct hint_kind. */
struct str callout_hint_show(struct pool *pool, struct str key, struct str data);
int64_t callout_hint_last(struct str data);

/* Stores what a callout found out. */
void callout_remember(struct ectx *x, const struct address *a, const struct callout *c,
                      struct str mailfrom, const struct callout_known *known);

#endif
