/*
 * VRFY, EXPN (RFC 5321 3.5) and ETRN (RFC 1985): what is known of an address, and a queue run for a
 * host that asks for its mail.
 *
 * A queue run, or the command that smtp_etrn_command puts in its place, goes on in a process of its
 * own after the reply.
 */
#include "smtp_in/internal.h"

#include <inttypes.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ETRN_STALE = 6 * 3600, MAX_WORDS = 100 };

/* ---- VRFY ---- */

/* The address of VRFY; a domain is needed where RCPT needs one. False after refusing. */
static bool vrfy_address(struct conv *c, struct str arg, struct str *address, struct mailbox *m)
{
    struct str error = STR("empty address");
    if (str_empty(arg) || !mailbox_parse(c->msg_pool, arg, mailbox_flags(c->conf), m, &error)) {
        reply(c, "501 %.*s", STR_ARG(error));
        return false;
    }
    if (str_empty(m->domain) && !conv_unqualified_ok(c, true)) {
        reply(c, "501 %.*s: recipient address must contain a domain", STR_ARG(arg));
        return false;
    }
    *address = mail_qualify(c->msg_pool, c->conf, m->text, true);
    return mailbox_parse(c->msg_pool, *address, mailbox_flags(c->conf), m, &error);
}

/* Runs the ACL of a command. False after refusing. */
static bool allowed(struct conv *c, enum acl_where where, const struct etext *acl,
                    enum conv_end *end)
{
    struct acl_reply r = {.log_target = LOG_MAIN | LOG_REJECT};
    enum acl_result rc = ACL_DENY;
    *end = GO_ON;
    if (!str_unset(acl->text)) {
        rc = conv_acl(c, where, acl, &r);
    }
    if (rc != ACL_ACCEPT) {
        *end = reply_acl(c, where, rc, &r);
    }
    return rc == ACL_ACCEPT;
}

enum conv_end cmd_vrfy(struct conv *c, const struct smtp_line *l)
{
    enum conv_end end = GO_ON;
    struct str address;
    struct address *a = NULL;
    struct mailbox m;
    c->cmd_arg = l->arg;
    if (!vrfy_address(c, l->arg, &address, &m)) {
        return GO_ON;
    }
    c->x.addr = conv_acl_address(c, &m);
    bool go_on = allowed(c, ACL_VRFY, &c->set->acl_smtp_vrfy, &end);
    c->x.addr = NULL;
    if (!go_on) {
        return end;
    }
    switch (verify_address(&c->x, address, false, STR_NONE, &a)) {
    case VERIFY_OK: reply(c, "250 <%.*s> is deliverable", STR_ARG(address)); break;
    case VERIFY_DEFER:
        if (str_empty(a->user_message)) {
            reply(c, "451 Cannot resolve <%.*s> at this time", STR_ARG(address));
        } else {
            reply(c, "451 <%.*s> %.*s", STR_ARG(address), STR_ARG(a->user_message));
        }
        break;
    case VERIFY_FAIL: {
        struct str who = conv_who(c, true);
        struct str why = str_unset(a->user_message) ? STR("is not deliverable") : a->user_message;
        reply(c, "550 <%.*s> %.*s", STR_ARG(address), STR_ARG(why));
        log_write(LOG_MAIN, "VRFY failed for %.*s %.*s", STR_ARG(l->arg), STR_ARG(who));
        break;
    }
    }
    return GO_ON;
}

/* ---- EXPN ---- */

