/*
 * Running a pipe's command: the message goes in, the output is gathered, both at once, within the
 * time there is. Runs with rights to become the user; the child takes the identity on.
 *
 * A command that does not read its input is no error in itself: its status counts.
 */
#include "transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OUTPUT_CHUNK = 4096 };

struct run {
    const struct plan *p;
    struct child c;
    struct buf output;
    int64_t deadline; /* of time_monotonic_ms(); -1: none */
    bool timed_out, cut, in_closed;
};

static int time_left(const struct run *u)
{
    if (u->deadline < 0) {
        return -1;
    }
    int64_t left = u->deadline - time_monotonic_ms();
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Takes what output there is; false at its end. */
static bool take_output(struct run *u)
{
    char chunk[OUTPUT_CHUNK];
    ssize_t n = read(u->c.out, chunk, sizeof chunk);
    if (n < 0) {
        return errno == EINTR || errno == EAGAIN;
    }
    if (n > 0) {
        buf_add(&u->output, chunk, (size_t)n);
        u->cut = u->output.len > (size_t)u->p->f.max_output;
    }
    if (u->cut) {
        buf_addz(&u->output, "\n\n*** Too much output - remainder discarded ***\n");
    }
    return n > 0;
}

static void close_out(struct run *u)
{
    close(u->c.out);
    u->c.out = -1;
}

/* Writes, while output is taken. False when there is no point in going on. */
static bool feed(void *closure, const char *p, size_t n)
{
    struct run *u = closure;
    while (n && !u->cut) {
        struct pollfd f[2] = {{u->c.in, POLLOUT, 0}, {u->c.out, POLLIN, 0}};
        int ready = poll(f, u->c.out >= 0 ? 2 : 1, time_left(u));
        if (ready == 0) {
            u->timed_out = true;
            return false;
        }
        if (ready > 0 && u->c.out >= 0 && f[1].revents && !take_output(u)) {
            close_out(u);
        }
        if (ready > 0 && f[0].revents) {
            ssize_t put = write(u->c.in, p, n);
            if (put < 0 && errno != EAGAIN && errno != EINTR) {
                u->in_closed = true;
                return false;
            }
            if (put > 0) {
                p += put;
                n -= (size_t)put;
            }
        }
    }
    return n == 0;
}

/* Small writes are gathered, so that lines are not calls. */
struct gather {
    struct run *u;
    size_t n;
    char p[32768];
};

static bool gather_flush(struct gather *g)
{
    size_t n = g->n;
    g->n = 0;
    return n == 0 || feed(g->u, g->p, n);
}

static bool gather(void *closure, const char *p, size_t n)
{
    struct gather *g = closure;
    if (n > sizeof g->p - g->n && !gather_flush(g)) {
        return false;
    }
    if (n >= sizeof g->p) {
        return feed(g->u, p, n);
    }
    memcpy(g->p + g->n, p, n);
    g->n += n;
    return true;
}

static void write_input(struct run *u, struct pool *pool)
{
    struct gather *g = pool_alloc(pool, sizeof *g);
    struct line_filter f = {.put = gather, .closure = g};
    g->u = u;
    g->n = 0;
    fd_nonblock(u->c.in, true);
    if (plan_write_message(u->p, &f)) {
        gather_flush(g);
    }
    close(u->c.in);
    u->c.in = -1;
}

/* The rest of the output, until its end, the limit or the deadline. */
static void read_rest(struct run *u)
{
    while (u->c.out >= 0 && !u->cut && !u->timed_out) {
        struct pollfd f = {u->c.out, POLLIN, 0};
        int ready = poll(&f, 1, time_left(u));
        if (ready == 0) {
            u->timed_out = true;
        } else if (ready > 0 && !take_output(u)) {
            close_out(u);
        }
    }
}

static const char *const *vector(struct pool *pool, const struct strvec *v)
{
    const char **out = pool_calloc(pool, v->n + 1, sizeof *out);
    for (size_t i = 0; i < v->n; i++) {
        out[i] = str_cstr(pool, v->v[i]);
    }
    return out;
}

static int start(struct run *u, struct pool *pool)
{
    const struct plan *p = u->p;
    struct child_spec spec = {
        .argv = vector(pool, &p->argv),
        .envp = vector(pool, &p->env),
        .cwd = str_cstr(pool, p->text[PT_CWD]),
        .set_ids = geteuid() == 0,
        .uid = p->f.uid,
        .gid = p->f.gid,
        .initgroups = str_unset(p->text[PT_LOGIN]) ? NULL : str_cstr(pool, p->text[PT_LOGIN]),
        .umask = (mode_t)p->f.umask,
        .stdin_fd = -1,
        .merge_stderr = true,
    };
    const struct rlimit no_core = {0, 0};
    struct rlimit old;
    bool limit = !p->f.permit_coredump && getrlimit(RLIMIT_CORE, &old) == 0;
    if (limit) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){no_core.rlim_cur, old.rlim_max});
    }
    int r = child_start(&spec, &u->c), e = errno;
    if (limit) {
        setrlimit(RLIMIT_CORE, &old);
    }
    errno = e;
    return r;
}

void pipe_run(const struct plan *p, struct plan_result *r)
{
    struct run u = {.p = p};
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old;
    if (geteuid() != 0 && geteuid() != p->f.uid) {
        result_set(r, ADDR_DEFER, ERRNO_UIDFAIL, "unable to set gid=%u or uid=%u (euid=%u)",
                   p->f.gid, p->f.uid, (unsigned)geteuid());
        return;
    }
    buf_init(&u.output, r->pool, (size_t)p->f.max_output + 2 * OUTPUT_CHUNK);
    u.deadline = p->f.timeout > 0 ? time_monotonic_ms() + (int64_t)p->f.timeout * 1000 : -1;
    sigaction(SIGPIPE, &ignore, &old);
    if (start(&u, r->pool) < 0) {
        sigaction(SIGPIPE, &old, NULL);
        r->f.exec_failed = true;
        r->f.basic_errno = errno;
        return;
    }
    write_input(&u, r->pool);
    read_rest(&u);
    if (u.timed_out || u.cut) {
        child_kill(&u.c);
        r->f.timed_out = u.timed_out;
        r->f.status = SIGKILL;
    } else if (child_wait(&u.c, time_left(&u), &r->f.status) < 0) {
        r->f.timed_out = errno == ETIMEDOUT;
    }
    sigaction(SIGPIPE, &old, NULL);
    r->text[RT_OUTPUT] = buf_str(&u.output);
}
