/* The one list of rooms, and the options of this one. */
#include "auth/auth.h"
#include "main/internal.h"
#include "tls/tls.h"

#define O(field) offsetof(struct main_settings, field)

static const struct option options[] = {
    {"bi_command", OPT_STRING, O(bi_command), NULL, "command that -bi runs", NULL, NULL},
    {"commandline_checks_require_admin", OPT_BOOL, O(commandline_checks_require_admin), "false",
     "only admin users may use -be, -bt, -bv and the like", NULL, NULL},
    {"daemon_smtp_port", OPT_ALIAS, 0, "daemon_smtp_ports", NULL, NULL, NULL},
    {"daemon_smtp_ports", OPT_STRING, O(daemon_smtp_ports), "smtp",
     "ports, by number or name, that the daemon listens on", NULL, NULL},
    {"daemon_startup_retries", OPT_INT, O(daemon_startup_retries), "9",
     "how often a port that is in use is tried again", NULL, NULL},
    {"daemon_startup_sleep", OPT_TIME, O(daemon_startup_sleep), "30s",
     "pause between these attempts", NULL, NULL},
    {"prod_requires_admin", OPT_BOOL, O(prod_requires_admin), "true",
     "only admin users may force deliveries", NULL, NULL},
    {"queue_list_requires_admin", OPT_BOOL, O(queue_list_requires_admin), "true",
     "only admin users may list the queue", NULL, NULL},
    {0},
};

const struct main_settings *main_settings(const struct config *conf)
{
    return conf->settings[ROOM_MAIN];
}

const struct module main_module = {
    .name = "main",
    .room = ROOM_MAIN,
    .settings_size = sizeof(struct main_settings),
    .options = options,
};

const struct module *const modules[] = {
    &core_module,  &net_module,  &tls_module,      &lookup_module, &expand_module,
    &mail_module,  &auth_module, &smtp_out_module, &route_module,  &transport_module,
    &queue_module, &acl_module,  &smtp_in_module,  &main_module,   NULL,
};
