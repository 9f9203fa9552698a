/*
 * One TCP connection from accept to close, in the process that accepted it; and what slows a busy
 * client down.
 * Everything of the conversation is in pools that end with it; nothing is left for the next one.
 */
#include "smtp_in/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>

/* "threshold,base,factor,limit" of smtp_ratelimit_mail and _rcpt. */
struct rate {
    int threshold;
    double base, factor, limit; /* milliseconds */
};

static bool parse_rate(struct pool *pool, struct str text, struct rate *r)
{
    char *p = str_cstr(pool, text), *end;
    *r = (struct rate){.threshold = (int)strtol(p, &end, 10)};
    double v[3];
    for (int i = 0; i < 3; i++) {
        if (*end++ != ',') {
            return false;
        }
        v[i] = strtod(end, &end);
        if (i != 1 && (*end == 's' || *end == 'm')) {
            v[i] *= *end++ == 'm' ? 60000 : 1000;
        } else if (i != 1) {
            v[i] *= 1000;
        }
    }
    r->base = v[0];
    r->factor = v[1];
    r->limit = v[2];
    return true;
}

void conv_ratelimit(struct conv *c, bool rcpt)
{
    struct rate r;
    struct str text = rcpt ? c->set->smtp_ratelimit_rcpt : c->set->smtp_ratelimit_mail;
    int count = rcpt ? c->msg->rcpt_count : c->sess->mail_count;
    double *delay = rcpt ? &c->rate_rcpt_delay : &c->rate_mail_delay;
    if (str_empty(text) || !parse_rate(c->msg_pool, text, &r) || count <= r.threshold ||
        !conv_host_in(c, &c->set->smtp_ratelimit_hosts)) {
        return;
    }
    if (*delay < r.base || (rcpt && count == r.threshold + 1)) {
        *delay = r.base;
    }
    stream_flush(c->io);
    int64_t ms = (int64_t)*delay;
    struct timespec ts = {ms / 1000, (ms % 1000) * 1000000};
    nanosleep(&ts, NULL);
    *delay *= r.factor;
    if (*delay > r.limit) {
        *delay = r.limit;
    }
}

/* A connection in which no mail was offered (log selector smtp_no_mail). */
static void log_no_mail(struct conv *c)
{
    struct session *s = c->sess;
    if (s->mail_count > 0 || c->no_mail_logged || !log_wants(LS_smtp_no_mail)) {
        return;
    }
    struct str who = conv_who(c, false), seen = conv_history(c), used = conv_age(c);
    struct buf facts;
    buf_init(&facts, c->msg_pool, 1 << 16);
    session_log_auth(&facts, s);
    tls_log(&facts, s->tls);
    struct str more = buf_str(&facts);
    log_write(LOG_MAIN, "no MAIL in SMTP connection from %.*s D=%.*s%.*s%.*s", STR_ARG(who),
              STR_ARG(used), STR_ARG(more), STR_ARG(seen));
}

static struct session *new_session(const struct smtp_peer *peer)
{
    struct pool *pool = pool_new("session");
    struct session *s = POOL_NEW(pool, struct session);
    s->pool = s->acl_c.pool = s->facts.pool = pool;
    s->host_aliases.pool = s->acl_stack.pool = pool;
    s->connected = time_now();
    net_sock_name(pool, peer->fd, true, &s->host_address, &s->host_port);
    net_sock_name(pool, peer->fd, false, &s->interface_address, &s->interface_port);
    return s;
}

static void set_socket(const struct smtp_in_settings *set, int fd)
{
    int on = 1;
    if (set->smtp_accept_keepalive) {
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (set->tcp_nodelay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
}

void smtp_in_serve(const struct config *conf, const struct smtp_peer *peer)
{
    struct conv c = {.peer = peer, .tcp = true};
    struct session *s = new_session(peer);
    s->connections_at_start = peer->connections;
    conv_init(&c, conf, s);
    set_socket(c.set, peer->fd);
    c.tls_at_once = peer->tls_on_connect;
    c.io = s->stream = stream_new_small(s->pool, peer->fd, peer->fd);
    if (!str_empty(s->host_address) && conv_accept(&c) == GO_ON) {
        conv_run(&c);
    }
    log_no_mail(&c);
    conv_free(&c);
    trace_file_close(false); /* control = debug is for one client, this process for the next too */
}
