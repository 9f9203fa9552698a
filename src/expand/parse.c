/*
 * Text to tree: literals, escapes, variables, headers, operators. Items are in parse_item.c,
 * conditions in parse_cond.c.
 *
 * The tree lives in the parser's pool and refers to the text. The first error ends the parse; it is
 * noted with its offset, in Exim's words. Names are resolved here, so that a tree that was made can
 * only fail for what its values are.
 */
#include "expand/operators.h"

#include <ctype.h>

bool parse_fail(struct parser *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    p->err->text = str_vfmt(p->pool, fmt, ap);
    va_end(ap);
    p->err->offset = p->at;
    return false;
}

char parse_peek(const struct parser *p)
{
    return p->at < p->text.len ? p->text.p[p->at] : '\0';
}

static char peek_at(const struct parser *p, uint32_t ahead)
{
    return p->at + ahead < p->text.len ? p->text.p[p->at + ahead] : '\0';
}

void parse_space(struct parser *p)
{
    while (isspace((unsigned char)parse_peek(p))) {
        p->at++;
    }
}

bool parse_take(struct parser *p, char c)
{
    if (p->at < p->text.len && p->text.p[p->at] == c) {
        p->at++;
        return true;
    }
    return false;
}

struct str parse_name(struct parser *p, const char *more)
{
    uint32_t start = p->at;
    for (char c; (c = parse_peek(p)) && (isalnum((unsigned char)c) || strchr(more, c)); p->at++) {
    }
    return str_sub(p->text, start, p->at - start);
}

/* ---- escapes ---- */

static int octal(struct parser *p)
{
    int ch = 0;
    for (int i = 0; i < 3 && parse_peek(p) >= '0' && parse_peek(p) <= '7'; i++) {
        ch = ch * 8 + parse_peek(p) - '0';
        p->at++;
    }
    return ch;
}

static int hex(struct parser *p)
{
    int ch = 0;
    for (int i = 0; i < 2 && isxdigit((unsigned char)parse_peek(p)); i++) {
        int c = tolower((unsigned char)parse_peek(p));
        ch = ch * 16 + (isdigit(c) ? c - '0' : c - 'a' + 10);
        p->at++;
    }
    return ch;
}

char parse_escape(struct parser *p)
{
    char c = parse_peek(p);
    if (c >= '0' && c <= '7') {
        return (char)octal(p);
    }
    p->at++;
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case 'x': return (char)hex(p);
    default: return c;
    }
}

/* \N…\N (already past the first): taken as it is; ends at the text's end as well. */
static void protected_text(struct parser *p, struct buf *b)
{
    struct str rest = str_from(p->text, p->at);
    ptrdiff_t end = str_find(rest, STR("\\N"));
    struct str inner = end < 0 ? rest : str_sub(rest, 0, (size_t)end);
    buf_adds(b, inner);
    p->at += inner.len + (end < 0 ? 0 : 2);
}

/* ---- pieces ---- */

struct expr_list {
    struct expr *first, **last;
    uint32_t count;
};

static void append(struct expr_list *l, struct expr *e)
{
    *(l->last ? l->last : &l->first) = e;
    l->last = (struct expr **)(uintptr_t)&e->next;
    l->count++;
}

static struct expr *new_node(struct parser *p, enum node_kind kind)
{
    struct expr *e = POOL_NEW(p->pool, struct expr);
    e->kind = (uint16_t)kind;
    e->count = 1;
    return e;
}

/*
 * A run of literal text: up to a $ or, if braced, a closing bracket. A view of the text as long as
 * no escape was met.
 */
static bool literal(struct parser *p, bool braced, bool dollar, struct str *out)
{
    uint32_t start = p->at;
    struct buf b;
    bool copied = false;
    for (char c; p->at < p->text.len; p->at++) {
        c = p->text.p[p->at];
        if ((c == '$' && dollar) || (c == '}' && braced)) {
            break;
        }
        if (c != '\\') {
            if (copied) {
                buf_addc(&b, c);
            }
            continue;
        }
        if (p->at + 1 == p->text.len) {
            p->at++;
            return parse_fail(p, "\\ at end of string");
        }
        if (!copied) {
            buf_init(&b, p->pool, (size_t)p->text.len + 1);
            buf_add(&b, p->text.p + start, p->at - start);
            copied = true;
        }
        p->at++;
        if (parse_take(p, 'N')) {
            protected_text(p, &b);
        } else {
            buf_addc(&b, parse_escape(p));
        }
        p->at--;
    }
    *out = copied ? buf_str(&b) : str_sub(p->text, start, p->at - start);
    out->tainted = p->text.tainted;
    return true;
}

