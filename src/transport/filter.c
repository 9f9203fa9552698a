/*
 * Transport filters: a command that the whole message passes through on its way out.
 *
 * The message is written to an anonymous file with plain line ends, the command reads that as its
 * standard input, and its output, in another such file, takes the message's place; what SMTP or a
 * mailbox needs (line ends, dots, check_string) is done to the output. Nothing can deadlock, and a
 * filter that fails, or takes longer than transport_filter_timeout, costs no half-written message:
 * the addresses are deferred before a byte was sent.
 */
#include "transport/internal.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOT_RUN = 127 }; /* the status of a command that could not be run */

bool filter_parse(struct opt_reader *r, void *base, struct str value)
{
    struct transport *t = base;
    struct strvec words = {.pool = r->pool};
    struct str error;
    t->filter_text = str_dup(r->pool, value);
    if (!command_split(r->pool, t->filter_text, &words, &error) || words.n == 0) {
        return opt_error(r, "transport_filter \"%.*s\": %s", STR_ARG(value),
                         words.n ? error.p : "there is no command");
    }
    t->filter.v = pool_calloc(r->pool, words.n, sizeof *t->filter.v);
    t->filter.n = words.n;
    for (size_t i = 0; i < words.n; i++) {
        struct etext *e = &t->filter.v[i];
        e->text = words.v[i];
        if (!str_is(e->text, "$pipe_addresses") && str_any_in(e->text, "$\\") && r->compile &&
            !(e->tree = r->compile(r, e->text))) {
            return false;
        }
    }
    return true;
}

struct str filter_print(struct pool *pool, const void *base)
{
    (void)pool;
    return ((const struct transport *)base)->filter_text;
}

/* The filter ended badly; a fault of the configuration's, as Exim sees it, if delivery is local. */
static bool ended(struct ectx *x, struct delivery *d, int status)
{
    bool exited = WIFEXITED(status), absent = exited && WEXITSTATUS(status) == NOT_RUN;
    struct str to = str_unset(d->writing_to)
                        ? STR("")
                        : str_fmt(x->pool, " while writing to %.*s", STR_ARG(d->writing_to));
    transport_end_all(d, ADDR_DEFER, ERRNO_FILTER_FAIL,
                      str_fmt(x->pool, "transport filter process failed (%s%d)%.*s%s",
                              exited ? "" : "signal ",
                              exited ? WEXITSTATUS(status) : WTERMSIG(status), STR_ARG(to),
                              absent ? ": unable to execute command" : ""));
    for (struct address *a = d->addrs; a && d->transport->local; a = a->next) {
        a->no_retry = true;
    }
    errno = EINVAL;
    return false;
}

static bool too_slow(struct ectx *x, struct delivery *d)
{
    bool file = !str_unset(d->writing_to);
    transport_end_all(d, ADDR_DEFER, file ? ETIMEDOUT : ERRNO_FILTER_FAIL,
                      file ? str_fmt(x->pool, "error while writing to %.*s", STR_ARG(d->writing_to))
                           : STR("transport filter timed out"));
    errno = EINVAL;
    return false;
}

static bool fail(struct ectx *x, struct delivery *d, struct str text)
{
    (void)x;
    transport_end_all(d, ADDR_DEFER, ERRNO_FILTER_FAIL, text);
    errno = EINVAL;
    return false;
}

static bool make_argv(struct ectx *x, struct delivery *d, struct strvec *argv)
{
    const struct transport *t = d->transport;
    struct str s;
    for (size_t i = 0; i < t->filter.n; i++) {
        if (str_is(t->filter.v[i].text, "$pipe_addresses")) {
            for (struct address *a = d->addrs; a; a = a->next) {
                strvec_push(argv, transport_rcpt(x->pool, a, t->rcpt_include_affixes));
            }
            continue;
        }
        if (!expand_option(x, &t->filter.v[i], &s)) {
            return fail(x, d,
                        str_fmt(x->pool,
                                "Expansion of \"%.*s\" from command \"%.*s\" in %.*s transport "
                                "(filter) failed: %.*s",
                                STR_ARG(t->filter.v[i].text), STR_ARG(t->filter_text),
                                STR_ARG(t->name), STR_ARG(x->error)));
        }
        strvec_push(argv, s);
    }
    for (size_t i = 0; i < argv->n; i++) {
        if (argv->v[i].tainted) {
            return fail(x, d,
                        str_fmt(x->pool,
                                "Tainted arg %zu for %.*s transport (filter) command: '%.*s'", i,
                                STR_ARG(t->name), STR_ARG(argv->v[i])));
        }
    }
    return true;
}

