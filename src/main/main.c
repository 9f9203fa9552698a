/*
 * minim: reads the command line and the configuration, finds out who calls, and does what was
 * asked for. What needs no recipient's rights runs without root's.
 *
 * The exit status is 0 for success, 1 for a command line or configuration that is wrong; each
 * action has its own beyond that. A wrong configuration is reported with all its errors.
 */
#include "main/command.h"
#include "main/reference.h"

#include "net/net.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#define CONFIG_FILE "/etc/minim/minim.conf"

static int run_receive(struct command *c, const struct config *conf)
{
    struct submission *s = &c->submission;
    s->uid = c->caller.uid;
    s->gid = c->caller.gid;
    s->trusted = c->caller.trusted;
    s->admin = c->caller.admin;
    s->caller = c->caller.login;
    bool here = s->mode == SUBMIT_HOST_CHECK || c->verbose ||
                (s->how_set && (s->how == QUEUE_FOREGROUND || s->how == QUEUE_SMTP_FOREGROUND));
    int status = here ? -1 : smtp_in_submit_remote(conf, s);
    if (status >= 0) {
        return status;
    }
    return smtp_in_submit(conf, s);
}

static bool allowed(const struct command *c, bool required)
{
    if (c->caller.admin || !required) {
        return true;
    }
    fprintf(stderr, "exim: permission denied\n");
    return false;
}

static int run_queue(struct command *c, const struct config *conf)
{
    if (!allowed(c, main_settings(conf)->prod_requires_admin)) {
        return 1;
    }
    queue_run(conf, &c->run);
    return 0;
}

static int run_list(struct command *c, const struct config *conf)
{
    return allowed(c, main_settings(conf)->queue_list_requires_admin) ? queue_list(conf, &c->list)
                                                                      : 1;
}

/* May the caller do it at all? Some actions look for themselves, as it depends on the message. */
static bool may_act(const struct command *c, const struct config *conf)
{
    switch (c->message_action) {
    case QA_DELIVER:
        if (!c->caller.admin && main_settings(conf)->prod_requires_admin) {
            fprintf(stderr, "exim: Permission denied\n");
            return false;
        }
        return true;
    case QA_GIVE_UP: return allowed(c, true);
    case QA_VIEW_HEADER:
    case QA_VIEW_BODY:
    case QA_VIEW_LOG:
        if (!c->caller.admin) {
            puts("Permission denied");
        }
        return c->caller.admin;
    default: return true;
    }
}

/* Are these the ids that the action wants? */
static bool ids_ok(const struct command *c, size_t count)
{
    if (c->args.n == 0) {
        fprintf(stderr, "exim: no message ids given after %s option\n", c->message_option.p);
        return false;
    }
    if (c->message_action >= QA_VIEW_HEADER && c->args.n > 1) {
        puts("*** Only one message can be listed at once");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!message_id_valid(c->args.v[i])) {
            fprintf(stderr, "exim: malformed message id %.*s after %s option\n",
                    STR_ARG(c->args.v[i]), c->message_option.p);
            return false;
        }
    }
    return true;
}

/* -M…: on each id, or on one id with arguments. */
static int run_messages(struct command *c, const struct config *conf)
{
    bool one = c->message_action == QA_ADD_RECIPIENT || c->message_action == QA_EDIT_SENDER ||
               c->message_action == QA_MARK_DELIVERED;
    if (!ids_ok(c, one ? 1 : c->args.n) || !may_act(c, conf)) {
        return 1;
    }
    struct strvec rest = {.pool = c->pool};
    for (size_t i = 1; one && i < c->args.n; i++) {
        strvec_push(&rest, c->args.v[i]);
    }
    int status = 0;
    for (size_t i = 0; i < (one ? 1 : c->args.n); i++) {
        if (c->retry_times) {
            queue_deliver(conf, c->args.v[i], 0);
        } else {
            status |= queue_act(conf, c->message_action, c->args.v[i], &rest, c->caller.login,
                                c->caller.admin);
        }
    }
    if (c->message_action == QA_MARK_ALL_DELIVERED) {
        puts("");
    }
    return status;
}

