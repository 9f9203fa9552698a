/*
 * Child processes (child.h). Between fork and exec only async-signal-safe calls are made; a
 * failure there travels back through a close-on-exec pipe as an errno, so the parent's errno says
 * why a program could not be run. The caller owns the pipe ends until child_wait or child_kill.
 */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The identity, in the order that keeps the right to change it until the last step. */
static int take_identity(const struct child_spec *s)
{
    if (!s->set_ids) {
        return 0;
    }
    if (geteuid() == 0) {
        if (s->initgroups ? initgroups(s->initgroups, s->gid) : setgroups(1, &s->gid)) {
            return -1;
        }
    }
    return setresgid(s->gid, s->gid, s->gid) || setresuid(s->uid, s->uid, s->uid) ? -1 : 0;
}

_Noreturn static void run_child(const struct child_spec *s, int in, int out, int report)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;
    sigemptyset(&none);
    for (int sig = 1; sig < 32; sig++) {
        sigaction(sig, &dfl, NULL);
    }
    sigprocmask(SIG_SETMASK, &none, NULL);
    setpgid(0, 0);
    if (dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && (!s->merge_stderr || dup2(1, 2) >= 0) &&
        take_identity(s) == 0 && (!s->cwd || chdir(s->cwd) == 0)) {
        umask(s->umask);
        execve(
            s->argv[0], (char *const *)(uintptr_t)s->argv,
            (char *const *)(uintptr_t)(s->envp ? s->envp : (const char *const *)(void *)environ));
    }
    int e = errno;
    ssize_t ignored = write(report, &e, sizeof e);
    (void)ignored;
    _exit(127);
}

void child_end(int status)
{
    asan_check_leaks();
    _exit(status);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

struct pipes {
    int in[2], out[2], report[2];
};

static int open_pipes(const struct child_spec *s, struct pipes *p)
{
    *p = (struct pipes){{-1, -1}, {-1, -1}, {-1, -1}};
    if (s->stdin_fd >= 0) {
        p->in[0] = fcntl(s->stdin_fd, F_DUPFD_CLOEXEC, 3);
    } else if (pipe2(p->in, O_CLOEXEC) < 0) {
        return -1;
    }
    if (s->duplex) {
        p->out[1] = fcntl(s->stdin_fd, F_DUPFD_CLOEXEC, 3);
    } else if (s->drop_output) {
        p->out[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    } else if (pipe2(p->out, O_CLOEXEC) < 0) {
        return -1;
    }
    return p->in[0] < 0 || p->out[1] < 0 ? -1 : pipe2(p->report, O_CLOEXEC);
}

static void close_pipes(struct pipes *p)
{
    for (int i = 0; i < 2; i++) {
        close_fd(&p->in[i]);
        close_fd(&p->out[i]);
        close_fd(&p->report[i]);
    }
}

int child_start(const struct child_spec *spec, struct child *c)
{
    struct pipes p;
    int failed = 0;
    *c = (struct child){-1, -1, -1};
    if (open_pipes(spec, &p) < 0 || (c->pid = fork()) < 0) {
        int e = errno;
        close_pipes(&p);
        errno = e;
        return -1;
    }
    if (c->pid == 0) {
        run_child(spec, p.in[0], p.out[1], p.report[1]);
    }
    close_fd(&p.report[1]);
    ssize_t n;
    do {
        n = read(p.report[0], &failed, sizeof failed);
    } while (n < 0 && errno == EINTR);
    if (n == (ssize_t)sizeof failed) {
        close_pipes(&p);
        waitpid(c->pid, NULL, 0);
        errno = failed;
        return -1;
    }
    c->in = p.in[1];
    c->out = p.out[0];
    p.in[1] = p.out[0] = -1;
    close_pipes(&p);
    return 0;
}

/* Polls with short, growing naps: the child has no descriptor to wait on where pidfd is missing. */
static pid_t reap_until(pid_t pid, int timeout_ms, int *status)
{
    int64_t end = time_monotonic_ms() + timeout_ms;
    for (int nap = 1;; nap = nap < 50 ? nap * 2 : 50) {
        pid_t r = waitpid(pid, status, WNOHANG);
        if (r != 0 && !(r < 0 && errno == EINTR)) {
            return r;
        }
        if (time_monotonic_ms() >= end) {
            return 0;
        }
        poll(NULL, 0, nap);
    }
}

int child_wait(struct child *c, int timeout_ms, int *status)
{
    close_fd(&c->in);
    close_fd(&c->out);
    pid_t r;
    if (timeout_ms < 0) {
        do {
            r = waitpid(c->pid, status, 0);
        } while (r < 0 && errno == EINTR);
    } else {
        r = reap_until(c->pid, timeout_ms, status);
    }
    if (r == 0) {
        child_kill(c);
        errno = ETIMEDOUT;
        return -1;
    }
    return r < 0 ? -1 : 0;
}

void child_kill(struct child *c)
{
    close_fd(&c->in);
    close_fd(&c->out);
    kill(-c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}
