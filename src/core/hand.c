/*
 * The privileged hand (hand.h): the resident process, one server process for each worker, and the
 * workers' way to them.
 *
 * A worker makes a socket pair and sends one end to the resident process, which forks a server for
 * it; the server lives as long as the worker keeps its end. Requests and replies are single packets;
 * what does not fit travels in a memory file. All is single-threaded, so changing the effective
 * identity between two system calls is safe.
 */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INLINE_MAX = 64 * 1024, BODY_MAX = 256 * 1024 * 1024 };

static struct {
    int control; /* to the resident process */
    int line;    /* to our server */
    pid_t owner; /* the process that `line` belongs to */
    uid_t uid;   /* what identity_restore() goes back to */
    gid_t gid;
} process = {.control = -1, .line = -1};

/* What precedes each packet's body. */
struct head {
    char op;
    bool has_fd, in_file;
    int error;
    uint64_t len;
};

/* ---- packets ---- */

static ssize_t send_packet(int sock, struct iovec *v, int n, const int *fds, int fd_count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)n};
    if (fd_count) {
        memset(&control, 0, sizeof control);
        m.msg_control = control.space;
        m.msg_controllen = CMSG_SPACE((size_t)fd_count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN((size_t)fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, (size_t)fd_count * sizeof(int));
    }
    ssize_t put;
    do {
        put = sendmsg(sock, &m, MSG_NOSIGNAL);
    } while (put < 0 && errno == EINTR);
    return put;
}

static ssize_t receive_packet(int sock, struct iovec *v, int n, int fds[2], int *fd_count)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = v,
                       .msg_iovlen = (size_t)n,
                       .msg_control = control.space,
                       .msg_controllen = sizeof control.space};
    ssize_t got;
    *fd_count = 0;
    do {
        got = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    struct cmsghdr *c = got >= 0 ? CMSG_FIRSTHDR(&m) : NULL;
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        *fd_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(c), (size_t)*fd_count * sizeof(int));
    }
    return got;
}

/* A memory file with the body, for what a packet cannot hold; -1 with errno. */
static int body_file(struct str body)
{
    int fd = memfd_create("plan", MFD_CLOEXEC);
    if (fd >= 0 && write_all(fd, body.p, body.len) < 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

static bool send_message(int sock, char op, const struct hand_message *msg)
{
    struct head h = {.op = op, .has_fd = msg->fd >= 0, .len = msg->body.len};
    int fds[2], n = 0;
    h.in_file = msg->body.len > INLINE_MAX;
    if (h.in_file && (fds[n++] = body_file(msg->body)) < 0) {
        return false;
    }
    if (h.has_fd) {
        fds[n++] = msg->fd;
    }
    struct iovec v[2] = {{&h, sizeof h},
                         {(void *)(uintptr_t)msg->body.p, h.in_file ? 0 : msg->body.len}};
    bool ok = send_packet(sock, v, 2, fds, n) >= 0;
    if (h.in_file) {
        int e = errno;
        close(fds[0]);
        errno = e;
    }
    return ok;
}

static bool read_body_file(struct pool *pool, int fd, uint64_t len, struct str *body)
{
    if (len > BODY_MAX) {
        errno = EMSGSIZE;
        return false;
    }
    char *p = pool_alloc(pool, (size_t)len + 1);
    for (uint64_t at = 0; at < len;) {
        ssize_t n = pread(fd, p + at, (size_t)(len - at), (off_t)at);
        if (n <= 0) {
            errno = n ? errno : EPROTO;
            return false;
        }
        at += (uint64_t)n;
    }
    p[len] = '\0';
    *body = str_n(p, (size_t)len);
    return true;
}

/* 1: a message, 0: the other side has gone, -1 with errno. The body lives in the pool. */
static int receive_message(int sock, struct pool *pool, char *op, struct hand_message *out)
{
    struct head h = {0};
    int fds[2], n, next = 0, result = 1;
    char *room = pool_alloc(pool, INLINE_MAX + 1);
    struct iovec v[2] = {{&h, sizeof h}, {room, INLINE_MAX}};
    ssize_t got = receive_packet(sock, v, 2, fds, &n);
    *out = (struct hand_message){STR(""), -1};
    if (got <= 0) {
        return got < 0 ? -1 : 0;
    }
    *op = h.op;
    if ((size_t)got < sizeof h || (int)h.has_fd + (int)h.in_file != n) {
        errno = EPROTO;
        result = -1;
    } else if (h.in_file) {
        result = read_body_file(pool, fds[next], h.len, &out->body) ? 1 : -1;
        close(fds[next++]);
    } else {
        out->body = str_n(room, (size_t)got - sizeof h);
    }
    if (result > 0 && h.has_fd) {
        out->fd = fds[next++];
    }
    while (next < n) {
        close(fds[next++]);
    }
    return result;
}

/* ---- the resident process ---- */

/* Serves one worker until it goes away. */
_Noreturn static void serve(const struct config *conf, const struct hand_op *const *ops, int line)
{
    struct pool *pool = pool_new("hand");
    signal(SIGCHLD, SIG_DFL);
    bool sent = true;
    for (char op; sent; pool_clear(pool)) {
        struct hand_message request, reply = {STR(""), -1};
        if (receive_message(line, pool, &op, &request) <= 0) {
            break;
        }
        const struct hand_op *const *o = ops;
        while (*o && (*o)->op != op) {
            o++;
        }
        if (*o) {
            (*o)->serve(conf, pool, &request, &reply);
        }
        if (request.fd >= 0) {
            close(request.fd);
        }
        sent = send_message(line, op, &reply);
        if (reply.fd >= 0) {
            close(reply.fd);
        }
    }
    pool_free(&pool);
    child_end(0);
}

/* Takes workers' lines and gives each a server; ends with the last worker. */
_Noreturn static void reside(const struct config *conf, const struct hand_op *const *ops,
                             int control)
{
    static const int quiet[] = {SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGALRM, SIGPIPE};
    for (size_t i = 0; i < ARRAY_LEN(quiet); i++) {
        signal(quiet[i], SIG_IGN);
    }
    signal(SIGTERM, SIG_IGN); /* workers finish what they have in hand; then we see the end */
    signal(SIGCHLD, SIG_IGN);
    for (;;) {
        char c;
        struct iovec v = {&c, 1};
        int fds[2], n;
        ssize_t got = receive_packet(control, &v, 1, fds, &n);
        if (got <= 0) {
            child_end(0);
        }
        if (n == 1 && fork() == 0) {
            close(control);
            serve(conf, ops, fds[0]);
        }
        for (int i = 0; i < n; i++) {
            close(fds[i]);
        }
    }
}

int hand_fork(const struct config *conf, const struct hand_op *const *ops)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(pair[0]);
        reside(conf, ops, pair[1]);
    }
    close(pair[1]);
    if (pid < 0) {
        int e = errno;
        close(pair[0]);
        errno = e;
        return -1;
    }
    return pair[0];
}

