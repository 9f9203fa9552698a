/*
 * Options and drivers that Exim has and this program does not have yet, by section, so that a
 * configuration that uses one gets an error that says so rather than "unknown". Whoever writes the
 * feature takes the row away here; a unit test says when one was forgotten.
 */
#include "main/internal.h"

#define U(name) \
    { \
        name, OPT_UNSUPPORTED, 0, NULL, NULL, NULL, NULL \
    }

/* clang-format off */
static const struct option main_rows[] = {
    U("acl_not_smtp_mime"), U("acl_smtp_auth"), U("acl_smtp_dkim"),
    U("acl_smtp_mime"), U("auth_advertise_hosts"), U("av_scanner"),
    U("debug_store"), U("disable_fsync"),
    U("dkim_verify_hashes"), U("dkim_verify_keytypes"), U("dkim_verify_min_keysizes"),
    U("dkim_verify_minimal"), U("dkim_verify_signers"), U("dmarc_forensic_sender"),
    U("dmarc_history_file"), U("dmarc_tld_file"), U("dns_csa_search_limit"),
    U("dns_csa_use_reverse"), U("drop_cr"), U("event_action"), U("exim_version"),
    U("finduser_retries"), U("hosts_proxy"),
    U("ibase_servers"), U("keep_malformed"), U("ldap_ca_cert_dir"),
    U("ldap_ca_cert_file"), U("ldap_cert_file"), U("ldap_cert_key"), U("ldap_cipher_suite"),
    U("ldap_default_servers"), U("ldap_require_cert"), U("ldap_start_tls"), U("ldap_version"),
    U("local_scan_path"), U("local_scan_timeout"), U("move_frozen_messages"), U("mua_wrapper"),
    U("mysql_servers"), U("notifier_socket"), U("oracle_servers"),
    U("panic_coredump"), U("perl_at_start"), U("perl_startup"), U("perl_taintmode"),
    U("pgsql_servers"), U("process_log_path"), U("proxy_protocol_timeout"), U("queue_fast_ramp"),
    U("return_size_limit"), U("smtp_backlog_monitor"), U("spamd_address"), U("spf_guess"),
    U("spf_smtp_comment_template"), U("spool_wireformat"), U("sqlite_dbfile"),
    U("sqlite_lock_timeout"), U("system_filter"), U("system_filter_directory_transport"),
    U("system_filter_file_transport"), U("system_filter_group"), U("system_filter_pipe_transport"),
    U("system_filter_reply_transport"), U("system_filter_user"),
    {0},
};

static const struct option router_rows[] = {
    U("translate_ip_address"),
    {0},
};

static const struct option router_redirect_rows[] = {
    U("filter_prepend_home"), U("sieve_enotify_mailto_owner"), U("sieve_subaddress"),
    U("sieve_useraddress"), U("sieve_vacation_directory"),
    {0},
};

static const struct option router_iplookup_rows[] = {
    U("hosts"), U("optional"), U("port"), U("protocol"), U("query"), U("reroute"),
    U("response_pattern"), U("timeout"),
    {0},
};

static const struct option transport_rows[] = {
    U("event_action"), U("max_parallel"),
    {0},
};

static const struct option transport_appendfile_rows[] = {
    U("file_format"), U("mbx_format"), U("notify_comsat"), U("use_mbx_lock"),
    {0},
};

static const struct option transport_pipe_rows[] = {
    U("use_classresources"),
    {0},
};

static const struct option authenticator_rows[] = {
    U("client_condition"), U("client_set_id"), U("public_name"), U("server_advertise_condition"),
    {0},
};

/* clang-format on */

static const struct {
    const char *name;
    const struct option *rows;
} tables[] = {
    {"main", main_rows},
    {"router", router_rows},
    {"router/redirect", router_redirect_rows},
    {"router/iplookup", router_iplookup_rows},
    {"transport", transport_rows},
    {"transport/appendfile", transport_appendfile_rows},
    {"transport/pipe", transport_pipe_rows},
    {"authenticator", authenticator_rows},
};

const struct option *unsupported_options(struct str table)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (str_is(table, tables[i].name)) {
            return tables[i].rows;
        }
    }
    return NULL;
}

void unsupported_each(void (*f)(void *closure, const char *table, const struct option *rows),
                      void *closure)
{
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        f(closure, tables[i].name, tables[i].rows);
    }
}

/* Values that switch a feature off: what this program does without it. */
static const struct {
    const char *option, *value;
} harmless[] = {
    {"dsn_advertise_hosts", ""},  {"hosts_try_prdr", ""},
    {"hosts_proxy", ""},          {"pipelining_connect_advertise_hosts", ""},
    {"smtputf8_advertise_hosts", ""},
    {"auth_advertise_hosts", ""},
};

bool unsupported_harmless(const struct option *row, const struct setting *s)
{
    for (size_t i = 0; i < ARRAY_LEN(harmless); i++) {
        if (strcmp(row->name, harmless[i].option) != 0) {
            continue;
        }
        if (*harmless[i].value) {
            return s->negated || str_isi(s->value, harmless[i].value) || str_isi(s->value, "no");
        }
        return str_empty(s->value) && !str_unset(s->value);
    }
    return false;
}

bool unsupported_driver(enum instance_kind kind, struct str name)
{
    static const char *const drivers[INSTANCE_KINDS] = {
        [INSTANCE_ROUTER] =
            " accept dnslookup ipliteral iplookup manualroute queryprogram redirect ",
        [INSTANCE_TRANSPORT] = " appendfile autoreply lmtp pipe queuefile smtp ",
        [INSTANCE_AUTHENTICATOR] =
            " cram_md5 cyrus_sasl dovecot external gsasl heimdal_gssapi plaintext spa tls ",
    };
    struct str list = str_c(drivers[kind]), word;
    while (str_next(&list, ' ', &word)) {
        if (!str_empty(word) && str_eq(word, name)) {
            return true;
        }
    }
    return false;
}
