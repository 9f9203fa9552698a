/*
 * A strict reader of DER (X.690 10) for certificates and what belongs to them: elements one after
 * the other, each with a counted content. Definite, shortest lengths and tag numbers below 31
 * only. It does not descend by itself, so depth is what the caller writes down.
 */
#ifndef TLS_DER_H
#define TLS_DER_H

#include "base/base.h"

/* Identifier octets. */
enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_ENUMERATED = 0x0a,
    DER_UTF8_STRING = 0x0c,
    DER_PRINTABLE_STRING = 0x13,
    DER_T61_STRING = 0x14,
    DER_IA5_STRING = 0x16,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_UNIVERSAL_STRING = 0x1c,
    DER_BMP_STRING = 0x1e,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31
};

/* Context-specific tags: a primitive one (IMPLICIT), and one that holds elements. */
#define DER_CONTEXT(n) (0x80u | (n))
#define DER_CONTEXT_HOLDS(n) (0xa0u | (n))

/* What is left to read. bad stays set after the first fault, and then everything else fails. */
struct der {
    struct str rest;
    bool bad;
};

/* One element. */
struct der_item {
    unsigned tag;
    struct str content;
    struct str whole; /* with its header */
};

/* A reader of the bytes. */
struct der der_of(struct str bytes);

/* Takes the next element; false (and bad) at a fault, false alone at the end. */
bool der_next(struct der *r, struct der_item *out);

/* True if the next element has the tag. */
bool der_is(const struct der *r, unsigned tag);

/* Takes an element of the tag and gives its content; anything else makes the reader bad. */
struct str der_take(struct der *r, unsigned tag);

/* The same with the header. */
struct str der_whole(struct der *r, unsigned tag);

/* The same as a reader of what is inside. */
struct der der_enter(struct der *r, unsigned tag);

/* Takes the element if it has the tag. */
bool der_optional(struct der *r, unsigned tag, struct str *content);

/* True if all has been read and nothing was wrong. */
bool der_end(const struct der *r);

/* Takes a BOOLEAN, an INTEGER from 0 to INT_MAX, a BIT STRING of whole octets (its octets). */
bool der_boolean(struct der *r);
int der_small(struct der *r);
struct str der_octets(struct der *r);

/* Takes an INTEGER of any size: its content octets. */
struct str der_integer(struct der *r);

/* Takes UTCTime or GeneralizedTime as RFC 5280 4.1.2.5 wants them: to the second, in UTC. */
time_t der_time(struct der *r);

/* An OBJECT IDENTIFIER's content octets in dotted form; unset if they are malformed. */
struct str der_oid_text(struct pool *pool, struct str oid);

/* Builds an element: header and content. */
struct str der_make(struct pool *pool, unsigned tag, struct str content);

#endif
