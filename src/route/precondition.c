/*
 * Router preconditions, tested in the documented order: affixes, purpose, domains, local_parts,
 * check_local_user, router_home_directory, senders, require_files, condition.
 *
 * What a test finds out ($domain_data, $local_part_data, $home, the local user's ids) is left in
 * the address, for the tests behind it, the router and the transport. A test that cannot be decided
 * now defers the address.
 */
#include "route/internal.h"

#include <pwd.h>
#include <stdio.h>

static void trace_skip(const struct router *r, const char *why)
{
    TRACE(TR_route, "%.*s router skipped: %s", STR_ARG(r->name), why);
}

/* ---- affixes ---- */

/* Length of the prefix of lp that one pattern stands for; -1: no match. */
static ptrdiff_t prefix_length(struct str pattern, struct str lp, uint32_t *wild)
{
    *wild = 0;
    if (!str_starts(pattern, "*")) {
        return lp.len >= pattern.len && str_eqi(str_sub(lp, 0, pattern.len), pattern)
                   ? (ptrdiff_t)pattern.len
                   : -1;
    }
    struct str tail = str_from(pattern, 1);
    for (ptrdiff_t at = (ptrdiff_t)lp.len - (ptrdiff_t)tail.len; at >= 0; at--) {
        if (str_eqi(str_sub(lp, (size_t)at, tail.len), tail)) {
            *wild = (uint32_t)at;
            return at + (ptrdiff_t)tail.len;
        }
    }
    return -1;
}

/* The same for a suffix, whose wildcard is its last character. */
static ptrdiff_t suffix_length(struct str pattern, struct str lp, uint32_t *wild)
{
    *wild = 0;
    if (!str_ends(pattern, STR("*"))) {
        return str_endsi(lp, pattern) ? (ptrdiff_t)pattern.len : -1;
    }
    struct str head = str_sub(pattern, 0, pattern.len - 1u);
    ptrdiff_t at = str_findi(lp, head);
    if (at < 0) {
        return -1;
    }
    *wild = lp.len - (uint32_t)at - head.len;
    return (ptrdiff_t)lp.len - at;
}

static bool strip_prefix(struct pool *pool, struct str list, struct address *a)
{
    struct str item;
    uint32_t wild;
    int sep = 0;
    while (net_list_next(pool, &list, &sep, &item)) {
        ptrdiff_t n = prefix_length(item, a->local_part, &wild);
        if (n >= 0) {
            a->prefix = str_sub(a->local_part, 0, (size_t)n);
            a->prefix_v = str_sub(a->local_part, 0, wild);
            a->local_part = str_from(a->local_part, (size_t)n);
            TRACE(TR_route, "stripped prefix %.*s", STR_ARG(a->prefix));
            return true;
        }
    }
    return false;
}

static bool strip_suffix(struct pool *pool, struct str list, struct address *a)
{
    struct str item;
    uint32_t wild;
    int sep = 0;
    while (net_list_next(pool, &list, &sep, &item)) {
        ptrdiff_t n = suffix_length(item, a->local_part, &wild);
        if (n >= 0) {
            size_t keep = a->local_part.len - (size_t)n;
            a->suffix = str_from(a->local_part, keep);
            a->suffix_v = str_from(a->local_part, a->local_part.len - wild);
            a->local_part = str_sub(a->local_part, 0, keep);
            TRACE(TR_route, "stripped suffix %.*s", STR_ARG(a->suffix));
            return true;
        }
    }
    return false;
}

bool route_strip_affixes(const struct router *r, struct pool *pool, struct address *a)
{
    a->prefix = a->suffix = a->prefix_v = a->suffix_v = STR_NONE;
    if (!str_unset(r->local_part_prefix) && !strip_prefix(pool, r->local_part_prefix, a) &&
        !r->prefix_optional) {
        trace_skip(r, "prefix mismatch");
        return false;
    }
    if (str_unset(r->local_part_suffix) || strip_suffix(pool, r->local_part_suffix, a) ||
        r->suffix_optional) {
        return true;
    }
    trace_skip(r, "suffix mismatch");
    return false;
}

