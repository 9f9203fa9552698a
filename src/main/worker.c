/*
 * Workers: forked by the supervisor, each serves many connections, or delivers many messages, in
 * turn. A worker reads no configuration and executes nothing. It ends when it is told to, when it
 * is surplus and idle, or with its supervisor.
 */
#include "main/daemon.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { SURPLUS_IDLE_MS = 30000 };

const void *option_field(const struct config *conf, const char *name)
{
    for (const struct module *const *m = conf->modules; *m; m++) {
        const struct option *row = opt_find((*m)->options, str_c(name));
        if (row && row->type != OPT_UNSUPPORTED) {
            return (const char *)conf->settings[(*m)->room] + row->offset;
        }
    }
    return NULL;
}

/* ---- state ---- */

/* Wakes the supervisor if no process of the job is idle now. */
static void call_for_help(const struct worker *w)
{
    if (board_count(w->board, w->slot->job, w->slot->generation, true) == 0) {
        uint64_t one = 1;
        if (write(w->wake, &one, sizeof one) < 0) {
            TRACE(TR_any, "eventfd: %s", strerror(errno));
        }
    }
}

static void set_busy(const struct worker *w, const struct ip *peer)
{
    if (peer) {
        w->slot->peer = *peer;
    }
    atomic_store(&w->slot->busy, 1);
    call_for_help(w);
}

static void set_idle(const struct worker *w)
{
    atomic_store(&w->slot->busy, 0);
}

/* ---- reception ---- */

/* A kernel object that one worker at a time is woken for when a connection waits. */
static int make_epoll(const struct worker *w)
{
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN | EPOLLEXCLUSIVE};
    for (size_t i = 0; ep >= 0 && i < w->listeners->n; i++) {
        e.data.fd = w->listeners->v[i].fd;
        epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
    }
    if (ep >= 0 && w->submissions >= 0) {
        e.data.fd = w->submissions;
        epoll_ctl(ep, EPOLL_CTL_ADD, w->submissions, &e);
    }
    return ep;
}

static bool begins_with_tls(const struct worker *w, int listener)
{
    for (size_t i = 0; i < w->listeners->n; i++) {
        if (w->listeners->v[i].fd == listener) {
            return w->listeners->v[i].tls;
        }
    }
    return false;
}

/* Serves one connection from beginning to end. */
static void serve(const struct worker *w, int listener)
{
    struct ip ip;
    int fd = net_accept(listener, &ip);
    if (fd < 0) {
        return;
    }
    set_busy(w, &ip);
    if (listener == w->submissions) {
        smtp_in_submit_serve(w->conf, fd);
    } else {
        struct smtp_peer peer = {.fd = fd,
                                 .tls_on_connect = begins_with_tls(w, listener),
                                 .how = w->how,
                                 .stop = &orders.stop};
        board_connections(w->board, &ip, &peer.connections, &peer.from_host);
        smtp_in_serve(w->conf, &peer);
    }
    set_idle(w);
}

/* SIGTERM and SIGHUP are blocked but while a worker waits or serves. */
static void block_orders(bool block, sigset_t *old)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, old);
}

bool worker_reception(const struct worker *w)
{
    struct epoll_event e;
    sigset_t open;
    int ep = make_epoll(w);
    if (ep < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "epoll: %s", strerror(errno));
        return true;
    }
    block_orders(true, NULL);
    sigemptyset(&open);
    while (!orders.stop && !orders.retire) {
        int n = epoll_pwait(ep, &e, 1, w->surplus ? SURPLUS_IDLE_MS : -1, &open);
        if (n == 0 && w->surplus) {
            break;
        }
        if (n > 0) {
            block_orders(false, NULL);
            if (orders.retire) { /* it came after the new configuration: not by the old one */
                return false;
            }
            serve(w, e.data.fd);
            block_orders(true, NULL);
        }
    }
    return true;
}

/* ---- delivery ---- */

static void delivery_state(void *closure, bool busy)
{
    const struct worker *w = closure;
    if (busy) {
        set_busy(w, NULL);
    } else {
        set_idle(w);
    }
}

void worker_delivery(const struct worker *w)
{
    struct queue_hooks hooks = {delivery_state, (void *)(uintptr_t)w,
                                w->surplus ? SURPLUS_IDLE_MS : -1};
    queue_worker(w->conf, w->pool, &orders.stop, &hooks);
}
