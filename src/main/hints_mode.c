/*
 * --hints and --tidy: what the hints databases hold, as the rooms that write them tell it, and the
 * removal of what is old. Hints are never needed for correctness; a record that cannot be read is
 * listed as such and goes when the database is tidied.
 */
#include "main/command.h"

#include <stdio.h>

enum { TIDY_DEFAULT = 30 * 86400 };

struct listing {
    struct pool *pool;
    const struct hint_kind *kind;
    int64_t oldest; /* --tidy: what was last touched before goes */
    size_t records, bad;
    struct strvec doomed; /* keys */
};

static bool show_record(void *closure, struct str key, struct str data)
{
    struct listing *l = closure;
    struct pool_mark mark = pool_mark(l->pool);
    struct str text = l->kind->show(l->pool, key, data);
    if (str_unset(text)) {
        text = str_fmt(l->pool, "%.*s: cannot be read\n", STR_ARG(key));
        l->bad++;
    }
    text = str_printable(l->pool, str_sub(text, 0, text.len - 1u), true);
    for (uint32_t i = 0; i < text.len; i++) { /* lines within a record stay lines */
        bool line = text.p[i] == '\\' && i + 1 < text.len && text.p[i + 1] == 'n';
        putchar(line ? '\n' : text.p[i]);
        i += line;
    }
    putchar('\n');
    pool_release(l->pool, mark);
    l->records++;
    return true;
}

static bool count_record(void *closure, struct str key, struct str data)
{
    struct listing *l = closure;
    (void)key, (void)data;
    l->records++;
    return true;
}

static bool doom_record(void *closure, struct str key, struct str data)
{
    struct listing *l = closure;
    l->records++;
    if (l->kind->last(data) < l->oldest) {
        strvec_push(&l->doomed, str_dup(l->doomed.pool, key));
    }
    return true;
}

typedef void kind_handler(struct command *c, const struct config *conf,
                          const struct hint_kind *kind);

static bool on_kind(struct command *c, const struct config *conf, struct str name,
                    const struct hint_kind *kind, kind_handler *f)
{
    bool meant = str_unset(name) || str_is(name, kind->name);
    if (meant) {
        f(c, conf, kind);
    }
    return meant;
}

/* One of those that there is one of for each transport, as far as they exist. */
static bool on_transports(struct command *c, const struct config *conf, struct str name,
                          const struct hint_kind *kind, kind_handler *f)
{
    bool any = false;
    for (const struct transport *t = conf->transports; t; t = t->next) {
        struct hint_kind own = *kind;
        own.name = str_cstr(c->pool, STR_CAT(c->pool, str_c(kind->name), t->name));
        if (hints_present(conf, own.name)) {
            any |= on_kind(c, conf, name, &own, f);
        }
    }
    return any;
}

/* Calls f for the kinds of the given name (unset: all); false if there is none. */
static bool each_kind(struct command *c, const struct config *conf, struct str name,
                      kind_handler *f)
{
    bool any = false;
    for (const struct module *const *m = conf->modules; *m; m++) {
        for (const struct hint_kind *k = (*m)->hints; k && k->name; k++) {
            any |=
                (str_ends(str_c(k->name), STR("-")) ? on_transports : on_kind)(c, conf, name, k, f);
        }
    }
    return any;
}

static void list_kind(struct command *c, const struct config *conf, const struct hint_kind *kind)
{
    struct listing l = {.pool = c->pool, .kind = kind};
    struct hints *h = hints_open(conf, kind->name);
    if (h) {
        hints_each(h, c->pool, c->args.n ? show_record : count_record, &l);
    }
    if (!c->args.n) {
        printf("%-10s %zu record%s\n", kind->name, l.records, l.records == 1 ? "" : "s");
    }
}

/* Unless it has been written meanwhile. */
static struct str drop_record(void *closure, struct pool *pool, struct str old)
{
    const struct listing *l = closure;
    (void)pool;
    return !str_unset(old) && l->kind->last(old) < l->oldest ? STR_NONE : old;
}

static void tidy_kind(struct command *c, const struct config *conf, const struct hint_kind *kind)
{
    int64_t age = c->args.n ? time_interval(c->args.v[0]) : TIDY_DEFAULT;
    struct listing l = {.pool = c->pool, .kind = kind, .doomed.pool = c->pool};
    struct hints *h = hints_open(conf, kind->name);
    l.oldest = time_now().tv_sec - age;
    if (h) {
        hints_each(h, c->pool, doom_record, &l);
    }
    for (size_t i = 0; i < l.doomed.n; i++) {
        hints_update(h, c->pool, l.doomed.v[i], drop_record, &l);
    }
    printf("%-10s %zu of %zu record%s removed\n", kind->name, l.doomed.n, l.records,
           l.records == 1 ? "" : "s");
}

static bool is_admin(const struct command *c)
{
    if (!c->caller.admin) {
        fprintf(stderr, "exim: permission denied\n");
    }
    return c->caller.admin;
}

int run_hints(struct command *c, const struct config *conf)
{
    struct str name = c->args.n ? c->args.v[0] : STR_NONE;
    if (!is_admin(c)) {
        return 1;
    }
    if (!each_kind(c, conf, name, list_kind)) {
        fprintf(stderr, "minim: there is no hints database \"%.*s\"\n", STR_ARG(name));
        return 1;
    }
    return 0;
}

int run_tidy(struct command *c, const struct config *conf)
{
    if (!is_admin(c)) {
        return 1;
    }
    if (c->args.n && time_interval(c->args.v[0]) < 0) {
        fprintf(stderr, "minim: \"%.*s\" is not a time\n", STR_ARG(c->args.v[0]));
        return 1;
    }
    each_kind(c, conf, STR_NONE, tidy_kind);
    return 0;
}
