/*
 * Bounces and success reports: for each address that failed a message to the sender (or errors_to),
 * in the form and words that tools parse, with the fields of RFC 3464; for recipients that asked for
 * it (RFC 3461) a report of success.
 *
 * An address is journalled as done when its bounce is safe; if it cannot be written the address
 * stays deferred.
 */
#include "queue/internal.h"

#include <errno.h>

enum { BODY_UNIT = 8192, BODY_EXTRA = 19 };

/* Where the report about an address goes: errors_to, or the sender. */
static struct str errors_address(const struct job *j, const struct address *a)
{
    return a->errors_to_empty ? STR("") : !str_unset(a->errors_to) ? a->errors_to : j->m->sender;
}

static void ignore(struct job *j, struct address *a, const char *why)
{
    if (!a->note->silent) {
        if (a->parent) {
            log_msg(LOG_MAIN, j->m, "%.*s <%.*s>: error ignored%s", STR_ARG(a->address),
                    STR_ARG(a->parent->address), why);
        } else {
            log_msg(LOG_MAIN, j->m, "%.*s: error ignored%s", STR_ARG(a->address), why);
        }
    }
    queue_journal(j, a);
    queue_tell_complete(j);
}

/* A bounce that fails has nobody to go back to: it is frozen, or dropped when it or its retry time is old. */
static bool keep_frozen(struct job *j, const struct address *a)
{
    return queue_is_bounce(j->m) && str_unset(a->errors_to) && !a->errors_to_empty &&
           (j->recipients == RCPT_DELIVER || j->recipients == RCPT_LOOP) &&
           !(a->note && a->note->out_of_time) &&
           queue_age(j->m) < j->set->ignore_bounce_errors_after;
}

/* ---- errors_copy ---- */

/* "pattern addresses": the addresses, expanded, if the pattern matches the bounce's recipient. */
static bool copy_matches(struct job *j, struct str item, struct str to, struct str *list)
{
    struct ectx x = j->x;
    uint32_t i = 0;
    bool quoted = item.len && item.p[0] == '"';
    for (i = quoted;
         i < item.len && (quoted ? item.p[i] != '"' : item.p[i] != ' ' && item.p[i] != '\t'); i++) {
    }
    struct str pattern = str_sub(item, quoted, i - quoted);
    x.addr = route_new_address(&x, to);
    return match_text(&x, LIST_ADDRESSES, pattern, to, true, NULL) == MATCH_YES &&
           expand_text(&x, str_trim(str_from(item, i + quoted)), list);
}

static struct str copies_for(struct job *j, struct str to)
{
    struct str rest = j->set->errors_copy, item, list;
    int sep = 0;
    while (!str_empty(rest) && list_next(j->pool, &rest, &sep, &item)) {
        if (copy_matches(j, str_trim(item), to, &list)) {
            return list;
        }
    }
    return STR("");
}

/* ---- text ---- */

/* X-Failed-Recipients: each once, without those that are to stay hidden. */
static void failed_recipients(struct report *r, const struct address *list)
{
    struct strvec seen = {.pool = r->pool};
    struct buf b;
    buf_init(&b, r->pool, 16 * 1024 * 1024);
    for (const struct address *a = list; a; a = a->next) {
        const struct address *named = a;
        while (named->parent && named->kind != AK_NORMAL) {
            named = named->parent;
        }
        if (a->hide_child || strvec_hasi(&seen, named->address)) {
            continue;
        }
        strvec_push(&seen, named->address);
        buf_addf(&b, "%s%.*s", seen.n > 1 ? ",\n  " : "", STR_ARG(named->address));
    }
    if (seen.n) {
        struct str text = buf_str(&b);
        report_header(r, "X-Failed-Recipients: %.*s\n", STR_ARG(text));
    }
}

static void introduction(struct report *r, struct str text)
{
    const struct job *j = r->j;
    if (!str_unset(text)) {
        report_put(r, text);
        return;
    }
    report_put(r, STR("This message was created automatically by mail delivery software.\n"));
    if (!str_unset(j->set->bounce_message_text)) {
        report_put(r, j->set->bounce_message_text);
    }
    if (str_eqi(r->to, j->m->sender)) {
        report_put(r, STR("\nA message that you sent could not be delivered to one or more of its\n"
                          "recipients. This is a permanent error. The following address(es) failed:"
                          "\n"));
    } else {
        report_printf(r,
                      "\nA message sent by\n\n  <%.*s>\n\n"
                      "could not be delivered to one or more of its recipients. The following\n"
                      "address(es) failed:\n",
                      STR_ARG(j->m->sender));
    }
}

