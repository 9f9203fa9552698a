/*
 * The option engine (option.h): finds a row by name, sets defaults, parses values into fields.
 *
 * Values and everything made from them live in the reader's pool, as long as the configuration.
 * Errors go to the reader's error function in Exim's words; the caller goes on with the next line,
 * so that one run reports them all.
 */
#include "core/core.h"

#include <ctype.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>

#define FIELD(base, row, type) ((type *)(void *)((char *)(base) + (row)->offset))

bool opt_error(struct opt_reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = str_vfmt(r->pool, fmt, ap);
    va_end(ap);
    r->error(r, text.p);
    return false;
}

const struct option *opt_find(const struct option *table, struct str name)
{
    for (const struct option *row = table; row && row->type != OPT_END; row++) {
        if (str_is(name, row->name)) {
            return row->type == OPT_ALIAS ? opt_find(table, str_c(row->dflt)) : row;
        }
    }
    return NULL;
}

static bool set_bool(struct opt_reader *r, bool *field, struct str value, bool negated)
{
    if (str_unset(value)) {
        *field = !negated;
        return true;
    }
    if (negated) {
        return opt_error(r, "extra characters follow boolean option no_%s", r->option);
    }
    bool yes = str_isi(value, "true") || str_isi(value, "yes");
    struct str rest = value, word;
    str_next(&rest, ' ', &word);
    bool more = !str_empty(str_trim(rest)) && (str_isi(word, "true") || str_isi(word, "yes") ||
                                               str_isi(word, "false") || str_isi(word, "no"));
    if (more) {
        return opt_error(r, "extra characters follow \"%.*s\" for boolean option %s", STR_ARG(word),
                         r->option);
    }
    if (!yes && !str_isi(value, "false") && !str_isi(value, "no")) {
        return opt_error(r, "\"%.*s\" is not a valid value for the \"%s\" option", STR_ARG(value),
                         r->option);
    }
    *field = yes;
    return true;
}

/* Length of the digits (after a sign) that a number in the base begins with. */
static uint32_t digits(struct str s, int base)
{
    uint32_t i = s.len && (s.p[0] == '-' || s.p[0] == '+');
    uint32_t start = i;
    if (base == 0 && s.len > i + 2 && s.p[i] == '0' && tolower((unsigned char)s.p[i + 1]) == 'x') {
        for (i += 2; i < s.len && isxdigit((unsigned char)s.p[i]); i++) {
        }
        return i;
    }
    while (i < s.len && isdigit((unsigned char)s.p[i]) && (base != 8 || s.p[i] < '8')) {
        i++;
    }
    return i > start ? i : 0;
}

/* A number with an optional factor K, M or G (each only if the limit allows it). */
static bool parse_number(struct opt_reader *r, struct str value, int base, int64_t limit,
                         int64_t *out)
{
    uint32_t n = digits(value, base);
    if (n == 0) {
        return opt_error(r, "%sinteger expected for %s", base == 8 ? "octal " : "", r->option);
    }
    bool negative = value.p[0] == '-', sign = negative || value.p[0] == '+';
    struct str number = str_sub(value, sign, n - sign);
    unsigned radix = base ? (unsigned)base : 10;
    if (base == 0 && number.len > 1 && number.p[0] == '0') {
        radix = tolower((unsigned char)number.p[1]) == 'x' ? 16 : 8;
        number = str_from(number, radix == 16 ? 2 : 1);
    }
    uint64_t u;
    int64_t factor = 1;
    if (!str_to_u64(number, radix, &u) || u > (uint64_t)limit) {
        return opt_error(r, "absolute value of integer \"%.*s\" is too large (overflow)",
                         STR_ARG(value));
    }
    char unit = n < value.len ? (char)toupper((unsigned char)value.p[n]) : '\0';
    if (unit == 'K' || unit == 'M' || unit == 'G') {
        factor = unit == 'K' ? 1024 : unit == 'M' ? 1024 * 1024 : 1024 * 1024 * 1024;
        n++;
    }
    int64_t product;
    if (__builtin_mul_overflow((int64_t)u, factor, &product) || product > limit) {
        return opt_error(r, "absolute value of integer \"%.*s\" is too large (overflow)",
                         STR_ARG(value));
    }
    if (!str_empty(str_trim(str_from(value, n)))) {
        return opt_error(r, "extra characters follow integer value for %s", r->option);
    }
    *out = negative ? -product : product;
    return true;
}

