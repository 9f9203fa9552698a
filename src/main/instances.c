/*
 * Sections of driver instances: routers, transports, authenticators.
 *
 * An instance is a line "name:" and options. Generic rows fill the instance's struct, the driver's
 * own rows the struct behind its `opts`, which exists once `driver` is set. When an instance is
 * complete its driver's init function may check it. Errors do not end the section.
 */
#include "auth/auth.h"
#include "main/internal.h"

#include <ctype.h>

const struct instance_class instance_classes[INSTANCE_KINDS] = {
    [INSTANCE_ROUTER] = {"router", router_options},
    [INSTANCE_TRANSPORT] = {"transport", transport_options},
    [INSTANCE_AUTHENTICATOR] = {"authenticator", auth_options},
};

/* The instance that is being read. */
struct building {
    struct reader *rd;
    struct instance i;
    struct cfg_pos pos;
    struct map *generic_seen, *own_seen;
    bool ignore; /* its driver is not to be had: its options cannot be judged */
    struct router *router;
    struct transport *transport;
    struct authenticator *authenticator;
    struct router **router_end;
    struct transport **transport_end;
    struct authenticator **authenticator_end;
    struct map *names;
};

/* ---- drivers ---- */

void instance_drivers(const struct module *const *rooms, enum instance_kind kind,
                      bool (*f)(void *closure, const char *name, const struct option *rows),
                      void *closure)
{
    for (const struct module *const *m = rooms; *m; m++) {
        for (const struct router_driver *const *d = (*m)->routers;
             kind == INSTANCE_ROUTER && d && *d; d++) {
            if (!f(closure, (*d)->name, (*d)->options)) {
                return;
            }
        }
        for (const struct transport_driver *const *d = (*m)->transports;
             kind == INSTANCE_TRANSPORT && d && *d; d++) {
            if (!f(closure, (*d)->name, (*d)->options)) {
                return;
            }
        }
        for (const struct auth_driver *const *d = (*m)->auths;
             kind == INSTANCE_AUTHENTICATOR && d && *d; d++) {
            if (!f(closure, (*d)->name, (*d)->options)) {
                return;
            }
        }
    }
}

static const struct router_driver *router_driver(const struct config *conf, struct str name)
{
    for (const struct module *const *m = conf->modules; *m; m++) {
        for (const struct router_driver *const *d = (*m)->routers; d && *d; d++) {
            if (str_is(name, (*d)->name)) {
                return *d;
            }
        }
    }
    return NULL;
}

static const struct transport_driver *transport_driver(const struct config *conf, struct str name)
{
    for (const struct module *const *m = conf->modules; *m; m++) {
        for (const struct transport_driver *const *d = (*m)->transports; d && *d; d++) {
            if (str_is(name, (*d)->name)) {
                return *d;
            }
        }
    }
    return NULL;
}

static const struct auth_driver *auth_driver(const struct config *conf, struct str name)
{
    for (const struct module *const *m = conf->modules; *m; m++) {
        for (const struct auth_driver *const *d = (*m)->auths; d && *d; d++) {
            if (str_is(name, (*d)->name)) {
                return *d;
            }
        }
    }
    return NULL;
}

/* Gives the instance its driver, if this program has it. */
static bool take_driver(struct building *b, struct str name)
{
    struct pool *pool = b->rd->opt.pool;
    const struct router_driver *r = b->router ? router_driver(b->rd->conf, name) : NULL;
    const struct transport_driver *t = b->transport ? transport_driver(b->rd->conf, name) : NULL;
    const struct auth_driver *a = b->authenticator ? auth_driver(b->rd->conf, name) : NULL;
    if (r) {
        b->router->driver = r;
        b->i.opts = b->router->opts = pool_zalloc(pool, r->opts_size ? r->opts_size : 1);
        b->i.driver = r->name;
        b->i.options = r->options;
    } else if (t) {
        b->transport->driver = t;
        b->transport->local = t->local;
        b->i.opts = b->transport->opts = pool_zalloc(pool, t->opts_size ? t->opts_size : 1);
        b->i.driver = t->name;
        b->i.options = t->options;
    } else if (a) {
        b->authenticator->driver = a;
        b->i.opts = b->authenticator->opts = pool_zalloc(pool, a->opts_size ? a->opts_size : 1);
        b->i.driver = a->name;
        b->i.options = a->options;
    } else {
        return false;
    }
    return opt_defaults(&b->rd->opt, b->i.options, b->i.opts) || true;
}

