/*
 * The pipe transport: the message as standard input of a command. Here the command line is made and
 * what came of the command is judged; pipe_run.c runs it.
 *
 * The command is not given to a shell unless use_shell says so, and nothing of it may be tainted.
 */
#include "transport/internal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXEC_FAILED = 127, ARGS_MAX = 256 };

struct opts {
    struct etext allow_commands, batch_id, environment, message_prefix, message_suffix, path;
    struct str command, check_string, escape_string, temp_errors;
    struct etext *args; /* of the command, each compiled; the last has no text */
    struct etext shell; /* the command as a whole, for use_shell */
    int batch_max, timeout, umask, max_output;
    bool force_command, freeze_exec_fail, freeze_signal, ignore_status, log_defer_output,
        log_fail_output, log_output, permit_coredump, pipe_as_creator, restrict_to_path,
        return_fail_output, return_output, timeout_defer, use_bsmtp, use_crlf, use_shell;
};

#define O(field) offsetof(struct opts, field)

static const char default_prefix[] =
    "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\\n";

static const struct option options[] = {
    {"allow_commands", OPT_EXPAND, O(allow_commands), NULL, "the only commands that may be run",
     NULL, NULL},
    {"batch_id", OPT_EXPAND, O(batch_id), NULL, "addresses with the same text share a delivery",
     NULL, NULL},
    {"batch_max", OPT_INT, O(batch_max), "1", "addresses that may share a delivery", NULL, NULL},
    {"check_string", OPT_STRING, O(check_string), NULL, "what is replaced at the start of a line",
     NULL, NULL},
    {"command", OPT_STRING, O(command), NULL, "the command, its arguments expanded one by one",
     NULL, NULL},
    {"environment", OPT_EXPAND, O(environment), NULL, "list of NAME=value for the command", NULL,
     NULL},
    {"escape_string", OPT_STRING, O(escape_string), NULL, "what stands for check_string", NULL,
     NULL},
    {"force_command", OPT_BOOL, O(force_command), "false",
     "command is run even for pipes of redirections, which are $address_pipe", NULL, NULL},
    {"freeze_exec_fail", OPT_BOOL, O(freeze_exec_fail), "false",
     "a command that cannot be run freezes the message", NULL, NULL},
    {"freeze_signal", OPT_BOOL, O(freeze_signal), "false",
     "a command killed by a signal freezes the message", NULL, NULL},
    {"ignore_status", OPT_BOOL, O(ignore_status), "false", "the exit status does not matter", NULL,
     NULL},
    {"log_defer_output", OPT_BOOL, O(log_defer_output), "false",
     "the first line of output is logged when delivery is deferred", NULL, NULL},
    {"log_fail_output", OPT_BOOL, O(log_fail_output), "false",
     "the first line of output is logged when delivery fails", NULL, NULL},
    {"log_output", OPT_BOOL, O(log_output), "false", "the first line of output is logged", NULL,
     NULL},
    {"max_output", OPT_INT, O(max_output), "20K", "output past which the command is killed", NULL,
     NULL},
    {"message_prefix", OPT_EXPAND, O(message_prefix), NULL, "text before the message: a From line",
     NULL, NULL},
    {"message_suffix", OPT_EXPAND, O(message_suffix), NULL,
     "text behind the message: an empty line", NULL, NULL},
    {"path", OPT_EXPAND, O(path), "/bin:/usr/bin", "where commands are looked for; PATH", NULL,
     NULL},
    {"permit_coredump", OPT_BOOL, O(permit_coredump), "false", "the command may leave a core file",
     NULL, NULL},
    {"pipe_as_creator", OPT_BOOL, O(pipe_as_creator), "false",
     "without a user the command runs as the one who submitted the message", NULL, NULL},
    {"restrict_to_path", OPT_BOOL, O(restrict_to_path), "false",
     "commands are names found on path only", NULL, NULL},
    {"return_fail_output", OPT_BOOL, O(return_fail_output), "false",
     "the output of a failed command goes back to the sender", NULL, NULL},
    {"return_output", OPT_BOOL, O(return_output), "false",
     "any output is a failure and goes back to the sender", NULL, NULL},
    {"temp_errors", OPT_STRING, O(temp_errors), "75:73", "exit codes that defer; * for all", NULL,
     NULL},
    {"timeout", OPT_TIME, O(timeout), "1h", "how long the command may take", NULL, NULL},
    {"timeout_defer", OPT_BOOL, O(timeout_defer), "false", "a timeout defers", NULL, NULL},
    {"umask", OPT_OCT, O(umask), "022", "umask of the command", NULL, NULL},
    {"use_bsmtp", OPT_BOOL, O(use_bsmtp), "false", "written as batched SMTP", NULL, NULL},
    {"use_crlf", OPT_BOOL, O(use_crlf), "false", "lines end with CR LF", NULL, NULL},
    {"use_shell", OPT_BOOL, O(use_shell), "false", "the command is for /bin/sh -c", NULL, NULL},
    {0},
};

