/* Punycode (RFC 3492), without the rules of domain names. */
#ifndef BASE_PUNYCODE_H
#define BASE_PUNYCODE_H

#include "base/pool.h"
#include "base/str.h"

/*
 * Encodes UTF-8: the ASCII characters, a hyphen if there are any, and where the others belong. Lives
 * in the pool, tainted as the text is. False if the text is not UTF-8 or too long.
 */
bool punycode_encode(struct pool *pool, struct str utf8, struct str *out);

/* The UTF-8 of an encoded text, likewise. False if it is none. */
bool punycode_decode(struct pool *pool, struct str text, struct str *out);

#endif
