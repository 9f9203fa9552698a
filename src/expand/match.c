/*
 * Matching against lists: the walk through items, negation, named lists, files of items, and the
 * comparison of one string with one pattern. Hosts are in match_host.c, addresses in
 * match_address.c.
 *
 * A list matches at its first item that does; the answer at the end of a list that begins no item
 * with ! is no. Deferral and failure of an item end the walk, unless a host list's switches say
 * otherwise. Subjects may be tainted; what a match hands back as data is not.
 */
#include "expand/internal.h"

#include <errno.h>

enum { MAX_FILE = 16 << 20, MAX_LISTS = 50 };

void match_data(struct match_state *st, struct str value)
{
    if (st->data) {
        *st->data = value;
    }
}

enum match match_why(struct match_state *st, enum match result, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    st->error = str_vfmt(st->x->pool, fmt, ap);
    va_end(ap);
    return result;
}

/* A failure that is the configuration's fault: logged, ends the walk. */
static enum match fatal(struct match_state *st)
{
    st->fatal = true;
    log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(st->error));
    return MATCH_ERROR;
}

/* ---- one pattern ---- */

static void set_wild(struct match_state *st, struct str subject, uint32_t wild)
{
    if (st->set_numeric) {
        scope_set_numeric(st->x, (struct str[]){subject, str_sub(subject, 0, wild)}, 2);
    }
}

static enum match match_tail(struct match_state *st, const struct pattern *p, struct str s,
                             bool caseless)
{
    if (!(caseless ? str_endsi(s, p->arg) : str_ends(s, p->arg))) {
        return MATCH_NO;
    }
    set_wild(st, s, s.len - p->arg.len);
    match_data(st, p->text);
    return MATCH_YES;
}

static enum match match_literal(struct match_state *st, const struct pattern *p, struct str s)
{
    struct ip ip;
    if (s.len < 2 || s.p[0] != '[' || s.p[s.len - 1] != ']') {
        return MATCH_NO;
    }
    s = str_sub(s, 1, s.len - 2u);
    if (str_startsi(s, "IPv6:")) {
        s = str_from(s, 5);
    }
    if (!ip_parse(s, &ip) || !net_is_local(st->x->conf, st->x->pool, &ip)) {
        return MATCH_NO;
    }
    match_data(st, p->text);
    return MATCH_YES;
}

/* Whether a mail host's address is one of ours; addresses in the list (/ignore=) do not count. */
static bool mx_is_ours(struct match_state *st, struct str name, struct str ignore, bool *counts)
{
    struct host h = {.name = name, .port = PORT_NONE, .mx = MX_NONE};
    struct str error;
    bool ours = false;
    enum host_find r = net_find_addresses(st->x->conf, st->x->pool, &h, false, 0, &error);
    *counts = false;
    if (r != HF_FOUND && r != HF_FOUND_LOCAL) {
        return false;
    }
    for (const struct host *each = &h; each; each = each->next) {
        struct match_state drop = {.x = st->x,
                                   .kind = LIST_HOSTS,
                                   .host_name = name,
                                   .host_address = each->address,
                                   .caseless = true};
        struct ip ip;
        if (!str_empty(ignore) && match_list_text(&drop, ignore) == MATCH_YES) {
            continue;
        }
        *counts = true;
        ours |= ip_parse(each->address, &ip) && net_is_local(st->x->conf, st->x->pool, &ip);
    }
    return ours;
}

/* @mx_any, @mx_primary, @mx_secondary: is this host among the domain's MX hosts? */
static enum match match_mx(struct match_state *st, const struct pattern *p, struct str domain)
{
    struct dns_answer a;
    int best = INT32_MAX, ours = INT32_MAX;
    enum dns_result r = dns_lookup(st->x->conf, st->x->pool, domain, DNS_MX, false, &a);
    if (r == DNS_AGAIN) {
        return match_why(st, MATCH_DEFER, "DNS lookup of \"%.*s\" deferred", STR_ARG(domain));
    }
    for (size_t i = 0; r == DNS_OK && i < a.n; i++) {
        bool counts, local = mx_is_ours(st, a.rr[i].name, p->arg, &counts);
        best = counts && a.rr[i].pref < best ? a.rr[i].pref : best;
        ours = local && a.rr[i].pref < ours ? a.rr[i].pref : ours;
    }
    bool yes = ours < INT32_MAX && (!p->primary || ours == best) && (!p->secondary || ours > best);
    if (yes) {
        match_data(st, p->text);
    }
    return yes ? MATCH_YES : MATCH_NO;
}

