/*
 * The redirect router: an address becomes other addresses, files, pipes; or it fails, is deferred
 * or dropped. The data come from an expansion or a file; redirect_list.c takes them apart.
 *
 * Children are made in the order of the data and put in front of the job's generated list as a
 * group. Children that are files or pipes get their transport here.
 */
#include "route/redirect.h"

#include <stdio.h>

/* One run of the router over its data, with :include: files. */
struct run {
    struct route_job *job;
    const struct router *r;
    const struct redirect_opts *o;
    struct address *a;
    struct address *first, **last; /* children so far */
    int depth;                     /* of :include: */
    bool skipped;                  /* a faulty item was passed over */
    struct buf faults;             /* for syntax_errors_to */
    enum route_result verdict;     /* ROUTE_OK: go on */
};

static bool add_error(struct run *u, struct str text)
{
    u->a->message = text;
    u->a->basic_errno = ERRNO_BADREDIRECT;
    u->verdict = ROUTE_DEFER;
    return false;
}

static bool data_error(struct run *u, struct str text)
{
    return add_error(u, STR_CAT(u->job->x->pool, STR("error in redirect data: "), text));
}

static bool not_permitted(struct run *u, struct str item)
{
    return data_error(u, STR_CAT(u->job->x->pool, STR("\""), item, STR("\" is not permitted")));
}

/* ---- children ---- */

static void add_child(struct run *u, struct address *child)
{
    child->next = NULL;
    *u->last = child;
    u->last = &child->next;
    child->start_router = u->r->redirect_router;
    child->hide_child |= u->o->hide_child_in_errmsg;
}

/* A faulty address: skipped and noted, or the end. */
static bool bad_address(struct run *u, struct str error, struct str item)
{
    struct ectx *x = u->job->x;
    struct str text = STR_CAT(x->pool, error, STR(" in \""), item, STR("\""));
    if (!u->o->skip_syntax_errors) {
        return data_error(u, text);
    }
    u->skipped = true;
    log_msg(LOG_MAIN, x->msg, "%.*s router: skipped error: %.*s", STR_ARG(u->r->name),
            STR_ARG(text));
    buf_addf(&u->faults, "  %.*s in the address\n  \"%.*s\"\n\n", STR_ARG(error), STR_ARG(item));
    return true;
}

/* Completes an address without domain; false with the router declining. */
static bool qualify(struct run *u, struct str *text, bool backslash)
{
    struct ectx *x = u->job->x;
    struct str domain = core_settings(x->conf)->qualify_recipient;
    if (backslash || u->o->qualify_preserve_domain) {
        domain = u->a->domain;
    } else if (!str_unset(u->o->qualify_domain.text) &&
               !expand_option(x, &u->o->qualify_domain, &domain)) {
        u->verdict = ROUTE_DECLINE;
        return false;
    }
    *text = STR_CAT(x->pool, *text, STR("@"), domain);
    return true;
}

/* check_ancestor: an ancestor's address stands for the current address. */
static struct str not_ancestor(struct run *u, struct str text)
{
    for (const struct address *p = u->a; u->o->check_ancestor && p; p = p->parent) {
        if (str_eqi(p->address, text)) {
            return u->a->address;
        }
    }
    return text;
}

static bool add_address(struct run *u, const struct redirect_item *item)
{
    struct ectx *x = u->job->x;
    struct mailbox m;
    struct str error, text = item->text;
    bool backslash = str_starts(text, "\\");
    if (backslash) {
        text = str_from(text, 1);
    }
    if (!mailbox_parse(x->pool, text, mailbox_flags(x->conf), &m, &error)) {
        return bad_address(u, error, item->text);
    }
    text = m.text;
    if (str_empty(text)) {
        return true;
    }
    if (str_empty(m.domain) && !qualify(u, &text, backslash)) {
        return false;
    }
    if (u->o->rewrite && x->conf->rewrite_rules) {
        text = rewrite_address(x, x->conf->rewrite_rules, text, RW_ENVTO);
    }
    add_child(u, route_child(x, u->a, not_ancestor(u, text)));
    return true;
}