/* Calls f for each argument, or for each line of standard input after a prompt. */
static int each_input(struct command *c, const struct config *conf,
                      int (*f)(struct command *, const struct config *, struct str))
{
    char line[4096];
    int worst = 0;
    for (size_t i = 0; i < c->args.n; i++) {
        int status = str_empty(c->args.v[i]) ? 0 : f(c, conf, c->args.v[i]);
        worst = status > worst ? status : worst;
    }
    if (c->args.n) {
        return worst;
    }
    while (printf("> "), fflush(stdout), fgets(line, sizeof line, stdin)) {
        int status = f(c, conf, str_dup(c->pool, str_trim(str_c(line))));
        worst = status > worst ? status : worst;
    }
    printf("\n");
    return worst;
}

static int test_one_address(struct command *c, const struct config *conf, struct str address)
{
    struct queue_test t = {.session = test_session(c, conf, c->pool),
                           .sender = test_sender(c, conf, c->pool),
                           .seen = c->seen && c->args.n ? c->seen : map_new(c->pool, false),
                           .verify = c->verify,
                           .all = c->verbose,
                           .as_sender = c->as_sender,
                           .admin = c->caller.admin};
    c->seen = t.seen;
    return queue_test_address(conf, c->pool, address, &t);
}

static int run_test_address(struct command *c, const struct config *conf)
{
    log_to_stderr(c->verify && !c->verbose ? LOG_STDERR_DATED : LOG_STDERR_PLACE);
    return each_input(c, conf, test_one_address);
}

static void print_line(const char *line)
{
    puts(line);
}

static int run_rewrite(struct command *c, const struct config *conf)
{
    if (c->args.n == 0) {
        puts("-brw needs an address argument");
        return 1;
    }
    struct ectx x;
    test_context(&x, conf, c->pool);
    if (!conf->rewrite_rules) {
        puts("No rewrite rules are defined");
        return 0;
    }
    rewrite_test(&x, c->args.v[0], print_line);
    return 0;
}

static int run_retry(struct command *c, const struct config *conf)
{
    return queue_test_retry(conf, &c->args, c->submission.sender);
}

/* -bi: runs bi_command with the argument of -oA, as the caller. */
static int run_aliases(struct command *c, const struct config *conf)
{
    const struct main_settings *s = main_settings(conf);
    if (str_unset(s->bi_command)) {
        return 0;
    }
    const char *path = str_cstr(c->pool, s->bi_command);
    const char *argument = str_unset(c->bi_argument) ? NULL : c->bi_argument.p;
    fflush(stdout);
    execl(path, path, argument, (char *)NULL);
    fprintf(stderr, "exim: exec '%s' failed: %s\n", path, strerror(errno));
    return 1;
}

static int run_log_line(struct command *c, const struct config *conf)
{
    (void)conf;
    if (!c->caller.admin) {
        return 1;
    }
    log_write(LOG_MAIN, "%.*s", STR_ARG(c->log_line));
    return 0;
}

static int run_reference(struct command *c, const struct config *conf)
{
    struct str part = c->args.n ? c->args.v[0] : STR("options");
    (void)conf;
    if (!reference_print(stdout, part)) {
        fprintf(stderr, "exim: no part of the reference is named \"%.*s\"\n", STR_ARG(part));
        return 1;
    }
    return 0;
}

static int run_help(struct command *c, const struct config *conf)
{
    (void)conf;
    (void)c;
    fputs(
        "minim is a mail transfer agent. Mail programs call it as sendmail; as a daemon (-bd) it\n"
        "receives mail by SMTP. What it does depends on its options, which are those of Exim:\n"
        "see minim(8).\n",
        stderr);
    return 1;
}

