/*
 * Replacing an abbreviated or rerouted domain in the address headers of the message in hand (self =
 * reroute: rewrite:, domains completed by DNS). Changed headers are marked as rewritten and new
 * ones take their place; memory is the message's.
 */
#include "route/internal.h"

struct job {
    struct str body, from, to;
    uint32_t copied;
    struct buf out;
    bool changed;
};

static bool replace(void *closure, const struct mailbox *m)
{
    struct job *j = closure;
    if (!str_eqi(m->domain, j->from)) {
        return true;
    }
    ptrdiff_t at = mailbox_at(m->text);
    buf_adds(&j->out, str_sub(j->body, j->copied, m->start - j->copied));
    buf_adds(&j->out, str_sub(m->text, 0, (size_t)at + 1));
    buf_adds(&j->out, j->to);
    j->copied = m->end;
    return j->changed = true;
}

void route_rewrite_domain(struct ectx *x, struct str from, struct str to)
{
    struct message *msg = x->msg;
    struct str error;
    for (struct header *h = msg->headers; h; h = h->next) {
        if (h->type == '*' || !strchr("BCFRST", h->type)) {
            continue;
        }
        struct job j = {.body = header_body(h), .from = from, .to = to};
        buf_init(&j.out, msg->pool, (size_t)h->text.len * 16 + 1024);
        j.out.tainted = h->text.tainted;
        mailbox_each(x->pool, j.body, mailbox_flags(x->conf), replace, &j, &error);
        if (!j.changed) {
            continue;
        }
        buf_adds(&j.out, str_from(j.body, j.copied));
        struct header *now = POOL_NEW(msg->pool, struct header);
        *now = (struct header){
            .next = h->next,
            .type = h->type,
            .text =
                STR_CAT(msg->pool, str_sub(h->text, 0, h->text.len - j.body.len), buf_str(&j.out))};
        h->next = now;
        h->type = '*';
        h = now;
    }
}
