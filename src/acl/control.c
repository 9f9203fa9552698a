/*
 * The `control` modifier: one row per control, with the phases it may stand in and what it does.
 * A control notes its effect on the message or on the session; reception acts on it.
 * A control that may not stand where it stands is an error when the configuration is read, or, if
 * its text is expanded, a failed ACL.
 */
#include "acl/internal.h"

struct control {
    const char *name;
    unsigned allowed; /* phases; 0: all */
    bool has_options; /* text after a slash belongs to it */
    bool unsupported;
    void (*run)(struct acl_job *j, struct str options);
};

/* Cuts the next /option off. */
static bool next_option(struct str *rest, struct str *opt)
{
    if (str_starts(*rest, "/")) {
        *rest = str_from(*rest, 1);
    }
    return str_next(rest, '/', opt);
}

static struct str keep(struct acl_job *j, struct str s)
{
    return str_dup(j->x->msg->pool, s);
}

static void caseful(struct acl_job *j, struct str options)
{
    (void)options;
    struct address *a = j->x->addr;
    if (a) {
        a->local_part = a->cc_local_part;
    }
}

static void caselower(struct acl_job *j, struct str options)
{
    (void)options;
    struct address *a = j->x->addr;
    if (a) {
        a->local_part = str_lower(j->x->msg->pool, a->cc_local_part);
    }
}

static void fake(struct acl_job *j, struct str options, int kind)
{
    struct message *m = j->x->msg;
    m->fake = kind;
    if (str_starts(options, "/")) {
        m->fake_reply = keep(j, str_from(options, 1));
    } else {
        m->fake_reply = STR(
            "Your message has been rejected but is being kept for evaluation.\n"
            "If it was a legitimate message, it may still be delivered to the target recipient(s).");
    }
}

static void fakedefer(struct acl_job *j, struct str options)
{
    fake(j, options, FAKE_DEFER);
}

static void fakereject(struct acl_job *j, struct str options)
{
    fake(j, options, FAKE_REJECT);
}

static void freeze(struct acl_job *j, struct str options)
{
    struct message *m = j->x->msg;
    /* Nobody is told only if every freeze says so. */
    bool no_tell = str_is(options, "/no_tell");
    m->freeze_no_tell = m->freeze_requested ? m->freeze_no_tell && no_tell : no_tell;
    m->freeze_requested = true;
    m->freeze_reason = STR("ACL");
}

static void queue(struct acl_job *j, struct str options)
{
    j->x->msg->queue_only_policy = true;
    struct str opt;
    while (next_option(&options, &opt)) {
        if (str_is(opt, "first_pass_route")) {
            j->x->msg->queue_first_pass = true;
            j->x->msg->queue_only_policy = false;
        }
    }
}

static void submission(struct acl_job *j, struct str options)
{
    struct message *m = j->x->msg;
    m->submission = true;
    struct str opt;
    while (next_option(&options, &opt)) {
        if (str_is(opt, "sender_retain")) {
            m->sender_retain = true;
        } else if (str_starts(opt, "domain=")) {
            m->submission_domain = keep(j, str_from(opt, 7));
        } else if (str_starts(opt, "name=")) {
            /* A name may hold slashes: it takes all that follows. */
            struct str name = str_from(opt, 5);
            m->submission_name =
                keep(j, str_empty(options) ? name : STR_CAT(j->x->pool, name, STR("/"), options));
            return;
        }
    }
}

static void suppress_fixups(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->msg->suppress_local_fixups = true;
}

/* What is traced from here on goes to a debug log, until the client goes or a control stops it. */
static void debug_control(struct acl_job *j, struct str options)
{
    struct str opt, error, selectors = STR(""), tag = STR_NONE;
    uint64_t mask = trace_default();
    while (next_option(&options, &opt)) {
        if (str_is(opt, "stop") || str_is(opt, "kill")) {
            trace_file_close(str_is(opt, "kill"));
            return;
        }
        if (str_starts(opt, "opts=")) {
            selectors = str_from(opt, 5);
        } else if (str_starts(opt, "tag=")) {
            tag = str_from(opt, 4);
        } else {
            log_write(LOG_MAIN | LOG_PANIC, "control = debug: \"%.*s\" is not supported by minim",
                      STR_ARG(opt));
            return;
        }
    }
    TRACE(TR_any, "DEBUGGING ACTIVATED FROM WITHIN CONFIG.\nDEBUG: Tag=\"%.*s\" opts=\"%.*s\"",
          STR_ARG(str_unset(tag) ? STR("NULL") : tag), STR_ARG(selectors));
    if (!trace_parse(j->x->pool, selectors, &mask, &error) ||
        !trace_file_open(j->x->pool, tag, mask, &error)) {
        log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(error));
        return;
    }
}

