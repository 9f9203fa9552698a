/*
 * Fuzz target: expansion of texts, and match lists. The text is compiled and evaluated with a
 * message and a session beside it; commands and sockets are left out, for what a text could do with
 * them is not for a fuzzer to try. The same bytes then serve as a list of each kind.
 */
#include "expand/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void quiet(struct opt_reader *r, const char *text)
{
    (void)r;
    (void)text;
}

/* The modules that expansion needs, options at their defaults. */
static void make_config(struct config *conf, struct pool *pool)
{
    static const struct module *const modules[] = {&core_module, &net_module, &lookup_module,
                                                   &expand_module, NULL};
    *conf = (struct config){.pool = pool, .modules = modules, .file = "fuzz"};
    struct opt_reader r = {.pool = pool, .conf = conf, .error = quiet};
    for (size_t i = 0; i < ARRAY_LEN(conf->named_lists); i++) {
        conf->named_lists[i] = map_new(pool, false);
    }
    for (const struct module *const *m = modules; *m; m++) {
        conf->settings[(*m)->room] = pool_zalloc(pool, (*m)->settings_size);
        opt_defaults(&r, (*m)->options, conf->settings[(*m)->room]);
    }
    struct core_settings *core = conf->settings[ROOM_CORE];
    core->primary_hostname = core->qualify_domain = core->qualify_recipient = STR("host.test");
}

static bool harmless(struct str text)
{
    static const char *const words[] = {"run",     "readsocket", "readfile", "dnsdb",
                                        "dsearch", "mx_",        "net",      "/"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_findi(text, str_c(words[i])) >= 0) {
            return false;
        }
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct config conf;
    struct ectx x;
    struct str text = str_n((const char *)data, size), out;
    make_config(&conf, pool);
    ectx_init(&x, &conf, pool);
    struct session s = {.pool = pool, .helo_name = str_taint(STR("helo"))};
    struct message m = {.pool = pool, .sender = str_taint(STR("a@b.c"))};
    message_add_header(&m, ' ', STR("Subject: =?utf-8?Q?=C3=A9?= x\n"));
    x.sess = &s;
    x.msg = &m;
    struct expand_error err;
    if (!harmless(text)) {
        expand_compile(&conf, pool, text, &err);
    } else {
        expand_text(&x, text, &out);
        match_text(&x, LIST_DOMAINS, text, STR("a.b"), true, &out);
        match_text(&x, LIST_ADDRESSES, text, STR("x@a.b"), true, &out);
        match_text(&x, LIST_LOCALPARTS, text, STR("x"), false, &out);
        if (str_all_in(text, "0123456789abcdef.:;/!<+ *@")) {
            match_text(&x, LIST_HOSTS, text, STR("1.2.3.4"), true, &out);
        }
    }
    rfc2047_decode(pool, text, true, STR("UTF-8"), &out, &err.text);
    pool_free(&pool);
    return 0;
}
