/*
 * Option rows: every setting of a configuration is one row of a table beside the code that uses
 * it. The reader, -bP, the built-in macros, error texts and the reference manual all work from the
 * rows; nothing else knows an option's name.
 */
#ifndef CORE_OPTION_H
#define CORE_OPTION_H

#include "base/base.h"

struct expr;  /* compiled expansion, see expand/ */
struct mlist; /* compiled match list, see expand/ */

/* A setting that is expanded when used. `tree` is NULL if the text holds nothing to expand. */
struct etext {
    struct str text; /* as written; unset if the option is */
    const struct expr *tree;
    const struct mlist *list; /* list options without `$`: compiled once */
};

/* Texts that are expanded one by one: the settings, or the list items, of an OPT_REPEAT option. */
struct etexts {
    size_t n;
    struct etext *v;
};

/* A user or group: fixed when the configuration is read, or (text set) expanded when used. */
struct idopt {
    bool set;
    uint32_t id;
    struct etext text;
};

/* A list of user or group ids. */
struct idlist {
    size_t n;
    uint32_t *ids;
};

enum opt_type {
    OPT_END,        /* ends a table */
    OPT_BOOL,       /* bool */
    OPT_INT,        /* int; with K or M as factors */
    OPT_OCT,        /* int, written in octal */
    OPT_SIZE,       /* int64_t bytes with K, M or G; -1 where the default says so */
    OPT_FIXED,      /* int, thousandths: "2.5" is 2500 */
    OPT_TIME,       /* int, seconds, from 1h30m; "0s" */
    OPT_TIMES,      /* struct timelist, colon-separated */
    OPT_STRING,     /* struct str, taken as it is */
    OPT_EXPAND,     /* struct etext */
    OPT_TRUTH,      /* struct etext that gives a boolean; set without a value and negated as OPT_BOOL */
    OPT_DOMAINS,    /* struct etext, a domain list */
    OPT_HOSTS,      /* struct etext, a host list */
    OPT_ADDRESSES,  /* struct etext, an address list */
    OPT_LOCALPARTS, /* struct etext, a local part list */
    OPT_USER,       /* struct idopt */
    OPT_GROUP,      /* struct idopt */
    OPT_USERS,      /* struct idlist */
    OPT_GROUPS,     /* struct idlist */
    OPT_CUSTOM,     /* the row's own function */
    OPT_REPEAT,     /* the same, for an option that may be set several times */
    OPT_ALIAS,      /* another name for the row named in dflt */
    OPT_UNSUPPORTED /* Exim has it, minim does not yet: an error that says so */
};

struct timelist {
    size_t n;
    int *v; /* seconds */
};

struct opt_reader;

struct option {
    const char *name;
    enum opt_type type;
    uint32_t offset;  /* of the field in the table's struct */
    const char *dflt; /* as a configuration would write it; NULL: unset, 0 or false */
    const char *doc;  /* one line for the reference manual */
    /*
     * OPT_CUSTOM, OPT_REPEAT: parses `value` into the struct at base; false after opt_error().
     * OPT_BOOL: called after the field was set, NULL for most.
     */
    bool (*parse)(struct opt_reader *r, void *base, struct str value);
    /* OPT_CUSTOM: the value as -bP prints it. */
    struct str (*print)(struct pool *pool, const void *base);
};

/* A place in a configuration file, for messages; line and column count from 1. */
struct cfg_pos {
    const char *file;
    int line, col;
};

/*
 * What the reader lends to the engine while a value is parsed. Compilers come from rooms above;
 * they report their own errors through opt_error and return NULL.
 */
struct opt_reader {
    struct pool *pool;  /* lives as long as the configuration */
    const char *option; /* name of the option being set, for messages */
    /*
     * Where the text begins that is being parsed. Who knows the place of a fault in it adds its
     * offset to pos.col for the time of the report; error() turns that into a place of the file.
     */
    struct cfg_pos pos;
    int last_line; /* of the text of several lines in hand; 0: not known */
    struct config *conf;
    const struct expr *(*compile)(struct opt_reader *r, struct str text);
    const struct mlist *(*compile_list)(struct opt_reader *r, enum opt_type kind, struct str text);
    void (*error)(struct opt_reader *r, const char *text);
    void *closure;
};

/* Reports an error at the reader's position; returns false, so a parser can return it. */
bool opt_error(struct opt_reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The row of a name, through aliases, in a table that OPT_END ends; NULL if there is none. */
const struct option *opt_find(const struct option *table, struct str name);

/* Sets every field of the struct at base to its row's default. Runs once per instance. */
bool opt_defaults(struct opt_reader *r, const struct option *table, void *base);

/*
 * Parses a value into the row's field. `value` is the text after the equals sign, quotes already
 * undone; unset for a bare name, which only booleans allow; `negated` for no_name and not_name.
 */
bool opt_set(struct opt_reader *r, const struct option *row, void *base, struct str value,
             bool negated);

/* The line -bP prints for a row: `name = value`, `name`, `no_name`. */
struct str opt_print(struct pool *pool, const struct option *row, const void *base);

#endif
