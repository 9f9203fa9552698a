/*
 * The lookup module: its drivers, options and variables.
 *
 * Drivers of other rooms are found through the configuration's modules as well, so this list is
 * only of those that live here. Settings belong to the configuration.
 */
#include "lookup/internal.h"

#define O(field) offsetof(struct lookup_settings, field)

static const struct option options[] = {
    {"lookup_open_max", OPT_INT, O(lookup_open_max), "25", "how many lookup files are kept open",
     NULL, NULL},
    {0},
};

static const struct lookup_driver *const drivers[] = {
    &lookup_cdb,       &lookup_dnsdb,       &lookup_dsearch,
    &lookup_iplsearch, &lookup_lsearch,     &lookup_nwildlsearch,
    &lookup_passwd,    &lookup_wildlsearch, NULL,
};

static struct str get_dnssec(struct ectx *x, struct str name)
{
    (void)x;
    (void)name;
    return lookup_dnssec_state();
}

static const struct variable variables[] = {
    {"lookup_dnssec_authenticated", get_dnssec,
     "yes or no: DNSSEC vouched for the last dnsdb lookup"},
    {0},
};

const struct lookup_settings *lookup_settings(const struct config *conf)
{
    return conf->settings[ROOM_LOOKUP];
}

void lookup_set_expander(struct config *conf, lookup_expander *expander)
{
    struct lookup_settings *set = conf->settings[ROOM_LOOKUP];
    set->expander = expander;
}

static bool finish(struct config *conf, struct opt_reader *r)
{
    const struct lookup_settings *set = lookup_settings(conf);
    return set->lookup_open_max > 0 || opt_error(r, "lookup_open_max must be greater than 0");
}

const struct module lookup_module = {
    .name = "lookup",
    .room = ROOM_LOOKUP,
    .settings_size = sizeof(struct lookup_settings),
    .options = options,
    .variables = variables,
    .lookups = drivers,
    .finish = finish,
};