/* The transport for a pipe or file; unset or unknown is the child's failure, not the router's. */
static void find_transport(struct run *u, struct address *child, const struct etext *e,
                           const struct transport *fixed, const char *name)
{
    struct ectx *x = u->job->x;
    struct str text = STR_NONE;
    child->transport = fixed;
    if (!fixed && str_unset(e->text)) {
        child->message = str_fmt(x->pool, "%s unset in %.*s router", name, STR_ARG(u->r->name));
    } else if (!fixed && !expand_option(x, e, &text)) {
        child->message = str_fmt(x->pool, "failed to expand \"%.*s\" in %.*s router: %.*s",
                                 STR_ARG(e->text), STR_ARG(u->r->name), STR_ARG(x->error));
    } else if (!fixed && !(child->transport = route_find_transport(x->conf, text))) {
        child->message = str_fmt(x->pool, "transport \"%.*s\" not found in %.*s router",
                                 STR_ARG(text), STR_ARG(u->r->name));
    }
    if (!child->transport) {
        child->outcome = ADDR_DEFER;
        child->basic_errno = ERRNO_BADTRANSPORT;
    }
}

/* A child that is a file or a pipe: it keeps the variables of its parent. */
static struct address *special_child(struct run *u, struct str text)
{
    struct ectx *x = u->job->x;
    const struct address *a = u->a;
    struct address *c = route_child(x, u->a, text);
    c->address = text;
    c->pipe_file = text;
    c->local_part = a->local_part;
    c->cc_local_part = a->cc_local_part;
    c->domain = a->domain;
    c->prefix = a->prefix;
    c->suffix = a->suffix;
    c->prefix_v = a->prefix_v;
    c->suffix_v = a->suffix_v;
    c->domain_data = a->domain_data;
    c->local_part_data = a->local_part_data;
    c->home = a->home;
    c->local_user_known = a->local_user_known;
    c->local_user_uid = a->local_user_uid;
    c->local_user_gid = a->local_user_gid;
    c->local_user_home = a->local_user_home;
    c->router = u->r;
    c->unique = STR_CAT(x->pool, text, STR(":"), a->unique);
    return c;
}

static void add_file(struct run *u, struct str text)
{
    struct address *c = special_child(u, text);
    bool directory = str_ends(text, STR("/"));
    c->kind = directory ? AK_DIRECTORY : AK_FILE;
    if (str_is(text, "/dev/null") && !u->o->file_transport &&
        str_unset(u->o->file_transport_text.text)) {
        find_transport(u, c, &u->o->file_transport_text, NULL, "file_transport");
    } else if (directory) {
        find_transport(u, c, &u->o->directory_transport_text, u->o->directory_transport,
                       "directory_transport");
    } else {
        find_transport(u, c, &u->o->file_transport_text, u->o->file_transport, "file_transport");
    }
    if (u->o->forbid_file) {
        c->outcome = ADDR_FAIL;
        c->basic_errno = ERRNO_FORBIDFILE;
        c->message = STR("delivery to file forbidden");
    }
    add_child(u, c);
}

static void add_pipe(struct run *u, struct str text)
{
    struct address *c = special_child(u, text);
    c->kind = AK_PIPE;
    find_transport(u, c, &u->o->pipe_transport_text, u->o->pipe_transport, "pipe_transport");
    if (u->o->forbid_pipe) {
        c->outcome = ADDR_FAIL;
        c->basic_errno = ERRNO_FORBIDPIPE;
        c->message = STR("delivery to pipe forbidden");
    }
    add_child(u, c);
}

/* ---- special items ---- */

/* The text of :fail: and :defer:, without a reply code if forbid_smtp_code says so. */
static struct str reply_text(struct run *u, struct str text)
{
    bool code = text.len > 3 && str_all_in(str_sub(text, 0, 3), "0123456789") && text.p[3] == ' ';
    if (u->o->forbid_smtp_code && code) {
        text = str_ltrim(str_from(text, 4));
        ptrdiff_t space = str_chr(text, ' ');
        if (space > 0 && str_all_in(str_sub(text, 0, (size_t)space), "0123456789.")) {
            text = str_ltrim(str_from(text, (size_t)space));
        }
    }
    return text;
}

