/*
 * dnsdb: the DNS as a database. "[>separator[,field]] [modifier,]... [type=]domain : domain ..."
 *
 * The text of the records found, joined by newlines or the separator asked for. What becomes of a
 * temporary error is said by defer_strict, defer_lax (the default) and defer_never. Results come
 * from the network and are tainted. They are not put into the cache of lookups: the resolver has
 * one of its own that knows how long an answer lives.
 */
#include "lookup/internal.h"

#include <ctype.h>
#include <sys/socket.h>

enum { RESULT_MAX = 1 << 20 };

/* Types that are not simply a record's. */
enum { PLAIN, BOTH_ADDRESSES, HOSTS_ONLY, UPWARDS, UNSUPPORTED };

static const struct record_type {
    const char *name;
    enum dns_type type;
    int how;
} types[] = {
    {"a", DNS_A, PLAIN},           {"a+", DNS_AAAA, BOTH_ADDRESSES},
    {"aaaa", DNS_AAAA, PLAIN},     {"cname", DNS_CNAME, PLAIN},
    {"csa", DNS_SRV, UNSUPPORTED}, {"mx", DNS_MX, PLAIN},
    {"mxh", DNS_MX, HOSTS_ONLY},   {"ns", DNS_NS, PLAIN},
    {"ptr", DNS_PTR, PLAIN},       {"soa", DNS_SOA, UPWARDS},
    {"spf", DNS_SPF, PLAIN},       {"srv", DNS_SRV, PLAIN},
    {"tlsa", DNS_TLSA, PLAIN},     {"txt", DNS_TXT, PLAIN},
    {"zns", DNS_NS, UPWARDS},
};

enum strictness { STRICT, LAX, NEVER };

/* A parsed query, and what has been found for it. */
struct query {
    struct lookup_call *call;
    struct str separator;
    struct str field; /* between the fields of a record; unset: the type's default */
    enum strictness defer, dnssec;
    int retrans, retry;
    const struct record_type *type;
    struct buf out;
    bool any, deferred;
};

/* The state of DNSSEC of the process's last dnsdb lookup, for $lookup_dnssec_authenticated. */
static struct {
    const char *authentic;
} last;

struct str lookup_dnssec_state(void)
{
    return str_c(last.authentic);
}

/* ---- the query ---- */

static bool bad(struct query *q, const char *text)
{
    q->call->error = str_c(text);
    return false;
}

static void parse_separators(struct query *q, struct str *s)
{
    q->separator = STR("\n");
    q->field = STR_NONE;
    if (!str_starts(*s, ">") || s->len < 2) {
        return;
    }
    q->separator = str_sub(*s, 1, 1);
    *s = str_from(*s, 2);
    if (str_starts(*s, ",") && s->len > 1) {
        q->field = str_sub(*s, 1, 1);
        *s = str_from(*s, 2);
    } else if (str_starts(*s, ";")) {
        q->field = STR("");
        *s = str_from(*s, 1);
    }
    *s = str_ltrim(*s);
}

/* "strict", "lax" or "never" at the start of *s. */
static bool parse_strictness(struct str *s, enum strictness *out)
{
    static const char *const words[] = {[STRICT] = "strict", [LAX] = "lax", [NEVER] = "never"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_startsi(*s, words[i])) {
            *out = (enum strictness)i;
            *s = str_from(*s, strlen(words[i]));
            return true;
        }
    }
    return false;
}

static bool parse_retrans(struct str *s, int *out)
{
    ptrdiff_t comma = str_chr(*s, ',');
    struct str value = comma < 0 ? *s : str_sub(*s, 0, (size_t)comma);
    int64_t seconds = time_interval(value);
    if (seconds <= 0 || seconds > INT32_MAX) {
        return false;
    }
    *s = str_from(*s, value.len);
    *out = (int)seconds;
    return true;
}

static void parse_retry(struct str *s, int *out)
{
    *out = 0;
    while (s->len && isdigit((unsigned char)s->p[0]) && *out < 1000) {
        *out = *out * 10 + (s->p[0] - '0');
        *s = str_from(*s, 1);
    }
}

