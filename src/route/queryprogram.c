/*
 * The queryprogram router: a program says what becomes of an address, in one line of output.
 *
 * The program runs under command_user with a time limit; its output is bounded. No shell is used.
 */
#include "route/internal.h"

#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_MAX = 1024, ARGS_MAX = 256 };

struct opts {
    struct str command, current_directory;
    struct etext *args; /* of the command, compiled; the last has no text */
    struct idopt command_user, command_group;
    bool user_gid_known;
    uint32_t user_gid;
    int timeout;
};

#define O(field) offsetof(struct opts, field)

static const struct option options[] = {
    {"command", OPT_STRING, O(command), NULL, "program and arguments, each expanded", NULL, NULL},
    {"command_group", OPT_GROUP, O(command_group), NULL, "group the program runs as", NULL, NULL},
    {"command_user", OPT_USER, O(command_user), NULL, "user the program runs as", NULL, NULL},
    {"current_directory", OPT_STRING, O(current_directory), "/", "directory it runs in", NULL,
     NULL},
    {"timeout", OPT_TIME, O(timeout), "1h", "how long it may run", NULL, NULL},
    {0},
};

static bool init(struct opt_reader *r, struct router *router)
{
    struct opts *o = router->opts;
    struct route_rule word;
    struct str rest = o->command;
    size_t n = 0;
    const struct passwd *pw = NULL;
    if (str_empty(o->command)) {
        return opt_error(r, "%.*s router:\n  a command specification is required",
                         STR_ARG(router->name));
    }
    if (!o->command_user.set) {
        return opt_error(r, "%.*s router:\n  command_user must be specified",
                         STR_ARG(router->name));
    }
    if (!str_starts(o->command, "/") && !str_starts(o->command, "$")) {
        return opt_error(r, "%.*s router:\n  \"command\" must be an absolute path",
                         STR_ARG(router->name));
    }
    o->args = pool_calloc(r->pool, ARGS_MAX + 1, sizeof *o->args);
    while (n < ARGS_MAX && route_rule_parse(r->pool, rest, false, &word)) {
        o->args[n].text = word.hosts;
        if (str_any_in(word.hosts, "$\\") && !(o->args[n].tree = r->compile(r, o->args[n].text))) {
            return false;
        }
        n++;
        rest = word.options;
    }
    if (str_unset(o->command_user.text.text) && (pw = getpwuid(o->command_user.id))) {
        o->user_gid = pw->pw_gid;
        o->user_gid_known = true;
    }
    return true;
}

/* The expanded argument vector; NULL with a->message. */
static const char **make_args(struct route_job *job, const struct router *r, struct address *a)
{
    const struct opts *o = r->opts;
    struct ectx *x = job->x;
    const char **argv = pool_calloc(x->pool, ARGS_MAX + 1, sizeof *argv);
    struct str s;
    for (size_t i = 0; !str_unset(o->args[i].text); i++) {
        if (!expand_option(x, &o->args[i], &s)) {
            a->message = str_fmt(x->pool,
                                 "Expansion of \"%.*s\" from command \"%.*s\" in "
                                 "%.*s router failed: %.*s",
                                 STR_ARG(o->args[i].text), STR_ARG(o->command), STR_ARG(r->name),
                                 STR_ARG(x->error));
            return NULL;
        }
        if (s.tainted) {
            a->message = str_fmt(x->pool, "Tainted arg %zu for %.*s router command: '%.*s'", i,
                                 STR_ARG(r->name), STR_ARG(s));
            return NULL;
        }
        argv[i] = str_cstr(x->pool, s);
    }
    return argv;
}

/* Reads what the program says, until its end or the deadline; false: too late. */
static bool read_output(const struct child *c, struct buf *out, int64_t deadline)
{
    char chunk[512];
    for (;;) {
        int64_t left = deadline - time_monotonic_ms();
        struct pollfd p = {.fd = c->out, .events = POLLIN};
        int ready = poll(&p, 1, left > 0 ? (int)left : 0);
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            return false;
        }
        ssize_t n = ready > 0 ? read(c->out, chunk, sizeof chunk) : 1;
        if (n <= 0) {
            return true;
        }
        if (ready > 0) {
            buf_add(out, chunk, (size_t)n);
        }
    }
}

