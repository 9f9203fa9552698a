/*
 * Variables of routing that nobody below can know.
 */
#include "route/internal.h"

static struct str get_router_name(struct ectx *x, struct str name)
{
    (void)name;
    return x->router ? x->router->name : STR_NONE;
}

const struct variable route_variables[] = {
    {"router_name", get_router_name, "the router at work"},
    {0},
};
