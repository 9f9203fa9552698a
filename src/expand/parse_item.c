/*
 * The items of the grammar, ${name{...}...}: those that are only arguments come from rows, those
 * with a shape of their own have a parse function here.
 *
 * Each parser starts after the name and takes the closing bracket of the item. Errors are the
 * parser's (parse.c).
 */
#include "expand/internal.h"

#include <ctype.h>

static const struct expand_arg *const *args_copy(struct parser *p, const struct vec *v)
{
    const struct expand_arg **a = pool_calloc(p->pool, v->n + 1, sizeof *a);
    for (size_t i = 0; i < v->n; i++) {
        a[i] = v->v[i];
    }
    return a;
}

bool parse_args(struct parser *p, size_t max, const struct expand_arg *const **args, size_t *n)
{
    struct vec v = {.pool = p->pool};
    const struct expand_arg *a;
    for (parse_space(p); v.n < max && parse_peek(p) == '{'; parse_space(p)) {
        if (!parse_braced(p, true, &a)) {
            return false;
        }
        vec_push(&v, (void *)(uintptr_t)a);
    }
    *args = args_copy(p, &v);
    *n = v.n;
    return true;
}

/* A complaint about the brackets of the part that follows the arguments. */
static bool yes_no_fail(struct parser *p, const char *what)
{
    struct str rest = str_from(p->text, p->at);
    if (p->header_open) {
        return parse_fail(
            p, "missing or misplaced { or } - could be header name not terminated by colon");
    }
    return parse_fail(p,
                      "curly-bracket problem in conditional yes/no parsing: %s\n"
                      " remaining string is '%.*s'",
                      what, STR_ARG(rest));
}

static bool parse_fail_word(struct parser *p, struct item *it)
{
    struct str word = parse_name(p, "_");
    if (!str_is(word, "fail")) {
        return parse_fail(p, "syntax error in \"%s\" item - \"fail\" expected", it->name);
    }
    it->fail = true;
    parse_space(p);
    return parse_take(p, '}') || yes_no_fail(p, "did not close with '}' after forcedfail");
}

bool parse_yes_no(struct parser *p, struct item *it)
{
    parse_space(p);
    if (parse_take(p, '}')) {
        return true;
    }
    if (parse_peek(p) != '{') {
        return yes_no_fail(p, "'yes' part did not start with '{'");
    }
    if (!parse_braced(p, true, &it->yes)) {
        return false;
    }
    parse_space(p);
    if (parse_peek(p) == '{') {
        if (!parse_braced(p, true, &it->no)) {
            return false;
        }
        parse_space(p);
    } else if (parse_peek(p) != '}') {
        return parse_fail_word(p, it);
    }
    return parse_take(p, '}') || yes_no_fail(p, "did not close with '}'");
}

/* The closing bracket of an item that has arguments only. */
static bool parse_end(struct parser *p, const char *name, size_t max)
{
    parse_space(p);
    if (parse_take(p, '}')) {
        return true;
    }
    if (parse_peek(p) == '{') {
        return parse_fail(p, "Too many arguments for '%s' (max is %zu)", name, max);
    }
    return parse_fail(p, "missing '}' after '%s'", name);
}

static bool too_few(struct parser *p, const char *name, size_t min)
{
    return parse_fail(p, "Not enough arguments for '%s' (min is %zu)", name, min);
}

/* ---- items from rows ---- */

static bool parse_generic(struct parser *p, const struct expand_item *row, struct item *it)
{
    it->row = row;
    it->eval = item_generic;
    if (!parse_args(p, (size_t)row->max_args, &it->args, &it->n)) {
        return false;
    }
    if (it->n < (size_t)row->min_args) {
        return too_few(p, row->name, (size_t)row->min_args);
    }
    return row->yes_no ? parse_yes_no(p, it) : parse_end(p, row->name, (size_t)row->max_args);
}

/* ---- items with a shape of their own ---- */

static bool parse_if(struct parser *p, struct item *it)
{
    return parse_condition(p, NULL, &it->cond) && parse_yes_no(p, it);
}