/* Runs the program; its output in *out. False with a->message. */
static bool run(struct route_job *job, const struct router *r, struct address *a,
                struct child_spec *spec, struct buf *out)
{
    const struct opts *o = r->opts;
    struct pool *pool = job->x->pool;
    struct child c;
    int status = 0;
    if (child_start(spec, &c) < 0) {
        a->message = str_fmt(pool, "%.*s router couldn't create child process: %s",
                             STR_ARG(r->name), strerror(errno));
        return false;
    }
    close(c.in);
    c.in = -1;
    int64_t deadline = time_monotonic_ms() + (int64_t)o->timeout * 1000;
    bool in_time = read_output(&c, out, deadline);
    int64_t left = deadline - time_monotonic_ms();
    if (!in_time) {
        child_kill(&c);
    }
    if (!in_time || child_wait(&c, left > 0 ? (int)left : 0, &status) < 0) {
        a->message = str_fmt(pool, "%.*s router: command timed out", STR_ARG(r->name));
        return false;
    }
    if (status) {
        a->message = WIFSIGNALED(status)
                         ? str_fmt(pool, "%.*s router: command killed by signal %d",
                                   STR_ARG(r->name), WTERMSIG(status))
                         : str_fmt(pool, "%.*s router: command returned non-zero code %d",
                                   STR_ARG(r->name), WEXITSTATUS(status));
        return false;
    }
    return true;
}

/* The value of NAME=text or NAME="text" in the line; unset if it is not there. */
static struct str field(struct pool *pool, struct str line, const char *name)
{
    struct str key = STR_CAT(pool, str_c(name), STR("="));
    struct route_rule word;
    for (uint32_t i = 0; i + key.len <= line.len; i++) {
        if ((i == 0 || isspace((unsigned char)line.p[i - 1])) &&
            str_eqi(str_sub(line, i, key.len), key)) {
            return route_rule_parse(pool, str_from(line, i + key.len), false, &word) ? word.hosts
                                                                                     : STR("");
        }
    }
    return STR_NONE;
}

static enum route_result accept_as_told(struct route_job *job, const struct router *r,
                                        struct address *a, struct str rest)
{
    struct ectx *x = job->x;
    struct str name = field(x->pool, rest, "transport"), hosts = field(x->pool, rest, "hosts"),
               data = field(x->pool, rest, "data"), lookup = field(x->pool, rest, "lookup");
    struct host_search s = {.router = r, .find_failed = HOST_DEFER, .all_ignored = HOST_DEFER};
    const struct transport *t = NULL;
    bool ok = true;
    if (!str_unset(data)) {
        a->address_data = str_dup(x->pool, data);
    }
    if (!str_unset(name)) {
        if (!(t = route_find_transport(x->conf, name))) {
            a->message = str_fmt(x->pool, "unknown transport name %.*s yielded by %.*s router",
                                 STR_ARG(name), STR_ARG(r->name));
            log_msg(LOG_MAIN | LOG_PANIC, x->msg, "%.*s", STR_ARG(a->message));
            return route_defer(a, ERRNO_BADTRANSPORT, a->message);
        }
    } else {
        t = route_transport(job, r, a, &ok);
        if (!ok && !route_verifying(job)) {
            return route_defer(a, ERRNO_BADTRANSPORT, a->message);
        }
    }
    if (!str_unset(hosts)) {
        s.method = str_isi(lookup, "byname")  ? FIND_BYNAME
                   : str_isi(lookup, "bydns") ? FIND_BYDNS
                                              : FIND_DEFAULT;
        if (!str_unset(lookup) && s.method == FIND_DEFAULT) {
            return route_defer(a, 0,
                               str_fmt(x->pool, "bad lookup type \"%.*s\" yielded by %.*s router",
                                       STR_ARG(lookup), STR_ARG(r->name)));
        }
        a->hosts = route_host_list(x->pool, hosts, false);
        enum route_result result = t && t->local ? ROUTE_OK : route_find_hosts(job, &s, a);
        if (result != ROUTE_OK) {
            return result;
        }
    }
    return route_accept(job, r, a, t);
}