enum conv_end cmd_expn(struct conv *c, const struct smtp_line *l)
{
    enum conv_end end;
    c->cmd_arg = l->arg;
    if (!allowed(c, ACL_EXPN, &c->set->acl_smtp_expn, &end)) {
        return end;
    }
    struct address *a = route_new_address(&c->x, mail_qualify(c->msg_pool, c->conf, l->arg, true));
    struct route_job job = {.x = &c->x, .why = ROUTE_EXPN};
    c->x.addr = a;
    c->x.expn = true;
    enum route_result rc = route_address(&job, a);
    c->x.expn = false;
    c->x.addr = NULL;
    if (job.failed || rc == ROUTE_FAIL || rc == ROUTE_DECLINE) {
        reply(c, "553 %.*s is undeliverable", STR_ARG(a->address));
    } else if (job.deferred || rc == ROUTE_DEFER || rc == ROUTE_ERROR) {
        reply(c, "553 %.*s cannot be resolved at this time", STR_ARG(a->address));
    } else if (job.generated || job.local) {
        struct address *list = job.generated ? job.generated : job.local;
        for (; list; list = list->next) {
            struct str text = str_empty(list->pipe_file) ? list->address : list->pipe_file;
            reply(c, "250%c<%.*s>", list->next ? '-' : ' ', STR_ARG(text));
        }
    } else if (job.remote) {
        reply(c, "250 <%.*s>", STR_ARG(a->address));
    } else {
        reply(c, "250 mail to <%.*s> is discarded", STR_ARG(a->address));
    }
    return GO_ON;
}

/* ---- ETRN ---- */

/* What is to be done for one ETRN. */
struct etrn {
    struct conv *c;
    const char **argv;    /* the command; NULL: a queue run */
    struct str recipient; /* of the queue run */
    struct str key;       /* of the record that says it is being done */
};

/* The next word of a command; one in quotes may hold blanks. */
static bool next_word(struct str *rest, struct str *word)
{
    *rest = str_ltrim(*rest);
    if (str_empty(*rest)) {
        return false;
    }
    char quote = rest->p[0] == '"' || rest->p[0] == '\'' ? rest->p[0] : '\0';
    uint32_t start = quote != '\0', end = start;
    while (end < rest->len && (quote ? rest->p[end] != quote : !strchr(" \t\n", rest->p[end]))) {
        end++;
    }
    *word = str_sub(*rest, start, end - start);
    *rest = str_from(*rest, end + (quote && end < rest->len));
    return true;
}

/* The words of smtp_etrn_command, each expanded. False with *error. */
static bool set_up_command(struct conv *c, struct str arg, const char ***argv, struct str *error)
{
    struct str rest = c->set->smtp_etrn_command.text, word;
    struct address domain = {.domain = arg};
    size_t n = 0;
    *argv = pool_alloc(c->msg_pool, (MAX_WORDS + 1) * sizeof **argv);
    c->x.addr = &domain;
    while (n < MAX_WORDS && next_word(&rest, &word)) {
        struct str text;
        if (!expand_text(&c->x, word, &text)) {
            *error = str_fmt(
                c->msg_pool,
                "Expansion of \"%.*s\" from command \"%.*s\" in ETRN processing failed: %.*s",
                STR_ARG(word), STR_ARG(c->set->smtp_etrn_command.text), STR_ARG(c->x.error));
            c->x.addr = NULL;
            return false;
        }
        if (text.tainted) {
            *error = str_fmt(c->msg_pool, "Tainted arg %zu for ETRN processing command: '%.*s'", n,
                             STR_ARG(text));
            c->x.addr = NULL;
            return false;
        }
        (*argv)[n++] = str_cstr(c->msg_pool, text);
    }
    c->x.addr = NULL;
    (*argv)[n] = NULL;
    return n > 0;
}

static struct hints *serial_db(const struct etrn *e)
{
    return e->c->set->smtp_etrn_serialize ? hints_open(e->c->conf, "misc") : NULL;
}

struct etrn_claim {
    bool taken; /* by somebody else */
};

static struct str claim_record(void *closure, struct pool *pool, struct str old)
{
    struct etrn_claim *claim = closure;
    int64_t when;
    claim->taken = !str_unset(old) && str_to_i64(old, &when) && time(NULL) - when < ETRN_STALE;
    return claim->taken ? old : str_fmt(pool, "%" PRId64, (int64_t)time(NULL));
}