char header_prefix(struct str name, uint32_t *prefix)
{
    static const struct {
        const char *text;
        char kind;
    } rows[] = {{"h_", 'h'},  {"header_", 'h'},  {"rh_", 'r'}, {"rheader_", 'r'},
                {"bh_", 'b'}, {"bheader_", 'b'}, {"lh_", 'l'}, {"lheader_", 'l'}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_starts(name, rows[i].text)) {
            *prefix = (uint32_t)strlen(rows[i].text);
            return rows[i].kind;
        }
    }
    return '\0';
}

struct str parse_header_name(struct parser *p, struct str first)
{
    struct buf b;
    buf_init(&b, p->pool, (size_t)p->text.len + 1);
    buf_adds(&b, first);
    while (isgraph((unsigned char)parse_peek(p)) && parse_peek(p) != ':') {
        buf_addc(&b, parse_peek(p));
        p->at++;
    }
    struct str name = buf_str(&b);
    p->header_open |= str_chr(name, '}') >= 0;
    parse_take(p, ':');
    return name;
}

static struct expr *header_node(struct parser *p, struct str name, uint32_t prefix, char kind)
{
    struct expr *e = new_node(p, NODE_HEADER);
    e->text = parse_header_name(p, str_from(name, prefix));
    e->number = (uint16_t)kind;
    return e;
}

const char *parse_acl_hint(struct str name)
{
    if (!str_starts(name, "acl_")) {
        return "";
    }
    return str_starts(name, "acl_c") || str_starts(name, "acl_m")
               ? " (6th character of a user-defined ACL variable must be a digit or underscore)"
               : " (user-defined ACL variables must start acl_c or acl_m)";
}

static bool variable_node(struct parser *p, struct str name, bool braces, struct expr **out)
{
    struct expr *e = new_node(p, NODE_VARIABLE);
    e->text = name;
    e->number = braces;
    e->u.variable = find_variable_row(p->conf, name);
    if (!e->u.variable) {
        return braces ? parse_fail(p, "unknown variable in \"${%.*s}\"%s", STR_ARG(name),
                                   parse_acl_hint(name))
                      : parse_fail(p, "unknown variable name \"%.*s\"%s", STR_ARG(name),
                                   parse_acl_hint(name));
    }
    e->kind = is_certificate(e->u.variable) ? NODE_CERTIFICATE : NODE_VARIABLE;
    *out = e;
    return true;
}

static bool numbered(struct parser *p, bool braces, struct expr **out)
{
    struct expr *e = new_node(p, NODE_NUMBERED);
    uint32_t n = 0;
    while (isdigit((unsigned char)parse_peek(p))) {
        n = n < 1000 ? n * 10 + (uint32_t)(parse_peek(p) - '0') : n;
        p->at++;
    }
    e->number = (uint16_t)n;
    *out = e;
    if (braces && !parse_take(p, '}')) {
        return parse_fail(p, "} expected after number");
    }
    return true;
}

static bool missing_end(struct parser *p)
{
    return parse_fail(p, "missing } at end of string%s",
                      p->header_open ? " - could be header name not terminated by colon" : "");
}