static bool end_with(struct run *u, enum route_result verdict, struct str text)
{
    u->a->message = u->a->user_message = reply_text(u, text);
    u->verdict = verdict;
    return false;
}

static bool take_data(struct run *u, struct str data);

static bool include(struct run *u, const struct redirect_item *item)
{
    struct ectx *x = u->job->x;
    const struct redirect_opts *o = u->o;
    struct str path = item->text, dir = STR_NONE, data, why;
    if (o->forbid_include) {
        return data_error(u, STR("included files not permitted"));
    }
    if (!str_starts(path, "/")) {
        return data_error(
            u, str_fmt(x->pool, "included file \"%.*s\" is not an absolute path", STR_ARG(path)));
    }
    if (!str_unset(o->include_directory.text)) {
        if (!expand_option(x, &o->include_directory, &dir)) {
            return data_error(u, route_expand_error(x, "include_directory", &o->include_directory));
        }
        bool inside = path.len > dir.len && str_eq(str_sub(path, 0, dir.len), dir) &&
                      path.p[dir.len] == '/' && str_find(path, STR("/../")) < 0;
        if (!inside) {
            return data_error(u, str_fmt(x->pool, "included file %.*s is not in directory %.*s",
                                         STR_ARG(path), STR_ARG(dir)));
        }
    }
    if (u->depth >= 20) {
        return data_error(u, STR(":include: is nested too deeply"));
    }
    if (path.tainted) {
        return data_error(
            u, str_fmt(x->pool, "Tainted name '%.*s' for file read not permitted", STR_ARG(path)));
    }
    switch (redirect_read_include(x, u->a, path, dir, &data, &why)) {
    case REDIRECT_NONE: return true;
    case REDIRECT_DEFER: return data_error(u, why);
    case REDIRECT_DATA: break;
    }
    u->depth++;
    bool ok = take_data(u, data);
    u->depth--;
    return ok;
}

static bool take_item(struct run *u, const struct redirect_item *item)
{
    switch (item->kind) {
    case RD_ADDRESS: return add_address(u, item);
    case RD_PIPE: add_pipe(u, item->text); return true;
    case RD_FILE: add_file(u, item->text); return true;
    case RD_INCLUDE: return include(u, item);
    case RD_UNKNOWN: return true;
    case RD_BLACKHOLE:
        return u->o->forbid_blackhole ? not_permitted(u, item->whole)
                                      : (u->verdict = ROUTE_DISCARD, false);
    case RD_FAIL:
        return u->o->allow_fail ? end_with(u, ROUTE_FAIL, item->text)
                                : not_permitted(u, item->whole);
    case RD_DEFER:
        return u->o->allow_defer ? end_with(u, ROUTE_DEFER, item->text)
                                 : not_permitted(u, item->whole);
    }
    return true;
}

/* False once a verdict was reached. */
static bool take_data(struct run *u, struct str data)
{
    struct redirect_item item;
    while (redirect_next(u->job->x->pool, &data, &item)) {
        TRACE(TR_route, "extract item: %.*s", STR_ARG(item.whole));
        if (!take_item(u, &item)) {
            return false;
        }
    }
    return true;
}

/* ---- the router ---- */

static enum route_result get_data(struct route_job *job, const struct router *r, struct address *a,
                                  struct str *data)
{
    const struct redirect_opts *o = r->opts;
    struct ectx *x = job->x;
    const struct etext *e = str_unset(o->file.text) ? &o->data : &o->file;
    struct str text, why;
    TRACE(TR_route, "rda_interpret (%s): '%.*s'", e == &o->data ? "string" : "file",
          STR_ARG(e->text));
    if (!expand_option(x, e, &text)) {
        return x->forced_fail ? ROUTE_DECLINE
                              : route_defer(a, ERRNO_UNKNOWNERROR,
                                            str_fmt(x->pool, "failed to expand \"%.*s\": %.*s",
                                                    STR_ARG(e->text), STR_ARG(x->error)));
    }
    TRACE(TR_route, "expanded: '%.*s'", STR_ARG(text));
    if (e == &o->data) {
        *data = text;
        return ROUTE_OK;
    }
    switch (redirect_read_file(x, o, r, a, text, data, &why)) {
    case REDIRECT_NONE: return ROUTE_DECLINE;
    case REDIRECT_DEFER: return route_defer(a, ERRNO_BADREDIRECT, why);
    case REDIRECT_DATA: break;
    }
    return ROUTE_OK;
}

