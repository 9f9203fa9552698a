/*
 * The start of an SMTP conversation: limits on connections, who the client is, the connect ACL, and
 * the greeting.
 *
 * Whoever is turned away here has been answered and logged.
 */
#include "smtp_in/internal.h"

#include <ctype.h>
#include <errno.h>

enum { IDENT_PORT = 113, IDENT_MAX = 1024, LOGIN_MAX = 127 };

/* "[addr]:port I=[addr]:port" of a client about whom nothing else is known yet. */
static struct str bare_host(struct conv *c)
{
    struct session *s = c->sess;
    struct str out = STR_CAT(c->msg_pool, STR("["), s->host_address, STR("]"));
    if (log_wants(LS_incoming_port)) {
        out = STR_CAT(c->msg_pool, out, str_fmt(c->msg_pool, ":%d", s->host_port));
    }
    if (log_wants(LS_incoming_interface)) {
        out = STR_CAT(c->msg_pool, out, STR(" I=["), s->interface_address, STR("]"),
                      str_fmt(c->msg_pool, ":%d", s->interface_port));
    }
    return out;
}

static enum conv_end turn_away(struct conv *c, const char *answer, const char *why)
{
    if (log_wants(LS_connection_reject)) {
        struct str who = bare_host(c);
        log_write(LOG_MAIN, "Connection from %.*s refused: %s", STR_ARG(who), why);
    }
    reply(c, "421 %s", answer);
    return END_DROP;
}

static bool overloaded(const struct smtp_in_settings *set, double *load)
{
    return set->smtp_load_reserve >= 0 && getloadavg(load, 1) == 1 &&
           *load * 1000 > set->smtp_load_reserve;
}

/* smtp_accept_max and its kin. */
static enum conv_end check_limits(struct conv *c)
{
    const struct smtp_in_settings *set = c->set;
    const struct smtp_peer *p = c->peer;
    static const char too_many[] = "Too many concurrent SMTP connections; please try again later.";
    if (set->smtp_accept_max > 0 && p->connections > set->smtp_accept_max) {
        return turn_away(c, too_many, "too many connections");
    }
    double load;
    if (str_unset(set->smtp_reserve_hosts.text) && overloaded(set, &load)) {
        struct str why = str_fmt(c->msg_pool, "load average = %.2f", load);
        return turn_away(c, "Too much load; please try again later.", why.p);
    }
    struct str max;
    int64_t n;
    if (!expand_option(&c->x, &set->smtp_accept_max_per_host, &max)) {
        log_write(LOG_MAIN | LOG_PANIC,
                  "expansion of smtp_accept_max_per_host failed for %.*s: %.*s",
                  STR_ARG(c->sess->host_address), STR_ARG(c->x.error));
    } else if (!str_empty(max) && expand_number(&c->x, max, &n) && n > 0 && p->from_host > n) {
        return turn_away(
            c, "Too many concurrent SMTP connections from this IP address; please try again later.",
            "too many connections from that IP address");
    }
    return GO_ON;
}

static void log_connection(struct conv *c)
{
    c->nolog = conv_host_in(c, &c->set->hosts_connection_nolog);
    if (!conv_logged(c)) {
        return;
    }
    if (c->peer) {
        struct str who = bare_host(c);
        log_write(LOG_MAIN, "SMTP connection from %.*s (TCP/IP connection count = %d)",
                  STR_ARG(who), c->peer->connections);
    } else {
        struct str name = conv_name(c);
        log_write(LOG_MAIN, "%.*s", STR_ARG(name));
    }
}

/* ---- ident ---- */

/* True if the field is "port , port" with these ports, blanks anywhere. */
static bool ports_match(struct str field, int theirs, int ours)
{
    struct str first;
    int64_t a, b;
    return str_next(&field, ',', &first) && str_to_i64(str_trim(first), &a) &&
           str_to_i64(str_trim(field), &b) && a == theirs && b == ours;
}

struct str ident_parse(struct pool *pool, struct str line, int theirs, int ours)
{
    struct str field, rest = line;
    for (int i = 0; i < 3; i++) {
        ptrdiff_t colon = str_chr(rest, ':');
        if (colon < 0) {
            return STR_NONE;
        }
        field = str_trim(str_sub(rest, 0, (size_t)colon));
        rest = str_from(rest, (size_t)colon + 1);
        if ((i == 0 && !ports_match(field, theirs, ours)) || (i == 1 && !str_is(field, "USERID"))) {
            return STR_NONE;
        }
    }
    rest = str_ltrim(rest);
    struct str login = str_dup(pool, str_printable(pool, str_sub(rest, 0, LOGIN_MAX), true));
    return str_empty(login) ? STR_NONE : str_taint(login);
}

