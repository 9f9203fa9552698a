/*
 * Assembly of the log lines about addresses, in Exim's format: "=>", "->", "**" and "==" lines with
 * the items that the selectors ask for. Texts live in the job's pool.
 * Lines are written after the journal, so what they say has happened.
 */
#include "queue/internal.h"
#include "tls/tls.h"

#include <stdio.h>

enum { LINE_MAX_LEN = 64 * 1024, CONFIRMATION_MAX = 100 };

static const struct address *top_of(const struct address *a)
{
    while (a->parent) {
        a = a->parent;
    }
    return a;
}

/* The local part as the transport used it. */
static void add_local_part(struct buf *b, const struct address *a)
{
    bool affixes = a->shown_affixes;
    struct str lp = a->kind == AK_NORMAL ? a->local_part : a->address;
    if (affixes && a->prefix.len) {
        buf_adds(b, a->prefix);
    }
    buf_adds(b, lp);
    if (affixes && a->suffix.len) {
        buf_adds(b, a->suffix);
    }
}

/* True if the line's own text says already who the original recipient is. */
static bool says_top(struct str shown, const struct address *a, const struct address *top,
                     bool all_parents)
{
    ptrdiff_t at = mailbox_at(top->address);
    size_t lp = at < 0 ? top->address.len : (size_t)at;
    return str_eqi(shown, top->address) && memcmp(shown.p, top->address.p, lp) == 0 &&
           (!all_parents || !a->parent || a->parent == top);
}

struct str log_address(struct pool *pool, const struct address *a, bool all_parents, bool success)
{
    const struct address *top = top_of(a);
    bool special = a->kind != AK_NORMAL, show_top = true;
    struct buf b;
    buf_init(&b, pool, LINE_MAX_LEN);
    if (special ||
        (success && a->router && a->log_as_local && a->transport && a->transport->local)) {
        if (a->kind == AK_FILE && !str_starts(a->address, "/")) {
            buf_addz(&b, "save ");
        }
        add_local_part(&b, a);
    } else {
        if (a->local_part.p && a->domain.len) {
            add_local_part(&b, a);
            buf_addc(&b, '@');
            buf_adds(&b, a->domain);
        } else {
            buf_adds(&b, a->address);
        }
        show_top = !says_top(buf_str(&b), a, top, all_parents);
    }
    if ((all_parents || special) && a->parent && a->parent != top) {
        const char *sep = " (";
        for (const struct address *p = a->parent; p && p != top; p = p->parent) {
            buf_addf(&b, "%s%.*s", sep, STR_ARG(p->address));
            sep = ", ";
            if (!all_parents) {
                break;
            }
        }
        buf_addc(&b, ')');
    }
    if (show_top) {
        buf_addf(&b, " <%.*s>", STR_ARG(top->address));
    }
    return buf_str(&b);
}

static void add_host(struct buf *b, const struct address *a)
{
    const struct host *h = a->host_used;
    bool authentic = log_wants(LS_dnssec) && h->dnssec;
    buf_addf(b, " H=%.*s%s [%.*s]", STR_ARG(h->name), authentic ? " DS" : "", STR_ARG(h->address));
    if (log_wants(LS_outgoing_port) && a->host_used_port > 0) {
        buf_addf(b, ":%d", a->host_used_port);
    }
    if (a->continued) {
        buf_addc(b, '*');
    }
}

static void add_interface(struct buf *b, const struct address *a)
{
    const struct queue_note *n = a->note;
    if (n && log_wants(LS_incoming_interface) && log_wants(LS_outgoing_interface) &&
        !str_empty(n->sending_ip)) {
        buf_addf(b, " I=[%.*s]", STR_ARG(n->sending_ip));
        if (log_wants(LS_outgoing_port)) {
            buf_addf(b, ":%d", n->sending_port);
        }
    }
}

/* The TLS connection; the name that was sent (SNI) is for lines about incoming mail. */
static void add_tls(struct buf *b, const struct address *a)
{
    if (a->tls) {
        struct tls_facts f = *a->tls;
        f.sni = STR_NONE;
        tls_log(b, &f);
    }
}

/* C="…": the first bytes of the peer's final reply, quotes and backslashes escaped. */
static void add_confirmation(struct buf *b, struct str text)
{
    text = str_printable(b->pool, text, false);
    buf_addz(b, " C=\"");
    for (uint32_t i = 0; i < text.len && i < CONFIRMATION_MAX; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\') {
            buf_addc(b, '\\');
        }
        buf_addc(b, text.p[i]);
    }
    buf_addc(b, '"');
}

static void add_sender(struct job *j, struct buf *b)
{
    if (log_wants(LS_sender_on_delivery)) {
        buf_addf(b, " F=<%.*s>", STR_ARG(j->m->sender));
    }
}

