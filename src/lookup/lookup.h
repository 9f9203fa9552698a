/* The one public header of lookup/: drivers for single-key and query lookups, their cache, and the hints store. */
#ifndef LOOKUP_LOOKUP_H
#define LOOKUP_LOOKUP_H

#include "core/core.h"
#include "net/net.h"

extern const struct module lookup_module;

enum lookup_result { LK_FOUND, LK_NOTFOUND, LK_DEFER, LK_ERROR };

/* One call of a driver. */
struct lookup_call {
    const struct config *conf;
    struct pool *pool;      /* for the result */
    struct str file;        /* single-key: absolute file name (untainted); query: "" */
    struct str key;         /* key or query */
    struct str options;     /* after the type, "ret=full,..." */
    struct str data;        /* out: result, untainted where the source is ours */
    struct str error;       /* out */
    bool do_cache;          /* out: driver clears it if the result must not be cached */
};

struct lookup_driver {
    const char *name;
    enum { LOOKUP_SINGLE_KEY = 1, LOOKUP_QUERY = 2, LOOKUP_ABSFILE = 4, LOOKUP_ABSFILEQUERY = 8 } flags;
    enum lookup_result (*find)(struct lookup_call *c);
    /* ${quote_NAME:...}; NULL: not quotable (text is returned as is). */
    bool (*quote)(struct pool *pool, struct str s, struct str option, struct str *out);
};

/* A lookup type as written: "partial0()lsearch*@,ret=key", "net24-iplsearch", "nwildlsearch". */
struct lookup_type {
    const struct lookup_driver *driver;
    int partial;          /* -1: no; else minimum components */
    struct str affix;     /* of partial, default "*." */
    enum { LOOKUP_STAR = 1, LOOKUP_STARAT = 2 } star;
    bool ret_key, ret_full;
    struct str options;
};

/* Parses a type; false with a text ("unknown lookup type \"x\"") in *error. */
bool lookup_parse_type(const struct config *conf, struct pool *pool, struct str text,
                       struct lookup_type *out, struct str *error);

/*
 * Does the lookup, with partial matching and defaults, through the process's cache. matched_key
 * (may be NULL) gets the key that was found (untainted), wild/fixed the parts of a partial match.
 */
enum lookup_result lookup_find(const struct config *conf, struct pool *pool,
                               const struct lookup_type *type, struct str file, struct str key,
                               struct str *data, struct str *matched_key, struct str *wild,
                               struct str *fixed, struct str *error);

/* Forgets all cached results and closes files (between messages, after SIGHUP). */
void lookup_tidy(void);

/* ---- hints: retry, wait-TRANSPORT, callout, ratelimit, misc. LMDB under spool_directory/db ---- */

/*
 * Opens (creating, recreating if damaged) a hints database. NULL if it cannot be had; the caller
 * goes on without. Handles are cached in the process; close with hints_close_all (after fork).
 */
struct hints *hints_open(const struct config *conf, const char *name);

/* Reads a record into the pool; false if there is none. Data is tainted. */
bool hints_get(struct hints *h, struct pool *pool, struct str key, struct str *data);
bool hints_put(struct hints *h, struct str key, struct str data);
bool hints_del(struct hints *h, struct str key);

/* Calls f for each record in key order until it returns false. */
void hints_each(struct hints *h, struct pool *pool,
                bool (*f)(void *closure, struct str key, struct str data), void *closure);

/*
 * Atomic read-modify-write under the database's write lock: f gets the old data (unset if none)
 * and returns the new (unset: delete). Used by ratelimit and retry.
 */
bool hints_update(struct hints *h, struct pool *pool, struct str key,
                  struct str (*f)(void *closure, struct pool *pool, struct str old), void *closure);

void hints_close_all(void);

#endif
