/*
 * What the files of expand/ share: the tree that texts are compiled to, the parser's state, the
 * room's settings, and the tables of rows.
 */
#ifndef EXPAND_INTERNAL_H
#define EXPAND_INTERNAL_H

#include "expand/expand.h"

/* Deepest nesting of brackets in one text, and of texts expanded by texts. */
enum { MAX_NESTING = 100 };

/* ---- settings and registered rows ---- */

struct list_ref; /* a +name in a list, checked once all is read: match_parse.c */

struct expand_settings {
    bool check_rfc2047_length;
    bool strict_acl_vars;
    /* Rows of all rooms by name, made at the first compilation; see rows_ready(). */
    struct map *variables, *items, *operators, *conditions;
    struct variable const **prefixes; /* variable rows whose names end in '*'; NULL-terminated */
    struct list_ref *refs;
    struct pool *pool;
};

/* The settings of expand. */
const struct expand_settings *expand_settings(const struct config *conf);

/* The row of a variable, or NULL; it may be that of a prefix. */
const struct variable *find_variable_row(const struct config *conf, struct str name);

/* The row of a registered item, or NULL. */
const struct expand_item *find_item_row(const struct config *conf, struct str name);

/* The row of an operator, or NULL. */
const struct expand_operator *find_operator_row(const struct config *conf, struct str name);

/* The row of a condition, or NULL. */
const struct expand_condition *find_condition_row(const struct config *conf, struct str name);

/* ---- the tree ---- */

enum node_kind {
    NODE_TEXT,
    NODE_VARIABLE,
    NODE_CERTIFICATE, /* a variable that holds one */
    NODE_NUMBERED,
    NODE_HEADER,
    NODE_OPERATOR,
    NODE_ITEM
};

struct item;

/* One piece of an expansion; a text is the chain of its pieces, the first counts them. */
struct expr {
    const struct expr *next;
    uint16_t kind;   /* enum node_kind */
    uint16_t number; /* _NUMBERED: which; _HEADER: 'h', 'r', 'b', 'l'; variables: 1 if ${…} */
    uint32_t count;  /* of the pieces from here on */
    struct str text; /* NODE_TEXT: itself; NODE_VARIABLE, _HEADER: name; _OPERATOR: parameter */
    union {
        const struct variable *variable;
        const struct item *item;
        struct {
            const struct expand_operator *row;
            const struct expr *subject;
        } op;
    } u;
};

/* A {subexpression}. */
struct expand_arg {
    const struct expr *tree;
};

/* What the items with a grammar of their own keep beside their arguments. */
struct item_lookup {
    struct lookup_type type;
    const char *name; /* of the driver, as written */
};

/* ${name{arg}...{yes}{no}} */
struct item {
    const char *name;
    bool (*eval)(struct ectx *x, const struct item *it, struct str *out);
    const struct expand_item *row; /* of a registered item */
    const struct expand_arg *const *args;
    size_t n;
    const struct expand_arg *yes, *no; /* NULL: not given */
    bool fail;                         /* `fail` in the place of {no} */
    const struct cond *cond;           /* if, filter, ... */
    const struct item_lookup *lookup;
    struct str option; /* "json" of ${extract json...}, "preexpand" of ${run,preexpand...} */
    struct str source; /* the command of ${run as written */
};

enum cond_kind {
    COND_TEST,
    COND_AND,
    COND_OR,
    COND_DEF,
    COND_DEF_HEADER,
    COND_FORANY,
    COND_FORALL
};

struct cond {
    const struct cond *next; /* in an and/or group */
    enum cond_kind kind;
    bool negated;
    int json; /* forany, forall: 0 a list, 1 json, 2 jsons */
    const struct cond *sub;
    const struct expand_condition *row;
    const struct expand_arg *const *args;
    size_t n;
    const struct variable *variable; /* def: */
    struct str name;
    char header;
};

/* ---- parsing: text -> tree ---- */

struct parser {
    const struct config *conf;
    struct pool *pool;
    struct str text;
    uint32_t at;
    int depth;
    struct expand_error *err;
    bool header_open; /* a header's name ran into a bracket: for the error text */
};

