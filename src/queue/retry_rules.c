/*
 * Retry rules: reading a line of the retry section, choosing the rule for a failure, and computing
 * from it when to try again.
 *
 * A rule is `pattern error [senders=list] parameters`; parameters are "F,cutoff,interval" or
 * "G|H,cutoff,interval,factor", separated by semicolons. A rule without parameters means no retry.
 */
#include "queue/internal.h"

#include <errno.h>

enum { PARAMS_MAX = 64 };

/* ---- reading ---- */

/* Names of errors; code digits and quota times are treated apart. */
static const struct {
    const char *name;
    int basic_errno, more_errno;
} errors[] = {
    {"*", 0, 0},
    {"auth_failed", ERRNO_AUTHFAIL, 0},
    {"lookup", ERRNO_UNKNOWNHOST, 0},
    {"lost_connection", ERRNO_SMTPCLOSED, 0},
    {"quota", ERRNO_QUOTA, 0},
    {"refused", ECONNREFUSED, 0},
    {"refused_A", ECONNREFUSED, ERRNO_FROM_A},
    {"refused_MX", ECONNREFUSED, ERRNO_FROM_MX},
    {"timeout", ETIMEDOUT, 0},
    {"timeout_A", ETIMEDOUT, ERRNO_FROM_A},
    {"timeout_MX", ETIMEDOUT, ERRNO_FROM_MX},
    {"timeout_connect", ETIMEDOUT, ERRNO_CONNECTING},
    {"timeout_connect_A", ETIMEDOUT, ERRNO_CONNECTING + ERRNO_FROM_A},
    {"timeout_connect_MX", ETIMEDOUT, ERRNO_CONNECTING + ERRNO_FROM_MX},
    {"tls_required", ERRNO_TLSREQUIRED, 0},
};

#define CODE_HELP " must be followed by xx, dx, or dd, where x is literal and d is any digit"

const char retry_unknown_error[] = "unknown or malformed retry error";

static const struct {
    const char *prefix;
    int basic_errno;
} coded[] = {{"data_4", ERRNO_DATA4XX}, {"mail_4", ERRNO_MAIL4XX}, {"rcpt_4", ERRNO_RCPT4XX}};

/* rcpt_4xx, rcpt_45x, rcpt_451: how many digits after the 4 are given. */
static const char *parse_code(struct str digits, int basic_errno, struct retry_rule *rule)
{
    bool first = digits.len == 2 && digits.p[0] >= '0' && digits.p[0] <= '9';
    bool second = digits.len == 2 && digits.p[1] >= '0' && digits.p[1] <= '9';
    if (digits.len != 2 || (!first && digits.p[0] != 'x') || (!second && digits.p[1] != 'x') ||
        (second && !first)) {
        return basic_errno == ERRNO_RCPT4XX   ? "rcpt_4" CODE_HELP
               : basic_errno == ERRNO_MAIL4XX ? "mail_4" CODE_HELP
                                              : "data_4" CODE_HELP;
    }
    rule->basic_errno = basic_errno;
    rule->code_digits = first + second;
    rule->more_errno = ((first ? digits.p[0] - '0' : 0) * 10 + (second ? digits.p[1] - '0' : 0))
                       << 8;
    return NULL;
}

const char *retry_parse_error(struct str name, struct retry_rule *rule)
{
    for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
        if (str_isi(name, errors[i].name)) {
            rule->basic_errno = errors[i].basic_errno;
            rule->more_errno = errors[i].more_errno;
            return NULL;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(coded); i++) {
        if (str_startsi(name, coded[i].prefix)) {
            return parse_code(str_from(name, strlen(coded[i].prefix)), coded[i].basic_errno, rule);
        }
    }
    if (str_startsi(name, "quota_")) {
        rule->basic_errno = ERRNO_QUOTA;
        rule->quota_age = time_interval(str_from(name, 6));
        return rule->quota_age < 0 ? "bad time value" : NULL;
    }
    return str_startsi(name, "refused_") ? "A or MX expected after \"refused\""
           : str_startsi(name, "timeout_")
               ? "\"A\", \"MX\", or \"connect\" expected after \"timeout\""
               : retry_unknown_error;
}