static bool has_output(const struct address *a)
{
    return a->return_output && !str_empty(a->output);
}

/* What commands wrote that is to be returned. */
static void returned_output(struct report *r, const struct address *list, struct str intro)
{
    int n = 0;
    for (const struct address *a = list; a; a = a->next) {
        n += has_output(a);
    }
    if (!n) {
        return;
    }
    if (str_unset(intro)) {
        report_printf(r, "\nThe following text was generated during the delivery attempt%s:\n",
                      n > 1 ? "s" : "");
    } else {
        report_printf(r, "\n%.*s", STR_ARG(intro));
    }
    for (const struct address *a = list; a; a = a->next) {
        if (has_output(a)) {
            report_put(r, STR("\n"));
            report_address(r, a, "------ ", "\n       ", " ------\n");
            report_put(r, STR("\n"));
            report_put(r, a->output);
        }
    }
}

/* True if the body goes back; *limited if it would but is too big. */
static bool body_returned(const struct job *j, bool *limited)
{
    const struct queue_settings *s = j->set;
    const struct message *m = j->m;
    enum { RET_HDRS = 1, RET_FULL = 2 };
    int64_t limit = (s->bounce_return_size_limit / BODY_UNIT + 1) * BODY_UNIT;
    *limited = false;
    if (m->dsn_ret == RET_HDRS) {
        return false;
    }
    if (!s->bounce_return_body) {
        *limited = m->dsn_ret == RET_FULL;
        return false;
    }
    *limited = m->max_line > s->bounce_return_linesize_limit ||
               (s->bounce_return_size_limit > 0 && m->body_size + BODY_EXTRA > limit);
    return !*limited;
}

/* The last address first, but before all others those whose output was returned. */
static void status_fields(struct report *r, const struct address *list)
{
    struct vec order = {.pool = r->pool};
    report_status_begin(r);
    for (const struct address *a = list; a; a = a->next) {
        vec_push(&order, (void *)(uintptr_t)a);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = order.n; i-- > 0;) {
            if (has_output(order.v[i]) == (pass == 0)) {
                report_status(r, order.v[i], "failed", "5.0.0");
                report_put(r, STR("\n"));
            }
        }
    }
}

static void bounce_headers(struct report *r, const struct address *list, struct str own)
{
    const struct job *j = r->j;
    const struct queue_settings *s = j->set;
    failed_recipients(r, list);
    if (!str_empty(s->errors_reply_to)) {
        report_header(r, "Reply-To: %.*s\n", STR_ARG(s->errors_reply_to));
    }
    report_header(r, "Auto-Submitted: auto-replied\n");
    report_from(r);
    report_header(r, "To: %.*s\n", STR_ARG(r->to));
    report_references(r);
    report_header(r,
                  "Content-Type: multipart/report; report-type=delivery-status; "
                  "boundary=%.*s\n",
                  STR_ARG(r->boundary));
    report_header(r, "MIME-Version: 1.0\n");
    if (!str_unset(own)) {
        report_headers(r, own);
    } else {
        report_header(r, "Subject: Mail delivery failed%s\n",
                      str_eqi(r->to, j->m->sender) ? ": returning message to sender" : "");
    }
}

/* Variables for template texts. */
static void set_variables(struct job *j, struct str to)
{
    struct vars *facts = &j->m->session_facts->facts;
    facts->pool = j->pool;
    vars_set(facts, STR("bounce_recipient"), to);
}

/* One bounce about a list of addresses. False: it could not be written. */
static bool send_bounce(struct job *j, struct str to, const struct address *list)
{
    enum { T_HEADERS, T_INTRO, T_OUTPUT, T_COUNT };
    struct str text[T_COUNT];
    struct report r;
    bool limited;
    if (!report_begin(&r, j, to)) {
        return false;
    }
    set_variables(j, to);
    report_template(&r, &j->set->bounce_message_file, "error", text, T_COUNT);
    report_recipients(&r, to);
    report_recipients(&r, copies_for(j, to));
    bounce_headers(&r, list, text[T_HEADERS]);
    report_part(&r, "text/plain; charset=us-ascii");
    introduction(&r, text[T_INTRO]);
    report_put(&r, STR("\n"));
    for (const struct address *a = list; a; a = a->next) {
        if (report_address(&r, a, "  ", "\n    ", "")) {
            report_explanation(&r, a, "");
        }
        report_put(&r, STR("\n"));
    }
    returned_output(&r, list, text[T_OUTPUT]);
    report_put(&r, STR("\n"));
    status_fields(&r, list);
    bool body = body_returned(j, &limited);
    report_original(&r, body, limited);
    return report_end(&r);
}

