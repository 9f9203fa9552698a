/*
 * The generic options of transports, the checks once all sections are read, variables of a
 * delivery, batched SMTP envelopes, and the module.
 * Settings are constant once linked; every mistake is reported at its transport's place.
 */
#include "transport/internal.h"

#include <pwd.h>
#include <stdio.h>

#define O(field) offsetof(struct transport, field)

static bool add_headers(struct opt_reader *r, void *base, struct str value)
{
    return route_parse_items(r, &((struct transport *)base)->headers_add, value, '\n');
}

static struct str print_headers_add(struct pool *pool, const void *base)
{
    return route_print_items(pool, &((const struct transport *)base)->headers_add, "\n");
}

static bool add_removal(struct opt_reader *r, void *base, struct str value)
{
    return route_parse_items(r, &((struct transport *)base)->headers_remove, value, ':');
}

static struct str print_headers_remove(struct pool *pool, const void *base)
{
    return route_print_items(pool, &((const struct transport *)base)->headers_remove, ":");
}

/* Rules separated by colons, each "pattern replacement flags". */
static bool set_rewrite(struct opt_reader *r, void *base, struct str value)
{
    struct transport *t = base;
    struct str rest = value, item;
    const char *option = r->option;
    int sep = 0;
    bool ok = true;
    t->headers_rewrite_text = str_dup(r->pool, value);
    while (net_list_next(r->pool, &rest, &sep, &item)) {
        ok &= str_empty(item) || rewrite_read_line(r, &t->headers_rewrite, item);
        r->option = option;
    }
    return ok;
}

static struct str print_rewrite(struct pool *pool, const void *base)
{
    (void)pool;
    return ((const struct transport *)base)->headers_rewrite_text;
}

static bool note_retry(struct opt_reader *r, void *base, struct str value)
{
    (void)r;
    (void)value;
    ((struct transport *)base)->retry_use_local_part_set = true;
    return true;
}

const struct option transport_options[] = {
    {"body_only", OPT_BOOL, O(body_only), "false", "headers are not written", NULL, NULL},
    {"current_directory", OPT_EXPAND, O(current_directory), NULL,
     "directory that local deliveries run in", NULL, NULL},
    {"debug_print", OPT_EXPAND, O(debug_print), NULL, "printed when debugging", NULL, NULL},
    {"delivery_date_add", OPT_BOOL, O(delivery_date_add), "false",
     "a Delivery-date: header is added", NULL, NULL},
    {"disable_logging", OPT_BOOL, O(disable_logging), "false", "deliveries are not logged", NULL,
     NULL},
    {"envelope_to_add", OPT_BOOL, O(envelope_to_add), "false", "an Envelope-to: header is added",
     NULL, NULL},
    {"group", OPT_GROUP, O(group), NULL, "group that deliveries run as", NULL, NULL},
    {"headers_add", OPT_REPEAT, O(headers_add), NULL, "headers to add", add_headers,
     print_headers_add},
    {"headers_only", OPT_BOOL, O(headers_only), "false", "the body is not written", NULL, NULL},
    {"headers_remove", OPT_REPEAT, O(headers_remove), NULL, "names of headers to leave out",
     add_removal, print_headers_remove},
    {"headers_rewrite", OPT_CUSTOM, O(headers_rewrite), NULL, "rewriting rules for headers",
     set_rewrite, print_rewrite},
    {"home_directory", OPT_EXPAND, O(home_directory), NULL, "$home of local deliveries", NULL,
     NULL},
    {"initgroups", OPT_BOOL, O(initgroups), "false", "deliveries get all groups of their user",
     NULL, NULL},
    {"message_size_limit", OPT_EXPAND, O(message_size_limit), "0",
     "larger messages fail; 0: any size", NULL, NULL},
    {"rcpt_include_affixes", OPT_BOOL, O(rcpt_include_affixes), "false",
     "recipients are given with what routers took off", NULL, NULL},
    {"retry_use_local_part", OPT_BOOL, O(retry_use_local_part), NULL,
     "retry data is kept by address, not by domain (default for local transports)", note_retry,
     NULL},
    {"return_path", OPT_EXPAND, O(return_path), NULL, "envelope sender of the delivery", NULL,
     NULL},
    {"return_path_add", OPT_BOOL, O(return_path_add), "false", "a Return-path: header is added",
     NULL, NULL},
    {"shadow_condition", OPT_EXPAND, O(shadow_condition), NULL,
     "must be true for the shadow transport to run", NULL, NULL},
    {"shadow_transport", OPT_STRING, O(shadow_text), NULL,
     "local transport that gets a copy of what was delivered", NULL, NULL},
    {"transport_filter", OPT_CUSTOM, O(filter_text), NULL,
     "command that the message passes through", filter_parse, filter_print},
    {"transport_filter_timeout", OPT_TIME, O(transport_filter_timeout), "5m",
     "how long the filter may take", NULL, NULL},
    {"user", OPT_USER, O(user), NULL, "user that deliveries run as", NULL, NULL},
    {0},
};