static bool read_ident(struct stream *s, struct buf *b)
{
    for (;;) {
        int ch = stream_getc(s);
        if (ch < 0 || ch == '\n') {
            if (b->len && b->p[b->len - 1] == '\r') {
                buf_cut(b, b->len - 1);
            }
            return ch == '\n';
        }
        if (!buf_addc(b, (char)ch)) {
            return true;
        }
    }
}

void accept_ident(struct conv *c)
{
    struct session *s = c->sess;
    int timeout = c->set->rfc1413_query_timeout;
    if (timeout <= 0 || s->host_port <= 0 || s->host_checking ||
        !conv_host_in(c, &c->set->rfc1413_hosts)) {
        return;
    }
    int fd = net_connect(s->interface_address, s->host_address, IDENT_PORT, timeout, 0);
    if (fd < 0) {
        if (errno == ETIMEDOUT && log_wants(LS_ident_timeout)) {
            log_write(LOG_MAIN, "ident connection to %.*s timed out", STR_ARG(s->host_address));
        }
        return;
    }
    struct stream *io = stream_new(c->msg_pool, fd, fd);
    stream_timeout(io, timeout);
    struct buf b;
    buf_init(&b, c->msg_pool, IDENT_MAX);
    struct str query = str_fmt(c->msg_pool, "%d , %d\r\n", s->host_port, s->interface_port);
    if (stream_puts(io, query) && stream_flush(io) && read_ident(io, &b)) {
        s->ident = ident_parse(s->pool, buf_str(&b), s->host_port, s->interface_port);
    }
    stream_close(&io);
}

/* ---- the client ---- */

static void know_client(struct conv *c)
{
    const struct smtp_in_settings *set = c->set;
    accept_ident(c);
    if (str_empty(c->sess->host_name) && conv_host_in(c, &set->host_lookup)) {
        session_host_name(&c->x);
    }
}

/* What the client may do that others may not. */
static void know_privileges(struct conv *c)
{
    const struct smtp_in_settings *set = c->set;
    c->sender_unqualified = conv_host_in(c, &set->sender_unqualified_hosts);
    c->rcpt_unqualified = conv_host_in(c, &set->recipient_unqualified_hosts);
    c->helo_verify_required = conv_host_in(c, &set->helo_verify_hosts);
    c->helo_verify = !c->helo_verify_required && conv_host_in(c, &set->helo_try_verify_hosts);
    c->helo_junk = conv_host_in(c, &set->helo_accept_junk_hosts);
}

static enum conv_end refuse_host(struct conv *c)
{
    if (!conv_host_in(c, &c->set->host_reject_connection)) {
        return GO_ON;
    }
    struct str who = conv_who(c, false);
    log_write(log_if(LS_connection_reject, LOG_MAIN | LOG_REJECT),
              "refused connection from %.*s (host_reject_connection)", STR_ARG(who));
    reply(c, "554 SMTP service not available");
    return END_DROP;
}

/* What is left over is for smtp_reserve_hosts: the last places, and all of them under load. */
static enum conv_end check_reserve(struct conv *c)
{
    const struct smtp_in_settings *set = c->set;
    int max = set->smtp_accept_max, reserve = set->smtp_accept_reserve;
    bool scarce = max > 0 && reserve > 0 && c->peer->connections > max - reserve;
    double load = 0;
    bool loaded = overloaded(set, &load);
    if ((!scarce && !loaded) || conv_host_in(c, &set->smtp_reserve_hosts)) {
        return GO_ON;
    }
    struct str who = conv_who(c, false), why;
    why = scarce ? str_fmt(c->msg_pool, ": connected=%d max=%d reserve=%d",
                           c->peer->connections - 1, max, reserve)
                 : str_fmt(c->msg_pool, " and load average = %.2f", load);
    log_write(log_if(LS_connection_reject, LOG_MAIN),
              "temporarily refused connection from %.*s: not in reserve list%.*s", STR_ARG(who),
              STR_ARG(why));
    reply(c, "421 %.*s: %s; please try again later", STR_ARG(c->sess->active_hostname),
          scarce ? "Too many concurrent SMTP connections" : "Too much load");
    return END_DROP;
}