static bool set_driver(struct building *b, const struct setting *s)
{
    struct opt_reader *r = &b->rd->opt;
    const char *word = instance_classes[b->i.kind].word;
    if (b->i.driver || b->ignore) {
        return opt_error(r, "\"driver\" option set for the second time");
    }
    if (str_empty(s->value)) {
        return opt_error(r, "unexpected end of line (data missing) after driver");
    }
    if (take_driver(b, s->value)) {
        return true;
    }
    b->ignore = true;
    reader_at(b->rd, s->value_at);
    return unsupported_driver(b->i.kind, s->value)
               ? opt_error(r,
                           "%s driver \"%.*s\" is known to Exim but not supported by this "
                           "version of minim",
                           word, STR_ARG(s->value))
               : opt_error(r, "%s %.*s: cannot find %s driver \"%.*s\"", word, STR_ARG(b->i.name),
                           word, STR_ARG(s->value));
}

/* ---- options ---- */

/* A row by name, or by the name without no_ or not_, which is then cut off the setting. */
static const struct option *find_row(const struct option *rows, struct setting *s)
{
    const struct option *row = opt_find(rows, s->name);
    uint32_t prefix = str_starts(s->name, "no_") ? 3 : str_starts(s->name, "not_") ? 4 : 0;
    if (!row && prefix) {
        row = opt_find(rows, str_from(s->name, prefix));
        s->negated = row != NULL;
        s->name = row ? str_from(s->name, prefix) : s->name;
    }
    return row;
}

/* An option that no row of ours has. */
static bool unknown_option(struct building *b, struct setting *s)
{
    struct opt_reader *r = &b->rd->opt;
    struct str word = str_c(instance_classes[b->i.kind].word);
    const struct option *row = find_row(unsupported_options(word), s);
    if (!row && b->i.driver) {
        struct str table = STR_CAT(r->pool, word, STR("/"), str_c(b->i.driver));
        row = find_row(unsupported_options(table), s);
    }
    if (row) {
        return unsupported_harmless(row, s) || opt_set(r, row, NULL, s->value, s->negated);
    }
    return opt_error(r, "option \"%.*s\" unknown%s", STR_ARG(s->name),
                     b->i.driver ? ""
                                 : " (\"driver\" must be specified before any private options)");
}

struct str hidden_key(struct pool *pool, const struct instance *i, struct str option)
{
    return STR_CAT(pool, str_c(instance_classes[i->kind].word), STR("/"),
                   str_c(i->driver ? i->driver : ""), STR("/"), option);
}

static bool instance_option(struct building *b)
{
    struct reader *rd = b->rd;
    struct setting s;
    if (!read_setting(rd, &s)) {
        return false;
    }
    if (str_is(s.name, "driver")) {
        return set_driver(b, &s);
    }
    const struct option *row = find_row(instance_classes[b->i.kind].generic, &s);
    void *base = row ? b->i.base : b->i.opts;
    rd->seen = row ? b->generic_seen : b->own_seen;
    row = row ? row : find_row(b->i.options, &s);
    if (!row) {
        return b->ignore || unknown_option(b, &s);
    }
    if (s.hide) {
        map_set(rd->conf->hidden, hidden_key(rd->opt.pool, &b->i, str_c(row->name)), rd->conf);
    }
    return read_apply(rd, row, base, &s);
}

/* ---- instances ---- */

/* True if the line is "name:", perhaps with something behind it. */
static bool instance_line(struct str line, struct str *name, struct str *rest)
{
    uint32_t n = 0;
    while (n < line.len && (isalnum((unsigned char)line.p[n]) || line.p[n] == '_')) {
        n++;
    }
    *name = str_sub(line, 0, n);
    *rest = str_ltrim(str_from(line, n));
    if (!str_starts(*rest, ":")) {
        return false;
    }
    *rest = str_ltrim(str_from(*rest, 1));
    return true;
}

/* Checks the instance that ends here. */
static void end_instance(struct building *b)
{
    if (str_unset(b->i.name)) {
        return;
    }
    struct opt_reader *r = &b->rd->opt;
    const char *word = instance_classes[b->i.kind].word;
    b->rd->at = NULL;
    r->pos = b->pos;
    r->option = "";
    if (!b->i.driver && !b->ignore) {
        opt_error(r, "no driver defined for %s \"%.*s\"", word, STR_ARG(b->i.name));
    } else if (b->router && b->i.driver && b->router->driver->init) {
        b->router->driver->init(r, b->router);
    } else if (b->transport && b->i.driver && b->transport->driver->init) {
        b->transport->driver->init(r, b->transport);
    }
    b->i.name = STR_NONE;
}