static void add_return_path(struct buf *b, const struct address *a)
{
    if (log_wants(LS_return_path_on_delivery) && a->note && !str_unset(a->note->return_path)) {
        buf_addf(b, " P=<%.*s>", STR_ARG(a->note->return_path));
    }
}

static void add_router_transport(struct buf *b, const struct address *a)
{
    if (a->router) {
        buf_addf(b, " R=%.*s", STR_ARG(a->router->name));
    }
    if (a->transport) {
        buf_addf(b, " T=%.*s", STR_ARG(a->transport->name));
    }
}

/* Nothing was tried: the two times are unset and make "0s". */
static void add_deliver_time(struct job *j, struct buf *b, const struct address *a)
{
    if (log_wants(LS_deliver_time)) {
        struct str s = time_used(j->pool, a->tried, a->ended, log_wants(LS_millisec));
        buf_addf(b, " DT=%.*s", STR_ARG(s));
    }
}

static void add_queue_time(struct job *j, struct buf *b)
{
    bool exclusive = log_wants(LS_queue_time_exclusive);
    struct timespec from = exclusive ? j->m->received_complete : j->m->received;
    struct str s = time_used(j->pool, from, time_now(), log_wants(LS_millisec));
    buf_addf(b, " QT=%.*s", STR_ARG(s));
}

/* The facts of the SMTP conversation. */
static void add_remote(struct buf *b, const struct address *a)
{
    if (a->host_used) {
        add_host(b, a);
        add_interface(b, a);
        add_tls(b, a);
    }
    if (log_wants(LS_pipelining) && a->pipelining_used) {
        buf_addz(b, " L");
    }
    if (a->chunking_used) {
        buf_addz(b, " K");
    }
}

struct str log_delivered(struct job *j, const struct address *a)
{
    struct buf b;
    buf_init(&b, j->pool, LINE_MAX_LEN);
    if (a->outcome == ADDR_DISCARD) {
        buf_addf(&b, ":blackhole: <%.*s>", STR_ARG(top_of(a)->address));
        add_router_transport(&b, a);
        return buf_str(&b);
    }
    buf_addz(&b, a->kind == AK_REPLY ? ">" : "");
    buf_adds(&b, log_address(j->pool, a, log_wants(LS_all_parents), true));
    add_sender(j, &b);
    add_return_path(&b, a);
    add_router_transport(&b, a);
    if (log_wants(LS_delivery_size) && a->transport) {
        buf_addf(&b, " S=%lld", (long long)a->size_delivered);
    }
    if (a->transport && !a->transport->local) {
        add_remote(&b, a);
    } else if (a->transport) {
        if (a->hosts) {
            buf_addf(&b, " H=%.*s", STR_ARG(a->hosts->name));
        }
        if (a->note && a->note->shadow.len) {
            buf_adds(&b, a->note->shadow);
        }
    }
    if (log_wants(LS_smtp_confirmation) && !str_empty(a->confirmation)) {
        add_confirmation(&b, a->confirmation);
    }
    if (log_wants(LS_queue_time)) {
        add_queue_time(j, &b);
    }
    add_deliver_time(j, &b, a);
    return buf_str(&b);
}

struct str log_failed(struct job *j, const struct address *a)
{
    struct buf b;
    buf_init(&b, j->pool, LINE_MAX_LEN);
    buf_adds(&b, log_address(j->pool, a, log_wants(LS_all_parents), false));
    add_sender(j, &b);
    add_return_path(&b, a);
    add_router_transport(&b, a);
    if (a->host_used) {
        add_host(&b, a);
        add_interface(&b, a);
        add_tls(&b, a);
    }
    if (a->basic_errno > 0) {
        buf_addf(&b, ": %s", strerror(a->basic_errno));
    }
    if (!str_unset(a->message)) {
        buf_addf(&b, ": %.*s", STR_ARG(a->message));
    }
    add_deliver_time(j, &b, a);
    return buf_str(&b);
}

struct str log_deferred(struct job *j, const struct address *a, enum stage stage)
{
    struct buf b;
    buf_init(&b, j->pool, LINE_MAX_LEN);
    buf_adds(&b, log_address(j->pool, a, log_wants(LS_all_parents), false));
    if (stage == STAGE_TRANSPORT) {
        add_router_transport(&b, a);
    } else if (stage == STAGE_ROUTER && a->router) {
        buf_addf(&b, " R=%.*s", STR_ARG(a->router->name));
    } else if (stage == STAGE_ROUTING) {
        buf_addz(&b, " routing");
    }
    buf_addf(&b, " defer (%d)", a->basic_errno);
    if (a->basic_errno > 0) {
        buf_addf(&b, ": %s", strerror(a->basic_errno));
    }
    if (a->host_used) {
        add_host(&b, a);
        add_interface(&b, a);
    }
    add_deliver_time(j, &b, a);
    if (!str_unset(a->message)) {
        buf_addf(&b, ": %.*s", STR_ARG(a->message));
    }
    return buf_str(&b);
}
