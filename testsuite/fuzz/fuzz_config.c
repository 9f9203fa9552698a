/*
 * Fuzz target: the configuration reader with everything behind it, option values, expansions, lists,
 * ACLs, rules. Input that includes files is left out: what is on this machine is no input.
 */
#include "main/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str input = str_n((const char *)data, size);
    if (str_find(input, STR("include")) >= 0) {
        return 0;
    }
    struct pool *pool = pool_new("fuzz");
    struct config_source src = {.pool = pool};
    src.text = STR_CAT(pool, STR("primary_hostname = fuzz.example\n"), input);
    struct config *conf = config_read(&src);
    if (conf) {
        pool_free(&conf->pool);
    } else if (!src.error_count) {
        BUG("no configuration and no error");
    }
    pool_free(&pool);
    return 0;
}