/* Puts a new struct at the end of the configuration's list. */
static void new_struct(struct building *b)
{
    struct pool *pool = b->rd->opt.pool;
    b->router = NULL;
    b->transport = NULL;
    b->authenticator = NULL;
    if (b->i.kind == INSTANCE_ROUTER) {
        b->i.base = *b->router_end = b->router = POOL_NEW(pool, struct router);
        b->router_end = &b->router->next;
        b->router->name = b->i.name;
        b->router->pos = b->pos;
    } else if (b->i.kind == INSTANCE_TRANSPORT) {
        b->i.base = *b->transport_end = b->transport = POOL_NEW(pool, struct transport);
        b->transport_end = &b->transport->next;
        b->transport->name = b->i.name;
        b->transport->pos = b->pos;
    } else {
        b->i.base = *b->authenticator_end = b->authenticator = POOL_NEW(pool, struct authenticator);
        b->authenticator_end = &b->authenticator->next;
        b->authenticator->name = b->i.name;
        b->authenticator->pos = b->pos;
    }
}

static void begin_instance(struct building *b, struct str name, struct str rest)
{
    struct opt_reader *r = &b->rd->opt;
    const char *word = instance_classes[b->i.kind].word;
    struct instance fresh = {.kind = b->i.kind, .name = str_dup(r->pool, name)};
    b->i = fresh;
    b->pos = r->pos;
    b->ignore = false;
    b->generic_seen = map_new(r->pool, false);
    b->own_seen = map_new(r->pool, false);
    if (str_empty(name) || isdigit((unsigned char)name.p[0])) {
        opt_error(r, "%s name missing", word);
    } else if (map_get(b->names, name)) {
        opt_error(r, "there are two %ss called \"%.*s\"", word, STR_ARG(name));
    }
    if (!str_empty(rest)) {
        opt_error(r, "extra characters follow driver name %.*s", STR_ARG(name));
    }
    map_set(b->names, name, b->names);
    new_struct(b);
    opt_defaults(r, instance_classes[b->i.kind].generic, b->i.base);
}

static void section_line(struct building *b)
{
    struct str line = b->rd->line.text, name, rest;
    reader_at(b->rd, 0);
    if (macros_is_definition(line)) {
        end_instance(b);
        reader_at(b->rd, 0);
        read_macro(b->rd);
    } else if (instance_line(line, &name, &rest)) {
        end_instance(b);
        reader_at(b->rd, 0);
        begin_instance(b, name, rest);
    } else if (str_unset(b->i.name)) {
        opt_error(&b->rd->opt, "%s name missing", instance_classes[b->i.kind].word);
    } else {
        instance_option(b);
    }
}

bool read_instances(struct reader *rd, enum instance_kind kind)
{
    bool more;
    struct building b = {.rd = rd, .i = {.kind = kind}};
    b.names = map_new(rd->opt.pool, false);
    b.router_end = &rd->conf->routers;
    b.transport_end = &rd->conf->transports;
    b.authenticator_end = &rd->conf->auths;
    while (*b.router_end) {
        b.router_end = &(*b.router_end)->next;
    }
    while (*b.transport_end) {
        b.transport_end = &(*b.transport_end)->next;
    }
    while (*b.authenticator_end) {
        b.authenticator_end = &(*b.authenticator_end)->next;
    }
    while ((more = lines_next(rd->lines, &rd->line)) && str_unset(line_begins(rd->line.text))) {
        section_line(&b);
    }
    struct line next = rd->line;
    end_instance(&b);
    rd->line = next;
    return more;
}

void instances_each(const struct config *conf, enum instance_kind kind,
                    bool (*f)(void *closure, const struct instance *i), void *closure)
{
    bool more = true;
    for (struct router *r = kind == INSTANCE_ROUTER ? conf->routers : NULL; r && more;
         r = r->next) {
        struct instance i = {kind, r->name, r->driver->name, r->driver->options, r, r->opts};
        more = f(closure, &i);
    }
    for (struct transport *t = kind == INSTANCE_TRANSPORT ? conf->transports : NULL; t && more;
         t = t->next) {
        struct instance i = {kind, t->name, t->driver->name, t->driver->options, t, t->opts};
        more = f(closure, &i);
    }
    for (struct authenticator *a = kind == INSTANCE_AUTHENTICATOR ? conf->auths : NULL; a && more;
         a = a->next) {
        struct instance i = {kind, a->name, a->driver->name, a->driver->options, a, a->opts};
        more = f(closure, &i);
    }
}
