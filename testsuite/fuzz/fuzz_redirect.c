/*
 * Fuzz target: redirection data (forward and alias files, what a queryprogram prints), and the host
 * lists and fields in them.
 */
#include "route/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"transport", "hosts", "data", "lookup"};
    struct pool *pool = pool_new("fuzz");
    struct str text = str_n((const char *)data, size), rest = text, error;
    struct redirect_item item;
    struct mailbox m;
    struct route_rule rule;
    while (redirect_next(pool, &rest, &item)) {
        if (item.text.len > text.len || rest.len > text.len) {
            abort();
        }
        mailbox_parse(pool, item.text, 0, &m, &error);
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct str value = queryprogram_field(pool, text, names[i]);
        route_host_list(pool, value, i & 1);
    }
    for (int with_pattern = 0; with_pattern < 2; with_pattern++) {
        if (route_rule_parse(pool, text, with_pattern, &rule)) {
            route_host_list(pool, rule.hosts, false);
        }
    }
    pool_free(&pool);
    return 0;
}
