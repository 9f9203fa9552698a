/*
 * Conditions of ${if and its relatives: symbols and names, and/or groups, def:, forany and forall.
 *
 * The parser starts at the condition and ends right behind it. Errors are the parser's (parse.c).
 */
#include "expand/internal.h"

#include <ctype.h>

/* A symbol (=, ==, <, <=, >, >=) or a name. */
static struct str condition_name(struct parser *p)
{
    uint32_t start = p->at;
    char c = parse_peek(p);
    if (c == '=' || c == '<' || c == '>') {
        p->at++;
        parse_take(p, '=');
        return str_sub(p->text, start, p->at - start);
    }
    return parse_name(p, "_");
}

static bool missing_bracket(struct parser *p, struct str name)
{
    return parse_fail(p, "missing { after \"%.*s\"", STR_ARG(name));
}

static bool unknown(struct parser *p, struct str name, const char *group)
{
    if (!group) {
        return parse_fail(p, "unknown condition \"%.*s\"", STR_ARG(name));
    }
    bool item = strcmp(group, "filter") == 0;
    bool logical = strcmp(group, "and") == 0 || strcmp(group, "or") == 0;
    return parse_fail(p, "unknown condition \"%.*s\" inside \"%s%s\" %s", STR_ARG(name), group,
                      logical ? "{...}" : "", item ? "item" : "condition");
}

/* def:name */
static bool parse_def(struct parser *p, struct str word, struct cond *c)
{
    uint32_t prefix;
    (void)word;
    if (!parse_take(p, ':')) {
        return parse_fail(p, "\":\" expected after \"def\"");
    }
    struct str name = parse_name(p, "_");
    char header = header_prefix(name, &prefix);
    if (header) {
        c->kind = COND_DEF_HEADER;
        c->header = header;
        c->name = parse_header_name(p, str_from(name, prefix));
        return true;
    }
    if (str_empty(name)) {
        return parse_fail(p, "variable name omitted after \"def:\"");
    }
    c->kind = COND_DEF;
    c->name = name;
    c->variable = find_variable_row(p->conf, name);
    if (!c->variable) {
        return parse_fail(p, "unknown variable \"%.*s\" after \"def:\"%s", STR_ARG(name),
                          parse_acl_hint(name));
    }
    return true;
}

/* {{condition}{condition}…} */
static bool parse_group(struct parser *p, struct str name, struct cond *c)
{
    bool and = str_is(name, "and");
    const char *word = and? "and" : "or";
    c->kind = and? COND_AND : COND_OR;
    const struct cond **last = &c->sub;
    parse_space(p);
    if (!parse_take(p, '{')) {
        return missing_bracket(p, name);
    }
    for (parse_space(p); !parse_take(p, '}'); parse_space(p)) {
        if (!parse_take(p, '{')) {
            return parse_fail(
                p, "each subcondition inside an \"%s{...}\" condition must be in its own {}", word);
        }
        if (!parse_condition(p, word, last)) {
            return false;
        }
        last = (const struct cond **)(uintptr_t) & (*last)->next;
        parse_space(p);
        if (!parse_take(p, '}')) {
            return parse_fail(p, "missing } at end of condition inside \"%s\" group", word);
        }
    }
    return true;
}

/* {list}{condition} */
static bool parse_for(struct parser *p, struct str name, struct cond *c)
{
    const char *word = str_cstr(p->pool, name);
    c->kind = str_starts(name, "forany") ? COND_FORANY : COND_FORALL;
    c->json = str_ends(name, STR("_jsons")) ? 2 : str_ends(name, STR("_json")) ? 1 : 0;
    parse_space(p);
    if (parse_peek(p) != '{') {
        return missing_bracket(p, name);
    }
    if (!parse_args(p, 1, &c->args, &c->n)) {
        return false;
    }
    if (!parse_take(p, '{')) {
        return missing_bracket(p, name);
    }
    if (!parse_condition(p, word, &c->sub)) {
        return false;
    }
    parse_space(p);
    return parse_take(p, '}') || parse_fail(p, "missing } at end of condition inside \"%s\"", word);
}

/* True if the condition's second argument is a list or pattern in which $ is not special. */
static bool second_is_list(const char *name)
{
    return strncmp(name, "match_", 6) == 0;
}