static bool set_int(struct opt_reader *r, int *field, struct str value, int base)
{
    int64_t n;
    if (!parse_number(r, value, base, INT32_MAX, &n)) {
        return false;
    }
    *field = (int)n;
    return true;
}

/* "12", "12.3", "-0.05" as thousandths. */
static bool set_fixed(struct opt_reader *r, int *field, struct str value)
{
    ptrdiff_t dot = str_chr(value, '.');
    struct str whole = dot < 0 ? value : str_sub(value, 0, (size_t)dot);
    struct str part = dot < 0 ? STR("") : str_from(value, (size_t)dot + 1);
    uint64_t n = 0, f = 0;
    bool negative = str_starts(whole, "-");
    if (negative) {
        whole = str_from(whole, 1);
    }
    if (!str_to_u64(whole, 10, &n) || n > 1000000 || (part.len && !str_to_u64(part, 10, &f))) {
        return opt_error(r, "fixed-point number expected for %s", r->option);
    }
    f = 0;
    for (uint32_t i = 0; i < 3; i++) {
        f = f * 10 + (i < part.len ? (uint64_t)(part.p[i] - '0') : 0);
    }
    int v = (int)(n * 1000 + f);
    *field = negative ? -v : v;
    return true;
}

static bool parse_time(struct opt_reader *r, struct str value, int *out)
{
    int64_t t = time_interval(value);
    if (t < 0 || t > INT32_MAX) {
        return opt_error(r, "invalid time value for %s", r->option);
    }
    *out = (int)t;
    return true;
}

static bool set_times(struct opt_reader *r, struct timelist *field, struct str value)
{
    size_t max = 1;
    for (uint32_t i = 0; i < value.len; i++) {
        max += value.p[i] == ':';
    }
    struct timelist list = {0, pool_calloc(r->pool, max, sizeof(int))};
    struct str item;
    while (str_next(&value, ':', &item)) {
        if (!parse_time(r, str_trim(item), &list.v[list.n++])) {
            return false;
        }
    }
    *field = list;
    return true;
}

static bool user_id(struct opt_reader *r, struct str name, bool group, uint32_t *id)
{
    uint64_t n;
    if (str_to_u64(name, 10, &n) && n < UINT32_MAX) {
        *id = (uint32_t)n;
        return true;
    }
    const char *text = str_cstr(r->pool, name);
    if (group) {
        const struct group *g = getgrnam(text);
        *id = g ? g->gr_gid : 0;
        return g ? true : opt_error(r, "group %s was not found", text);
    }
    const struct passwd *p = getpwnam(text);
    *id = p ? p->pw_uid : 0;
    return p ? true : opt_error(r, "user %s was not found", text);
}

static bool set_etext(struct opt_reader *r, struct etext *field, struct str value)
{
    struct etext e = {.text = str_dup(r->pool, value)};
    if (str_any_in(value, "$\\")) {
        e.tree = r->compile ? r->compile(r, e.text) : NULL;
        if (r->compile && !e.tree) {
            return false;
        }
    }
    *field = e;
    return true;
}

static bool set_id(struct opt_reader *r, struct idopt *field, struct str value, bool group)
{
    struct idopt o = {.set = true};
    bool ok =
        str_chr(value, '$') >= 0 ? set_etext(r, &o.text, value) : user_id(r, value, group, &o.id);
    if (ok) {
        *field = o;
    }
    return ok;
}

static bool set_ids(struct opt_reader *r, struct idlist *field, struct str value, bool group)
{
    size_t max = 1;
    bool ok = true;
    for (uint32_t i = 0; i < value.len; i++) {
        max += value.p[i] == ':';
    }
    struct idlist list = {0, pool_calloc(r->pool, max, sizeof(uint32_t))};
    struct str item;
    while (str_next(&value, ':', &item)) {
        item = str_trim(item);
        if (!str_empty(item)) {
            ok &= user_id(r, item, group, &list.ids[list.n++]);
        }
    }
    *field = list;
    return ok;
}

/* A list without anything to expand is compiled now; one with `$` when it is used. */
static bool set_list(struct opt_reader *r, struct etext *field, enum opt_type kind,
                     struct str value)
{
    if (str_chr(value, '$') >= 0) {
        return set_etext(r, field, value);
    }
    struct etext e = {.text = str_dup(r->pool, value)};
    if (str_chr(value, '\\') >= 0 && !set_etext(r, &e, value)) {
        return false;
    }
    if (!e.tree && r->compile_list && !(e.list = r->compile_list(r, kind, e.text))) {
        return false;
    }
    *field = e;
    return true;
}