/* Notes the error at the present offset; returns false. */
bool parse_fail(struct parser *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The byte at the present offset, '\0' at the end. */
char parse_peek(const struct parser *p);

/* Past white space. */
void parse_space(struct parser *p);

/* True, and past it, if the next byte is c. */
bool parse_take(struct parser *p, char c);

/* A name of letters, digits and the bytes in `more`, which begins with a letter; may be empty. */
struct str parse_name(struct parser *p, const char *more);

/* The character that a backslash (already taken) begins. */
char parse_escape(struct parser *p);

/* A command's words, with quotes undone. */
void parse_command_words(struct pool *pool, struct str command, struct strvec *words);

/* Pieces up to the end, or to a closing bracket (not taken). `dollar`: $ is special. */
bool parse_pieces(struct parser *p, bool braced, bool dollar, const struct expr **out);

/* One {subexpression}; the present byte must be its opening bracket. */
bool parse_braced(struct parser *p, bool dollar, const struct expand_arg **out);

/* {sub}{sub}…: at most max. The bytes after it are left. */
bool parse_args(struct parser *p, size_t max, const struct expand_arg *const **args, size_t *n);

/* Exim's hint for names that look like those of ACL variables; empty for others. */
const char *parse_acl_hint(struct str name);

/* What follows ${name of an item the grammar knows, up to and including its last bracket. */
bool parse_item(struct parser *p, struct str name, const struct expr **out, bool *known);

/* {yes}{no} or {yes}fail, and the closing bracket of the item. */
bool parse_yes_no(struct parser *p, struct item *it);

/* True for variables whose value is a certificate, in DER. */
bool is_certificate(const struct variable *v);

/* {field}{$variable} and what follows: certextract.c. */
bool parse_certextract(struct parser *p, struct item *it);

/* A condition with its negations. group: name of what it stands in, or NULL. */
bool parse_condition(struct parser *p, const char *group, const struct cond **out);

/* The header kind of a name such as h_from or lheader_to: 'h', 'r', 'b', 'l', or 0; *prefix its length. */
char header_prefix(struct str name, uint32_t *prefix);

/* The name of a header after its prefix; takes the colon. */
struct str parse_header_name(struct parser *p, struct str first);

/* ---- traces of evaluations ---- */

/* What a line of -d+expand tells. */
enum expand_mark {
    EXPAND_BEGIN,
    EXPAND_TEXT,
    EXPAND_CONDITION,
    EXPAND_TRUTH,
    EXPAND_ITEM,
    EXPAND_OPERATOR,
    EXPAND_WHOLE,
    EXPAND_RESULT,
    EXPAND_FAILED,
    EXPAND_ERROR,
    EXPAND_REASON
};

/* One line; to be called only while TR_expand is on. */
void expand_trace(enum expand_mark mark, struct str text);

/* The last lines of a text (source unset: of a subexpression). */
void expand_trace_end(const struct ectx *x, struct str source, bool ok, struct str value);

/* ---- evaluating ---- */

/* Notes why; returns false. */
bool eval_fail(struct ectx *x, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The value of a text, never unset. False after noting why, as all that follow. */
bool eval_tree(struct ectx *x, const struct expr *e, struct str *out);

/* A condition; it may leave $0… and $value set. */
bool eval_condition(struct ectx *x, const struct cond *c, bool *result);

/* What yes or no of an item gives; value becomes $value; dflt is used if there is no yes. */
bool eval_yes_no(struct ectx *x, const struct item *it, bool found, struct str value,
                 struct str dflt, struct str *out);

#define DECLARE_SHAPE(id) bool item_##id(struct ectx *x, const struct item *it, struct str *out);
#define SHAPES(X) \
    X(certextract) X(extract) X(filter) X(generic) X(if) X(lookup) X(map) X(reduce) X(run) X(sort)

/*
 * md5, sha1, sha256 and base64 of a variable that holds a certificate, and of nothing beside it;
 * false for any other operator or subject, which is then evaluated as usual.
 */
bool eval_certificate_operator(struct ectx *x, const struct expr *e, struct str *out);

/* Evaluation of items with a grammar of their own; `generic` of those from rows. */
SHAPES(DECLARE_SHAPE)

#define ITEM_ROW(id) \
    bool item_##id(struct ectx *x, const struct expand_arg *const *args, size_t n, \
                   struct str *out, bool *found)
#define DECLARE_ITEM(id) ITEM_ROW(id);
#define ITEMS(X) \
    X(env) \
    X(hash) \
    X(hmac) \
    X(length) X(listextract) X(listquote) X(nhash) X(prvs) X(prvscheck) X(readfile) X(readsocket) \
        X(sg) X(substr) X(tr)

/* Evaluation of items from this room's rows. */
ITEMS(DECLARE_ITEM)

/* Newlines become eol; unset: the text stays as it is. */
struct str replace_newlines(struct pool *pool, struct str text, struct str eol);

/* The condition crypteq: a password against its encrypted form. */
bool test_crypteq(struct ectx *x, const struct str *args, size_t n, bool *result);

/* The refusal to expand a tainted text, logged; false. */
bool eval_tainted(struct ectx *x, struct str text);

/* True if strict_acl_vars makes it an error that the variable has no value. */
bool variable_lacks(const struct ectx *x, struct str name, struct str value);

/* expand_text() within an evaluation: the nesting is bounded, nothing noted before is forgotten. */
bool expand_nested(struct ectx *x, struct str text, struct str *out);

/* ---- scopes ---- */

/* $0 to $9 and the values that items set: a chain whose newest binding counts. */
struct scope {
    struct scope *outer;
    struct str name; /* unset: this one holds numbers */
    struct str value;
    struct str *numbers;
    int n;
};

/* The newest value bound to the name; unset if there is none. */
struct str scope_get(const struct ectx *x, struct str name);
/* Back to a scope that is further out, except that $0… stay what they have become. */
void scope_keep_numbers(struct ectx *x, struct scope *outer);

/* $0 to $9; unset if there is none. */
struct str scope_number(const struct ectx *x, int n);

/* ---- rows of this room ---- */

extern const struct variable expand_variables[];
extern const struct expand_item expand_items[];
extern const struct expand_operator expand_operators[];
extern const struct expand_condition expand_conditions[];

/* The arithmetic of ${eval: and ${eval10:. */
bool eval_arithmetic(struct ectx *x, struct str s, bool decimal, int64_t *out);

/* ${hash: m < 0 where a second number was not given. */
bool text_hash(struct ectx *x, struct str s, int64_t n, int64_t m, struct str *out);

/* ${nhash; the same. */
bool text_nhash(struct ectx *x, struct str s, int64_t n, int64_t m, struct str *out);

/* ${substr; a start below zero counts from the end. */
struct str text_substr(struct str s, int64_t start, int64_t len, bool len_given);

/* Decodes RFC 2047 words to the character set; false with *error if iconv knows no such conversion:
 * *out then has the bytes as they were encoded. */
bool rfc2047_decode(struct pool *pool, struct str s, bool check_length, struct str charset,
                    struct str *out, struct str *error);

/* True if the message has a live header of the name. */
bool header_exists(struct ectx *x, struct str name);

/* ---- lists ---- */

/* The items of a list, or (json 1) of a JSON array, or (json 2) of one whose items are strings. */
struct list_source {
    struct str rest;
    int sep, json;
    bool failed;
};

/* Begins with a list of the kind. */
bool list_source_begin(struct ectx *x, struct list_source *src, struct str list, int json);

/* The next item; false at the end, or (failed set) after noting an error. */
bool list_source_next(struct ectx *x, struct list_source *src, struct str *item);

/* Cuts the next element off the inside of a JSON array or object (an element may be "name": value). */
bool json_next(struct str *rest, struct str *element);

/* ${extract json{key}{text}}: a member of an object, or an element of an array by number. */
bool json_extract(struct ectx *x, struct str option, struct str key, struct str text,
                  struct str *value, bool *found);

/* Takes the quotes off a JSON string; false if it is none. */
bool json_unquote(struct str *s);

/* A list item with separators doubled. */
void list_add(struct buf *b, struct str item, char sep, bool first);

/* The separator that a list text announces; ':' if none. */
char list_separator(struct str list);

/* ---- regular expressions ---- */

/* The compiled pattern of the process's cache; NULL with the text in *error. */
struct pcre2_real_code_8 *regex_get(struct pool *pool, struct str pattern, bool caseless,
                                    struct str *error);

enum { REGEX_NOT_EMPTY_HERE = 1 };

/* Matches from an offset (options: REGEX_NOT_EMPTY_HERE);  groups (offset pairs)
 * go to *groups in the pool, their number is returned; 0: no match. */
size_t regex_run(struct pool *pool, struct pcre2_real_code_8 *code, struct str subject, size_t from,
                 unsigned options, const size_t **groups);

/* ---- match lists ---- */

enum pattern_kind {
    PAT_EXACT,
    PAT_REGEX,
    PAT_TAIL,    /* *text */
    PAT_PRIMARY, /* @ */
    PAT_LITERAL, /* @[] */
    PAT_MX,      /* @mx_… */
    PAT_LOOKUP
};

/* What one string is compared with. */
struct pattern {
    enum pattern_kind kind;
    struct str text; /* as written */
    struct str arg;  /* tail; file or query of a lookup; /ignore= of @mx_ */
    bool primary, secondary;
    struct lookup_type lookup;
};

enum mitem_kind {
    MI_PATTERN, /* domain, local part, host name */
    MI_NAMED,   /* +name */
    MI_FILE,    /* /path: a file of items */
    MI_SWITCH,  /* +include_unknown and its like, +caseful */
    MI_HOST_ANY,
    MI_HOST_NONE, /* an empty item: no host */
    MI_HOST_OURS, /* @[] */
    MI_HOST_NET,
    MI_HOST_BAD,    /* 1.2.3: neither name nor address */
    MI_HOST_LOOKUP, /* net24-lsearch;…: by address */
    MI_HOST_NAME,   /* a name whose addresses count */
    MI_ADDR_WHOLE,  /* a regex or lookup of the whole address */
    MI_ADDR_EMPTY,  /* an empty item: the empty address */
    MI_ADDR_SPLIT,  /* @@lookup */
    MI_ADDR_PARTS   /* local part (may begin with *) and domain */
};

enum mswitch {
    SW_INCLUDE_UNKNOWN,
    SW_IGNORE_UNKNOWN,
    SW_INCLUDE_DEFER,
    SW_IGNORE_DEFER,
    SW_CASEFUL
};

struct mitem {
    const struct mitem *next;
    enum mitem_kind kind;
    bool negated;
    bool any_local; /* MI_ADDR_PARTS without @ */
    enum mswitch sw;
    struct str text;  /* without the ! */
    struct str whole; /* with it */
    struct str name;  /* of a named list; path of a file; local part pattern */
    struct ip net;
    unsigned bits;
    int mask; /* of MI_HOST_LOOKUP; -1: none */
    struct pattern pat;
    const struct mlist *domains; /* *@+list: the domain is looked for in a list */
};

struct mlist {
    enum list_kind kind;
    struct str text;
    const struct mitem *first;
};

/* Takes one item apart. False with the words in *error. ip_only: names are faults (match_ip). */
bool match_parse_item(const struct config *conf, struct pool *pool, enum list_kind kind,
                      struct str text, struct mitem *out, struct str *error);

/* Takes the domain part of an address item, or any plain pattern, apart. */
bool match_parse_pattern(const struct config *conf, struct pool *pool, struct str text,
                         bool at_special, struct pattern *out, struct str *error);

/* Reports the lists that name lists which do not exist. */
bool match_check_refs(struct config *conf, struct opt_reader *r);

/* An answer of a named list, kept for as long as its subject. */
struct match_memo {
    struct match_memo *next;
    enum list_kind kind;
    const struct named_list *list;
    struct str subject, data;
    bool yes;
};

/* A match under way. */
struct match_state {
    struct ectx *x;
    enum list_kind kind;
    struct str given;                   /* the subject as it came */
    struct str subject;                 /* folded unless the match is caseful */
    struct str host_name, host_address; /* for hosts */
    bool session_host;                  /* the name is the session's: looked up when needed */
    bool ip_only;
    bool caseless;
    bool set_numeric;
    int depth;
    struct str *data;
    struct str list; /* the text of the list in hand, for messages */
    struct str error;
    bool fatal;                /* the failure is the configuration's */
    struct match_memo **known; /* what named lists said before about the subject; NULL: ask anew */
    struct pool *known_pool;   /* where such answers are kept */
    bool cached;               /* the last item's answer was such a one */
    bool told;                 /* the trace of the item is written */
    struct str unknown;        /* why the item's host is unknown, if that decided; for traces */
    struct str matched;        /* the line of a file that decided; unset: none */
    const char *option;        /* name of the main option whose list this is; for traces */
};

/* The subject against a list taken apart. Deferral and failure leave st->error. */
enum match match_list(struct match_state *st, const struct mlist *list);

/* The same for a list's text, taken apart as far as the match needs it. */
enum match match_list_text(struct match_state *st, struct str text);

/* The same for a list option or a named list, expanded if it has to be. */
enum match match_option(struct match_state *st, const struct etext *list);

/* Traces the answer of a list that is one pattern. */
void match_trace(const struct match_state *st, struct str pattern, enum match m);

/* One string against one pattern. */
enum match match_pattern(struct match_state *st, const struct pattern *p, struct str subject,
                         bool caseless);

/* The host against an item; MATCH_ERROR where a name or an address could not be found. */
enum match match_host_item(struct match_state *st, const struct mitem *it);

/* The address against an item. */
enum match match_address_item(struct match_state *st, const struct mitem *it);

/* Notes a value for $domain_data and its like. */
void match_data(struct match_state *st, struct str value);

/* Notes why a match failed or deferred; returns the result given. */
enum match match_why(struct match_state *st, enum match result, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Gives net/ and lookup/ what they need of this room to work with a configuration. */
void expand_lend(struct config *conf);

/* False, and logged, if the name of a file to look up in is tainted. */
bool lookup_file_ok(struct ectx *x, struct str file);

#endif