void transport_note(struct ectx *x, const struct delivery *d)
{
    const struct etext *e = &d->transport->debug_print;
    struct str s;
    if (str_unset(e->text) || !trace_selected()) {
        return;
    }
    if (expand_option(x, e, &s)) {
        TRACE(TR_any, "%.*s", STR_ARG(str_rtrim(s)));
    } else {
        TRACE(TR_any, "failed to expand debug_print \"%.*s\": %.*s", STR_ARG(e->text),
              STR_ARG(x->error));
    }
}

/* ---- checks ---- */

static bool link_transport(struct config *conf, struct opt_reader *r, struct transport *t)
{
    const struct passwd *pw = NULL;
    bool ok = true;
    t->local = t->driver->local;
    if (t->user.set && str_unset(t->user.text.text) && (pw = getpwuid(t->user.id))) {
        t->user_gid = pw->pw_gid;
        t->user_gid_known = true;
    }
    if (!t->retry_use_local_part_set) {
        t->retry_use_local_part = t->local;
    }
    if (t->body_only && t->headers_only) {
        ok = opt_error(r, "%.*s transport: body_only and headers_only are mutually exclusive",
                       STR_ARG(t->name));
    }
    for (const struct transport *s = conf->transports; s && !str_unset(t->shadow_text);
         s = s->next) {
        if (str_eq(s->name, t->shadow_text)) {
            t->shadow = s;
        }
    }
    if (!str_unset(t->shadow_text) && !t->shadow) {
        ok = opt_error(r, "%.*s transport: shadow_transport \"%.*s\" not found", STR_ARG(t->name),
                       STR_ARG(t->shadow_text));
    } else if (t->shadow && (!t->local || !t->shadow->driver || !t->shadow->driver->local)) {
        ok = opt_error(r, "%.*s transport: shadow transports are for local transports only",
                       STR_ARG(t->name));
    }
    return ok;
}

static bool finish(struct config *conf, struct opt_reader *r)
{
    bool ok = true;
    for (struct transport *t = conf->transports; t; t = t->next) {
        if (t->driver) {
            r->pos = t->pos;
            r->option = "";
            ok &= link_transport(conf, r, t);
        }
    }
    return ok;
}

/* ---- batched SMTP (RFC 2442 in spirit) ---- */

struct str bsmtp_envelope(struct ectx *x, const struct delivery *d, struct str prefix, bool crlf)
{
    struct buf b;
    const char *eol = crlf ? "\r\n" : "\n";
    buf_init(&b, x->pool, 64 * 1024 * 1024);
    buf_adds(&b, prefix);
    buf_addf(&b, "MAIL FROM:<%.*s>%s", STR_ARG(d->return_path), eol);
    for (struct address *a = d->addrs; a; a = a->next) {
        struct str rcpt = transport_rcpt(x->pool, a, d->transport->rcpt_include_affixes);
        buf_addf(&b, "RCPT TO:<%.*s>%s", STR_ARG(rcpt), eol);
    }
    buf_addf(&b, "DATA%s", eol);
    return buf_str(&b);
}

/* ---- variables ---- */

static struct str get_transport_name(struct ectx *x, struct str name)
{
    (void)name;
    return x->dlv && x->dlv->transport ? x->dlv->transport->name : STR_NONE;
}

static struct str get_inode(struct ectx *x, struct str name)
{
    (void)name;
    return x->dlv ? x->dlv->inode : STR_NONE;
}

static struct str get_basename(struct ectx *x, struct str name)
{
    (void)name;
    return x->dlv ? x->dlv->mailstore_basename : STR_NONE;
}

static const struct variable variables[] = {
    {"inode", get_inode, "inode of the file, in directory_file"},
    {"mailstore_basename", get_basename, "path common to the two files, in mailstore options"},
    {"transport_name", get_transport_name, "the transport at work"},
    {0},
};

static const struct transport_driver *const drivers[] = {
    &appendfile_transport, &autoreply_transport, &lmtp_transport,
    &pipe_transport,       &smtp_transport,      NULL,
};

static const char *const features[] = {"appendfile/maildir/mailstore", NULL};

const struct module transport_module = {
    .features = features,
    .name = "transport",
    .room = ROOM_TRANSPORT,
    .transports = drivers,
    .variables = variables,
    .hints = transport_hints,
    .finish = finish,
};