/* ---- choosing ---- */

/* Takes the addresses off j->failed that are not to be reported; freezes where it must. */
static void sift(struct job *j)
{
    struct address *keep = NULL, **end = &keep;
    for (struct address *a = j->failed, *next; a; a = next) {
        next = a->next;
        a->next = NULL;
        bool refused = a->dsn_flags && !(a->dsn_flags & DSN_FAILURE);
        if (keep_frozen(j, a)) {
            bool forged = j->m->local && !j->m->local_error_message;
            queue_freeze(j, forged ? STR(" (message created with -f <>)")
                                   : STR(" (delivery error message)"));
            queue_put(&j->deferred, a);
        } else if (refused) {
            ignore(j, a, ": RFC 3461 DSN, failure notify not requested");
        } else if (str_empty(errors_address(j, a))) {
            ignore(j, a, "");
        } else {
            *end = a;
            end = &a->next;
        }
    }
    j->failed = keep;
}

/* Takes the first address and those that are reported to the same place. */
static struct address *take_group(struct job *j, struct str to)
{
    struct address *group = NULL, **end = &group, **at = &j->failed;
    while (*at) {
        struct address *a = *at;
        if (!str_eqi(errors_address(j, a), to)) {
            at = &a->next;
            continue;
        }
        *at = a->next;
        *end = a;
        end = &a->next;
    }
    *end = NULL;
    return group;
}

void bounce_failed(struct job *j)
{
    sift(j);
    while (j->failed) {
        struct str to = errors_address(j, j->failed);
        struct address *group = take_group(j, to);
        bool sent = send_bounce(j, to, group);
        for (struct address *a = group, *next; a; a = next) {
            next = a->next;
            if (sent) {
                queue_journal(j, a);
            } else {
                queue_put(&j->deferred, a);
            }
        }
        queue_tell_complete(j);
    }
}

/* ---- success ---- */

static const char *how_delivered(const struct address *a)
{
    return a->transport && !a->transport->local ? "relayed to non-DSN-aware mailer"
                                                : "relayed via non \"Remote SMTP\" router";
}

/* The successes to be reported, in their order, one for each envelope recipient. */
static void wanted_successes(struct job *j, struct vec *out)
{
    struct strvec tops = {.pool = j->pool};
    struct vec all = {.pool = j->pool};
    for (struct address *a = j->succeeded; a; a = a->next) {
        if ((a->dsn_flags & DSN_SUCCESS) && !a->dsn_relayed) {
            vec_push(&all, a);
        }
    }
    for (size_t i = all.n; i-- > 0;) {
        const struct address *a = all.v[i];
        if (!strvec_has(&tops, report_top(a)->address)) {
            strvec_push(&tops, report_top(a)->address);
            vec_push(out, all.v[i]);
        }
    }
}

static void success_headers(struct report *r)
{
    report_from(r);
    report_header(r, "Auto-Submitted: auto-generated\n");
    report_header(r, "To: %.*s\n", STR_ARG(r->to));
    report_header(r, "Subject: Delivery Status Notification\n");
    report_references(r);
    report_header(r,
                  "Content-Type: multipart/report; report-type=delivery-status; "
                  "boundary=%.*s\n",
                  STR_ARG(r->boundary));
    report_header(r, "MIME-Version: 1.0\n");
}

void bounce_success(struct job *j)
{
    struct vec list = {.pool = j->pool};
    struct report r;
    wanted_successes(j, &list);
    if (!list.n || queue_is_bounce(j->m) || !report_begin(&r, j, j->m->sender)) {
        return;
    }
    report_recipients(&r, j->m->sender);
    success_headers(&r);
    report_part(&r, "text/plain; charset=us-ascii");
    report_put(&r,
               STR("This message was created automatically by mail delivery software.\n"
                   " ----- The following addresses had successful delivery notifications -----\n"));
    for (size_t i = 0; i < list.n; i++) {
        const struct address *a = list.v[i];
        report_printf(&r, "<%.*s> (%s)\n\n", STR_ARG(report_top(a)->address), how_delivered(a));
    }
    report_status_begin(&r);
    for (size_t i = 0; i < list.n; i++) {
        const struct address *a = list.v[i];
        report_status(&r, a, "delivered", "2.0.0");
        report_put(&r, a->host_used
                           ? STR("Diagnostic-Code: smtp; 250 Ok\n\n")
                           : STR("Diagnostic-Code: X-Exim; relayed via non SMTP router\n\n"));
    }
    report_original(&r, false, false);
    report_end(&r);
}
