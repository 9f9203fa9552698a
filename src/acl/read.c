/*
 * Reads access control lists: the ACL section of a configuration, line by line, and the text of an
 * ACL that only arises at run time (inline in an option, or from a file).
 *
 * A statement begins with a verb and goes on over the lines that follow, each of which is one
 * condition or modifier, until the next verb or `name:`. Lists and expansions are compiled here, so
 * that their errors come out when the configuration is read. Everything lives in the reader's pool.
 * Errors go to the reader; a faulty line is left out and reading goes on.
 */
#include "acl/internal.h"

#include <ctype.h>

/* The arguments of acl_line for the option engine, which compiles and stores them. */
static const struct option arg_expand = {"",   OPT_EXPAND, offsetof(struct acl_line, arg), NULL, "",
                                         NULL, NULL};

static const char *const verbs[] = {
    [VERB_ACCEPT] = "accept",   [VERB_DEFER] = "defer", [VERB_DENY] = "deny",
    [VERB_DISCARD] = "discard", [VERB_DROP] = "drop",   [VERB_REQUIRE] = "require",
    [VERB_WARN] = "warn",
};

const char *acl_verb_name(enum acl_verb v)
{
    return verbs[v];
}

/* Takes a word of letters, digits and underscores off the line. */
static struct str take_word(struct str *line)
{
    *line = str_ltrim(*line);
    uint32_t n = 0;
    while (n < line->len && (isalnum((unsigned char)line->p[n]) || line->p[n] == '_')) {
        n++;
    }
    struct str word = str_sub(*line, 0, n);
    *line = str_ltrim(str_from(*line, n));
    return word;
}

static bool find_verb(struct str word, enum acl_verb *v)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (str_is(word, verbs[i])) {
            *v = (enum acl_verb)i;
            return true;
        }
    }
    return false;
}

static const struct acl_condition *find_row(struct str word)
{
    for (const struct acl_condition *row = acl_conditions; row->name; row++) {
        if (str_is(word, row->name)) {
            return row;
        }
    }
    return NULL;
}

/* `set acl_m_x`: the variable's name, which must be one of ours. */
static bool read_variable(struct opt_reader *r, struct acl_line *l, struct str *rest)
{
    struct str whole = str_rtrim(*rest), name = take_word(rest);
    bool ours = name.len > 5 && (str_starts(name, "acl_c") || str_starts(name, "acl_m")) &&
                (isdigit((unsigned char)name.p[5]) || name.p[5] == '_');
    if (!ours) {
        return opt_error(
            r,
            "error in ACL: invalid variable name after \"set\" in ACL modifier \"set %.*s\" (must start \"acl_c\" or "
            "\"acl_m\")",
            STR_ARG(whole));
    }
    if (isdigit((unsigned char)name.p[5]) && name.len > 6 &&
        !str_all_in(str_from(name, 5), "0123456789")) {
        /* acl_m1x would be read as acl_m1 followed by x nowhere else; keep what Exim allows. */
        for (uint32_t i = 5; i < name.len; i++) {
            if (!isalnum((unsigned char)name.p[i]) && name.p[i] != '_') {
                return opt_error(r, "invalid variable name \"%.*s\" in ACL modifier",
                                 STR_ARG(name));
            }
        }
    }
    l->var = str_dup(r->pool, name);
    return true;
}

/* The value after the equals sign; a quoted one has its quotes undone by the option engine's rules. */
static bool read_value(struct opt_reader *r, struct acl_line *l, struct str rest)
{
    const struct acl_condition *row = l->row;
    if (row->flags & AC_NO_ARG) {
        return str_empty(rest) ? true
                               : opt_error(r, "ACL error: unexpected text after \"%s\"", row->name);
    }
    if (str_empty(rest) || rest.p[0] != '=') {
        return opt_error(r, "error in ACL: \"=\" missing after ACL \"%s\" %s", row->name,
                         row->flags & AC_MODIFIER ? "modifier" : "condition");
    }
    struct option opt = arg_expand;
    opt.name = row->name;
    if (row->flags & AC_LIST) {
        opt.type = row->list;
    }
    struct str value = str_trim(str_from(rest, 1));
    if (row->check && str_chr(value, '$') < 0 && !row->check(r, value)) {
        return false;
    }
    return opt_set(r, &opt, l, value, false);
}

/* One condition or modifier, appended to the statement; `whole` is its line, for errors. */
static bool read_condition(struct opt_reader *r, struct acl_statement *s, struct str text,
                           struct str whole)
{
    bool negated = text.p[0] == '!';
    if (negated) {
        text = str_from(text, 1);
    }
    struct str word = take_word(&text);
    const struct acl_condition *row = find_row(word);
    if (!row) {
        return opt_error(r, "error in ACL: unknown ACL condition/modifier in \"%.*s\"",
                         STR_ARG(whole));
    }
    if (negated && (row->flags & AC_MODIFIER)) {
        return opt_error(r, "error in ACL: ACL error: negation is not allowed with \"%s\"",
                         row->name);
    }
    if (row->flags & AC_UNSUPPORTED) {
        return opt_error(r, "ACL %s \"%s\" is not supported by this version of minim",
                         row->flags & AC_MODIFIER ? "modifier" : "condition", row->name);
    }
    if (str_is(word, "endpass") && s->verb != VERB_ACCEPT && s->verb != VERB_DISCARD) {
        return opt_error(r, "error in ACL: ACL error: \"%s\" is not allowed with \"%s\"", row->name,
                         acl_verb_name(s->verb));
    }
    struct acl_line *l = POOL_NEW(r->pool, struct acl_line);
    l->row = row;
    l->negated = negated;
    const char *saved = r->option;
    r->option = row->name;
    bool ok = (!str_is(word, "set") || read_variable(r, l, &text)) && read_value(r, l, text);
    r->option = saved;
    if (ok) {
        *s->last = l;
        s->last = &l->next;
    }
    return ok;
}