static bool skip_word(struct str *s, const char *word)
{
    if (!str_startsi(*s, word)) {
        return false;
    }
    *s = str_from(*s, strlen(word));
    return true;
}

static bool parse_modifiers(struct query *q, struct str *s)
{
    for (;;) {
        if (skip_word(s, "defer_")) {
            if (!parse_strictness(s, &q->defer)) {
                return bad(q, "unsupported dnsdb defer behaviour");
            }
        } else if (skip_word(s, "dnssec_")) {
            if (!parse_strictness(s, &q->dnssec)) {
                return bad(q, "unsupported dnsdb dnssec behaviour");
            }
        } else if (skip_word(s, "retrans_")) {
            if (!parse_retrans(s, &q->retrans)) {
                return bad(q, "unsupported dnsdb timeout value");
            }
        } else if (skip_word(s, "retry_")) {
            parse_retry(s, &q->retry);
        } else {
            return true;
        }
        *s = str_ltrim(*s);
        if (!str_starts(*s, ",")) {
            return bad(q, "dnsdb modifier syntax error");
        }
        *s = str_ltrim(str_from(*s, 1));
    }
}

static const struct record_type *find_type(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (str_isi(name, types[i].name)) {
            return &types[i];
        }
    }
    return NULL;
}

static bool parse_type(struct query *q, struct str *s)
{
    ptrdiff_t equals = str_chr(*s, '=');
    q->type = find_type(STR("txt"));
    if (equals < 0) {
        return true;
    }
    q->type = find_type(str_rtrim(str_sub(*s, 0, (size_t)equals)));
    if (!q->type) {
        return bad(q, "unsupported DNS record type");
    }
    if (q->type->how == UNSUPPORTED) {
        return bad(q, "dnsdb type \"csa\" is known but not supported by this version of minim");
    }
    *s = str_ltrim(str_from(*s, (size_t)equals + 1));
    return true;
}

/* ---- records as text ---- */

static void add_field(struct query *q, struct str text)
{
    if (!str_unset(q->field)) {
        buf_adds(&q->out, q->field);
    } else {
        buf_addc(&q->out, ' ');
    }
    buf_adds(&q->out, text);
}

static void add_number_field(struct query *q, uint32_t n)
{
    add_field(q, str_fmt(q->call->pool, "%u", n));
}

/* Without a field separator only the first string counts; but SPF records are one text. */
static void add_texts(struct query *q, const struct dns_rr *r)
{
    size_t n = str_unset(q->field) && r->type == DNS_TXT && r->txt.n ? 1 : r->txt.n;
    for (size_t i = 0; i < n; i++) {
        if (i && !str_unset(q->field)) {
            buf_adds(&q->out, q->field);
        }
        buf_adds(&q->out, r->txt.v[i]);
    }
}

static void add_tlsa(struct query *q, const struct dns_rr *r)
{
    if (r->raw.len < 3) {
        return;
    }
    buf_addf(&q->out, "%u", (unsigned char)r->raw.p[0]);
    add_number_field(q, (unsigned char)r->raw.p[1]);
    add_number_field(q, (unsigned char)r->raw.p[2]);
    add_field(q, hex_encode(q->call->pool, str_from(r->raw, 3)));
}

static void add_soa(struct query *q, const struct dns_rr *r)
{
    buf_adds(&q->out, r->name);
    if (str_empty(q->field)) {
        return;
    }
    add_field(q, r->soa_rname);
    for (size_t i = 0; i < ARRAY_LEN(r->soa); i++) {
        add_number_field(q, r->soa[i]);
    }
}

static void add_record(struct query *q, const struct dns_rr *r)
{
    if (q->any) {
        buf_adds(&q->out, q->separator);
    }
    q->any = true;
    switch (r->type) {
    case DNS_A:
    case DNS_AAAA: buf_adds(&q->out, ip_text(q->call->pool, &r->ip)); break;
    case DNS_TXT:
    case DNS_SPF: add_texts(q, r); break;
    case DNS_TLSA: add_tlsa(q, r); break;
    case DNS_SOA: add_soa(q, r); break;
    case DNS_MX:
        if (q->type->how == HOSTS_ONLY) {
            buf_adds(&q->out, r->name);
            break;
        }
        buf_addf(&q->out, "%d", r->pref);
        add_field(q, r->name);
        break;
    case DNS_SRV:
        buf_addf(&q->out, "%d", r->pref);
        add_number_field(q, (uint32_t)r->weight);
        add_number_field(q, (uint32_t)r->port);
        add_field(q, r->name);
        break;
    default: buf_adds(&q->out, r->name);
    }
}

