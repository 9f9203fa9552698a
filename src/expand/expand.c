/*
 * The expand module: its options, and the tables of all rooms' rows by name.
 *
 * Rows are found through maps that are made at the first use of a configuration, in its pool. A
 * name that two rows claim is a programming error and found then.
 */
#include "expand/internal.h"

#define O(field) offsetof(struct expand_settings, field)

static const struct option options[] = {
    {"check_rfc2047_length", OPT_BOOL, O(check_rfc2047_length), "true",
     "encoded words longer than RFC 2047 allows are not decoded", NULL, NULL},
    {"strict_acl_vars", OPT_BOOL, O(strict_acl_vars), "false",
     "use of an ACL variable that is not set is an error", NULL, NULL},
    {0},
};

const struct expand_settings *expand_settings(const struct config *conf)
{
    return conf->settings[ROOM_EXPAND];
}

static void add_row(struct map *m, const char *name, const void *row)
{
    if (map_find(m, str_c(name))) {
        BUG("two rows are named %s", name);
    }
    map_set(m, str_c(name), (void *)(uintptr_t)row);
}

static void add_variables(struct expand_settings *s, const struct variable *rows,
                          struct vec *prefixes)
{
    for (const struct variable *v = rows; v && v->name; v++) {
        if (v->name[strlen(v->name) - 1] == '*') {
            vec_push(prefixes, (void *)(uintptr_t)v);
        } else {
            add_row(s->variables, v->name, v);
        }
    }
}

static void add_module(struct expand_settings *s, const struct module *m, struct vec *prefixes)
{
    add_variables(s, m->variables, prefixes);
    for (const struct expand_item *i = m->items; i && i->name; i++) {
        add_row(s->items, i->name, i);
    }
    for (const struct expand_operator *o = m->operators; o && o->name; o++) {
        add_row(s->operators, o->name, o);
    }
    for (const struct expand_condition *c = m->conditions; c && c->name; c++) {
        add_row(s->conditions, c->name, c);
    }
}

/* Settings with the maps made. */
static const struct expand_settings *rows_ready(const struct config *conf)
{
    struct expand_settings *s = conf->settings[ROOM_EXPAND];
    if (s->variables) {
        return s;
    }
    struct vec prefixes = {.pool = conf->pool};
    s->variables = map_new(conf->pool, false);
    s->items = map_new(conf->pool, false);
    s->operators = map_new(conf->pool, false);
    s->conditions = map_new(conf->pool, false);
    for (const struct module *const *m = conf->modules; *m; m++) {
        add_module(s, *m, &prefixes);
    }
    vec_push(&prefixes, NULL);
    s->prefixes = (struct variable const **)prefixes.v;
    return s;
}

/* acl_c and acl_m are followed by a digit or an underscore, or by nothing. */
static bool prefix_fits(struct str name, struct str prefix)
{
    if (name.len < prefix.len || memcmp(name.p, prefix.p, prefix.len) != 0) {
        return false;
    }
    bool acl = str_is(prefix, "acl_c") || str_is(prefix, "acl_m");
    return !acl || name.len == prefix.len || strchr("0123456789_", name.p[prefix.len]);
}

const struct variable *find_variable_row(const struct config *conf, struct str name)
{
    const struct expand_settings *s = rows_ready(conf);
    const struct variable *v = map_get(s->variables, name);
    for (size_t i = 0; !v && s->prefixes[i]; i++) {
        struct str prefix = str_c(s->prefixes[i]->name);
        prefix.len--;
        v = prefix_fits(name, prefix) ? s->prefixes[i] : NULL;
    }
    return v;
}

const struct expand_item *find_item_row(const struct config *conf, struct str name)
{
    return map_get(rows_ready(conf)->items, name);
}

const struct expand_operator *find_operator_row(const struct config *conf, struct str name)
{
    return map_get(rows_ready(conf)->operators, name);
}

const struct expand_condition *find_condition_row(const struct config *conf, struct str name)
{
    return map_get(rows_ready(conf)->conditions, name);
}

bool expand_variable(struct ectx *x, struct str name, struct str *out)
{
    const struct variable *v = find_variable_row(x->conf, name);
    if (v) {
        *out = v->get(x, name);
        *out = str_unset(*out) ? STR("") : *out;
    }
    return v != NULL;
}

static bool finish(struct config *conf, struct opt_reader *r)
{
    expand_lend(conf);
    return match_check_refs(conf, r);
}

static const char *const features[] = {"crypteq", NULL};

const struct module expand_module = {
    .features = features,
    .name = "expand",
    .room = ROOM_EXPAND,
    .settings_size = sizeof(struct expand_settings),
    .options = options,
    .variables = expand_variables,
    .items = expand_items,
    .operators = expand_operators,
    .conditions = expand_conditions,
    .finish = finish,
};