static bool parse_lookup_name(struct parser *p, struct str *name)
{
    uint32_t start = p->at;
    for (char c; (c = parse_peek(p)) && c != '{' && !isspace((unsigned char)c); p->at++) {
    }
    *name = str_sub(p->text, start, p->at - start);
    parse_space(p);
    return (name->len && isalpha((unsigned char)name->p[0])) ||
           parse_fail(p, "missing lookup type");
}

static bool check_lookup(struct parser *p, const struct item *it, struct lookup_type *type,
                         struct str name)
{
    bool single = type->driver->flags & LOOKUP_SINGLE_KEY;
    const char *base = type->driver->name;
    if (it->n == 0 && single) {
        return parse_fail(p, "missing {key} for single-key \"%.*s\" lookup", STR_ARG(name));
    }
    if (it->n > 0 && !single) {
        return parse_fail(p,
                          "a single key was given for lookup type \"%s\", which is not a "
                          "single-key lookup type",
                          base);
    }
    return true;
}

/* {key} type {file} or type {query} */
static bool parse_lookup(struct parser *p, struct item *it)
{
    struct item_lookup *l = POOL_NEW(p->pool, struct item_lookup);
    const struct expand_arg *key = NULL, *where;
    struct str name, error;
    parse_space(p);
    if (parse_peek(p) == '{' && !parse_braced(p, true, &key)) {
        return false;
    }
    it->n = key ? 1 : 0;
    parse_space(p);
    if (!parse_lookup_name(p, &name)) {
        return false;
    }
    if (!lookup_parse_type(p->conf, p->pool, name, &l->type, &error)) {
        return parse_fail(p, "%.*s", STR_ARG(error));
    }
    if (!check_lookup(p, it, &l->type, name)) {
        return false;
    }
    if (parse_peek(p) != '{') {
        return parse_fail(p, "missing '{' for lookup file-or-query arg");
    }
    if (!parse_braced(p, true, &where)) {
        return false;
    }
    l->name = str_cstr(p->pool, name);
    it->lookup = l;
    const struct expand_arg **args = pool_calloc(p->pool, 2, sizeof *args);
    args[0] = where;
    args[1] = key;
    it->args = args;
    return parse_yes_no(p, it);
}

/* The text of an argument that needs no evaluation; unset if it does. */
static struct str constant(const struct expand_arg *a)
{
    const struct expr *e = a->tree;
    return e->kind == NODE_TEXT && !e->next ? e->text : STR_NONE;
}

static bool is_numeric(struct str s)
{
    s = str_trim(s);
    if (s.len && s.p[0] == '-') {
        s = str_from(s, 1);
    }
    return s.len && str_all_in(s, "0123456789");
}

static const struct expand_arg *const *args_join(struct parser *p, const struct expand_arg *first,
                                                 const struct expand_arg *const *rest, size_t n)
{
    const struct expand_arg **args = pool_calloc(p->pool, n + 1, sizeof *args);
    args[0] = first;
    for (size_t i = 0; i < n; i++) {
        args[i + 1] = rest[i];
    }
    return args;
}

/* The key's kind says how many arguments come before {yes}: what cannot be told waits for it. */
static bool parse_extract(struct parser *p, struct item *it)
{
    parse_space(p);
    if (parse_peek(p) != '{') {
        it->option = parse_name(p, "");
        if (!str_empty(it->option) && !str_is(it->option, "json") && !str_is(it->option, "jsons")) {
            return parse_fail(p, "missing '{' for arg 1 of extract");
        }
    }
    const struct expand_arg *const *rest;
    size_t more;
    if (!parse_args(p, 1, &it->args, &it->n)) {
        return false;
    }
    struct str key = it->n ? constant(it->args[0]) : STR_NONE;
    if (!str_unset(key) && str_empty(str_trim(key))) {
        return parse_fail(p, "first argument of \"extract\" must not be empty");
    }
    size_t need = str_unset(key) || !is_numeric(key) || !str_empty(it->option) ? 2 : 3;
    if (!parse_args(p, str_unset(key) ? 4 : need + 1, &rest, &more)) {
        return false;
    }
    if (it->n) {
        it->args = args_join(p, it->args[0], rest, more);
        it->n += more;
    }
    if (it->n < need) {
        return parse_fail(p, "missing '{' for arg %zu of extract", it->n + 1);
    }
    if (parse_peek(p) != '}') {
        return it->n > need && isalpha((unsigned char)parse_peek(p))
                   ? parse_fail_word(p, it)
                   : yes_no_fail(p, it->n > need ? "did not close with '}'"
                                                 : "'yes' part did not start with '{'");
    }
    return parse_take(p, '}');
}