static enum match match_lookup(struct match_state *st, const struct pattern *p, struct str s)
{
    bool single = p->lookup.driver->flags & LOOKUP_SINGLE_KEY;
    struct str data, wild, fixed, error;
    if (single && !lookup_file_ok(st->x, p->arg)) {
        match_why(st, MATCH_ERROR, "NULL");
        return fatal(st);
    }
    enum lookup_result r =
        lookup_find(st->x->conf, st->x->pool, &p->lookup, single ? str_trim(p->arg) : STR(""),
                    single ? s : p->arg, &data, NULL, &wild, &fixed, &error);
    switch (r) {
    case LK_FOUND:
        if (st->set_numeric) {
            size_t n = str_unset(wild) ? 1 : str_unset(fixed) ? 2 : 3;
            scope_set_numeric(st->x, (struct str[]){s, wild, fixed}, n);
        }
        match_data(st, data);
        return MATCH_YES;
    case LK_NOTFOUND: return MATCH_NO;
    case LK_DEFER: return match_why(st, MATCH_DEFER, "%.*s", STR_ARG(error));
    case LK_ERROR: match_why(st, MATCH_ERROR, "%.*s", STR_ARG(error)); return fatal(st);
    }
    return MATCH_NO;
}

static enum match match_exact(struct match_state *st, struct str want, struct str text,
                              struct str s, bool caseless)
{
    if (!(caseless ? str_eqi(s, want) : str_eq(s, want))) {
        return MATCH_NO;
    }
    if (st->set_numeric) {
        scope_set_numeric(st->x, &s, 1);
    }
    match_data(st, text);
    return MATCH_YES;
}

/* $0 becomes the whole subject, even if the expression matches only a part. */
static enum match match_expression(struct match_state *st, const struct pattern *p, struct str s,
                                   bool caseless)
{
    enum match m = match_regex(st->x, p->text, s, caseless, st->set_numeric);
    if (m == MATCH_ERROR) {
        st->error = st->x->error;
        return fatal(st);
    }
    if (m == MATCH_YES) {
        match_data(st, p->text);
        if (st->set_numeric) {
            st->x->scope->numbers[0] = str_dup(st->x->pool, s);
        }
    }
    return m;
}

enum match match_pattern(struct match_state *st, const struct pattern *p, struct str s,
                         bool caseless)
{
    struct str name;
    switch (p->kind) {
    case PAT_EXACT: return match_exact(st, p->text, p->text, s, caseless);
    case PAT_PRIMARY:
        name = core_settings(st->x->conf)->primary_hostname;
        return match_exact(st, name, name, s, true);
    case PAT_TAIL: return match_tail(st, p, s, caseless);
    case PAT_LITERAL: return match_literal(st, p, s);
    case PAT_MX: return match_mx(st, p, s);
    case PAT_LOOKUP: return match_lookup(st, p, s);
    case PAT_REGEX: return match_expression(st, p, s, caseless);
    }
    return MATCH_NO;
}

/* ---- traces ---- */

/* The name of the main option whose value the list is; NULL if it is no such. */
static const char *option_name(const struct config *conf, const struct etext *list)
{
    const char *at = (const char *)list;
    for (const struct module *const *m = conf->modules; m && *m; m++) {
        const char *base = conf->settings[(*m)->room];
        if (!base || !(*m)->options || at < base || at >= base + (*m)->settings_size) {
            continue;
        }
        for (const struct option *o = (*m)->options; o->name; o++) {
            if (o->offset == (size_t)(at - base)) {
                return o->name;
            }
        }
    }
    return NULL;
}

static struct str subject_shown(const struct match_state *st)
{
    return st->kind != LIST_HOSTS ? st->given : st->session_host ? STR("host") : st->host_address;
}