/* ---- the tests ---- */

/* Why a router is not for this purpose. */
static void trace_purpose(const struct route_job *job, const struct router *r)
{
    if (!trace_on(TR_route)) {
        return;
    }
    struct pool *pool = job->x->pool;
    const char *why = "verify_only set";
    if (route_verifying(job)) {
        why =
            str_cstr(pool, str_fmt(pool, "verify %d %d %d", job->why == ROUTE_VERIFY_SENDER ? 1 : 2,
                                   r->verify_sender, r->verify_recipient));
    } else if (job->why == ROUTE_TEST && !r->address_test) {
        why = "address_test is unset";
    } else if (job->why == ROUTE_EXPN && !r->expn) {
        why = "no_expn set";
    }
    trace_skip(r, why);
}

static bool purpose_fits(const struct route_job *job, const struct router *r)
{
    switch (job->why) {
    case ROUTE_VERIFY_SENDER: return r->verify_sender;
    case ROUTE_VERIFY_RECIPIENT: return r->verify_recipient;
    case ROUTE_TEST: return r->address_test && !r->verify_only;
    case ROUTE_EXPN: return r->expn && !r->verify_only;
    case ROUTE_DELIVER: break;
    }
    return !r->verify_only;
}

static enum precondition defer(struct ectx *x, struct address *a, const char *option,
                               enum match result)
{
    a->basic_errno = ERRNO_LISTDEFER;
    a->message = result == MATCH_ERROR ? str_fmt(x->pool, "%.*s", STR_ARG(x->error))
                                       : str_fmt(x->pool, "%s check lookup or other defer", option);
    return PRE_DEFER;
}

static enum precondition of_match(struct ectx *x, struct address *a, const char *option,
                                  enum match m)
{
    if (m == MATCH_NO) {
        TRACE(TR_route, "%.*s router skipped: %s mismatch", STR_ARG(a->router->name), option);
    }
    return m == MATCH_YES ? PRE_RUN : m == MATCH_NO ? PRE_SKIP : defer(x, a, option, m);
}

static enum precondition test_domains(struct ectx *x, const struct router *r, struct address *a)
{
    struct str data = STR_NONE;
    if (str_unset(r->domains.text)) {
        return PRE_RUN;
    }
    TRACE(TR_route, "checking domains");
    enum match m = match_of_address(x, &r->domains, LIST_DOMAINS, a, a->domain, true, &data);
    if (m == MATCH_YES) {
        a->domain_data = data;
    }
    return of_match(x, a, "domains", m);
}

static enum precondition test_local_parts(struct ectx *x, const struct router *r, struct address *a)
{
    struct str data = STR_NONE;
    if (str_unset(r->local_parts.text)) {
        return PRE_RUN;
    }
    TRACE(TR_route, "checking local_parts");
    enum match m = match_of_address(x, &r->local_parts, LIST_LOCALPARTS, a, a->local_part,
                                    !r->caseful_local_part, &data);
    if (m == MATCH_YES) {
        a->local_part_data = data;
    }
    return of_match(x, a, "local_parts", m);
}

static enum precondition test_local_user(struct ectx *x, const struct router *r, struct address *a)
{
    a->local_user_known = false;
    if (!r->check_local_user) {
        return PRE_RUN;
    }
    TRACE(TR_route, "checking for local user");
    if (str_empty(a->local_part)) {
        return PRE_SKIP;
    }
    const struct passwd *pw = find_user(x->conf, x->pool, a->local_part);
    if (!pw) {
        TRACE(TR_route, "%.*s router skipped: %.*s is not a local user", STR_ARG(r->name),
              STR_ARG(a->local_part));
        return PRE_SKIP;
    }
    a->local_user_known = true;
    a->local_user_uid = pw->pw_uid;
    a->local_user_gid = pw->pw_gid;
    a->local_part_data = str_dup(x->pool, str_c(pw->pw_name));
    a->home = a->local_user_home = str_dup(x->pool, str_c(pw->pw_dir));
    return PRE_RUN;
}

