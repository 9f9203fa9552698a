/* Fuzz target: header names and types, and the spool's own format. */
#include "mail/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct str text = str_taint(str_n((const char *)data, size)), error;
    struct message m = {.pool = pool}, loaded = {0};
    struct str line, rest = text;
    m.acl_m.pool = m.acl_c.pool = pool;
    while (str_next(&rest, '\n', &line)) {
        struct str whole = STR_CAT(pool, line, STR("\n"));
        message_add_header(&m, header_type(whole, false), whole);
    }
    headers_check_syntax(pool, &m, &error);
    for (struct header *h = header_find(&m, STR("From")); h; h = header_find_next(h, STR("From"))) {
        header_body(h);
    }
    if (spool_decode(pool, text, &loaded)) {
        spool_encode(pool, &loaded);
    }
    loaded.pool = loaded.delivered.pool = pool;
    spool_journal_apply(&loaded, text);
    pool_free(&pool);
    return 0;
}
