/*
 * PEM (RFC 7468): blocks of a label found in a text, and made.
 *
 * Text between blocks is passed over, and so are blocks with other labels. A block that begins and
 * does not end, or holds what is not base64, makes the whole text bad: a file cut short must not
 * look like a shorter file.
 */
#include "tls/x509.h"

/* The next line without its end; false at the end of the text. */
static bool next_line(struct str *rest, struct str *line)
{
    if (!str_next(rest, '\n', line)) {
        return false;
    }
    *line = str_rtrim(*line);
    return true;
}

/* "-----BEGIN LABEL-----" gives LABEL. */
static bool boundary(struct str line, const char *word, struct str *label)
{
    if (!str_starts(line, word) || !str_ends(line, STR("-----")) || line.len < strlen(word) + 5) {
        return false;
    }
    *label = str_sub(line, strlen(word), line.len - strlen(word) - 5);
    return true;
}

/* Reads up to the END of the label; false if there is none, or rubbish before it. */
static bool read_block(struct pool *pool, struct str *rest, struct str label, struct str *out)
{
    struct str line, end;
    struct buf b;
    buf_init(&b, pool, (size_t)rest->len + 1);
    b.tainted = rest->tainted;
    while (next_line(rest, &line)) {
        if (boundary(line, "-----END ", &end)) {
            return str_eq(end, label) && b.len && base64_decode(pool, buf_str(&b), out);
        }
        buf_adds(&b, str_trim(line));
    }
    return false;
}

/* Private keys may carry RFC 1421 headers in their blocks, so what is not wanted is not read. */
static bool blocks(struct pool *pool, struct str pem, const char *label, const char *other,
                   struct strvec *out)
{
    struct str line, found, der;
    while (next_line(&pem, &line)) {
        if (!boundary(line, "-----BEGIN ", &found) ||
            !(str_is(found, label) || str_is(found, other))) {
            continue;
        }
        if (!read_block(pool, &pem, found, &der)) {
            return false;
        }
        strvec_push(out, der);
    }
    return true;
}

bool pem_blocks(struct pool *pool, struct str pem, const char *label, struct strvec *out)
{
    return blocks(pool, pem, label, label, out);
}

bool pem_certificates(struct pool *pool, struct str pem, struct strvec *out)
{
    return blocks(pool, pem, "CERTIFICATE", "X509 CERTIFICATE", out);
}

struct str pem_encode(struct pool *pool, const char *label, struct str der)
{
    struct str text = base64_encode(pool, der);
    struct buf b;
    buf_init(&b, pool, (size_t)text.len * 2 + 200);
    buf_addf(&b, "-----BEGIN %s-----\n", label);
    for (size_t at = 0; at < text.len; at += 64) {
        buf_adds(&b, str_sub(text, at, 64));
        buf_addc(&b, '\n');
    }
    buf_addf(&b, "-----END %s-----\n", label);
    struct str s = buf_str(&b);
    s.tainted = der.tainted;
    return s;
}
