/*
 * The client's side of SMTP (RFC 5321) and LMTP (RFC 2033): connection, greeting, TLS (RFC 3207),
 * commands and replies. What a reply means for an address is the caller's business.
 *
 * A session lives in the caller's pool and owns its socket until smtp_client_close(). Commands are
 * gathered until a reply is asked for, so a pipelined group is one write. Texts of replies come
 * from the network and are tainted.
 */
#include "smtp_out/smtp_out.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { COMMAND_MAX = 64 * 1024, REPLY_MAX = 4096, LINE_MAX_LEN = REPLY_MAX, QUIT_WAIT = 1 };

struct smtp_client {
    struct pool *pool;
    struct stream *stream;
    struct smtp_client_opts opts;
    unsigned exts;
    struct str greeting;
    struct str local_address;
    int local_port;
    int fail_errno;
    struct tls_facts *tls;
    struct str ehlo;      /* the server's answer, before TLS */
    struct str tls_error; /* why the handshake failed */
    const char *stage;    /* the command that was sent last, as errors name it */
    struct str unsent;    /* a command that is not told of yet, as another may follow at once */
    struct strvec story;  /* commands and replies in short, for a trace */
};

/* What shows the dialogue: -v, and -d of those who speak. */
enum { TELLS = TR_v | TR_transport | TR_verify };

static void add_to_story(struct smtp_client *c, struct str word)
{
    c->story.pool = c->pool;
    strvec_push(&c->story, word);
}

/* Tells of the command that was made last: at once, or with more behind it. */
static void tell_command(struct smtp_client *c, bool more)
{
    struct str command = c->unsent;
    c->unsent = STR_NONE;
    if (str_unset(command)) {
        return;
    }
    uint32_t n = 0;
    while (n < command.len && command.p[n] != ' ') {
        n++;
    }
    bool last = str_is(command, "QUIT");
    TRACE(TELLS, "  SMTP%c> %.*s", more ? '|' : last ? '+' : '>', STR_ARG(command));
    if (last) {
        TRACE(TELLS, "  SMTP(shutdown)>>");
    }
    add_to_story(c, STR_CAT(c->pool, str_sub(command, 0, n), str_c(more ? "|" : "")));
}

void smtp_client_note(struct smtp_client *c, const char *line, const char *word)
{
    if (!trace_on(TELLS)) {
        return;
    }
    tell_command(c, false);
    if (line) {
        TRACE(TELLS, "%s", line);
    }
    if (*word) {
        add_to_story(c, str_c(word));
    }
}

/* Tells of a reply, its further lines under the first. */
static void tell_reply(struct smtp_client *c, struct str text)
{
    struct str line;
    const char *start = "  SMTP<< ";
    struct str rest = text;
    struct buf b;
    if (!trace_on(TELLS)) {
        return;
    }
    buf_init(&b, c->pool, COMMAND_MAX);
    while (str_next(&rest, '\n', &line)) {
        buf_addf(&b, "%s%.*s", start, STR_ARG(line));
        start = "\n         ";
    }
    TRACE(TELLS, "%.*s", STR_ARG(buf_str(&b)));
    add_to_story(c, str_sub(text, 0, text.len > 3 && text.p[3] == '-' ? 4 : 3));
}

/* The whole conversation in a line. */
static void tell_story(struct smtp_client *c)
{
    struct buf b;
    if (!trace_on(TELLS)) {
        return;
    }
    buf_init(&b, c->pool, COMMAND_MAX);
    for (size_t i = 0; i < c->story.n; i++) {
        buf_addf(&b, "%s%.*s", i ? ":" : "", STR_ARG(c->story.v[i]));
    }
    TRACE(TELLS, "  SMTP(close)>>\ncmdlog: '%.*s'", STR_ARG(buf_str(&b)));
}

static const struct {
    const char *name;
    enum smtp_ext bit;
} extensions[] = {
    {"SIZE", EXT_SIZE},         {"PIPELINING", EXT_PIPELINING},
    {"8BITMIME", EXT_8BITMIME}, {"CHUNKING", EXT_CHUNKING},
    {"DSN", EXT_DSN},           {"STARTTLS", EXT_STARTTLS},
    {"AUTH", EXT_AUTH},         {"SMTPUTF8", EXT_SMTPUTF8},
    {"PRDR", EXT_PRDR},
};

unsigned smtp_client_exts(const struct smtp_client *c)
{
    return c->exts;
}

struct stream *smtp_client_stream(struct smtp_client *c)
{
    return c->stream;
}

