/*
 * Verification of one address: qualified and rewritten as an incoming one would be, routed, and,
 * if a callout is wanted and it goes to another host, asked for there.
 *
 * An address that redirects to one other stands or falls with that one; to several, it stands. The
 * result address lives in x->pool; its message and user_message say why it failed or deferred.
 */
#include "acl/internal.h"

#define ROW_OF_48 ">>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>>"

enum { MAX_REDIRECTS = 20 };

static enum verify_result refuse(struct ectx *x, const struct verify_how *how, struct address *a,
                                 struct str why)
{
    struct acl_message *note = acl_note(x->msg);
    if (how->is_sender) {
        note->sender_verify_failure = why;
    } else {
        note->recipient_verify_failure = why;
    }
    a->outcome = ADDR_FAIL;
    return VERIFY_FAIL;
}

/* True if an address without further routing means that the address is good. */
static bool is_final(const struct address *a)
{
    return a->kind != AK_NORMAL;
}

/* What one trip through the routers said; *next is the only child, if there is just one. */
static enum verify_result after_routing(struct route_job *job, enum route_result rc,
                                        struct address **next)
{
    *next = NULL;
    if (job->failed || rc == ROUTE_FAIL || rc == ROUTE_DECLINE) {
        return VERIFY_FAIL;
    }
    if (job->deferred || rc == ROUTE_DEFER || rc == ROUTE_ERROR) {
        return VERIFY_DEFER;
    }
    struct address *child = job->generated;
    if (child && !child->next && !job->local && !job->remote && !is_final(child)) {
        *next = child;
    }
    return VERIFY_OK;
}

/* The address a routing ended with, for its message. */
static struct address *decided(const struct route_job *job, struct address *a)
{
    return job->failed ? job->failed : job->deferred ? job->deferred : a;
}

static enum verify_result route_it(struct ectx *x, struct address *a, const struct verify_how *how,
                                   struct address **result, struct address **remote)
{
    for (int i = 0; i < MAX_REDIRECTS; i++) {
        struct route_job job = {
            .x = x, .why = how->is_sender ? ROUTE_VERIFY_SENDER : ROUTE_VERIFY_RECIPIENT};
        x->addr = a;
        TRACE(TR_deliver | TR_verify, ROW_OF_48 "\nConsidering %.*s", STR_ARG(a->address));
        enum route_result rc = route_address(&job, a);
        struct address *next;
        enum verify_result v = after_routing(&job, rc, &next);
        *result = decided(&job, a);
        *remote = job.remote;
        if (v != VERIFY_OK || !next || how->success_on_redirect) {
            return v;
        }
        a = next;
    }
    return VERIFY_OK;
}

enum verify_result verify_do(struct ectx *x, struct str address, const struct verify_how *how,
                             struct address **result)
{
    struct address *a;
    struct str clean = mail_qualify(x->pool, x->conf, address, !how->is_sender);
    if (x->conf->rewrite_rules) {
        clean = rewrite_address(x, x->conf->rewrite_rules, clean,
                                how->is_sender ? RW_ENVFROM : RW_ENVTO);
    }
    if (how->is_sender && str_eq(address, x->msg->sender)) {
        x->msg->sender =
            str_dup(x->msg->pool, clean); /* from now on it is the one that was rewritten */
    }
    struct address *outer = x->addr;
    if (outer) { /* routing finds out anew what lists say */
        outer->domain_data = outer->local_part_data = STR_NONE;
    }
    acl_note(x->msg)->sender_data = STR_NONE;
    bool verifying = x->verifying, verifying_sender = x->verifying_sender;
    x->verifying = true;
    x->verifying_sender = how->is_sender;
    /* What the ACL learnt of the recipient holds here, but not the other way. */
    bool same = !how->is_sender && outer && str_eqi(outer->address, address);
    struct match_memo *known = same ? outer->known : NULL;
    TRACE(TR_verify, ROW_OF_48 "\nVerifying %.*s", STR_ARG(clean));
    *result = a = route_new_address(x, clean);
    a->known = known;
    struct address *remote = NULL;
    struct message *m = x->msg;
    struct str sender = m->sender, path = m->return_path;
    if (how->is_sender) { /* what goes to a sender comes from nobody */
        m->return_path = clean;
        m->sender = STR("");
    }
    enum verify_result rc = route_it(x, a, how, result, &remote);
    m->sender = sender;
    m->return_path = path;
    if (rc == VERIFY_FAIL) {
        refuse(x, how, *result, STR("route"));
        if (str_empty((*result)->message)) {
            (*result)->message = STR("Unrouteable address");
        }
    } else if (rc == VERIFY_OK && how->callout.wanted && remote) {
        x->addr = remote;
        *result = remote;
        rc = callout_do(x, remote, how->is_sender, &how->callout);
    } else if (rc == VERIFY_OK && how->callout.wanted) {
        TRACE(TR_verify | TR_bh, "Cannot do callout: neither router nor transport provided a host "
                                 "list, or transport is not smtp");
    }
    x->addr = outer;
    x->verifying = verifying;
    x->verifying_sender = verifying_sender;
    return rc;
}

enum verify_result verify_address(struct ectx *x, struct str address, bool is_sender,
                                  struct str callout, struct address **result)
{
    struct verify_how how = {.is_sender = is_sender};
    struct str error;
    if (!str_unset(callout) && !callout_parse(x->pool, callout, &how.callout, &error)) {
        x->error = error;
        return VERIFY_DEFER;
    }
    return verify_do(x, address, &how, result);
}
