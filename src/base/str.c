/*
 * Counted strings (str.h).
 *
 * All functions are pure views except those that take a pool, whose results live as long as that
 * pool. Taint is the union of what went in. None of them fails: out of memory ends the process in
 * the pool.
 */
#include "base/base.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct str str_c(const char *cstr)
{
    return (struct str){cstr, cstr ? (uint32_t)strlen(cstr) : 0, false};
}

struct str str_n(const char *p, size_t n)
{
    if (n > UINT32_MAX) {
        BUG("string of %zu bytes", n);
    }
    return (struct str){p, (uint32_t)n, false};
}

struct str str_taint(struct str s)
{
    s.tainted = true;
    return s;
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_eqi(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

bool str_is(struct str a, const char *cstr)
{
    return str_eq(a, str_c(cstr));
}

bool str_isi(struct str a, const char *cstr)
{
    return str_eqi(a, str_c(cstr));
}

int str_cmp(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n ? memcmp(a.p, b.p, n) : 0;
    return r ? r : (a.len > b.len) - (a.len < b.len);
}

int str_cmpi(struct str a, struct str b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int r = n ? strncasecmp(a.p, b.p, n) : 0;
    return r ? r : (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && (n == 0 || memcmp(s.p, prefix, n) == 0);
}

bool str_startsi(struct str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && (n == 0 || strncasecmp(s.p, prefix, n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_from(s, s.len - suffix.len), suffix);
}

bool str_endsi(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eqi(str_from(s, s.len - suffix.len), suffix);
}

ptrdiff_t str_chr(struct str s, char c)
{
    const char *p = s.len ? memchr(s.p, c, s.len) : NULL;
    return p ? p - s.p : -1;
}

ptrdiff_t str_rchr(struct str s, char c)
{
    const char *p = s.len ? memrchr(s.p, c, s.len) : NULL;
    return p ? p - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str what)
{
    if (what.len == 0) {
        return 0;
    }
    const char *p = s.len ? memmem(s.p, s.len, what.p, what.len) : NULL;
    return p ? p - s.p : -1;
}

ptrdiff_t str_findi(struct str s, struct str what)
{
    for (uint32_t i = 0; what.len <= s.len && i <= s.len - what.len; i++) {
        if (what.len == 0 || strncasecmp(s.p + i, what.p, what.len) == 0) {
            return i;
        }
    }
    return -1;
}

bool str_all_in(struct str s, const char *set)
{
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\0' || !strchr(set, s.p[i])) {
            return false;
        }
    }
    return true;
}

bool str_any_in(struct str s, const char *set)
{
    for (uint32_t i = 0; i < s.len; i++) {
        if (s.p[i] != '\0' && strchr(set, s.p[i])) {
            return true;
        }
    }
    return false;
}

struct str str_sub(struct str s, size_t off, size_t n)
{
    if (off > s.len) {
        off = s.len;
    }
    if (n > s.len - off) {
        n = s.len - off;
    }
    return (struct str){s.p ? s.p + off : NULL, (uint32_t)n, s.tainted};
}

struct str str_from(struct str s, size_t off)
{
    return str_sub(s, off, s.len);
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct str str_ltrim(struct str s)
{
    uint32_t i = 0;
    while (i < s.len && is_space(s.p[i])) {
        i++;
    }
    return str_from(s, i);
}

struct str str_rtrim(struct str s)
{
    while (s.len && is_space(s.p[s.len - 1])) {
        s.len--;
    }
    return s;
}

struct str str_trim(struct str s)
{
    return str_ltrim(str_rtrim(s));
}

bool str_next(struct str *rest, char sep, struct str *piece)
{
    if (rest->len == 0) {
        return false;
    }
    ptrdiff_t at = str_chr(*rest, sep);
    if (at < 0) {
        *piece = *rest;
        *rest = str_from(*rest, rest->len);
    } else {
        *piece = str_sub(*rest, 0, (size_t)at);
        *rest = str_from(*rest, (size_t)at + 1);
    }
    return true;
}

bool str_to_u64(struct str s, unsigned base, uint64_t *out)
{
    uint64_t n = 0;
    if (s.len == 0) {
        return false;
    }
    for (uint32_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        unsigned d = isdigit(c)   ? (unsigned)(c - '0')
                     : isalpha(c) ? (unsigned)(tolower(c) - 'a' + 10)
                                  : 99;
        if (d >= base || __builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n)) {
            return false;
        }
    }
    *out = n;
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool negative = str_starts(s, "-");
    uint64_t n;
    if (negative || str_starts(s, "+")) {
        s = str_from(s, 1);
    }
    if (!str_to_u64(s, 10, &n) || n > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *out = negative ? (int64_t)(0 - n) : (int64_t)n;
    return true;
}

char *str_cstr(struct pool *pool, struct str s)
{
    char *p = pool_alloc(pool, (size_t)s.len + 1);
    if (s.len) {
        memcpy(p, s.p, s.len);
    }
    p[s.len] = '\0';
    return p;
}

struct str str_dup(struct pool *pool, struct str s)
{
    if (str_unset(s)) {
        return s;
    }
    s.p = str_cstr(pool, s);
    return s;
}

static struct str map_bytes(struct pool *pool, struct str s, int (*f)(int))
{
    char *p = str_cstr(pool, s);
    for (uint32_t i = 0; i < s.len; i++) {
        p[i] = (char)((unsigned char)p[i] < 128 ? f((unsigned char)p[i]) : (unsigned char)p[i]);
    }
    return (struct str){p, s.len, s.tainted};
}

struct str str_lower(struct pool *pool, struct str s)
{
    return map_bytes(pool, s, tolower);
}

struct str str_upper(struct pool *pool, struct str s)
{
    return map_bytes(pool, s, toupper);
}

struct str str_cat(struct pool *pool, size_t n, const struct str *parts)
{
    size_t len = 0;
    bool tainted = false;
    for (size_t i = 0; i < n; i++) {
        len += parts[i].len;
        tainted |= parts[i].tainted;
    }
    char *p = pool_alloc(pool, len + 1), *q = p;
    for (size_t i = 0; i < n; i++) {
        if (parts[i].len) {
            memcpy(q, parts[i].p, parts[i].len);
            q += parts[i].len;
        }
    }
    *q = '\0';
    struct str s = str_n(p, len);
    s.tainted = tainted;
    return s;
}

struct str str_vfmt(struct pool *pool, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        BUG("bad format \"%s\"", fmt);
    }
    char *p = pool_alloc(pool, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return str_taint(str_n(p, (size_t)n));
}

struct str str_fmt(struct pool *pool, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str s = str_vfmt(pool, fmt, ap);
    va_end(ap);
    return s;
}

_Noreturn void die_at(const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "minim: %s:%d: ", file, line);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    abort();
}