/* ---- asking ---- */

static enum dns_result ask(struct query *q, struct str domain, enum dns_type type,
                           struct dns_answer *a)
{
    const struct dns_asking how = {
        .dnssec = q->dnssec != NEVER, .retrans = q->retrans, .retry = q->retry};
    struct str rest = domain;
    enum dns_result r = dns_lookup_as(q->call->conf, q->call->pool, rest, type, &how, a);
    while (q->type->how == UPWARDS && (r == DNS_NOMATCH || r == DNS_NODATA)) {
        ptrdiff_t dot = str_chr(rest, '.');
        if (dot < 0) {
            break;
        }
        rest = str_from(rest, (size_t)dot + 1);
        r = dns_lookup_as(q->call->conf, q->call->pool, rest, type, &how, a);
    }
    return r;
}

/* One name and type. False if the whole query is to be given up for now. */
static bool run_one(struct query *q, struct str domain, enum dns_type type)
{
    struct dns_answer a = {0};
    enum dns_result r = ask(q, domain, type, &a);
    last.authentic = q->dnssec == NEVER ? NULL : a.authentic ? "yes" : "no";
    if (r == DNS_NOMATCH || r == DNS_NODATA) {
        return true;
    }
    if (r != DNS_OK || (q->dnssec == STRICT && !a.authentic)) {
        q->deferred |= q->defer != NEVER;
        return q->defer != STRICT;
    }
    for (size_t i = 0; i < a.n; i++) {
        add_record(q, &a.rr[i]);
    }
    return true;
}

/* Separators, modifiers and type; the names are left in *rest. */
static bool parse_query(struct query *q, struct lookup_call *c, struct str *rest)
{
    *q = (struct query){.call = c, .defer = LAX, .dnssec = LAX};
    *rest = str_trim(c->key);
    buf_init(&q->out, c->pool, RESULT_MAX);
    parse_separators(q, rest);
    return parse_modifiers(q, rest) && parse_type(q, rest);
}

bool dnsdb_text(struct lookup_call *c, const struct dns_answer *a)
{
    struct query q;
    struct str rest;
    if (!parse_query(&q, c, &rest)) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        add_record(&q, &a->rr[i]);
    }
    c->data = buf_str(&q.out);
    return true;
}

static bool run(struct query *q, struct str domain)
{
    struct ip ip;
    if (q->type->type == DNS_PTR && ip_parse(domain, &ip)) {
        domain = ip_reverse_name(q->call->pool, &ip, STR_NONE);
    }
    return run_one(q, domain, q->type->type) &&
           (q->type->how != BOTH_ADDRESSES || run_one(q, domain, DNS_A));
}

static enum lookup_result find_dnsdb(struct lookup_call *c)
{
    struct query q;
    struct str rest, domain;
    struct ip ip;
    int sep = 0;
    c->do_cache = false;
    last.authentic = NULL;
    if (!parse_query(&q, c, &rest)) {
        return LK_DEFER;
    }
    if (q.type->type == DNS_PTR && ip_parse(rest, &ip) && ip.family == AF_INET6) {
        sep = '\n'; /* one IPv6 address: its colons separate nothing */
    }
    while (net_list_next(c->pool, &rest, &sep, &domain)) {
        if (!run(&q, domain)) {
            c->error = STR("");
            return LK_DEFER;
        }
    }
    if (!q.any) {
        c->error = STR("");
        return q.deferred ? LK_DEFER : LK_NOTFOUND;
    }
    c->data = str_taint(buf_str(&q.out));
    return LK_FOUND;
}

const struct lookup_driver lookup_dnsdb = {"dnsdb", LOOKUP_QUERY, find_dnsdb, NULL};