/* A factor such as "1.5", in thousandths; -1 if it is none. */
static int parse_factor(struct str s)
{
    ptrdiff_t dot = str_chr(s, '.');
    struct str whole = dot < 0 ? s : str_sub(s, 0, (size_t)dot);
    struct str part = dot < 0 ? STR("") : str_sub(s, (size_t)dot + 1, 3);
    uint64_t n, f = 0;
    if (!str_to_u64(whole, 10, &n) || n > 1000000 || (part.len && !str_to_u64(part, 10, &f))) {
        return -1;
    }
    for (uint32_t i = part.len; i < 3; i++) {
        f *= 10;
    }
    return (int)(n * 1000 + f);
}

/* Takes a comma and the text up to the next separator. False: no comma. */
static bool next_field(struct str *rest, struct str *field)
{
    uint32_t i = 0;
    *rest = str_ltrim(*rest);
    if (!str_starts(*rest, ",")) {
        return false;
    }
    *rest = str_ltrim(str_from(*rest, 1));
    while (i < rest->len && !strchr(",; \t", rest->p[i])) {
        i++;
    }
    *field = str_sub(*rest, 0, i);
    *rest = str_from(*rest, i);
    return true;
}

/* One set, "F,2h,15m", cut off *rest. NULL if all is well, or what is wrong. */
static const char *parse_set(struct str *rest, struct retry_param *p)
{
    struct str cutoff, interval, factor;
    p->algorithm = (char)(rest->p[0] & ~0x20);
    if (p->algorithm != 'F' && p->algorithm != 'G' && p->algorithm != 'H') {
        return "unknown retry rule letter";
    }
    *rest = str_from(*rest, 1);
    if (!next_field(rest, &cutoff) || !next_field(rest, &interval)) {
        return "comma expected";
    }
    p->cutoff = time_interval(cutoff);
    p->interval = time_interval(interval);
    if (p->algorithm != 'F') {
        if (!next_field(rest, &factor)) {
            return "comma expected";
        }
        p->factor = parse_factor(factor);
    }
    if (p->cutoff < 0 || p->interval <= 0 || (p->algorithm != 'F' && p->factor < 1000)) {
        return "bad parameters for retry rule";
    }
    *rest = str_ltrim(*rest);
    if (rest->len && rest->p[0] != ';') {
        return "semicolon expected";
    }
    *rest = str_ltrim(str_from(*rest, 1));
    return NULL;
}

bool retry_parse_params(struct pool *pool, struct str text, struct retry_rule *rule,
                        struct str *error)
{
    rule->params = pool_calloc(pool, PARAMS_MAX, sizeof *rule->params);
    rule->n = 0;
    text = str_ltrim(text);
    while (text.len) {
        const char *why = rule->n == PARAMS_MAX ? "too many sets of retry parameters"
                                                : parse_set(&text, &rule->params[rule->n++]);
        if (why) {
            *error = str_c(why);
            return false;
        }
    }
    return true;
}

/* Cuts the next word off, in double quotes or not. */
static struct str next_word(struct pool *pool, struct str *rest)
{
    uint32_t i = 0;
    *rest = str_ltrim(*rest);
    if (!rest->len || rest->p[0] != '"') {
        while (i < rest->len && rest->p[i] != ' ' && rest->p[i] != '\t') {
            i++;
        }
        struct str word = str_sub(*rest, 0, i);
        *rest = str_from(*rest, i);
        return word;
    }
    struct buf b;
    buf_init(&b, pool, rest->len);
    for (i = 1; i < rest->len && rest->p[i] != '"'; i++) {
        i += rest->p[i] == '\\' && i + 1 < rest->len;
        buf_addc(&b, rest->p[i]);
    }
    *rest = str_from(*rest, i + 1);
    return buf_str(&b);
}

