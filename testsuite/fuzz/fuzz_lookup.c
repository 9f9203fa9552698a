/*
 * Fuzz target: lookup files, lookup types and lists. Files are ours, but aliases and the like are
 * written by many hands.
 */
#include "lookup/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct module *const modules[] = {&lookup_module, NULL};
    struct pool *pool = pool_new("fuzz");
    const struct config conf = {.pool = pool, .modules = modules};
    struct lookup_file f = {.pool = pool};
    struct lookup_type type;
    struct str text = str_n((const char *)data, size), rest = text, item, error;
    int sep = 0;
    lookup_file_parse(&f, text);
    for (size_t i = 0; i < f.n; i++) {
        text_entry_data(pool, &f.entries[i], i & 1);
    }
    lookup_parse_type(&conf, pool, text, &type, &error);
    while (net_list_next(pool, &rest, &sep, &item)) {
        struct str addr;
        struct ip ip;
        unsigned bits;
        int port;
        ip_parse_net(item, &ip, &bits);
        ip_parse_port(item, &addr, &port);
    }
    pool_free(&pool);
    return 0;
}
