/*
 * Telling a local sender that his message was not taken: on standard error (-oep), or by a message
 * from <> with what was wrong and a copy of what he sent (-oem).
 *
 * The report is a message like any other that is handed in: acl_not_smtp_start and acl_not_smtp see
 * it, and if they refuse it nobody is told.
 */
#include "smtp_in/internal.h"

#include <pwd.h>
#include <unistd.h>

static const struct {
    const char *subject, *text, *after;
} kinds[] = {
    [MOAN_NO_RECIPIENTS] = {"nobody to send it to",
                            "Your message names no recipients, so that it could not be sent.\n",
                            NULL},
    [MOAN_ADDRESSES] = {"no recipient address is valid",
                        "None of the recipient addresses of your message could be understood, so\n"
                        "that it was sent to nobody:\n",
                        NULL},
    [MOAN_SOME_ADDRESSES] = {"invalid recipient address",
                             "Your message was sent, but not to these recipients, whose addresses\n"
                             "could not be understood:\n",
                             NULL},
    [MOAN_ARGUMENT] = {"invalid recipient address",
                       "A recipient address that you gave could not be understood:\n",
                       "The message was sent to nobody.\n"},
    [MOAN_REFUSED] = {"not accepted",
                      "Your message was not accepted by the rules of this system. The reason is:\n",
                      NULL},
    [MOAN_TECHNICAL] = {"not accepted", "Your message was not accepted. The reason is:\n", NULL},
};

static void put_text(struct receiver *r, struct str s)
{
    receive_put(r, s.p, s.len);
}

/* The headers of the report. */
static void put_headers(struct receiver *r, struct str subject, struct str to,
                        const struct message *about)
{
    struct pool *pool = r->msg->pool;
    const struct header *id = NULL;
    for (const struct header *h = about->headers; h; h = h->next) {
        id = h->type == 'I' ? h : id;
    }
    put_text(r, STR_CAT(pool,
                        STR("Auto-Submitted: auto-replied\nFrom: Mail Delivery System "
                            "<Mailer-Daemon@"),
                        core_settings(r->conf)->qualify_domain, STR(">\nTo: "), to, STR("\n")));
    if (id) {
        put_text(r, STR_CAT(pool, STR("References: "), str_trim(header_body(id)), STR("\n")));
    }
    put_text(r, STR_CAT(pool, STR("Subject: "), subject, STR("\n\n")));
}

/* Is it part of what was sent? Bcc is, whether or not -t has taken it out. */
static bool was_sent(const struct header *h)
{
    return h->type != '*' || str_startsi(h->text, "bcc") || str_startsi(h->text, "resent-bcc");
}

/* The message as far as it was read, or as much of it as may go back. */
static void put_copy(struct receiver *r, const struct message *about)
{
    struct queue_report_policy policy = queue_report_policy(r->conf);
    char chunk[4096];
    ssize_t n;
    if (!policy.return_message) {
        return;
    }
    put_text(r, policy.return_body ? STR("---- This is what was sent:\n\n")
                                   : STR("---- These are the headers of what was sent:\n\n"));
    for (const struct header *h = about->headers; h; h = h->next) {
        if (was_sent(h)) {
            put_text(r, h->text);
        }
    }
    put_text(r, STR("\n"));
    for (int64_t at = 0; about->spool_writer && policy.return_body; at += n) {
        n = spool_writer_read(about->spool_writer, at, chunk, sizeof chunk);
        if (n <= 0) {
            break;
        }
        receive_put(r, chunk, (size_t)n);
    }
}

/* What was wrong, and the message. */
static void put_report(struct receiver *r, enum moan_kind kind, struct str detail,
                       const struct message *about)
{
    put_text(r, str_fmt(r->msg->pool, "%s\n", kinds[kind].text));
    if (!str_empty(detail)) {
        put_text(r, STR_CAT(r->msg->pool, str_starts(detail, " ") ? STR("") : STR("  "),
                            str_rtrim(detail), STR("\n\n")));
    }
    if (kinds[kind].after) {
        put_text(r, str_fmt(r->msg->pool, "%s\n", kinds[kind].after));
    }
    put_copy(r, about);
}

