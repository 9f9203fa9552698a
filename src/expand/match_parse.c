/*
 * Items of match lists, taken apart once: when the configuration is read if the list holds no `$`,
 * else when it is matched.
 *
 * Parsed items are views of the list's text and live in the pool given. Errors are texts in Exim's
 * words; opt_error reports those of compiled lists.
 */
#include "expand/internal.h"

#include <ctype.h>

struct list_ref {
    struct list_ref *next;
    enum list_kind kind;
    struct str name;
    struct cfg_pos pos;
    const char *option;
};

static const char *const kind_names[] = {"domain", "host", "address", "local part"};

/* ---- patterns ---- */

static bool parse_mx(struct str s, struct pattern *out)
{
    s = str_from(s, 4);
    out->arg = STR_NONE;
    if (str_startsi(s, "any")) {
        s = str_from(s, 3);
    } else if (str_startsi(s, "primary")) {
        s = str_from(s, 7);
        out->primary = true;
    } else if (str_startsi(s, "secondary")) {
        s = str_from(s, 9);
        out->secondary = true;
    } else {
        return false;
    }
    if (str_startsi(s, "/ignore=")) {
        out->arg = str_from(s, 8);
        s = STR("");
    }
    out->kind = PAT_MX;
    return str_empty(s);
}

static bool parse_at(struct str s, struct pattern *out)
{
    if (str_is(s, "@")) {
        out->kind = PAT_PRIMARY;
        return true;
    }
    if (str_is(s, "@[]")) {
        out->kind = PAT_LITERAL;
        return true;
    }
    return str_startsi(s, "@mx_") && parse_mx(s, out);
}

bool match_parse_pattern(const struct config *conf, struct pool *pool, struct str text,
                         bool at_special, struct pattern *out, struct str *error)
{
    *out = (struct pattern){.kind = PAT_EXACT, .text = text, .arg = text};
    if (str_starts(text, "^")) {
        out->kind = PAT_REGEX;
        return regex_get(pool, text, true, error) != NULL;
    }
    if (str_starts(text, "*")) {
        out->kind = PAT_TAIL;
        out->arg = str_from(text, 1);
        return true;
    }
    if (at_special && str_starts(text, "@") && parse_at(text, out)) {
        return true;
    }
    *out = (struct pattern){.kind = PAT_EXACT, .text = text, .arg = text};
    ptrdiff_t semi = str_chr(text, ';');
    if (semi < 0) {
        return true;
    }
    out->kind = PAT_LOOKUP;
    out->arg = str_from(text, (size_t)semi + 1);
    return lookup_parse_type(conf, pool, str_sub(text, 0, (size_t)semi), &out->lookup, error);
}

/* ---- hosts ---- */

/* net-, net24-: true and past it; *mask as given, -1 for none. */
static bool take_net(struct str *s, int *mask)
{
    uint32_t i = 3;
    *mask = -1;
    if (!str_starts(*s, "net")) {
        return false;
    }
    for (; i < s->len && isdigit((unsigned char)s->p[i]) && i < 7; i++) {
        *mask = (*mask < 0 ? 0 : *mask) * 10 + (s->p[i] - '0');
    }
    if (i >= s->len || s->p[i] != '-') {
        return false;
    }
    *s = str_from(*s, i + 1);
    return true;
}

/* A text of digits and dots, or such before a slash: an address somebody got wrong. */
static bool looks_like_address(struct str s)
{
    uint32_t i = 0;
    while (i < s.len && (isdigit((unsigned char)s.p[i]) || s.p[i] == '.')) {
        i++;
    }
    return i == s.len || (s.p[i] == '/' && i > 0);
}

static bool is_host_name(const struct config *conf, struct str s)
{
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!isalnum(c) && !strchr(".-_", c) &&
            (c < 128 || !core_settings(conf)->allow_utf8_domains)) {
            return false;
        }
    }
    return true;
}

