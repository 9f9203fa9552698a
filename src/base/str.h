/*
 * Counted strings that carry their taint.
 *
 * A struct str is a view: it owns nothing and lives as long as the memory it points into (a pool,
 * a literal). It need not be NUL-terminated; str_cstr() gives a terminated copy where a system
 * call wants one. `tainted` says that the bytes came from the network or another untrusted
 * source; every function here that makes a string from others hands the taint on.
 */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct pool;

struct str {
    const char *p;
    uint32_t len;
    bool tainted;
};

/* A string literal as a struct str; STR_INIT for static initialisers. */
#define STR_INIT(lit) {"" lit, sizeof(lit) - 1, false}
#define STR(lit) ((struct str)STR_INIT(lit))
#define STR_NONE ((struct str){NULL, 0, false})

/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).len, ((s).p ? (s).p : "")

/* View of a NUL-terminated string (NULL gives STR_NONE); untainted. */
struct str str_c(const char *cstr);

/* View of n bytes, untainted. */
struct str str_n(const char *p, size_t n);

/* The same view, marked as tainted. */
struct str str_taint(struct str s);

/* True if the string is unset (NULL pointer); an empty string is set. */
static inline bool str_unset(struct str s)
{
    return s.p == NULL;
}

/* True if there are no bytes, set or not. */
static inline bool str_empty(struct str s)
{
    return s.len == 0;
}

/* Equality by bytes. */
bool str_eq(struct str a, struct str b);

/* Equality with ASCII case folded; all ...i functions fold it. */
bool str_eqi(struct str a, struct str b);

/* Equality with a literal. */
bool str_is(struct str a, const char *cstr);
bool str_isi(struct str a, const char *cstr);

/* Order by bytes: <0, 0, >0. */
int str_cmp(struct str a, struct str b);
int str_cmpi(struct str a, struct str b);

/* True if s begins with the prefix. */
bool str_starts(struct str s, const char *prefix);
bool str_startsi(struct str s, const char *prefix);

/* True if s ends with the suffix. */
bool str_ends(struct str s, struct str suffix);
bool str_endsi(struct str s, struct str suffix);

/* Offset of the first (last) byte c, or of the first place of `what`; -1 if there is none. */
ptrdiff_t str_chr(struct str s, char c);
ptrdiff_t str_rchr(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str what);
ptrdiff_t str_findi(struct str s, struct str what);

/* True if every byte of s stands in `set`; true if any byte does. */
bool str_all_in(struct str s, const char *set);
bool str_any_in(struct str s, const char *set);

/* The part from off, at most n bytes; both are clipped to the string. */
struct str str_sub(struct str s, size_t off, size_t n);

/* The part from off to the end. */
struct str str_from(struct str s, size_t off);

/* Without white space (blank, tab, CR, LF, VT, FF) at the left, the right, both ends. */
struct str str_ltrim(struct str s);
struct str str_rtrim(struct str s);
struct str str_trim(struct str s);

/*
 * Cuts the next piece off *rest at byte sep. Returns false when nothing is left; a trailing
 * separator yields no empty last piece.
 */
bool str_next(struct str *rest, char sep, struct str *piece);

/* Decimal number with optional sign that fills the whole string; false if it is not one or overflows. */
bool str_to_i64(struct str s, int64_t *out);

/* The same in base 2 to 36, without sign. */
bool str_to_u64(struct str s, unsigned base, uint64_t *out);

/* NUL-terminated copy in the pool. */
char *str_cstr(struct pool *pool, struct str s);

/* Copy in the pool, NUL-terminated behind its length; taint is kept. */
struct str str_dup(struct pool *pool, struct str s);

/* ASCII-folded copies. */
struct str str_lower(struct pool *pool, struct str s);
struct str str_upper(struct pool *pool, struct str s);

/* Concatenation of n strings; tainted if any of them is. STR_CAT counts for you. */
struct str str_cat(struct pool *pool, size_t n, const struct str *parts);
#define STR_CAT(pool, ...)                                                                         \
    str_cat((pool), sizeof((struct str[]){__VA_ARGS__}) / sizeof(struct str),                       \
            (struct str[]){__VA_ARGS__})

/*
 * printf into the pool. What went in cannot be told from the result, so it counts as tainted:
 * good for replies and log lines. A path is made with str_cat.
 */
struct str str_fmt(struct pool *pool, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct str str_vfmt(struct pool *pool, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

#endif