void smtp_client_local(const struct smtp_client *c, struct str *addr, int *port)
{
    *addr = c->local_address;
    *port = c->local_port;
}

bool smtp_client_cmd(struct smtp_client *c, const char *fmt, ...)
{
    va_list ap;
    struct buf b;
    va_start(ap, fmt);
    buf_init(&b, c->pool, COMMAND_MAX);
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    buf_addz(&b, "\r\n");
    if (trace_on(TELLS)) {
        tell_command(c, true);
        c->unsent = str_dup(c->pool, str_rtrim(buf_str(&b)));
    }
    return stream_puts(c->stream, buf_str(&b));
}

/* One line without its line end; false at end, error or an overlong line. */
static bool read_line(struct smtp_client *c, struct buf *line)
{
    const char *p;
    size_t n;
    buf_cut(line, 0);
    while (stream_peek(c->stream, &p, &n)) {
        const char *end = memchr(p, '\n', n);
        size_t part = end ? (size_t)(end - p) : n;
        bool ok = buf_add(line, p, part);
        stream_consume(c->stream, end ? part + 1 : part);
        if (!ok) {
            return false;
        }
        if (end) {
            if (line->len && line->p[line->len - 1] == '\r') {
                buf_cut(line, line->len - 1);
            }
            return true;
        }
    }
    return false;
}

static bool reply_line_ok(struct str s)
{
    return s.len >= 3 && isdigit((unsigned char)s.p[0]) && isdigit((unsigned char)s.p[1]) &&
           isdigit((unsigned char)s.p[2]) && (s.len == 3 || s.p[3] == ' ' || s.p[3] == '-');
}

static enum smtp_status broken(struct smtp_client *c, bool overlong)
{
    int e = stream_error(c->stream);
    bool closed = e == 0 || e == ECONNRESET || e == EPIPE;
    c->fail_errno = e;
    return overlong         ? SMTP_SYNC
           : closed         ? SMTP_CLOSED
           : e == ETIMEDOUT ? SMTP_TIMEOUT
                            : SMTP_IOERROR;
}

enum smtp_status smtp_client_reply(struct smtp_client *c, int timeout, struct smtp_reply *r)
{
    struct buf text, line;
    *r = (struct smtp_reply){0, STR("")};
    stream_timeout(c->stream, timeout);
    buf_init(&text, c->pool, REPLY_MAX);
    buf_init(&line, c->pool, LINE_MAX_LEN);
    text.tainted = true;
    tell_command(c, false);
    if (!stream_flush(c->stream)) {
        return broken(c, false);
    }
    for (;;) {
        if (!read_line(c, &line)) {
            r->text = buf_str(&text);
            TRACE(TELLS, "  SMTP(closed)<<");
            return broken(c, line.overflow);
        }
        struct str s = buf_str(&line);
        bool ok = reply_line_ok(s);
        buf_addz(&text, text.len ? "\n" : "");
        buf_adds(&text, s);
        r->text = buf_str(&text);
        if (!ok || text.overflow) {
            return SMTP_SYNC;
        }
        if (s.len == 3 || s.p[3] == ' ') {
            tell_reply(c, r->text);
            const char *p = text.p; /* where the lines differ, the first counts */
            r->code = (p[0] - '0') * 100 + (p[1] - '0') * 10 + (p[2] - '0');
            return r->code / 100 == 2 ? SMTP_OK : r->code / 100 == 5 ? SMTP_PERM : SMTP_TEMP;
        }
    }
}

/* The keywords of an EHLO reply, its first line left out (RFC 5321 4.1.1.1). */
static void note_extensions(struct smtp_client *c, struct str reply)
{
    struct str line;
    bool first = true;
    while (str_next(&reply, '\n', &line)) {
        struct str rest = str_from(line, 4), word;
        if (!first && str_next(&rest, ' ', &word)) {
            for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
                c->exts |= str_isi(word, extensions[i].name) ? extensions[i].bit : 0u;
            }
        }
        first = false;
    }
    c->exts &= ~((c->opts.avoid_pipelining ? (unsigned)EXT_PIPELINING : 0u) |
                 (c->opts.avoid_chunking ? (unsigned)EXT_CHUNKING : 0u));
}

static enum smtp_status say_hello(struct smtp_client *c, const char *verb, struct smtp_reply *r)
{
    c->stage = str_fmt(c->pool, "%s %.*s", verb, STR_ARG(c->opts.helo)).p;
    smtp_client_cmd(c, "%s", c->stage);
    return smtp_client_reply(c, c->opts.command_timeout, r);
}

