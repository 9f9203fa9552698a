/*
 * The delivery pool: a datagram socket in the spool directory that any process writes message ids
 * to, and the loop of the workers that read it. A datagram is a hint: if it is lost, or nobody
 * listens, the message waits for a queue run.
 *
 * A datagram is one letter for what is asked, then the id: 'D' deliver, 'L' local deliveries only.
 */
#include "queue/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DATAGRAM_MAX = 64, WAKE_SECONDS = 2 /* a worker looks at its orders so often */ };

static const char socket_name[] = "minim.delivery";

/* Our end of the pool's socket: of the process, kept open between messages. */
static struct {
    int fd;
    pid_t pid;
} sender = {-1, 0};

static bool socket_address(const struct config *conf, struct sockaddr_un *sun)
{
    struct pool *pool = pool_new("pool path");
    struct str path = spool_path(conf, pool, str_c(socket_name));
    bool fits = path.len < sizeof sun->sun_path;
    memset(sun, 0, sizeof *sun);
    sun->sun_family = AF_UNIX;
    if (fits) {
        memcpy(sun->sun_path, path.p, path.len);
    }
    pool_free(&pool);
    return fits;
}

int queue_pool_listen(const struct config *conf)
{
    struct sockaddr_un sun;
    if (!socket_address(conf, &sun)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    mkdir_parents(core_settings(conf)->spool_directory, 0750);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(sun.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&sun, sizeof sun) < 0 ||
        chmod(sun.sun_path, 0600) < 0) {
        int saved = errno;
        if (fd >= 0) {
            close(fd);
        }
        errno = saved;
        return -1;
    }
    if (geteuid() == 0 && chown(sun.sun_path, priv_work_uid(conf), priv_work_gid(conf)) < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "cannot give %s to exim_user: %s", sun.sun_path,
                  strerror(errno));
    }
    return fd;
}

/* A connected descriptor, or -1 if nobody listens. */
static int connected(const struct config *conf)
{
    struct sockaddr_un sun;
    if (sender.fd >= 0 && sender.pid == getpid()) {
        return sender.fd;
    }
    if (sender.fd >= 0) {
        close(sender.fd);
    }
    sender.pid = getpid();
    sender.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (sender.fd >= 0 && (!socket_address(conf, &sun) ||
                           connect(sender.fd, (struct sockaddr *)&sun, sizeof sun) < 0)) {
        close(sender.fd);
        sender.fd = -1;
    }
    return sender.fd;
}

/* Sends the datagram. False if there is no pool; a full one is as good as success. */
static bool tell_pool(const struct config *conf, struct str id, char what)
{
    char text[DATAGRAM_MAX];
    int n = snprintf(text, sizeof text, "%c%.*s", what, STR_ARG(id));
    for (int attempt = 0; attempt < 2; attempt++) {
        int fd = connected(conf);
        if (fd < 0) {
            return false;
        }
        if (send(fd, text, (size_t)n, MSG_NOSIGNAL) >= 0 || errno == EAGAIN || errno == ENOBUFS) {
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
    for (int fd = 0; fd < 3 && null >= 0 && !debug_enabled(); fd++) {
        dup2(null, fd);
    }
    setsid();
    hints_close_all();
    queue_deliver(conf, id, flags);
    _exit(0);
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
        _exit(child < 0);
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

/* What the options make of the caller's wish. */
static enum queue_how decide(const struct config *conf, struct str id, enum queue_how how)
{
    const struct queue_settings *s = queue_settings(conf);
    bool smtp = false;
    double load;
    bool open = how == QUEUE_BACKGROUND || !s->queue_only_override;
    if (how == QUEUE_ONLY || (open && (s->queue_only || file_says_wait(s, &smtp)))) {
        return QUEUE_ONLY;
    }
    if (smtp && open) {
        how = QUEUE_SMTP_ONLY;
    }
    if (s->queue_only_load >= 0 && getloadavg(&load, 1) == 1 && load * 1000 > s->queue_only_load) {
        if (log_wants(LS_delay_delivery)) {
            log_write(LOG_MAIN, "%.*s no immediate delivery: load average %.2f", STR_ARG(id), load);
        }
        return QUEUE_ONLY;
    }
    return how;
}

void queue_hand_over(const struct config *conf, struct str id, enum queue_how how)
{
    how = decide(conf, id, how);
    bool local = how == QUEUE_SMTP_ONLY;
    unsigned flags = DELIVER_FIRST | (local ? DELIVER_LOCAL_ONLY : 0);
    if (how == QUEUE_ONLY) {
        return;
    }
    if (how == QUEUE_FOREGROUND) {
        queue_deliver(conf, id, flags);
    } else if (!tell_pool(conf, id, local ? 'L' : 'D')) {
        deliver_in_child(conf, id, flags);
    }
}

void queue_pending(const struct config *conf, struct str id, unsigned flags)
{
    if (!tell_pool(conf, id, flags & DELIVER_LOCAL_ONLY ? 'L' : 'D')) {
        queue_deliver(conf, id, flags);
    }
}

/* Delivers what a datagram asks for. */
static void serve(const struct config *conf, struct str text, const struct queue_hooks *hooks)
{
    if (text.len < 2 || !message_id_valid(str_from(text, 1))) {
        return;
    }
    if (hooks && hooks->state) {
        hooks->state(hooks->closure, true);
    }
    queue_deliver(conf, str_from(text, 1),
                  DELIVER_FIRST | (text.p[0] == 'L' ? DELIVER_LOCAL_ONLY : 0));
    if (hooks && hooks->state) {
        hooks->state(hooks->closure, false);
    }
}

void queue_worker(const struct config *conf, int fd, volatile const int *stop,
                  const struct queue_hooks *hooks)
{
    char text[DATAGRAM_MAX];
    struct timeval wait = {WAKE_SECONDS, 0};
    int64_t since = time_monotonic_ms(), idle = hooks ? hooks->idle_ms : -1;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    while (!*stop) {
        ssize_t n = recv(fd, text, sizeof text, 0);
        if (n >= 0) {
            serve(conf, str_n(text, (size_t)n), hooks);
            since = idle >= 0 ? time_monotonic_ms() : 0;
        } else if (errno == EAGAIN || errno == EINTR) {
            if (idle >= 0 && time_monotonic_ms() - since >= idle) {
                return;
            }
        } else {
            log_write(LOG_MAIN | LOG_PANIC, "delivery pool: %s", strerror(errno));
            return;
        }
    }
}