/* "SUBJECT in LIST? ANSWER (WHY)" */
static void trace_answer(const struct match_state *st, struct str list, bool yes, struct str why)
{
    struct str subject = subject_shown(st);
    const char *answer = yes ? "yes" : "no";
    if (st->option) {
        trace_write_in("%.*s in %s? %s (%.*s)", STR_ARG(subject), st->option, answer, STR_ARG(why));
    } else {
        trace_write_in("%.*s in \"%.*s\"? %s (%.*s)", STR_ARG(subject), STR_ARG(list), answer,
                       STR_ARG(why));
    }
}

/* The item that decided. */
static void trace_item(const struct match_state *st, struct str list, const struct mitem *it,
                       enum match result)
{
    if (st->told) {
        return;
    }
    struct pool *pool = st->x->pool;
    struct str item = it->whole, why;
    if (result == MATCH_DEFER || result == MATCH_ERROR) {
        if (!str_unset(st->error)) {
            trace_answer(st, list, false, st->error);
        }
        return;
    }
    if (!str_unset(st->unknown)) {
        why = st->unknown;
    } else if (str_unset(st->matched)) {
        why = STR_CAT(pool, STR("matched \""), item, STR("\""),
                      st->cached ? STR(" - cached") : STR(""));
    } else {
        why = STR_CAT(pool, STR("matched \""), st->matched, STR("\" in "), it->name);
    }
    trace_answer(st, list, result == MATCH_YES, why);
}

void match_trace(const struct match_state *st, struct str pattern, enum match m)
{
    struct str why = STR_CAT(st->x->pool, STR("matched \""), pattern, STR("\""));
    if (m == MATCH_YES || m == MATCH_NO) {
        trace_answer(st, pattern, m == MATCH_YES, m == MATCH_YES ? why : STR("end of list"));
    }
}

/* ---- items ---- */

static enum match match_item(struct match_state *st, const struct mitem *it);

/* What the switches of a host list make of an unknown or deferred item. */
struct switches {
    bool include_unknown, ignore_unknown, include_defer, ignore_defer;
};

static void set_switch(struct match_state *st, struct switches *sw, enum mswitch which)
{
    switch (which) {
    case SW_INCLUDE_UNKNOWN:
        sw->include_unknown = true;
        sw->ignore_unknown = false;
        break;
    case SW_IGNORE_UNKNOWN:
        sw->ignore_unknown = true;
        sw->include_unknown = false;
        break;
    case SW_INCLUDE_DEFER:
        sw->include_defer = true;
        sw->ignore_defer = false;
        break;
    case SW_IGNORE_DEFER:
        sw->ignore_defer = true;
        sw->include_defer = false;
        break;
    case SW_CASEFUL:
        st->caseless = false;
        st->subject = st->given;
        break;
    }
}

/* The result of an item after the switches; *go_on if the item is to be left out. */
static enum match after_switches(struct match_state *st, const struct switches *sw, enum match m,
                                 bool *go_on)
{
    *go_on = false;
    st->unknown = m == MATCH_ERROR && !st->fatal ? st->error : STR_NONE;
    if (m == MATCH_DEFER) {
        if (sw->include_defer) {
            log_write(LOG_MAIN, "%.*s: accepted by +include_defer", STR_ARG(st->error));
            return MATCH_YES;
        }
        *go_on = sw->ignore_defer;
        return m;
    }
    if (m != MATCH_ERROR || st->fatal) {
        return m;
    }
    if (sw->ignore_unknown) {
        TRACE_IN(TR_lists | TR_bh, "%.*s: item ignored by +ignore_unknown", STR_ARG(st->error));
        *go_on = true;
        return m;
    }
    if (sw->include_unknown) {
        if (trace_on(TR_lists | TR_bh)) {
            trace_answer(st, st->list, true, st->error);
            st->told = true;
        }
        log_write(LOG_MAIN, "%.*s: accepted by +include_unknown", STR_ARG(st->error));
        return MATCH_YES;
    }
    if (log_wants(LS_unknown_in_list)) {
        log_write(LOG_MAIN, "list matching forced to fail: %.*s", STR_ARG(st->error));
    }
    return MATCH_NO;
}