/* The statement that lines without a verb go on with. */
static struct acl_statement *last_statement(struct acl *acl)
{
    struct acl_statement *s = acl->first;
    while (s && s->next) {
        s = s->next;
    }
    return s;
}

bool acl_add_line(struct opt_reader *r, struct acl *acl, struct str line)
{
    struct str rest = str_trim(line);
    struct str all = rest;
    if (str_empty(rest) || rest.p[0] == '#') {
        return true;
    }
    enum acl_verb verb;
    struct str word = take_word(&rest);
    struct acl_statement *s;
    if (find_verb(word, &verb)) {
        s = POOL_NEW(r->pool, struct acl_statement);
        *s = (struct acl_statement){.verb = verb, .last = &s->first, .pos = r->pos};
        s->pos.line = r->last_line > s->pos.line ? r->last_line : s->pos.line;
        *acl->last = s;
        acl->last = &s->next;
    } else {
        s = last_statement(acl);
        rest = all;
        if (!s) {
            return opt_error(r, "error in ACL: unknown ACL verb \"%.*s\" in \"%.*s\"",
                             STR_ARG(word), STR_ARG(all));
        }
    }
    return str_empty(rest) ? true : read_condition(r, s, rest, all);
}

/* If the line is "name:", gives the name. */
static bool is_label(struct str line, struct str *name)
{
    if (line.len < 2 || line.p[line.len - 1] != ':') {
        return false;
    }
    struct str s = str_rtrim(str_sub(line, 0, line.len - 1u));
    for (uint32_t i = 0; i < s.len; i++) {
        if (!isalnum((unsigned char)s.p[i]) && !strchr("_-.", s.p[i])) {
            return false;
        }
    }
    *name = s;
    return s.len > 0;
}

static bool begin_acl(struct opt_reader *r, struct acl_settings *set, struct str name)
{
    if (!r->conf->acls) {
        r->conf->acls = map_new(r->pool, false);
    }
    if (map_find(r->conf->acls, name)) {
        return opt_error(r, "there are two ACLs called \"%.*s\"", STR_ARG(name));
    }
    struct acl *acl = POOL_NEW(r->pool, struct acl);
    acl->name = str_dup(r->pool, name);
    acl->last = &acl->first;
    map_set(r->conf->acls, acl->name, acl);
    set->last = acl;
    return true;
}

bool acl_read_line(struct opt_reader *r, struct str line)
{
    struct acl_settings *set = r->conf->settings[ROOM_ACL];
    line = str_trim(line);
    struct str name;
    if (is_label(line, &name)) {
        return begin_acl(r, set, name);
    }
    if (!set->last) {
        return opt_error(r, "missing or malformed ACL name");
    }
    return acl_add_line(r, set->last, line);
}

bool acl_link(struct config *conf, struct opt_reader *r)
{
    /* Names in acl = … may come from expansions and stand for files, so they are looked up when used. */
    (void)conf;
    (void)r;
    return true;
}

/* ---- at run time ---- */

struct capture {
    struct pool *pool;
    struct str error;
};

static void capture_error(struct opt_reader *r, const char *text)
{
    static const char prefix[] = "error in ACL: ";
    struct capture *c = r->closure;
    if (str_unset(c->error)) {
        struct str error = str_c(text);
        c->error =
            str_dup(c->pool, str_from(error, str_starts(error, prefix) ? strlen(prefix) : 0));
    }
}

struct acl *acl_compile(struct ectx *x, struct str name, struct str text, struct str *error)
{
    struct capture cap = {.pool = x->pool};
    /* The reader changes nothing of a configuration that is read already; the type says more. */
    struct config conf = *x->conf;
    struct opt_reader r = {.pool = x->pool,
                           .option = "acl",
                           .pos = {.file = x->conf->file, .line = x->conf->lines, .col = 1},
                           .conf = &conf,
                           .compile = expand_compile_option,
                           .compile_list = expand_compile_list,
                           .error = capture_error,
                           .closure = &cap};
    struct acl *acl = POOL_NEW(x->pool, struct acl);
    acl->is_inline = str_unset(name);
    acl->name = acl->is_inline ? STR("(inline)") : name;
    acl->last = &acl->first;
    struct str line;
    while (str_next(&text, '\n', &line)) {
        /* A backslash joins lines, as in the configuration file. */
        while (line.len && line.p[line.len - 1] == '\\') {
            struct str more = STR("");
            bool got = str_next(&text, '\n', &more);
            line = STR_CAT(x->pool, str_sub(line, 0, line.len - 1u), str_ltrim(more));
            if (!got) {
                break;
            }
        }
        if (!acl_add_line(&r, acl, line)) {
            *error = cap.error;
            return NULL;
        }
    }
    return acl;
}