static bool compile(struct opt_reader *r, struct etext *e, struct str text)
{
    e->text = text;
    return !str_any_in(text, "$\\") || !r->compile || (e->tree = r->compile(r, text)) != NULL;
}

/* The command's arguments, compiled when the configuration is read. */
static bool compile_command(struct opt_reader *r, struct opts *o)
{
    struct strvec words = {.pool = r->pool};
    struct str error;
    r->option = "command";
    if (o->use_shell) {
        return compile(r, &o->shell, o->command);
    }
    if (!command_split(r->pool, o->command, &words, &error) || words.n == 0) {
        return opt_error(r, "command \"%.*s\": %s", STR_ARG(o->command),
                         words.n ? error.p : "there is no command");
    }
    o->args = pool_calloc(r->pool, words.n + 1, sizeof *o->args);
    for (size_t i = 0; i < words.n; i++) {
        bool special = str_is(words.v[i], "$pipe_addresses") || str_is(words.v[i], "$address_pipe");
        if (special) {
            o->args[i].text = words.v[i];
        } else if (!compile(r, &o->args[i], words.v[i])) {
            return false;
        }
    }
    return true;
}

static bool init(struct opt_reader *r, struct transport *t)
{
    struct opts *o = t->opts;
    struct str name = t->name;
    t->batch_id = o->batch_id;
    t->batch_max = o->batch_max;
    t->pipe_as_creator = o->pipe_as_creator;
    if (o->return_output && o->return_fail_output) {
        return opt_error(r, "both return_output and return_fail_output set for %.*s transport",
                         STR_ARG(name));
    }
    if (o->log_output && o->log_fail_output) {
        return opt_error(r, "both log_output and log_fail_output set for the %.*s transport",
                         STR_ARG(name));
    }
    if (o->use_shell && (o->restrict_to_path || !str_unset(o->allow_commands.text))) {
        return opt_error(r, "both %s and use_shell set for %.*s transport",
                         o->restrict_to_path ? "restrict_to_path" : "allow_commands",
                         STR_ARG(name));
    }
    if (!str_is(str_trim(o->temp_errors), "*") && !str_all_in(o->temp_errors, "0123456789: ")) {
        return opt_error(
            r, "temp_errors must be a list of numbers or an asterisk for the %.*s transport",
            STR_ARG(name));
    }
    if (o->use_bsmtp) {
        o->check_string = STR(".");
        o->escape_string = STR("..");
    } else {
        if (str_unset(o->message_suffix.text)) {
            o->message_suffix.text = STR("\n");
        }
        if (str_unset(o->message_prefix.text) &&
            !compile(r, &o->message_prefix, str_c(default_prefix))) {
            return false;
        }
    }
    return str_unset(o->command) || compile_command(r, o);
}

/* ---- the command line ---- */

static bool end(struct delivery *d, enum outcome outcome, int why, struct str text)
{
    transport_end_all(d, outcome, why, text);
    return false;
}

