/*
 * Connecting and listening sockets.
 *
 * Every descriptor handed out is close-on-exec and belongs to the caller. Failures are -1 with
 * errno; running out of time is ETIMEDOUT. Unix socket paths must be untainted, as any file name.
 */
#include "net/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Room for either family; len is what the system calls want to know. */
struct sock_addr {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } u;
    socklen_t len;
};

static struct sock_addr to_sock(const struct ip *ip, int port)
{
    struct sock_addr a = {0};
    if (ip->family == AF_INET) {
        a.u.v4.sin_family = AF_INET;
        a.u.v4.sin_port = htons((uint16_t)port);
        memcpy(&a.u.v4.sin_addr, ip->b, 4);
        a.len = sizeof a.u.v4;
    } else {
        a.u.v6.sin6_family = AF_INET6;
        a.u.v6.sin6_port = htons((uint16_t)port);
        memcpy(&a.u.v6.sin6_addr, ip->b, 16);
        a.len = sizeof a.u.v6;
    }
    return a;
}

static bool to_unix(struct str path, struct sock_addr *a)
{
    *a = (struct sock_addr){.len = sizeof a->u.un};
    if (path.tainted || path.len >= sizeof a->u.un.sun_path || str_chr(path, '\0') >= 0) {
        errno = path.tainted ? EPERM : EINVAL;
        return false;
    }
    a->u.un.sun_family = AF_UNIX;
    memcpy(a->u.un.sun_path, path.p, path.len);
    return true;
}

/* Waits for a connection under way; false with errno. */
static bool wait_connected(int fd, int64_t deadline)
{
    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - time_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        int n = poll(&p, 1, (int)(deadline >= 0 && left < 0 ? 0 : left));
        if (n == 0) {
            errno = ETIMEDOUT;
            return false;
        }
        if (n > 0) {
            int error = 0;
            socklen_t len = sizeof error;
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
            errno = error;
            return error == 0;
        }
        if (errno != EINTR) {
            return false;
        }
    }
}

static bool connect_fd(int fd, const struct sock_addr *to, int timeout, bool fast)
{
    int64_t deadline = timeout > 0 ? time_monotonic_ms() + (int64_t)timeout * 1000 : -1;
    if (fd_nonblock(fd, true) < 0) {
        return false;
    }
    if (connect(fd, &to->u.any, to->len) < 0) {
        if ((errno != EINPROGRESS && errno != EINTR) || !wait_connected(fd, deadline)) {
            return false;
        }
    } else if (fast) {
        /* with a cookie the kernel holds the SYN back for data; the server speaks first: none */
        ssize_t put = send(fd, "", 0, MSG_NOSIGNAL);
        if ((put < 0 && errno != EINPROGRESS) || !wait_connected(fd, deadline)) {
            return false;
        }
    }
    return fd_nonblock(fd, false) == 0;
}

static bool bind_from(int fd, struct str interface, int family)
{
    struct ip ip;
    if (str_empty(interface)) {
        return true;
    }
    if (!ip_parse(interface, &ip) || ip.family != family) {
        errno = EADDRNOTAVAIL;
        return false;
    }
    struct sock_addr a = to_sock(&ip, 0);
    return bind(fd, &a.u.any, a.len) == 0;
}

/* The descriptor if ok, else -1; a failed one is closed with errno kept. */
static int result(int fd, bool ok)
{
    if (!ok) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static void set_option(int fd, int level, int name)
{
    const int on = 1;
    setsockopt(fd, level, name, &on, sizeof on);
}

int net_connect(struct str interface, struct str address, int port, int timeout, unsigned how)
{
    struct sock_addr to;
    struct ip ip = {0};
    if (str_starts(address, "/")) {
        if (!to_unix(address, &to)) {
            return -1;
        }
    } else if (ip_parse(address, &ip)) {
        to = to_sock(&ip, port);
    } else {
        errno = EINVAL;
        return -1;
    }
    int fd = socket(to.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    if (ip.family) {
        /* Replies and commands are flushed as a whole, so waiting to gather more only delays. */
        set_option(fd, IPPROTO_TCP, TCP_NODELAY);
        if (how & NET_KEEPALIVE) {
            set_option(fd, SOL_SOCKET, SO_KEEPALIVE);
        }
        if (how & NET_FASTOPEN) {
            set_option(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT);
        }
        if (!bind_from(fd, interface, ip.family)) {
            return result(fd, false);
        }
    }
    return result(fd, connect_fd(fd, &to, timeout, how & NET_FASTOPEN && ip.family));
}

int net_listen(const struct ip *ip, int port, int backlog)
{
    struct sock_addr a = to_sock(ip, port);
    int fd = socket(ip->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    set_option(fd, SOL_SOCKET, SO_REUSEADDR);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY);
    if (ip->family == AF_INET6) {
        set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    }
    return result(fd, bind(fd, &a.u.any, a.len) == 0 && listen(fd, backlog) == 0);
}

/* The address of a TCP socket; an IPv4 one in IPv6's clothes is what it is. False: not of TCP. */
static bool from_sock(const struct sock_addr *a, struct ip *ip, int *port)
{
    *ip = (struct ip){.family = a->u.any.sa_family};
    if (ip->family == AF_INET) {
        memcpy(ip->b, &a->u.v4.sin_addr, 4);
        *port = ntohs(a->u.v4.sin_port);
    } else if (ip->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a->u.v6.sin6_addr)) {
        ip->family = AF_INET;
        memcpy(ip->b, a->u.v6.sin6_addr.s6_addr + 12, 4);
        *port = ntohs(a->u.v6.sin6_port);
    } else if (ip->family == AF_INET6) {
        memcpy(ip->b, &a->u.v6.sin6_addr, 16);
        *port = ntohs(a->u.v6.sin6_port);
    } else {
        return false;
    }
    return true;
}

int net_accept(int listener, struct ip *peer)
{
    struct sock_addr a = {.len = sizeof a.u};
    int port, fd = accept4(listener, &a.u.any, &a.len, SOCK_CLOEXEC);
    if (fd < 0 || !from_sock(&a, peer, &port)) {
        *peer = (struct ip){0};
    }
    return fd;
}

bool net_sock_name(struct pool *pool, int fd, bool peer, struct str *addr, int *port)
{
    struct sock_addr a = {.len = sizeof a.u};
    struct ip ip;
    int r = peer ? getpeername(fd, &a.u.any, &a.len) : getsockname(fd, &a.u.any, &a.len);
    if (r < 0 || !from_sock(&a, &ip, port)) {
        return false;
    }
    *addr = ip_text(pool, &ip);
    return true;
}