/* EHLO, and HELO where it is refused; LHLO for LMTP. */
static enum smtp_status greet(struct smtp_client *c, struct smtp_reply *r)
{
    const struct smtp_client_opts *o = &c->opts;
    enum smtp_status st = SMTP_PERM;
    struct str first = STR_NONE;
    c->exts = 0;
    if (o->lmtp || !o->avoid_esmtp) {
        st = say_hello(c, o->lmtp ? "LHLO" : "EHLO", r);
        if (st == SMTP_OK) {
            note_extensions(c, r->text);
        }
        first = r->text;
    }
    if ((st != SMTP_PERM && st != SMTP_TEMP) || o->lmtp) {
        return st;
    }
    st = say_hello(c, "HELO", r);
    if (st == SMTP_CLOSED && !str_empty(first)) {
        c->stage = str_fmt(c->pool, "%s (EHLO response was: %.*s)", c->stage, STR_ARG(first)).p;
    }
    return st;
}

/* ---- TLS ---- */

static enum smtp_status no_tls(struct smtp_client *c, enum smtp_status st, struct str why)
{
    c->tls_error = why;
    return st;
}

/*
 * What was put into the connection in clear must not be taken for what comes encrypted (RFC 3207
 * 4.2, 6): a server that sends more than it was asked for is not spoken to.
 */
static enum smtp_status shake_hands(struct smtp_client *c)
{
    const struct smtp_client_opts *o = &c->opts;
    struct tls_error error;
    if (!str_unset(o->tls_hindrance)) {
        return no_tls(c, SMTP_TLS_FAILED, o->tls_hindrance);
    }
    if (stream_buffered(c->stream)) {
        return no_tls(c, SMTP_TLS_FAILED,
                      STR("(STARTTLS): the server sent more in clear after its reply"));
    }
    o->tls->timeout = o->command_timeout;
    if (o->sessions.recall) {
        o->sessions.recall(o->sessions.closure, o->tls, c->ehlo);
    }
    if (tls_start(c->pool, c->stream, o->tls, &c->tls, &error)) {
        return SMTP_OK;
    }
    if (o->sessions.forget && !str_unset(o->tls->session)) {
        o->sessions.forget(o->sessions.closure);
    }
    bool barred = error.fault == TLS_FAULT_OCSP || error.fault == TLS_FAULT_DANE || o->tls->dane;
    return no_tls(c, barred ? SMTP_TLS_BARRED : SMTP_TLS_FAILED, error.text);
}

/* STARTTLS where it is offered, and EHLO once more. SMTP_OK also if it goes on in clear. */
static enum smtp_status encrypt(struct smtp_client *c, struct smtp_reply *r)
{
    const struct smtp_client_opts *o = &c->opts;
    if (!o->tls || !(c->exts & EXT_STARTTLS)) {
        return o->tls_required
                   ? no_tls(c, SMTP_TLS_LACKING, STR("the server did not offer TLS support"))
                   : SMTP_OK;
    }
    c->stage = "STARTTLS";
    c->ehlo = r->text;
    smtp_client_cmd(c, "STARTTLS");
    enum smtp_status st = smtp_client_reply(c, o->command_timeout, r);
    if (st >= SMTP_CLOSED || (st == SMTP_TEMP && o->tls_no_clear)) {
        return st;
    }
    if (st != SMTP_OK) {
        return o->tls_required ? no_tls(c, SMTP_TLS_LACKING, STR("an attempt to start TLS failed"))
                               : SMTP_OK;
    }
    st = shake_hands(c);
    return st == SMTP_OK ? greet(c, r) : st;
}

/* From the first byte to the point where mail can be sent. */
static enum smtp_status begin(struct smtp_client *c, struct smtp_reply *r)
{
    enum smtp_status st = SMTP_OK;
    c->stage = "initial connection";
    if (c->opts.tls_on_connect) {
        st = shake_hands(c);
    }
    if (st == SMTP_OK) {
        st = smtp_client_reply(c, c->opts.command_timeout, r);
    }
    if (st == SMTP_OK) {
        c->greeting = r->text;
        st = greet(c, r);
    }
    return st == SMTP_OK && !c->tls ? encrypt(c, r) : st;
}

struct tls_facts *smtp_client_tls(const struct smtp_client *c)
{
    return c->tls;
}