static struct str where(struct ectx *x, const struct delivery *d)
{
    return STR_CAT(x->pool, d->transport->name, STR(" transport"));
}

/* One argument, expanded; $pipe_addresses and $address_pipe stand for several. */
static bool add_argument(struct ectx *x, struct delivery *d, const struct opts *o,
                         const struct etext *e, struct strvec *argv)
{
    struct str s, error;
    if (str_is(e->text, "$pipe_addresses")) {
        for (struct address *a = d->addrs; a; a = a->next) {
            s = transport_rcpt(x->pool, a, d->transport->rcpt_include_affixes);
            s.tainted = false; /* each is an argument by itself: no harm in what it holds */
            strvec_push(argv, s);
        }
        return true;
    }
    if (str_is(e->text, "$address_pipe") && o->force_command) {
        return command_split(x->pool, d->address_pipe, argv, &error) ||
               end(d, ADDR_FAIL, ERRNO_UNKNOWNERROR, error);
    }
    if (!expand_option(x, e, &s)) {
        return end(d, ADDR_DEFER, 0,
                   str_fmt(x->pool,
                           "Expansion of \"%.*s\" from command \"%.*s\" in %.*s failed: "
                           "%.*s",
                           STR_ARG(e->text), STR_ARG(o->command), STR_ARG(where(x, d)),
                           STR_ARG(x->error)));
    }
    strvec_push(argv, s);
    return true;
}

static bool check_taint(struct ectx *x, struct delivery *d, const struct strvec *argv)
{
    if (argv->n && argv->v[0].tainted && d->addrs->kind == AK_PIPE) {
        for (struct address *a = d->addrs; a; a = a->next) {
            a->no_retry = true; /* for the panic log */
        }
        return end(d, ADDR_DEFER, 0,
                   str_fmt(x->pool, "Tainted '%.*s' (command for %.*s) not permitted",
                           STR_ARG(argv->v[0]), STR_ARG(where(x, d))));
    }
    for (size_t i = 0; i < argv->n; i++) {
        if (argv->v[i].tainted) {
            return end(d, ADDR_FAIL, 0,
                       str_fmt(x->pool, "Tainted arg %zu for %.*s command: '%.*s'", i,
                               STR_ARG(where(x, d)), STR_ARG(argv->v[i])));
        }
    }
    return true;
}

static bool in_list(struct pool *pool, struct str list, struct str name)
{
    struct str item;
    int sep = 0;
    while (net_list_next(pool, &list, &sep, &item)) {
        if (str_eq(item, name)) {
            return true;
        }
    }
    return false;
}

/* Whether allow_commands and restrict_to_path let the command through. */
static bool permitted(struct ectx *x, struct delivery *d, const struct opts *o, struct str name)
{
    struct str list = STR_NONE;
    bool listed = false, has_list = !str_unset(o->allow_commands.text);
    if (has_list) {
        if (!expand_option(x, &o->allow_commands, &list)) {
            return end(d, ADDR_DEFER, 0,
                       str_fmt(x->pool, "failed to expand string \"%.*s\" for %.*s: %.*s",
                               STR_ARG(o->allow_commands.text), STR_ARG(where(x, d)),
                               STR_ARG(x->error)));
        }
        listed = in_list(x->pool, list, name);
    }
    if (listed || (!has_list && !o->restrict_to_path)) {
        return true;
    }
    if (o->restrict_to_path && str_chr(name, '/') >= 0) {
        return end(d, ADDR_FAIL, 0,
                   str_fmt(x->pool,
                           "\"/\" found in \"%.*s\" (command for %.*s) - failed for "
                           "security reasons",
                           STR_ARG(name), STR_ARG(where(x, d))));
    }
    return o->restrict_to_path || end(d, ADDR_FAIL, 0,
                                      str_fmt(x->pool, "\"%.*s\" command not permitted by %.*s",
                                              STR_ARG(name), STR_ARG(where(x, d))));
}