/* Claims the record; false if the same is being done already. */
static bool claim(const struct etrn *e)
{
    struct hints *db = serial_db(e);
    struct etrn_claim claim = {0};
    if (db) {
        hints_update(db, e->c->msg_pool, e->key, claim_record, &claim);
    }
    return !claim.taken;
}

/* In the process of its own. */
static void work(const struct etrn *e)
{
    hints_close_all();
    log_close();
    if (e->c->peer) {
        close(e->c->peer->fd); /* the client must see the end of its connection */
    }
    if (e->argv) {
        struct child_spec spec = {
            .argv = e->argv, .stdin_fd = -1, .merge_stderr = true, .drop_output = true};
        struct child child;
        int status;
        if (child_start(&spec, &child) < 0) {
            log_write(LOG_MAIN | LOG_PANIC, "exec of \"%s\" (ETRN) failed: %m", e->argv[0]);
        } else {
            child_wait(&child, -1, &status);
        }
    } else {
        struct queue_run_opts o = {.recipient = e->recipient};
        queue_run(e->c->conf, &o);
    }
    struct hints *db = serial_db(e);
    if (db) {
        hints_del(db, e->key);
    }
}

/* Starts it, as nobody's child. False with errno. */
static bool start(const struct etrn *e)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        pid = fork();
        if (pid == 0) {
            work(e);
        }
        child_end(pid < 0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

enum conv_end cmd_etrn(struct conv *c, const struct smtp_line *l)
{
    enum conv_end end;
    struct etrn e = {.c = c, .recipient = str_from(l->arg, 1)};
    c->cmd_arg = l->arg;
    if (c->msg->sender_set) {
        return reply_error(c, true, 503, STR_NONE, "ETRN is not permitted inside a transaction");
    }
    if (log_wants(LS_etrn)) {
        struct str who = conv_who(c, false);
        log_write(LOG_MAIN, "ETRN %.*s received from %.*s", STR_ARG(l->arg), STR_ARG(who));
    }
    if (!allowed(c, ACL_ETRN, &c->set->acl_smtp_etrn, &end)) {
        return end;
    }
    if (!str_empty(c->set->smtp_etrn_command.text)) {
        struct str error = STR("command is empty");
        if (!set_up_command(c, l->arg, &e.argv, &error)) {
            log_write(LOG_MAIN | LOG_PANIC, "failed to set up ETRN command: %.*s", STR_ARG(error));
            reply(c, "458 Internal failure");
            return GO_ON;
        }
    } else if (!str_starts(l->arg, "#")) {
        return reply_error(c, false, 501, STR_NONE, "argument must begin with #");
    }
    if (c->sess->host_checking) {
        reply(c, "250 OK");
        return GO_ON;
    }
    e.key = STR_CAT(c->msg_pool, STR("etrn-"), l->arg);
    if (!claim(&e)) {
        reply(c, "458 Already processing %.*s", STR_ARG(l->arg));
    } else if (!start(&e)) {
        log_write(LOG_MAIN | LOG_PANIC, "fork of process for ETRN failed: %m");
        reply(c, "458 Unable to fork process");
    } else {
        reply(c, "250 OK");
    }
    return GO_ON;
}

/* ---- for those who list the database of what is being done ---- */

static struct str show_hint(struct pool *pool, struct str key, struct str data)
{
    int64_t when;
    if (!str_to_i64(data, &when)) {
        return STR_NONE;
    }
    return str_fmt(pool, "%.*s %.*s\n",
                   STR_ARG(time_strftime(pool, "%d-%b-%Y %H:%M:%S", (time_t)when, false)),
                   STR_ARG(key));
}

static int64_t last_hint(struct str data)
{
    int64_t when;
    return str_to_i64(data, &when) ? when : 0;
}

const struct hint_kind smtp_in_hints[] = {{"misc", show_hint, last_hint}, {0}};
