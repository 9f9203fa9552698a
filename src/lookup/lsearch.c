/*
 * Lookups in text files: lsearch (the key itself), wildlsearch and nwildlsearch (keys are patterns),
 * iplsearch (keys are addresses and networks). The first line that matches wins; all but
 * regular expressions match without regard to case.
 *
 * The data comes from a file of ours and is untainted. Results live in the call's pool. A key that
 * cannot be used, or a pattern that cannot be compiled or expanded, is LK_DEFER with a text.
 */
#include "lookup/internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

static enum lookup_result found(struct lookup_call *c, const struct text_entry *e)
{
    c->data = text_entry_data(c->pool, e, str_is(lookup_option(c->options, "ret"), "full"));
    return LK_FOUND;
}

static enum lookup_result find_lsearch(struct lookup_call *c)
{
    struct lookup_file *f = lookup_file_text(c);
    if (!f) {
        return LK_ERROR;
    }
    if (f->index) {
        const struct text_entry *e = map_get(f->index, c->key);
        return e ? found(c, e) : LK_NOTFOUND;
    }
    for (size_t i = 0; i < f->n; i++) {
        if (str_eqi(f->entries[i].key, c->key)) {
            return found(c, &f->entries[i]);
        }
    }
    return LK_NOTFOUND;
}

/* ---- patterns ---- */

static pcre2_code *compile(struct lookup_call *c, struct str pattern)
{
    int error;
    PCRE2_SIZE at;
    PCRE2_UCHAR text[128];
    pcre2_code *code =
        pcre2_compile((PCRE2_SPTR)pattern.p, pattern.len, PCRE2_CASELESS, &error, &at, NULL);
    if (!code) {
        pcre2_get_error_message(error, text, sizeof text);
        c->error = str_fmt(c->pool, "regular expression error in \"%.*s\": %s at offset %zu",
                           STR_ARG(pattern), (char *)text, (size_t)at);
    }
    return code;
}

static bool matches(const pcre2_code *code, struct str s)
{
    pcre2_match_data *md = pcre2_match_data_create(1, NULL);
    if (!md) {
        BUG("out of memory");
    }
    int r = pcre2_match(code, (PCRE2_SPTR)s.p, s.len, 0, 0, md, NULL);
    pcre2_match_data_free(md);
    return r >= 0;
}

/* The compiled pattern is kept with the entry unless its text was made for this lookup only. */
static enum lookup_result match_regex(struct lookup_call *c, struct text_entry *e, struct str key)
{
    bool own = key.p == e->key.p;
    pcre2_code *code = own && e->code ? e->code : compile(c, key);
    if (!code) {
        return LK_DEFER;
    }
    bool yes = matches(code, c->key);
    if (own) {
        e->code = code;
    } else {
        pcre2_code_free(code);
    }
    return yes ? LK_FOUND : LK_NOTFOUND;
}

/* "type;file" as a pattern: it matches if the key is found there. */
static enum lookup_result match_nested(struct lookup_call *c, struct str key, size_t semicolon)
{
    struct lookup_type type;
    struct str data, ignored;
    if (!lookup_parse_type(c->conf, c->pool, str_sub(key, 0, semicolon), &type, &ignored)) {
        return str_eqi(key, c->key) ? LK_FOUND : LK_NOTFOUND;
    }
    struct str where = str_trim(str_from(key, semicolon + 1));
    bool single = type.driver->flags & LOOKUP_SINGLE_KEY;
    return lookup_find(c->conf, c->pool, &type, single ? where : STR(""), single ? c->key : where,
                       &data, NULL, NULL, NULL, &c->error);
}

static enum lookup_result match_pattern(struct lookup_call *c, struct text_entry *e, struct str key)
{
    ptrdiff_t semicolon = str_chr(key, ';');
    if (str_starts(key, "^")) {
        return match_regex(c, e, key);
    }
    if (str_starts(key, "*")) {
        return str_endsi(c->key, str_from(key, 1)) ? LK_FOUND : LK_NOTFOUND;
    }
    if (semicolon >= 0) {
        return match_nested(c, key, (size_t)semicolon);
    }
    return str_eqi(key, c->key) ? LK_FOUND : LK_NOTFOUND;
}