/* Everything but booleans, which alone need no value. */
static bool set_value(struct opt_reader *r, const struct option *row, void *base, struct str value)
{
    int64_t n;
    switch (row->type) {
    case OPT_INT: return set_int(r, FIELD(base, row, int), value, 0);
    case OPT_OCT: return set_int(r, FIELD(base, row, int), value, 8);
    case OPT_SIZE:
        if (!parse_number(r, value, 0, INT64_MAX, &n)) {
            return false;
        }
        *FIELD(base, row, int64_t) = n;
        return true;
    case OPT_FIXED: return set_fixed(r, FIELD(base, row, int), value);
    case OPT_TIME: return parse_time(r, value, FIELD(base, row, int));
    case OPT_TIMES: return set_times(r, FIELD(base, row, struct timelist), value);
    case OPT_STRING: *FIELD(base, row, struct str) = str_dup(r->pool, value); return true;
    case OPT_TRUTH:
    case OPT_EXPAND: return set_etext(r, FIELD(base, row, struct etext), value);
    case OPT_DOMAINS:
    case OPT_HOSTS:
    case OPT_ADDRESSES:
    case OPT_LOCALPARTS: return set_list(r, FIELD(base, row, struct etext), row->type, value);
    case OPT_USER:
    case OPT_GROUP: return set_id(r, FIELD(base, row, struct idopt), value, row->type == OPT_GROUP);
    case OPT_USERS:
    case OPT_GROUPS:
        return set_ids(r, FIELD(base, row, struct idlist), value, row->type == OPT_GROUPS);
    case OPT_CUSTOM:
    case OPT_REPEAT: return row->parse(r, base, value);
    default:
        return opt_error(
            r, "option \"%s\" is known to Exim but not supported by this version of minim",
            row->name);
    }
}

bool opt_set(struct opt_reader *r, const struct option *row, void *base, struct str value,
             bool negated)
{
    r->option = row->name;
    if (row->type == OPT_BOOL) {
        return set_bool(r, FIELD(base, row, bool), value, negated) &&
               (!row->parse || row->parse(r, base, value));
    }
    bool literal = !str_empty(value) && str_chr(value, '$') < 0;
    if (row->type == OPT_TRUTH && (negated || str_unset(value) || literal)) {
        bool b = false;
        return set_bool(r, &b, value, negated) &&
               set_etext(r, FIELD(base, row, struct etext), str_c(b ? "true" : "false"));
    }
    if (row->type == OPT_UNSUPPORTED) {
        /* An empty list of hosts asks for nothing, which is what happens. */
        bool nothing = !negated && !str_unset(value) && str_empty(str_trim(value)) &&
                       str_starts(str_c(row->name), "hosts_");
        return nothing || set_value(r, row, base, value);
    }
    if (negated) {
        return opt_error(r, "negation prefix applied to a non-boolean option");
    }
    if (str_unset(value)) {
        return opt_error(r, "unexpected end of line (data missing) after %s", row->name);
    }
    return set_value(r, row, base, value);
}

bool opt_defaults(struct opt_reader *r, const struct option *table, void *base)
{
    bool ok = true;
    for (const struct option *row = table; row && row->type != OPT_END; row++) {
        if (row->dflt && row->type != OPT_ALIAS && row->type != OPT_UNSUPPORTED) {
            ok &= opt_set(r, row, base, str_c(row->dflt), false);
        }
    }
    return ok;
}

static struct str print_size(struct pool *pool, int64_t n)
{
    int64_t kilo = 1024, mega = kilo * 1024, giga = mega * 1024;
    if (n && n % giga == 0) {
        return str_fmt(pool, "%lldG", (long long)(n / giga));
    }
    if (n && n % mega == 0) {
        return str_fmt(pool, "%lldM", (long long)(n / mega));
    }
    if (n && n % kilo == 0) {
        return str_fmt(pool, "%lldK", (long long)(n / kilo));
    }
    return str_fmt(pool, "%lld", (long long)n);
}

static struct str print_fixed(struct pool *pool, int n)
{
    int part = n < 0 ? -n % 1000 : n % 1000;
    if (n < 0) {
        return STR_NONE; /* not set: no limit */
    }
    struct str s = str_fmt(pool, "%d.%03d", n / 1000, part);
    while (s.p[s.len - 1] == '0') {
        s.len--;
    }
    return s.p[s.len - 1] == '.' ? str_sub(s, 0, s.len - 1) : s;
}

