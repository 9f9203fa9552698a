/*
 * ${lookup{key} type {file}…} and ${lookup type {query}…}: what was found is $value in yes; a partial
 * match sets $1 and $2.
 */
#include "expand/internal.h"

/* Notes why the lookup could not be done; as Exim, one that only deferred has a text of its own. */
static bool not_done(struct ectx *x, enum lookup_result r, struct str key, struct str error)
{
    if (r == LK_ERROR) {
        x->error = error;
        return false;
    }
    x->defer = true;
    return eval_fail(x, "lookup of \"%.*s\" gave DEFER: %.*s", STR_ARG(key), STR_ARG(error));
}

bool lookup_file_ok(struct ectx *x, struct str file)
{
    if (file.tainted) {
        log_msg(LOG_MAIN | LOG_PANIC, x->msg, "Tainted filename for search: '%.*s'", STR_ARG(file));
    }
    return !file.tainted;
}

bool item_lookup(struct ectx *x, const struct item *it, struct str *out)
{
    const struct lookup_type *t = &it->lookup->type;
    struct str key = STR(""), where, data, wild, fixed, error;
    if (it->args[1] && !expand_arg(x, it->args[1], &key)) {
        return false;
    }
    if (!expand_arg(x, it->args[0], &where)) {
        return false;
    }
    bool single = t->driver->flags & LOOKUP_SINGLE_KEY;
    if (single && !lookup_file_ok(x, where)) {
        return eval_fail(x, "NULL"); /* Exim's log says no more */
    }
    enum lookup_result r = lookup_find(x->conf, x->pool, t, single ? where : STR(""),
                                       single ? key : where, &data, NULL, &wild, &fixed, &error);
    if (r == LK_DEFER || r == LK_ERROR) {
        return not_done(x, r, single ? key : where, error);
    }
    if (r == LK_FOUND && !str_unset(wild)) {
        scope_set_numeric(x, (struct str[]){key, wild, fixed}, str_unset(fixed) ? 2 : 3);
    }
    return eval_yes_no(x, it, r == LK_FOUND, data, data, out);
}
