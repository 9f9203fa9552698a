/*
 * Local submission through the daemon: the caller's program passes its arguments and its standard
 * streams over a Unix socket below the spool directory; a worker does the work as if it had been
 * called itself, and passes the exit status back.
 *
 * The kernel says who the caller is (SO_PEERCRED); what he may do is judged here, not by what the
 * program at the other end says. The socket is open to everybody, like the sendmail command.
 */
#include "smtp_in/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { PACKET_MAX = 8 << 20, FDS = 3, PATIENCE = 30 };

/* ---- the arguments as bytes: a row per field ---- */

enum field_kind { F_INT, F_BOOL, F_STR, F_VEC };

static const struct {
    enum field_kind kind;
    size_t offset;
} fields[] = {
#define F(kind, name) \
    { \
        kind, offsetof(struct submission, name) \
    }
    F(F_INT, mode),
    F(F_INT, uid),
    F(F_INT, gid),
    F(F_VEC, recipients),
    F(F_BOOL, extract),
    F(F_BOOL, tls_on_connect),
    F(F_BOOL, dot_ends),
    F(F_STR, sender),
    F(F_BOOL, sender_set),
    F(F_STR, full_name),
    F(F_STR, protocol),
    F(F_STR, host_address),
    F(F_STR, host_name),
    F(F_STR, interface_address),
    F(F_STR, ident),
    F(F_STR, auth_id),
    F(F_STR, auth_sender),
    F(F_STR, auth_mechanism),
    F(F_INT, how),
    F(F_INT, errors),
    F(F_BOOL, how_set),
    F(F_BOOL, qualify_no),
    F(F_BOOL, metoo),
    F(F_BOOL, dont_deliver),
    F(F_BOOL, suppress_local_fixups),
    F(F_STR, caller),
    F(F_INT, receive_timeout),
    F(F_INT, smtp_receive_timeout),
    F(F_STR, host_check),
    F(F_STR, message_reference),
};

#define AT(s, i, type) ((type *)(void *)((char *)(s) + fields[i].offset))
#define CAT(s, i, type) ((const type *)(const void *)((const char *)(s) + fields[i].offset))

static void put_int(struct buf *b, int64_t n)
{
    buf_add(b, (const char *)&n, sizeof n);
}

/* Length -1 stands for an unset string. */
static void put_str(struct buf *b, struct str s)
{
    put_int(b, str_unset(s) ? -1 : (int64_t)s.len);
    buf_adds(b, s);
}

static bool pack(struct pool *pool, const struct submission *s, struct str *out)
{
    struct buf b;
    buf_init(&b, pool, PACKET_MAX);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        const struct strvec *v;
        switch (fields[i].kind) {
        case F_INT: put_int(&b, *CAT(s, i, int)); break;
        case F_BOOL: put_int(&b, *CAT(s, i, bool)); break;
        case F_STR: put_str(&b, *CAT(s, i, struct str)); break;
        case F_VEC:
            v = CAT(s, i, struct strvec);
            put_int(&b, (int64_t)v->n);
            for (size_t k = 0; k < v->n; k++) {
                put_str(&b, v->v[k]);
            }
            break;
        }
    }
    *out = buf_str(&b);
    return !b.overflow;
}

static bool get_int(struct str *rest, int64_t *n)
{
    if (rest->len < sizeof *n) {
        return false;
    }
    memcpy(n, rest->p, sizeof *n);
    *rest = str_from(*rest, sizeof *n);
    return true;
}

static bool get_str(struct pool *pool, struct str *rest, struct str *s)
{
    int64_t n;
    if (!get_int(rest, &n) || n > (int64_t)rest->len) {
        return false;
    }
    *s = n < 0 ? STR_NONE : str_taint(str_dup(pool, str_sub(*rest, 0, (size_t)n)));
    *rest = n < 0 ? *rest : str_from(*rest, (size_t)n);
    return true;
}

static bool get_field(struct pool *pool, struct str *rest, struct submission *s, size_t i)
{
    int64_t n;
    if (fields[i].kind == F_STR) {
        return get_str(pool, rest, AT(s, i, struct str));
    }
    if (!get_int(rest, &n)) {
        return false;
    }
    if (fields[i].kind == F_INT) {
        *AT(s, i, int) = (int)n;
    } else if (fields[i].kind == F_BOOL) {
        *AT(s, i, bool) = n != 0;
    } else {
        struct strvec *v = AT(s, i, struct strvec);
        *v = (struct strvec){.pool = pool};
        for (; n > 0; n--) {
            struct str item;
            if (!get_str(pool, rest, &item)) {
                return false;
            }
            strvec_push(v, item);
        }
    }
    return true;
}

static bool unpack(struct pool *pool, struct str packet, struct submission *s)
{
    *s = (struct submission){0};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (!get_field(pool, &packet, s, i)) {
            return false;
        }
    }
    return str_empty(packet);
}

/* ---- the socket ---- */

/*
 * The address of the socket. The path of a Unix socket is short, a spool directory's need not be:
 * the directory is opened and named by its descriptor, which the caller closes.
 */
static bool socket_address(const struct config *conf, bool create, struct sockaddr_un *un, int *dir)
{
    struct pool *pool = pool_new("socket name");
    struct str path = core_settings(conf)->spool_directory;
    if (create) {
        mkdir_parents(path, 0751);
    }
    *dir = file_open(path, O_PATH | O_DIRECTORY, 0);
    pool_free(&pool);
    if (*dir < 0) {
        return false;
    }
    *un = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(un->sun_path, sizeof un->sun_path, "/proc/self/fd/%d/submit", *dir);
    return true;
}