/* Whether what the list says may be kept: it does not vary, or the configuration says so. */
static bool keeps(const struct match_state *st, const struct named_list *l)
{
    return st->known && (!l->text.tree || l->cache);
}

static struct str memo_subject(const struct match_state *st)
{
    return st->kind == LIST_HOSTS ? st->host_address : st->subject;
}

static bool recall(struct match_state *st, const struct named_list *l, enum match *m)
{
    for (const struct match_memo *k = keeps(st, l) ? *st->known : NULL; k; k = k->next) {
        if (k->list == l && str_eq(k->subject, memo_subject(st))) {
            *m = k->yes ? MATCH_YES : MATCH_NO;
            if (k->yes) {
                match_data(st, k->data);
            }
            return true;
        }
    }
    return false;
}

static void remember(struct match_state *st, const struct named_list *l, enum match m)
{
    if (!keeps(st, l) || (m != MATCH_YES && m != MATCH_NO)) {
        return;
    }
    struct match_memo *k = POOL_NEW(st->known_pool, struct match_memo);
    *k = (struct match_memo){.next = *st->known, .list = l, .yes = m == MATCH_YES};
    k->subject = str_dup(st->known_pool, memo_subject(st));
    if (k->yes && st->data) {
        k->data = str_dup(st->known_pool, *st->data);
    }
    *st->known = k;
}

static enum match match_named(struct match_state *st, struct str name)
{
    enum match m;
    static const char *const kinds[] = {"domain", "host", "address", "local part"};
    const struct named_list *l = map_get(st->x->conf->named_lists[st->kind], name);
    if (!l) {
        match_why(st, MATCH_ERROR, "unknown named %s list \"+%.*s\"", kinds[st->kind],
                  STR_ARG(name));
        return fatal(st);
    }
    if (recall(st, l, &m)) {
        st->cached = true;
        return m;
    }
    const char *option = st->option;
    struct str list = st->list;
    st->option = NULL;
    m = match_option(st, &l->text);
    st->option = option;
    st->list = list;
    st->cached = false;
    remember(st, l, m);
    return m;
}

/* A line of a file of items without its comment; in lists of local parts # may be data. */
static struct str file_line(struct match_state *st, struct str line)
{
    bool may_hold = st->kind == LIST_ADDRESSES || st->kind == LIST_LOCALPARTS;
    for (uint32_t i = 0; i < line.len; i++) {
        if (line.p[i] == '#' && (!may_hold || i == 0 || strchr(" \t", line.p[i - 1]))) {
            line.len = i;
            break;
        }
    }
    return str_trim(line);
}

/*
 * Each line of the file is an item. *found says that a line decided; *last_negated that the last
 * line began with !, which turns the answer at the end.
 */
static enum match match_file(struct match_state *st, const struct mitem *it, bool *last_negated,
                             bool *found, const struct switches *sw)
{
    struct str text, line, error;
    *found = false;
    *last_negated = it->negated;
    if (file_read(st->x->pool, it->name, MAX_FILE, &text) < 0) {
        match_why(st, MATCH_ERROR, "failed to open %.*s when checking \"%.*s\": %s",
                  STR_ARG(it->name), STR_ARG(st->list),
                  it->name.tainted ? "the name is tainted" : strerror(errno));
        *found = true;
        return fatal(st);
    }
    while (str_next(&text, '\n', &line)) {
        struct mitem inner;
        bool go_on;
        line = file_line(st, line);
        if (str_empty(line)) {
            continue;
        }
        bool negated = str_starts(line, "!");
        if (negated) {
            line = str_ltrim(str_from(line, 1));
        }
        *last_negated = it->negated ^ negated;
        if (!match_parse_item(st->x->conf, st->x->pool, st->kind, line, &inner, &error)) {
            *found = true;
            st->error = error;
            return fatal(st);
        }
        enum match m = after_switches(st, sw, match_item(st, &inner), &go_on);
        if (m != MATCH_NO && !go_on) {
            *found = true;
            st->matched = line;
            return m == MATCH_YES && *last_negated ? MATCH_NO : m;
        }
    }
    return MATCH_NO;
}