/* Who the report comes from: the user that we run as. */
static struct session *own_session(const struct config *conf, struct pool *pool)
{
    struct session *s = POOL_NEW(pool, struct session);
    const struct passwd *pw = getpwuid(geteuid());
    s->pool = s->acl_c.pool = s->facts.pool = pool;
    s->host_aliases.pool = s->acl_stack.pool = pool;
    s->local = s->notsocket = s->sender_host_unknown = s->caller_trusted = true;
    s->caller_login = pw ? str_dup(pool, str_c(pw->pw_name)) : str_fmt(pool, "%u", geteuid());
    s->ident = s->caller_login;
    s->caller_name = s->caller_login;
    s->caller_uid = geteuid();
    s->caller_gid = getegid();
    s->protocol = STR("local");
    s->active_hostname = core_settings(conf)->primary_hostname;
    return s;
}

static bool acl_allows(struct receiver *r)
{
    struct acl_reply a;
    if (str_unset(r->set->acl_not_smtp.text)) {
        return true;
    }
    enum acl_result rc = acl_run(r->x, ACL_NOTSMTP, &r->set->acl_not_smtp, &a);
    return rc == ACL_ACCEPT;
}

/* Begins the report, a message of its own kind: nobody but the ACLs can object. */
static bool begin(struct receiver *r, struct ectx *x)
{
    const struct smtp_in_settings *set = smtp_in_settings(x->conf);
    if (!str_unset(set->acl_not_smtp_start.text)) {
        struct acl_reply a;
        acl_run(x, ACL_NOTSMTP_START, &set->acl_not_smtp_start, &a);
    }
    if (!receive_begin(r, x, false)) {
        return false;
    }
    r->trusted = r->sender_forced = true;
    return true;
}

/* Completes it and hands it on. */
static bool end(struct receiver *r, enum queue_how how)
{
    receive_end_input(r);
    if (!receive_fixup(r) || !acl_allows(r) || !receive_commit(r, how)) {
        receive_abort(r);
        return false;
    }
    receive_hand_over(r);
    return true;
}

/* A message of ours about another, from nobody; x is made to be its context. */
static struct message *new_message(struct ectx *x, struct pool *pool, const struct message *about)
{
    struct message *m = POOL_NEW(pool, struct message);
    m->pool = pool;
    m->session_facts = x->sess = own_session(x->conf, pool);
    m->sender = STR("");
    m->sender_set = m->local = m->local_error_message = true;
    m->originator_login = x->sess->caller_login;
    m->originator_uid = x->sess->caller_uid;
    m->originator_gid = x->sess->caller_gid;
    m->received_protocol = STR("local");
    if (about) {
        m->message_reference = about->id;
    }
    x->msg = m;
    return m;
}

static bool send_report(struct ectx *x, enum moan_kind kind, struct str to, struct str detail,
                        const struct message *about, enum queue_how how)
{
    struct receiver r = {0};
    if (!begin(&r, x)) {
        return false;
    }
    message_add_recipient(x->msg, to);
    put_headers(&r, str_fmt(x->pool, "Your message: %s", kinds[kind].subject), to, about);
    put_report(&r, kind, detail, about);
    return end(&r, how);
}

bool moan(struct ectx *outer, enum moan_kind kind, struct str sender, struct str detail,
          const struct message *about, enum queue_how how)
{
    if (str_empty(sender)) {
        return false;
    }
    struct pool *pool = pool_new("moan");
    struct ectx x;
    ectx_init(&x, outer->conf, pool);
    new_message(&x, pool, kind == MOAN_ARGUMENT ? NULL : about);
    bool ok = send_report(&x, kind, sender, detail, about, how);
    pool_free(&pool);
    return ok;
}

void moan_frozen(const struct config *conf, const struct message *about, struct str by,
                 enum queue_how how)
{
    struct str to = queue_report_policy(conf).freeze_tell, rest = to, item;
    struct receiver r = {0};
    struct ectx x;
    if (str_empty(to)) {
        return;
    }
    struct pool *pool = pool_new("freeze_tell");
    ectx_init(&x, conf, pool);
    struct message *m = new_message(&x, pool, about);
    if (begin(&r, &x)) {
        while (str_next(&rest, ',', &item)) {
            message_add_recipient(m, mail_qualify(pool, conf, str_trim(item), true));
        }
        put_headers(&r, STR("Message frozen on arrival"), to, about);
        put_text(&r, str_fmt(pool,
                             "Message %.*s was frozen on arrival by %.*s.\nThe sender is <%.*s>.\n",
                             STR_ARG(about->id), STR_ARG(by), STR_ARG(about->sender)));
        end(&r, how);
    }
    pool_free(&pool);
}
