/*
 * Regular expressions: PCRE2 with its just-in-time compiler, each pattern compiled once in the life
 * of the process.
 *
 * The cache is bounded: when too many different patterns have come (a configuration that builds
 * them from data), all are dropped. Compiled patterns are valid until the next regex_get().
 */
#include "expand/internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum { MAX_PATTERNS = 1000, MAX_CAPTURED = 21, MAX_GROUPS = 64, MATCH_LIMIT = 5000000 };

static struct {
    struct pool *pool;
    struct map *patterns[2]; /* pattern -> pcre2_code: caseful, caseless */
    pcre2_match_data *data;
    pcre2_match_context *context;
} cache;

static void drop_patterns(struct map *patterns)
{
    for (struct map_entry *e = map_first(patterns); e; e = e->next) {
        pcre2_code_free(e->value);
    }
}

static void cache_ready(void)
{
    if (cache.pool && map_count(cache.patterns[0]) + map_count(cache.patterns[1]) < MAX_PATTERNS) {
        return;
    }
    if (cache.pool) {
        drop_patterns(cache.patterns[0]);
        drop_patterns(cache.patterns[1]);
        pool_free(&cache.pool);
    }
    cache.pool = pool_new("regular expressions");
    cache.patterns[0] = map_new(cache.pool, false);
    cache.patterns[1] = map_new(cache.pool, false);
    if (!cache.data) {
        cache.data = pcre2_match_data_create(MAX_GROUPS, NULL);
        cache.context = pcre2_match_context_create(NULL);
        pcre2_set_match_limit(cache.context, MATCH_LIMIT);
    }
}

struct pcre2_real_code_8 *regex_get(struct pool *pool, struct str pattern, bool caseless,
                                    struct str *error)
{
    cache_ready();
    struct map *patterns = cache.patterns[caseless];
    pcre2_code *code = map_get(patterns, pattern);
    int number;
    PCRE2_SIZE offset;
    if (code) {
        return code;
    }
    code = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.len,
                         caseless ? PCRE2_CASELESS : 0, &number, &offset, NULL);
    if (!code) {
        unsigned char text[256];
        pcre2_get_error_message(number, text, sizeof text);
        *error = str_fmt(pool, "regular expression error in \"%.*s\": %s at offset %zu",
                         STR_ARG(pattern), (const char *)text, (size_t)offset);
        return NULL;
    }
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    map_set(patterns, pattern, code);
    return code;
}

size_t regex_run(struct pool *pool, struct pcre2_real_code_8 *code, struct str subject, size_t from,
                 unsigned options, const size_t **groups)
{
    int n =
        pcre2_match(code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.len, from,
                    options & REGEX_NOT_EMPTY_HERE ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0,
                    cache.data, cache.context);
    if (n < 0) {
        return 0;
    }
    size_t count = n == 0 ? MAX_GROUPS : (size_t)n;
    size_t *copy = pool_calloc(pool, count * 2, sizeof *copy);
    memcpy(copy, pcre2_get_ovector_pointer(cache.data), count * 2 * sizeof *copy);
    *groups = copy;
    return count;
}

enum match match_regex(struct ectx *x, struct str pattern, struct str subject, bool caseless,
                       bool set_numeric)
{
    const size_t *g;
    struct str values[MAX_CAPTURED];
    pcre2_code *code = regex_get(x->pool, pattern, caseless, &x->error);
    if (!code) {
        return MATCH_ERROR;
    }
    size_t n = regex_run(x->pool, code, subject, 0, 0, &g);
    if (n == 0) {
        return MATCH_NO;
    }
    if (!set_numeric) {
        return MATCH_YES;
    }
    n = n < ARRAY_LEN(values) ? n : ARRAY_LEN(values);
    for (size_t i = 0; i < n; i++) {
        values[i] =
            g[2 * i] == PCRE2_UNSET ? STR("") : str_sub(subject, g[2 * i], g[2 * i + 1] - g[2 * i]);
    }
    scope_set_numeric(x, values, n);
    return MATCH_YES;
}
