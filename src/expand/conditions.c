/*
 * The conditions of ${if that compare texts, numbers, addresses and files, and that match lists.
 * Their arguments come evaluated; crypteq is in crypteq.c.
 * A condition that cannot be decided returns false with the reason in x->error, in Exim's words.
 */
#include "expand/internal.h"

#include <ctype.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* ---- numbers ---- */

bool expand_number(struct ectx *x, struct str s, int64_t *out)
{
    struct str t = str_ltrim(s), digits = t;
    bool negative = str_starts(t, "-");
    uint64_t n = 0;
    uint32_t i = negative || str_starts(t, "+");
    if (str_empty(t)) {
        *out = 0;
        return true;
    }
    if (i >= t.len || !isdigit((unsigned char)t.p[i])) {
        return eval_fail(x, "integer expected but \"%.*s\" found", STR_ARG(t));
    }
    digits = str_from(t, i);
    for (i = 0; i < digits.len && isdigit((unsigned char)digits.p[i]); i++) {
    }
    bool fits = str_to_u64(str_sub(digits, 0, i), 10, &n) && n <= (uint64_t)INT64_MAX + negative;
    char unit = i < digits.len ? (char)tolower((unsigned char)digits.p[i]) : '\0';
    uint64_t factor = unit == 'k' ? 1 << 10 : unit == 'm' ? 1 << 20 : unit == 'g' ? 1 << 30 : 1;
    i += factor > 1;
    if (!fits || __builtin_mul_overflow(n, factor, &n) || n > (uint64_t)INT64_MAX) {
        return eval_fail(x, "absolute value of integer \"%.*s\" is too large (overflow)",
                         STR_ARG(t));
    }
    if (!str_empty(str_trim(str_from(digits, i)))) {
        return eval_fail(x, "invalid integer \"%.*s\"", STR_ARG(t));
    }
    *out = negative ? -(int64_t)n : (int64_t)n;
    return true;
}

#define NUMBERS(id, operation) \
    static bool test_##id(struct ectx *x, const struct str *a, size_t n, bool *result) \
    { \
        int64_t l, r; \
        (void)n; \
        if (!expand_number(x, a[0], &l) || !expand_number(x, a[1], &r)) { \
            return false; \
        } \
        *result = l operation r; \
        return true; \
    }

NUMBERS(number_eq, ==)
NUMBERS(number_lt, <)
NUMBERS(number_le, <=)
NUMBERS(number_gt, >)
NUMBERS(number_ge, >=)

/* ---- texts ---- */

#define TEXTS(id, expression) \
    static bool test_##id(struct ectx *x, const struct str *a, size_t n, bool *result) \
    { \
        (void)x; \
        (void)n; \
        *result = expression; \
        return true; \
    }

TEXTS(eq, str_eq(a[0], a[1]))
TEXTS(eqi, str_eqi(a[0], a[1]))
TEXTS(lt, str_cmp(a[0], a[1]) < 0)
TEXTS(lti, str_cmpi(a[0], a[1]) < 0)
TEXTS(le, str_cmp(a[0], a[1]) <= 0)
TEXTS(lei, str_cmpi(a[0], a[1]) <= 0)
TEXTS(gt, str_cmp(a[0], a[1]) > 0)
TEXTS(gti, str_cmpi(a[0], a[1]) > 0)
TEXTS(ge, str_cmp(a[0], a[1]) >= 0)
TEXTS(gei, str_cmpi(a[0], a[1]) >= 0)

static bool is_number(struct str s)
{
    if (str_starts(s, "-")) {
        s = str_from(s, 1);
    }
    return s.len && str_all_in(s, "0123456789");
}

/* bool: true, yes, non-zero; false, no, zero, empty; else an error. */
static bool test_bool(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    struct str s = str_trim(a[0]);
    (void)n;
    if (is_number(s)) {
        *result = str_any_in(s, "123456789");
        return true;
    }
    *result = str_isi(s, "true") || str_isi(s, "yes");
    return *result || str_empty(s) || str_isi(s, "false") || str_isi(s, "no") ||
           eval_fail(x, "unrecognised boolean value \"%.*s\"", STR_ARG(s));
}

/* bool_lax: anything but false, no, 0 and nothing is true. */
static bool test_bool_lax(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    struct str s = str_trim(a[0]);
    (void)x;
    (void)n;
    *result = !str_empty(s) && !str_isi(s, "false") && !str_isi(s, "no") && !str_is(s, "0");
    return true;
}

static bool test_match(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    enum match m = match_regex(x, a[1], a[0], false, true);
    *result = m == MATCH_YES;
    return m != MATCH_ERROR;
}

static bool in_list(struct ectx *x, const struct str *a, bool caseless, bool *result)
{
    struct str rest = a[1], item;
    int sep = 0;
    *result = false;
    while (!*result && list_next(x->pool, &rest, &sep, &item)) {
        *result = caseless ? str_eqi(item, a[0]) : str_eq(item, a[0]);
    }
    if (*result) {
        scope_set(x, STR("value"), item);
    }
    return true;
}

static bool test_inlist(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    return in_list(x, a, false, result);
}

static bool test_inlisti(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    return in_list(x, a, true, result);
}

/* ---- lists of domains, addresses and the like ---- */