/* REDIRECT: a list of addresses. */
static enum route_result redirect_as_told(struct route_job *job, const struct router *r,
                                          struct address *a, struct str rest)
{
    struct ectx *x = job->x;
    struct redirect_item item;
    struct address *first = NULL, **last = &first;
    while (redirect_next(x->pool, &rest, &item)) {
        struct mailbox m;
        struct str error;
        if (item.kind != RD_ADDRESS ||
            !mailbox_parse(x->pool, item.text, mailbox_flags(x->conf), &m, &error)) {
            a->message = str_fmt(x->pool, "%.*s router: bad address \"%.*s\"", STR_ARG(r->name),
                                 STR_ARG(item.whole));
            return route_defer(a, ERRNO_BADREDIRECT, a->message);
        }
        *last = route_child(x, a, mail_qualify(x->pool, x->conf, m.text, true));
        (*last)->start_router = r->redirect_router;
        last = &(*last)->next;
    }
    if (!first) {
        return route_defer(
            a, ERRNO_BADREDIRECT,
            str_fmt(x->pool, "%.*s router: no address to redirect to", STR_ARG(r->name)));
    }
    if (!route_own_settings(job, r, a)) {
        return route_defer(a, ERRNO_UNKNOWNERROR, a->message);
    }
    for (struct address *c = first; c; c = c->next) {
        c->errors_to = a->errors_to;
        c->errors_to_empty = a->errors_to_empty;
        c->extra_headers = a->extra_headers;
    }
    *last = job->generated;
    job->generated = first;
    return ROUTE_REROUTED;
}

static enum route_result obey(struct route_job *job, const struct router *r, struct address *a,
                              struct str line)
{
    struct ectx *x = job->x;
    uint32_t n = 0;
    while (n < line.len && !isspace((unsigned char)line.p[n])) {
        n++;
    }
    struct str word = str_sub(line, 0, n), rest = str_trim(str_from(line, n));
    if (str_isi(word, "accept")) {
        return accept_as_told(job, r, a, rest);
    }
    if (str_isi(word, "redirect")) {
        return redirect_as_told(job, r, a, rest);
    }
    if (str_isi(word, "decline")) {
        return ROUTE_DECLINE;
    }
    if (str_isi(word, "pass")) {
        return ROUTE_PASS;
    }
    if (str_isi(word, "fail")) {
        return route_fail(a, rest);
    }
    if (str_isi(word, "freeze") || str_isi(word, "defer")) {
        if (str_isi(word, "freeze")) {
            a->special_action = STR("freeze");
        }
        return route_defer(a, 0, rest);
    }
    a->message = str_fmt(x->pool, "bad command yield: %.*s %.*s", STR_ARG(word), STR_ARG(rest));
    log_msg(LOG_PANIC | LOG_MAIN, x->msg, "%.*s router: %.*s", STR_ARG(r->name),
            STR_ARG(a->message));
    return ROUTE_DEFER;
}

/* The identity to run as; false with a->message. */
static bool identity(struct route_job *job, const struct router *r, struct address *a,
                     struct child_spec *spec)
{
    const struct opts *o = r->opts;
    struct ectx *x = job->x;
    uint32_t uid = 0, gid = 0;
    bool gid_known = false;
    if (!route_find_user(x, &o->command_user, &uid, &gid, &gid_known) ||
        (o->command_group.set && !route_find_group(x, &o->command_group, &gid))) {
        a->message = str_fmt(x->pool, "%.*s router: %.*s", STR_ARG(r->name), STR_ARG(x->error));
        return false;
    }
    if (!o->command_group.set && o->user_gid_known) {
        gid = o->user_gid;
        gid_known = true;
    }
    if (!o->command_group.set && !gid_known) {
        a->message = str_fmt(x->pool, "command_user set without command_group for %.*s router",
                             STR_ARG(r->name));
        return false;
    }
    spec->uid = uid;
    spec->gid = gid;
    spec->set_ids = geteuid() == 0;
    if (geteuid() != 0 && geteuid() != uid) {
        a->message = str_fmt(x->pool, "%.*s router: cannot run the command as user %u",
                             STR_ARG(r->name), uid);
        return false;
    }
    return true;
}

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    const struct opts *o = r->opts;
    struct ectx *x = job->x;
    struct child_spec spec = {.stdin_fd = -1, .umask = 077};
    struct buf out;
    buf_init(&out, x->pool, OUTPUT_MAX);
    spec.cwd = str_cstr(x->pool, o->current_directory);
    if (!identity(job, r, a, &spec)) {
        return ROUTE_DEFER;
    }
    spec.argv = make_args(job, r, a);
    if (!spec.argv || !run(job, r, a, &spec, &out)) {
        return ROUTE_DEFER;
    }
    struct str line = buf_str(&out);
    ptrdiff_t nl = str_chr(line, '\n');
    line = str_trim(nl < 0 ? line : str_sub(line, 0, (size_t)nl));
    if (str_empty(line)) {
        a->message =
            str_fmt(x->pool, "%.*s router: command failed to return data", STR_ARG(r->name));
        return ROUTE_DEFER;
    }
    return obey(job, r, a, line);
}

const struct router_driver queryprogram_router = {
    .name = "queryprogram",
    .opts_size = sizeof(struct opts),
    .options = options,
    .init = init,
    .route = route,
};
