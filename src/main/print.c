/*
 * -bP: settings as the rows print them. Without arguments all main options; else each argument is
 * an option, a named list (+name), or one of the words of a table. Values marked `hide` are shown
 * to admin users only.
 */
#include "main/command.h"

#include <stdio.h>
#include <stdlib.h>

extern char **environ;

/* One request. */
struct printing {
    const struct command *c;
    const struct config *conf;
    struct str name; /* of the instance asked for; unset: all */
    bool found;
};

static void put(struct str s)
{
    printf("%.*s\n", STR_ARG(s));
}

/* ---- options ---- */

static void put_option(const struct printing *p, const struct option *row, const void *base,
                       bool hidden)
{
    if (strcmp(row->name, "verify") == 0 || strcmp(row->name, "fail_verify") == 0) {
        return; /* short for two options that are shown */
    }
    struct str line = opt_print(p->c->pool, row, base);
    if (hidden && !p->c->caller.admin) {
        line = STR_CAT(p->c->pool, str_c(row->name), STR(" = <value not displayable>"));
    }
    ptrdiff_t eq = str_chr(line, '=');
    bool bare = row->type == OPT_FIXED && eq + 1 == (ptrdiff_t)line.len;
    if (p->c->names_only && eq >= 0 && row->type != OPT_BOOL && !bare) {
        line = str_ltrim(str_from(line, (size_t)eq + 1));
    }
    put(line);
}

static bool is_hidden(const struct config *conf, struct str key)
{
    return map_find(conf->hidden, key) != NULL;
}

/* Main options that print what is used where they are unset. */
static bool put_special(const struct printing *p, const char *name)
{
    const struct core_settings *s = core_settings(p->conf);
    struct pool *pool = p->c->pool;
    struct str value = STR_NONE;
    if (strcmp(name, "log_file_path") == 0 && str_empty(s->log_file_path.text)) {
        value = STR_CAT(pool, s->spool_directory, STR("/log/%slog"));
    } else if (strcmp(name, "pid_file_path") == 0 && str_empty(s->pid_file_path.text)) {
        value = STR_CAT(pool, s->spool_directory, STR("/exim-daemon.pid"));
    } else if (strcmp(name, "local_interfaces") == 0 &&
               str_empty(net_settings(p->conf)->local_interfaces.text)) {
        value = core_settings(p->conf)->disable_ipv6 ? STR("0.0.0.0") : STR("<; ::0 ; 0.0.0.0");
    } else {
        return false;
    }
    printf("%s%s%.*s\n", p->c->names_only ? "" : name, p->c->names_only ? "" : " = ",
           STR_ARG(value));
    return true;
}

static void put_main(const struct printing *p, const struct module *m, const struct option *row)
{
    if (!put_special(p, row->name)) {
        put_option(p, row, p->conf->settings[m->room], is_hidden(p->conf, str_c(row->name)));
    }
}

/* A main row and its module, for sorting. */
struct main_row {
    const struct option *row;
    const struct module *module;
};

static int by_row_name(const void *a, const void *b)
{
    return strcmp(((const struct main_row *)a)->row->name, ((const struct main_row *)b)->row->name);
}

static bool is_real(const struct option *row)
{
    return row->type != OPT_ALIAS && row->type != OPT_UNSUPPORTED;
}

static void put_all_main(const struct printing *p)
{
    size_t n = 0;
    for (const struct module *const *m = p->conf->modules; *m; m++) {
        for (const struct option *row = (*m)->options; row && row->type != OPT_END; row++) {
            n += is_real(row);
        }
    }
    struct main_row *rows = pool_calloc(p->c->pool, n, sizeof *rows);
    n = 0;
    for (const struct module *const *m = p->conf->modules; *m; m++) {
        for (const struct option *row = (*m)->options; row && row->type != OPT_END; row++) {
            if (is_real(row)) {
                rows[n++] = (struct main_row){row, *m};
            }
        }
    }
    qsort(rows, n, sizeof *rows, by_row_name);
    for (size_t i = 0; i < n; i++) {
        put_main(p, rows[i].module, rows[i].row);
    }
}

static bool put_one_main(const struct printing *p, struct str name)
{
    for (const struct module *const *m = p->conf->modules; *m; m++) {
        const struct option *row = opt_find((*m)->options, name);
        if (row && is_real(row)) {
            put_main(p, *m, row);
            return true;
        }
    }
    return false;
}

/* ---- instances ---- */