static bool parse_host(const struct config *conf, struct pool *pool, struct mitem *it,
                       struct str *error)
{
    struct str s = it->text, rest = s;
    if (str_is(s, "*")) {
        it->kind = MI_HOST_ANY;
        return true;
    }
    if (str_empty(s)) {
        it->kind = MI_HOST_NONE;
        return true;
    }
    if (str_is(s, "@[]")) {
        it->kind = MI_HOST_OURS;
        return true;
    }
    if (ip_parse_net(s, &it->net, &it->bits)) {
        it->kind = MI_HOST_NET;
        return true;
    }
    if (looks_like_address(s)) {
        it->kind = MI_HOST_BAD;
        return true;
    }
    ptrdiff_t semi = str_chr(s, ';');
    if (semi >= 0 && take_net(&rest, &it->mask)) {
        it->kind = MI_HOST_LOOKUP;
        return match_parse_pattern(conf, pool, rest, false, &it->pat, error);
    }
    it->mask = -1;
    it->kind = str_is(s, "@") || is_host_name(conf, s) ? MI_HOST_NAME : MI_PATTERN;
    return it->kind == MI_HOST_NAME || match_parse_pattern(conf, pool, s, true, &it->pat, error);
}

/* ---- addresses ---- */

/* A lookup type and a semicolon, without an @ of local@domain before it. */
static bool is_whole_lookup(struct str s)
{
    uint32_t i = 0;
    while (i < s.len && (isalnum((unsigned char)s.p[i]) || s.p[i] == '-')) {
        i++;
    }
    if (i > 0 && i < s.len && s.p[i] == '(') { /* the affix of partial */
        while (i < s.len && s.p[i] != ')') {
            i++;
        }
        for (i++; i < s.len && (isalnum((unsigned char)s.p[i]) || s.p[i] == '-'); i++) {
        }
    }
    i += i < s.len && s.p[i] == '*';
    i += i < s.len && s.p[i] == '@';
    if (i < s.len && s.p[i] == ',') {
        while (i < s.len && s.p[i] != ';') {
            i++;
        }
    }
    return i < s.len && s.p[i] == ';';
}

static bool is_magic_domain(struct str s)
{
    return str_empty(s) || str_is(s, "[]") || str_is(s, "mx_any") || str_is(s, "mx_primary") ||
           str_is(s, "mx_secondary");
}

/* local@domain: the last @ outside a lookup's file or query is the one that counts. */
static ptrdiff_t address_at(struct str s)
{
    ptrdiff_t semi = str_chr(s, ';');
    ptrdiff_t at = str_rchr(semi < 0 ? s : str_sub(s, 0, (size_t)semi), '@');
    if (at > 0 && s.p[at - 1] == '@' && is_magic_domain(str_from(s, (size_t)at + 1))) {
        at--;
    }
    return at;
}

static bool parse_parts(const struct config *conf, struct pool *pool, struct mitem *it,
                        struct str *error)
{
    ptrdiff_t at = address_at(it->text);
    struct str domain = str_from(it->text, (size_t)(at + 1));
    it->kind = MI_ADDR_PARTS;
    it->any_local = at < 0;
    it->name = str_sub(it->text, 0, at < 0 ? 0 : (size_t)at);
    if (str_starts(domain, "+") || str_starts(domain, "!")) {
        struct mlist *l = POOL_NEW(pool, struct mlist);
        struct mitem *inner = POOL_NEW(pool, struct mitem);
        *l = (struct mlist){.kind = LIST_DOMAINS, .text = domain, .first = inner};
        it->domains = l;
        return match_parse_item(conf, pool, LIST_DOMAINS, domain, inner, error);
    }
    return match_parse_pattern(conf, pool, domain, true, &it->pat, error);
}

static bool parse_address(const struct config *conf, struct pool *pool, struct mitem *it,
                          struct str *error)
{
    struct str s = it->text;
    if (str_empty(s)) {
        it->kind = MI_ADDR_EMPTY;
        return true;
    }
    if (str_starts(s, "^") || is_whole_lookup(s)) {
        it->kind = MI_ADDR_WHOLE;
        if (!match_parse_pattern(conf, pool, s, false, &it->pat, error)) {
            return false;
        }
        if (it->pat.kind == PAT_LOOKUP && it->pat.lookup.partial >= 0) {
            log_write(LOG_MAIN | LOG_PANIC,
                      "partial matching is not applicable to whole-address lookups: "
                      "ignored \"partial-\" in \"%.*s\"",
                      STR_ARG(s));
            it->pat.lookup.partial = -1;
        }
        return true;
    }
    if (str_starts(s, "@@") && str_chr(s, ';') >= 0) {
        it->kind = MI_ADDR_SPLIT;
        return match_parse_pattern(conf, pool, str_from(s, 2), false, &it->pat, error);
    }
    return parse_parts(conf, pool, it, error);
}

