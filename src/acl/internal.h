/* What the files of acl/ share: a parsed ACL, a run of it, the row types of conditions and controls. */
#ifndef ACL_INTERNAL_H
#define ACL_INTERNAL_H

#include "acl/acl.h"

/* ---- parsed ACLs ---- */

enum acl_verb {
    VERB_ACCEPT,
    VERB_DEFER,
    VERB_DENY,
    VERB_DISCARD,
    VERB_DROP,
    VERB_REQUIRE,
    VERB_WARN
};

struct acl_statement {
    struct acl_statement *next;
    enum acl_verb verb;
    struct acl_line *first, **last;
    struct cfg_pos pos;
};

/* One condition or modifier of a statement. */
struct acl_line {
    struct acl_line *next;
    const struct acl_condition *row;
    bool negated;
    struct str var; /* set: name of the variable, acl_m… or acl_c… */
    struct etext arg;
};

struct acl {
    struct str name;
    bool is_inline; /* the text of an option or a condition */
    struct acl_statement *first, **last;
};

/* What one test says; the order matters to nobody. */
enum acl_test { TEST_OK, TEST_FAIL, TEST_DEFER, TEST_ERROR, TEST_DROP, TEST_DISCARD };

/* ---- a run ---- */

/* One run of an ACL with all ACLs it calls. */
struct acl_job {
    struct ectx *x;
    enum acl_where where;
    struct acl_message *note;
    struct str user, log; /* messages so far */
    unsigned log_target;
    bool temp_details;
    bool callout_defer;      /* the test that deferred was a callout */
    struct str search_error; /* why a lookup deferred */
    struct address *bad_sender;
    int level;
};

/*
 * A row: a condition or modifier. `forbidden` are the phases it cannot stand in. A row whose arg is
 * not expanded beforehand (lists, message) gets an unset `arg`.
 */
struct acl_condition {
    const char *name;
    enum {
        AC_MODIFIER = 1,
        AC_EXPAND = 2,
        AC_LIST = 4,
        AC_UNSUPPORTED = 8,
        AC_NO_ARG = 16,
        AC_MESSAGE = 32,
        AC_LOG_MESSAGE = 64,
        AC_ENDPASS = 128
    } flags;
    enum opt_type list; /* AC_LIST: which kind */
    unsigned forbidden;
    enum acl_test (*run)(struct acl_job *j, const struct acl_line *l, struct str arg);
    const char *doc;
    /* Looks at a text without `$` when the configuration is read; false after opt_error(). May be NULL. */
    bool (*check)(struct opt_reader *r, struct str text);
};

#define ACL_ALL ((1u << 19) - 1)

/* Phases in which a message is being received. */
#define ACL_MESSAGE \
    (ACL_RCPT | ACL_MAIL | ACL_PREDATA | ACL_MIME | ACL_DKIM | ACL_DATA | ACL_PRDR | ACL_NOTSMTP | \
     ACL_NOTSMTP_START)

/* The rows, ended by a NULL name. */
extern const struct acl_condition acl_conditions[];

/* ---- settings ---- */

struct acl_settings {
    struct acl *last; /* the ACL that acl_read_line() is filling */
    struct etext callout_random_local_part;
    int callout_domain_negative_expire, callout_domain_positive_expire, callout_negative_expire,
        callout_positive_expire;
    bool smtp_return_error_details;
};

/* The settings of acl/. */
const struct acl_settings *acl_settings(const struct config *conf);

/* ---- between the files ---- */

/* Compiles the text of an ACL at run time, "name:" lines not allowed; NULL after setting *error. */
struct acl *acl_compile(struct ectx *x, struct str name, struct str text, struct str *error);

/* Reads one line of an ACL into it; starts a statement if it begins with a verb. */
bool acl_add_line(struct opt_reader *r, struct acl *acl, struct str line);

/* The keyword of a verb. */
const char *acl_verb_name(enum acl_verb v);

/* Runs the ACL that the text names, with its arguments ("name arg1 arg2"); messages in j. */
enum acl_test acl_call(struct acl_job *j, struct str text);

/* The same with the name and up to nine arguments taken apart. */
enum acl_test acl_call_args(struct acl_job *j, struct str name, const struct str *args, size_t n);

/* ${acl} and the condition acl, ended by a NULL name. */
extern const struct expand_item acl_items[];
extern const struct expand_condition acl_expand_conditions[];

/* Prepares a header text for addition: checked, "X-ACL-Warn:" put in front where needed. */
void acl_add_headers(struct acl_job *j, struct str text);

/* control = …, verify = …, dnslists = …, ratelimit = … : see the row's description. */
enum acl_test acl_control(struct acl_job *j, const struct acl_line *l, struct str arg);
enum acl_test acl_verify(struct acl_job *j, const struct acl_line *l, struct str arg);
enum acl_test acl_dnslists(struct acl_job *j, const struct acl_line *l, struct str arg);
enum acl_test acl_ratelimit(struct acl_job *j, const struct acl_line *l, struct str arg);

/* Their checks when the configuration is read. */
bool acl_control_check(struct opt_reader *r, struct str text);
bool acl_verify_check(struct opt_reader *r, struct str text);
bool acl_ratelimit_check(struct opt_reader *r, struct str text);

/* A record of the ratelimit database for struct hint_kind. */
struct str ratelimit_hint_show(struct pool *pool, struct str key, struct str data);
int64_t ratelimit_hint_last(struct str data);

/* ---- verification ---- */

/* Parameters of a callout, from "30s,defer_ok,…"; times in seconds. */
struct callout {
    bool wanted, defer_ok, no_cache, random, postmaster, full_postmaster, use_sender,
        use_postmaster, hold;
    int timeout, connect, maxwait;
    struct str mailfrom;            /* header_sender only */
    struct str postmaster_mailfrom; /* sender of the postmaster check */
};

/* Parses the parameters; false with the words in *error. An empty text wants a plain callout. */
bool callout_parse(struct pool *pool, struct str text, struct callout *out, struct str *error);

/*
 * Asks the hosts of a routed address whether they take it. a->message, a->user_message and the
 * notes' failure are set unless the result is VERIFY_OK.
 */
enum verify_result callout_do(struct ectx *x, struct address *a, bool is_sender,
                              const struct callout *c);

/* How an address is to be verified. */
struct verify_how {
    bool is_sender, success_on_redirect, header;
    struct callout callout;
};

/* Routes, and calls out; *result is the address that decided, never NULL unless VERIFY_OK. */
enum verify_result verify_do(struct ectx *x, struct str address, const struct verify_how *how,
                             struct address **result);

/* Variables of the room. */
extern const struct variable acl_variables[];

#endif
