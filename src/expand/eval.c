/*
 * Walks a tree and makes its value.
 *
 * Values are views of the configuration, of what variables point to, or live in x->pool. A text of
 * one piece costs no copy. A failure is noted once in x (error, forced_fail, defer) and ends the
 * whole evaluation. Branches that are not chosen are not evaluated.
 */
#include "expand/internal.h"

bool eval_fail(struct ectx *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    x->error = str_vfmt(x->pool, fmt, ap);
    va_end(ap);
    return false;
}

static bool eval_piece(struct ectx *x, const struct expr *e, struct str *out)
{
    struct str subject;
    switch ((enum node_kind)e->kind) {
    case NODE_TEXT: *out = e->text; return true;
    case NODE_VARIABLE:
        *out = e->u.variable->get(x, e->text);
        return !variable_lacks(x, e->text, *out) ||
               (e->number ? eval_fail(x, "unknown variable in \"${%.*s}\" (strict_acl_vars is set)",
                                      STR_ARG(e->text))
                          : eval_fail(x, "unknown variable name \"%.*s\" (strict_acl_vars is set)",
                                      STR_ARG(e->text)));
    case NODE_CERTIFICATE:
        *out = e->u.variable->get(x, e->text);
        *out = str_empty(*out) ? STR("") : STR("<cert>");
        return true;
    case NODE_NUMBERED: *out = scope_number(x, e->number); return true;
    case NODE_HEADER: *out = expand_header(x, (char)e->number, e->text); return true;
    case NODE_OPERATOR:
        return eval_certificate_operator(x, e, out) ||
               (eval_tree(x, e->u.op.subject, &subject) &&
                e->u.op.row->apply(x, e->text, subject, out));
    case NODE_ITEM: {
        struct scope *outer = x->scope;
        bool ok = e->u.item->eval(x, e->u.item, out);
        x->scope = outer;
        return ok;
    }
    }
    BUG("expansion node of kind %d", e->kind);
}

/* A piece's value, for -d+expand. */
static void trace_piece(const struct expr *e, struct str value)
{
    static const enum expand_mark mark[] = {
        [NODE_TEXT] = EXPAND_TEXT, [NODE_OPERATOR] = EXPAND_OPERATOR, [NODE_ITEM] = EXPAND_ITEM};
    if (e->kind == NODE_TEXT || e->kind == NODE_OPERATOR || e->kind == NODE_ITEM) {
        expand_trace(mark[e->kind], value);
    }
}

/* A piece, and the line about it. */
static bool eval_shown(struct ectx *x, const struct expr *e, struct str *out)
{
    bool ok = eval_piece(x, e, out);
    if (ok && trace_on(TR_expand)) {
        trace_piece(e, *out);
    }
    return ok;
}

bool eval_tree(struct ectx *x, const struct expr *e, struct str *out)
{
    struct str few[16], *parts = few;
    size_t n = 0;
    if (!e->next) {
        bool ok = eval_shown(x, e, out);
        if (ok && str_unset(*out)) {
            *out = (struct str){"", 0, out->tainted};
        }
        return ok;
    }
    if (e->count > ARRAY_LEN(few)) {
        parts = pool_calloc(x->pool, e->count, sizeof *parts);
    }
    for (; e; e = e->next) {
        if (!eval_shown(x, e, &parts[n++])) {
            return false;
        }
    }
    *out = str_cat(x->pool, n, parts);
    return true;
}

bool expand_arg(struct ectx *x, const struct expand_arg *a, struct str *out)
{
    trace_state.depth++;
    bool ok = eval_tree(x, a->tree, out);
    if (trace_on(TR_expand)) {
        expand_trace_end(x, STR_NONE, ok, *out);
    }
    trace_state.depth--;
    return ok;
}

/* ---- items ---- */

bool eval_yes_no(struct ectx *x, const struct item *it, bool found, struct str value,
                 struct str dflt, struct str *out)
{
    if (found) {
        if (!it->yes) {
            *out = dflt;
            return true;
        }
        if (!str_unset(value)) {
            scope_set(x, STR("value"), value);
        }
        return expand_arg(x, it->yes, out);
    }
    if (it->no) {
        return expand_arg(x, it->no, out);
    }
    if (it->fail) {
        x->forced_fail = true;
        return eval_fail(x, "\"%s\" failed and \"fail\" requested", it->name);
    }
    *out = STR("");
    return true;
}

bool item_if(struct ectx *x, const struct item *it, struct str *out)
{
    bool yes;
    return eval_condition(x, it->cond, &yes) && eval_yes_no(x, it, yes, STR_NONE, STR("true"), out);
}

bool item_generic(struct ectx *x, const struct item *it, struct str *out)
{
    bool found = true;
    if (!it->row->run(x, it->args, it->n, out, &found)) {
        return false;
    }
    return !it->row->yes_no || eval_yes_no(x, it, found, *out, *out, out);
}

/* ---- conditions ---- */

enum { MAX_TEST_ARGS = 10 };

static bool eval_test(struct ectx *x, const struct cond *c, bool *result)
{
    struct str args[MAX_TEST_ARGS];
    if (c->n > ARRAY_LEN(args)) {
        BUG("condition with %zu arguments", c->n);
    }
    for (size_t i = 0; i < c->n; i++) {
        if (!expand_arg(x, c->args[i], &args[i])) {
            return false;
        }
    }
    return c->row->test(x, args, c->n, result);
}

