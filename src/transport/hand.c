/*
 * Local deliveries under the right identity: in this process when it has the rights, else by the
 * hand (core/hand.h), which gets the finished plan and answers with the result.
 * If the hand cannot be reached the addresses are deferred.
 */
#include "transport/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* True for commands, whose child takes on the identity itself. */
static bool takes_identity_itself(const struct plan *p)
{
    return p->f.kind == PLAN_PIPE;
}

/* A process that works for many stays where it is; whether it could go there is what matters. */
static bool can_enter(const struct plan *p, struct plan_result *r)
{
    struct str dir = p->text[PT_CWD];
    if (str_empty(dir)) {
        return true;
    }
    int fd = -1, e = ENOENT; /* no directory is below where the process happens to be */
    if (str_starts(dir, "/")) {
        fd = open(str_cstr(r->pool, dir), O_PATH | O_DIRECTORY | O_CLOEXEC);
        e = errno;
    }
    if (fd >= 0) {
        e = faccessat(fd, ".", X_OK, AT_EACCESS) < 0 ? errno : 0;
        close(fd);
    }
    if (fd >= 0 && e == 0) {
        return true;
    }
    result_set(r, ADDR_DEFER, e, "failed to chdir to %.*s", STR_ARG(dir));
    return false;
}

/* Runs a plan in this process, as root or as the user already. */
static void run_here(const struct config *conf, struct pool *pool, const struct plan *p,
                     struct plan_result *r)
{
    struct identity who = {.uid = p->f.uid, .gid = p->f.gid};
    (void)conf;
    if (!str_unset(p->text[PT_LOGIN])) {
        who.initgroups = str_cstr(pool, p->text[PT_LOGIN]);
    }
    *r = (struct plan_result){.pool = pool};
    if (!identity_take(&who)) {
        result_set(r, ADDR_DEFER, ERRNO_UIDFAIL, "unable to set gid=%u or uid=%u (euid=%u)",
                   p->f.gid, p->f.uid, (unsigned)geteuid());
        return;
    }
    bool ready = can_enter(p, r);
    if (ready && !takes_identity_itself(p)) {
        plan_run(pool, p, r);
    }
    identity_restore();
    if (ready && takes_identity_itself(p)) {
        plan_run(pool, p, r);
    }
}

static void serve(const struct config *conf, struct pool *pool, const struct hand_message *request,
                  struct hand_message *reply)
{
    struct plan p;
    struct plan_result r = {.pool = pool};
    if (!plan_decode(pool, request->body, &p) || p.f.body_in_fd != (request->fd >= 0)) {
        result_set(&r, ADDR_DEFER, EPROTO, "malformed delivery plan");
    } else if (!identity_allowed(conf, p.f.uid)) {
        result_set(&r, ADDR_DEFER, ERRNO_UIDFAIL, "delivery as user %u is not allowed", p.f.uid);
    } else {
        p.fd = request->fd;
        run_here(conf, pool, &p, &r);
    }
    reply->body = result_encode(pool, &r);
}

static bool by_hand(struct ectx *x, const struct plan *p, struct plan_result *r)
{
    struct hand_message request = {plan_encode(x->pool, p), p->fd}, reply;
    *r = (struct plan_result){.pool = x->pool};
    if (!hand_call(x->pool, 'd', &request, &reply)) {
        result_set(r, ADDR_DEFER, errno, "the privileged process cannot be reached: %s",
                   strerror(errno));
        return false;
    }
    if (!result_decode(reply.body, r)) {
        result_set(r, ADDR_DEFER, EPROTO, "the privileged process gave a malformed answer");
        return false;
    }
    return true;
}

void plan_execute(struct ectx *x, struct delivery *d, struct plan *p, struct plan_result *r)
{
    if (p->f.uid != geteuid() && geteuid() != 0 && hand_available()) {
        by_hand(x, p, r);
    } else {
        run_here(x->conf, x->pool, p, r);
    }
    if (p->own_fd) {
        close(p->fd);
        p->own_fd = false;
    }
    (void)d;
}

/* Of transports without a plan of their own: the directory is looked at in advance. */
static bool enters_directory(struct ectx *x, struct delivery *d)
{
    const struct transport_driver *driver = d->transport->driver;
    struct plan p = {.f.kind = PLAN_ENTER, .fd = -1};
    struct plan_result r;
    if (str_is(d->cwd, "/") || (driver != &autoreply_transport && driver != &lmtp_transport)) {
        return true;
    }
    plan_identity(d, &p);
    plan_execute(x, d, &p, &r);
    plan_apply(d, &r);
    return r.f.outcome == ADDR_OK;
}

void hand_local(struct ectx *x, struct delivery *d)
{
    struct host *saved = d->host;
    transport_note(x, d);
    d->host = d->addrs->hosts; /* $host, from routers that name hosts for local transports */
    if (enters_directory(x, d)) {
        d->transport->driver->deliver(x, d);
    }
    d->host = saved;
}

static const struct hand_op deliver_op = {'d', serve};
static const struct hand_op *const ops[] = {&deliver_op,      &hand_open_op, &hand_connect_op,
                                            &hand_command_op, &hand_talk_op, NULL};

int hand_start(const struct config *conf)
{
    return hand_fork(conf, ops);
}

void hand_use(int fd)
{
    hand_set(fd);
}
