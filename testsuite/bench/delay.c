/*
 * delay - a link with a delay: a relay between TCP connections on loopback.
 *
 *   delay MILLISECONDS PORT TARGET
 *
 * Listens on 127.0.0.1:PORT and passes each connection on to 127.0.0.1:TARGET.
 * What either side sends arrives MILLISECONDS later, one way, in order; so does
 * its end. A connection reaches the target three delays after it was made, as a
 * TCP handshake over such a link would have it: the greeting is there after two
 * round trips. At most 128 connections and 256 KiB on the way in each direction:
 * what is more waits in the kernel. Runs until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINKS = 128, CHUNKS = 64, CHUNK = 4096 };

/* Some bytes on the way; len 0 is the end of the stream. */
struct chunk {
    int64_t due_us;
    size_t len, sent;
    char text[CHUNK];
};

/* One direction: a ring of chunks. */
struct way {
    struct chunk ring[CHUNKS];
    unsigned first, used;
    bool ended; /* the end was read, or passed on with an error */
};

/* Side 0 called us, side 1 is the target; way[i] is what side i sent. */
struct link {
    bool used;
    int fd[2];
    int64_t connect_us;
    struct way way[2];
};

static struct link links[LINKS];

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void prepare(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static void drop(struct link *l)
{
    for (int i = 0; i < 2; i++)
        if (l->fd[i] >= 0)
            close(l->fd[i]);
    l->used = false;
}

static void accept_one(int listening, int64_t delay_us)
{
    struct link *l = links;
    while (l < links + LINKS && l->used)
        l++;
    if (l == links + LINKS)
        return;
    int fd = accept(listening, NULL, NULL);
    if (fd < 0)
        return;
    prepare(fd);
    l->used = true;
    l->fd[0] = fd;
    l->fd[1] = -1;
    l->connect_us = now_us() + 3 * delay_us;
    for (int i = 0; i < 2; i++) {
        l->way[i].first = l->way[i].used = 0;
        l->way[i].ended = false;
    }
}

static bool reach_target(struct link *l, int port)
{
    struct sockaddr_in to = loopback(port);
    l->fd[1] = socket(AF_INET, SOCK_STREAM, 0);
    if (l->fd[1] < 0 || connect(l->fd[1], (struct sockaddr *)&to, sizeof to) != 0)
        return false;
    prepare(l->fd[1]);
    return true;
}

/* Takes what side I has sent, as far as there is room; false: the connection is lost. */
static bool take(struct link *l, int i, int64_t delay_us)
{
    struct way *w = &l->way[i];
    while (!w->ended && w->used < CHUNKS) {
        struct chunk *c = &w->ring[(w->first + w->used) % CHUNKS];
        ssize_t n = read(l->fd[i], c->text, CHUNK);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->due_us = now_us() + delay_us;
        c->len = (size_t)n;
        c->sent = 0;
        w->used++;
        w->ended = n == 0;
    }
    return true;
}

/* Hands side I's chunks that are due to the other side; false: the connection is lost. */
static bool give(struct link *l, int i, int64_t now)
{
    struct way *w = &l->way[i];
    int to = l->fd[1 - i];
    while (to >= 0 && w->used > 0 && w->ring[w->first].due_us <= now) {
        struct chunk *c = &w->ring[w->first];
        if (c->len == 0) {
            shutdown(to, SHUT_WR);
        } else {
            ssize_t n = write(to, c->text + c->sent, c->len - c->sent);
            if (n < 0)
                return errno == EAGAIN || errno == EINTR;
            c->sent += (size_t)n;
            if (c->sent < c->len)
                return true;
        }
        w->first = (w->first + 1) % CHUNKS;
        w->used--;
    }
    return true;
}

/* Whether side I waits for its peer to read: its oldest chunk is overdue. */
static bool blocked(const struct link *l, int i, int64_t now)
{
    const struct way *w = &l->way[i];
    return l->fd[1 - i] >= 0 && w->used > 0 && w->ring[w->first].due_us <= now;
}

/* When something is to be done next for this link; INT64_MAX: not before something arrives. */
static int64_t next_us(const struct link *l, int64_t now)
{
    int64_t next = l->fd[1] < 0 ? l->connect_us : INT64_MAX;
    for (int i = 0; i < 2; i++) {
        const struct way *w = &l->way[i];
        if (l->fd[1] >= 0 && w->used > 0 && !blocked(l, i, now) && w->ring[w->first].due_us < next)
            next = w->ring[w->first].due_us;
    }
    return next;
}

/* Everything that can be done for the link now. */
static void serve(struct link *l, int64_t delay_us, int target)
{
    bool alive = true;
    if (l->fd[1] < 0 && now_us() >= l->connect_us)
        alive = reach_target(l, target);
    for (int i = 0; alive && i < 2; i++)
        alive = (l->fd[i] < 0 || take(l, i, delay_us)) && give(l, i, now_us());
    bool over = l->way[0].ended && l->way[1].ended && l->way[0].used + l->way[1].used == 0;
    if (!alive || over)
        drop(l);
}

/* Fills PF with what to wait for; the number of entries, and in *NEXT when to wake at the latest.
 */
static nfds_t interests(struct pollfd *pf, int listening, int64_t *next)
{
    int64_t now = now_us();
    nfds_t n = 0;
    pf[n++] = (struct pollfd){.fd = listening, .events = POLLIN};
    *next = INT64_MAX;
    for (struct link *l = links; l < links + LINKS; l++) {
        if (!l->used)
            continue;
        int64_t mine = next_us(l, now);
        *next = mine < *next ? mine : *next;
        for (int i = 0; i < 2; i++) {
            short events = (short)((!l->way[i].ended && l->way[i].used < CHUNKS ? POLLIN : 0) |
                                   (blocked(l, 1 - i, now) ? POLLOUT : 0));
            if (l->fd[i] >= 0 && events)
                pf[n++] = (struct pollfd){.fd = l->fd[i], .events = events};
        }
    }
    return n;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fputs("usage: see the head of delay.c\n", stderr);
        return 2;
    }
    int64_t delay_us = strtol(argv[1], NULL, 10) * 1000;
    int target = (int)strtol(argv[3], NULL, 10), one = 1;
    struct sockaddr_in here = loopback((int)strtol(argv[2], NULL, 10));
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listening, (struct sockaddr *)&here, sizeof here) != 0 ||
        listen(listening, 128) != 0) {
        perror("delay");
        return 1;
    }
    fcntl(listening, F_SETFL, O_NONBLOCK);
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct pollfd pf[2 * LINKS + 1];
        int64_t next, now;
        nfds_t n = interests(pf, listening, &next);
        now = now_us();
        int64_t wait = next == INT64_MAX ? -1 : next <= now ? 0 : next - now;
        struct timespec t = {wait / 1000000, wait % 1000000 * 1000};
        ppoll(pf, n, wait < 0 ? NULL : &t, NULL);
        if (pf[0].revents)
            accept_one(listening, delay_us);
        for (struct link *l = links; l < links + LINKS; l++)
            if (l->used)
                serve(l, delay_us, target);
    }
}
