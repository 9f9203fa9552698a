/*
 * A message to a local sender about a message of his that could not be taken (-oem): what was
 * wrong, and the header lines as far as they were read.
 */
#include "smtp_in/internal.h"

static void put_text(struct receiver *r, struct str s)
{
    receive_put(r, s.p, s.len);
}

bool moan(struct ectx *outer, struct str sender, struct str why, const struct header *headers)
{
    if (str_empty(sender)) {
        return false;
    }
    const struct core_settings *core = core_settings(outer->conf);
    struct pool *pool = pool_new("moan");
    struct message *m = POOL_NEW(pool, struct message);
    struct ectx x;
    struct receiver r = {0};
    m->pool = pool;
    m->session_facts = outer->sess;
    m->sender = STR("");
    m->sender_set = m->local = m->local_error_message = m->suppress_local_fixups = true;
    m->originator_login = outer->sess->caller_login;
    m->received_protocol = STR("local");
    ectx_init(&x, outer->conf, pool);
    x.sess = outer->sess;
    x.msg = m;
    message_add_recipient(m, sender);
    bool ok = receive_begin(&r, &x, false);
    if (ok) {
        put_text(
            &r,
            STR_CAT(pool, STR("From: Mail Delivery System <Mailer-Daemon@"), core->qualify_domain,
                    STR(">\nTo: "), sender,
                    STR("\nSubject: Your message was not accepted\nAuto-Submitted: auto-replied\n"),
                    STR("Date: "), time_rfc5322(pool, time(NULL), false), STR("\n\n")));
        put_text(&r, STR_CAT(pool, STR("The message that you handed in was not accepted:\n\n  "),
                             why, STR("\n\nIt had these header lines:\n\n")));
        for (const struct header *h = headers; h; h = h->next) {
            put_text(&r, h->text);
        }
        receive_end_input(&r);
        receive_fixup(&r);
        ok = receive_commit(&r, QUEUE_BACKGROUND);
        if (ok) {
            receive_hand_over(&r);
        } else {
            receive_abort(&r);
        }
    }
    pool_free(&pool);
    return ok;
}
