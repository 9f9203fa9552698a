/*
 * A configuration for unit tests: the modules of the rooms up to this one, options at their
 * defaults, a host named host.test. Everything lives in the test's pool.
 */
#include "expand/test_support.h"

#include "tls/tls.h"

#include <stdio.h>

static const struct module *const modules[] = {&core_module,   &net_module,    &tls_module,
                                               &lookup_module, &expand_module, NULL};

static void report(struct opt_reader *r, const char *text)
{
    (void)r;
    fprintf(stderr, "test configuration: %s\n", text);
}

static struct opt_reader reader(struct config *conf)
{
    return (struct opt_reader){.pool = conf->pool,
                               .conf = conf,
                               .compile = expand_compile_option,
                               .compile_list = expand_compile_list,
                               .error = report};
}

void test_ectx(struct ectx *x)
{
    struct config *conf = POOL_NEW(unit_pool(), struct config);
    conf->pool = unit_pool();
    conf->modules = modules;
    conf->file = "/etc/test.conf";
    for (size_t i = 0; i < ARRAY_LEN(conf->named_lists); i++) {
        conf->named_lists[i] = map_new(conf->pool, false);
    }
    struct opt_reader r = reader(conf);
    for (const struct module *const *m = modules; *m; m++) {
        conf->settings[(*m)->room] = pool_zalloc(conf->pool, (*m)->settings_size);
        opt_defaults(&r, (*m)->options, conf->settings[(*m)->room]);
    }
    struct core_settings *core = conf->settings[ROOM_CORE];
    core->primary_hostname = core->qualify_domain = core->qualify_recipient = STR("host.test");
    expand_lend(conf);
    ectx_init(x, conf, unit_pool());
}

void test_named_list(struct ectx *x, enum list_kind kind, const char *name, const char *text)
{
    static const enum opt_type types[] = {OPT_DOMAINS, OPT_HOSTS, OPT_ADDRESSES, OPT_LOCALPARTS};
    struct config *conf = (struct config *)(uintptr_t)x->conf;
    struct opt_reader r = reader(conf);
    struct named_list *l = POOL_NEW(conf->pool, struct named_list);
    l->name = str_c(name);
    l->kind = kind;
    l->text.text = str_c(text);
    if (strchr(text, '$') || strchr(text, '\\')) {
        l->text.tree = expand_compile_option(&r, str_c(text));
    } else {
        l->text.list = expand_compile_list(&r, types[kind], str_c(text));
    }
    map_set(conf->named_lists[kind], l->name, l);
}

struct str test_value(struct ectx *x, const char *text)
{
    struct str out;
    return expand_text(x, str_c(text), &out) ? out : STR_CAT(unit_pool(), STR("error: "), x->error);
}

void test_values(struct ectx *x, const struct value_case *cases)
{
    for (; cases->text; cases++) {
        struct str got = test_value(x, cases->text);
        unit_check_str(got, str_c(cases->want), __FILE__, __LINE__, cases->text);
    }
}
