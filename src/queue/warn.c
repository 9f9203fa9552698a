/*
 * Notices about messages that stay: the delay warning to the sender, and the note to freeze_tell
 * about a frozen message.
 * They are written like bounces (report.c); one that cannot be written is logged, and the message
 * stays as it was.
 */
#include "queue/internal.h"

enum { MINUTE = 60, HOUR = 3600 };

int bounce_warnings_due(const struct timelist *times, int64_t age, int64_t *passed)
{
    int n = 0;
    *passed = 0;
    if (!times->n || times->v[0] <= 0) {
        return 0;
    }
    while ((size_t)n < times->n && age >= times->v[n]) {
        n++;
    }
    if ((size_t)n < times->n) {
        *passed = n ? times->v[n - 1] : 0;
        return n;
    }
    int64_t last = times->v[times->n - 1];
    int64_t step = times->n > 1 ? last - times->v[times->n - 2] : last;
    int64_t more = step > 0 ? (age - last) / step : 0;
    *passed = last + more * step;
    return n + (int)more;
}

static struct str errors_address(const struct job *j, const struct address *a)
{
    return a->errors_to_empty ? STR("") : !str_unset(a->errors_to) ? a->errors_to : j->m->sender;
}

/* delay_warning_condition, with $domain if all addresses have the same. */
static bool condition_holds(struct job *j)
{
    struct ectx x = j->x;
    struct str value;
    const struct etext *e = &j->set->delay_warning_condition;
    x.addr = j->deferred;
    for (struct address *a = j->deferred; a && x.addr; a = a->next) {
        if (!str_eqi(a->domain, j->deferred->domain)) {
            x.addr = NULL;
        }
    }
    if (str_unset(e->text)) {
        return true;
    }
    if (!expand_option(&x, e, &value)) {
        if (!x.forced_fail) {
            log_msg(LOG_MAIN | LOG_PANIC, j->m, "failed to expand delay_warning_condition: %.*s",
                    STR_ARG(x.error));
        }
        return x.forced_fail ? false : true;
    }
    value = str_trim(value);
    return !str_empty(value) && !str_is(value, "0") && !str_isi(value, "no") &&
           !str_isi(value, "false");
}

/* The addresses to tell the sender of, and who is told, comma-separated. */
static void choose(struct job *j, struct vec *list, struct str *to)
{
    struct strvec tos = {.pool = j->pool};
    *to = STR("");
    for (struct address *a = j->deferred; a; a = a->next) {
        struct str address = errors_address(j, a);
        bool wanted = !a->dsn_flags || (a->dsn_flags & DSN_DELAY);
        if (!wanted || str_empty(address)) {
            continue;
        }
        vec_push(list, a);
        if (!strvec_hasi(&tos, address)) {
            strvec_push(&tos, address);
            *to = str_empty(*to) ? address : STR_CAT(j->pool, *to, STR(", "), address);
        }
    }
}

static struct str header_text(const struct message *m, const char *name)
{
    const struct header *h = header_find(m, str_c(name));
    return h ? str_trim(header_body(h)) : STR_NONE;
}

static void introduction(struct report *r, struct str own, struct str delay, size_t n)
{
    const struct message *m = r->j->m;
    struct str host = core_settings(r->j->conf)->primary_hostname;
    if (!str_unset(own)) {
        report_put(r, own);
        return;
    }
    report_put(r, STR("This message was created automatically by mail delivery software.\n"));
    if (str_eqi(r->to, m->sender)) {
        report_printf(r,
                      "A message that you sent has not yet been delivered to one or more of its\n"
                      "recipients after more than %.*s on the queue on %.*s.\n",
                      STR_ARG(delay), STR_ARG(host));
    } else {
        report_printf(
            r,
            "A message sent by\n\n  <%.*s>\n\n"
            "has not yet been delivered to one or more of its recipients after more than \n"
            "%.*s on the queue on %.*s.\n",
            STR_ARG(m->sender), STR_ARG(delay), STR_ARG(host));
    }
    report_printf(r, "\nThe message identifier is:     %.*s\n", STR_ARG(m->id));
    struct str subject = header_text(m, "Subject"), date = header_text(m, "Date");
    if (!str_unset(subject)) {
        report_printf(r, "The subject of the message is: %.*s\n", STR_ARG(subject));
    }
    if (!str_unset(date)) {
        report_printf(r, "The date of the message is:    %.*s\n", STR_ARG(date));
    }
    report_printf(r, "\nThe address%s to which the message has not yet been delivered %s:\n",
                  n > 1 ? "es" : "", n > 1 ? "are" : "is");
}

