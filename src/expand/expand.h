/*
 * The one public header of expand/: string expansion (text -> tree -> value), conditions, and
 * matching of domain, host, address and local part lists.
 */
#ifndef EXPAND_EXPAND_H
#define EXPAND_EXPAND_H

#include "core/core.h"
#include "lookup/lookup.h"

extern const struct module expand_module;

/* ---- compiling ---- */

/* Why a text does not compile: offset of the fault and Exim's words for it. */
struct expand_error {
    size_t offset;
    struct str text;
};

/*
 * Compiles a text to a tree in the pool. NULL after filling *err. Names of variables, items,
 * operators, conditions are resolved against the registered rows now; unknown ones are errors
 * here. The tree refers to the text, which must live as long.
 */
const struct expr *expand_compile(const struct config *conf, struct pool *pool, struct str text,
                                  struct expand_error *err);

/* opt_reader's compile hook: reports through opt_error with line and column. */
const struct expr *expand_compile_option(struct opt_reader *r, struct str text);

/* ---- evaluating ---- */

/*
 * An option's value: evaluates its tree into x->pool, or gives its text. Unset option: *out unset,
 * true. False if it failed: x->error says why, x->forced_fail if by {fail}, x->defer if a lookup
 * deferred.
 */
bool expand_option(struct ectx *x, const struct etext *opt, struct str *out);

/* Compiles and evaluates a text that only arose at run time (refused if tainted). */
bool expand_text(struct ectx *x, struct str text, struct str *out);

/* Evaluates to a boolean as `condition` and ${if bool…} do; false return: failed, see x->error. */
bool expand_bool_option(struct ectx *x, const struct etext *opt, bool dflt, bool *out);

/* A result string as a condition (true yes 1, false no 0 ""): false return if it is neither. */
bool expand_truth(struct str s, bool *out);

/* An integer with K/M/G and sign, as comparison operands are; false with x->error. */
bool expand_number(struct ectx *x, struct str s, int64_t *out);

/* A fresh context over a configuration; everything else zero. */
void ectx_init(struct ectx *x, const struct config *conf, struct pool *pool);

/* Sets $0..$n in the context's scope (n <= 9), keeping taint; returns the previous scope. */
struct scope *scope_set_numeric(struct ectx *x, const struct str *values, size_t n);

/* Back to a scope that was remembered. */
void scope_restore(struct ectx *x, struct scope *previous);

/* Sets a scoped variable such as "acl_arg1", "value", "item", "callout_address"; copies. */
void scope_set(struct ectx *x, struct str name, struct str value);

/* The value of a variable by name as ${name} gives it; false if there is no such variable. */
bool expand_variable(struct ectx *x, struct str name, struct str *out);

/* $h_name / $rh_ / $bh_ / $lh_: kind is 'h', 'r', 'b' or 'l'. */
struct str expand_header(struct ectx *x, char kind, struct str name);

/* ---- rows of other rooms ---- */

struct expand_arg; /* an unevaluated {subexpression} */

/* ${name:subject} */
struct expand_operator {
    const char *name;
    /*
     * param: text after an underscore of the operator's name, e.g. length_10; unset if none. A NULL
     * function: known, but not supported.
     */
    bool (*apply)(struct ectx *x, struct str param, struct str subject, struct str *out);
    const char *doc;
};

/* ${name{arg}{arg}...}: the args' number is checked at compile time. */
struct expand_item {
    const char *name;
    int min_args, max_args;
    bool yes_no; /* {string1}{string2} or `fail` may follow, $value set to the result */
    /*
     * Evaluates its args with expand_arg(). *found chooses between yes and no; false after noting
     * x->error. NULL: known, but not supported.
     */
    bool (*run)(struct ectx *x, const struct expand_arg *const *args, size_t n, struct str *out,
                bool *found);
    const char *doc;
};

/* The value of an argument, never unset; false after noting x->error. */
bool expand_arg(struct ectx *x, const struct expand_arg *a, struct str *out);

/* ${if name {arg}{arg} ...} */
struct expand_condition {
    const char *name;
    int min_args, max_args; /* 0,0: none */
    bool grouped;           /* the args stand together in brackets: acl {{name}{arg}…} */
    /* NULL: known, but not supported. */
    bool (*test)(struct ectx *x, const struct str *args, size_t n,
                 bool *result); /* false: x->error */
    const char *doc;
};

/*
 * For the manual: the items, and the conditions, that have a syntax of their own; NULL behind the
 * last.
 */
const char *expand_shape(size_t i, const char **doc);
const char *expand_compound(size_t i, const char **doc);

/* ---- lists ---- */

enum list_kind { LIST_DOMAINS, LIST_HOSTS, LIST_ADDRESSES, LIST_LOCALPARTS };

struct named_list {
    struct str name;
    enum list_kind kind;
    struct etext text;
    bool hide, cache;
};

enum match { MATCH_NO, MATCH_YES, MATCH_DEFER, MATCH_ERROR };

/* Compiles a list without `$`; opt_reader's compile_list hook. NULL after reporting. */
const struct mlist *expand_compile_list(struct opt_reader *r, enum opt_type kind, struct str text);

/* Splits a list at its separator ("<; a ; b", doubled separators, newlines). False at the end. */
bool list_next(struct pool *pool, struct str *rest, int *sep, struct str *item);

/*
 * Matches a domain, local part or address against a list option. An unset list matches nothing.
 * data (may be NULL) gets the untainted value ($domain_data, $local_part_data). x->error on ERROR
 * and DEFER.
 */
enum match match_domain(struct ectx *x, const struct etext *list, struct str domain,
                        struct str *data);
enum match match_local_part(struct ectx *x, const struct etext *list, struct str lp, bool caseless,
                            struct str *data);
enum match match_address(struct ectx *x, const struct etext *list, struct str address,
                         bool caseless, struct str *data);

/*
 * The same for the domain or local part of an address, or for the sender (or its domain) of the
 * message: what named lists without `$` say is remembered with the address or the message, and not
 * asked again.
 */
enum match match_of_address(struct ectx *x, const struct etext *list, enum list_kind kind,
                            struct address *a, struct str subject, bool caseless, struct str *data);
enum match match_of_sender(struct ectx *x, const struct etext *list, enum list_kind kind,
                           struct str subject, struct str *data);

/* Matches the session's host (name is looked up when the list needs it; see +include_unknown …). */
enum match match_session_host(struct ectx *x, const struct etext *list, struct str *data);

/* Matches a host by name (may be unset) and address. */
enum match match_host(struct ectx *x, const struct etext *list, struct str name, struct str address,
                      struct str *data);

/* The same for run-time text (ACL conditions after expansion, match_* conditions). */
enum match match_text(struct ectx *x, enum list_kind kind, struct str list, struct str subject,
                      bool caseless, struct str *data);

/* Name of the sending host, looked up at most once per session (host_lookup_order). False: unknown. */
bool session_host_name(struct ectx *x);

/* Logs, by the selector host_lookup_failed, that a client's conversation asked for a host without address. */
void host_not_found(struct ectx *x, struct str name);

/* Encodes as RFC 2047 if it must be (phrases and texts). */
struct str rfc2047_encode(struct pool *pool, struct str s, struct str charset);

/* PCRE2, compiled once per pattern text and process: sets $0… on success. */
enum match match_regex(struct ectx *x, struct str pattern, struct str subject, bool caseless,
                       bool set_numeric);

#endif
