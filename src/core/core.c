/*
 * The core module: main options that several rooms use, and what is derived from them once the
 * configuration is read (names that default to one another). The settings belong to the
 * configuration and are constant afterwards.
 */
#include "core/core.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <unistd.h>

#define O(field) offsetof(struct core_settings, field)

static struct str print_selectors(struct pool *pool, const void *base)
{
    (void)pool;
    return ((const struct core_settings *)base)->log_selector_text;
}

static const struct option options[] = {
    {"add_environment", OPT_STRING, O(add_environment), NULL,
     "settings added to the environment of children", NULL, NULL},
    {"admin_groups", OPT_GROUPS, O(admin_groups), NULL, "members are admin users", NULL, NULL},
    {"allow_domain_literals", OPT_BOOL, O(allow_domain_literals), "false",
     "addresses may be user@[1.2.3.4]", NULL, NULL},
    {"allow_utf8_domains", OPT_BOOL, O(allow_utf8_domains), "false",
     "UTF-8 in domains is let through to DNS", NULL, NULL},
    {"deliver_drop_privilege", OPT_BOOL, O(deliver_drop_privilege), "false",
     "deliveries run as exim_user, never as the recipient", NULL, NULL},
    {"disable_ipv6", OPT_BOOL, O(disable_ipv6), "false", "neither ask for nor use IPv6", NULL,
     NULL},
    {"exim_group", OPT_GROUP, O(exim_group), NULL, "group that workers run as", NULL, NULL},
    {"exim_path", OPT_STRING, O(exim_path), NULL,
     "the program's own path, for configurations that use it", NULL, NULL},
    {"exim_user", OPT_USER, O(exim_user), NULL, "user that workers run as when started by root",
     NULL, NULL},
    {"headers_charset", OPT_STRING, O(headers_charset), "UTF-8",
     "character set that decoded headers are given in", NULL, NULL},
    {"hosts_treat_as_local", OPT_DOMAINS, O(hosts_treat_as_local), NULL,
     "host names that count as this host", NULL, NULL},
    {"keep_environment", OPT_STRING, O(keep_environment), NULL,
     "environment variables that are kept", NULL, NULL},
    {"localhost_number", OPT_EXPAND, O(localhost_number_text), NULL,
     "number of this host among hosts that share a name, part of message ids", NULL, NULL},
    {"log_file_path", OPT_EXPAND, O(log_file_path), NULL,
     "log files (with %s for main, reject, panic), or syslog", NULL, NULL},
    {"log_selector", OPT_CUSTOM, O(log_selectors), NULL, "what is logged: +name and -name",
     log_parse_selectors, print_selectors},
    {"log_timezone", OPT_BOOL, O(log_timezone), "false", "log lines carry the zone's offset", NULL,
     NULL},
    {"message_id_compat", OPT_STRING, O(message_id_compat), NULL,
     "4.96: message ids of 16 characters, which older log tools need", NULL, NULL},
    {"message_logs", OPT_BOOL, O(message_logs), "true",
     "each message that stays has a log of its own", NULL, NULL},
    {"never_users", OPT_USERS, O(never_users), NULL, "users that no delivery may run as", NULL,
     NULL},
    {"pid_file_path", OPT_EXPAND, O(pid_file_path), NULL, "where the daemon writes its process id",
     NULL, NULL},
    {"max_username_length", OPT_INT, O(max_username_length), "0",
     "longer login names are taken for unknown; 0: any length", NULL, NULL},
    {"preserve_message_logs", OPT_BOOL, O(preserve_message_logs), "false",
     "message logs of finished messages are kept in msglog.OLD", NULL, NULL},
    {"primary_hostname", OPT_STRING, O(primary_hostname), NULL, "name of this host", NULL, NULL},
    {"print_topbitchars", OPT_BOOL, O(print_topbitchars), "false",
     "bytes above 127 are not escaped in logs", NULL, NULL},
    {"qualify_domain", OPT_STRING, O(qualify_domain), NULL, "domain added to senders without one",
     NULL, NULL},
    {"qualify_recipient", OPT_STRING, O(qualify_recipient), NULL,
     "domain added to recipients without one", NULL, NULL},
    {"split_spool_directory", OPT_BOOL, O(split_spool_directory), "false",
     "accepted: the spool is always spread over directories", NULL, NULL},
    {"spool_directory", OPT_STRING, O(spool_directory), "/var/spool/minim",
     "where messages, hints and logs live", NULL, NULL},
    {"strip_excess_angle_brackets", OPT_BOOL, O(strip_excess_angle_brackets), "false",
     "<<address>> is taken as <address>", NULL, NULL},
    {"strip_trailing_dot", OPT_BOOL, O(strip_trailing_dot), "false",
     "a dot at the end of a domain is ignored", NULL, NULL},
    {"syslog_duplication", OPT_BOOL, O(syslog_duplication), "true",
     "reject and panic lines go to syslog as well as to the main log", NULL, NULL},
    {"syslog_facility", OPT_STRING, O(syslog_facility), NULL, "syslog facility", NULL, NULL},
    {"syslog_pid", OPT_BOOL, O(syslog_pid), "true", "syslog lines carry the process id", NULL,
     NULL},
    {"syslog_processname", OPT_STRING, O(syslog_processname), "exim", "name in syslog lines", NULL,
     NULL},
    {"syslog_timestamp", OPT_BOOL, O(syslog_timestamp), "true", "syslog lines carry the time", NULL,
     NULL},
    {"timezone", OPT_STRING, O(timezone), NULL, "TZ for log times and dates", NULL, NULL},
    {"trusted_groups", OPT_GROUPS, O(trusted_groups), NULL, "members may set senders and more",
     NULL, NULL},
    {"trusted_users", OPT_USERS, O(trusted_users), NULL, "users that may set senders and more",
     NULL, NULL},
    {"write_rejectlog", OPT_BOOL, O(write_rejectlog), "true",
     "rejections are also written to the reject log", NULL, NULL},
    {0},
};

