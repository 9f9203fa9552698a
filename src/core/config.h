/*
 * The configuration: read once, then constant. A reload makes a second one beside it and swaps.
 * Every room has a settings struct of its own, filled from its option rows.
 */
#ifndef CORE_CONFIG_H
#define CORE_CONFIG_H

#include "core/option.h"

/* The rooms that have settings, in rank order. */
enum room {
    ROOM_CORE,
    ROOM_NET,
    ROOM_TLS,
    ROOM_LOOKUP,
    ROOM_EXPAND,
    ROOM_MAIL,
    ROOM_MAILAUTH,
    ROOM_AUTH,
    ROOM_SMTP_OUT,
    ROOM_ROUTE,
    ROOM_TRANSPORT,
    ROOM_QUEUE,
    ROOM_ACL,
    ROOM_SMTP_IN,
    ROOM_MAIN,
    ROOM_COUNT
};

struct acl;
struct router;
struct transport;
struct authenticator;
struct retry_rule;
struct rewrite_rule;
struct module;

struct config {
    struct pool *pool;
    const char *file;
    int lines; /* that the file has; -bh gives it as the place of ACLs outside of it */
    const struct module *const *modules; /* NULL-terminated; main/modules.c */
    void *settings[ROOM_COUNT];
    struct map *named_lists[4]; /* by enum list_kind of expand/: name -> struct named_list * */
    struct map *acls;           /* name -> struct acl * (acl/) */
    struct router *routers;     /* first of the chain */
    struct transport *transports;
    struct authenticator *auths;
    struct retry_rule *retry_rules;
    struct rewrite_rule *rewrite_rules;
    struct str log_path;    /* log_file_path expanded; unset: as written */
    struct map *hidden;     /* names of options and macros marked `hide` */
    struct str initial_cwd; /* the directory that the program was started in */
    bool rewrite_sees_smtp; /* a rule has flag S */
};

/* Settings used by more than one room (main options of core). */
struct core_settings {
    struct str primary_hostname; /* never unset once read */
    struct str qualify_domain, qualify_recipient;
    struct str spool_directory;
    struct etext log_file_path;
    uint64_t log_selectors;
    struct str log_selector_text;
    bool log_timezone, write_rejectlog, syslog_timestamp, syslog_pid, syslog_duplication;
    struct str syslog_facility, syslog_processname;
    struct str timezone;
    struct idopt exim_user, exim_group;
    struct idlist never_users, trusted_users, trusted_groups, admin_groups;
    struct idlist work_groups; /* of exim_user, if the process was started by root */
    struct str exim_path;
    int max_username_length; /* 0: any */
    int localhost_number;    /* -1: unset */
    struct etext localhost_number_text;
    bool disable_ipv6, allow_domain_literals, allow_utf8_domains, strip_trailing_dot;
    bool strip_excess_angle_brackets, print_topbitchars, preserve_message_logs, message_logs;
    struct str keep_environment, add_environment;
    struct str headers_charset;
    struct str hosts_treat_as_local_text;
    struct etext hosts_treat_as_local;
    bool split_spool_directory, deliver_drop_privilege;
    struct str message_id_compat; /* minim: "4.96" gives ids of 6-6-2 characters */
    struct etext pid_file_path;
};

/* The settings of core. */
const struct core_settings *core_settings(const struct config *conf);

struct passwd;

/*
 * The system's user of that name, in static storage of the C library; NULL if there is none, or the
 * name is longer than max_username_length.
 */
const struct passwd *find_user(const struct config *conf, struct pool *pool, struct str name);

#endif