/* Completes a name without slash from the directories of path. */
static bool find_command(struct ectx *x, struct delivery *d, struct str path, struct str *name)
{
    struct str item;
    struct stat st;
    int sep = ':';
    if (str_chr(*name, '/') >= 0) {
        return true;
    }
    while (net_list_next(x->pool, &path, &sep, &item)) {
        struct str full = STR_CAT(x->pool, item, STR("/"), *name);
        if (stat(full.p, &st) == 0) {
            *name = full;
            return true;
        }
    }
    return end(d, ADDR_FAIL, 0,
               str_fmt(x->pool, "\"%.*s\" command not found for %.*s", STR_ARG(*name),
                       STR_ARG(where(x, d))));
}

static bool shell_line(struct ectx *x, struct delivery *d, const struct opts *o, bool own,
                       struct strvec *argv)
{
    struct str line = d->address_pipe;
    if (own && !expand_option(x, &o->shell, &line)) {
        return end(d, ADDR_DEFER, 0,
                   str_fmt(x->pool, "Expansion of command \"%.*s\" in %.*s failed: %.*s",
                           STR_ARG(o->command), STR_ARG(where(x, d)), STR_ARG(x->error)));
    }
    strvec_push(argv, STR("/bin/sh"));
    strvec_push(argv, STR("-c"));
    strvec_push(argv, line);
    return check_taint(x, d, argv);
}

/* argv of the plan; *text is the command as messages show it. */
static bool make_command(struct ectx *x, struct delivery *d, const struct opts *o, struct str path,
                         struct strvec *argv, struct str *text)
{
    const struct address *a = d->addrs;
    struct str error;
    bool redirected = a->kind == AK_PIPE;
    bool own = !redirected || o->force_command;
    if (redirected) {
        d->address_pipe = str_ltrim(str_from(a->pipe_file, 1));
    }
    *text = own ? o->command : d->address_pipe;
    if (str_empty(*text)) {
        return end(d, ADDR_DEFER, ERRNO_MISSINGPIPE,
                   str_fmt(x->pool, "Command to be run missing in %.*s", STR_ARG(where(x, d))));
    }
    if (o->use_shell) {
        return shell_line(x, d, o, own, argv);
    }
    for (size_t i = 0; own && !str_unset(o->args[i].text); i++) {
        if (!add_argument(x, d, o, &o->args[i], argv)) {
            return false;
        }
    }
    if (!own && !command_split(x->pool, d->address_pipe, argv, &error)) {
        return end(d, ADDR_FAIL, 0, error);
    }
    if (argv->n == 0 || argv->n > ARGS_MAX) {
        return end(d, ADDR_FAIL, 0,
                   str_fmt(x->pool, "Too many arguments in command \"%.*s\" in %.*s",
                           STR_ARG(*text), STR_ARG(where(x, d))));
    }
    return check_taint(x, d, argv) && permitted(x, d, o, argv->v[0]) &&
           find_command(x, d, path, &argv->v[0]);
}

static bool make_environment(struct ectx *x, struct delivery *d, const struct opts *o,
                             struct str path, struct strvec *env)
{
    struct str list, item;
    int sep = 0;
    command_environment(x, d, path, env);
    if (str_unset(o->environment.text)) {
        return true;
    }
    if (!expand_option(x, &o->environment, &list)) {
        return end(d, ADDR_DEFER, 0,
                   str_fmt(x->pool, "failed to expand string \"%.*s\" for %.*s: %.*s",
                           STR_ARG(o->environment.text), STR_ARG(where(x, d)), STR_ARG(x->error)));
    }
    while (net_list_next(x->pool, &list, &sep, &item)) {
        strvec_push(env, item);
    }
    return true;
}

/* ---- what came of it ---- */

