/*
 * Runs access control lists: statements in order, the conditions of each, what the verb makes of
 * them, and the messages that result.
 *
 * A run reads the configuration and the context; it notes on the message and the session, in their
 * pools. Results are views in x->pool. A test that cannot be done defers; a fault of the
 * configuration is TEST_ERROR, which the caller turns into a temporary refusal.
 */
#include "acl/internal.h"

enum { MAX_LEVEL = 20, MAX_ARGS = 9, MAX_FILE = 1 << 20 };

/* What a statement's conditions came to. */
struct outcome_of {
    enum acl_test rc;
    bool endpass;
};

/* For which results of its conditions a verb's messages are used. */
static bool verb_uses_messages(enum acl_verb v, enum acl_test rc)
{
    switch (v) {
    case VERB_ACCEPT:
    case VERB_DISCARD: return rc == TEST_OK || rc == TEST_FAIL || rc == TEST_DROP;
    case VERB_REQUIRE: return rc == TEST_FAIL || rc == TEST_DROP;
    default: return rc == TEST_OK;
    }
}

/* Expands a message into *out unless it is empty; a failure is logged, a forced one is not. */
static bool expand_message(struct acl_job *j, const struct acl_line *l, struct str seen,
                           struct str *out)
{
    j->note->verify_message = seen;
    struct str text;
    bool ok = expand_option(j->x, &l->arg, &text);
    if (!ok) {
        if (!j->x->forced_fail) {
            log_write(LOG_MAIN | LOG_PANIC, "failed to expand ACL message \"%.*s\": %.*s",
                      STR_ARG(l->arg.text), STR_ARG(j->x->error));
        }
        return false;
    }
    if (str_empty(text)) {
        return false;
    }
    *out = text;
    return true;
}

static void set_messages(struct acl_job *j, enum acl_verb verb, const struct outcome_of *o,
                         const struct acl_line *message, const struct acl_line *log_message)
{
    struct str old_user = j->user;
    struct str old_log = str_unset(j->log) ? old_user : j->log;
    /* What conditions left counts for nothing where the statement lets the message go on. */
    if (verb == VERB_WARN || (o->rc == TEST_OK && (verb == VERB_ACCEPT || verb == VERB_DISCARD))) {
        j->user = j->log = STR_NONE;
    }
    struct str text;
    if (message && expand_message(j, message, old_user, &text)) {
        j->user = text;
    }
    if (log_message && expand_message(j, log_message, old_log, &text)) {
        j->log = str_unset(j->log) ? text : STR_CAT(j->x->pool, text, STR(": "), j->log);
    }
    if (str_unset(j->log)) {
        j->log = j->user;
    }
}

/* The value of an argument that is expanded before its row sees it. False: *rc is the result. */
static bool expand_arg_of(struct acl_job *j, const struct acl_line *l, struct str *arg,
                          enum acl_test *rc)
{
    *arg = STR_NONE;
    if (!(l->row->flags & AC_EXPAND)) {
        return true;
    }
    if (expand_option(j->x, &l->arg, arg)) {
        if (str_unset(*arg)) {
            *arg = STR("");
        }
        return true;
    }
    if (j->x->forced_fail) {
        *rc = TEST_OK; /* the line is left out */
        return false;
    }
    j->log = str_fmt(j->x->pool, "failed to expand ACL string \"%.*s\": %.*s", STR_ARG(l->arg.text),
                     STR_ARG(j->x->error));
    if (j->x->defer) {
        j->search_error = j->log;
    }
    *rc = j->x->defer ? TEST_DEFER : TEST_ERROR;
    return false;
}

/* "check NAME = TEXT", and what the text became. */
static void trace_line(const struct acl_line *l, struct str arg)
{
    const char *not = l->negated ? "!" : "";
    bool set = !str_unset(l->var);
    trace_write_in("check %s%s%s%.*s = %.*s", not, l->row->name, set ? " " : "", STR_ARG(l->var),
                   STR_ARG(l->arg.text));
    if (l->row->flags & AC_EXPAND && !str_eq(arg, l->arg.text)) {
        int width =
            (int)(strlen("check  ") + strlen(not ) + strlen(l->row->name) + set + l->var.len);
        trace_write("%*s= %.*s", width, "", STR_ARG(arg));
    }
}

