/* The one public header of lookup/: drivers for single-key and query lookups, their cache, and the hints store. */
#ifndef LOOKUP_LOOKUP_H
#define LOOKUP_LOOKUP_H

#include "core/core.h"
#include "net/net.h"

extern const struct module lookup_module;

/* Expands the text of a wildlsearch key; false with a reason. expand/, a higher room, lends it. */
typedef bool lookup_expander(const struct config *conf, struct pool *pool, struct str text,
                             struct str *out, struct str *error);

struct lookup_settings {
    int lookup_open_max;
    lookup_expander *expander;
};

/* The settings of lookup. */
const struct lookup_settings *lookup_settings(const struct config *conf);

/* Lends the expander to a configuration that is being read; without one keys are not expanded. */
void lookup_set_expander(struct config *conf, lookup_expander *expander);

enum lookup_result { LK_FOUND, LK_NOTFOUND, LK_DEFER, LK_ERROR };

/* One call of a driver. */
struct lookup_call {
    const struct config *conf;
    struct pool *pool;  /* for the result */
    struct str file;    /* single-key: absolute file name (untainted); query: "" */
    struct str key;     /* key or query */
    struct str options; /* after the type, "ret=full,..." */
    struct str data;    /* out: result, untainted where the source is ours */
    struct str error;   /* out */
    bool do_cache;      /* out: driver clears it if the result must not be cached */
};

enum lookup_flags {
    LOOKUP_SINGLE_KEY = 1,
    LOOKUP_QUERY = 2,
    LOOKUP_ABSFILE = 4,     /* the file name must be absolute */
    LOOKUP_ABSFILEQUERY = 8 /* the query begins with an absolute file name */
};

struct lookup_driver {
    const char *name;
    unsigned flags; /* enum lookup_flags */
    enum lookup_result (*find)(struct lookup_call *c);
    /* ${quote_NAME:...}; NULL: not quotable (text is returned as is). */
    bool (*quote)(struct pool *pool, struct str s, struct str option, struct str *out);
};

enum { LOOKUP_STAR = 1, LOOKUP_STARAT = 2 };

/* A lookup type as written: "partial0()lsearch*@,ret=key", "nwildlsearch". */
struct lookup_type {
    const struct lookup_driver *driver;
    int partial;           /* -1: no; else minimum components */
    struct str affix;      /* of partial, default "*." */
    unsigned star;         /* LOOKUP_STAR, LOOKUP_STARAT */
    bool ret_key, no_read; /* ret=key, cache=no_rd */
    struct str options;
};

/* Parses a type; false with a text ("unknown lookup type \"x\"") in *error. */
bool lookup_parse_type(const struct config *conf, struct pool *pool, struct str text,
                       struct lookup_type *out, struct str *error);

/*
 * The driver of a plain type name for ${quote_NAME:...}; false with a text in *error.
 */
bool lookup_parse_name(const struct config *conf, struct pool *pool, struct str name,
                       const struct lookup_driver **out, struct str *error);

/*
 * Does the lookup, with partial matching and defaults, through the process's cache. matched_key
 * (may be NULL) gets the key that was found (untainted), wild/fixed (may be NULL) what $1 and $2
 * become after a partial or default match, unset if there was none. A query-style lookup takes
 * the query as key and an empty file. LK_ERROR: it could not be begun (no such file), error says
 * it all; LK_DEFER: error is the reason and may be empty.
 */
enum lookup_result lookup_find(const struct config *conf, struct pool *pool,
                               const struct lookup_type *type, struct str file, struct str key,
                               struct str *data, struct str *matched_key, struct str *wild,
                               struct str *fixed, struct str *error);

/*
 * Forgets all cached results; files stay open, but are compared with the disk before they are used
 * again (between messages, after SIGHUP).
 */
void lookup_tidy(void);

/* ---- hints: retry, wait-TRANSPORT, callout, ratelimit, misc. LMDB under spool_directory/db ---- */

/*
 * Opens (creating, recreating if damaged) a hints database. NULL if it cannot be had; the caller
 * goes on without. Handles are cached in the process; close with hints_close_all (after fork). One
 * whose file was removed, or found to be damaged, since is opened anew.
 */
struct hints *hints_open(const struct config *conf, const char *name);

/*
 * True if there is such a database; one that is open in this process costs nothing to find. For
 * those who would only read it.
 */
bool hints_present(const struct config *conf, const char *name);

/* Reads a record into the pool; false if there is none. Data is tainted. */
bool hints_get(struct hints *h, struct pool *pool, struct str key, struct str *data);

/* Writes or replaces a record; false (nothing is written) if it cannot. The key must not be empty. */
bool hints_put(struct hints *h, struct str key, struct str data);

/* Deletes a record; that there is none is success. */
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

/*
 * All that f reads and writes in the database (but hints_each) is one transaction: no other process
 * comes in between, and it is done wholly, or not at all if f returns false, a write in it fails, or
 * the process dies. True if f did and it was written.
 */
bool hints_together(struct hints *h, bool (*f)(void *closure, struct hints *h), void *closure);

/*
 * To be called when a process died of what may have been a damaged database: each is read through
 * before it is opened next.
 */
void hints_doubt(const struct config *conf);

/* A hints database, for those who list and tidy it: one row beside the code that writes it. */
struct hint_kind {
    const char *name; /* NULL ends a table; "NAME-": one for each transport, whose name follows */
    /* The record as lines for an administrator, without secrets, each ending in a newline. */
    struct str (*show)(struct pool *pool, struct str key, struct str data);
    /* When the record was last written or touched; 0 for one that cannot be read. */
    int64_t (*last)(struct str data);
};

/* Closes what this process has opened; handles are void afterwards. */
void hints_close_all(void);

#endif
