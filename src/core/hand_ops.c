/*
 * What the hand does for more than deliveries: opening a file, and running a command, as a user.
 * Requests are a fixed part and bytes behind it; replies likewise.
 * A request that is malformed, or for rights that nobody may get, is refused; errno travels back
 * to the asker, who owns descriptors that come with a reply.
 */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- opening a file ---- */

struct open_request {
    uint32_t uid, gid;
};

static int open_file(struct str path)
{
    return file_open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK, 0);
}

static int connect_unix(struct str path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    if (path.len >= sizeof to.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(to.sun_path, path.p, path.len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) < 0) {
        int e = errno;
        close(fd);
        errno = e;
        fd = -1;
    }
    return fd;
}

/* Does one of the two as a user. */
static int as_user(int (*what)(struct str path), struct str path, uint32_t uid, uint32_t gid)
{
    struct identity who = {uid, gid, NULL};
    if (!identity_take(&who)) {
        return -1;
    }
    int fd = what(path), e = errno;
    identity_restore();
    errno = e;
    return fd;
}

static void serve_path(const struct config *conf, struct pool *pool, int (*what)(struct str path),
                       const struct hand_message *request, struct hand_message *reply)
{
    struct open_request q;
    int e = EINVAL;
    if (request->body.len > sizeof q) {
        memcpy(&q, request->body.p, sizeof q);
        e = EPERM;
        if (identity_allowed(conf, q.uid)) {
            reply->fd = as_user(what, str_from(request->body, sizeof q), q.uid, q.gid);
            e = reply->fd < 0 ? errno : 0;
        }
    }
    reply->body = str_dup(pool, str_n((const char *)&e, sizeof e));
}

static void serve_open(const struct config *conf, struct pool *pool,
                       const struct hand_message *request, struct hand_message *reply)
{
    serve_path(conf, pool, open_file, request, reply);
}

static void serve_connect(const struct config *conf, struct pool *pool,
                          const struct hand_message *request, struct hand_message *reply)
{
    serve_path(conf, pool, connect_unix, request, reply);
}

const struct hand_op hand_open_op = {'o', serve_open};
const struct hand_op hand_connect_op = {'u', serve_connect};

/* The descriptor of a reply, whose body is an errno; -1 with it. */
static int reply_descriptor(const struct hand_message *reply)
{
    int e = EPROTO;
    if (reply->body.len == sizeof e) {
        memcpy(&e, reply->body.p, sizeof e);
    }
    if (reply->fd < 0) {
        errno = e ? e : EPROTO;
    }
    return reply->fd;
}

static int ask_path(struct pool *pool, char op, int (*what)(struct str path), struct str path,
                    uint32_t uid, uint32_t gid)
{
    struct open_request q = {uid, gid};
    struct hand_message reply,
        request = {STR_CAT(pool, str_n((const char *)&q, sizeof q), path), -1};
    if (path.tainted) {
        errno = EPERM;
        return -1;
    }
    if (!hand_available() || uid == geteuid()) {
        return as_user(what, path, uid, gid);
    }
    return hand_call(pool, op, &request, &reply) ? reply_descriptor(&reply) : -1;
}

int hand_open(struct pool *pool, struct str path, uint32_t uid, uint32_t gid)
{
    return ask_path(pool, 'o', open_file, path, uid, gid);
}

int hand_connect(struct pool *pool, struct str path, uint32_t uid, uint32_t gid)
{
    return ask_path(pool, 'u', connect_unix, path, uid, gid);
}

/* ---- running a command ---- */

struct command_request {
    uint32_t uid, gid;
    int timeout, max_output;
};

struct command_reply {
    int error, status;
    bool timed_out;
};

/* Reads what the command says, until its end or the deadline; false: too late. */
static bool read_output(const struct child *c, struct buf *out, int64_t deadline)
{
    char chunk[512];
    for (;;) {
        int64_t left = deadline - time_monotonic_ms();
        struct pollfd p = {.fd = c->out, .events = POLLIN};
        int ready = poll(&p, 1, left > 0 ? (int)left : 0);
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            return false;
        }
        ssize_t n = ready > 0 ? read(c->out, chunk, sizeof chunk) : 1;
        if (n <= 0) {
            return true;
        }
        if (ready > 0) {
            buf_add(out, chunk, (size_t)n);
        }
    }
}

static void run(struct pool *pool, const struct hand_command *q, struct hand_outcome *o)
{
    struct child_spec spec = {.argv = q->argv,
                              .cwd = str_cstr(pool, q->cwd),
                              .set_ids = geteuid() == 0,
                              .uid = q->uid,
                              .gid = q->gid,
                              .umask = 077,
                              .stdin_fd = -1};
    struct child c;
    struct buf out;
    *o = (struct hand_outcome){.output = STR("")};
    if (geteuid() != 0 && geteuid() != q->uid) {
        o->error = EPERM;
        return;
    }
    if (child_start(&spec, &c) < 0) {
        o->error = errno;
        return;
    }
    close(c.in);
    c.in = -1;
    buf_init(&out, pool, q->max_output > 0 ? (size_t)q->max_output : 1);
    int64_t deadline = time_monotonic_ms() + (int64_t)q->timeout * 1000;
    if (!read_output(&c, &out, deadline)) {
        child_kill(&c);
        o->timed_out = true;
        return;
    }
    int64_t left = deadline - time_monotonic_ms();
    o->timed_out = child_wait(&c, left > 0 ? (int)left : 0, &o->status) < 0;
    o->output = buf_str(&out);
}

