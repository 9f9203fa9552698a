/*
 * The lookup type as configurations write it: "partial3(affix)lsearch*@,option=value".
 *
 * Texts of errors are Exim's. A type that Exim has and minim has not (yet) is told apart from one
 * that nobody knows. Parsed types hold views into the text, which must live as long.
 */
#include "lookup/internal.h"

#include <ctype.h>

/* Lookup types of Exim that minim knows by name only. */
static const char *const unsupported[] = {
    "dbm", "dbmjz", "dbmnz",   "ibase",  "json",  "ldap",  "ldapdn", "ldapm",  "lmdb",   "mysql",
    "nis", "nis0",  "nisplus", "oracle", "pgsql", "redis", "spf",    "sqlite", "testdb", "whoson",
};

struct str lookup_option(struct str options, const char *name)
{
    struct str item;
    size_t n = strlen(name);
    while (str_next(&options, ',', &item)) {
        item = str_trim(item);
        if (str_starts(item, name) && item.len > n && item.p[n] == '=') {
            return str_from(item, n + 1);
        }
    }
    return STR_NONE;
}

/* True if the options hold exactly this item. */
static bool has_item(struct str options, const char *what)
{
    struct str item;
    while (str_next(&options, ',', &item)) {
        if (str_is(str_trim(item), what)) {
            return true;
        }
    }
    return false;
}

static bool fail(struct pool *pool, struct str *error, const char *fmt, struct str what)
    __attribute__((format(printf, 3, 0)));

static bool fail(struct pool *pool, struct str *error, const char *fmt, struct str what)
{
    *error = str_fmt(pool, fmt, STR_ARG(what));
    return false;
}

bool lookup_parse_name(const struct config *conf, struct pool *pool, struct str name,
                       const struct lookup_driver **out, struct str *error)
{
    for (const struct module *const *m = conf->modules; m && *m; m++) {
        for (const struct lookup_driver *const *d = (*m)->lookups; d && *d; d++) {
            if (str_is(name, (*d)->name)) {
                *out = *d;
                return true;
            }
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(unsupported); i++) {
        if (str_is(name, unsupported[i])) {
            return fail(pool, error,
                        "lookup type \"%.*s\" is known but not supported by this version of minim",
                        name);
        }
    }
    return fail(pool, error, "unknown lookup type \"%.*s\"", name);
}

/* "partial", its number and its affix, cut off the front. False if they are malformed. */
static bool parse_partial(struct str *s, struct lookup_type *t)
{
    uint32_t i = 7;
    int n = 0;
    t->partial = 2;
    t->affix = STR("*.");
    while (i < s->len && isdigit((unsigned char)s->p[i])) {
        n = n > 9999 ? n : n * 10 + (s->p[i] - '0');
        t->partial = n;
        i++;
    }
    if (i < s->len && s->p[i] == '-') {
        *s = str_from(*s, i + 1);
        return true;
    }
    if (i >= s->len || s->p[i] != '(') {
        return false;
    }
    uint32_t from = ++i;
    while (i < s->len && ispunct((unsigned char)s->p[i]) && s->p[i] != ')') {
        i++;
    }
    if (i >= s->len || s->p[i] != ')') {
        return false;
    }
    t->affix = str_sub(*s, from, i - from);
    *s = str_from(*s, i + 1);
    return true;
}

bool lookup_parse_type(const struct config *conf, struct pool *pool, struct str text,
                       struct lookup_type *out, struct str *error)
{
    ptrdiff_t comma = str_chr(text, ',');
    struct str s = str_trim(comma < 0 ? text : str_sub(text, 0, (size_t)comma)), whole = s;
    *out = (struct lookup_type){.partial = -1};
    out->options = comma < 0 ? STR("") : str_trim(str_from(text, (size_t)comma + 1));
    out->ret_key = has_item(out->options, "ret=key");
    out->no_read = has_item(out->options, "cache=no_rd");
    if (str_starts(s, "partial") && !parse_partial(&s, out)) {
        return fail(pool, error, "format error in lookup type \"%.*s\"", whole);
    }
    struct str name = s;
    if (str_ends(name, STR("*@"))) {
        out->star = LOOKUP_STAR | LOOKUP_STARAT;
        name.len -= 2;
    } else if (str_ends(name, STR("*"))) {
        out->star = LOOKUP_STAR;
        name.len -= 1;
    }
    if (!lookup_parse_name(conf, pool, name, &out->driver, error)) {
        return false;
    }
    if (out->driver->flags & LOOKUP_SINGLE_KEY) {
        return true;
    }
    if (out->partial >= 0) {
        return fail(pool, error, "\"partial\" is not permitted for lookup type \"%.*s\"", name);
    }
    if (out->star) {
        return fail(pool, error,
                    "defaults using \"*\" or \"*@\" are not permitted for lookup type \"%.*s\"", s);
    }
    return true;
}
