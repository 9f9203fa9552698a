/*
 * ACLs called from expansions: ${acl {name}{arg}...} and the condition acl {{name}{arg}...}. Both
 * run the ACL in the phase that is being run, if one is, and yield its message. Where there is no
 * message or session (routers, -be), the ACL sees empty ones, which live as long as the context's
 * pool. An ACL that defers, or cannot be run, makes the expansion fail.
 */
#include "acl/internal.h"

enum { MAX_ARGS = 9 };

/* An empty message and session where the context has none; the caller takes them out again. */
static void lend_facts(struct ectx *x)
{
    if (!x->msg) {
        x->msg = POOL_NEW(x->pool, struct message);
        x->msg->pool = x->msg->acl_m.pool = x->pool;
    }
    if (!x->sess) {
        x->sess = POOL_NEW(x->pool, struct session);
        x->sess->pool = x->sess->acl_c.pool = x->pool;
    }
    x->sess->acl_stack.pool = x->sess->rates_done.pool = x->sess->pool;
}

/* Runs the ACL args[0]; *accepts and *message on success, x->error otherwise. */
static bool run(struct ectx *x, const struct str *args, size_t n, bool *accepts,
                struct str *message)
{
    struct message *msg = x->msg;
    struct session *sess = x->sess;
    lend_facts(x);
    struct acl_job j = {.x = x,
                        .where = acl_note(x->msg)->where,
                        .note = acl_note(x->msg),
                        .level = (int)x->sess->acl_stack.n};
    enum acl_test rc = acl_call_args(&j, args[0], args + 1, n - 1);
    x->msg = msg;
    x->sess = sess;
    *accepts = rc == TEST_OK;
    *message = str_unset(j.user) ? STR("") : j.user;
    if (rc == TEST_OK || rc == TEST_FAIL) {
        return true;
    }
    x->error = str_fmt(x->pool, "%s from acl \"%.*s\"", rc == TEST_DEFER ? "DEFER" : "ERROR",
                       STR_ARG(args[0]));
    x->defer = rc == TEST_DEFER;
    return false;
}

static bool item_acl(struct ectx *x, const struct expand_arg *const *args, size_t n,
                     struct str *out, bool *found)
{
    struct str values[MAX_ARGS + 1];
    for (size_t i = 0; i < n; i++) {
        if (!expand_arg(x, args[i], &values[i])) {
            return false;
        }
    }
    *found = true;
    bool accepts;
    return run(x, values, n, &accepts, out);
}

static bool condition_acl(struct ectx *x, const struct str *args, size_t n, bool *result)
{
    struct str message;
    if (!run(x, args, n, result, &message)) {
        return false;
    }
    scope_set(x, STR("value"), message);
    return true;
}

const struct expand_item acl_items[] = {
    {"acl", 1, MAX_ARGS + 1, false, item_acl, "the message of the ACL named, run with arguments"},
    {NULL, 0, 0, false, NULL, NULL},
};

const struct expand_condition acl_expand_conditions[] = {
    {"acl", 1, MAX_ARGS + 1, true, condition_acl, "the ACL named accepts; $value: its message"},
    {NULL, 0, 0, false, NULL, NULL},
};