/* One condition or modifier. */
static enum acl_test run_line(struct acl_job *j, const struct acl_line *l)
{
    const struct acl_condition *row = l->row;
    if (row->forbidden & j->where) {
        j->log =
            str_fmt(j->x->pool, "cannot %s %s condition in %s ACL",
                    row->flags & AC_MODIFIER ? "use" : "test", row->name, acl_where_name(j->where));
        return TEST_ERROR;
    }
    struct str arg;
    enum acl_test rc;
    if (!expand_arg_of(j, l, &arg, &rc)) {
        return rc;
    }
    if (trace_on(TR_acl | TR_bh)) {
        trace_line(l, arg);
    }
    j->callout_defer = false;
    rc = row->run(j, l, arg);
    if (l->negated) {
        rc = rc == TEST_OK ? TEST_FAIL : rc == TEST_FAIL || rc == TEST_DROP ? TEST_OK : rc;
    }
    return rc;
}

static struct outcome_of run_conditions(struct acl_job *j, const struct acl_statement *s)
{
    struct outcome_of o = {TEST_OK, false};
    const struct acl_line *message = NULL, *log_message = NULL;
    for (const struct acl_line *l = s->first; l && o.rc == TEST_OK; l = l->next) {
        if (l->row->flags & AC_MESSAGE) {
            TRACE_IN(TR_acl | TR_bh, "  message: %.*s", STR_ARG(l->arg.text));
            message = l;
        } else if (l->row->flags & AC_LOG_MESSAGE) {
            TRACE_IN(TR_acl | TR_bh, "l_message: %.*s", STR_ARG(l->arg.text));
            log_message = l;
        } else if (l->row->flags & AC_ENDPASS) {
            o.endpass = true;
        } else {
            o.rc = run_line(j, l);
        }
    }
    if (o.endpass && o.rc == TEST_OK) {
        message = NULL;
    }
    if (verb_uses_messages(s->verb, o.rc)) {
        set_messages(j, s->verb, &o, message, log_message);
    }
    return o;
}

/* A warn statement whose conditions hold: its log line, once per message, and its header lines. */
static void warn(struct acl_job *j)
{
    struct pool *pool = j->x->pool;
    if (!str_unset(j->log) && !str_eq(j->log, j->user)) {
        struct str text = STR_CAT(pool, acl_host_and_ident(pool, j->x->sess, true),
                                  STR(" Warning: "), str_printable(pool, j->log, false));
        if (j->bad_sender && !str_empty(j->bad_sender->message) &&
            str_isi(j->log, "sender verify failed")) {
            text = STR_CAT(pool, text, STR(": "), j->bad_sender->message);
        }
        if (!strvec_has(&j->note->warned, text)) {
            strvec_push(&j->note->warned, str_dup(j->x->msg->pool, text));
            log_msg(LOG_MAIN, j->x->msg, "%.*s", STR_ARG(text));
        }
    }
    if (str_unset(j->user)) {
        return;
    }
    if (!(j->where & ACL_MESSAGE)) {
        log_write(
            LOG_MAIN | LOG_PANIC,
            "ACL \"warn\" with \"message\" setting found in a non-message (%s) ACL: cannot specify header lines "
            "here: message ignored",
            acl_where_name(j->where));
        return;
    }
    acl_add_headers(j, j->user);
}

static void warn_skipped(struct acl_job *j)
{
    if (log_wants(LS_acl_warn_skipped)) {
        struct str who = acl_host_and_ident(j->x->pool, j->x->sess, true);
        log_msg(LOG_MAIN, j->x->msg,
                "%.*s Warning: ACL \"warn\" statement skipped: condition test deferred%s%.*s",
                STR_ARG(who), str_unset(j->log) ? "" : ": ", STR_ARG(j->log));
    }
}