/* Prints what was wrong with the command line's macros or with the configuration. */
static int refuse(const struct config_source *src)
{
    config_print_errors(src);
    return 1;
}

/* What each action does, and what it needs of root's rights: nothing, the hand, or all. */
static const struct {
    int (*run)(struct command *, const struct config *);
    enum { NO_ROOT, HAND, ROOT } needs;
} actions[ACT_COUNT] = {
    [ACT_RECEIVE] = {run_receive, HAND},
    [ACT_DAEMON] = {run_daemon, ROOT},
    [ACT_QUEUE_RUN] = {run_queue, HAND},
    [ACT_LIST] = {run_list, NO_ROOT},
    [ACT_MESSAGES] = {run_messages, HAND},
    [ACT_EXPAND] = {run_expand, NO_ROOT},
    [ACT_TEST_ADDRESS] = {run_test_address, HAND},
    [ACT_PRINT] = {run_print, NO_ROOT},
    [ACT_VERSION] = {run_version, NO_ROOT},
    [ACT_REWRITE] = {run_rewrite, NO_ROOT},
    [ACT_RETRY] = {run_retry, NO_ROOT},
    [ACT_ALIASES] = {run_aliases, ROOT},
    [ACT_LOG_LINE] = {run_log_line, NO_ROOT},
    [ACT_HINTS] = {run_hints, NO_ROOT},
    [ACT_TIDY] = {run_tidy, NO_ROOT},
    [ACT_REFERENCE] = {run_reference, NO_ROOT},
    [ACT_HELP] = {run_help, NO_ROOT},
};

/* True for actions that commandline_checks_require_admin keeps from others. */
static bool is_check(const struct command *c)
{
    switch (c->action) {
    case ACT_EXPAND:
    case ACT_TEST_ADDRESS:
    case ACT_REWRITE:
    case ACT_RETRY: return true;
    case ACT_RECEIVE: return c->submission.mode == SUBMIT_HOST_CHECK;
    default: return false;
    }
}

/* -L: what this process logs goes to syslog, under the tag. */
static bool use_syslog(const struct command *c, struct config *conf)
{
    struct core_settings *s = conf->settings[ROOM_CORE];
    if (str_unset(c->syslog_tag)) {
        return true;
    }
    if (!c->caller.admin) {
        fprintf(stderr, "exim: you lack sufficient privilege to specify syslog process name\n");
        return false;
    }
    s->syslog_processname = str_dup(conf->pool, c->syslog_tag);
    conf->log_path = STR("syslog");
    return true;
}

/* -d, -N, -G and -oP are not for everybody. */
static bool may_alter(const struct command *c, const struct config *conf)
{
    bool owner = c->caller.uid == 0 || c->caller.uid == priv_work_uid(conf);
    bool of_others =
        c->action == ACT_DAEMON || c->action == ACT_QUEUE_RUN || c->action == ACT_MESSAGES;
    if ((trace_selected() & ~(uint64_t)TR_v) && !c->caller.admin) {
        fprintf(stderr, "exim: debugging permission denied\n");
        return false;
    }
    if (c->submission.suppress_local_fixups && !c->caller.trusted) {
        fprintf(stderr, "exim: permission denied (-G requires a trusted user)\n");
        return false;
    }
    if (!str_unset(c->pid_file) && !owner && priv_was_root()) {
        fprintf(stderr, "exim: only uid=0 or uid=%u can use -oP and -oPX (uid=%u euid=%u | %u)\n",
                priv_work_uid(conf), c->caller.uid, (unsigned)geteuid(), c->caller.uid);
        return false;
    }
    if (c->submission.dont_deliver && of_others && !owner) {
        fprintf(stderr, c->action == ACT_QUEUE_RUN ? "exim: permission denied\n"
                                                   : "exim: Permission denied\n");
        return false;
    }
    return true;
}

