/*
 * The room's module: option rows, settings, and the small things that all its files use: names of
 * phases, the notes kept for a message, the words that name a session's host in log lines.
 * Notes live in the pool of the session or message they belong to; nothing here fails.
 */
#include "acl/callout.h"
#include "acl/internal.h"

static const struct {
    enum acl_where where;
    const char *name;
} where_names[] = {
    {ACL_RCPT, "RCPT"},          {ACL_MAIL, "MAIL"},         {ACL_PREDATA, "PREDATA"},
    {ACL_MIME, "MIME"},          {ACL_DKIM, "DKIM"},         {ACL_DATA, "DATA"},
    {ACL_PRDR, "PRDR"},          {ACL_NOTSMTP, "non-SMTP"},  {ACL_AUTH, "AUTH"},
    {ACL_CONNECT, "connection"}, {ACL_ETRN, "ETRN"},         {ACL_EXPN, "EXPN"},
    {ACL_HELO, "EHLO or HELO"},  {ACL_MAILAUTH, "MAILAUTH"}, {ACL_NOTSMTP_START, "non-SMTP-start"},
    {ACL_NOTQUIT, "NOTQUIT"},    {ACL_QUIT, "QUIT"},         {ACL_STARTTLS, "STARTTLS"},
    {ACL_VRFY, "VRFY"},
};

const char *acl_where_name(enum acl_where where)
{
    for (size_t i = 0; i < ARRAY_LEN(where_names); i++) {
        if (where_names[i].where == where) {
            return where_names[i].name;
        }
    }
    return "unknown";
}

struct acl_message *acl_note(struct message *m)
{
    if (!m->acl) {
        m->acl = POOL_NEW(m->pool, struct acl_message);
        m->acl->removed.pool = m->pool;
        m->acl->warned.pool = m->pool;
        m->acl->rates_mail.pool = m->pool;
        m->acl->rates_cmd.pool = m->pool;
    }
    return m->acl;
}

struct str acl_host_and_ident(struct pool *pool, const struct session *s, bool flag)
{
    bool ident = !str_empty(s->ident);
    if (str_empty(s->host_address)) {
        return STR_CAT(pool, flag ? STR("U=") : STR(""), ident ? s->ident : STR(""));
    }
    struct str out = STR_CAT(pool, flag ? STR("H=") : STR(""),
                             session_fullhost(pool, s, log_wants(LS_incoming_port)));
    if (log_wants(LS_incoming_interface) && !str_empty(s->interface_address)) {
        out = STR_CAT(pool, out, STR(" I=["), s->interface_address, STR("]"),
                      str_fmt(pool, ":%d", s->interface_port));
    }
    return ident ? STR_CAT(pool, out, STR(" U="), s->ident) : out;
}

#define FIELD(name) offsetof(struct acl_settings, name)

static const struct option options[] = {
    {"callout_domain_negative_expire", OPT_TIME, FIELD(callout_domain_negative_expire), "3h",
     "how long a callout's refusal of everything by a domain is believed", NULL, NULL},
    {"callout_domain_positive_expire", OPT_TIME, FIELD(callout_domain_positive_expire), "7d",
     "how long what a callout learnt of a domain is believed", NULL, NULL},
    {"callout_negative_expire", OPT_TIME, FIELD(callout_negative_expire), "2h",
     "how long a callout's refusal of an address is believed", NULL, NULL},
    {"callout_positive_expire", OPT_TIME, FIELD(callout_positive_expire), "1d",
     "how long a callout's acceptance of an address is believed", NULL, NULL},
    {"callout_random_local_part", OPT_EXPAND, FIELD(callout_random_local_part),
     "$primary_hostname-$tod_epoch-testing", "local part for /callout=random", NULL, NULL},
    {"smtp_return_error_details", OPT_BOOL, FIELD(smtp_return_error_details), "false",
     "tell the client why a verification failed for now", NULL, NULL},
    {NULL, OPT_END, 0, NULL, NULL, NULL, NULL},
};

const struct acl_settings *acl_settings(const struct config *conf)
{
    return conf->settings[ROOM_ACL];
}

static const struct hint_kind acl_hints[] = {
    {"callout", callout_hint_show, callout_hint_last},
    {"ratelimit", ratelimit_hint_show, ratelimit_hint_last},
    {0},
};

const struct module acl_module = {
    .name = "acl",
    .room = ROOM_ACL,
    .settings_size = sizeof(struct acl_settings),
    .options = options,
    .variables = acl_variables,
    .items = acl_items,
    .conditions = acl_expand_conditions,
    .acl_conditions = acl_conditions,
    .hints = acl_hints,
};