/* How traces name the ACL in hand. */
static struct str title(const struct acl_job *j, const struct acl *acl)
{
    return acl->is_inline ? STR("inline ACL")
                          : STR_CAT(j->x->pool, STR("ACL \""), acl->name, STR("\""));
}

/* What the conditions came to, and what the verb made of it if that ends the list. */
static void trace_conditions(const struct acl_job *j, const struct acl *acl,
                             const struct acl_statement *s, enum acl_test rc)
{
    static const char *const results[] = {"succeeded", "failed",  "deferred",
                                          "error",     "dropped", "discarded"};
    struct str name = title(j, acl);
    trace_write_in("%s: condition test %s in %.*s", acl_verb_name(s->verb), results[rc],
                   STR_ARG(name));
}

static void trace_end(const struct acl_job *j, const struct acl *acl, const struct acl_statement *s,
                      const struct outcome_of *o)
{
    static const char *const ends[] = {"ACCEPT", "DEFER", "DENY", "DISCARD", "DROP", "not OK", ""};
    struct str name = title(j, acl);
    bool passes = s->verb == VERB_ACCEPT || s->verb == VERB_DISCARD;
    if (passes && o->rc != TEST_OK && o->rc != TEST_DISCARD) {
        trace_write_in("%s: endpass encountered - denying access", acl_verb_name(s->verb));
    } else {
        trace_write_in("end of %.*s: %s", STR_ARG(name),
                       o->rc == TEST_DISCARD ? "DISCARD" : ends[s->verb]);
    }
}

/* What the verb makes of the result; false: go on with the next statement. */
static bool apply_verb(struct acl_job *j, const struct acl_statement *s, const struct outcome_of *o,
                       enum acl_test *out)
{
    *out = o->rc;
    switch (s->verb) {
    case VERB_ACCEPT: return o->rc == TEST_OK || o->rc == TEST_DISCARD || o->endpass;
    case VERB_DISCARD:
        if (o->rc == TEST_OK || o->rc == TEST_DISCARD) {
            *out = TEST_DISCARD;
            return true;
        }
        return o->endpass;
    case VERB_REQUIRE: return o->rc != TEST_OK;
    case VERB_DEFER:
        *out = TEST_DEFER;
        j->temp_details |= o->rc == TEST_OK;
        return o->rc == TEST_OK;
    case VERB_DENY: *out = TEST_FAIL; return o->rc == TEST_OK;
    case VERB_DROP: *out = TEST_DROP; return o->rc == TEST_OK;
    case VERB_WARN:
        if (o->rc == TEST_OK) {
            warn(j);
        } else if (o->rc == TEST_DEFER) {
            warn_skipped(j);
        }
        j->log = j->user = STR_NONE;
        return false;
    }
    return false;
}

/* QUIT and not-QUIT ACLs cannot refuse anything. */
static bool misused_in_quit(struct acl_job *j, const struct acl_statement *s, enum acl_test rc)
{
    bool refuses =
        rc == TEST_FAIL || rc == TEST_DROP || (rc == TEST_DEFER && s->verb == VERB_DEFER);
    if (!refuses || !(j->where & (ACL_QUIT | ACL_NOTQUIT)) || j->level > 1) {
        return false;
    }
    j->log = str_fmt(j->x->pool,
                     "QUIT or not-QUIT toplevel ACL may not fail ('%s' verb used incorrectly)",
                     acl_verb_name(s->verb));
    return true;
}

