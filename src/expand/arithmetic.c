/*
 * The arithmetic of ${eval:…} and ${eval10:…}: 64-bit signed, octal and hexadecimal (unless decimal
 * only), factors K M G, and the operators ~ - * / % + - << >> & ^ | with parentheses.
 *
 * Results wrap like the machine's, except that an overflow of a sum is an error and a quotient that
 * has none is the greatest number.
 */
#include "expand/internal.h"

#include <ctype.h>

struct sum {
    struct str text;
    uint32_t at;
    int depth;
    bool decimal;
    const char *error;
};

enum { LEVELS = 6 };

static bool level(struct sum *s, int n, int64_t *out);

static void skip(struct sum *s)
{
    while (s->at < s->text.len && isspace((unsigned char)s->text.p[s->at])) {
        s->at++;
    }
}

static char peek(const struct sum *s)
{
    return s->at < s->text.len ? s->text.p[s->at] : '\0';
}

static bool fail(struct sum *s, const char *why)
{
    s->error = why;
    return false;
}

/* Digits of the base; what is too large is the greatest number. */
static int64_t digits(struct sum *s, unsigned base)
{
    uint64_t n = 0;
    bool over = false;
    for (;; s->at++) {
        int c = tolower((unsigned char)peek(s));
        unsigned d = isdigit(c)             ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                            : 99;
        if (d >= base) {
            break;
        }
        over |= __builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n);
    }
    return over || n > INT64_MAX ? INT64_MAX : (int64_t)n;
}

static bool number(struct sum *s, int64_t *out)
{
    unsigned base = 10;
    if (!isdigit((unsigned char)peek(s))) {
        return fail(s, "expecting number or opening parenthesis");
    }
    if (!s->decimal && peek(s) == '0') {
        base = 8;
        if (s->at + 1 < s->text.len && tolower((unsigned char)s->text.p[s->at + 1]) == 'x') {
            base = 16;
            s->at += 2;
        }
    }
    int64_t n = digits(s, base);
    int unit = tolower((unsigned char)peek(s));
    int64_t factor = unit == 'k' ? 1 << 10 : unit == 'm' ? 1 << 20 : unit == 'g' ? 1 << 30 : 1;
    s->at += factor > 1;
    *out = (int64_t)((uint64_t)n * (uint64_t)factor);
    skip(s);
    return true;
}

static bool unary(struct sum *s, int64_t *out)
{
    skip(s);
    char c = peek(s);
    if (c == '+' || c == '-' || c == '~') {
        s->at++;
        if (++s->depth > MAX_NESTING || !unary(s, out)) {
            return s->error ? false : fail(s, "too many signs");
        }
        s->depth--;
        *out = c == '-' ? (int64_t)(0 - (uint64_t)*out) : c == '~' ? ~*out : *out;
        return true;
    }
    if (c != '(') {
        return number(s, out);
    }
    s->at++;
    if (++s->depth > MAX_NESTING) {
        return fail(s, "too many parentheses");
    }
    if (!level(s, LEVELS - 1, out)) {
        return false;
    }
    s->depth--;
    if (peek(s) != ')') {
        return fail(s, "expecting closing parenthesis");
    }
    s->at++;
    skip(s);
    return true;
}

/* The operator of the level that stands next; shifts are told by their first byte. */
static char next_operator(struct sum *s, int n)
{
    static const char *const operators[LEVELS] = {"*/%", "+-", "<>", "&", "^", "|"};
    char c = peek(s);
    if (c == '\0' || !strchr(operators[n], c)) {
        return '\0';
    }
    if (n == 2) {
        if (s->at + 1 >= s->text.len || s->text.p[s->at + 1] != c) {
            return '\0';
        }
        s->at++;
    }
    s->at++;
    return c;
}

static bool divide(struct sum *s, char op, int64_t *a, int64_t b)
{
    if (b == 0) {
        return fail(s, op == '/' ? "divide by zero" : "modulo by zero");
    }
    if (b == -1) {
        *a = op == '%' ? 0 : *a == INT64_MIN ? INT64_MAX : -*a;
    } else {
        *a = op == '/' ? *a / b : *a % b;
    }
    return true;
}

static bool apply(struct sum *s, char op, int64_t *a, int64_t b)
{
    uint64_t x = (uint64_t)*a, y = (uint64_t)b;
    switch (op) {
    case '*': *a = (int64_t)(x * y); return true;
    case '/':
    case '%': return divide(s, op, a, b);
    case '+': return !__builtin_add_overflow(*a, b, a) || fail(s, "overflow in sum");
    case '-': *a = (int64_t)(x - y); return true;
    case '<': *a = (int64_t)(x << (y & 63)); return true;
    case '>': *a = *a < 0 ? (int64_t) ~(~x >> (y & 63)) : (int64_t)(x >> (y & 63)); return true;
    case '&': *a &= b; return true;
    case '^': *a ^= b; return true;
    default: *a |= b; return true;
    }
}

static bool level(struct sum *s, int n, int64_t *out)
{
    int64_t right;
    char op;
    if (n < 0) {
        return unary(s, out);
    }
    if (!level(s, n - 1, out)) {
        return false;
    }
    while ((op = next_operator(s, n))) {
        if (!level(s, n - 1, &right) || !apply(s, op, out, right)) {
            return false;
        }
    }
    return true;
}

bool eval_arithmetic(struct ectx *x, struct str text, bool decimal, int64_t *out)
{
    struct sum s = {.text = text, .decimal = decimal};
    if (level(&s, LEVELS - 1, out) && s.at < text.len) {
        fail(&s, "expecting operator");
    }
    return !s.error ||
           eval_fail(x, "error in expression evaluation: %s (after processing \"%.*s\")", s.error,
                     (int)s.at, text.p ? text.p : "");
}
