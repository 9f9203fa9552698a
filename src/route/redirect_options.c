/*
 * Options of the redirect router, their checks when the configuration is read, and the message to
 * syntax_errors_to.
 * The message is submitted through the job's hook; one that cannot be sent is logged and costs
 * nothing else.
 */
#include "route/redirect.h"

#include <stdio.h>

#define O(field) offsetof(struct redirect_opts, field)

static bool filter_refused(struct opt_reader *r, void *base, struct str value)
{
    struct redirect_opts *o = base;
    (void)value;
    return !o->unsupported_on || opt_error(r,
                                           "option \"%s\" is known to Exim but not supported by "
                                           "this version of minim",
                                           r->option);
}

static bool note_check_owner(struct opt_reader *r, void *base, struct str value)
{
    (void)r;
    (void)value;
    ((struct redirect_opts *)base)->check_owner_set = true;
    return true;
}

static bool note_check_group(struct opt_reader *r, void *base, struct str value)
{
    (void)r;
    (void)value;
    ((struct redirect_opts *)base)->check_group_set = true;
    return true;
}

/* What filter files may not do: they may do nothing at all, so these are kept by nature. */
#define FILTER(name) \
    { \
        name, OPT_BOOL, O(unused), "false", "accepted: no filter file is ever run", NULL, NULL \
    }

const struct option redirect_options[] = {
    {"allow_defer", OPT_BOOL, O(allow_defer), "false", ":defer: may be used", NULL, NULL},
    {"allow_fail", OPT_BOOL, O(allow_fail), "false", ":fail: may be used", NULL, NULL},
    {"allow_filter", OPT_BOOL, O(unsupported_on), "false",
     "filter files: true is an error, they are not supported yet", filter_refused, NULL},
    {"allow_freeze", OPT_BOOL, O(unsupported_on), "false",
     "filter files may freeze: true is an error, they are not supported yet", filter_refused, NULL},
    {"check_ancestor", OPT_BOOL, O(check_ancestor), "false",
     "an address that an ancestor had stands for the current one", NULL, NULL},
    {"check_group", OPT_BOOL, O(check_group), NULL, "the file's group must be a permitted one",
     note_check_group, NULL},
    {"check_owner", OPT_BOOL, O(check_owner), NULL, "the file's owner must be a permitted one",
     note_check_owner, NULL},
    {"data", OPT_EXPAND, O(data), NULL, "the redirection data", NULL, NULL},
    {"directory_transport", OPT_EXPAND, O(directory_transport_text), NULL,
     "transport for paths that end with a slash", NULL, NULL},
    {"file", OPT_EXPAND, O(file), NULL, "file that holds the redirection data", NULL, NULL},
    {"file_transport", OPT_EXPAND, O(file_transport_text), NULL, "transport for paths", NULL, NULL},
    {"forbid_blackhole", OPT_BOOL, O(forbid_blackhole), "false", ":blackhole: may not be used",
     NULL, NULL},
    FILTER("forbid_exim_filter"),
    {"forbid_file", OPT_BOOL, O(forbid_file), "false", "no delivery to files and directories", NULL,
     NULL},
    FILTER("forbid_filter_dlfunc"),
    FILTER("forbid_filter_existstest"),
    FILTER("forbid_filter_logwrite"),
    FILTER("forbid_filter_lookup"),
    FILTER("forbid_filter_perl"),
    FILTER("forbid_filter_readfile"),
    FILTER("forbid_filter_readsocket"),
    FILTER("forbid_filter_reply"),
    FILTER("forbid_filter_run"),
    {"forbid_include", OPT_BOOL, O(forbid_include), "false", ":include: may not be used", NULL,
     NULL},
    {"forbid_pipe", OPT_BOOL, O(forbid_pipe), "false", "no delivery to pipes", NULL, NULL},
    FILTER("forbid_sieve_filter"),
    {"forbid_smtp_code", OPT_BOOL, O(forbid_smtp_code), "false",
     "reply codes in :fail: and :defer: texts are dropped", NULL, NULL},
    {"hide_child_in_errmsg", OPT_BOOL, O(hide_child_in_errmsg), "false",
     "bounces do not name generated addresses", NULL, NULL},
    {"ignore_eacces", OPT_BOOL, O(ignore_eacces), "false",
     "a file that may not be opened counts as missing", NULL, NULL},
    {"ignore_enotdir", OPT_BOOL, O(ignore_enotdir), "false",
     "a path through something that is no directory counts as missing", NULL, NULL},
    {"include_directory", OPT_EXPAND, O(include_directory), NULL, "where :include: files must be",
     NULL, NULL},
    {"modemask", OPT_OCT, O(modemask), "022", "mode bits that the file must not have", NULL, NULL},
    {"one_time", OPT_BOOL, O(one_time), "false",
     "children that could not be delivered at once replace the address", NULL, NULL},
    {"owners", OPT_USERS, O(owners), NULL, "permitted owners of the file", NULL, NULL},
    {"owngroups", OPT_GROUPS, O(owngroups), NULL, "permitted groups of the file", NULL, NULL},
    {"pipe_transport", OPT_EXPAND, O(pipe_transport_text), NULL, "transport for |command", NULL,
     NULL},
    {"qualify_domain", OPT_EXPAND, O(qualify_domain), NULL, "domain for addresses without one",
     NULL, NULL},
    {"qualify_preserve_domain", OPT_BOOL, O(qualify_preserve_domain), "false",
     "addresses without a domain get that of the parent", NULL, NULL},
    {"repeat_use", OPT_BOOL, O(repeat_use), "true",
     "the router may handle what comes of its own children", NULL, NULL},
    {"reply_transport", OPT_EXPAND, O(reply_transport_text), NULL,
     "transport for automatic replies, which only filter files make", NULL, NULL},
    {"rewrite", OPT_BOOL, O(rewrite), "true", "generated addresses are rewritten", NULL, NULL},
    {"skip_syntax_errors", OPT_BOOL, O(skip_syntax_errors), "false",
     "faulty addresses are logged and passed over", NULL, NULL},
    {"syntax_errors_text", OPT_EXPAND, O(syntax_errors_text), NULL,
     "head of the message to syntax_errors_to", NULL, NULL},
    {"syntax_errors_to", OPT_STRING, O(syntax_errors_to), NULL,
     "who is told about addresses passed over", NULL, NULL},
    {0},
};