/* sysexits.h, as messages explain it. */
static const char *meaning(int code)
{
    static const struct {
        int code;
        const char *text;
    } codes[] = {
        {64, "usage or syntax error"},   {65, "error in input data"},
        {66, "input data missing"},      {67, "user nonexistent"},
        {68, "host nonexistent"},        {69, "service or program unavailable"},
        {70, "internal software error"}, {71, "internal operating system error"},
        {72, "system file missing"},     {73, "can't create output file"},
        {74, "input/output error"},      {75, "temporary error"},
        {76, "protocol error"},          {77, "permission denied"},
        {78, "configuration error"},     {127, "unable to exec or command does not exist"},
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (codes[i].code == code) {
            return codes[i].text;
        }
    }
    return NULL;
}

static bool is_temporary(struct pool *pool, const struct opts *o, int code)
{
    return str_is(str_trim(o->temp_errors), "*") ||
           in_list(pool, o->temp_errors, str_fmt(pool, "%d", code));
}

static void judge_signal(struct ectx *x, struct delivery *d, const struct opts *o, int sig,
                         struct str command)
{
    const char *word = strsignal(sig);
    if (o->freeze_signal) {
        d->addrs->special_action = STR("freeze");
    }
    transport_end_all(d, o->freeze_signal ? ADDR_DEFER : ADDR_FAIL, 0,
                      str_fmt(x->pool,
                              "Child process of %.*s (running command \"%.*s\") was "
                              "terminated by signal %d (%s)",
                              STR_ARG(where(x, d)), STR_ARG(command), sig, word ? word : ""));
}

static void judge_code(struct ectx *x, struct delivery *d, const struct opts *o, int code,
                       struct str program)
{
    const char *text = meaning(code);
    struct pool *pool = x->pool;
    struct str reason = text ? str_fmt(pool, " (could mean %s)", text)
                        : code > 128 && strsignal(code - 128)
                            ? str_fmt(pool, " (could mean shell command ended by signal %d (%s))",
                                      code - 128, strsignal(code - 128))
                            : STR("");
    bool later = !o->return_output && is_temporary(pool, o, code);
    transport_end_all(d, later ? ADDR_DEFER : ADDR_FAIL, 0,
                      str_fmt(pool, "Child process of %.*s returned %d%.*s from command: %.*s",
                              STR_ARG(where(x, d)), code, STR_ARG(reason), STR_ARG(program)));
}

/* Sets the outcome by time, output and status. */
static void judge(struct ectx *x, struct delivery *d, const struct opts *o, const struct plan *p,
                  const struct plan_result *r, struct str command)
{
    bool output = !str_empty(r->text[RT_OUTPUT]);
    int status = r->f.exec_failed ? EXEC_FAILED << 8 : r->f.status;
    transport_end_all(d, ADDR_OK, 0, STR_NONE);
    if (!str_unset(r->text[RT_MESSAGE])) {
        plan_apply(d, r);
    } else if (r->f.timed_out) {
        transport_end_all(d, o->timeout_defer ? ADDR_DEFER : ADDR_FAIL, 0,
                          STR("pipe delivery process timed out"));
    } else if (r->f.exec_failed && o->freeze_exec_fail) {
        d->addrs->special_action = STR("freeze");
        transport_end_all(
            d, ADDR_DEFER, 0,
            str_fmt(x->pool, "pipe process failed to exec \"%.*s\"", STR_ARG(command)));
    } else if (o->ignore_status) {
        status = 0;
    } else if (WIFSIGNALED(status)) {
        judge_signal(x, d, o, WTERMSIG(status), command);
    } else if (WEXITSTATUS(status)) {
        judge_code(x, d, o, WEXITSTATUS(status), p->argv.v[0]);
    }
    for (struct address *a = d->addrs; a && a->outcome == ADDR_FAIL; a = a->next) {
        a->user_message = STR("local delivery failed");
    }
    if (d->addrs->outcome == ADDR_OK && o->return_output && output && !str_empty(d->msg->sender)) {
        transport_end_all(d, ADDR_FAIL, 0, STR("return message generated"));
    }
}

