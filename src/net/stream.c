/*
 * Buffered byte streams with deadlines.
 *
 * A stream is two buffers over a set of functions that move bytes (stream_ops); the functions of
 * a plain socket are here, those of a filter are put over them by stream_push(). The stream lives
 * in the pool it was made from and owns its descriptors. Every wait for the peer is bounded by the
 * timeout set last; a wait that runs out is errno ETIMEDOUT. After a failure writing is refused
 * and reading gives STREAM_ERROR, so a caller may look at the end of a conversation only.
 *
 * Descriptors stay in blocking mode. A socket's reads are bounded by SO_RCVTIMEO and its writes use
 * MSG_DONTWAIT; other descriptors are read and written where poll(2) says that they will not block.
 */
#include "net/net.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SMALL = 1024, LARGE = 16384 };

struct plain {
    int in, out;
    bool in_is_socket, out_is_socket;
    int bound_ms;                  /* SO_RCVTIMEO as we set it; 0: not at all */
    volatile const int *interrupt; /* see stream_interrupt() */
};

struct stream {
    const struct stream_ops *ops;
    void *ctx;
    struct plain plain;
    int timeout_ms;
    int error; /* errno of the last failure */
    bool eof, failed;
    struct pool *pool;
    size_t want; /* size of the buffers that are to be */
    size_t in_size, out_size;
    size_t in_at, in_end, out_len;
    char *in_buf, *out_buf;
};

/* Waits until fd is ready; false with errno (ETIMEDOUT). A negative timeout waits for ever. */
static bool wait_ready(int fd, short events, int64_t deadline, volatile const int *interrupt)
{
    for (;;) {
        int64_t left = deadline < 0 ? -1 : deadline - time_monotonic_ms();
        struct pollfd p = {.fd = fd, .events = events};
        if (deadline >= 0 && left < 0) {
            left = 0;
        }
        int n = poll(&p, 1, (int)left);
        if (n > 0) {
            return true;
        }
        if (n == 0) {
            errno = ETIMEDOUT;
            return false;
        }
        if (errno != EINTR || (interrupt && *interrupt)) {
            return false;
        }
    }
}

static int64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? -1 : time_monotonic_ms() + timeout_ms;
}

/* Has the kernel bound reads of a socket; false if it does not. */
static bool bound_reads(struct plain *s, int timeout_ms)
{
    if (timeout_ms != s->bound_ms) {
        const struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
        if (setsockopt(s->in, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) < 0) {
            return false;
        }
        s->bound_ms = timeout_ms;
    }
    return true;
}

/* A socket's read is one call; poll(2) is for what cannot be bounded, and for what is left of a wait. */
static ssize_t plain_read(void *ctx, char *p, size_t n, int timeout_ms)
{
    struct plain *s = ctx;
    int64_t deadline = deadline_of(timeout_ms);
    bool wait =
        timeout_ms >= 0 && !(s->in_is_socket && timeout_ms > 0 && bound_reads(s, timeout_ms));
    for (;;) {
        if (wait && !wait_ready(s->in, POLLIN, deadline, s->interrupt)) {
            return -1;
        }
        ssize_t got = read(s->in, p, n);
        bool again = errno == EAGAIN || (errno == EINTR && !(s->interrupt && *s->interrupt));
        if (got >= 0 || !again) {
            return got;
        }
        wait = true;
    }
}