/* Sets what all children get; files and pipes also the identity. */
static bool settle_children(struct run *u)
{
    struct address *a = u->a;
    if (!route_own_settings(u->job, u->r, a)) {
        return false;
    }
    for (struct address *c = u->first; c; c = c->next) {
        c->errors_to = a->errors_to;
        c->errors_to_empty = a->errors_to_empty;
        c->extra_headers = a->extra_headers;
        c->remove_headers = (struct strvec){.pool = a->remove_headers.pool};
        for (size_t i = 0; i < a->remove_headers.n; i++) {
            strvec_push(&c->remove_headers, a->remove_headers.v[i]);
        }
        if (c->kind == AK_NORMAL) {
            continue;
        }
        if (!route_own_identity(u->job, u->r, c)) {
            a->message = c->message;
            return false;
        }
        route_own_directories(u->r, c);
    }
    return true;
}

/* The last child first, as Exim keeps them. */
static void trace_children(const struct run *u, const struct address *c)
{
    if (!c) {
        return;
    }
    trace_children(u, c->next);
    struct str errors = str_unset(c->errors_to) ? STR("NULL") : c->errors_to;
    trace_write("%.*s router generated %.*s\n  errors_to=%.*s transport=%.*s", STR_ARG(u->r->name),
                STR_ARG(c->address), STR_ARG(errors),
                STR_ARG(c->transport ? c->transport->name : STR("NULL")));
}

/* Hands the children over; those that came to nothing go to the failed or deferred list at once. */
static enum route_result hand_over(struct run *u)
{
    struct address *next, *rest = u->job->generated, **last = &u->job->generated;
    if (trace_on(TR_route)) {
        trace_children(u, u->first);
    }
    u->job->generated = NULL;
    for (struct address *c = u->first; c; c = next) {
        next = c->next;
        if (c->outcome == ADDR_PENDING || u->job->why != ROUTE_DELIVER) {
            c->next = NULL;
            *last = c;
            last = &c->next;
        } else {
            route_append(c->outcome == ADDR_FAIL ? &u->job->failed : &u->job->deferred, c);
        }
    }
    *last = rest;
    return ROUTE_REROUTED;
}

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    const struct redirect_opts *o = r->opts;
    struct run u = {.job = job, .r = r, .o = o, .a = a, .verdict = ROUTE_OK};
    struct str data;
    bool known = true;
    u.last = &u.first;
    buf_init(&u.faults, job->x->pool, 1024 * 1024);
    if (r->check_local_user || r->user.set) {
        known = route_own_identity(job, r, a); /* the file is read as that user */
    }
    enum route_result result = known ? get_data(job, r, a, &data) : ROUTE_DEFER;
    if (result != ROUTE_OK) {
        return result;
    }
    int children = a->child_count;
    TRACE(TR_route, "file is not a filter file\nparse_forward_list: %.*s", STR_ARG(data));
    if (!take_data(&u, data)) {
        if (u.verdict == ROUTE_FAIL && u.first && settle_children(&u)) {
            hand_over(&u); /* what stood before :fail: still gets the message */
        } else {
            a->child_count = children;
        }
        return u.verdict;
    }
    if (u.skipped && job->why == ROUTE_DELIVER && !str_unset(o->syntax_errors_to)) {
        redirect_report_faults(job, u.r, buf_str(&u.faults), u.first != NULL);
    }
    if (!u.first) {
        if (u.skipped) {
            a->message = STR("syntax error in redirection data");
            a->keep_message = true;
        }
        return ROUTE_DECLINE;
    }
    if (!settle_children(&u)) {
        a->child_count = children;
        return route_defer(a, ERRNO_UNKNOWNERROR, a->message);
    }
    a->one_time = o->one_time;
    return hand_over(&u);
}

const struct router_driver redirect_router = {
    .name = "redirect",
    .opts_size = sizeof(struct redirect_opts),
    .options = redirect_options,
    .init = redirect_init,
    .link = redirect_link,
    .route = route,
    .no_transport = true,
};