static void log_first_line(struct ectx *x, const struct delivery *d, struct str output)
{
    struct str line, rest = output;
    while (str_next(&rest, '\n', &line) && str_empty(str_trim(line))) {
    }
    log_msg(LOG_MAIN, d->msg, "<%.*s>: %.*s output: %.*s", STR_ARG(d->addrs->address),
            STR_ARG(where(x, d)), STR_ARG(str_printable(x->pool, str_rtrim(line), false)));
}

/* The output: logged, returned, or forgotten. */
static void use_output(struct ectx *x, struct delivery *d, const struct opts *o,
                       const struct plan_result *r)
{
    struct address *a = d->addrs;
    struct str output = str_taint(r->text[RT_OUTPUT]);
    if (str_empty(str_trim(output))) {
        return;
    }
    if (o->log_output || (o->log_fail_output && a->outcome == ADDR_FAIL) ||
        (o->log_defer_output && a->outcome == ADDR_DEFER)) {
        log_first_line(x, d, output);
    }
    if (!str_empty(d->msg->sender) &&
        (o->return_output || (o->return_fail_output && a->outcome == ADDR_FAIL))) {
        for (; a; a = a->next) {
            a->output = output;
            a->return_output = true;
        }
    }
}

/* ---- delivery ---- */

static bool prefix_and_suffix(struct ectx *x, struct delivery *d, const struct opts *o,
                              struct str *prefix, struct str *suffix)
{
    *prefix = *suffix = STR("");
    if ((!str_unset(o->message_prefix.text) && !expand_option(x, &o->message_prefix, prefix)) ||
        (!str_unset(o->message_suffix.text) && !expand_option(x, &o->message_suffix, suffix))) {
        return end(d, ADDR_DEFER, 0,
                   str_fmt(x->pool,
                           "Expansion of message_prefix or message_suffix for %.*s "
                           "failed: %.*s",
                           STR_ARG(where(x, d)), STR_ARG(x->error)));
    }
    if (o->use_bsmtp) {
        *prefix = bsmtp_envelope(x, d, *prefix, o->use_crlf);
        *suffix = o->use_crlf ? STR(".\r\n") : STR(".\n");
    }
    return true;
}

static void plan_facts(const struct opts *o, struct plan *p)
{
    p->f.kind = PLAN_PIPE;
    p->f.timeout = o->timeout;
    p->f.umask = o->umask;
    p->f.max_output = o->max_output;
    p->f.crlf = o->use_crlf;
    p->f.permit_coredump = o->permit_coredump;
    if (!str_empty(o->check_string) && !str_unset(o->escape_string)) {
        p->text[PT_CHECK] = o->check_string;
        p->text[PT_ESCAPE] = o->escape_string;
    }
}

static void deliver(struct ectx *x, struct delivery *d)
{
    const struct opts *o = d->transport->opts;
    struct plan p = {.fd = -1, .argv = {.pool = x->pool}, .env = {.pool = x->pool}};
    struct plan_result r;
    struct str prefix, suffix, path, command;
    plan_facts(o, &p);
    if (!expand_option(x, &o->path, &path)) {
        end(d, ADDR_DEFER, 0,
            str_fmt(x->pool, "failed to expand string \"%.*s\" for %.*s: %.*s",
                    STR_ARG(o->path.text), STR_ARG(where(x, d)), STR_ARG(x->error)));
        return;
    }
    if (!make_command(x, d, o, path, &p.argv, &command) ||
        !make_environment(x, d, o, path, &p.env) || !prefix_and_suffix(x, d, o, &prefix, &suffix) ||
        !plan_begin(x, d, &p, prefix, suffix)) {
        return;
    }
    plan_execute(x, d, &p, &r);
    judge(x, d, o, &p, &r, command);
    use_output(x, d, o, &r);
}

const struct transport_driver pipe_transport = {
    .name = "pipe",
    .local = true,
    .opts_size = sizeof(struct opts),
    .options = options,
    .init = init,
    .deliver = deliver,
};