/* An address, with or without a port; unset is as good. */
static bool address_ok(struct str text)
{
    struct str address;
    struct ip ip;
    int port;
    if (str_unset(text) || ip_parse(text, &ip) ||
        (ip_parse_port(text, &address, &port) && ip_parse(address, &ip))) {
        return true;
    }
    fprintf(stderr, "exim abandoned: \"%.*s\" is not an IP address\n", STR_ARG(text));
    return false;
}

/* What -bh and -oM… say of addresses, where it counts. */
static bool addresses_ok(const struct command *c)
{
    const struct submission *s = &c->submission;
    bool count = c->caller.trusted || is_check(c);
    return address_ok(s->host_check) &&
           (!count || (address_ok(s->host_address) && address_ok(s->interface_address)));
}

static bool may_check(const struct command *c, const struct config *conf)
{
    if (c->caller.admin || !main_settings(conf)->commandline_checks_require_admin || !is_check(c)) {
        return true;
    }
    fprintf(stderr, "exim: those command-line flags are set to require admin\n");
    return false;
}

/* The selector `arguments`: what the program was called with, unless it only tests something. */
static void log_arguments(const struct command *c, int argc, char **argv)
{
    enum { ARGUMENTS_MAX = 1024 * 1024 };
    bool test = c->action == ACT_PRINT || c->action == ACT_VERSION || is_check(c);
    if (test || !log_wants(LS_arguments)) {
        return;
    }
    struct buf b;
    buf_init(&b, c->pool, ARGUMENTS_MAX);
    for (int i = 0; i < argc; i++) {
        bool quote = !argv[i][0] || strpbrk(argv[i], " \t\n\r\f\v");
        buf_addf(&b, quote ? " \"%s\"" : " %s", argv[i]);
    }
    struct str text = buf_str(&b);
    log_write(LOG_MAIN, "cwd=%.*s %d args:%.*s", STR_ARG(c->source.cwd), argc, STR_ARG(text));
}

/*
 * Everything between the command line and the exit status. *own is the configuration that is left
 * to be freed; a daemon sees to its own, since it may have read another meanwhile.
 */
static int command_main(struct command *c, int argc, char **argv, struct config **own)
{
    if (!command_parse(c, argc, argv)) {
        return 1;
    }
    if (c->action == ACT_HELP || c->action == ACT_REFERENCE) {
        return actions[c->action].run(c, NULL);
    }
    if (c->source.files.n == 0 && access(CONFIG_FILE, F_OK) == 0) {
        vec_push(&c->source.files, (void *)(uintptr_t)CONFIG_FILE);
    }
    if (c->action == ACT_VERSION) {
        run_version(c, NULL);
    }
    debug_begin();
    char cwd[PATH_MAX];
    c->source.cwd = str_dup(c->pool, getcwd(cwd, sizeof cwd) ? str_c(cwd) : STR(""));
    struct config *conf = config_read(&c->source);
    if (!conf) {
        return refuse(&c->source);
    }
    *own = c->action == ACT_DAEMON ? NULL : conf;
    if (!caller_judge(c, conf) || !may_check(c, conf) || !may_alter(c, conf) || !addresses_ok(c) ||
        !use_syslog(c, conf)) {
        return 1;
    }
    config_apply(conf);
    if (c->verbose) {
        log_to_stderr(LOG_STDERR_COPY);
    }
    if (actions[c->action].needs != ROOT &&
        !become_worker(conf, actions[c->action].needs == HAND)) {
        return 1;
    }
    log_arguments(c, argc, argv);
    debug_caller(c, conf);
    return actions[c->action].run ? actions[c->action].run(c, conf) : 1;
}

int main(int argc, char **argv)
{
    struct command c = {.pool = pool_new("command line")};
    struct config *conf = NULL;
    priv_init();
    int status = command_main(&c, argc, argv, &conf);
    debug_end(status);
    if (conf) {
        pool_free(&conf->pool);
    }
    pool_free(&c.pool);
    return status;
}