/* ---- any item ---- */

static bool parse_switch(enum list_kind kind, struct mitem *it)
{
    static const struct {
        const char *text;
        enum mswitch sw;
    } rows[] = {{"+include_unknown", SW_INCLUDE_UNKNOWN},
                {"+ignore_unknown", SW_IGNORE_UNKNOWN},
                {"+include_defer", SW_INCLUDE_DEFER},
                {"+ignore_defer", SW_IGNORE_DEFER},
                {"+caseful", SW_CASEFUL}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        bool fits = rows[i].sw == SW_CASEFUL ? kind == LIST_ADDRESSES || kind == LIST_LOCALPARTS
                                             : kind == LIST_HOSTS;
        if (fits && str_is(it->text, rows[i].text)) {
            it->kind = MI_SWITCH;
            it->sw = rows[i].sw;
            return true;
        }
    }
    return false;
}

bool match_parse_item(const struct config *conf, struct pool *pool, enum list_kind kind,
                      struct str text, struct mitem *out, struct str *error)
{
    *out = (struct mitem){.text = text, .whole = text};
    if (parse_switch(kind, out)) {
        return true;
    }
    if (str_starts(text, "!")) {
        out->negated = true;
        out->text = text = str_ltrim(str_from(text, 1));
    }
    if (str_starts(text, "+")) {
        out->kind = MI_NAMED;
        out->name = str_from(text, 1);
        return true;
    }
    if (str_starts(text, "/")) {
        out->kind = MI_FILE;
        out->name = text;
        return true;
    }
    switch (kind) {
    case LIST_HOSTS: return parse_host(conf, pool, out, error);
    case LIST_ADDRESSES: return parse_address(conf, pool, out, error);
    default: return match_parse_pattern(conf, pool, text, kind == LIST_DOMAINS, &out->pat, error);
    }
}

/* ---- lists known when the configuration is read ---- */

static void note_ref(struct opt_reader *r, enum list_kind kind, const struct mitem *it)
{
    struct expand_settings *s = r->conf->settings[ROOM_EXPAND];
    if (it->kind == MI_ADDR_PARTS && it->domains) {
        it = it->domains->first;
        kind = LIST_DOMAINS;
    }
    if (it->kind == MI_NAMED) {
        struct list_ref *ref = POOL_NEW(r->pool, struct list_ref);
        *ref = (struct list_ref){s->refs, kind, it->name, r->pos, r->option};
        s->refs = ref;
    }
}

const struct mlist *expand_compile_list(struct opt_reader *r, enum opt_type type, struct str text)
{
    enum list_kind kind = type == OPT_DOMAINS     ? LIST_DOMAINS
                          : type == OPT_HOSTS     ? LIST_HOSTS
                          : type == OPT_ADDRESSES ? LIST_ADDRESSES
                                                  : LIST_LOCALPARTS;
    struct mlist *l = POOL_NEW(r->pool, struct mlist);
    *l = (struct mlist){.kind = kind, .text = text};
    const struct mitem **last = &l->first;
    struct str rest = text, item, error = STR_NONE;
    int sep = 0;
    while (list_next(r->pool, &rest, &sep, &item)) {
        struct mitem *it = POOL_NEW(r->pool, struct mitem);
        if (!match_parse_item(r->conf, r->pool, kind, item, it, &error)) {
            opt_error(r, "%.*s in %s list", STR_ARG(error), kind_names[kind]);
            return NULL;
        }
        note_ref(r, kind, it);
        *last = it;
        last = &it->next;
    }
    return l;
}

bool match_check_refs(struct config *conf, struct opt_reader *r)
{
    bool ok = true;
    struct cfg_pos pos = r->pos;
    for (const struct list_ref *ref = expand_settings(conf)->refs; ref; ref = ref->next) {
        if (!map_find(conf->named_lists[ref->kind], ref->name)) {
            r->pos = ref->pos;
            ok = opt_error(r, "unknown named %s list \"+%.*s\"%s%s", kind_names[ref->kind],
                           STR_ARG(ref->name), ref->option ? " in " : "",
                           ref->option ? ref->option : "");
        }
    }
    r->pos = pos;
    return ok;
}