/* A leading exclamation mark turns the match round, as in any list. */
static enum lookup_result match_entry(struct lookup_call *c, struct text_entry *e, struct str key)
{
    if (!str_starts(key, "!")) {
        return match_pattern(c, e, key);
    }
    enum lookup_result r = match_pattern(c, e, str_ltrim(str_from(key, 1)));
    return r == LK_FOUND ? LK_NOTFOUND : r == LK_NOTFOUND ? LK_FOUND : r;
}

/* The key of a wildlsearch line; what can be seen to hold nothing to expand is left alone. */
static bool expand_key(struct lookup_call *c, struct str *key)
{
    lookup_expander *expand = lookup_settings(c->conf)->expander;
    struct str why;
    if (!expand || !str_any_in(*key, "$\\")) {
        return true;
    }
    if (expand(c->conf, c->pool, *key, key, &why)) {
        return true;
    }
    log_write(LOG_MAIN, "failed to expand \"%.*s\" while checking a list: %.*s", STR_ARG(*key),
              STR_ARG(why));
    c->error = STR("");
    return false;
}

static enum lookup_result walk(struct lookup_call *c, struct lookup_file *f, bool expanded)
{
    for (size_t i = 0; i < f->n; i++) {
        struct str key = f->entries[i].key;
        if (expanded && !expand_key(c, &key)) {
            return LK_DEFER;
        }
        enum lookup_result r = match_entry(c, &f->entries[i], key);
        if (r == LK_FOUND) {
            return found(c, &f->entries[i]);
        }
        if (r != LK_NOTFOUND) {
            return LK_DEFER;
        }
    }
    return LK_NOTFOUND;
}

/* Patterns and expanded keys may look things up in other files, but not in this one again. */
static enum lookup_result find_wild(struct lookup_call *c, bool expanded)
{
    struct lookup_file *f = lookup_file_text(c);
    if (!f) {
        return LK_ERROR;
    }
    if (f->busy) {
        c->error = str_fmt(c->pool, "%.*s refers to itself", STR_ARG(c->file));
        return LK_DEFER;
    }
    f->busy = true;
    enum lookup_result r = walk(c, f, expanded);
    f->busy = false;
    return r;
}

static enum lookup_result find_wildlsearch(struct lookup_call *c)
{
    return find_wild(c, true);
}

static enum lookup_result find_nwildlsearch(struct lookup_call *c)
{
    return find_wild(c, false);
}

/* ---- addresses ---- */

static enum lookup_result find_iplsearch(struct lookup_call *c)
{
    struct lookup_file *f = lookup_file_text(c);
    struct ip ip, net;
    unsigned bits;
    if (!f) {
        return LK_ERROR;
    }
    if (str_is(c->key, "*")) { /* the default of iplsearch* */
        for (size_t i = 0; i < f->n; i++) {
            if (str_is(f->entries[i].key, "*")) {
                return found(c, &f->entries[i]);
            }
        }
        return LK_NOTFOUND;
    }
    if (!ip_parse(c->key, &ip)) {
        c->error = str_fmt(c->pool,
                           "\"%.*s\" is not a valid iplsearch key (an IP address, with optional "
                           "CIDR mask, is wanted): in a host list, use net-iplsearch as the search "
                           "type",
                           STR_ARG(c->key));
        return LK_DEFER;
    }
    for (size_t i = 0; i < f->n; i++) {
        if (ip_parse_net(f->entries[i].key, &net, &bits) && ip_in_net(&ip, &net, bits)) {
            return found(c, &f->entries[i]);
        }
    }
    return LK_NOTFOUND;
}

const struct lookup_driver lookup_lsearch = {"lsearch", LOOKUP_SINGLE_KEY, find_lsearch, NULL};
const struct lookup_driver lookup_wildlsearch = {"wildlsearch", LOOKUP_SINGLE_KEY, find_wildlsearch,
                                                 NULL};
const struct lookup_driver lookup_nwildlsearch = {"nwildlsearch", LOOKUP_SINGLE_KEY,
                                                  find_nwildlsearch, NULL};
const struct lookup_driver lookup_iplsearch = {"iplsearch", LOOKUP_SINGLE_KEY, find_iplsearch,
                                               NULL};