/* True if the operator needs numbers behind an underscore. */
static bool takes_numbers(const char *name)
{
    static const char *const names[] = {"h", "hash", "l", "length", "nh", "nhash", "s", "substr"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Faults of what follows an underscore are found now: numbers, the lookup type of quote_TYPE. */
static bool check_param(struct parser *p, const struct expand_operator *row, struct str name,
                        struct str param)
{
    const struct lookup_driver *driver;
    struct str error;
    if (takes_numbers(row->name)) {
        if (str_unset(param)) {
            return parse_fail(p, "missing values after %s", row->name);
        }
        return operator_numbers_ok(row->name, param) ||
               parse_fail(p, "non-digit after underscore in \"%.*s\"", STR_ARG(name));
    }
    if (strcmp(row->name, "quote") != 0 || str_unset(param)) {
        return true;
    }
    ptrdiff_t comma = str_chr(param, ',');
    param = comma < 0 ? param : str_sub(param, 0, (size_t)comma);
    return lookup_parse_name(p->conf, p->pool, param, &driver, &error) ||
           parse_fail(p, "%.*s", STR_ARG(error));
}

/* ${name:subject}; at the colon. */
static bool operator_node(struct parser *p, struct str name, struct expr **out)
{
    struct str base = name, param = STR_NONE;
    const struct expand_operator *row = find_operator_row(p->conf, name);
    ptrdiff_t under = str_chr(name, '_');
    if (!row && under >= 0) {
        base = str_sub(name, 0, (size_t)under);
        param = str_from(name, (size_t)under + 1);
        row = find_operator_row(p->conf, base);
    }
    p->at++;
    struct expr *e = new_node(p, NODE_OPERATOR);
    if (!parse_pieces(p, true, true, &e->u.op.subject)) {
        return false;
    }
    if (!row) {
        return parse_fail(p, "unknown expansion operator \"%.*s\"", STR_ARG(name));
    }
    if (!row->apply) {
        return parse_fail(
            p, "operator \"%s\" is known to Exim but not supported by this version of minim",
            row->name);
    }
    if (!parse_take(p, '}')) {
        return missing_end(p);
    }
    if (!check_param(p, row, name, param)) {
        return false;
    }
    e->u.op.row = row;
    e->text = param;
    *out = e;
    return true;
}

/* After ${ */
static bool braced_node(struct parser *p, struct expr **out)
{
    if (isdigit((unsigned char)parse_peek(p))) {
        return numbered(p, true, out);
    }
    if (!isalpha((unsigned char)parse_peek(p))) {
        return parse_fail(p, "letter or digit expected after ${");
    }
    struct str name = parse_name(p, "_-");
    const struct expr *item;
    bool known;
    if (!parse_item(p, name, &item, &known)) {
        return false;
    }
    if (known) {
        *out = (struct expr *)(uintptr_t)item;
        return true;
    }
    if (parse_peek(p) == ':') {
        return operator_node(p, name, out);
    }
    if (parse_take(p, '}')) {
        return variable_node(p, name, true, out);
    }
    return parse_fail(
        p, "\"${%.*s\" is not a known operator (or a } is missing in a variable reference)",
        STR_ARG(name));
}

/* At a $. */
static bool dollar_node(struct parser *p, struct expr **out)
{
    p->at++;
    char c = parse_peek(p);
    if (isalpha((unsigned char)c)) {
        uint32_t prefix;
        struct str name = parse_name(p, "_");
        char kind = header_prefix(name, &prefix);
        if (kind) {
            *out = header_node(p, name, prefix, kind);
            return true;
        }
        return variable_node(p, name, false, out);
    }
    if (isdigit((unsigned char)c)) {
        return numbered(p, false, out);
    }
    if (c == '{') {
        p->at++;
        return braced_node(p, out);
    }
    return parse_fail(p, "$ not followed by letter, digit, or {");
}

static bool parse_piece(struct parser *p, bool braced, bool dollar, struct expr **out)
{
    if (dollar && parse_peek(p) == '$' && p->at < p->text.len) {
        return dollar_node(p, out);
    }
    *out = new_node(p, NODE_TEXT);
    return literal(p, braced, dollar, &(*out)->text);
}

bool parse_pieces(struct parser *p, bool braced, bool dollar, const struct expr **out)
{
    struct expr_list l = {0};
    if (++p->depth > MAX_NESTING) {
        return parse_fail(p, "string expansion is nested too deeply");
    }
    while (p->at < p->text.len && !(braced && peek_at(p, 0) == '}')) {
        struct expr *e;
        if (!parse_piece(p, braced, dollar, &e)) {
            return false;
        }
        append(&l, e);
    }
    if (!l.first) {
        l.first = new_node(p, NODE_TEXT);
        l.first->text = STR("");
    } else {
        l.first->count = l.count;
    }
    p->depth--;
    *out = l.first;
    return true;
}

bool parse_braced(struct parser *p, bool dollar, const struct expand_arg **out)
{
    struct expand_arg *a = POOL_NEW(p->pool, struct expand_arg);
    p->at++;
    if (!parse_pieces(p, true, dollar, &a->tree)) {
        return false;
    }
    if (!parse_take(p, '}')) {
        return missing_end(p);
    }
    *out = a;
    return true;
}

const struct expr *expand_compile(const struct config *conf, struct pool *pool, struct str text,
                                  struct expand_error *err)
{
    struct parser p = {.conf = conf, .pool = pool, .text = text, .err = err};
    const struct expr *e;
    return parse_pieces(&p, false, true, &e) ? e : NULL;
}

const struct expr *expand_compile_option(struct opt_reader *r, struct str text)
{
    struct expand_error err;
    const struct expr *e = expand_compile(r->conf, r->pool, text, &err);
    if (!e) {
        struct str shown = str_printable(r->pool, text, false);
        r->pos.col += (int)err.offset;
        opt_error(r, "failed to expand %s: %.*s at character %zu of \"%.*s\"",
                  r->option ? r->option : "text", STR_ARG(err.text), err.offset + 1,
                  STR_ARG(shown));
        r->pos.col -= (int)err.offset;
    }
    return e;
}
