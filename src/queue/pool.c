/*
 * The delivery pool: a named pipe in the spool directory that any process writes message ids to, and
 * the loop of the workers that read it. What is in it is a hint: if it is full, or nobody listens,
 * the message waits for a queue run. A pipe and not a datagram socket, because the kernel keeps ten
 * datagrams by default, and thousands of these.
 *
 * A record has a fixed size, so that reads and writes of many processes never split one: a letter
 * for what is asked, then the id, then zeros: 'D' deliver, 'L' local deliveries only.
 */
#include "queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RECORD = 32, PIPE_BYTES = 1 << 20, LAST_MS = 5000 /* what is waiting when told to end */ };

static const char pipe_name[] = "minim.delivery";

/* Of the process: our end of the pool's pipe, kept open between messages; a worker's order to end. */
static struct {
    int fd;
    pid_t pid;
    volatile const int *stop;
} sender = {-1, 0, NULL};

bool queue_told_to_end(void)
{
    return sender.stop && *sender.stop;
}

int queue_pool_listen(const struct config *conf)
{
    struct pool *pool = pool_new("pool path");
    const char *path = spool_path(conf, pool, str_c(pipe_name)).p;
    mkdir_parents(core_settings(conf)->spool_directory, 0750);
    unlink(path);
    int fd = mkfifo(path, 0600) == 0 ? open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
    int error = errno;
    if (fd < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "delivery pool: %s: %s", path, strerror(error));
    } else {
        (void)fcntl(fd, F_SETPIPE_SZ, PIPE_BYTES); /* no more than allowed: the usual size does */
        if (geteuid() == 0 && chown(path, priv_work_uid(conf), priv_work_gid(conf)) < 0) {
            log_write(LOG_MAIN | LOG_PANIC, "cannot give %s to exim_user: %s", path,
                      strerror(errno));
        }
    }
    pool_free(&pool);
    errno = error;
    return fd;
}

int queue_pool_waiting(int fd)
{
    int bytes = 0;
    return ioctl(fd, FIONREAD, &bytes) == 0 ? bytes / RECORD : 0;
}

/* The pipe's writing end, or -1 if nobody listens. */
static int connected(const struct config *conf)
{
    if (sender.fd >= 0 && sender.pid == getpid()) {
        return sender.fd;
    }
    if (sender.fd >= 0) {
        close(sender.fd);
    }
    struct pool *pool = pool_new("pool path");
    struct stat st;
    signal(SIGPIPE, SIG_IGN); /* readers that have gone are nothing to die of */
    sender.pid = getpid();
    sender.fd = open(spool_path(conf, pool, str_c(pipe_name)).p, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    if (sender.fd >= 0 && (fstat(sender.fd, &st) < 0 || !S_ISFIFO(st.st_mode))) {
        close(sender.fd);
        sender.fd = -1;
    }
    pool_free(&pool);
    return sender.fd;
}

bool queue_pool_present(const struct config *conf)
{
    return connected(conf) >= 0;
}

/* Writes the record. False if there is no pool; a full one is as good as success. */
static bool tell_pool(const struct config *conf, struct str id, char what)
{
    char record[RECORD] = {what};
    if (id.len > RECORD - 2) {
        return false;
    }
    memcpy(record + 1, id.p, id.len);
    for (int attempt = 0; attempt < 2; attempt++) {
        int fd = connected(conf);
        if (fd < 0) {
            return false;
        }
        if (write(fd, record, RECORD) == RECORD || errno == EAGAIN) {
            return true;
        }
        close(sender.fd);
        sender.fd = -1;
    }
    return false;
}

/* The grandchild: nothing of the caller's stays open. */
_Noreturn static void deliver_detached(const struct config *conf, struct str id, unsigned flags)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3 && null >= 0 && !trace_selected(); fd++) {
        dup2(null, fd);
    }
    setsid();
    hints_close_all();
    queue_deliver(conf, id, flags);
    child_end(0);
}

/* Delivers in a process of its own that nobody has to wait for. */
static void deliver_in_child(const struct config *conf, struct str id, unsigned flags)
{
    pid_t pid = fork();
    if (pid == 0) {
        pid_t child = fork();
        if (child == 0) {
            deliver_detached(conf, id, flags);
        }
        child_end(child < 0);
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0) {
        log_write(LOG_MAIN | LOG_PANIC, "%.*s delivery process could not be started: %s",
                  STR_ARG(id), strerror(errno));
    }
}

/* True if one of the files of queue_only_file exists; *smtp if it is one for SMTP alone. */
static bool file_says_wait(const struct queue_settings *s, bool *smtp)
{
    struct str rest = s->queue_only_file, item;
    struct pool *pool = rest.len ? pool_new("queue_only_file") : NULL;
    bool wait = false;
    while (pool && str_next(&rest, ':', &item)) {
        struct stat st;
        item = str_trim(item);
        bool is_smtp = str_starts(item, "smtp");
        if (stat(str_cstr(pool, is_smtp ? str_from(item, 4) : item), &st) == 0) {
            *smtp |= is_smtp;
            wait |= !is_smtp;
        }
    }
    pool_free(&pool);
    return wait;
}

