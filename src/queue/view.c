/*
 * Showing a message to an administrator: -Mvh, -Mvb, -Mvl, -Mvc. Envelope and headers are printed in
 * the form of Exim's -H files, which tools read; what is on disk looks different.
 * The message is not locked; one that is gone is said to be so.
 */
#include "queue/internal.h"
#include "tls/tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void flag(const char *name, bool on)
{
    if (on) {
        printf("-%s\n", name);
    }
}

static void text(const char *name, struct str value)
{
    if (!str_empty(value)) {
        printf("-%s %.*s\n", name, STR_ARG(value));
    }
}

/* What others have said has two hyphens before its name. */
static void hearsay(const char *name, struct str value)
{
    if (!str_empty(value)) {
        printf("--%s %.*s\n", name, STR_ARG(value));
    }
}

static void place(const char *name, struct str address, int port)
{
    if (!str_empty(address)) {
        printf("--%s [%.*s]:%d\n", name, STR_ARG(address), port);
    }
}

/* A login that the kernel told, or else what somebody says. */
static void who(const struct message *m, const char *name, struct str value)
{
    if (str_eq(value, m->originator_login)) {
        text(name, value);
    } else {
        hearsay(name, value);
    }
}

/* Names of our own, or what somebody says. */
static void protocol(struct str name)
{
    struct str rest = str_from(name, str_starts(name, "local-") ? strlen("local-") : 0);
    bool own = str_is(name, "local") || str_starts(rest, "smtp") || str_starts(rest, "esmtp") ||
               str_starts(rest, "bsmtp");
    (own ? text : hearsay)("received_protocol", name);
}

static void host(const struct session *s)
{
    hearsay("helo_name", s->helo_name);
    place("host_address", s->host_address, s->host_port);
    hearsay("host_name", s->host_name);
    hearsay("host_auth", s->auth_mechanism);
    place("interface_address", s->interface_address, s->interface_port);
}

static void variables(const char *kind, const struct vars *v)
{
    for (struct map_entry *e = v->map ? map_first(v->map) : NULL; e; e = e->next) {
        const struct str *s = e->value;
        printf("-%s %.*s %u\n%.*s\n", kind, STR_ARG(e->key), s->len, STR_ARG(*s));
    }
}

/* A certificate as PEM on one line: its line ends are written as in C. */
static void certificate(struct pool *pool, const char *name, struct str der)
{
    if (str_empty(der)) {
        return;
    }
    struct str pem = pem_encode(pool, "CERTIFICATE", der), line;
    printf("-%s ", name);
    while (str_next(&pem, '\n', &line)) {
        printf("%.*s\\n", STR_ARG(line));
    }
    printf("\n");
}

/* What is known of the encrypted connection the message came over. */
static void encryption(struct pool *pool, const struct tls_facts *f)
{
    if (!f) {
        printf("-tls_resumption A\n");
        return;
    }
    flag("tls_certificate_verified", f->verified);
    text("tls_cipher", f->cipher);
    certificate(pool, "tls_peercert", f->peercert);
    text("tls_peerdn", f->peerdn);
    text("tls_sni", f->sni);
    certificate(pool, "tls_ourcert", f->ourcert);
    if (f->ocsp) {
        printf("-tls_ocsp %d\n", (int)f->ocsp);
    }
    printf("-tls_resumption %c\n", 'A' + f->resumption);
    text("tls_ver", f->version);
}

static void facts(const struct message *m)
{
    const struct session *s = m->session_facts;
    printf("-received_time_usec .%06ld\n", m->received.tv_nsec / 1000);
    printf("-received_time_complete %lld.%06ld\n", (long long)m->received_complete.tv_sec,
           m->received_complete.tv_nsec / 1000);
    host(s);
    who(m, "ident", s->ident);
    protocol(m->received_protocol);
    variables("aclc", &m->acl_c);
    variables("aclm", &m->acl_m);
    printf("-body_linecount %d\n", m->body_lines);
    printf("-max_received_linelength %d\n", m->max_line);
    if (m->body_zerocount > 0) {
        printf("-body_zerocount %d\n", m->body_zerocount);
    }
    bool own = str_eq(s->auth_id, m->originator_login);
    who(m, "auth_id", s->auth_id);
    (own ? text : hearsay)("auth_sender", m->auth_sender);
    flag("allow_unqualified_recipient", m->allow_unqualified_rcpt);
    flag("allow_unqualified_sender", m->allow_unqualified_sender);
    flag("deliver_firsttime", m->deliver_firsttime);
    if (m->frozen) {
        printf("-frozen %lld\n", (long long)m->frozen_at);
    }
    flag("N", m->dont_deliver);
    flag("local", m->local && !m->local_error_message);
    flag("localerror", m->local_error_message);
    flag("manual_thaw", m->manually_thawed);
    flag("sender_set_untrusted", m->sender_set_untrusted);
    text("dsn_envid", m->dsn_envid);
    if (m->dsn_ret) {
        printf("-dsn_ret %d\n", m->dsn_ret);
    }
    encryption(m->pool, s->tls);
}