static enum acl_test run_statements(struct acl_job *j, const struct acl *acl)
{
    for (const struct acl_statement *s = acl->first; s; s = s->next) {
        TRACE_IN(TR_acl | TR_bh, "processing \"%s\" (%s %d)", acl_verb_name(s->verb), s->pos.file,
                 s->pos.line);
        j->user = j->log = j->search_error = STR_NONE;
        j->temp_details = false;
        struct outcome_of o = run_conditions(j, s);
        if (trace_on(TR_acl | TR_bh)) {
            trace_conditions(j, acl, s, o.rc);
        }
        if (o.rc == TEST_ERROR) {
            return TEST_ERROR;
        }
        if (o.rc == TEST_DEFER) {
            if (!j->callout_defer && !str_empty(j->search_error)) {
                j->log = j->search_error;
            }
            if (s->verb != VERB_WARN) {
                j->temp_details |=
                    j->callout_defer || acl_settings(j->x->conf)->smtp_return_error_details;
                return TEST_DEFER;
            }
        }
        enum acl_test rc;
        if (apply_verb(j, s, &o, &rc)) {
            if (trace_on(TR_acl | TR_bh)) {
                trace_end(j, acl, s, &o);
            }
            return misused_in_quit(j, s, rc) ? TEST_ERROR : rc;
        }
    }
    TRACE_IN(TR_acl | TR_bh, "end of %.*s: implicit DENY", STR_ARG(title(j, acl)));
    return TEST_FAIL; /* with what the last statement's conditions said */
}

/* The log has all of it; what may reach the client has nothing. */
static struct acl *refuse_tainted(struct acl_job *j, struct str text)
{
    log_msg(LOG_MAIN | LOG_PANIC, j->x->msg, "attempt to use tainted ACL text \"%.*s\"",
            STR_ARG(text));
    j->log = STR("internal configuration error");
    return NULL;
}

/* The ACL that a text without arguments stands for: a name, a file, or the ACL itself. */
static struct acl *find_acl(struct acl_job *j, struct str text)
{
    struct pool *pool = j->x->pool;
    text = str_ltrim(text);
    struct str error = STR_NONE, name = STR_NONE;
    if (!str_any_in(text, " \t\n")) {
        struct acl *known = j->x->conf->acls ? map_get(j->x->conf->acls, text) : NULL;
        if (known) {
            TRACE_IN(TR_acl | TR_bh, "using ACL \"%.*s\"", STR_ARG(known->name));
            return known;
        }
    }
    if (text.tainted) {
        return refuse_tainted(j, text);
    }
    if (str_starts(text, "/") && !str_any_in(text, " \t\n")) {
        name = text;
        if (file_read(pool, name, MAX_FILE, &text) < 0) {
            j->log = str_fmt(pool, "failed to open ACL file \"%.*s\": %m", STR_ARG(name));
            return NULL;
        }
        TRACE_IN(TR_acl | TR_bh, "read ACL from file %.*s", STR_ARG(name));
    }
    struct acl *acl = acl_compile(j->x, name, text, &error);
    if (!acl) {
        j->log = error;
    }
    return acl;
}

static enum acl_test run_level(struct acl_job *j, struct str text)
{
    struct acl *acl = find_acl(j, text);
    if (!acl) {
        return TEST_ERROR;
    }
    j->level++;
    strvec_push(&j->x->sess->acl_stack, acl->name);
    enum acl_test rc = run_statements(j, acl);
    j->x->sess->acl_stack.n--;
    j->level--;
    return rc;
}

static enum acl_test run_named(struct acl_job *j, struct str text)
{
    if (j->level >= MAX_LEVEL) {
        j->log = STR("ACL nested too deep: possible loop");
        return TEST_ERROR;
    }
    int deeper = j->level > 0;
    trace_state.depth += deeper;
    enum acl_test rc = run_level(j, text);
    trace_state.depth -= deeper;
    return rc;
}

/* The next blank-separated word of a call, expanded; a quoted one may hold blanks. */
static bool next_word(struct str *rest, struct str *word)
{
    *rest = str_ltrim(*rest);
    if (str_empty(*rest)) {
        return false;
    }
    if (rest->p[0] == '"') {
        ptrdiff_t end = str_chr(str_from(*rest, 1), '"');
        uint32_t n = end < 0 ? rest->len - 1u : (uint32_t)end;
        *word = str_sub(*rest, 1, n);
        *rest = str_from(*rest, n + 2u);
    } else {
        uint32_t n = 0;
        while (n < rest->len && !strchr(" \t\n\r", rest->p[n])) {
            n++;
        }
        *word = str_sub(*rest, 0, n);
        *rest = str_from(*rest, n);
    }
    return true;
}