static int dial(struct smtp_client *c)
{
    const struct smtp_client_opts *o = &c->opts;
    if (o->connected) {
        return o->fd;
    }
    struct str address = str_dup(c->pool, o->host->address);
    address.tainted = false;
    unsigned how = (o->keepalive ? NET_KEEPALIVE : 0u) | (o->fastopen ? NET_FASTOPEN : 0u);
    int fd = net_connect(o->interface, address, o->port, o->connect_timeout, how);
    int e = errno;
    if (trace_on(TELLS)) {
        bool from = !str_empty(o->interface);
        trace_write("Connecting to %.*s [%.*s]:%d %s%.*s%s...  %s%s", STR_ARG(o->host->name),
                    STR_ARG(o->host->address), o->port, from ? "from " : "",
                    STR_ARG(from ? o->interface : STR("")), from ? " " : "",
                    fd >= 0 ? "connected" : "failed: ", fd >= 0 ? "" : strerror(e));
    }
    errno = e;
    return fd;
}

enum smtp_status smtp_client_open(struct pool *pool, const struct smtp_client_opts *o,
                                  struct smtp_client **cp, struct smtp_reply *reply,
                                  struct str *error)
{
    struct smtp_client *c = POOL_NEW(pool, struct smtp_client);
    *reply = (struct smtp_reply){0, STR("")};
    *cp = NULL;
    c->pool = pool;
    c->opts = *o;
    int fd = dial(c);
    if (fd < 0) {
        c->fail_errno = errno;
        *error = str_fmt(pool, "%s", strerror(c->fail_errno));
        errno = c->fail_errno;
        return c->fail_errno == ETIMEDOUT ? SMTP_TIMEOUT : SMTP_IOERROR;
    }
    c->stream = stream_new(pool, fd, fd);
    net_sock_name(pool, fd, false, &c->local_address, &c->local_port);
    if (o->name_us &&
        !o->name_us(o->namer, c->local_address, c->local_port, &c->opts.helo, error)) {
        smtp_client_close(&c, false);
        return SMTP_IOERROR;
    }
    enum smtp_status st = begin(c, reply);
    if (st == SMTP_OK) {
        *cp = c;
        return st;
    }
    int e = c->fail_errno;
    *error = smtp_client_error(c, pool, st, c->stage, reply);
    smtp_client_close(&c, st == SMTP_PERM || st == SMTP_TEMP || st == SMTP_TLS_LACKING);
    errno = e;
    return st;
}

/* Printable, but for the ends of lines: reports show those as they came. */
static struct str lines_printable(struct pool *pool, struct str text)
{
    struct str all = STR_NONE, line;
    while (str_next(&text, '\n', &line)) {
        struct str shown = str_printable(pool, line, true);
        all = str_unset(all) ? shown : STR_CAT(pool, all, STR("\n"), shown);
    }
    return all;
}

struct str smtp_client_error(struct smtp_client *c, struct pool *pool, enum smtp_status st,
                             const char *stage, const struct smtp_reply *r)
{
    struct str shown = str_printable(pool, r->text, false);
    switch (st) {
    case SMTP_PERM:
    case SMTP_TEMP:
        return str_fmt(pool, "SMTP error from remote mail server after %s: %.*s", stage,
                       STR_ARG(lines_printable(pool, r->text)));
    case SMTP_TIMEOUT: return str_fmt(pool, "SMTP timeout after %s", stage);
    case SMTP_CLOSED:
        return str_fmt(pool, "Remote host closed connection in response to %s", stage);
    case SMTP_SYNC:
        return str_empty(shown)
                   ? str_fmt(pool, "Malformed SMTP reply (an empty line) in response to %s", stage)
                   : str_fmt(pool, "Malformed SMTP reply in response to %s: %.*s", stage,
                             STR_ARG(shown));
    case SMTP_IOERROR: return str_fmt(pool, "%s: %s", stage, strerror(c->fail_errno));
    case SMTP_TLS_FAILED:
    case SMTP_TLS_BARRED: return STR_CAT(pool, STR("TLS session: "), c->tls_error);
    case SMTP_TLS_LACKING:
        return STR_CAT(pool, STR("a TLS session is required, but "), c->tls_error);
    default: return STR("");
    }
}

struct str smtp_client_greeting(const struct smtp_client *c)
{
    return c->greeting;
}

void smtp_client_close(struct smtp_client **cp, bool quit)
{
    struct smtp_client *c = *cp;
    *cp = NULL;
    if (!c) {
        return;
    }
    if (quit) {
        struct smtp_reply ignored;
        smtp_client_cmd(c, "QUIT");
        smtp_client_reply(c, QUIT_WAIT, &ignored);
    }
    tell_story(c);
    if (c->tls && c->opts.sessions.keep) {
        c->opts.sessions.keep(c->opts.sessions.closure, c->tls);
    }
    stream_close(&c->stream);
}
