/*
 * Variables of the room: what the conditions of an ACL found, read from the notes of the message in
 * hand. Without a message they are empty.
 * Values are views of the notes and keep their taint; a name that is not set gives nothing.
 */
#include "acl/internal.h"

#define NOTE_VARIABLE(field) \
    static struct str get_##field(struct ectx *x, struct str name) \
    { \
        (void)name; \
        return x->msg && x->msg->acl ? x->msg->acl->field : STR_NONE; \
    }

NOTE_VARIABLE(verify_message)
NOTE_VARIABLE(dnslist_domain)
NOTE_VARIABLE(dnslist_matched)
NOTE_VARIABLE(dnslist_text)
NOTE_VARIABLE(dnslist_value)
NOTE_VARIABLE(sender_rate)
NOTE_VARIABLE(sender_rate_limit)
NOTE_VARIABLE(sender_rate_period)
NOTE_VARIABLE(sender_verify_failure)
NOTE_VARIABLE(recipient_verify_failure)
NOTE_VARIABLE(sender_data)
NOTE_VARIABLE(recipient_data)
NOTE_VARIABLE(host_data)
NOTE_VARIABLE(sender_address_data)

static struct str get_verify_mode(struct ectx *x, struct str name)
{
    (void)name;
    if (!x->verifying && !x->expn && !x->address_testing) {
        return STR_NONE;
    }
    return x->verifying_sender ? STR("S") : STR("R");
}

static struct str get_headers_added(struct ectx *x, struct str name)
{
    (void)name;
    if (!x->msg || !x->msg->acl || !x->msg->acl->added) {
        return STR_NONE;
    }
    struct buf b;
    buf_init(&b, x->pool, 1 << 20);
    for (struct header *h = x->msg->acl->added; h; h = h->next) {
        buf_adds(&b, h->text);
    }
    struct str all = buf_str(&b);
    return all.len ? str_sub(all, 0, all.len - 1u) : all; /* without the last newline */
}

const struct variable acl_variables[] = {
    {"acl_verify_message", get_verify_message,
     "the message a condition left, while `message` or `log_message` is expanded"},
    {"dnslist_domain", get_dnslist_domain, "the DNS list that matched"},
    {"dnslist_matched", get_dnslist_matched, "the key that the DNS list matched"},
    {"dnslist_text", get_dnslist_text, "TXT record of the DNS list that matched"},
    {"dnslist_value", get_dnslist_value, "addresses the DNS list answered with"},
    {"headers_added", get_headers_added, "header lines that ACLs have added so far"},
    {"host_data", get_host_data, "what the last lookup in a `hosts` condition returned"},
    {"recipient_data", get_recipient_data,
     "what the last lookup in a `recipients` condition returned"},
    {"recipient_verify_failure", get_recipient_verify_failure,
     "why recipient verification failed: qualify, route, mail, recipient, postmaster"},
    {"sender_address_data", get_sender_address_data,
     "$address_data from the last verification of the sender"},
    {"sender_data", get_sender_data, "what the last lookup in a `senders` condition returned"},
    {"sender_rate", get_sender_rate, "the rate that the last ratelimit condition computed"},
    {"sender_rate_limit", get_sender_rate_limit, "the limit of the last ratelimit condition"},
    {"sender_rate_period", get_sender_rate_period, "the period of the last ratelimit condition"},
    {"sender_verify_failure", get_sender_verify_failure,
     "why sender verification failed: qualify, route, mail, recipient, postmaster"},
    {"verify_mode", get_verify_mode, "S while a sender, R while a recipient is verified, or tested with EXPN or -bt"},
    {NULL, NULL, NULL},
};
