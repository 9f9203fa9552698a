/*
 * The accept router: takes every address that its preconditions let through.
 */
#include "route/internal.h"

static enum route_result route(struct route_job *job, const struct router *r, struct address *a)
{
    return route_accept(job, r, a, NULL);
}

static const struct option options[] = {{0}};

const struct router_driver accept_router = {
    .name = "accept",
    .options = options,
    .route = route,
    .wants_transport = true,
    .log_as_local = true,
};