static enum precondition test_home(struct ectx *x, const struct router *r, struct address *a)
{
    struct str home;
    if (str_unset(r->home_directory.text)) {
        return PRE_RUN;
    }
    if (expand_option(x, &r->home_directory, &home)) {
        a->home = home;
    } else if (!x->forced_fail) {
        a->message = str_fmt(x->pool, "failed to expand \"%.*s\" for router_home_directory: %.*s",
                             STR_ARG(r->home_directory.text), STR_ARG(x->error));
        return PRE_DEFER;
    }
    return PRE_RUN;
}

/* debug_print, for -bt and debugging: whatever happens, routing goes on. */
static void print_note(struct route_job *job, const struct router *r)
{
    struct str s;
    struct ectx *x = job->x;
    if (str_unset(r->debug_print.text) || (job->why != ROUTE_TEST && !trace_selected())) {
        return;
    }
    if (expand_option(x, &r->debug_print, &s)) {
        fprintf(stderr, "%.*s%s", STR_ARG(s), str_ends(s, STR("\n")) ? "" : "\n");
    } else {
        fprintf(stderr, "failed to expand \"%.*s\" in %.*s router: %.*s\n",
                STR_ARG(r->debug_print.text), STR_ARG(r->name), STR_ARG(x->error));
    }
}

static enum precondition test_senders(struct ectx *x, const struct router *r, struct address *a)
{
    if (str_unset(r->senders.text)) {
        return PRE_RUN;
    }
    TRACE(TR_route, "checking senders");
    struct str sender = x->msg ? x->msg->sender : STR("");
    if (str_unset(sender)) {
        sender = STR("");
    }
    return of_match(x, a, "senders", match_of_sender(x, &r->senders, LIST_ADDRESSES, sender, NULL));
}

/* Values count as true unless they say no in one of four ways. */
static bool is_true(struct str s)
{
    return !str_empty(s) && !str_is(s, "0") && !str_isi(s, "no") && !str_isi(s, "false");
}

static enum precondition test_condition(struct ectx *x, const struct router *r)
{
    struct str s;
    for (size_t i = 0; i < r->condition.n; i++) {
        TRACE(TR_route, "checking \"condition\" \"%.*s\"...", STR_ARG(r->condition.v[i].text));
        if (!expand_option(x, &r->condition.v[i], &s)) {
            if (!x->forced_fail) {
                log_msg(LOG_MAIN | LOG_PANIC, x->msg,
                        "failed to expand condition \"%.*s\" for %.*s router: %.*s",
                        STR_ARG(r->condition.v[i].text), STR_ARG(r->name), STR_ARG(x->error));
            }
            trace_skip(r, "condition failure");
            return PRE_SKIP;
        }
        if (!is_true(s)) {
            trace_skip(r, "condition failure");
            return PRE_SKIP;
        }
    }
    return PRE_RUN;
}

enum precondition route_preconditions(struct route_job *job, const struct router *r,
                                      struct address *a)
{
    struct ectx *x = job->x;
    enum precondition p = PRE_RUN;
    a->domain_data = a->local_part_data = a->home = STR_NONE;
    if (!route_strip_affixes(r, x->pool, a)) {
        return PRE_SKIP;
    }
    if (!purpose_fits(job, r)) {
        trace_purpose(job, r);
        return PRE_SKIP;
    }
    if ((p = test_domains(x, r, a)) != PRE_RUN || (p = test_local_parts(x, r, a)) != PRE_RUN ||
        (p = test_local_user(x, r, a)) != PRE_RUN || (p = test_home(x, r, a)) != PRE_RUN) {
        return p;
    }
    print_note(job, r);
    if ((p = test_senders(x, r, a)) != PRE_RUN || (p = route_required_files(x, r, a)) != PRE_RUN) {
        return p;
    }
    return test_condition(x, r);
}
