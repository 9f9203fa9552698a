/*
 * The queryprogram router: a program says what becomes of an address, in one line of output.
 *
 * The program runs under command_user with a time limit; its output is bounded. No shell is used.
 */
#include "route/internal.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/wait.h>

enum { OUTPUT_MAX = 1024 };

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
    struct strvec words = {.pool = r->pool};
    struct str error;
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
    if (!command_split(r->pool, o->command, &words, &error)) {
        return opt_error(r, "command \"%.*s\": %.*s", STR_ARG(o->command), STR_ARG(error));
    }
    o->args = pool_calloc(r->pool, words.n + 1, sizeof *o->args);
    for (size_t i = 0; i < words.n; i++) {
        o->args[i].text = words.v[i];
        if (str_any_in(words.v[i], "$\\") && !(o->args[i].tree = r->compile(r, o->args[i].text))) {
            return false;
        }
    }
    if (str_unset(o->command_user.text.text) && (pw = getpwuid(o->command_user.id))) {
        o->user_gid = pw->pw_gid;
        o->user_gid_known = true;
    }
    return true;
}

static size_t args_count(const struct opts *o)
{
    size_t n = 0;
    while (!str_unset(o->args[n].text)) {
        n++;
    }
    return n;
}

/* The expanded argument vector; NULL with a->message. */
static const char *const *make_args(struct route_job *job, const struct router *r,
                                    struct address *a)
{
    const struct opts *o = r->opts;
    struct ectx *x = job->x;
    const char **argv = pool_calloc(x->pool, args_count(o) + 1, sizeof *argv);
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
            a->message = str_fmt(x->pool, "Tainted arg %zu for queryprogram router command: '%.*s'",
                                 i, STR_ARG(s));
            return NULL;
        }
        argv[i] = str_cstr(x->pool, s);
    }
    return argv;
}

/* Runs the program; its output in *out. False with a->message. */
static bool run(struct route_job *job, const struct router *r, struct address *a,
                const struct hand_command *c, struct str *out)
{
    struct pool *pool = job->x->pool;
    struct hand_outcome o;
    hand_command(pool, c, &o);
    if (o.error) {
        a->message = str_fmt(pool, "%.*s router couldn't create child process: %s",
                             STR_ARG(r->name), strerror(o.error));
    } else if (o.timed_out) {
        a->message = str_fmt(pool, "%.*s router: command timed out", STR_ARG(r->name));
    } else if (WIFSIGNALED(o.status)) {
        a->message = str_fmt(pool, "%.*s router: command killed by signal %d", STR_ARG(r->name),
                             WTERMSIG(o.status));
    } else if (o.status) {
        a->message = str_fmt(pool, "%.*s router: command returned non-zero code %d",
                             STR_ARG(r->name), WEXITSTATUS(o.status));
    } else {
        *out = o.output;
        return true;
    }
    return false;
}

struct str queryprogram_field(struct pool *pool, struct str line, const char *name)
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
    struct str name = queryprogram_field(x->pool, rest, "transport"),
               hosts = queryprogram_field(x->pool, rest, "hosts"),
               data = queryprogram_field(x->pool, rest, "data"),
               lookup = queryprogram_field(x->pool, rest, "lookup");
    struct host_search s = {.router = r, .find_failed = HOST_DEFER, .all_ignored = HOST_DEFER};
    const struct transport *t = NULL;
    bool ok = true;
    if (!str_unset(data)) {
        a->address_data = str_dup(x->pool, data);
    }
    if (!str_unset(name)) {
        if (!(t = route_find_transport(x->conf, name))) {
            a->message =
                str_fmt(x->pool, "unknown transport name %.*s yielded by command", STR_ARG(name));
            log_msg(LOG_PANIC, x->msg, "%.*s router: %.*s", STR_ARG(r->name), STR_ARG(a->message));
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
            return route_defer(
                a, 0,
                str_fmt(x->pool, "bad lookup type \"%.*s\" yielded by command", STR_ARG(lookup)));
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
    log_msg(LOG_PANIC, x->msg, "%.*s router: %.*s", STR_ARG(r->name), STR_ARG(a->message));
    return ROUTE_DEFER;
}

/* The identity to run as; false with a->message. */
static bool identity(struct route_job *job, const struct router *r, struct address *a,
                     struct hand_command *c)
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
    c->uid = uid;
    c->gid = gid;
    return true;
}

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    const struct opts *o = r->opts;
    struct hand_command c = {
        .timeout = o->timeout, .max_output = OUTPUT_MAX, .cwd = o->current_directory};
    struct str line;
    if (!identity(job, r, a, &c)) {
        return ROUTE_DEFER;
    }
    c.argv = make_args(job, r, a);
    if (!c.argv || !run(job, r, a, &c, &line)) {
        return ROUTE_DEFER;
    }
    ptrdiff_t nl = str_chr(line, '\n');
    line = str_trim(nl < 0 ? line : str_sub(line, 0, (size_t)nl));
    if (str_empty(line)) {
        a->message =
            str_fmt(job->x->pool, "%.*s router: command failed to return data", STR_ARG(r->name));
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
