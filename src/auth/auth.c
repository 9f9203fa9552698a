/*
 * What authenticators of all drivers have in common: the generic options, server_condition,
 * server_set_id, and what a success or a failure leaves in the session. The AUTH command is not
 * there: only a client's certificate can tell who it is (tls.c).
 *
 * Results are put into the session's pool, since they outlive the transaction.
 */
#include "auth/internal.h"

#define O(field) offsetof(struct authenticator, field)

const struct option auth_options[] = {
    {"server_condition", OPT_EXPAND, O(server_condition), NULL,
     "must give true for the authentication to succeed", NULL, NULL},
    {"server_debug_print", OPT_EXPAND, O(server_debug_print), NULL,
     "shown when debugging, once the client has been judged", NULL, NULL},
    {"server_mail_auth_condition", OPT_EXPAND, O(server_mail_auth_condition), NULL,
     "must give true for the AUTH parameter of MAIL to count", NULL, NULL},
    {"server_set_id", OPT_EXPAND, O(server_set_id), NULL,
     "becomes $authenticated_id of a client that was authenticated", NULL, NULL},
    {0},
};

enum auth_result auth_condition(struct ectx *x, const struct authenticator *a)
{
    struct str text;
    bool yes;
    if (str_unset(a->server_condition.text)) {
        return AUTH_OK;
    }
    if (!expand_option(x, &a->server_condition, &text)) {
        if (!x->forced_fail) {
            log_write(LOG_MAIN | LOG_PANIC,
                      "%.*s authenticator: failed to expand server_condition: %.*s",
                      STR_ARG(a->name), STR_ARG(x->error));
        }
        return x->forced_fail ? AUTH_FAIL : AUTH_DEFER;
    }
    return !expand_truth(text, &yes) ? AUTH_DEFER : yes ? AUTH_OK : AUTH_FAIL;
}

static void print_for_debugging(struct ectx *x, const struct authenticator *a)
{
    struct str text;
    if (trace_on(TR_auth | TR_v) && !str_unset(a->server_debug_print.text) &&
        expand_option(x, &a->server_debug_print, &text)) {
        TRACE(TR_auth | TR_v, "%.*s authenticator: %.*s", STR_ARG(a->name), STR_ARG(text));
    }
}

/* What the session keeps of it. */
static void note_result(struct ectx *x, const struct authenticator *a, enum auth_result rc)
{
    struct session *s = x->sess;
    struct str id;
    if (str_unset(a->server_set_id.text) || !expand_option(x, &a->server_set_id, &id)) {
        id = STR_NONE;
    }
    if (rc == AUTH_OK) {
        s->authenticator = a;
        s->auth_mechanism = a->name;
        s->auth_id = str_empty(id) ? STR_NONE : str_dup(s->pool, id);
    } else {
        vars_set(&s->facts, STR("authenticated_fail_id"), id);
    }
}

enum auth_result auth_on_tls(struct ectx *x)
{
    const struct authenticator *a = x->conf->auths;
    while (a && !a->driver->on_tls) {
        a = a->next;
    }
    if (!a) {
        return AUTH_FAIL;
    }
    enum auth_result rc = a->driver->on_tls(x, a);
    print_for_debugging(x, a);
    note_result(x, a, rc);
    for (int i = 1; i <= 3; i++) { /* as in Exim, $auth1 … are there while it judges */
        vars_set(&x->sess->facts, str_fmt(x->pool, "auth%d", i), STR_NONE);
    }
    return rc;
}

bool auth_takes_sender(struct ectx *x)
{
    const struct authenticator *a = x->sess->authenticator;
    struct str text;
    bool yes;
    if (!a || str_unset(a->server_mail_auth_condition.text)) {
        return true;
    }
    if (!expand_option(x, &a->server_mail_auth_condition, &text)) {
        if (!x->forced_fail) {
            log_write(LOG_MAIN | LOG_PANIC, "failed to expand condition \"%.*s\": %.*s",
                      STR_ARG(a->server_mail_auth_condition.text), STR_ARG(x->error));
        }
        return false;
    }
    return !expand_truth(text, &yes) || yes;
}

/* A connection is authenticated by its certificate once: a second one would never be asked. */
static bool finish(struct config *conf, struct opt_reader *r)
{
    const struct authenticator *first = NULL;
    bool ok = true;
    for (const struct authenticator *a = conf->auths; a; a = a->next) {
        if (a->driver && a->driver->on_tls && first) {
            r->pos = a->pos;
            r->option = "";
            ok = opt_error(r, "there may be only one authenticator of driver \"%s\"",
                           a->driver->name);
        }
        first = a->driver && a->driver->on_tls ? a : first;
    }
    return ok;
}

static const struct auth_driver *const drivers[] = {&auth_tls, NULL};

const struct module auth_module = {
    .name = "auth",
    .room = ROOM_AUTH,
    .auths = drivers,
    .finish = finish,
};