static ssize_t plain_write(void *ctx, const char *p, size_t n, int timeout_ms)
{
    const struct plain *s = ctx;
    int64_t deadline = deadline_of(timeout_ms);
    for (;;) {
        ssize_t put;
        if (s->out_is_socket) {
            put = send(s->out, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        } else if (timeout_ms >= 0 && !wait_ready(s->out, POLLOUT, deadline, NULL)) {
            return -1;
        } else {
            /* a pipe that is ready takes PIPE_BUF bytes without blocking */
            put = write(s->out, p, timeout_ms < 0 || n < 512 ? n : 512);
        }
        if (put >= 0 || (errno != EINTR && errno != EAGAIN)) {
            return put;
        }
        if (errno == EAGAIN && !wait_ready(s->out, POLLOUT, deadline, NULL)) {
            return -1;
        }
    }
}

static bool plain_readable(void *ctx)
{
    const struct plain *s = ctx;
    struct pollfd p = {.fd = s->in, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static void plain_close(void *ctx)
{
    struct plain *s = ctx;
    if (s->in >= 0) {
        close(s->in);
    }
    if (s->out >= 0 && s->out != s->in) {
        close(s->out);
    }
    s->in = s->out = -1;
}

static const struct stream_ops plain_ops = {plain_read, plain_write, plain_readable, plain_close};

static bool is_socket(int fd)
{
    int type;
    socklen_t len = sizeof type;
    return fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0;
}

struct stream *stream_new(struct pool *pool, int in_fd, int out_fd)
{
    struct stream *s = POOL_NEW(pool, struct stream);
    bool in_socket = is_socket(in_fd);
    s->plain = (struct plain){
        in_fd, out_fd, in_socket, in_fd == out_fd ? in_socket : is_socket(out_fd), 0, NULL};
    s->ops = &plain_ops;
    s->ctx = &s->plain;
    s->timeout_ms = -1;
    s->pool = pool;
    s->want = LARGE;
    return s;
}

struct stream *stream_new_small(struct pool *pool, int in_fd, int out_fd)
{
    struct stream *s = stream_new(pool, in_fd, out_fd);
    s->want = SMALL;
    return s;
}

void stream_bulk(struct stream *s)
{
    s->want = LARGE;
}

/* Sees to buffers of the size wanted: that for input when it is empty. */
static void in_buffer(struct stream *s)
{
    if (s->in_size < s->want && s->in_at == s->in_end) {
        s->in_buf = pool_alloc(s->pool, s->want);
        s->in_size = s->want;
    }
}

static void out_buffer(struct stream *s)
{
    if (s->out_size < s->want) {
        char *p = pool_alloc(s->pool, s->want);
        if (s->out_len) {
            memcpy(p, s->out_buf, s->out_len);
        }
        s->out_buf = p;
        s->out_size = s->want;
    }
}

void stream_timeout(struct stream *s, int seconds)
{
    s->timeout_ms = seconds <= 0 ? -1 : seconds > 2000000 ? 2000000000 : seconds * 1000;
}

void stream_interrupt(struct stream *s, volatile const int *flag)
{
    s->plain.interrupt = flag;
}

/* One byte of room is left before the data, so that stream_ungetc() always has a place. */
static bool fill(struct stream *s)
{
    if (s->eof || s->failed) {
        return false;
    }
    in_buffer(s);
    ssize_t n = s->ops->read(s->ctx, s->in_buf + 1, s->in_size - 1, s->timeout_ms);
    if (n <= 0) {
        s->error = n < 0 ? errno : 0;
        s->eof = n == 0;
        s->failed = n < 0 && s->error != EINTR;
        return false;
    }
    s->in_at = 1;
    s->in_end = 1 + (size_t)n;
    if (s->in_end == s->in_size) {
        s->want = LARGE; /* there is more than talk */
    }
    return true;
}

int stream_getc(struct stream *s)
{
    if (s->in_at == s->in_end && !fill(s)) {
        return s->eof ? STREAM_EOF : STREAM_ERROR;
    }
    return (unsigned char)s->in_buf[s->in_at++];
}

void stream_ungetc(struct stream *s, int c)
{
    if (c < 0) {
        return;
    }
    in_buffer(s);
    if (s->in_at == 0) {
        if (s->in_end != 0) {
            BUG("no room to put a byte back");
        }
        s->in_at = s->in_end = 1;
    }
    s->in_buf[--s->in_at] = (char)c;
}

bool stream_peek(struct stream *s, const char **p, size_t *n)
{
    if (s->in_at == s->in_end && !fill(s)) {
        return false;
    }
    *p = s->in_buf + s->in_at;
    *n = s->in_end - s->in_at;
    return true;
}

void stream_consume(struct stream *s, size_t n)
{
    if (n > s->in_end - s->in_at) {
        BUG("%zu bytes taken of %zu", n, s->in_end - s->in_at);
    }
    s->in_at += n;
}

bool stream_pending(struct stream *s)
{
    return s->in_at < s->in_end || (!s->eof && !s->failed && s->ops->readable(s->ctx));
}

bool stream_buffered(const struct stream *s)
{
    return s->in_at < s->in_end;
}

int stream_error(const struct stream *s)
{
    return s->error;
}

static bool write_out(struct stream *s, const char *p, size_t n)
{
    while (n && !s->failed) {
        ssize_t put = s->ops->write(s->ctx, p, n, s->timeout_ms);
        if (put < 0) {
            s->error = errno;
            s->failed = true;
        } else {
            p += put;
            n -= (size_t)put;
        }
    }
    return !s->failed;
}

bool stream_flush(struct stream *s)
{
    size_t n = s->out_len;
    s->out_len = 0;
    return n ? write_out(s, s->out_buf, n) : !s->failed;
}

bool stream_write(struct stream *s, const char *p, size_t n)
{
    if (n > s->out_size - s->out_len) {
        s->want = s->out_size ? LARGE : s->want;
        out_buffer(s);
    }
    if (n > s->out_size - s->out_len && !stream_flush(s)) {
        return false;
    }
    if (n >= s->out_size) {
        return write_out(s, p, n);
    }
    if (n) {
        memcpy(s->out_buf + s->out_len, p, n);
        s->out_len += n;
    }
    return !s->failed;
}

bool stream_puts(struct stream *s, struct str text)
{
    return stream_write(s, text.p, text.len);
}

int stream_fd(const struct stream *s)
{
    return s->plain.in;
}

bool stream_push(struct stream *s, const struct stream_ops *ops, void *ctx)
{
    if (!stream_flush(s)) {
        return false;
    }
    /* What came in before the filter must not count as having come through it. */
    s->in_at = s->in_end = 0;
    s->ops = ops;
    s->ctx = ctx;
    return true;
}

void stream_under(const struct stream *s, const struct stream_ops **ops, void **ctx)
{
    *ops = s->ops;
    *ctx = s->ctx;
}

void stream_close(struct stream **s)
{
    if (*s) {
        stream_flush(*s);
        (*s)->ops->close((*s)->ctx);
        if ((*s)->ops != &plain_ops) {
            plain_close(&(*s)->plain);
        }
        *s = NULL;
    }
}
