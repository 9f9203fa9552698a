/*
 * The `dnslists` condition: DNS lists of addresses and names (RFC 5782).
 *
 * An item is a domain, perhaps two ("text,check"), perhaps a restriction on the addresses that are
 * found ("=127.0.0.2", "&0.0.0.3", "==", "=&", each negated by "!"), perhaps keys to look up
 * instead of the client's address ("/key"). The first item that matches sets $dnslist_domain and
 * its kin in the notes of the message. Answers come from the resolver's cache where they are known.
 */
#include "acl/internal.h"

/* What a look-up that could not be done counts as. */
enum unknown { UNKNOWN_NO, UNKNOWN_YES, UNKNOWN_DEFER };

/* One item, taken apart. */
struct item {
    struct str domain; /* for $dnslist_domain and the TXT record */
    struct str check;  /* where the addresses are looked up */
    struct str values; /* the restriction; unset if none */
    bool mask, all, negated;
    struct str keys; /* unset: the client's address */
};

struct query {
    struct acl_job *j;
    const struct item *item;
    enum unknown unknown;
};

/* Position of the restriction in the domain part; *len of its operator. -1 if there is none. */
static ptrdiff_t find_operator(struct str s, uint32_t *len, struct item *it)
{
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] != '=' && s.p[i] != '&' && s.p[i] != '!') {
            continue;
        }
        uint32_t at = i;
        if (s.p[at] == '!') {
            it->negated = true;
            at++;
        }
        struct str op = str_from(s, at);
        if (str_starts(op, "==")) {
            it->all = true;
            at += 2;
        } else if (str_starts(op, "=&")) {
            it->all = it->mask = true;
            at += 2;
        } else if (str_starts(op, "=")) {
            at++;
        } else if (str_starts(op, "&")) {
            it->mask = true;
            at++;
        } else {
            return -1;
        }
        *len = at - i;
        return i;
    }
    return -1;
}

static struct item parse_item(struct str text)
{
    struct item it = {.values = STR_NONE, .keys = STR_NONE};
    ptrdiff_t slash = str_chr(text, '/');
    if (slash >= 0) {
        it.keys = str_from(text, (size_t)slash + 1);
        text = str_sub(text, 0, (size_t)slash);
    }
    uint32_t len = 0;
    ptrdiff_t op = find_operator(text, &len, &it);
    if (op >= 0) {
        it.values = str_from(text, (size_t)op + len);
        text = str_sub(text, 0, (size_t)op);
    }
    text = str_trim(text);
    ptrdiff_t comma = str_chr(text, ',');
    it.domain = comma < 0 ? text : str_trim(str_sub(text, 0, (size_t)comma));
    it.check = comma < 0 ? text : str_trim(str_from(text, (size_t)comma + 1));
    return it;
}

static bool one_value(const struct ip *got, struct str want, bool mask)
{
    struct ip w;
    if (!ip_parse(str_trim(want), &w) || w.family != got->family) {
        return false;
    }
    for (int i = 0; i < 16; i++) {
        if (mask ? (got->b[i] & w.b[i]) != w.b[i] : got->b[i] != w.b[i]) {
            return false;
        }
    }
    return true;
}

static bool in_values(const struct ip *got, const struct item *it)
{
    struct str rest = it->values, want;
    while (str_next(&rest, ',', &want)) {
        if (one_value(got, want, it->mask)) {
            return true;
        }
    }
    return false;
}

/* True if the addresses that were found pass the item's restriction. */
static bool values_pass(const struct dns_answer *a, const struct item *it)
{
    bool any = false, every = true;
    if (str_unset(it->values)) {
        return true;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (a->rr[i].type == DNS_A) {
            bool in = in_values(&a->rr[i].ip, it);
            any |= in;
            every &= in;
        }
    }
    bool pass = it->all ? every : any;
    return it->negated ? !pass : pass;
}