/* Compiles an address list option value; with `$` it is expanded when it is used. */
static bool set_list(struct opt_reader *r, struct str text, struct etext *out)
{
    static const struct option row = {"retry", OPT_ADDRESSES, 0, NULL, NULL, NULL, NULL};
    return opt_set(r, &row, out, text, false);
}

/* One item is one item, whatever separators it holds. */
static struct str one_item(struct pool *pool, struct str pattern)
{
    return str_chr(pattern, ':') < 0 ? pattern : STR_CAT(pool, STR("<\n "), pattern);
}

bool retry_read_line(struct opt_reader *r, struct str line)
{
    struct retry_rule *rule = POOL_NEW(r->pool, struct retry_rule), **end = &r->conf->retry_rules;
    struct str rest = line, error;
    r->option = "retry";
    struct str pattern = str_dup(r->pool, next_word(r->pool, &rest));
    if (!set_list(r, one_item(r->pool, pattern), &rule->pattern)) {
        return false;
    }
    struct str name = next_word(r->pool, &rest);
    if (str_empty(name)) {
        return opt_error(r, "missing error type in retry rule");
    }
    const char *why = retry_parse_error(name, rule);
    if (why == retry_unknown_error) {
        return opt_error(r, "%s \"%.*s\"", why, STR_ARG(name));
    }
    if (why) {
        return opt_error(r, "%s", why);
    }
    rest = str_ltrim(rest);
    if (str_startsi(rest, "senders=")) {
        rest = str_from(rest, 8);
        rule->has_senders = true;
        if (!set_list(r, str_dup(r->pool, next_word(r->pool, &rest)), &rule->senders)) {
            return false;
        }
    }
    if (!retry_parse_params(r->pool, rest, rule, &error)) {
        return opt_error(r, "%.*s", STR_ARG(error));
    }
    rule->text_pattern = pattern;
    rule->text_error = str_dup(r->pool, name);
    while (*end) {
        end = &(*end)->next;
    }
    *end = rule;
    return true;
}

/* ---- choosing ---- */

bool retry_error_matches(const struct retry_rule *rule, int basic_errno, int more_errno)
{
    if (rule->basic_errno == 0) {
        return true;
    }
    if (basic_errno == ENOSPC && rule->basic_errno == ERRNO_QUOTA) {
        basic_errno = ERRNO_QUOTA;
    }
    if (rule->basic_errno != basic_errno) {
        return false;
    }
    switch (basic_errno) {
    case ERRNO_QUOTA: return rule->quota_age == 0 || more_errno >= rule->quota_age;
    case ERRNO_RCPT4XX:
    case ERRNO_MAIL4XX:
    case ERRNO_DATA4XX: {
        int want = rule->more_errno >> 8, got = (more_errno >> 8) & 255;
        return rule->code_digits == 0 || (rule->code_digits == 1 && want / 10 == got / 10) ||
               want == got;
    }
    case ECONNREFUSED: return rule->more_errno == 0 || rule->more_errno == more_errno;
    case ETIMEDOUT: {
        int from = rule->more_errno & 255;
        return (!(rule->more_errno & ERRNO_CONNECTING) || (more_errno & ERRNO_CONNECTING)) &&
               (!from || from == (more_errno & 255));
    }
    default: return true;
    }
}

/* A key without local part stands for every address of the domain. */
static struct str as_address(struct pool *pool, struct str key)
{
    return mailbox_at(key) >= 0 ? key : STR_CAT(pool, STR("*@"), key);
}

static bool pattern_matches(struct ectx *x, const struct retry_rule *rule, struct str key)
{
    return !str_empty(key) &&
           match_address(x, &rule->pattern, as_address(x->pool, key), true, NULL) == MATCH_YES;
}