static int by_option_name(const void *a, const void *b)
{
    const struct option *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* A table in the order of names; the generic one with the name of the driver among them. */
static void put_rows(const struct printing *p, const struct instance *i, const struct option *rows,
                     const void *base)
{
    static const struct option driver = {.name = "driver", .type = OPT_STRING};
    struct vec sorted = {.pool = p->c->pool};
    if (base == i->base) {
        vec_push(&sorted, (void *)(uintptr_t)&driver);
    }
    for (; rows && rows->type != OPT_END; rows++) {
        if (is_real(rows) && strcmp(rows->name, "driver") != 0) {
            vec_push(&sorted, (void *)(uintptr_t)rows);
        }
    }
    if (sorted.n) {
        qsort(sorted.v, sorted.n, sizeof *sorted.v, by_option_name);
    }
    for (size_t k = 0; k < sorted.n; k++) {
        const struct option *row = sorted.v[k];
        if (row == &driver) {
            printf(p->c->names_only ? "%s\n" : "driver = %s\n", i->driver);
        } else {
            put_option(p, row, base,
                       is_hidden(p->conf, hidden_key(p->c->pool, i, str_c(row->name))));
        }
    }
}

static bool put_instance(void *closure, const struct instance *i)
{
    struct printing *p = closure;
    if (!str_unset(p->name) && !str_eq(p->name, i->name)) {
        return true;
    }
    if (str_unset(p->name)) {
        printf("\n%.*s %s:\n", STR_ARG(i->name), instance_classes[i->kind].word);
    }
    p->found = true;
    put_rows(p, i, instance_classes[i->kind].generic, i->base);
    put_rows(p, i, i->options, i->opts);
    return true;
}

static bool put_instance_name(void *closure, const struct instance *i)
{
    (void)closure;
    put(i->name);
    return true;
}

/* "router NAME", "router_list", "routers". False if the word is none of these. */
static bool put_instances(struct printing *p, struct str word, struct str name, size_t *used,
                          int *status)
{
    for (int kind = 0; kind < INSTANCE_KINDS; kind++) {
        struct str what = str_c(instance_classes[kind].word);
        struct str rest = str_from(word, what.len);
        if (!str_eq(str_sub(word, 0, what.len), what)) {
            continue;
        }
        if (str_is(rest, "_list")) {
            instances_each(p->conf, kind, put_instance_name, p);
            return true;
        }
        if (!str_is(rest, "s") && !(str_empty(rest) && !str_unset(name))) {
            continue;
        }
        *used += str_empty(rest);
        p->name = str_empty(rest) ? name : STR_NONE;
        p->found = false;
        instances_each(p->conf, kind, put_instance, p);
        if (str_empty(rest) && !p->found) {
            printf("%s %.*s not found\n", what.p, STR_ARG(name));
            *status = 1;
        }
        return true;
    }
    return false;
}

/* ---- named lists, macros, the rest ---- */

static bool put_named_list(const struct printing *p, struct str name)
{
    static const struct {
        int kind;
        const char *word;
    } kinds[] = {{LIST_ADDRESSES, "address"},
                 {LIST_DOMAINS, "domain"},
                 {LIST_HOSTS, "host"},
                 {LIST_LOCALPARTS, "localpart"}};
    bool found = false;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct named_list *l = map_get(p->conf->named_lists[kinds[i].kind], name);
        if (l) {
            struct str text = l->hide ? STR("<value not displayable>") : l->text.text;
            found = true;
            if (p->c->names_only) {
                put(text);
            } else {
                printf("%slist %.*s = %.*s\n", kinds[i].word, STR_ARG(name), STR_ARG(text));
            }
        }
    }
    if (!found) {
        printf("no address, domain, host, or local part list called \"%.*s\" exists\n",
               STR_ARG(name));
    }
    return found;
}

/* `list` asks for the names; else -n asks for the values. */
static void put_macro(const struct printing *p, bool list, struct str name, struct str text)
{
    if (list || p->c->names_only) {
        put(list ? name : text);
    } else {
        printf("%.*s=%.*s\n", STR_ARG(name), STR_ARG(text));
    }
}

static void put_macros(struct printing *p, bool list)
{
    struct macros *m = main_settings(p->conf)->macros;
    for (struct map_entry *e = map_first(macros_builtin(m)); e; e = e->next) {
        if (e->value) {
            put_macro(p, list, e->key, str_c(e->value));
        }
    }
    for (const struct macro *e = m->first; e; e = e->next) {
        put_macro(p, list, e->name, e->text);
    }
}

/* "macro NAME", "macro_list", "macros"; for admin users. False if the word is none of these. */
static bool put_macro_words(struct printing *p, struct str word, struct str name, size_t *used,
                            int *status)
{
    bool one = str_is(word, "macro") && !str_unset(name), list = str_is(word, "macro_list");
    if (!one && !list && !str_is(word, "macros")) {
        return false;
    }
    *used += one;
    if (!p->c->caller.admin) {
        fprintf(stderr, "exim: permission denied\n");
        *status = 1;
        return true;
    }
    if (one) {
        struct str text = macros_get(main_settings(p->conf)->macros, name);
        if (str_unset(text)) {
            printf("%.*s %.*s not found\n", STR_ARG(word), STR_ARG(name));
            *status = 1;
        } else {
            put_macro(p, false, name, text);
        }
        return true;
    }
    put_macros(p, list);
    return true;
}

static void put_environment(const struct printing *p)
{
    for (char **e = environ; e && *e; e++) {
        const char *eq = strchr(*e, '=');
        printf("%.*s\n", p->c->names_only && eq ? (int)(eq - *e) : (int)strlen(*e), *e);
    }
}

static bool put_word(struct printing *p, struct str word, int *status)
{
    if (str_starts(word, "+")) {
        *status = !put_named_list(p, str_from(word, 1));
    } else if (str_is(word, "config_file") || str_is(word, "configure_file")) {
        printf("%s\n", p->conf->file);
    } else if (str_is(word, "config")) {
        config_dump(&p->c->source, p->c->names_only, p->c->caller.admin);
    } else if (str_is(word, "environment")) {
        put_environment(p);
    } else if (str_is(word, "all")) {
        put_all_main(p);
    } else {
        return put_one_main(p, word);
    }
    return true;
}

int run_print(struct command *c, const struct config *conf)
{
    int status = 0;
    struct printing p = {.c = c, .conf = conf};
    if (c->args.n == 0) {
        put_all_main(&p);
    }
    for (size_t i = 0; i < c->args.n; i++) {
        struct str word = c->args.v[i], next = i + 1 < c->args.n ? c->args.v[i + 1] : STR_NONE;
        p.c = c;
        status = 0; /* as in Exim, that of the last request counts */
        if (!put_instances(&p, word, next, &i, &status) &&
            !put_macro_words(&p, word, next, &i, &status) && !put_word(&p, word, &status)) {
            printf("%.*s is not a known option\n", STR_ARG(word));
            status = 1;
        }
    }
    return status;
}
