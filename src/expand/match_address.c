/*
 * Address list items: whole addresses by pattern or lookup, local part and domain apart, and split
 * lookups (@@), which find the list of a domain's local parts.
 * A lookup that cannot be done is MATCH_DEFER with the reason in x->error; data that is found is
 * given untainted.
 */
#include "expand/internal.h"

enum { MAX_CHAIN = 50 };

/* Local parts from the lookup's data against the subject's; *decided if one of them did. */
static enum match one_split(struct match_state *st, struct str list, struct str lp, bool *decided)
{
    struct str item, error;
    int sep = 0;
    *decided = true;
    while (list_next(st->x->pool, &list, &sep, &item)) {
        struct pattern p;
        bool negated = str_starts(item, "!");
        if (negated) {
            item = str_ltrim(str_from(item, 1));
        }
        if (!match_parse_pattern(st->x->conf, st->x->pool, item, false, &p, &error)) {
            return match_why(st, MATCH_ERROR, "%.*s", STR_ARG(error));
        }
        enum match m = match_pattern(st, &p, lp, st->caseless);
        if (m == MATCH_YES) {
            return negated ? MATCH_NO : MATCH_YES;
        }
        if (m != MATCH_NO) {
            return m;
        }
    }
    *decided = false;
    return MATCH_NO;
}

/* @@lookup; the last item of a list may be >name, whose list comes next. */
static enum match by_split(struct match_state *st, const struct pattern *p, struct str lp,
                           struct str domain)
{
    struct str key = domain, list = STR_NONE, *kept = st->data;
    for (int i = 0; i < MAX_CHAIN; i++) {
        bool decided;
        st->data = &list;
        enum match m = match_pattern(st, p, key, true);
        st->data = kept;
        if (m != MATCH_YES) {
            return m;
        }
        ptrdiff_t colon = str_rchr(list, ':');
        struct str last = str_ltrim(str_from(list, (size_t)(colon + 1)));
        bool chained = str_starts(last, ">");
        if (chained) {
            list = str_sub(list, 0, colon < 0 ? 0 : (size_t)colon);
        }
        m = one_split(st, list, lp, &decided);
        if (decided || !chained) {
            return m;
        }
        key = str_trim(str_from(last, 1));
    }
    return match_why(st, MATCH_ERROR,
                     "Loop detected in lookup of local parts of domain in address list");
}

static bool local_part_fits(struct match_state *st, const struct mitem *it, struct str lp)
{
    if (it->any_local) {
        return true;
    }
    if (str_starts(it->name, "*")) {
        struct str tail = str_from(it->name, 1);
        return st->caseless ? str_endsi(lp, tail) : str_ends(lp, tail);
    }
    return st->caseless ? str_eqi(lp, it->name) : str_eq(lp, it->name);
}

static enum match by_domain(struct match_state *st, const struct mitem *it, struct str domain)
{
    struct match_state inner = *st;
    inner.kind = LIST_DOMAINS;
    inner.given = domain;
    inner.subject = str_lower(st->x->pool, domain);
    inner.known = NULL;
    inner.option = NULL;
    if (!it->domains) {
        enum match m = match_pattern(st, &it->pat, domain, true);
        if (trace_on(TR_lists | TR_bh)) {
            match_trace(&inner, it->pat.text, m);
        }
        return m;
    }
    enum match m = match_list(&inner, it->domains);
    st->error = inner.error;
    st->fatal = inner.fatal;
    return m;
}

static enum match by_parts(struct match_state *st, const struct mitem *it, struct str lp,
                           struct str domain)
{
    if (!local_part_fits(st, it, lp)) {
        return MATCH_NO;
    }
    enum match m = by_domain(st, it, domain);
    if (m == MATCH_YES && st->data && !str_unset(*st->data)) {
        *st->data = STR_CAT(st->x->pool, it->name, STR("@"), *st->data);
    }
    return m;
}

enum match match_address_item(struct match_state *st, const struct mitem *it)
{
    struct str s = st->subject;
    ptrdiff_t at = str_rchr(s, '@');
    if (at < 0 && s.len) {
        log_write(LOG_MAIN | LOG_PANIC,
                  "no @ found in the subject of an address list match: subject=\"%.*s\" "
                  "pattern=\"%.*s\"",
                  STR_ARG(s), STR_ARG(it->text));
        return MATCH_NO;
    }
    TRACE_IN(TR_lists, "address match test: subject=%.*s pattern=%.*s", STR_ARG(st->given),
             STR_ARG(it->text));
    if (it->kind == MI_ADDR_WHOLE) {
        enum match m = match_pattern(st, &it->pat, s, st->caseless);
        if (it->pat.kind == PAT_REGEX) {
            match_data(st, STR_NONE);
        }
        return m;
    }
    if (it->kind == MI_ADDR_EMPTY && !str_empty(s) && trace_on(TR_lists | TR_bh)) {
        struct match_state inner = *st; /* Exim takes it for a domain that is empty */
        inner.kind = LIST_DOMAINS;
        inner.given = str_from(s, (size_t)at + 1);
        inner.option = NULL;
        match_trace(&inner, STR(""), MATCH_NO);
    }
    if (it->kind == MI_ADDR_EMPTY || str_empty(s)) {
        return it->kind == MI_ADDR_EMPTY && str_empty(s) ? MATCH_YES : MATCH_NO;
    }
    struct str lp = str_sub(s, 0, (size_t)at), domain = str_from(s, (size_t)at + 1);
    return it->kind == MI_ADDR_SPLIT ? by_split(st, &it->pat, lp, domain)
                                     : by_parts(st, it, lp, domain);
}
