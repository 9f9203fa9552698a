/*
 * Remote deliveries of one message at the same time (remote_max_parallel). Each is made by a forked
 * process, which has all it needs by the fork: routed addresses, their hosts, what the DNS said. It
 * journals each accepted recipient itself, and tells what came of each transaction (told.c)
 * through a pipe; log lines about addresses, lists, retry records and reports are the parent's.
 *
 * What must not be shared across the fork: a kept connection is closed before; hints are opened
 * anew by who notices that it is another process, and so is the way to the hand. The message stays
 * locked until the last of its processes has ended, whatever becomes of the parent.
 *
 * A process that ends before it told of all its addresses: the journal says which of them were
 * delivered, the others are deferred, and the message is frozen: it may be what kills.
 */
#include "queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_MAX = 65536 };

/* One process and what it has told so far. */
struct process {
    struct process *next;
    pid_t pid;
    int fd;
    const struct transport *transport;
    struct vec addrs; /* struct address *; NULL: ended */
    struct buf in;    /* not yet decoded from `used` on */
    size_t used;
};

struct parallel {
    struct job *j;
    struct process *running;
    int count;
    struct pollfd *fds; /* room for as many as there may be */
};

/* ---- in the child ---- */

/* Tells the parent; if there is none any more, the log at least. False: this was the last. */
static bool tell(struct job *j, struct address *group, int fd)
{
    struct str result = told_encode(j, group);
    if (!str_unset(result) && write_all(fd, result.p, result.len) == 0) {
        return true;
    }
    log_msg(LOG_MAIN | LOG_PANIC, j->m, "Failed writing transport result to pipe: %s",
            strerror(str_unset(result) ? EMSGSIZE : errno));
    remote_finish(j, group);
    return false;
}

/*
 * Ends the connection, unless other messages wait for its host: they follow in a process that nobody
 * waits for, since this message is not to wait for them.
 */
static void leave_connection(struct job *j)
{
    struct smtp_kept to;
    bool alone = (j->flags & (DELIVER_CONTINUED | DELIVER_ALONE)) != 0;
    hints_close_all(); /* they would not survive another fork */
    pid_t pid = alone || !smtp_kept(&to) ? -1 : fork();
    if (pid > 0) {
        return;
    }
    if (pid == 0) {
        struct str id = j->m->id;
        spool_close(j->m); /* the parent's lock of it stays */
        waiting_follow(j->conf, id, j->flags);
    }
    smtp_close_kept();
}

_Noreturn static void work(struct job *j, struct address *list, int fd)
{
    bool ok = true;
    signal(SIGPIPE, SIG_IGN);
    j->forked = j->shared = true;
    j->retry = NULL;
    j->retry_opened = false;
    spool_msglog_take(j->m); /* the parent has these lines as well */
    while (list && ok) {
        struct address *group = remote_cut(list, &list);
        j->changes = map_new(j->pool, false);
        remote_deliver(j, group, list != NULL);
        for (struct address *a = group; a; a = a->next) {
            if (a->outcome == ADDR_OK) {
                queue_journal(j, a);
            }
        }
        ok = tell(j, group, fd);
    }
    close(fd);
    leave_connection(j);
    child_end(ok ? 0 : 1);
}

/* ---- in the parent ---- */

/* The addresses of a process, numbered. */
static void number(struct job *j, struct process *p, struct address *list)
{
    p->addrs.pool = j->pool;
    for (struct address *a = list; a; a = a->next) {
        queue_note(j, a)->place = p->addrs.n;
        vec_push(&p->addrs, a);
    }
}

/* Forks; false with errno. */
static bool start(struct parallel *p, struct process *c, struct address *list)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        return false;
    }
    c->pid = fork();
    if (c->pid == 0) {
        close(ends[0]);
        for (const struct process *other = p->running; other; other = other->next) {
            close(other->fd);
        }
        work(p->j, list, ends[1]);
    }
    int e = errno;
    close(ends[1]);
    c->fd = ends[0];
    if (c->pid < 0) {
        close(ends[0]);
        errno = e;
    }
    return c->pid > 0;
}

/* Ends the addresses that complete results tell of; false if what was told makes no sense. */
static bool take_results(struct parallel *p, struct process *c)
{
    for (;;) {
        struct str data = str_from(buf_str(&c->in), c->used);
        size_t before = data.len;
        struct address *group;
        enum told_state state = told_decode(p->j, &data, &c->addrs, &group);
        if (state != TOLD_GOOD) {
            return state == TOLD_PART;
        }
        c->used += before - data.len;
        remote_finish(p->j, group);
    }
}

