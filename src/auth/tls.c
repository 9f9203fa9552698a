/*
 * The driver tls: a client is who its certificate says it is. No SMTP command belongs to it; it
 * judges when TLS has started, and only certificates that verified.
 *
 * server_param1 to 3 are expanded one after the other into $auth1 to $auth3, so that each can look
 * at those before it; then server_condition decides.
 */
#include "auth/internal.h"

#define O(field) offsetof(struct params, field)

struct params {
    struct etext param[3];
};

static const struct option options[] = {
    {"server_param", OPT_ALIAS, 0, "server_param1", NULL, NULL, NULL},
    {"server_param1", OPT_EXPAND, O(param[0]), NULL, "becomes $auth1", NULL, NULL},
    {"server_param2", OPT_EXPAND, O(param[1]), NULL, "becomes $auth2", NULL, NULL},
    {"server_param3", OPT_EXPAND, O(param[2]), NULL, "becomes $auth3", NULL, NULL},
    {0},
};

static enum auth_result judge(struct ectx *x, const struct authenticator *a)
{
    const struct params *p = a->opts;
    for (int i = 0; i < 3; i++) {
        struct str text;
        if (str_unset(p->param[i].text)) {
            continue;
        }
        if (!expand_option(x, &p->param[i], &text)) {
            if (!x->forced_fail) {
                log_write(LOG_MAIN | LOG_PANIC,
                          "%.*s authenticator: failed to expand server_param%d: %.*s",
                          STR_ARG(a->name), i + 1, STR_ARG(x->error));
            }
            return x->forced_fail ? AUTH_FAIL : AUTH_DEFER;
        }
        vars_set(&x->sess->facts, str_fmt(x->pool, "auth%d", i + 1), text);
    }
    return auth_condition(x, a);
}

const struct auth_driver auth_tls = {
    .name = "tls",
    .opts_size = sizeof(struct params),
    .options = options,
    .on_tls = judge,
};