/* ---- the workers' side ---- */

void hand_set(int fd)
{
    process.control = fd;
    process.line = -1;
}

bool hand_available(void)
{
    return process.control >= 0;
}

/* This process's line to a server of its own, opened on first use. */
static int own_line(void)
{
    int pair[2];
    char c = 'w';
    struct iovec v = {&c, 1};
    if (process.line >= 0 && process.owner == getpid()) {
        return process.line;
    }
    if (process.line >= 0) {
        close(process.line); /* our parent's */
        process.line = -1;
    }
    if (process.control < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        return -1;
    }
    if (send_packet(process.control, &v, 1, &pair[1], 1) < 0) {
        close(pair[0]);
        pair[0] = -1;
    }
    close(pair[1]);
    process.line = pair[0];
    process.owner = getpid();
    return process.line;
}

bool hand_call(struct pool *pool, char op, const struct hand_message *request,
               struct hand_message *reply)
{
    int line = own_line();
    if (line < 0 || !send_message(line, op, request)) {
        return false;
    }
    int got = receive_message(line, pool, &op, reply);
    if (got <= 0) {
        int e = got == 0 ? EPIPE : errno;
        close(line);
        process.line = -1;
        errno = e;
        return false;
    }
    return true;
}

/* ---- identity ---- */

bool identity_allowed(const struct config *conf, uint32_t uid)
{
    const struct core_settings *s = core_settings(conf);
    for (size_t i = 0; i < s->never_users.n; i++) {
        if (s->never_users.ids[i] == uid) {
            return false;
        }
    }
    return uid != 0;
}

bool identity_take(const struct identity *who)
{
    process.uid = geteuid();
    process.gid = getegid();
    if (process.uid == who->uid) {
        return true;
    }
    /* a process of root's works as another user between the things that need root */
    if (process.uid != 0 && seteuid(0) < 0) {
        errno = EPERM;
        return false;
    }
    const gid_t only = who->gid;
    int groups = who->initgroups ? initgroups(who->initgroups, who->gid) : setgroups(1, &only);
    if (groups < 0 || setegid(who->gid) < 0 || seteuid(who->uid) < 0) {
        int e = errno;
        identity_restore();
        errno = e;
        return false;
    }
    return true;
}

void identity_restore(void)
{
    const gid_t root = 0;
    if (geteuid() == process.uid && getegid() == process.gid) {
        return;
    }
    if (seteuid(0) < 0 || setgroups(1, &root) < 0 || setegid(process.gid) < 0 ||
        seteuid(process.uid) < 0) {
        BUG("cannot get the identity back: errno %d", errno);
    }
}