/* Options that are expanded once per connection. False after the client was told. */
static bool expand_settings(struct conv *c)
{
    struct ectx *x = &c->x;
    struct str s = STR_NONE;
    int64_t n;
    if (!expand_option(x, &c->set->smtp_active_hostname, &s) || str_empty(s)) {
        if (!str_unset(x->error) && !x->forced_fail &&
            !str_unset(c->set->smtp_active_hostname.text) && str_unset(s)) {
            log_write(LOG_MAIN | LOG_PANIC,
                      "failed to expand \"%.*s\" (smtp_active_hostname): %.*s",
                      STR_ARG(c->set->smtp_active_hostname.text), STR_ARG(x->error));
            reply(c, "421 Local error, please try again later.");
            return false;
        }
        s = core_settings(c->conf)->primary_hostname;
    }
    c->sess->active_hostname = str_dup(c->sess->pool, s);
    if (!expand_option(x, &c->set->message_size_limit, &s) ||
        (!str_empty(s) && !expand_number(x, s, &n))) {
        log_write(LOG_MAIN | LOG_PANIC, "unable to expand message_size_limit: %.*s",
                  STR_ARG(x->error));
        reply(c, "421 unexpected failure");
        return false;
    }
    c->size_limit = str_empty(s) || n < 0 ? 0 : (uint64_t)n;
    if (expand_option(x, &c->set->smtp_accept_max_per_connection, &s) && !str_empty(s) &&
        expand_number(x, s, &n)) {
        c->max_per_connection = (int)n;
    }
    if (expand_option(x, &c->set->smtp_receive_timeout, &s) && !str_empty(s)) {
        n = time_interval(s);
        c->receive_timeout = n > 0 ? (int)n : 0;
        stream_timeout(c->io, c->receive_timeout);
    }
    return true;
}

/* ---- greeting ---- */

static enum conv_end greet(struct conv *c, struct acl_reply *r)
{
    struct str code = STR("220 "), text = r->user;
    if (!str_unset(text)) {
        reply_code(c->msg_pool, &code, &text, NULL, true);
    } else if (!expand_option(&c->x, &c->set->smtp_banner, &text)) {
        log_write(LOG_MAIN | LOG_PANIC, "Expansion of \"%.*s\" (smtp_banner) failed: %.*s",
                  STR_ARG(c->set->smtp_banner.text), STR_ARG(c->x.error));
        reply(c, "421 Unexpected failure, please try later");
        return END_DROP;
    }
    if (c->tcp && !c->notcp && c->sess->enforce_sync && stream_pending(c->io)) {
        const char *p;
        size_t n;
        if (stream_peek(c->io, &p, &n)) {
            struct str who = conv_who(c, true),
                       seen = conv_printable(c, str_n(p, n > 150 ? 150 : n));
            log_write(
                LOG_MAIN | LOG_REJECT,
                "SMTP protocol synchronization error (input sent without waiting for greeting): rejected "
                "connection from %.*s input=\"%.*s\"",
                STR_ARG(who), STR_ARG(seen));
            conv_notquit(c, "synchronization-error", "554", "SMTP synchronization error");
            return END_DROP;
        }
    }
    reply_lines(c, code, true, text);
    return GO_ON;
}

enum conv_end conv_accept(struct conv *c)
{
    struct acl_reply r = {.user = STR_NONE};
    enum conv_end end = GO_ON;
    if (c->peer && (end = check_limits(c)) != GO_ON) {
        return end;
    }
    log_connection(c);
    if (!str_empty(c->sess->host_address)) {
        know_client(c);
    }
    c->sess->protocol = str_empty(c->sess->host_address) ? STR("local-smtp") : STR("smtp");
    if (!expand_settings(c)) {
        return END_DROP;
    }
    if (!str_empty(c->sess->host_address)) {
        if ((end = refuse_host(c)) != GO_ON) {
            return end;
        }
        know_privileges(c);
    }
    if (c->peer && (end = check_reserve(c)) != GO_ON) {
        return end;
    }
    if (c->tls_at_once && (end = conv_tls_on_connect(c)) != GO_ON) {
        return end;
    }
    if (!str_unset(c->set->acl_smtp_connect.text)) {
        enum acl_result rc = conv_acl(c, ACL_CONNECT, &c->set->acl_smtp_connect, &r);
        if (rc != ACL_ACCEPT) {
            reply_acl(c, ACL_CONNECT, rc, &r);
            return END_DROP;
        }
    }
    end = greet(c, &r);
    c->sess->auth_sender = STR_NONE; /* from here on MAIL tells */
    conv_reset(c);
    return end;
}

void conv_quiet_start(struct conv *c)
{
    c->sess->protocol = STR("local-bsmtp");
    log_connection(c);
    expand_settings(c);
    c->sess->auth_sender = STR_NONE;
    conv_reset(c);
}