static enum match match_item(struct match_state *st, const struct mitem *it)
{
    switch (it->kind) {
    case MI_NAMED: return match_named(st, it->name);
    case MI_PATTERN:
        if (st->kind != LIST_HOSTS) {
            return match_pattern(st, &it->pat, st->subject,
                                 st->caseless || st->kind == LIST_DOMAINS);
        }
        return match_host_item(st, it);
    case MI_ADDR_WHOLE:
    case MI_ADDR_EMPTY:
    case MI_ADDR_SPLIT:
    case MI_ADDR_PARTS: return match_address_item(st, it);
    case MI_FILE:
    case MI_SWITCH: return MATCH_NO;
    default: return match_host_item(st, it);
    }
}

/* One item of a walk: false if the walk goes on; *at_end is what its end would mean. */
static bool step(struct match_state *st, const struct mitem *it, struct switches *sw, bool *negated,
                 enum match *result)
{
    bool decided, go_on;
    st->cached = false;
    st->matched = st->unknown = STR_NONE;
    st->told = false;
    if (it->kind == MI_SWITCH) {
        set_switch(st, sw, it->sw);
        return false;
    }
    *negated = it->negated;
    if (it->kind == MI_FILE) {
        *result = match_file(st, it, negated, &decided, sw);
        return decided;
    }
    enum match m = match_item(st, it);
    *result = it->kind == MI_NAMED ? m : after_switches(st, sw, m, &go_on);
    if (it->kind == MI_NAMED) {
        go_on = false;
    }
    if (*result == MATCH_NO || go_on) {
        /* An unknown host ends the list. */
        bool forced = m == MATCH_ERROR && !go_on && it->kind != MI_NAMED;
        return forced;
    }
    if (*result == MATCH_YES && it->negated) {
        match_data(st, STR_NONE);
        *result = MATCH_NO;
    }
    return true;
}

static enum match at_end(struct match_state *st, struct str list, bool negated)
{
    if (trace_on(TR_lists | TR_bh)) {
        trace_answer(st, list, negated, STR("end of list"));
    }
    if (negated) {
        match_data(st, STR_NONE);
    }
    return negated ? MATCH_YES : MATCH_NO;
}

enum match match_list(struct match_state *st, const struct mlist *list)
{
    struct switches sw = {false, false, false, false};
    bool negated = false;
    enum match result;
    st->list = list->text;
    for (const struct mitem *it = list->first; it; it = it->next) {
        if (step(st, it, &sw, &negated, &result)) {
            if (trace_on(TR_lists | TR_bh)) {
                trace_item(st, list->text, it, result);
            }
            return result;
        }
    }
    return at_end(st, list->text, negated);
}

enum match match_list_text(struct match_state *st, struct str text)
{
    struct switches sw = {false, false, false, false};
    bool negated = false;
    enum match result;
    struct str item, error;
    int sep = 0;
    struct str whole = text;
    st->list = text;
    while (list_next(st->x->pool, &text, &sep, &item)) {
        struct mitem it;
        if (!match_parse_item(st->x->conf, st->x->pool, st->kind, item, &it, &error)) {
            st->error = error;
            return fatal(st);
        }
        if (step(st, &it, &sw, &negated, &result)) {
            if (trace_on(TR_lists | TR_bh)) {
                trace_item(st, whole, &it, result);
            }
            return result;
        }
    }
    return at_end(st, whole, negated);
}

enum match match_option(struct match_state *st, const struct etext *list)
{
    struct str text;
    enum match m;
    if (list->list) {
        if (st->depth >= MAX_LISTS) {
            match_why(st, MATCH_ERROR, "lists are nested too deeply");
            return fatal(st);
        }
        st->depth++;
        m = match_list(st, list->list);
        st->depth--;
        return m;
    }
    struct ectx *x = st->x;
    struct scope *outer = x->scope;
    text = list->text;
    if (list->tree && !expand_option(x, list, &text)) {
        if (x->forced_fail) {
            x->forced_fail = false;
            return MATCH_NO;
        }
        st->error = x->error;
        log_write(LOG_MAIN | LOG_PANIC, "failed to expand \"%.*s\" while checking a list: %.*s",
                  STR_ARG(list->text), STR_ARG(x->error));
        st->fatal = true;
        return MATCH_DEFER;
    }
    x->scope = outer;
    if (st->depth >= MAX_LISTS) {
        match_why(st, MATCH_ERROR, "lists are nested too deeply");
        return fatal(st);
    }
    st->depth++;
    m = match_list_text(st, text);
    st->depth--;
    return m;
}

