/*
 * The reference manual as Markdown, made from the rows of every registered room and driver: options
 * with type, default, example and meaning; what expansions, access control lists and log_selector
 * may name. doc/NAME.md is the output of `--reference NAME`; `make doc-check` compares them, so the
 * manual cannot fall behind the code.
 */
#include "main/reference.h"

#include "main/internal.h"

#include "acl/acl.h"
#include "auth/auth.h"
#include "expand/expand.h"

#include <stdio.h>

static const char *type_name(const struct option *o)
{
    static const char *const names[] = {
        [OPT_BOOL] = "boolean",
        [OPT_INT] = "integer",
        [OPT_OCT] = "octal integer",
        [OPT_SIZE] = "size",
        [OPT_FIXED] = "fixed-point",
        [OPT_TIME] = "time",
        [OPT_TIMES] = "time list",
        [OPT_STRING] = "string",
        [OPT_EXPAND] = "string, expanded",
        [OPT_TRUTH] = "boolean, expanded",
        [OPT_DOMAINS] = "domain list, expanded",
        [OPT_HOSTS] = "host list, expanded",
        [OPT_ADDRESSES] = "address list, expanded",
        [OPT_LOCALPARTS] = "local part list, expanded",
        [OPT_USER] = "user",
        [OPT_GROUP] = "group",
        [OPT_USERS] = "user list",
        [OPT_GROUPS] = "group list",
        [OPT_CUSTOM] = "string",
        [OPT_REPEAT] = "string, may be set several times",
    };
    return names[o->type];
}

/* A cell of a table: bars would end it. */
static void put_cell(FILE *out, const char *text)
{
    for (; *text; text++) {
        fputs(*text == '|' ? "\\|" : (char[]){*text, '\0'}, out);
    }
}

const char *reference_example(const char *driver, const struct option *o)
{
    static const char *const values[] = {
        [OPT_BOOL] = "true",
        [OPT_INT] = "10",
        [OPT_OCT] = "0640",
        [OPT_SIZE] = "50M",
        [OPT_FIXED] = "8.5",
        [OPT_TIME] = "5m",
        [OPT_TIMES] = "4h:1d",
        [OPT_STRING] = "text",
        [OPT_EXPAND] = "${lc:$domain}",
        [OPT_TRUTH] = "true",
        [OPT_DOMAINS] = "example.org : *.example.org",
        [OPT_HOSTS] = "192.0.2.0/24 : *.example.org",
        [OPT_ADDRESSES] = "*@example.org",
        [OPT_LOCALPARTS] = "postmaster : abuse",
        [OPT_USER] = "mail",
        [OPT_GROUP] = "mail",
        [OPT_USERS] = "root : mail",
        [OPT_GROUPS] = "mail : adm",
        [OPT_CUSTOM] = "text",
        [OPT_REPEAT] = "text",
    };
    const char *own = example_of(driver, o->name);
    bool boolean_on = o->type == OPT_BOOL && o->dflt && str_is(str_c(o->dflt), "true");
    return own                                          ? own
           : boolean_on                                 ? "false"
           : o->dflt && *o->dflt && o->type != OPT_BOOL ? o->dflt
                                                        : values[o->type];
}

static void put_table(FILE *out, const char *title, const char *driver, const struct option *table)
{
    fprintf(out, "\n## %s\n\n", title);
    if (!table || table->type == OPT_END) {
        fputs("No options of its own.\n", out);
        return;
    }
    fputs("| option | type | default | example | meaning |\n|---|---|---|---|---|\n", out);
    for (const struct option *o = table; o->type != OPT_END; o++) {
        if (o->type == OPT_ALIAS) {
            fprintf(out, "| `%s` | | | | another name for `%s` |\n", o->name, o->dflt);
        } else if (o->type != OPT_UNSUPPORTED) {
            fprintf(out, "| `%s` | %s | `%s` | `%s = ", o->name, type_name(o),
                    o->dflt && *o->dflt   ? o->dflt
                    : o->type == OPT_BOOL ? "false"
                                          : "unset",
                    o->name);
            put_cell(out, reference_example(driver, o));
            fputs("` | ", out);
            put_cell(out, o->doc ? o->doc : "");
            fputs(" |\n", out);
        }
    }
}

static void put_unsupported(void *closure, const char *title, const struct option *table)
{
    FILE *out = closure;
    bool first = true;
    for (const struct option *o = table; o && o->type != OPT_END; o++) {
        if (o->type == OPT_UNSUPPORTED) {
            if (first) {
                fprintf(out, "\n%s: ", title);
            }
            fprintf(out, "%s`%s`", first ? "" : ", ", o->name);
            first = false;
        }
    }
    if (!first) {
        fputs(".\n", out);
    }
}

static void put_driver(FILE *out, const char *kind, const char *name, const struct option *table)
{
    char title[128];
    snprintf(title, sizeof title, "%s `%s`", kind, name);
    put_table(out, title, name, table);
}