static struct str id_name(struct pool *pool, uint32_t id, bool group)
{
    const struct group *g = group ? getgrgid(id) : NULL;
    const struct passwd *p = group ? NULL : getpwuid(id);
    const char *name = g ? g->gr_name : p ? p->pw_name : NULL;
    return name ? str_dup(pool, str_c(name)) : str_fmt(pool, "%u", id);
}

static struct str print_ids(struct pool *pool, const struct idlist *l, bool group)
{
    struct buf b;
    buf_init(&b, pool, 65536);
    for (size_t i = 0; i < l->n; i++) {
        buf_addz(&b, i ? " : " : "");
        buf_adds(&b, id_name(pool, l->ids[i], group));
    }
    return buf_str(&b);
}

static struct str print_times(struct pool *pool, const struct timelist *l)
{
    struct buf b;
    buf_init(&b, pool, 65536);
    for (size_t i = 0; i < l->n; i++) {
        buf_addz(&b, i ? ":" : "");
        buf_adds(&b, time_interval_text(pool, l->v[i]));
    }
    return buf_str(&b);
}

/* The value alone; unset prints as nothing after the equals sign. */
static struct str print_value(struct pool *pool, const struct option *row, const void *cbase)
{
    void *base = (void *)(uintptr_t)cbase;
    const struct idopt *id;
    switch (row->type) {
    case OPT_INT: return str_fmt(pool, "%d", *FIELD(base, row, int));
    case OPT_OCT: return str_fmt(pool, "%#o", (unsigned)*FIELD(base, row, int));
    case OPT_SIZE: return print_size(pool, *FIELD(base, row, int64_t));
    case OPT_FIXED: return print_fixed(pool, *FIELD(base, row, int));
    case OPT_TIME: return time_interval_text(pool, *FIELD(base, row, int));
    case OPT_TIMES: return print_times(pool, FIELD(base, row, struct timelist));
    case OPT_STRING: return *FIELD(base, row, struct str);
    case OPT_USER:
    case OPT_GROUP:
        id = FIELD(base, row, struct idopt);
        return !id->set                    ? STR_NONE
               : !str_unset(id->text.text) ? id->text.text
                                           : id_name(pool, id->id, row->type == OPT_GROUP);
    case OPT_USERS:
    case OPT_GROUPS:
        return print_ids(pool, FIELD(base, row, struct idlist), row->type == OPT_GROUPS);
    case OPT_CUSTOM:
    case OPT_REPEAT: return row->print ? row->print(pool, base) : STR_NONE;
    case OPT_UNSUPPORTED:
    case OPT_ALIAS:
    case OPT_END: return STR_NONE;
    default: return FIELD(base, row, struct etext)->text;
    }
}

/* Here, unlike in a log line, a tab is shown as well. */
static struct str tabs_shown(struct pool *pool, struct str s)
{
    if (str_chr(s, '\t') < 0) {
        return s;
    }
    char *p = pool_alloc(pool, (size_t)s.len * 2 + 1), *q = p;
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\t') {
            *q++ = '\\';
        }
        *q++ = s.p[i] == '\t' ? 't' : s.p[i];
    }
    *q = '\0';
    return str_n(p, (size_t)(q - p));
}

struct str opt_print(struct pool *pool, const struct option *row, const void *base)
{
    if (row->type == OPT_BOOL) {
        const bool *field = (const bool *)(const void *)((const char *)base + row->offset);
        return STR_CAT(pool, str_c(*field ? "" : "no_"), str_c(row->name));
    }
    if (row->type == OPT_TRUTH) {
        struct str t =
            ((const struct etext *)(const void *)((const char *)base + row->offset))->text;
        bool yes = str_is(t, "true") || str_is(t, "yes"),
             no = str_is(t, "false") || str_is(t, "no");
        if (yes || no) {
            return STR_CAT(pool, str_c(yes ? "" : "no_"), str_c(row->name));
        }
    }
    struct str value = tabs_shown(pool, str_printable(pool, print_value(pool, row, base), true));
    /* As in Exim: an unset list of users, groups or a number ends in the equals sign. */
    bool bare = row->type == OPT_USERS || row->type == OPT_GROUPS || row->type == OPT_FIXED;
    return STR_CAT(pool, str_c(row->name), str_c(bare && str_empty(value) ? " =" : " = "), value);
}