/* Addresses outside 127/8 are no answers: a list that lost its domain says such things. */
static size_t drop_foreign(struct dns_answer *a, struct str name, struct str domain,
                           struct pool *pool)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++) {
        if (a->rr[i].type != DNS_A) {
            continue;
        }
        if (a->rr[i].ip.b[0] == 127) {
            a->rr[n++] = a->rr[i];
        } else {
            struct str ip = ip_text(pool, &a->rr[i].ip);
            log_write(
                LOG_MAIN,
                "DNS list lookup for %.*s at %.*s returned %.*s; not in 127.0/8 and discarded",
                STR_ARG(name), STR_ARG(domain), STR_ARG(ip));
        }
    }
    a->n = n;
    return n;
}

/* The name under which a key is looked up: reversed if it is an address. */
static struct str query_name(struct pool *pool, struct str key, struct str domain)
{
    struct ip ip;
    if (ip_parse(key, &ip)) {
        return ip_reverse_name(pool, &ip, domain);
    }
    return STR_CAT(pool, key, STR("."), domain);
}

static struct str text_of(struct acl_job *j, struct str name)
{
    struct dns_answer a;
    if (dns_lookup(j->x->conf, j->x->pool, name, DNS_TXT, false, &a) != DNS_OK) {
        return STR_NONE;
    }
    for (size_t i = 0; i < a.n; i++) {
        if (a.rr[i].type == DNS_TXT && a.rr[i].txt.n) {
            return str_cat(j->x->pool, a.rr[i].txt.n, a.rr[i].txt.v);
        }
    }
    return STR_NONE;
}

static struct str values_text(struct pool *pool, const struct dns_answer *a)
{
    struct buf b;
    buf_init(&b, pool, 4096);
    b.tainted = true;
    for (size_t i = 0; i < a->n; i++) {
        buf_addz(&b, i ? ", " : "");
        buf_adds(&b, ip_text(pool, &a->rr[i].ip));
    }
    return buf_str(&b);
}

static struct str keep(struct acl_job *j, struct str s)
{
    return str_unset(s) ? s : str_dup(j->x->msg->pool, s);
}

static enum acl_test deferred(const struct query *q, struct str name)
{
    static const char *const means[] = {
        [UNKNOWN_NO] = "assumed not in list",
        [UNKNOWN_YES] = "assumed in list",
        [UNKNOWN_DEFER] = "returned DEFER",
    };
    static const enum acl_test result[] = {
        [UNKNOWN_NO] = TEST_FAIL, [UNKNOWN_YES] = TEST_OK, [UNKNOWN_DEFER] = TEST_DEFER};
    if (log_wants(LS_dnslist_defer)) {
        log_write(LOG_MAIN, "DNS list lookup defer (probably timeout) for %.*s: %s", STR_ARG(name),
                  means[q->unknown]);
    }
    return result[q->unknown];
}

/* Why values that were found do not count. */
static void trace_refusal(const struct item *it)
{
    const char *why = it->all       ? it->negated ? "were no IP addresses that did not"
                                                  : "was an IP address that did not"
                      : it->negated ? "was an exclude"
                                    : "was no";
    TRACE(TR_dnsbl | TR_bh,
          "=> but we are not accepting this block class because\n"
          "=> there %s match for %s%s%.*s",
          why, it->all ? "=" : "", it->mask ? "&" : "=", STR_ARG(it->values));
}

/*
 * Looks a key up in a domain, whose answer has to pass the restriction of the item, if one is given.
 * The domain is the last that is asked about the key if so said.
 */
