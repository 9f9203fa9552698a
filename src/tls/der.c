/*
 * The DER reader (der.h).
 *
 * A reader is a view of bytes that somebody else owns; nothing is allocated but by the functions
 * that take a pool. Faults are remembered in the reader instead of being returned each time, so a
 * structure is read from top to bottom and asked once at its end whether all of it was right.
 */
#include "tls/der.h"

#include <limits.h>

struct der der_of(struct str bytes)
{
    return (struct der){bytes, false};
}

static struct str fail(struct der *r)
{
    r->bad = true;
    return STR_NONE;
}

/* The length octets at *at; SIZE_MAX if they are not in the shortest definite form. */
static size_t read_length(struct str s, size_t *at)
{
    size_t n = (unsigned char)s.p[(*at)++];
    if (n < 0x80) {
        return n;
    }
    size_t octets = n & 0x7f, value = 0;
    if (octets == 0 || octets > 4 || octets > s.len - *at || s.p[*at] == 0) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i < octets; i++) {
        value = value << 8 | (unsigned char)s.p[(*at)++];
    }
    return value < 0x80 ? SIZE_MAX : value;
}

bool der_next(struct der *r, struct der_item *out)
{
    struct str s = r->rest;
    *out = (struct der_item){0};
    if (r->bad || s.len == 0) {
        return false;
    }
    unsigned tag = (unsigned char)s.p[0];
    size_t at = 1;
    size_t n = s.len < 2 || (tag & 0x1f) == 0x1f ? SIZE_MAX : read_length(s, &at);
    if (n > s.len - at) {
        fail(r);
        return false;
    }
    out->tag = tag;
    out->content = str_sub(s, at, n);
    out->whole = str_sub(s, 0, at + n);
    r->rest = str_from(s, at + n);
    return true;
}

bool der_is(const struct der *r, unsigned tag)
{
    return !r->bad && r->rest.len && (unsigned char)r->rest.p[0] == tag;
}

static bool take(struct der *r, unsigned tag, struct der_item *out)
{
    if (!der_is(r, tag) || !der_next(r, out)) {
        fail(r);
        return false;
    }
    return true;
}

struct str der_take(struct der *r, unsigned tag)
{
    struct der_item item;
    return take(r, tag, &item) ? item.content : STR_NONE;
}

struct str der_whole(struct der *r, unsigned tag)
{
    struct der_item item;
    return take(r, tag, &item) ? item.whole : STR_NONE;
}

struct der der_enter(struct der *r, unsigned tag)
{
    struct str content = der_take(r, tag);
    return (struct der){content, r->bad};
}

bool der_optional(struct der *r, unsigned tag, struct str *content)
{
    if (!der_is(r, tag)) {
        return false;
    }
    *content = der_take(r, tag);
    return !r->bad;
}

bool der_end(const struct der *r)
{
    return !r->bad && r->rest.len == 0;
}

bool der_boolean(struct der *r)
{
    struct str s = der_take(r, DER_BOOLEAN);
    if (s.len != 1 || (s.p[0] != 0 && (unsigned char)s.p[0] != 0xff)) {
        fail(r);
        return false;
    }
    return s.p[0] != 0;
}

struct str der_integer(struct der *r)
{
    struct str s = der_take(r, DER_INTEGER);
    if (s.len == 0) {
        return fail(r);
    }
    int first = (signed char)s.p[0], second = s.len > 1 ? (signed char)s.p[1] : 0;
    bool padded = s.len > 1 && ((first == 0 && second >= 0) || (first == -1 && second < 0));
    return padded ? fail(r) : s;
}

int der_small(struct der *r)
{
    struct str s = der_integer(r);
    uint64_t n = 0;
    if (s.len == 0 || s.len > 5 || (signed char)s.p[0] < 0) {
        fail(r);
        return 0;
    }
    for (uint32_t i = 0; i < s.len; i++) {
        n = n << 8 | (unsigned char)s.p[i];
    }
    if (n > INT_MAX) {
        fail(r);
        return 0;
    }
    return (int)n;
}

struct str der_octets(struct der *r)
{
    struct str s = der_take(r, DER_BIT_STRING);
    return s.len == 0 || s.p[0] != 0 ? fail(r) : str_from(s, 1);
}

static int digits(struct str s, size_t at, size_t n)
{
    uint64_t value;
    return str_to_u64(str_sub(s, at, n), 10, &value) ? (int)value : -1;
}

time_t der_time(struct der *r)
{
    static const unsigned char month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool utc = der_is(r, DER_UTC_TIME);
    struct str s = der_take(r, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME);
    size_t year_digits = utc ? 2 : 4;
    if (s.len != year_digits + 11 || s.p[s.len - 1] != 'Z') {
        fail(r);
        return 0;
    }
    int year = digits(s, 0, year_digits);
    struct str t = str_from(s, year_digits);
    struct tm tm = {.tm_mon = digits(t, 0, 2) - 1,
                    .tm_mday = digits(t, 2, 2),
                    .tm_hour = digits(t, 4, 2),
                    .tm_min = digits(t, 6, 2),
                    .tm_sec = digits(t, 8, 2)};
    if (year < 0 || tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 ||
        tm.tm_mday > month_days[tm.tm_mon] || tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 ||
        tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60) {
        fail(r);
        return 0;
    }
    tm.tm_year = utc ? (year < 50 ? year + 100 : year) : year - 1900;
    return timegm(&tm);
}

struct str der_oid_text(struct pool *pool, struct str oid)
{
    struct buf b;
    buf_init(&b, pool, 256);
    uint64_t arc = 0;
    for (uint32_t i = 0; i < oid.len; i++) {
        unsigned char c = (unsigned char)oid.p[i];
        if (arc > UINT64_MAX >> 8 || (arc == 0 && c == 0x80)) {
            return STR_NONE;
        }
        arc = arc << 7 | (c & 0x7f);
        if (c & 0x80) {
            continue;
        }
        if (b.len == 0) {
            unsigned top = arc < 40 ? 0 : arc < 80 ? 1 : 2;
            buf_addf(&b, "%u.%llu", top, (unsigned long long)(arc - 40 * top));
        } else {
            buf_addf(&b, ".%llu", (unsigned long long)arc);
        }
        arc = 0;
    }
    bool whole = oid.len && !((unsigned char)oid.p[oid.len - 1] & 0x80) && !b.overflow;
    return whole ? buf_str(&b) : STR_NONE;
}

struct str der_make(struct pool *pool, unsigned tag, struct str content)
{
    char head[6] = {(char)tag};
    size_t n = 1;
    if (content.len < 0x80) {
        head[n++] = (char)content.len;
    } else {
        int octets = content.len > 0xffffff ? 4
                     : content.len > 0xffff ? 3
                     : content.len > 0xff   ? 2
                                            : 1;
        head[n++] = (char)(0x80 | octets);
        while (octets > 0) {
            head[n++] = (char)(content.len >> (8 * --octets) & 0xff);
        }
    }
    return STR_CAT(pool, str_n(head, n), content);
}