/* ---- the public calls ---- */

static enum match finish(struct match_state *st, enum match m)
{
    if (m == MATCH_DEFER || m == MATCH_ERROR) {
        st->x->error = st->error;
        st->x->defer = m == MATCH_DEFER;
    }
    return m;
}

/* An option's list, which may be unset: then it matches nothing. */
static enum match start(struct match_state *st, const struct etext *list)
{
    if (st->data) {
        *st->data = STR_NONE;
    }
    if (!list) {
        return MATCH_NO;
    }
    if (trace_on(TR_lists | TR_bh)) {
        st->option = option_name(st->x->conf, list);
    }
    if (str_unset(list->text)) {
        if (st->option && st->kind == LIST_HOSTS && trace_on(TR_lists | TR_bh)) {
            trace_answer(st, STR(""), false, STR("option unset"));
        }
        return MATCH_NO;
    }
    return finish(st, match_option(st, list));
}

/* A match of a domain, local part or address. */
static struct match_state about(struct ectx *x, enum list_kind kind, struct str subject,
                                bool caseless, struct str *data)
{
    return (struct match_state){.x = x,
                                .kind = kind,
                                .given = subject,
                                .subject = caseless ? str_lower(x->pool, subject) : subject,
                                .caseless = caseless,
                                .data = data};
}

enum match match_domain(struct ectx *x, const struct etext *list, struct str domain,
                        struct str *data)
{
    struct match_state st = about(x, LIST_DOMAINS, domain, true, data);
    return start(&st, list);
}

enum match match_local_part(struct ectx *x, const struct etext *list, struct str lp, bool caseless,
                            struct str *data)
{
    struct match_state st = about(x, LIST_LOCALPARTS, lp, caseless, data);
    return start(&st, list);
}

enum match match_address(struct ectx *x, const struct etext *list, struct str address,
                         bool caseless, struct str *data)
{
    struct match_state st = about(x, LIST_ADDRESSES, address, caseless, data);
    return start(&st, list);
}

enum match match_of_address(struct ectx *x, const struct etext *list, enum list_kind kind,
                            struct address *a, struct str subject, bool caseless, struct str *data)
{
    struct match_state st = about(x, kind, subject, caseless, data);
    st.known = &a->known;
    st.known_pool = x->pool;
    return start(&st, list);
}

enum match match_of_sender(struct ectx *x, const struct etext *list, enum list_kind kind,
                           struct str subject, struct str *data)
{
    struct match_state st = about(x, kind, subject, true, data);
    if (x->msg) {
        st.known = &x->msg->sender_known;
        st.known_pool = x->msg->pool;
    }
    return start(&st, list);
}

enum match match_session_host(struct ectx *x, const struct etext *list, struct str *data)
{
    struct match_state st = {.x = x,
                             .kind = LIST_HOSTS,
                             .session_host = true,
                             .caseless = true,
                             .host_name = x->sess ? x->sess->host_name : STR_NONE,
                             .host_address = x->sess ? x->sess->host_address : STR(""),
                             .data = data};
    if (x->sess) {
        st.known = &x->sess->host_known;
        st.known_pool = x->sess->pool;
    }
    return start(&st, list);
}

enum match match_host(struct ectx *x, const struct etext *list, struct str name, struct str address,
                      struct str *data)
{
    struct match_state st = {.x = x,
                             .kind = LIST_HOSTS,
                             .caseless = true,
                             .host_name = name,
                             .host_address = address,
                             .data = data};
    return start(&st, list);
}

enum match match_text(struct ectx *x, enum list_kind kind, struct str list, struct str subject,
                      bool caseless, struct str *data)
{
    struct match_state st = about(x, kind, subject, caseless, data);
    st.set_numeric = true;
    st.host_address = subject;
    st.ip_only = kind == LIST_HOSTS;
    if (data) {
        *data = STR_NONE;
    }
    return finish(&st, match_list_text(&st, list));
}