/* The strings behind the fixed part: directory, arguments. */
static const char *const *take_strings(struct pool *pool, struct str rest, struct str *cwd)
{
    const char **argv = pool_calloc(pool, (size_t)rest.len + 2, sizeof *argv);
    struct str item;
    size_t n = 0;
    if (!str_next(&rest, '\0', cwd)) {
        return NULL;
    }
    while (rest.len) {
        ptrdiff_t end = str_chr(rest, '\0');
        item = str_sub(rest, 0, end < 0 ? rest.len : (size_t)end);
        rest = str_from(rest, end < 0 ? rest.len : (size_t)end + 1);
        argv[n++] = str_cstr(pool, item);
    }
    return n ? argv : NULL;
}

/* A request's command; false: it is malformed or may not be run. */
static bool take_command(const struct config *conf, struct pool *pool, struct str body,
                         struct hand_command *c, int *error)
{
    struct command_request q;
    *error = EINVAL;
    if (body.len <= sizeof q) {
        return false;
    }
    memcpy(&q, body.p, sizeof q);
    *c = (struct hand_command){
        .uid = q.uid, .gid = q.gid, .timeout = q.timeout, .max_output = q.max_output};
    c->argv = take_strings(pool, str_from(body, sizeof q), &c->cwd);
    *error = EPERM;
    return c->argv && identity_allowed(conf, q.uid);
}

static void serve_command(const struct config *conf, struct pool *pool,
                          const struct hand_message *request, struct hand_message *reply)
{
    struct hand_command c;
    struct hand_outcome o = {.output = STR("")};
    if (take_command(conf, pool, request->body, &c, &o.error)) {
        run(pool, &c, &o);
    }
    struct command_reply r;
    memset(&r, 0, sizeof r); /* the bytes between the fields leave a process of root's */
    r.error = o.error;
    r.status = o.status;
    r.timed_out = o.timed_out;
    reply->body = STR_CAT(pool, str_n((const char *)&r, sizeof r), o.output);
}

const struct hand_op hand_command_op = {'c', serve_command};

static struct str strings(struct pool *pool, const struct hand_command *c)
{
    struct buf b;
    buf_init(&b, pool, 1024 * 1024);
    buf_adds(&b, c->cwd);
    buf_addc(&b, '\0');
    for (size_t i = 0; c->argv[i]; i++) {
        buf_addz(&b, c->argv[i]);
        buf_addc(&b, '\0');
    }
    return buf_str(&b);
}

static struct str command_request(struct pool *pool, const struct hand_command *c)
{
    struct command_request q = {c->uid, c->gid, c->timeout, c->max_output};
    return STR_CAT(pool, str_n((const char *)&q, sizeof q), strings(pool, c));
}

/* True if this process can become the user, or is it. */
static bool can_run(uint32_t uid)
{
    return geteuid() == 0 || geteuid() == uid || !hand_available();
}

void hand_command(struct pool *pool, const struct hand_command *c, struct hand_outcome *o)
{
    struct command_reply r;
    struct hand_message reply, request = {command_request(pool, c), -1};
    if (can_run(c->uid)) {
        run(pool, c, o);
        return;
    }
    *o = (struct hand_outcome){.error = EPROTO, .output = STR("")};
    if (!hand_call(pool, 'c', &request, &reply)) {
        o->error = errno;
    } else if (reply.body.len >= sizeof r) {
        memcpy(&r, reply.body.p, sizeof r);
        *o = (struct hand_outcome){r.error, r.status, r.timed_out, str_from(reply.body, sizeof r)};
    }
}

/* ---- a conversation with a command ---- */

/* Starts the command on a socket pair; our end, or -1 with errno. */
static int start_talk(struct pool *pool, const struct hand_command *q, int *pid)
{
    int pair[2];
    struct child c;
    if (geteuid() != 0 && geteuid() != q->uid) {
        errno = EPERM;
        return -1;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        return -1;
    }
    struct child_spec spec = {.argv = q->argv,
                              .cwd = str_cstr(pool, q->cwd),
                              .set_ids = geteuid() == 0,
                              .uid = q->uid,
                              .gid = q->gid,
                              .umask = 022,
                              .stdin_fd = pair[1],
                              .duplex = true};
    int r = child_start(&spec, &c), e = errno;
    close(pair[1]);
    if (r < 0) {
        close(pair[0]);
        errno = e;
        return -1;
    }
    *pid = c.pid;
    return pair[0];
}

static void serve_talk(const struct config *conf, struct pool *pool,
                       const struct hand_message *request, struct hand_message *reply)
{
    struct hand_command c;
    int e, pid;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    } /* those that earlier requests started */
    if (take_command(conf, pool, request->body, &c, &e)) {
        reply->fd = start_talk(pool, &c, &pid);
        e = reply->fd < 0 ? errno : 0;
    }
    reply->body = str_dup(pool, str_n((const char *)&e, sizeof e));
}

const struct hand_op hand_talk_op = {'t', serve_talk};

int hand_talk(struct pool *pool, const struct hand_command *c, int *pid)
{
    struct hand_message reply, request = {command_request(pool, c), -1};
    *pid = 0;
    if (can_run(c->uid)) {
        return start_talk(pool, c, pid);
    }
    return hand_call(pool, 't', &request, &reply) ? reply_descriptor(&reply) : -1;
}