enum acl_test acl_call_args(struct acl_job *j, struct str name, const struct str *args, size_t n)
{
    struct ectx *x = j->x;
    struct scope *outer = x->scope;
    x->scope = NULL;
    scope_set(x, STR("acl_narg"), str_fmt(x->pool, "%zu", n));
    for (size_t i = 0; i < n; i++) {
        scope_set(x, str_fmt(x->pool, "acl_arg%zu", i + 1), args[i]);
    }
    enum acl_test rc = run_named(j, name);
    scope_restore(x, outer);
    return rc;
}

enum acl_test acl_call(struct acl_job *j, struct str text)
{
    struct ectx *x = j->x;
    struct str word, name = STR_NONE, args[MAX_ARGS];
    size_t n = 0;
    while (n < MAX_ARGS && next_word(&text, &word)) {
        if (str_any_in(word, "$\\") && !expand_text(x, word, &word)) {
            if (x->forced_fail) {
                return TEST_ERROR;
            }
            j->log = str_fmt(x->pool, "failed to expand ACL string \"%.*s\": %.*s", STR_ARG(word),
                             STR_ARG(x->error));
            return x->defer ? TEST_DEFER : TEST_ERROR;
        }
        if (str_unset(name)) {
            name = word;
        } else {
            args[n++] = word;
        }
    }
    return acl_call_args(j, name, args, n);
}

static enum acl_result as_result(struct acl_job *j, enum acl_test rc)
{
    switch (rc) {
    case TEST_OK: return ACL_ACCEPT;
    case TEST_FAIL: return ACL_DENY;
    case TEST_DROP:
        if (j->where == ACL_MAILAUTH) {
            log_write(LOG_MAIN | LOG_PANIC, "\"drop\" verb not allowed in MAILAUTH ACL");
            return ACL_ERROR;
        }
        return ACL_DROP;
    case TEST_DEFER: return ACL_DEFER;
    case TEST_DISCARD:
        if (!(j->where & (ACL_MESSAGE & ~(unsigned)(ACL_PREDATA | ACL_NOTSMTP_START)))) {
            log_write(LOG_MAIN | LOG_PANIC, "\"discard\" verb not allowed in %s ACL",
                      acl_where_name(j->where));
            return ACL_ERROR;
        }
        return ACL_DISCARD;
    case TEST_ERROR: return ACL_ERROR;
    }
    return ACL_ERROR;
}

enum acl_result acl_run(struct ectx *x, enum acl_where where, const struct etext *opt,
                        struct acl_reply *reply)
{
    *reply = (struct acl_reply){.log_target = LOG_MAIN | LOG_REJECT,
                                .return_details = acl_settings(x->conf)->smtp_return_error_details};
    if (str_unset(opt->text)) {
        return where == ACL_RCPT ? ACL_DENY : ACL_ACCEPT;
    }
    struct acl_job j = {
        .x = x, .where = where, .note = acl_note(x->msg), .log_target = LOG_MAIN | LOG_REJECT};
    j.note->rates_cmd.n = 0;
    x->sess->acl_stack.pool = x->sess->rates_done.pool = x->sess->pool;
    struct str text;
    enum acl_test rc;
    if (!expand_option(x, opt, &text)) {
        if (x->forced_fail) {
            return ACL_ACCEPT;
        }
        j.log = str_fmt(x->pool, "failed to expand ACL string \"%.*s\": %.*s", STR_ARG(opt->text),
                        STR_ARG(x->error));
        rc = TEST_ERROR;
    } else {
        unsigned outer = j.note->where;
        j.note->where = where;
        rc = run_named(&j, text);
        j.note->where = outer;
    }
    enum acl_result result = as_result(&j, rc);
    reply->user = j.user;
    reply->log = j.log;
    reply->log_target = j.log_target;
    reply->temp_details = j.temp_details;
    reply->bad_sender = j.bad_sender;
    return result;
}