static bool parse_tests_args(struct parser *p, struct cond *c)
{
    const struct expand_condition *row = c->row;
    struct vec v = {.pool = p->pool};
    const struct expand_arg *a;
    for (parse_space(p); v.n < (size_t)row->max_args && parse_peek(p) == '{';) {
        if (!parse_braced(p, !(v.n == 1 && second_is_list(row->name)), &a)) {
            return false;
        }
        vec_push(&v, (void *)(uintptr_t)a);
        if (v.n < (size_t)row->max_args) {
            parse_space(p);
        }
    }
    if (v.n < (size_t)row->min_args) {
        return v.n == 0 ? missing_bracket(p, str_c(row->name))
                        : parse_fail(p, "missing 2nd string in {} after \"%s\"", row->name);
    }
    const struct expand_arg **args = pool_calloc(p->pool, v.n + 1, sizeof *args);
    for (size_t i = 0; i < v.n; i++) {
        args[i] = v.v[i];
    }
    c->args = args;
    c->n = v.n;
    return true;
}

/* acl {{name}{arg}…}: the arguments stand together in brackets. */
static bool parse_grouped_args(struct parser *p, struct cond *c)
{
    parse_space(p);
    if (!parse_take(p, '{')) {
        return missing_bracket(p, str_c(c->row->name));
    }
    if (!parse_args(p, (size_t)c->row->max_args, &c->args, &c->n)) {
        return false;
    }
    if (c->n < (size_t)c->row->min_args || !parse_take(p, '}')) {
        return parse_fail(p, "too %s arguments or bracketing error for %s",
                          c->n < (size_t)c->row->min_args ? "few" : "many", c->row->name);
    }
    return true;
}

static bool parse_test(struct parser *p, struct str name, const char *group, struct cond *c)
{
    c->kind = COND_TEST;
    c->row = find_condition_row(p->conf, name);
    if (!c->row) {
        return unknown(p, name, group);
    }
    if (!c->row->test) {
        return parse_fail(
            p, "condition \"%s\" is known to Exim but not supported by this version of minim",
            c->row->name);
    }
    return c->row->grouped ? parse_grouped_args(p, c) : parse_tests_args(p, c);
}

/* Conditions that hold other conditions, or are not followed by texts. */
static const struct {
    const char *name;
    bool (*parse)(struct parser *p, struct str name, struct cond *c);
    const char *doc;
} compounds[] = {
    {"and", parse_group, "each of the conditions in braces is true"},
    {"def", parse_def, "the variable, or the header line, is there: `def:name`"},
    {"forall", parse_for, "the condition is true for each item of a list"},
    {"forall_json", parse_for, "the same for a JSON array"},
    {"forall_jsons", parse_for, "the same for a JSON array of texts, without their quotes"},
    {"forany", parse_for, "the condition is true for an item of a list"},
    {"forany_json", parse_for, "the same for a JSON array"},
    {"forany_jsons", parse_for, "the same for a JSON array of texts, without their quotes"},
    {"or", parse_group, "one of the conditions in braces is true"},
};

const char *expand_compound(size_t i, const char **doc)
{
    *doc = i < ARRAY_LEN(compounds) ? compounds[i].doc : NULL;
    return i < ARRAY_LEN(compounds) ? compounds[i].name : NULL;
}

static bool parse_one(struct parser *p, struct str name, const char *group, struct cond *c)
{
    for (size_t i = 0; i < ARRAY_LEN(compounds); i++) {
        if (str_is(name, compounds[i].name)) {
            return compounds[i].parse(p, name, c);
        }
    }
    return parse_test(p, name, group, c);
}

bool parse_condition(struct parser *p, const char *group, const struct cond **out)
{
    struct cond *c = POOL_NEW(p->pool, struct cond);
    if (++p->depth > MAX_NESTING) {
        return parse_fail(p, "string expansion is nested too deeply");
    }
    parse_space(p);
    while (parse_take(p, '!')) {
        c->negated = !c->negated;
        parse_space(p);
    }
    struct str name = condition_name(p);
    if (str_empty(name)) {
        struct str rest = str_sub(p->text, p->at, 16);
        bool for_any = str_starts(str_c(group), "for");
        return parse_fail(p, "condition name expected, but found \"%.*s\"%s%s%s", STR_ARG(rest),
                          for_any ? " inside \"" : "", for_any ? group : "",
                          for_any ? "\" condition" : "");
    }
    *out = c;
    bool ok = parse_one(p, name, group, c);
    p->depth--;
    return ok;
}