static bool put_fd(void *closure, const char *p, size_t n)
{
    return write_all(*(const int *)closure, p, n) == 0;
}

/* The message as the filter gets it. -1 with errno. */
static int message_file(struct ectx *x, struct delivery *d, unsigned flags)
{
    int fd = memfd_create("message", MFD_CLOEXEC);
    struct transport_writer w = {
        .flags = (flags & ~(unsigned)(TW_CRLF | TW_DOTS | TW_FINAL_DOT | TW_CHECK_STRING)) |
                 TW_UNFILTERED,
        .put = put_fd,
        .closure = &fd};
    if (fd >= 0 && (!transport_write_message(x, d, &w) || lseek(fd, 0, SEEK_SET) < 0)) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

/* Reads the command's output until it ends or the deadline passes. */
static bool gather(int from, int to, int timeout_ms)
{
    char p[65536];
    int64_t end = time_monotonic_ms() + timeout_ms;
    for (;;) {
        int64_t left = timeout_ms > 0 ? end - time_monotonic_ms() : -1;
        struct pollfd pf = {.fd = from, .events = POLLIN};
        if (timeout_ms > 0 && left <= 0) {
            errno = ETIMEDOUT;
            return false;
        }
        int ready = poll(&pf, 1, (int)left);
        ssize_t n = ready > 0 ? read(from, p, sizeof p) : 0;
        if (ready > 0 && n == 0) {
            return true;
        }
        if ((ready < 0 || n < 0) && errno != EINTR) {
            return false;
        }
        if (n > 0 && write_all(to, p, (size_t)n) < 0) {
            return false;
        }
    }
}

static const char *const *as_argv(struct pool *pool, const struct strvec *v)
{
    const char **p = pool_calloc(pool, v->n + 1, sizeof *p);
    for (size_t i = 0; i < v->n; i++) {
        p[i] = str_cstr(pool, v->v[i]);
    }
    return p;
}

/* Runs the command from one file to the other; false after ending the addresses. */
static bool run(struct ectx *x, struct delivery *d, const struct strvec *argv, int in, int out)
{
    struct strvec env = {.pool = x->pool};
    struct child c;
    int status = 0, timeout_ms = d->transport->transport_filter_timeout * 1000;
    command_environment(x, d, STR("/bin:/usr/bin"), &env);
    struct child_spec spec = {.argv = as_argv(x->pool, argv),
                              .envp = as_argv(x->pool, &env),
                              .set_ids = geteuid() == 0 && d->uid != 0,
                              .uid = d->uid,
                              .gid = d->gid,
                              .umask = 022,
                              .stdin_fd = in,
                              .merge_stderr = true};
    if (child_start(&spec, &c) < 0) {
        return ended(x, d, NOT_RUN << 8);
    }
    if (!gather(c.out, out, timeout_ms)) {
        int e = errno;
        child_kill(&c);
        return e == ETIMEDOUT
                   ? too_slow(x, d)
                   : fail(x, d,
                          str_fmt(x->pool, "transport filter output could not be read: %s",
                                  strerror(e)));
    }
    if (child_wait(&c, timeout_ms > 0 ? timeout_ms : -1, &status) < 0) {
        return too_slow(x, d);
    }
    return status == 0 || ended(x, d, status);
}

bool filter_message(struct ectx *x, struct delivery *d, unsigned flags, int *fd, int64_t *size)
{
    struct strvec argv = {.pool = x->pool};
    struct stat st;
    int in = -1;
    *fd = -1;
    if (!make_argv(x, d, &argv)) {
        return false;
    }
    bool ok =
        (in = message_file(x, d, flags)) >= 0 && (*fd = memfd_create("filtered", MFD_CLOEXEC)) >= 0;
    ok = ok ? run(x, d, &argv, in, *fd)
            : fail(x, d, str_fmt(x->pool, "transport filter: %s", strerror(errno)));
    if (in >= 0) {
        close(in);
    }
    if (ok && fstat(*fd, &st) == 0) {
        *size = st.st_size;
        return true;
    }
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return false;
}
