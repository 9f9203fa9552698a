/*
 * Recipients from the header lines (-t): To, Cc and Bcc, or their Resent- forms where there are
 * any. Addresses given as arguments are taken out or added, as extract_addresses_remove_arguments
 * says.
 */
#include "smtp_in/internal.h"

struct extraction {
    struct receiver *r;
    struct map *removed; /* addresses not to take */
    size_t taken;
};

static bool take(void *closure, const struct mailbox *m)
{
    struct extraction *e = closure;
    struct pool *pool = e->r->msg->pool;
    struct str full =
        str_empty(m->domain) ? mail_qualify(pool, e->r->conf, m->text, true) : m->text;
    if (e->removed && map_find(e->removed, full)) {
        e->taken++;
        e->r->msg->recipients_removed++;
        return true;
    }
    for (size_t i = 0; i < e->r->msg->recipient_count; i++) {
        if (str_eq(e->r->msg->recipients[i].address, full)) {
            return true;
        }
    }
    message_add_recipient(e->r->msg, full);
    e->taken++;
    return true;
}

/* The addresses of a header line, one by one; a faulty one goes to the list of those. */
static void take_all(struct extraction *e, struct str body, struct buf *bad)
{
    for (uint32_t from = 0; from < body.len;) {
        uint32_t end = mailbox_list_next(body, from, true);
        bool group_name = end < body.len && body.p[end] == ':';
        struct str piece = str_trim(str_sub(body, from, end - from)), error;
        if (!group_name &&
            !mailbox_each(e->r->msg->pool, piece, mailbox_flags(e->r->conf), take, e, &error)) {
            buf_addf(bad, "  %.*s: %.*s\n", STR_ARG(piece), STR_ARG(error));
        }
        from = end + 1;
    }
}

static bool names_recipients(const struct receiver *r, const struct header *h)
{
    struct str name = header_name(h);
    bool resent = str_startsi(name, "resent-");
    if (resent != r->resent) {
        return false;
    }
    name = resent ? str_from(name, 7) : name;
    return str_isi(name, "to") || str_isi(name, "cc") || str_isi(name, "bcc");
}

bool extract_recipients(struct receiver *r, const struct strvec *arguments, struct str *errors)
{
    struct extraction e = {.r = r};
    struct pool *pool = r->msg->pool;
    struct buf bad;
    buf_init(&bad, pool, 1 << 16);
    if (r->set->extract_addresses_remove_arguments) {
        e.removed = map_new(pool, true);
        for (size_t i = 0; i < arguments->n; i++) {
            map_set(e.removed, arguments->v[i], &e);
        }
    } else {
        for (size_t i = 0; i < arguments->n; i++) {
            message_add_recipient(r->msg, arguments->v[i]);
        }
    }
    for (struct header *h = r->msg->headers; h; h = h->next) {
        if (h->type != '*' && names_recipients(r, h)) {
            take_all(&e, header_body(h), &bad);
        }
    }
    *errors = buf_str(&bad);
    if (str_empty(*errors) && r->msg->recipient_count == 0) {
        *errors = e.taken ? STR("all -t recipients overridden by command line")
                          : STR("no recipients found in headers");
        return false;
    }
    return str_empty(*errors);
}