static int by_text(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* A balanced tree of n sorted texts: each node says whether there is something left and right. */
static void print_tree(const struct str *v, size_t n)
{
    struct {
        size_t from, n;
    } todo[2 * 64];
    size_t depth = 0;
    todo[depth].from = 0;
    todo[depth++].n = n;
    while (depth) {
        size_t from = todo[--depth].from, count = todo[depth].n, left = (count - 1) / 2;
        size_t right = count - left - 1;
        printf("%c%c %.*s\n", left ? 'Y' : 'N', right ? 'Y' : 'N', STR_ARG(v[from + left]));
        if (right) {
            todo[depth].from = from + left + 1;
            todo[depth++].n = right;
        }
        if (left) {
            todo[depth].from = from;
            todo[depth++].n = left;
        }
    }
}

/* Who is done. */
static void delivered(const struct message *m)
{
    struct strvec v = {.pool = m->pool};
    for (size_t i = 0; i < m->delivered.n; i++) {
        if (!strvec_has(&v, m->delivered.v[i])) {
            strvec_push(&v, m->delivered.v[i]);
        }
    }
    if (!v.n) {
        printf("XX\n");
        return;
    }
    qsort(v.v, v.n, sizeof *v.v, by_text);
    print_tree(v.v, v.n);
}

static void view_header(const struct message *m)
{
    printf("%.*s-H\n%.*s %u %u\n<%.*s>\n%lld %d\n", STR_ARG(m->id), STR_ARG(m->originator_login),
           m->originator_uid, m->originator_gid, STR_ARG(m->sender), (long long)m->received.tv_sec,
           m->warning_count);
    facts(m);
    delivered(m);
    printf("%zu\n", m->recipient_count);
    for (size_t i = 0; i < m->recipient_count; i++) {
        printf("%.*s\n", STR_ARG(m->recipients[i].address));
    }
    printf("\n");
    for (const struct header *h = m->headers; h; h = h->next) {
        bool known = h->type && strchr("BCFIPRST*", h->type);
        printf("%03u%c %.*s", h->text.len, known ? h->type : ' ', STR_ARG(h->text));
    }
}

static void print_body(struct message *m)
{
    char chunk[8192];
    ssize_t n;
    for (int64_t at = 0; (n = spool_body_read(m, at, chunk, sizeof chunk)) > 0; at += n) {
        fwrite(chunk, 1, (size_t)n, stdout);
    }
}

static void view_copy(struct message *m)
{
    for (const struct header *h = m->headers; h; h = h->next) {
        if (h->type != '*') {
            printf("%.*s", STR_ARG(h->text));
        }
    }
    printf("\n");
    print_body(m);
}

static int view_log(const struct config *conf, struct pool *pool, struct str id)
{
    struct str log = spool_msglog_read(conf, pool, id);
    if (str_unset(log)) {
        printf("Failed to open msglog file for %.*s: No such file or directory\n", STR_ARG(id));
        if (!core_settings(conf)->message_logs) {
            puts("(No message logs are being created because the message_logs option is false.)");
        }
        return 1;
    }
    fwrite(log.p, 1, log.len, stdout);
    return 0;
}

static int missing(enum queue_action what, struct str id, enum spool_open state)
{
    if (what == QA_VIEW_COPY) {
        if (state == SPOOL_GONE) {
            log_write(LOG_MAIN, "%.*s Spool file %.*s-D not found", STR_ARG(id), STR_ARG(id));
        }
        printf(state == SPOOL_GONE ? "Spool data file for %.*s does not exist\n"
                                   : "Spool format error for %.*s-H\n",
               STR_ARG(id));
    } else {
        printf("Failed to open input file for %.*s-%c: %s\n", STR_ARG(id),
               what == QA_VIEW_HEADER ? 'H' : 'D', strerror(state == SPOOL_GONE ? ENOENT : EINVAL));
    }
    return 1;
}

int queue_view(const struct config *conf, struct pool *pool, enum queue_action what, struct str id,
               bool admin)
{
    struct message m = {.pool = pool};
    struct str error;
    if (what == QA_VIEW_LOG) {
        return view_log(conf, pool, id);
    }
    enum spool_open state = spool_peek(conf, id, &m, &error);
    if (state != SPOOL_OK) {
        return missing(what, id, state);
    }
    if (!admin) {
        puts("Permission denied");
        spool_close(&m);
        return 1;
    }
    if (what == QA_VIEW_HEADER) {
        view_header(&m);
    } else if (what == QA_VIEW_COPY) {
        view_copy(&m);
    } else {
        printf("%.*s-D\n", STR_ARG(id));
        print_body(&m);
    }
    spool_close(&m);
    return 0;
}
