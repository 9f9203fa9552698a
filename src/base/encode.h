/* Encodings: base64 (RFC 4648), hex, base 62, xtext (RFC 3461 4), printable escapes; UTF-8 checks. */
#ifndef BASE_ENCODE_H
#define BASE_ENCODE_H

#include "base/str.h"

/* Without line breaks. */
struct str base64_encode(struct pool *pool, struct str s);

/* False on a byte that is not base64, or wrong padding; white space is not allowed. */
bool base64_decode(struct pool *pool, struct str s, struct str *out);

/* Lower-case hex. */
struct str hex_encode(struct pool *pool, struct str s);

/* Back from hex; both cases, an even number of digits, else false. */
bool hex_decode(struct pool *pool, struct str s, struct str *out);

/* n as exactly `width` digits 0-9A-Za-z into out (no NUL); higher digits are cut off. */
void base62_put(char *out, size_t width, uint64_t n);

/* The value of base-62 digits; false on another character. */
bool base62_get(struct str s, uint64_t *out);

/* RFC 3461 4 xtext: printable ASCII, the rest as +XX. */
struct str xtext_encode(struct pool *pool, struct str s);

/* Back from xtext; false if it is malformed. */
bool xtext_decode(struct pool *pool, struct str s, struct str *out);

/*
 * Control characters made visible, as in log lines: \n \r \b \f \v by letter, others as \ooo in octal;
 * tabs stay. eight_bit also escapes bytes above 127. Returns s itself if nothing needs it.
 */
struct str str_printable(struct pool *pool, struct str s, bool eight_bit);

/* True if the bytes are well-formed UTF-8 (RFC 3629). */
bool utf8_valid(struct str s);

#endif