/* Everybody may reach the socket; what lies beside it has modes of its own. */
static bool open_to_all(const struct config *conf, int dir)
{
    struct stat st;
    struct pool *pool = pool_new("spool directory");
    char *name = str_cstr(pool, core_settings(conf)->spool_directory);
    bool ok = fchmodat(dir, "submit", 0666, 0) == 0 && stat(name, &st) == 0 &&
              (st.st_mode & S_IXOTH || chmod(name, (st.st_mode & 07777) | S_IXOTH) == 0);
    pool_free(&pool);
    return ok;
}

int smtp_in_submit_listen(const struct config *conf)
{
    struct sockaddr_un un;
    int dir;
    if (!socket_address(conf, true, &un, &dir)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unlinkat(dir, "submit", 0);
    if (fd >= 0 && (bind(fd, (struct sockaddr *)&un, sizeof un) < 0 || listen(fd, 64) < 0)) {
        log_write(LOG_MAIN | LOG_PANIC, "cannot make the socket for local submission: %m");
        close(fd);
        fd = -1;
    }
    if (fd >= 0 && !open_to_all(conf, dir)) {
        log_write(LOG_MAIN | LOG_PANIC,
                  "cannot open the socket for local submission to everybody: %m");
    }
    close(dir);
    return fd;
}

static int connect_daemon(const struct config *conf)
{
    struct sockaddr_un un;
    int dir;
    if (!socket_address(conf, false, &un, &dir)) {
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof un) < 0) {
        close(fd);
        fd = -1;
    }
    close(dir);
    return fd;
}

/* The length, with the caller's descriptors. */
static bool send_head(int fd, const int *fds, uint32_t len)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * FDS)];
        struct cmsghdr align;
    } control = {0};
    struct iovec v = {&len, sizeof len};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof control.buf};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    h->cmsg_level = SOL_SOCKET;
    h->cmsg_type = SCM_RIGHTS;
    h->cmsg_len = CMSG_LEN(sizeof(int) * FDS);
    memcpy(CMSG_DATA(h), fds, sizeof(int) * FDS);
    return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)sizeof len;
}

static bool receive_head(int fd, int *fds, uint32_t *len)
{
    union {
        char buf[CMSG_SPACE(sizeof(int) * FDS)];
        struct cmsghdr align;
    } control;
    struct iovec v = {len, sizeof *len};
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof control.buf};
    if (recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_WAITALL) != (ssize_t)sizeof *len) {
        return false;
    }
    const struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (!h || h->cmsg_type != SCM_RIGHTS || h->cmsg_len != CMSG_LEN(sizeof(int) * FDS)) {
        return false;
    }
    memcpy(fds, CMSG_DATA(h), sizeof(int) * FDS);
    return *len <= PACKET_MAX;
}

static bool read_fully(int fd, char *p, size_t n)
{
    while (n) {
        ssize_t got = read(fd, p, n);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        if (got > 0) {
            p += got;
            n -= (size_t)got;
        }
    }
    return true;
}

int smtp_in_submit_remote(const struct config *conf, const struct submission *s)
{
    int fd = connect_daemon(conf);
    if (fd < 0) {
        return -1;
    }
    struct pool *pool = pool_new("submission");
    struct str packet;
    int fds[FDS] = {s->in, s->out, s->err}, status = -1;
    char code;
    if (pack(pool, s, &packet) && send_head(fd, fds, packet.len) &&
        write_all(fd, packet.p, packet.len) == 0) {
        /* From here on the daemon may have read our input: there is no second try. */
        status = read_fully(fd, &code, 1) ? (unsigned char)code : 75; /* EX_TEMPFAIL */
    }
    pool_free(&pool);
    close(fd);
    return status;
}

/* The kernel's word on who called; a trusted caller's own on whom he stands for. */
static bool identify(const struct config *conf, int fd, struct submission *s)
{
    struct ucred cred;
    socklen_t len = sizeof cred;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0) {
        return false;
    }
    bool trusted = caller_is_trusted(conf, cred.uid, cred.gid);
    if (!trusted || cred.uid == s->uid) {
        s->uid = cred.uid;
        s->gid = cred.gid;
    }
    if (!trusted) {
        s->caller = STR_NONE;
    }
    s->trusted = caller_is_trusted(conf, s->uid, s->gid);
    s->admin = s->trusted;
    return true;
}

void smtp_in_submit_serve(const struct config *conf, int fd)
{
    struct pool *pool = pool_new("submission");
    struct submission s;
    struct timeval patience = {.tv_sec = PATIENCE};
    int fds[FDS] = {-1, -1, -1};
    uint32_t len;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (receive_head(fd, fds, &len)) {
        char *p = pool_alloc(pool, len + 1u);
        if (read_fully(fd, p, len) && unpack(pool, str_n(p, len), &s) && identify(conf, fd, &s)) {
            s.in = fds[0];
            s.out = fds[1];
            s.err = fds[2];
            char code = (char)smtp_in_submit(conf, &s);
            send(fd, &code, 1, MSG_NOSIGNAL);
        }
    }
    for (int i = 0; i < FDS; i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    close(fd);
    pool_free(&pool);
}