/* {list}{condition} */
static bool parse_filter(struct parser *p, struct item *it)
{
    if (!parse_args(p, 1, &it->args, &it->n)) {
        return false;
    }
    if (it->n < 1) {
        return parse_fail(p, "missing '{' for first arg of %s", it->name);
    }
    if (!parse_take(p, '{')) {
        return parse_fail(p, "missing '{' for last arg of %s", it->name);
    }
    if (!parse_condition(p, it->name, &it->cond)) {
        return false;
    }
    parse_space(p);
    if (!parse_take(p, '}')) {
        return parse_fail(p,
                          "missing } at end of condition or expression inside \"%s\"; could be an "
                          "unquoted } in the content",
                          it->name);
    }
    parse_space(p);
    return parse_take(p, '}') || parse_fail(p, "missing } at end of \"%s\"", it->name);
}

static bool parse_loop(struct parser *p, struct item *it, size_t n, const char *const *which)
{
    if (!parse_args(p, n, &it->args, &it->n)) {
        return false;
    }
    if (it->n < n) {
        return parse_fail(p, "missing '{' for %s arg of %s", which[it->n], it->name);
    }
    parse_space(p);
    return parse_take(p, '}') || parse_fail(p, "missing } at end of \"%s\"", it->name);
}

static bool parse_map(struct parser *p, struct item *it)
{
    static const char *const which[] = {"first", "last"};
    return parse_loop(p, it, ARRAY_LEN(which), which);
}

static bool parse_reduce(struct parser *p, struct item *it)
{
    static const char *const which[] = {"first", "second", "last"};
    return parse_loop(p, it, ARRAY_LEN(which), which);
}

/* {list}{comparator}{extractor}; the comparator is the name of a condition. */
static bool parse_sort(struct parser *p, struct item *it)
{
    static const char *const which[] = {"list", "comparator", "extractor"};
    return parse_loop(p, it, ARRAY_LEN(which), which);
}

/* ---- run ---- */

/* The next word of a command: plain up to white space, or in either kind of quotes. */
static bool command_word(struct parser *w, struct str *out)
{
    struct buf b;
    parse_space(w);
    if (w->at >= w->text.len) {
        return false;
    }
    char quote = parse_peek(w) == '"' || parse_peek(w) == '\'' ? parse_peek(w) : '\0';
    w->at += quote != '\0';
    buf_init(&b, w->pool, (size_t)w->text.len + 1);
    b.tainted = w->text.tainted;
    while (w->at < w->text.len) {
        char c = w->text.p[w->at];
        if (quote ? c == quote : isspace((unsigned char)c)) {
            break;
        }
        w->at++;
        buf_addc(&b, c == '\\' && quote == '"' && w->at < w->text.len ? parse_escape(w) : c);
    }
    w->at += quote != '\0';
    *out = buf_str(&b);
    return true;
}

void parse_command_words(struct pool *pool, struct str command, struct strvec *words)
{
    struct parser w = {.pool = pool, .text = command};
    struct str word;
    words->pool = pool;
    while (command_word(&w, &word)) {
        strvec_push(words, word);
    }
}

/* Each word of the command is a text of its own. */
static bool compile_words(struct parser *p, struct item *it)
{
    struct strvec words = {.pool = p->pool};
    parse_command_words(p->pool, it->source, &words);
    const struct expand_arg **args = pool_calloc(p->pool, words.n + 1, sizeof *args);
    for (size_t i = 0; i < words.n; i++) {
        struct expand_arg *a = POOL_NEW(p->pool, struct expand_arg);
        struct parser inner = *p;
        inner.text = words.v[i];
        inner.at = 0;
        if (!parse_pieces(&inner, false, true, &a->tree)) {
            return parse_fail(
                p, "Expansion of \"%.*s\" from command \"%.*s\" in ${run} expansion failed: %.*s",
                STR_ARG(words.v[i]), STR_ARG(it->source), STR_ARG(p->err->text));
        }
        args[i] = a;
    }
    it->args = args;
    it->n = words.n;
    return true;
}

