/* Fuzz target: a record of the hints database tls, and what a GnuTLS client packs into it. */
#include "tls/gnutls_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Is a part a view of the whole? */
static void inside(struct str whole, struct str part)
{
    if (part.len && (part.p < whole.p || part.p + part.len > whole.p + whole.len)) {
        BUG("outside of the record");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct str bare = str_dup(pool, str_n((const char *)data, size)), cipher, rest;
    struct str record = size % 8 ? tls_record_seal(pool, bare) : bare;
    struct tls_side side = {.require_ocsp = size & 1};
    struct tls_record r;
    bool whole = tls_record_read(pool, record, &r);
    if (whole) {
        inside(record, r.session);
        inside(record, r.peer);
        if (gnutls_text_unpack(r.session, &cipher, &rest)) {
            inside(r.session, cipher);
            inside(r.session, rest);
        }
    }
    if (whole == str_unset(tls_session_text(pool, record)) ||
        (!whole && tls_session_usable(pool, record, &side))) {
        BUG("read and not read");
    }
    tls_session_time(record);
    pool_free(&pool);
    return 0;
}
