/* Fuzz target: the file of tls_resumption_key_file. */
#include "tls/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pool *pool = pool_new("fuzz");
    struct tls_secrets all;
    struct str why = STR_NONE;
    bool ok = tls_keys_parse(pool, str_dup(pool, str_n((const char *)data, size)), &all, &why);
    if (ok != str_unset(why) || (ok && all.n == 0) || all.n > TLS_SECRETS) {
        BUG("neither good nor bad");
    }
    pool_free(&pool);
    return 0;
}
