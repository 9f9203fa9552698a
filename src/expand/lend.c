/*
 * What the rooms below need of expansion: matching a name against a domain list (dns_ipv4_lookup
 * and the like), expanding the keys of wildlsearch files. They are lent to a configuration when it
 * has been read. Evaluation sees no message and no session: such options are about names only.
 */
#include "expand/internal.h"

static bool in_domains(const struct config *conf, struct pool *pool, const struct etext *list,
                       struct str name)
{
    struct ectx x;
    ectx_init(&x, conf, pool);
    enum match m = match_domain(&x, list, name, NULL);
    if (m == MATCH_ERROR) {
        log_write(LOG_MAIN | LOG_PANIC, "%.*s", STR_ARG(x.error));
    }
    return m == MATCH_YES;
}

static bool expand_key(const struct config *conf, struct pool *pool, struct str text,
                       struct str *out, struct str *error)
{
    struct ectx x;
    ectx_init(&x, conf, pool);
    if (expand_text(&x, text, out)) {
        return true;
    }
    *error = x.error;
    return false;
}

void expand_lend(struct config *conf)
{
    net_set_matcher(conf, in_domains);
    lookup_set_expander(conf, expand_key);
}
