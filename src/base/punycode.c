/*
 * Punycode (RFC 3492): any text in the characters of ASCII.
 *
 * The code points above 127 are encoded in rising order, each with the distance from where the one
 * before it was put, as a number with variable base (sections 3 and 6). Texts are limited to
 * MAX_POINTS code points, which bounds the time an encoding takes. Results live in the caller's
 * pool; what is not valid is refused, nothing is logged.
 */
#include "base/base.h"

#include <string.h>

enum {
    BASE = 36,
    T_MIN = 1,
    T_MAX = 26,
    SKEW = 38,
    DAMP = 700,
    INITIAL_BIAS = 72,
    INITIAL_POINT = 128,
    LAST_POINT = 0x10ffff,
    MAX_POINTS = 1024
};

/* The state that encoder and decoder share. */
struct walk {
    uint64_t delta;
    uint32_t point, bias, handled;
    bool begun;
};

static uint32_t threshold(uint32_t k, uint32_t bias)
{
    return k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
}

/* The bias for the next number (6.1). */
static uint32_t adapt(uint64_t delta, uint32_t points, bool first)
{
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    while (delta > (BASE - T_MIN) * T_MAX / 2) {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    return k + (uint32_t)((BASE - T_MIN + 1) * delta / (delta + SKEW));
}

static char digit(uint32_t d)
{
    return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* -1: no digit. */
static int value(char c)
{
    return c >= 'a' && c <= 'z'   ? c - 'a'
           : c >= 'A' && c <= 'Z' ? c - 'A'
           : c >= '0' && c <= '9' ? c - '0' + 26
                                  : -1;
}

/* The code points of valid UTF-8. */
static uint32_t points_of(struct str s, uint32_t *points)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s.len; n++) {
        unsigned char c = (unsigned char)s.p[i++];
        int more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        uint32_t point = more ? c & (0x3fu >> more) : c;
        for (; more > 0; more--) {
            point = point << 6 | ((unsigned char)s.p[i++] & 0x3fu);
        }
        points[n] = point;
    }
    return n;
}

static void add_number(struct buf *b, uint64_t q, uint32_t bias)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = threshold(k, bias);
        if (q < t) {
            break;
        }
        buf_addc(b, digit(t + (uint32_t)((q - t) % (BASE - t))));
        q = (q - t) / (BASE - t);
    }
    buf_addc(b, digit((uint32_t)q));
}

/* Encodes all occurrences of the code point. */
static void add_point(struct buf *b, struct walk *w, const uint32_t *points, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (points[i] < w->point) {
            w->delta++;
        } else if (points[i] == w->point) {
            add_number(b, w->delta, w->bias);
            w->bias = adapt(w->delta, w->handled + 1, !w->begun);
            w->delta = 0;
            w->handled++;
            w->begun = true;
        }
    }
}

static uint32_t next_point(const uint32_t *points, uint32_t n, uint32_t from)
{
    uint32_t least = UINT32_MAX;
    for (uint32_t i = 0; i < n; i++) {
        least = points[i] >= from && points[i] < least ? points[i] : least;
    }
    return least;
}

bool punycode_encode(struct pool *pool, struct str utf8, struct str *out)
{
    uint32_t points[MAX_POINTS];
    struct buf b;
    if (utf8.len > MAX_POINTS || !utf8_valid(utf8)) {
        return false;
    }
    uint32_t n = points_of(utf8, points);
    struct walk w = {.point = INITIAL_POINT, .bias = INITIAL_BIAS};
    buf_init(&b, pool, 16 * MAX_POINTS);
    for (uint32_t i = 0; i < n; i++) {
        if (points[i] < INITIAL_POINT) {
            buf_addc(&b, (char)points[i]);
            w.handled++;
        }
    }
    if (w.handled) {
        buf_addc(&b, '-');
    }
    while (w.handled < n) {
        uint32_t next = next_point(points, n, w.point);
        w.delta += (uint64_t)(next - w.point) * (w.handled + 1);
        w.point = next;
        add_point(&b, &w, points, n);
        w.delta++;
        w.point++;
    }
    *out = buf_str(&b);
    out->tainted = utf8.tainted;
    return true;
}

/* The next number; false if the text ends in it, or it is none. */
static bool take_number(struct str s, uint32_t *at, uint32_t bias, uint64_t *sum)
{
    uint64_t weight = 1;
    for (uint32_t k = BASE;; k += BASE) {
        int d = *at < s.len ? value(s.p[(*at)++]) : -1;
        if (d < 0 || weight > UINT32_MAX) {
            return false;
        }
        *sum += (uint64_t)d * weight;
        uint32_t t = threshold(k, bias);
        if ((uint32_t)d < t) {
            return *sum <= UINT32_MAX;
        }
        weight *= BASE - t;
    }
}

static void add_utf8(struct buf *b, uint32_t p)
{
    if (p < 0x80) {
        buf_addc(b, (char)p);
        return;
    }
    int more = p < 0x800 ? 1 : p < 0x10000 ? 2 : 3;
    unsigned mark = more == 1 ? 0xc0u : more == 2 ? 0xe0u : 0xf0u;
    buf_addc(b, (char)(mark | p >> (6 * more)));
    for (more--; more >= 0; more--) {
        buf_addc(b, (char)(0x80u | (p >> (6 * more) & 0x3fu)));
    }
}

bool punycode_decode(struct pool *pool, struct str text, struct str *out)
{
    uint32_t points[MAX_POINTS], n = 0;
    ptrdiff_t hyphen = str_rchr(text, '-');
    uint32_t at = hyphen > 0 ? (uint32_t)hyphen + 1 : 0;
    uint64_t i = 0;
    struct walk w = {.point = INITIAL_POINT, .bias = INITIAL_BIAS};
    struct buf b;
    if (text.len > MAX_POINTS) {
        return false;
    }
    for (; hyphen > 0 && n < (uint32_t)hyphen; n++) {
        points[n] = (unsigned char)text.p[n];
        if (points[n] >= INITIAL_POINT) {
            return false;
        }
    }
    while (at < text.len) {
        uint64_t before = i;
        if (!take_number(text, &at, w.bias, &i)) {
            return false;
        }
        w.bias = adapt(i - before, n + 1, before == 0);
        uint64_t point = w.point + i / (n + 1);
        if (point > LAST_POINT || (point >= 0xd800 && point < 0xe000)) {
            return false;
        }
        w.point = (uint32_t)point;
        i %= n + 1;
        memmove(points + i + 1, points + i, (n - i) * sizeof *points);
        points[i++] = w.point;
        n++;
    }
    buf_init(&b, pool, 4 * MAX_POINTS);
    for (uint32_t k = 0; k < n; k++) {
        add_utf8(&b, points[k]);
    }
    *out = buf_str(&b);
    out->tainted = text.tainted;
    return true;
}