/* What the options make of the caller's wish; *too_busy is the load average that decided it. */
static enum queue_how decide(const struct config *conf, struct str id, enum queue_how how,
                             double *too_busy)
{
    const struct queue_settings *s = queue_settings(conf);
    bool smtp = false;
    double load;
    bool open = how == QUEUE_BACKGROUND || !s->queue_only_override;
    if (how == QUEUE_ONLY || (open && (s->queue_only || file_says_wait(s, &smtp)))) {
        return QUEUE_ONLY;
    }
    if (smtp && open) {
        how = how == QUEUE_FOREGROUND ? QUEUE_SMTP_FOREGROUND : QUEUE_SMTP_ONLY;
    }
    if (s->queue_only_load >= 0 && getloadavg(&load, 1) == 1 && load * 1000 > s->queue_only_load) {
        if (log_wants(LS_delay_delivery)) {
            log_write(LOG_MAIN, "%.*s no immediate delivery: load average %.2f", STR_ARG(id), load);
        }
        *too_busy = load;
        return QUEUE_ONLY;
    }
    return how;
}

double queue_hand_over(const struct config *conf, struct str id, enum queue_how how)
{
    double too_busy = -1;
    how = decide(conf, id, how, &too_busy);
    bool local = how == QUEUE_SMTP_ONLY || how == QUEUE_SMTP_FOREGROUND;
    unsigned flags = DELIVER_FIRST | (local ? DELIVER_LOCAL_ONLY : 0);
    if (how == QUEUE_ONLY) {
        return queue_settings(conf)->queue_only_load_latch ? too_busy : -1;
    }
    if (how == QUEUE_FOREGROUND || how == QUEUE_SMTP_FOREGROUND) {
        queue_deliver(conf, id, flags | DELIVER_FOREGROUND);
    } else if (!tell_pool(conf, id, local ? 'L' : 'D')) {
        deliver_in_child(conf, id, flags);
    }
    return -1;
}

void queue_pending(const struct config *conf, struct str id, unsigned flags)
{
    if (!tell_pool(conf, id, flags & DELIVER_LOCAL_ONLY ? 'L' : 'D')) {
        queue_deliver(conf, id, flags);
    }
}

/* Delivers what a record asks for. */
static void serve(const struct config *conf, const char *record, const struct queue_hooks *hooks)
{
    struct str id = str_n(record + 1, strnlen(record + 1, RECORD - 1));
    if (!message_id_valid(id)) {
        return;
    }
    if (hooks && hooks->state) {
        hooks->state(hooks->closure, true);
    }
    queue_deliver(conf, id, DELIVER_FIRST | (record[0] == 'L' ? DELIVER_LOCAL_ONLY : 0));
    if (hooks && hooks->state) {
        hooks->state(hooks->closure, false);
    }
}

/* One worker at a time is woken when a record comes. */
static int make_epoll(int fd)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0) {
        close(ep);
        ep = -1;
    }
    return ep;
}

/* Waits for a record; false if none came in time. SIGTERM cannot come between look and wait. */
static bool wait_for_record(int ep, int idle_ms, volatile const int *stop)
{
    struct epoll_event e;
    sigset_t term, open_mask;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &open_mask);
    int n = *stop ? -1 : epoll_pwait(ep, &e, 1, idle_ms, &open_mask);
    sigprocmask(SIG_SETMASK, &open_mask, NULL);
    return n != 0;
}

/* True if a worker that was told to end has gone on for long enough. */
static bool overdue(int64_t *until)
{
    int64_t now = time_monotonic_ms();
    *until = *until ? *until : now + LAST_MS;
    return now >= *until;
}

void queue_worker(const struct config *conf, int fd, volatile const int *stop,
                  const struct queue_hooks *hooks)
{
    char record[RECORD];
    int idle = hooks ? hooks->idle_ms : -1, ep = make_epoll(fd);
    int64_t until = 0;
    bool broken = ep < 0;
    sender.stop = stop;
    while (!broken && !(*stop && overdue(&until))) {
        ssize_t n = read(fd, record, RECORD);
        if (n == RECORD) {
            serve(conf, record, hooks);
        } else if (n < 0 && errno == EAGAIN) {
            if (*stop || !wait_for_record(ep, idle, stop)) {
                break;
            }
        } else {
            broken = n >= 0 || errno != EINTR;
        }
    }
    if (broken) {
        log_write(LOG_MAIN | LOG_PANIC, "delivery pool: %s", strerror(errno));
    }
    if (ep >= 0) {
        close(ep);
    }
}
