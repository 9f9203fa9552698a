/*
 * PRDR, per-recipient data responses (draft-hall-prdr): a client that asked for it at MAIL learns
 * after the data for each recipient by itself whether the message is taken for him.
 *
 * With several recipients acl_smtp_data_prdr is run for each, with $local_part and $domain as at
 * RCPT; those for whom it does not accept are taken off the message. The replies go out between
 * "353" and the one for the message as a whole, which the DATA ACL still decides.
 */
#include "smtp_in/internal.h"

/* The address in the form in which the RCPT ACL saw it. */
static struct address *address_of(struct conv *c, struct str text)
{
    struct address *a = POOL_NEW(c->msg_pool, struct address);
    ptrdiff_t at = str_rchr(text, '@');
    a->address = text;
    a->cc_local_part = at < 0 ? text : str_sub(text, 0, (size_t)at);
    a->local_part = str_lower(c->msg_pool, a->cc_local_part);
    a->domain = at < 0 ? STR("") : str_lower(c->msg_pool, str_from(text, (size_t)at + 1));
    return a;
}

static enum acl_result ask(struct conv *c, struct str recipient, struct acl_reply *a)
{
    *a = (struct acl_reply){.user = STR_NONE};
    if (str_unset(c->set->acl_smtp_data_prdr.text)) {
        return ACL_ACCEPT;
    }
    c->x.addr = address_of(c, recipient);
    enum acl_result rc = conv_acl(c, ACL_PRDR, &c->set->acl_smtp_data_prdr, a);
    c->x.addr = NULL;
    return rc;
}

/* Logs and answers for one recipient. */
static void tell(struct conv *c, struct str recipient, enum acl_result rc, struct acl_reply *a)
{
    bool taken = rc == ACL_ACCEPT || rc == ACL_DISCARD;
    bool refused = rc == ACL_DENY || rc == ACL_DROP;
    struct str code = taken ? STR("250 ") : refused ? STR("550 ") : STR("450 ");
    const char *what = taken ? "acceptance" : refused ? "refusal" : "temporary refusal";
    struct str logged = str_unset(a->log) ? a->user : a->log;
    if (str_unset(logged)) {
        log_msg(LOG_MAIN, c->msg, "PRDR R=<%.*s> %s", STR_ARG(recipient), what);
    } else {
        log_msg(LOG_MAIN, c->msg, "PRDR %.*s %.*s", STR_ARG(recipient), STR_ARG(logged));
    }
    if (str_unset(a->user)) {
        reply(c, "%.*sPRDR R=<%.*s> %s", STR_ARG(code), STR_ARG(recipient), what);
    } else {
        reply_code(c->msg_pool, &code, &a->user, NULL, true);
        reply_lines(c, code, true, a->user);
    }
}

bool prdr_ask(struct conv *c)
{
    struct message *m = c->msg;
    size_t kept = 0, refused = 0, later = 0, n = m->recipient_count;
    m->prdr = m->prdr && n > 1;
    if (!m->prdr) {
        return true;
    }
    reply(c, "353 PRDR content analysis beginning");
    for (size_t i = 0; i < n; i++) {
        struct acl_reply a;
        enum acl_result rc = ask(c, m->recipients[i].address, &a);
        tell(c, m->recipients[i].address, rc, &a);
        refused += rc == ACL_DENY || rc == ACL_DROP;
        later += rc != ACL_ACCEPT && rc != ACL_DISCARD && rc != ACL_DENY && rc != ACL_DROP;
        if (rc == ACL_ACCEPT) {
            m->recipients[kept++] = m->recipients[i];
        }
    }
    m->recipient_count = kept;
    m->prdr_some = refused + later > 0;
    if (refused + later < n) {
        return true;
    }
    reply(c, "%s id=%.*s message rejected for all recipients", later ? "450" : "550",
          STR_ARG(m->id));
    return false;
}
