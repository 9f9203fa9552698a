/*
 * Unit tests of the reference manual: each option's example is one that the configuration reader
 * takes at its place, and every part can be printed.
 */
#include "main/internal.h"
#include "main/reference.h"
#include "auth/auth.h"
#include "unit/unit.h"

#include <stdlib.h>

/*
 * The option stands on the line behind `before`; what it lacks there is no matter. The host has a
 * name, so that nobody asks the DNS for it.
 */
static void check_example(struct str before, const char *driver, const struct option *o)
{
    struct config_source src = {.pool = unit_pool()};
    int line = 1;
    if (!str_is(str_c(o->name), "primary_hostname")) {
        before = STR_CAT(unit_pool(), STR("primary_hostname = h.example\n"), before);
    }
    for (uint32_t i = 0; i < before.len; i++) {
        line += before.p[i] == '\n';
    }
    src.text = STR_CAT(unit_pool(), before,
                       str_fmt(unit_pool(), "%s = %s\n", o->name, reference_example(driver, o)));
    struct config *conf = config_read(&src);
    for (const struct config_error *e = conf ? NULL : src.errors; e; e = e->next) {
        if (e->pos.line == line) {
            printf("%s = %s: %.*s\n", o->name, reference_example(driver, o), STR_ARG(e->text));
        }
        CHECK(e->pos.line != line);
    }
    if (conf) {
        pool_free(&conf->pool);
    }
}

static void check_examples(struct str before, const char *driver, const struct option *rows)
{
    for (const struct option *o = rows; o && o->type != OPT_END; o++) {
        if (o->type != OPT_ALIAS && o->type != OPT_UNSUPPORTED) {
            check_example(before, driver, o);
        }
    }
}

static void check_instance(const char *section, const char *driver, const struct option *rows,
                           const struct option *generic)
{
    struct str before = str_fmt(unit_pool(), "begin %s\nx:\n  driver = %s\n", section, driver);
    check_examples(before, driver, rows);
    check_examples(before, NULL, generic);
}

TEST(examples_of_main_options)
{
    for (const struct module *const *m = modules; *m; m++) {
        check_examples(STR(""), NULL, (*m)->options);
    }
}

TEST(examples_of_drivers)
{
    for (const struct module *const *m = modules; *m; m++) {
        for (size_t i = 0; (*m)->routers && (*m)->routers[i]; i++) {
            check_instance("routers", (*m)->routers[i]->name, (*m)->routers[i]->options,
                           router_options);
        }
        for (size_t i = 0; (*m)->transports && (*m)->transports[i]; i++) {
            check_instance("transports", (*m)->transports[i]->name, (*m)->transports[i]->options,
                           transport_options);
        }
        for (size_t i = 0; (*m)->auths && (*m)->auths[i]; i++) {
            check_instance("authenticators", (*m)->auths[i]->name, (*m)->auths[i]->options,
                           auth_options);
        }
    }
}

TEST(reference_parts)
{
    static const char *const parts[] = {"options", "expansion", "acl", "log"};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        CHECK(out && reference_print(out, str_c(parts[i])));
        fclose(out);
        CHECK(str_find(str_n(text, (uint32_t)n), STR("\n|---|")) > 0);
        free(text);
    }
    CHECK(!reference_print(stdout, STR("nothing")));
}
