/* Streams over a socket pair: buffering, end of file, deadlines, filters. */
#include "unit/unit.h"

#include "net/net.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

TEST(stream_reads_and_writes)
{
    int fd[2];
    char c[3];
    const char *p;
    size_t n;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    struct stream *s = stream_new(unit_pool(), fd[0], fd[0]);
    stream_timeout(s, 5);
    CHECK(!stream_pending(s));
    CHECK(write(fd[1], "abc", 3) == 3);
    CHECK(stream_pending(s));
    CHECK(stream_getc(s) == 'a');
    stream_ungetc(s, 'a');
    CHECK(stream_peek(s, &p, &n) && n == 3 && memcmp(p, "abc", 3) == 0);
    stream_consume(s, 3);
    CHECK(stream_puts(s, STR("xy")) && stream_write(s, "z", 1) && stream_flush(s));
    CHECK(read(fd[1], c, sizeof c) == 3 && memcmp(c, "xyz", 3) == 0);
    close(fd[1]);
    CHECK(stream_getc(s) == STREAM_EOF && stream_error(s) == 0);
    CHECK(stream_getc(s) == STREAM_EOF);
    stream_puts(s, STR("gone"));
    CHECK(!stream_flush(s) && stream_error(s) == EPIPE);
    stream_close(&s);
    CHECK(s == NULL);
}

TEST(stream_times_out)
{
    int fd[2];
    char c;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    struct stream *s = stream_new(unit_pool(), fd[0], fd[0]);
    stream_timeout(s, 1);
    int64_t start = time_monotonic_ms();
    CHECK(stream_getc(s) == STREAM_ERROR && stream_error(s) == ETIMEDOUT);
    int64_t took = time_monotonic_ms() - start;
    CHECK(took >= 990 && took < 3000);
    CHECK(stream_getc(s) == STREAM_ERROR);
    CHECK(!stream_pending(s));
    stream_close(&s);
    CHECK(read(fd[1], &c, 1) == 0);
    close(fd[1]);
}

/* A peer that does not read must not hold a writer for longer than the timeout. */
TEST(stream_write_times_out)
{
    int fd[2];
    static char block[1 << 20];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    struct stream *s = stream_new(unit_pool(), fd[0], fd[0]);
    stream_timeout(s, 1);
    bool ok = true;
    for (int i = 0; ok && i < 16; i++) {
        ok = stream_write(s, block, sizeof block);
    }
    CHECK(!ok && stream_error(s) == ETIMEDOUT);
    stream_close(&s);
    close(fd[1]);
}

/* A filter that turns letters to upper case on both ways. */
struct upper {
    int fd;
};

static void raise(char *p, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        p[i] = p[i] >= 'a' && p[i] <= 'z' ? (char)(p[i] - 32) : p[i];
    }
}

static ssize_t upper_read(void *ctx, char *p, size_t n, int timeout_ms)
{
    (void)timeout_ms;
    ssize_t got = read(((struct upper *)ctx)->fd, p, n);
    raise(p, got);
    return got;
}

static ssize_t upper_write(void *ctx, const char *p, size_t n, int timeout_ms)
{
    char copy[16];
    (void)timeout_ms;
    n = n < sizeof copy ? n : sizeof copy;
    memcpy(copy, p, n);
    raise(copy, (ssize_t)n);
    return write(((struct upper *)ctx)->fd, copy, n);
}

static bool upper_readable(void *ctx)
{
    (void)ctx;
    return false;
}

static void upper_close(void *ctx)
{
    close(((struct upper *)ctx)->fd);
    ((struct upper *)ctx)->fd = -1;
}

TEST(stream_filters)
{
    static const struct stream_ops ops = {upper_read, upper_write, upper_readable, upper_close};
    int fd[2];
    char got[64];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
    struct stream *s = stream_new(unit_pool(), fd[0], fd[0]);
    struct upper u = {dup(fd[0])};
    stream_puts(s, STR("plain "));
    CHECK(write(fd[1], "injected", 8) == 8 && stream_getc(s) == 'i');
    CHECK(stream_push(s, &ops, &u));
    CHECK(write(fd[1], "q", 1) == 1 && stream_getc(s) == 'Q');
    stream_puts(s, STR("a text of more than one block"));
    CHECK(stream_flush(s));
    ssize_t n = recv(fd[1], got, sizeof got, MSG_WAITALL | MSG_DONTWAIT);
    CHECK(n > 0);
    CHECK_STR(str_n(got, (size_t)n), "plain A TEXT OF MORE THAN ONE BLOCK");
    stream_close(&s);
    CHECK(u.fd == -1);
    close(fd[1]);
}

TEST(connect_and_listen)
{
    struct ip ip;
    struct str addr = STR_NONE;
    int port = 0, peer_port = 0;
    CHECK(ip_parse(STR("127.0.0.1"), &ip));
    int l = net_listen(&ip, 0, 5);
    CHECK(l >= 0 && net_sock_name(unit_pool(), l, false, &addr, &port));
    CHECK_STR(addr, "127.0.0.1");
    int c = net_connect(STR("127.0.0.1"), STR("127.0.0.1"), port, 5, NET_KEEPALIVE | NET_FASTOPEN);
    CHECK(c >= 0 && net_sock_name(unit_pool(), c, true, &addr, &peer_port) && peer_port == port);
    close(c);
    close(l);
    CHECK(net_connect(STR_NONE, STR("127.0.0.1"), port, 5, 0) < 0 && errno == ECONNREFUSED);
    CHECK(net_connect(STR_NONE, STR("not an address"), port, 5, 0) < 0 && errno == EINVAL);
    CHECK(net_connect(STR_NONE, str_taint(STR("/tmp/socket")), 0, 5, 0) < 0 && errno == EPERM);
}