const struct retry_rule *retry_find_rule(struct ectx *x, struct str key, struct str alternate,
                                         int basic_errno, int more_errno, struct str sender)
{
    for (const struct retry_rule *rule = x->conf->retry_rules; rule; rule = rule->next) {
        if (!retry_error_matches(rule, basic_errno, more_errno)) {
            continue;
        }
        if (!pattern_matches(x, rule, key) && !pattern_matches(x, rule, alternate)) {
            continue;
        }
        if (!rule->has_senders || (!str_unset(sender) && match_address(x, &rule->senders, sender,
                                                                       false, NULL) == MATCH_YES)) {
            return rule;
        }
    }
    return NULL;
}

/* ---- computing ---- */

int64_t retry_ultimate(const struct retry_rule *rule)
{
    return rule && rule->n ? rule->params[rule->n - 1].cutoff : 0;
}

/* The interval after the last one: at least the rule's, grown by its factor. */
static int64_t next_gap(const struct retry_param *p, const struct retry_record *r, int64_t now,
                        uint32_t random)
{
    if (p->algorithm == 'F') {
        return p->interval;
    }
    int64_t predicted = r->next - r->last, actual = now - r->last;
    int64_t last = r->last == 0 ? 0 : predicted < actual ? predicted : actual;
    int64_t gap = last * p->factor / 1000;
    if (gap <= p->interval) {
        return p->interval;
    }
    return p->algorithm == 'G' ? gap : p->interval + (int64_t)(random % (gap - p->interval + 1));
}

void retry_compute(const struct retry_rule *rule, struct retry_record *r, int64_t now,
                   int64_t failing_since, int64_t max_interval, uint32_t random)
{
    const struct retry_param *p = NULL;
    int64_t failing = now - failing_since;
    r->expired = true;
    for (size_t i = 0; rule && i < rule->n; i++) {
        p = &rule->params[i];
        if (failing <= p->cutoff) {
            r->expired = false;
            break;
        }
    }
    int64_t gap = p ? next_gap(p, r, now, random) : 0;
    r->last = now;
    r->next = now + (gap > max_interval ? max_interval : gap);
}

/* ---- records ---- */

struct str retry_encode(struct pool *pool, const struct retry_record *r)
{
    return str_fmt(pool, "1 %lld %lld %lld %d %d %d %.*s", (long long)r->first, (long long)r->last,
                   (long long)r->next, r->basic_errno, r->more_errno, r->expired, STR_ARG(r->text));
}

bool retry_decode(struct str text, struct retry_record *r)
{
    int64_t n[7];
    for (size_t i = 0; i < ARRAY_LEN(n); i++) {
        struct str word;
        if (!str_next(&text, ' ', &word) || !str_to_i64(word, &n[i])) {
            return false;
        }
    }
    *r = (struct retry_record){.first = n[1],
                               .last = n[2],
                               .next = n[3],
                               .basic_errno = (int)n[4],
                               .more_errno = (int)n[5],
                               .expired = n[6] != 0,
                               .text = text};
    return n[0] == 1;
}

static struct str show_time(struct pool *pool, int64_t when)
{
    return time_strftime(pool, "%d-%b-%Y %H:%M:%S", (time_t)when, false);
}

/* Two lines, as exim_dumpdb writes them. */
struct str retry_show_hint(struct pool *pool, struct str key, struct str data)
{
    struct retry_record r;
    if (!retry_decode(data, &r)) {
        return STR_NONE;
    }
    return str_fmt(pool, "  %.*s %d %d %.*s\n%.*s  %.*s  %.*s%s\n", STR_ARG(key), r.basic_errno,
                   r.more_errno, STR_ARG(r.text), STR_ARG(show_time(pool, r.first)),
                   STR_ARG(show_time(pool, r.last)), STR_ARG(show_time(pool, r.next)),
                   r.expired ? " *" : "");
}

int64_t retry_last_hint(struct str data)
{
    struct retry_record r;
    return retry_decode(data, &r) ? r.last : 0;
}
