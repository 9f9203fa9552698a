/*
 * The file of tls_resumption_key_file: keys for session tickets that the servers behind one name
 * share.
 *
 * A line is a word and a key in hexadecimal digits: "seal" is the key of new tickets, of which
 * there is one; "open" is a key that only opens, one that sealed before or one that every server
 * has to know before the first of them seals with it. Order means nothing; empty lines and what
 * follows a "#" are passed over. A line that is anything else makes the whole file unusable: half a
 * file, written while it was being copied, must not be taken for one.
 */
#include "tls/internal.h"

/* A line without its comment. Null, or what is wrong with it. */
static const char *take_line(struct pool *pool, struct str line, struct tls_secrets *out,
                             bool *sealing)
{
    enum { DIGITS = 2 * TLS_SECRET_SIZE };
    enum { WORD = 4 };
    struct str word = str_sub(line, 0, WORD), rest = str_trim(str_from(line, WORD)), key;
    bool seal = str_is(word, "seal");
    if ((!seal && !str_is(word, "open")) || line.len == WORD + rest.len) {
        return "neither \"seal\" nor \"open\" begins it";
    }
    if (rest.len != DIGITS || !hex_decode(pool, rest, &key)) {
        return "the key is not of 64 hexadecimal digits";
    }
    if (seal && *sealing) {
        return "a second key to seal with";
    }
    if (out->n == TLS_SECRETS) {
        return "too many keys";
    }
    size_t at = out->n++;
    if (seal && at) { /* it goes to the front */
        memcpy(out->v[at], out->v[0], TLS_SECRET_SIZE);
        at = 0;
    }
    *sealing |= seal;
    for (size_t i = 0; i < out->n; i++) {
        if (i != at && memcmp(out->v[i], key.p, TLS_SECRET_SIZE) == 0) {
            return "the key stands in the file already";
        }
    }
    memcpy(out->v[at], key.p, TLS_SECRET_SIZE);
    explicit_bzero((char *)(uintptr_t)key.p, key.len);
    return NULL;
}

bool tls_keys_parse(struct pool *pool, struct str text, struct tls_secrets *out, struct str *why)
{
    struct str rest = text, line;
    bool sealing = false;
    int number = 0;
    *out = (struct tls_secrets){.n = 0};
    while (str_next(&rest, '\n', &line)) {
        ptrdiff_t comment = str_chr(line, '#');
        line = str_trim(comment < 0 ? line : str_sub(line, 0, (size_t)comment));
        number++;
        const char *fault = line.len ? take_line(pool, line, out, &sealing) : NULL;
        if (fault) {
            *why = str_fmt(pool, "line %d: %s", number, fault);
            return false;
        }
    }
    if (!sealing) {
        *why = STR("no key to seal with");
    }
    return sealing;
}