static void put_drivers(FILE *out, const struct module *m)
{
    for (size_t i = 0; m->routers && m->routers[i]; i++) {
        put_driver(out, "Router", m->routers[i]->name, m->routers[i]->options);
    }
    for (size_t i = 0; m->transports && m->transports[i]; i++) {
        put_driver(out, "Transport", m->transports[i]->name, m->transports[i]->options);
    }
    for (size_t i = 0; m->auths && m->auths[i]; i++) {
        put_driver(out, "Authenticator", m->auths[i]->name, m->auths[i]->options);
    }
}

static void put_options(FILE *out)
{
    char title[128];
    fputs("Options are grouped by the room of the source that uses them; in a configuration the\n"
          "main options stand before the first `begin`, in any order.\n",
          out);
    for (size_t i = 0; modules[i]; i++) {
        if (modules[i]->options) {
            snprintf(title, sizeof title, "Main options of `%s`", modules[i]->name);
            put_table(out, title, NULL, modules[i]->options);
        }
    }
    put_table(out, "Options of every router", NULL, router_options);
    put_table(out, "Options of every transport", NULL, transport_options);
    put_table(out, "Options of every authenticator", NULL, auth_options);
    for (size_t i = 0; modules[i]; i++) {
        put_drivers(out, modules[i]);
    }
    fputs("\n## Known to Exim, not supported by this version\n\n"
          "Setting one of these is a configuration error that names it.\n",
          out);
    unsupported_each(put_unsupported, out);
}

/* A line of a table of two columns. */
static void put_word(FILE *out, const char *before, const char *name, const char *after,
                     const char *doc)
{
    fprintf(out, "| `%s%s%s` | ", before, name, after);
    put_cell(out, doc ? doc : "");
    fputs(" |\n", out);
}

static void put_words(FILE *out, const char *title, const char *column)
{
    fprintf(out, "\n## %s\n\n| %s | meaning |\n|---|---|\n", title, column);
}

static void put_variables(FILE *out)
{
    put_words(out, "Variables", "variable");
    for (size_t i = 0; modules[i]; i++) {
        for (const struct variable *v = modules[i]->variables; v && v->name; v++) {
            put_word(out, "$", v->name, "", v->doc);
        }
    }
}

static void put_items(FILE *out)
{
    const char *name, *doc;
    put_words(out, "Items", "item");
    for (size_t i = 0; (name = expand_shape(i, &doc)) != NULL; i++) {
        put_word(out, "${", name, " …}", doc);
    }
    for (size_t i = 0; modules[i]; i++) {
        for (const struct expand_item *r = modules[i]->items; r && r->name; r++) {
            if (r->run) {
                put_word(out, "${", r->name, " …}", r->doc);
            }
        }
    }
}

static void put_operators(FILE *out)
{
    put_words(out, "Operators", "operator");
    for (size_t i = 0; modules[i]; i++) {
        for (const struct expand_operator *r = modules[i]->operators; r && r->name; r++) {
            if (r->apply) {
                put_word(out, "${", r->name, ":…}", r->doc);
            }
        }
    }
}

static void put_conditions(FILE *out)
{
    const char *name, *doc;
    put_words(out, "Conditions", "condition");
    for (size_t i = 0; (name = expand_compound(i, &doc)) != NULL; i++) {
        put_word(out, "", name, "", doc);
    }
    for (size_t i = 0; modules[i]; i++) {
        for (const struct expand_condition *r = modules[i]->conditions; r && r->name; r++) {
            if (r->test) {
                put_word(out, "", r->name, "", r->doc);
            }
        }
    }
}

static void put_expansion(FILE *out)
{
    put_items(out);
    put_operators(out);
    put_conditions(out);
    put_variables(out);
}

static void put_acl(FILE *out)
{
    struct acl_word w;
    put_words(out, "Conditions", "condition");
    for (size_t i = 0; acl_word(i, &w); i++) {
        if (w.supported && !w.modifier) {
            put_word(out, "", w.name, "", w.doc);
        }
    }
    put_words(out, "Modifiers", "modifier");
    for (size_t i = 0; acl_word(i, &w); i++) {
        if (w.supported && w.modifier) {
            put_word(out, "", w.name, "", w.doc);
        }
    }
}

static void put_log(FILE *out)
{
    fputs("\n`log_selector = +NAME -NAME …`; `all` stands for every one.\n\n"
          "| selector | on by default | what it adds or logs |\n|---|---|---|\n",
          out);
    const struct log_selector_row *r;
    for (size_t i = 0; (r = log_selector_row(i)) != NULL; i++) {
        if (r->doc) {
            fprintf(out, "| `%s` | %s | %s |\n", r->name, r->dflt ? "yes" : "no", r->doc);
        }
    }
}

static const struct {
    const char *name, *title;
    void (*put)(FILE *out);
} parts[] = {
    {"options", "Options", put_options},
    {"expansion", "Expansion", put_expansion},
    {"acl", "Access control lists", put_acl},
    {"log", "Log selectors", put_log},
};

bool reference_print(FILE *out, struct str part)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (str_is(part, parts[i].name)) {
            fprintf(
                out,
                "# %s\n\nMade from the program's rows by `minim --reference %s`; do not edit.\n",
                parts[i].title, parts[i].name);
            parts[i].put(out);
            return true;
        }
    }
    return false;
}
