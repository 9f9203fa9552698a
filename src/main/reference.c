/*
 * The option reference: every option row of every registered room and driver as Markdown, with
 * type, default and meaning. doc/options.md is this output; `make doc-check` compares them, so the
 * manual cannot fall behind the code.
 */
#include "main/reference.h"

#include "main/internal.h"

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

/* An example that the option's type allows: the default where there is one. */
static const char *example(const struct option *o)
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
    bool boolean_on = o->type == OPT_BOOL && o->dflt && str_is(str_c(o->dflt), "true");
    return boolean_on                                   ? "false"
           : o->dflt && *o->dflt && o->type != OPT_BOOL ? o->dflt
                                                        : values[o->type];
}

static void put_table(FILE *out, const char *title, const struct option *table)
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
            put_cell(out, example(o));
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

static void put_drivers(FILE *out, const struct module *m)
{
    char title[128];
    for (size_t i = 0; m->routers && m->routers[i]; i++) {
        snprintf(title, sizeof title, "Router `%s`", m->routers[i]->name);
        put_table(out, title, m->routers[i]->options);
    }
    for (size_t i = 0; m->transports && m->transports[i]; i++) {
        snprintf(title, sizeof title, "Transport `%s`", m->transports[i]->name);
        put_table(out, title, m->transports[i]->options);
    }
}

static void put_all(FILE *out)
{
    char title[128];
    for (size_t i = 0; modules[i]; i++) {
        if (modules[i]->options) {
            snprintf(title, sizeof title, "Main options of `%s`", modules[i]->name);
            put_table(out, title, modules[i]->options);
        }
    }
    put_table(out, "Options of every router", router_options);
    put_table(out, "Options of every transport", transport_options);
    for (size_t i = 0; modules[i]; i++) {
        put_drivers(out, modules[i]);
    }
}

void reference_print(FILE *out)
{
    fputs(
        "# Options\n\n"
        "Made from the program's option rows by `minim --reference`; do not edit.\n"
        "Options are grouped by the room of the source that uses them; in a configuration the main\n"
        "options stand before the first `begin`, in any order.\n",
        out);
    put_all(out);
    fputs("\n## Known to Exim, not supported by this version\n\n"
          "Setting one of these is a configuration error that names it.\n",
          out);
    unsupported_each(put_unsupported, out);
}