/* The host's name: gethostname(), made canonical by the resolver if it has no dot. */
static struct str host_name(struct pool *pool)
{
    char name[256];
    if (gethostname(name, sizeof name) < 0) {
        return STR("localhost");
    }
    name[sizeof name - 1] = '\0';
    struct str s = str_dup(pool, str_c(name));
    if (str_chr(s, '.') >= 0) {
        return s;
    }
    struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *found;
    if (getaddrinfo(name, NULL, &hints, &found) == 0) {
        if (found->ai_canonname && strchr(found->ai_canonname, '.')) {
            s = str_dup(pool, str_c(found->ai_canonname));
        }
        freeaddrinfo(found);
    }
    return s;
}

/*
 * Started by root without exim_user: the first of these users that exists. Nothing works as root
 * because a configuration says nothing.
 */
static bool default_user(struct core_settings *s, struct opt_reader *r)
{
    static const char *const names[] = {"minim", "Debian-exim", "exim", "mail"};
    if (s->exim_user.set || !priv_was_root()) {
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const struct passwd *p = getpwnam(names[i]);
        if (p) {
            s->exim_user = (struct idopt){.set = true, .id = p->pw_uid};
            return true;
        }
    }
    return opt_error(r, "exim_user must be set: there is no user minim");
}

/* The groups of exim_user, so that workers need not look them up. */
static void work_groups(struct core_settings *s, struct pool *pool)
{
    const struct passwd *p = s->exim_user.set ? getpwuid(s->exim_user.id) : NULL;
    if (p && !s->exim_group.set) {
        s->exim_group = (struct idopt){.set = true, .id = p->pw_gid};
    }
    gid_t groups[256];
    int n = (int)ARRAY_LEN(groups);
    if (!p || !priv_was_root() || getgrouplist(p->pw_name, s->exim_group.id, groups, &n) < 0) {
        return;
    }
    s->work_groups.ids = pool_calloc(pool, (size_t)n, sizeof *s->work_groups.ids);
    for (int i = 0; i < n; i++) {
        s->work_groups.ids[s->work_groups.n++] = groups[i];
    }
}

static bool finish(struct config *conf, struct opt_reader *r)
{
    struct core_settings *s = conf->settings[ROOM_CORE];
    if (!default_user(s, r)) {
        return false;
    }
    work_groups(s, conf->pool);
    if (str_unset(s->primary_hostname)) {
        s->primary_hostname = host_name(conf->pool);
    }
    if (str_unset(s->qualify_domain)) {
        s->qualify_domain = s->primary_hostname;
    }
    if (str_unset(s->qualify_recipient)) {
        s->qualify_recipient = s->qualify_domain;
    }
    if (str_empty(s->spool_directory) || s->spool_directory.p[0] != '/') {
        return opt_error(r, "spool_directory must be an absolute path");
    }
    if (!str_empty(s->syslog_facility) && log_facility(s->syslog_facility) < 0) {
        return opt_error(r, "failed to interpret syslog_facility \"%.*s\"",
                         STR_ARG(s->syslog_facility));
    }
    if (!str_unset(s->message_id_compat) && !str_empty(s->message_id_compat) &&
        !str_is(s->message_id_compat, "4.96")) {
        return opt_error(r, "message_id_compat must be 4.96 or unset");
    }
    return true;
}

const struct passwd *find_user(const struct config *conf, struct pool *pool, struct str name)
{
    int max = core_settings(conf)->max_username_length;
    if (str_empty(name) || (max > 0 && name.len > (uint32_t)max)) {
        return NULL;
    }
    return getpwnam(str_cstr(pool, name));
}

const struct core_settings *core_settings(const struct config *conf)
{
    return conf->settings[ROOM_CORE];
}

const struct module core_module = {
    .name = "core",
    .room = ROOM_CORE,
    .settings_size = sizeof(struct core_settings),
    .options = options,
    .finish = finish,
};

struct str log_directory(const struct config *conf, struct pool *pool)
{
    const struct core_settings *s = core_settings(conf);
    struct str rest = str_unset(conf->log_path) ? s->log_file_path.text : conf->log_path, item;
    struct str usual = STR_CAT(pool, s->spool_directory, STR("/log"));
    if (str_empty(str_trim(rest))) {
        return usual;
    }
    while (str_next(&rest, ':', &item)) {
        item = str_trim(item);
        ptrdiff_t slash = str_rchr(item, '/');
        if (!str_is(item, "syslog")) {
            return slash > 0 ? str_sub(item, 0, (size_t)slash) : usual;
        }
    }
    return STR_NONE;
}