/* The command in brackets as one text; it is only taken apart where it must be expanded first. */
static bool parse_command(struct parser *p, const struct expand_arg **whole)
{
    struct str text = p->text;
    if (parse_braced(p, true, whole)) {
        return true;
    }
    return p->at < text.len ? false : parse_fail(p, "missing '}' closing command arg of run");
}

/* {command}: split into words that are expanded one by one, or (preexpand) expanded and split. */
static bool parse_run(struct parser *p, struct item *it)
{
    if (parse_take(p, ',')) {
        it->option = parse_name(p, "_");
        if (!str_is(it->option, "preexpand")) {
            return parse_fail(p, "bad option '%.*s' for run", STR_ARG(it->option));
        }
    }
    parse_space(p);
    if (parse_peek(p) != '{') {
        return parse_fail(p, "missing '{' for command arg of run");
    }
    uint32_t start = p->at + 1;
    const struct expand_arg *whole;
    if (!parse_command(p, &whole)) {
        return false;
    }
    it->source = str_sub(p->text, start, p->at - 1 - start);
    if (str_unset(it->option)) {
        return compile_words(p, it) && parse_yes_no(p, it);
    }
    const struct expand_arg **args = pool_calloc(p->pool, 1, sizeof *args);
    args[0] = whole;
    it->args = args;
    it->n = 1;
    return parse_yes_no(p, it);
}

struct shape {
    const char *name;
    bool (*parse)(struct parser *p, struct item *it);
    bool (*eval)(struct ectx *x, const struct item *it, struct str *out);
    const char *doc;
};

static const struct shape shapes[] = {
    {"certextract", parse_certextract, item_certextract, "a field of a certificate"},
    {"extract", parse_extract, item_extract, "a field of a text, by number or name, or of JSON"},
    {"filter", parse_filter, item_filter, "the items of a list that meet a condition"},
    {"if", parse_if, item_if, "one text or another, by a condition"},
    {"lookup", parse_lookup, item_lookup, "what a file or database has for a key"},
    {"map", parse_map, item_map, "a list with something done to each item"},
    {"reduce", parse_reduce, item_reduce, "one text made of the items of a list"},
    {"run", parse_run, item_run, "the output of a command"},
    {"sort", parse_sort, item_sort, "a list in order"},
};

const char *expand_shape(size_t i, const char **doc)
{
    *doc = i < ARRAY_LEN(shapes) ? shapes[i].doc : NULL;
    return i < ARRAY_LEN(shapes) ? shapes[i].name : NULL;
}

static bool parse_shape(struct parser *p, const struct shape *s, struct item *it)
{
    it->name = s->name;
    it->eval = s->eval;
    return s->parse(p, it);
}

bool parse_item(struct parser *p, struct str name, const struct expr **out, bool *known)
{
    const struct shape *shape = NULL;
    for (size_t i = 0; i < ARRAY_LEN(shapes) && !shape; i++) {
        shape = str_is(name, shapes[i].name) ? &shapes[i] : NULL;
    }
    const struct expand_item *row = shape ? NULL : find_item_row(p->conf, name);
    *known = shape || row;
    if (!*known) {
        return true;
    }
    if (row && !row->run) {
        return parse_fail(p,
                          "item \"%s\" is known to Exim but not supported by this version of minim",
                          row->name);
    }
    struct item *it = POOL_NEW(p->pool, struct item);
    struct expr *e = POOL_NEW(p->pool, struct expr);
    it->name = row ? row->name : NULL;
    e->kind = NODE_ITEM;
    e->count = 1;
    e->u.item = it;
    *out = e;
    return shape ? parse_shape(p, shape, it) : parse_generic(p, row, it);
}