static void headers(struct report *r, struct str own, struct str delay)
{
    const struct queue_settings *s = r->j->set;
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
        report_header(r, "Subject: Warning: message %.*s delayed %.*s\n", STR_ARG(r->j->m->id),
                      STR_ARG(delay));
    }
}

static void warning(struct report *r, const struct vec *list, struct str delay)
{
    enum { T_HEADERS, T_INTRO, T_END, T_COUNT };
    struct str text[T_COUNT];
    report_template(r, &r->j->set->warn_message_file, "warning", text, T_COUNT);
    headers(r, text[T_HEADERS], delay);
    report_part(r, "text/plain; charset=us-ascii");
    introduction(r, text[T_INTRO], delay, list->n);
    report_put(r, STR("\n"));
    for (size_t i = 0; i < list->n; i++) {
        if (report_address(r, list->v[i], "  ", "\n    ", "")) {
            report_explanation(r, list->v[i], "Delay reason: ");
        }
        report_put(r, STR("\n"));
    }
    report_put(r, STR("\n"));
    if (!str_unset(text[T_END])) {
        report_put(r, text[T_END]);
    } else {
        report_put(r,
                   STR("No action is required on your part. Delivery attempts will continue for\n"
                       "some time, and this warning may be repeated at intervals if the message\n"
                       "remains undelivered. Eventually the mail delivery software will give up,\n"
                       "and when that happens, the message will be returned to you.\n"));
    }
    report_put(r, STR("\n"));
    report_status_begin(r);
    for (size_t i = 0; i < list->n; i++) {
        report_status(r, list->v[i], "delayed", "4.0.0");
        report_put(r, STR("\n"));
    }
    report_original(r, false, false);
}

/* True if something was tried in vain, rather than all left alone until its time comes. */
static bool attempted(const struct job *j)
{
    for (const struct address *a = j->deferred; a; a = a->next) {
        if (a->basic_errno > ERRNO_RRETRY) {
            return true;
        }
    }
    return false;
}

void bounce_warn(struct job *j)
{
    struct vec list = {.pool = j->pool};
    struct report r;
    struct str to;
    int64_t age = queue_age(j->m), passed;
    int due = bounce_warnings_due(&j->set->delay_warning, age, &passed);
    if (due <= j->m->warning_count || !attempted(j) || queue_is_bounce(j->m) ||
        !condition_holds(j)) {
        return;
    }
    choose(j, &list, &to);
    if (!list.n) {
        return;
    }
    struct str delay = age < 2 * HOUR
                           ? str_fmt(j->pool, "%lld minutes", (long long)(passed / MINUTE))
                           : str_fmt(j->pool, "%lld hours", (long long)(passed / HOUR));
    struct vars *facts = &j->m->session_facts->facts;
    facts->pool = j->pool;
    vars_set(facts, STR("warn_message_delay"), delay);
    vars_set(facts, STR("warn_message_recipients"), to);
    if (!report_begin(&r, j, to)) {
        return;
    }
    report_recipients(&r, to);
    warning(&r, &list, delay);
    if (report_end(&r)) {
        j->m->warning_count = due;
    }
}

void bounce_tell_frozen(struct job *j)
{
    struct report r;
    struct str to = j->set->freeze_tell;
    if (str_empty(to) || j->m->local_error_message || !report_begin(&r, j, to)) {
        return;
    }
    report_recipients(&r, to);
    report_header(&r, "Auto-Submitted: auto-replied\n");
    report_from(&r);
    report_header(&r, "To: %.*s\n", STR_ARG(to));
    report_references(&r);
    report_header(&r, "Subject: Message frozen\n");
    report_printf(&r, "Message %.*s has been frozen%.*s.\nThe sender is <%.*s>.\n",
                  STR_ARG(j->m->id), STR_ARG(j->freeze_why), STR_ARG(j->m->sender));
    if (j->deferred) {
        report_put(&r, STR("\nThe following address(es) have yet to be delivered:\n"));
    }
    for (const struct address *a = j->deferred; a; a = a->next) {
        struct str name = a->address;
        report_printf(&r, "  %.*s", STR_ARG(name));
        if (a->parent) {
            report_printf(&r, " <%.*s>", STR_ARG(report_top(a)->address));
        }
        if (a->basic_errno > 0) {
            report_printf(&r, ": %s", strerror(a->basic_errno));
        }
        if (!str_unset(a->message)) {
            report_printf(&r, ": %.*s", STR_ARG(a->message));
        }
        report_put(&r, STR("\n"));
    }
    report_end(&r);
}