static bool match_kind(struct ectx *x, const struct str *a, enum list_kind kind, bool *result)
{
    struct str data;
    struct scope *outer = x->scope;
    *result = false;
    enum match m = match_text(x, kind, a[1], a[0], true, &data);
    if (kind == LIST_ADDRESSES) {
        x->scope = outer; /* alone of its kind it leaves $0… as they are */
    }
    switch (m) {
    case MATCH_NO: return true;
    case MATCH_YES:
        *result = true;
        scope_set(x, STR("value"), data);
        return true;
    default:
        x->defer = true;
        return eval_fail(x, "unable to complete match against \"%.*s\": %.*s", STR_ARG(a[1]),
                         STR_ARG(x->error));
    }
}

static bool test_match_domain(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    return match_kind(x, a, LIST_DOMAINS, result);
}

static bool test_match_address(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    return match_kind(x, a, LIST_ADDRESSES, result);
}

static bool test_match_local_part(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)n;
    return match_kind(x, a, LIST_LOCALPARTS, result);
}

/* IPv4 in an IPv6 address's clothes. */
static bool is_mapped(const struct ip *ip)
{
    static const unsigned char prefix[12] = {[10] = 0xff, [11] = 0xff};
    return ip->family == AF_INET6 && memcmp(ip->b, prefix, sizeof prefix) == 0;
}

static bool test_match_ip(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    struct ip ip = {0};
    (void)n;
    if (!str_empty(a[0]) && !ip_parse(a[0], &ip)) {
        return eval_fail(x, "\"%.*s\" is not an IP address", STR_ARG(a[0]));
    }
    struct str subject =
        is_mapped(&ip) ? str_fmt(x->pool, "%d.%d.%d.%d", ip.b[12], ip.b[13], ip.b[14], ip.b[15])
                       : a[0];
    return match_kind(x, (struct str[]){subject, a[1]}, LIST_HOSTS, result);
}

/* ---- addresses, files, states ---- */

static bool is_ip(struct str s, int family)
{
    struct ip ip;
    ptrdiff_t scope = str_chr(s, '%');
    return ip_parse(scope < 0 ? s : str_sub(s, 0, (size_t)scope), &ip) &&
           (family == AF_UNSPEC || ip.family == family);
}

TEXTS(isip, is_ip(a[0], AF_UNSPEC))
TEXTS(isip4, is_ip(a[0], AF_INET))
TEXTS(isip6, is_ip(a[0], AF_INET6))

static bool test_exists(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    struct stat st;
    (void)n;
    *result = stat(str_cstr(x->pool, a[0]), &st) == 0;
    return true;
}

static bool test_first_delivery(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)a;
    (void)n;
    *result = x->msg && x->msg->deliver_firsttime;
    return true;
}

static bool test_queue_running(struct ectx *x, const struct str *a, size_t n, bool *result)
{
    (void)a;
    (void)n;
    *result = x->queue_running;
    return true;
}

#define UNSUPPORTED(name) \
    { \
        name, 1, 9, false, NULL, NULL \
    }

const struct expand_condition expand_conditions[] = {
    {"<", 2, 2, false, test_number_lt, "number less than"},
    {"<=", 2, 2, false, test_number_le, "number not greater than"},
    {"=", 2, 2, false, test_number_eq, "equal numbers"},
    {"==", 2, 2, false, test_number_eq, "equal numbers"},
    {">", 2, 2, false, test_number_gt, "number greater than"},
    {">=", 2, 2, false, test_number_ge, "number not less than"},
    {"bool", 1, 1, false, test_bool, "true, yes or a number other than zero"},
    {"bool_lax", 1, 1, false, test_bool_lax, "neither empty nor false, no or zero"},
    {"crypteq", 2, 2, false, test_crypteq, "password and its encrypted form"},
    {"eq", 2, 2, false, test_eq, "equal texts"},
    {"eqi", 2, 2, false, test_eqi, "equal texts but for case"},
    {"exists", 1, 1, false, test_exists, "a file is there"},
    {"first_delivery", 0, 0, false, test_first_delivery, "the message is tried for the first time"},
    {"ge", 2, 2, false, test_ge, "text not before"},
    {"gei", 2, 2, false, test_gei, "text not before, but for case"},
    {"gt", 2, 2, false, test_gt, "text after"},
    {"gti", 2, 2, false, test_gti, "text after, but for case"},
    UNSUPPORTED("inbound_srs"),
    {"inlist", 2, 2, false, test_inlist, "one of a list"},
    {"inlisti", 2, 2, false, test_inlisti, "one of a list but for case"},
    {"isip", 1, 1, false, test_isip, "an IP address"},
    {"isip4", 1, 1, false, test_isip4, "an IPv4 address"},
    {"isip6", 1, 1, false, test_isip6, "an IPv6 address"},
    UNSUPPORTED("ldapauth"),
    {"le", 2, 2, false, test_le, "text not after"},
    {"lei", 2, 2, false, test_lei, "text not after, but for case"},
    {"lt", 2, 2, false, test_lt, "text before"},
    {"lti", 2, 2, false, test_lti, "text before, but for case"},
    {"match", 2, 2, false, test_match, "a regular expression"},
    {"match_address", 2, 2, false, test_match_address, "an address list"},
    {"match_domain", 2, 2, false, test_match_domain, "a domain list"},
    {"match_ip", 2, 2, false, test_match_ip, "a host list of addresses"},
    {"match_local_part", 2, 2, false, test_match_local_part, "a local part list"},
    UNSUPPORTED("pam"),
    UNSUPPORTED("pwcheck"),
    {"queue_running", 0, 0, false, test_queue_running, "in a queue run"},
    UNSUPPORTED("radius"),
    UNSUPPORTED("saslauthd"),
    {0},
};
