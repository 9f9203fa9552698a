/* Fuzz target: replies of ident servers (RFC 1413). A login is printable, and tainted. */
#include "smtp_in/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct str login = ident_parse(pool, str_taint(str_n((const char *)data, size)), 6191, 23);
    if (!str_unset(login) && (!login.tainted || !str_eq(str_printable(pool, login, true), login))) {
        abort();
    }
    pool_free(&pool);
    return 0;
}