bool redirect_init(struct opt_reader *r, struct router *router)
{
    struct redirect_opts *o = router->opts;
    if (str_unset(o->data.text) == str_unset(o->file.text)) {
        return opt_error(r, "%.*s router:\n  %s of \"file\" or \"data\" must be specified",
                         STR_ARG(router->name), str_unset(o->data.text) ? "one" : "only one");
    }
    if (o->qualify_preserve_domain && !str_unset(o->qualify_domain.text)) {
        return opt_error(r, "only one of qualify_domain or qualify_preserve_domain must be set");
    }
    if (o->one_time) {
        if (router->headers_add.n || router->headers_remove.n) {
            return opt_error(r, "a redirect router with one_time may not set headers_add or "
                                "headers_remove");
        }
        if (!str_is(router->unseen.text, "false")) {
            return opt_error(r, "\"unseen\" may not be set with one_time");
        }
        o->forbid_file = o->forbid_pipe = true;
    }
    if (!o->check_owner_set) {
        o->check_owner = router->check_local_user || o->owners.n;
    }
    if (!o->check_group_set) {
        o->check_group = (router->check_local_user && !(o->modemask & 020)) || o->owngroups.n;
    }
    router->no_repeat = !o->repeat_use;
    return true;
}

static bool link_one(struct opt_reader *r, const struct etext *e, const char *name,
                     const struct transport **out)
{
    if (str_unset(e->text) || e->tree) {
        return true;
    }
    *out = route_find_transport(r->conf, e->text);
    return *out || opt_error(r, "%s: transport \"%.*s\" not found", name, STR_ARG(e->text));
}

bool redirect_link(struct opt_reader *r, struct router *router)
{
    struct redirect_opts *o = router->opts;
    const struct transport *unused = NULL;
    bool ok = link_one(r, &o->file_transport_text, "file_transport", &o->file_transport);
    ok &= link_one(r, &o->pipe_transport_text, "pipe_transport", &o->pipe_transport);
    ok &= link_one(r, &o->reply_transport_text, "reply_transport", &unused);
    return link_one(r, &o->directory_transport_text, "directory_transport",
                    &o->directory_transport) &&
           ok;
}

/* The message that names the addresses passed over. */
void redirect_report_faults(struct route_job *job, const struct router *r, struct str faults,
                            bool others)
{
    const struct redirect_opts *o = r->opts;
    struct ectx *x = job->x;
    struct str text;
    if (!job->submit) {
        return;
    }
    struct str headers = STR_CAT(
        x->pool, STR("Auto-Submitted: auto-replied\nFrom: Mail Delivery System <Mailer-Daemon@"),
        core_settings(x->conf)->qualify_domain, STR(">\nTo: "), o->syntax_errors_to,
        STR("\nReferences: <E"), x->msg->id, STR("@"), core_settings(x->conf)->primary_hostname,
        STR(">\nSubject: error(s) in forwarding or filtering\n"));
    text = STR("");
    if (!str_unset(o->syntax_errors_text.text) && expand_option(x, &o->syntax_errors_text, &text)) {
        text = STR_CAT(x->pool, text, STR("\n\n"));
    }
    job->submit(job->owner, o->syntax_errors_to, headers,
                STR_CAT(x->pool, text, STR("The "), r->name,
                        STR(" router encountered the following error(s):\n\n"), faults,
                        others ? STR("Other addresses were processed normally.\n")
                               : STR("No valid addresses were generated.\n")));
}