/* and: up to the first false; or: up to the first true. */
static bool eval_group(struct ectx *x, const struct cond *c, bool *result)
{
    bool stop = c->kind == COND_OR;
    *result = !stop;
    for (const struct cond *sub = c->sub; sub && *result != stop; sub = sub->next) {
        if (!eval_condition(x, sub, result)) {
            return false;
        }
    }
    return true;
}

static bool eval_for(struct ectx *x, const struct cond *c, bool *result)
{
    struct str list, item;
    bool any = c->kind == COND_FORANY;
    struct list_source src;
    if (!expand_arg(x, c->args[0], &list)) {
        return false;
    }
    struct scope *outer = x->scope;
    *result = !any;
    if (!list_source_begin(x, &src, list, c->json)) {
        return false;
    }
    bool empty = true;
    while ((empty || *result != any) && list_source_next(x, &src, &item)) {
        empty = false;
        scope_set(x, STR("item"), item);
        bool ok = eval_condition(x, c->sub, result);
        scope_keep_numbers(x, outer);
        if (!ok) {
            return false;
        }
    }
    *result = !empty && *result;
    return !src.failed;
}

static bool eval_def(struct ectx *x, const struct cond *c, bool *result)
{
    struct str value = c->variable->get(x, c->name);
    if (variable_lacks(x, c->name, value)) {
        return eval_fail(x, "unknown variable \"%.*s\" after \"def:\" (strict_acl_vars is set)",
                         STR_ARG(c->name));
    }
    *result = !str_empty(value);
    return true;
}

static void trace_condition(const struct cond *c, bool result)
{
    static const char *const names[] = {
        [COND_AND] = "and",           [COND_OR] = "or",         [COND_DEF] = "def:",
        [COND_DEF_HEADER] = "def:h_", [COND_FORANY] = "forany", [COND_FORALL] = "forall"};
    struct str name = str_c(c->kind == COND_TEST ? c->row->name : names[c->kind]);
    bool named = c->kind == COND_DEF || c->kind == COND_DEF_HEADER;
    struct pool *pool = pool_new("trace");
    expand_trace(EXPAND_CONDITION,
                 STR_CAT(pool, c->negated ? STR("!") : STR(""), name, named ? c->name : STR("")));
    expand_trace(EXPAND_TRUTH, result ? STR("true") : STR("false"));
    pool_free(&pool);
}

bool eval_condition(struct ectx *x, const struct cond *c, bool *result)
{
    bool ok = true;
    switch (c->kind) {
    case COND_TEST: ok = eval_test(x, c, result); break;
    case COND_AND:
    case COND_OR: ok = eval_group(x, c, result); break;
    case COND_DEF: ok = eval_def(x, c, result); break;
    case COND_DEF_HEADER: *result = header_exists(x, c->name); break;
    case COND_FORANY:
    case COND_FORALL: ok = eval_for(x, c, result); break;
    }
    if (ok) {
        *result ^= c->negated;
    }
    if (ok && trace_on(TR_expand)) {
        trace_condition(c, *result);
    }
    return ok;
}

/* ---- the public calls ---- */

static void begin(struct ectx *x)
{
    x->error = STR_NONE;
    x->forced_fail = x->defer = false;
}

/* A whole text; source is for traces. */
static bool eval_whole(struct ectx *x, struct str source, const struct expr *e, struct str *out)
{
    trace_state.depth++;
    if (trace_on(TR_expand)) {
        expand_trace(EXPAND_BEGIN, source);
    }
    bool ok = eval_tree(x, e, out);
    if (trace_on(TR_expand)) {
        expand_trace_end(x, source, ok, *out);
    }
    trace_state.depth--;
    return ok;
}

bool expand_option(struct ectx *x, const struct etext *opt, struct str *out)
{
    if (opt->tree) {
        begin(x);
        return eval_whole(x, opt->text, opt->tree, out);
    }
    *out = opt->text;
    return true;
}

bool eval_tainted(struct ectx *x, struct str text)
{
    eval_fail(x, "attempt to expand tainted string '%.*s'", STR_ARG(text));
    log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(x->error));
    return false;
}

bool expand_nested(struct ectx *x, struct str text, struct str *out)
{
    struct expand_error err;
    if (!str_any_in(text, "$\\")) {
        *out = text;
        return true;
    }
    if (text.tainted) {
        return eval_tainted(x, text);
    }
    if (x->depth >= MAX_NESTING) {
        return eval_fail(x, "string expansion is nested too deeply");
    }
    const struct expr *e = expand_compile(x->conf, x->pool, text, &err);
    if (!e) {
        x->error = err.text;
        return false;
    }
    x->depth++;
    bool ok = eval_whole(x, text, e, out);
    x->depth--;
    return ok;
}

bool expand_text(struct ectx *x, struct str text, struct str *out)
{
    begin(x);
    return expand_nested(x, text, out);
}

bool expand_bool_option(struct ectx *x, const struct etext *opt, bool dflt, bool *out)
{
    struct str text;
    *out = dflt;
    if (str_unset(opt->text)) {
        return true;
    }
    if (!expand_option(x, opt, &text)) {
        return false;
    }
    return expand_truth(text, out) ||
           eval_fail(x, "\"%.*s\" is not a valid value for a boolean option", STR_ARG(text));
}

bool expand_truth(struct str s, bool *out)
{
    if (str_empty(s) || str_is(s, "0") || str_isi(s, "no") || str_isi(s, "false")) {
        *out = false;
        return true;
    }
    *out = true;
    return str_is(s, "1") || str_isi(s, "yes") || str_isi(s, "true");
}

void ectx_init(struct ectx *x, const struct config *conf, struct pool *pool)
{
    *x = (struct ectx){.conf = conf, .pool = pool};
}