static enum acl_test ask(const struct query *q, struct str key, struct str domain,
                         const struct item *it, bool last, struct dns_answer *a)
{
    struct pool *pool = q->j->x->pool;
    struct str name = query_name(pool, key, domain);
    enum dns_result rc = dns_lookup(q->j->x->conf, pool, name, DNS_A, false, a);
    enum acl_test answer = TEST_FAIL;
    if (rc == DNS_AGAIN || rc == DNS_FAIL) {
        answer = deferred(q, name);
        if (answer != TEST_OK) {
            return answer;
        }
    } else if (rc == DNS_OK && drop_foreign(a, key, domain, pool)) {
        struct str values = values_text(pool, a);
        TRACE(TR_dnsbl | TR_bh, "DNS lookup for %.*s succeeded (yielding %.*s)", STR_ARG(name),
              STR_ARG(values));
        if (it && !values_pass(a, it)) {
            trace_refusal(it);
            return TEST_FAIL;
        }
        answer = TEST_OK;
    } else {
        TRACE(TR_dnsbl | TR_bh, "DNS lookup for %.*s failed", STR_ARG(name));
    }
    if (last || answer != TEST_OK) {
        TRACE(TR_dnsbl | TR_bh, "=> that means %.*s is %slisted at %.*s", STR_ARG(key),
              answer == TEST_OK ? "" : "not ", STR_ARG(domain));
    }
    return answer;
}

/* Looks one key up in one item: where it has two domains, the second first. */
static enum acl_test look_up(const struct query *q, struct str key)
{
    struct acl_job *j = q->j;
    const struct item *it = q->item;
    struct dns_answer a = {0};
    bool two = !str_eq(it->domain, it->check);
    enum acl_test rc = ask(q, key, it->check, it, !two, &a);
    if (rc == TEST_OK && two) {
        a = (struct dns_answer){0};
        rc = ask(q, key, it->domain, NULL, true, &a);
    }
    if (rc != TEST_OK) {
        return rc;
    }
    j->note->dnslist_domain = keep(j, it->domain);
    j->note->dnslist_matched = keep(j, key);
    j->note->dnslist_value = keep(j, values_text(j->x->pool, &a));
    j->note->dnslist_text = keep(j, text_of(j, query_name(j->x->pool, key, it->domain)));
    return TEST_OK;
}

/* All keys of an item. A temporary failure counts only if no key matches. */
static enum acl_test look_up_keys(const struct query *q)
{
    struct str rest = q->item->keys, key;
    bool defer = false;
    int sep = 0;
    if (str_unset(rest)) {
        struct str addr = q->j->x->sess->host_address;
        return str_empty(addr) ? TEST_FAIL : look_up(q, addr);
    }
    while (list_next(q->j->x->pool, &rest, &sep, &key)) {
        enum acl_test rc = str_empty(key) ? TEST_FAIL : look_up(q, key);
        if (rc == TEST_OK) {
            return rc;
        }
        defer |= rc == TEST_DEFER;
    }
    return defer ? TEST_DEFER : TEST_FAIL;
}

static bool set_unknown(struct str item, enum unknown *u)
{
    if (str_isi(item, "+include_unknown")) {
        *u = UNKNOWN_YES;
    } else if (str_isi(item, "+exclude_unknown")) {
        *u = UNKNOWN_NO;
    } else if (str_isi(item, "+defer_unknown")) {
        *u = UNKNOWN_DEFER;
    } else {
        return false;
    }
    return true;
}

enum acl_test acl_dnslists(struct acl_job *j, const struct acl_line *l, struct str arg)
{
    (void)l;
    struct str rest = arg, text;
    struct query q = {.j = j, .unknown = UNKNOWN_NO};
    int sep = 0;
    j->note->dnslist_domain = j->note->dnslist_matched = STR_NONE;
    j->note->dnslist_value = j->note->dnslist_text = STR_NONE;
    while (list_next(j->x->pool, &rest, &sep, &text)) {
        TRACE(TR_dnsbl | TR_bh, "dnslists check: %.*s", STR_ARG(text));
        if (str_starts(text, "+")) {
            if (!set_unknown(text, &q.unknown)) {
                log_write(LOG_MAIN | LOG_PANIC, "unknown item in dnslist (ignored): %.*s",
                          STR_ARG(text));
            }
            continue;
        }
        struct item it = parse_item(text);
        q.item = &it;
        enum acl_test rc = str_empty(it.domain) ? TEST_FAIL : look_up_keys(&q);
        if (rc != TEST_FAIL) {
            return rc;
        }
    }
    return TEST_FAIL;
}