static void enforce_sync(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->enforce_sync = true;
}

static void no_enforce_sync(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->enforce_sync = false;
}

static void no_callout_flush(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->no_callout_flush = true;
}

static void no_delay_flush(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->no_delay_flush = true;
}

static void no_multiline(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->no_multiline_responses = true;
}

static void no_pipelining(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->no_pipelining_advertise = true;
}

static void allow_auth(struct acl_job *j, struct str options)
{
    (void)options;
    j->x->sess->allow_unadvertised_auth = true;
}

/* Nothing is verified that this could disable. */
static void nothing(struct acl_job *j, struct str options)
{
    (void)j;
    (void)options;
}

#define SMTP_ONLY (ACL_ALL & ~(unsigned)(ACL_NOTSMTP | ACL_NOTSMTP_START))
#define RECEIVING (ACL_MAIL | ACL_RCPT | ACL_PREDATA | ACL_DATA | ACL_PRDR | ACL_MIME)

static const struct control controls[] = {
    {"allow_auth_unadvertised", ACL_CONNECT | ACL_HELO, false, false, allow_auth},
    {"caseful_local_part", ACL_RCPT, false, false, caseful},
    {"caselower_local_part", ACL_RCPT, false, false, caselower},
    {"cutthrough_delivery", 0, true, true, NULL},
    {"debug", 0, true, false, debug_control},
    {"dkim_disable_verify", SMTP_ONLY & ~(unsigned)(ACL_DATA | ACL_DKIM), false, false, nothing},
    {"dmarc_disable_verify", SMTP_ONLY & ~(unsigned)ACL_DATA, false, false, nothing},
    {"dmarc_enable_forensic", 0, false, true, NULL},
    {"dmarc_verify_disable", SMTP_ONLY & ~(unsigned)ACL_DATA, false, false, nothing},
    {"dscp", 0, true, true, NULL},
    {"enforce_sync", SMTP_ONLY, false, false, enforce_sync},
    {"fakedefer", RECEIVING, true, false, fakedefer},
    {"fakereject", RECEIVING, true, false, fakereject},
    {"freeze", RECEIVING | ACL_NOTSMTP, true, false, freeze},
    {"no_callout_flush", SMTP_ONLY, false, false, no_callout_flush},
    {"no_delay_flush", SMTP_ONLY, false, false, no_delay_flush},
    {"no_enforce_sync", SMTP_ONLY, false, false, no_enforce_sync},
    {"no_mbox_unspool", 0, false, true, NULL},
    {"no_multiline_responses", SMTP_ONLY, false, false, no_multiline},
    {"no_pipelining", SMTP_ONLY, false, false, no_pipelining},
    {"queue", RECEIVING | ACL_NOTSMTP, true, false, queue},
    {"queue_only", RECEIVING | ACL_NOTSMTP, true, false, queue},
    {"submission", ACL_MAIL | ACL_RCPT | ACL_PREDATA, true, false, submission},
    {"suppress_local_fixups", ACL_MAIL | ACL_RCPT | ACL_PREDATA | ACL_NOTSMTP_START, false, false,
     suppress_fixups},
    {"utf8_downconvert", 0, true, true, NULL},
    {"wellknown", 0, true, true, NULL},
};

/* The control a text names; *options gets the text behind the name. */
static const struct control *find_control(struct str text, struct str *options)
{
    ptrdiff_t slash = str_chr(text, '/');
    struct str name = slash < 0 ? text : str_sub(text, 0, (size_t)slash);
    *options = slash < 0 ? STR("") : str_from(text, (size_t)slash);
    for (size_t i = 0; i < ARRAY_LEN(controls); i++) {
        if (str_is(name, controls[i].name)) {
            return str_empty(*options) || controls[i].has_options ? &controls[i] : NULL;
        }
    }
    return NULL;
}

bool acl_control_check(struct opt_reader *r, struct str text)
{
    struct str options;
    const struct control *c = find_control(text, &options);
    if (!c) {
        return opt_error(r, "error in ACL: syntax error in \"control=%.*s\"", STR_ARG(text));
    }
    if (c->unsupported) {
        return opt_error(
            r, "ACL modifier \"control = %s\" is not supported by this version of minim", c->name);
    }
    return true;
}

enum acl_test acl_control(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    struct str options;
    const struct control *c = find_control(arg, &options);
    if (!c || c->unsupported) {
        j->log = str_fmt(j->x->pool, "syntax error in \"control=%.*s\"", STR_ARG(arg));
        return TEST_ERROR;
    }
    if (c->allowed && !(c->allowed & j->where)) {
        j->log = str_fmt(j->x->pool, "cannot use \"control=%s\" in %s ACL", c->name,
                         acl_where_name(j->where));
        return TEST_ERROR;
    }
    c->run(j, options);
    return TEST_OK;
}