/* True if the process may tell more. */
static bool listen_to(struct parallel *p, struct process *c)
{
    char room[READ_MAX];
    ssize_t n = read(c->fd, room, READ_MAX);
    if (n < 0) {
        return errno == EINTR || errno == EAGAIN;
    }
    return n > 0 && buf_add(&c->in, room, (size_t)n) && take_results(p, c);
}

/* Why a process told nothing more. */
static struct str last_words(struct pool *pool, const struct process *c, int status)
{
    const char *driver = c->transport->driver->name;
    if (status == 0) {
        return str_fmt(pool, "%s transport process told nothing that makes sense", driver);
    }
    bool killed = WIFSIGNALED(status);
    return str_fmt(pool, "%s transport process returned non-zero status 0x%04x: %s %d", driver,
                   (unsigned)status, killed ? "terminated by signal" : "exit code",
                   killed ? WTERMSIG(status) : WEXITSTATUS(status));
}

/* Something is wrong with this program or with the message: the administrator is to look. */
static void complain(struct parallel *p, struct process *c, const struct address *first)
{
    size_t left = c->in.len - c->used;
    log_msg(LOG_MAIN | LOG_PANIC, p->j->m,
            "Delivery status for %.*s: got %zu of %zu bytes (%s) from transport process %ld for "
            "transport %s",
            STR_ARG(first->address), left, told_length(str_from(buf_str(&c->in), c->used)),
            left < TOLD_HEADER ? "pipeheader" : "pipedata", (long)c->pid,
            c->transport->driver->name);
}

/* What a process left undone when it ended. */
static void settle_rest(struct parallel *p, struct process *c, int status)
{
    struct job *j = p->j;
    struct message known = {.pool = j->pool};
    struct address *group = NULL;
    struct str why = last_words(j->pool, c, status), error;
    known.delivered.pool = j->pool;
    bool readable = spool_peek(j->conf, j->m->id, &known, &error) == SPOOL_OK;
    for (size_t i = c->addrs.n; i-- > 0;) {
        struct address *a = c->addrs.v[i];
        if (!a) {
            continue;
        }
        if (readable && strvec_has(&known.delivered, a->unique)) {
            a->outcome = ADDR_OK;
            queue_note(j, a)->by_child = true;
        } else {
            a->outcome = ADDR_DEFER;
            a->basic_errno = ERRNO_UNKNOWNERROR;
            a->message = why;
            a->special_action = STR("freeze");
        }
        queue_put(&group, a);
    }
    if (readable) {
        spool_close(&known);
    }
    if (group) {
        complain(p, c, group);
        remote_finish(j, group);
    }
}

static void bury(struct parallel *p, struct process *c)
{
    int status = 0;
    close(c->fd);
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    struct process **at = &p->running;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    p->count--;
    settle_rest(p, c, status);
}

/* Waits until one process or another has told something. */
static void wait_for_news(struct parallel *p)
{
    nfds_t n = 0;
    for (const struct process *c = p->running; c; c = c->next) {
        p->fds[n++] = (struct pollfd){.fd = c->fd, .events = POLLIN};
    }
    if (poll(p->fds, n, -1) < 0) {
        return;
    }
    n = 0;
    for (struct process *c = p->running, *next; c; c = next) {
        next = c->next;
        if (p->fds[n++].revents && !listen_to(p, c)) {
            bury(p, c);
        }
    }
}

static struct parallel *begin(struct job *j, int limit)
{
    struct parallel *p = POOL_NEW(j->pool, struct parallel);
    p->j = j;
    p->fds = pool_calloc(j->pool, (size_t)limit, sizeof *p->fds);
    smtp_close_kept();
    spool_journal_ready(j->m); /* one file for all, and the parent knows that it is there */
    j->shared = true;
    return p;
}

bool parallel_start(struct job *j, struct parallel **pp, struct address *list, int limit)
{
    struct parallel *p = *pp = *pp ? *pp : begin(j, limit);
    struct process *c = POOL_NEW(j->pool, struct process), **end = &p->running;
    while (p->count >= limit) {
        wait_for_news(p);
    }
    c->transport = list->transport;
    buf_init(&c->in, j->pool, (size_t)TOLD_MAX + READ_MAX);
    number(j, c, list);
    if (!start(p, c, list)) {
        log_msg(LOG_MAIN | LOG_PANIC, j->m, "fork failed for remote delivery to %.*s: %s",
                STR_ARG(list->domain), strerror(errno));
        return false;
    }
    while (*end) {
        end = &(*end)->next;
    }
    *end = c;
    p->count++;
    return true;
}

void parallel_finish(struct parallel *p)
{
    while (p && p->running) {
        wait_for_news(p);
    }
    if (p) {
        p->j->shared = false;
    }
}
