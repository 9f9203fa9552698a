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
    U("accept_8bitmime"), U("acl_not_smtp"), U("acl_not_smtp_mime"), U("acl_not_smtp_start"),
    U("acl_smtp_auth"), U("acl_smtp_connect"), U("acl_smtp_data"), U("acl_smtp_data_prdr"),
    U("acl_smtp_dkim"), U("acl_smtp_etrn"), U("acl_smtp_expn"), U("acl_smtp_helo"),
    U("acl_smtp_mail"), U("acl_smtp_mailauth"), U("acl_smtp_mime"), U("acl_smtp_notquit"),
    U("acl_smtp_predata"), U("acl_smtp_quit"), U("acl_smtp_rcpt"), U("acl_smtp_starttls"),
    U("acl_smtp_vrfy"), U("add_environment"), U("admin_groups"), U("allow_domain_literals"),
    U("allow_utf8_domains"), U("auth_advertise_hosts"), U("auto_thaw"),
    U("av_scanner"), U("bi_command"), U("bounce_message_file"), U("bounce_message_text"),
    U("bounce_return_body"), U("bounce_return_linesize_limit"), U("bounce_return_message"),
    U("bounce_return_size_limit"), U("bounce_sender_authentication"),
    U("callout_domain_negative_expire"), U("callout_domain_positive_expire"),
    U("callout_negative_expire"), U("callout_positive_expire"), U("callout_random_local_part"),
    U("check_log_inodes"), U("check_log_space"), U("check_rfc2047_length"), U("check_spool_inodes"),
    U("check_spool_space"), U("chunking_advertise_hosts"), U("commandline_checks_require_admin"),
    U("daemon_smtp_port"), U("daemon_smtp_ports"), U("daemon_startup_retries"),
    U("daemon_startup_sleep"), U("debug_store"), U("delay_warning"), U("delay_warning_condition"),
    U("deliver_drop_privilege"), U("deliver_queue_load_max"), U("delivery_date_remove"),
    U("disable_fsync"), U("disable_ipv6"), U("dkim_verify_hashes"), U("dkim_verify_keytypes"),
    U("dkim_verify_min_keysizes"), U("dkim_verify_minimal"), U("dkim_verify_signers"),
    U("dmarc_forensic_sender"), U("dmarc_history_file"), U("dmarc_tld_file"),
    U("dns_csa_search_limit"), U("dns_csa_use_reverse"), U("drop_cr"),
    U("dsn_advertise_hosts"), U("dsn_from"), U("envelope_to_remove"), U("errors_copy"),
    U("errors_reply_to"), U("event_action"), U("exim_group"), U("exim_path"), U("exim_user"),
    U("exim_version"), U("extract_addresses_remove_arguments"),
    U("finduser_retries"), U("freeze_tell"), U("gecos_name"), U("gecos_pattern"),
    U("gnutls_allow_auto_pkcs11"), U("gnutls_compat_mode"), U("header_line_maxsize"),
    U("header_maxsize"), U("headers_charset"), U("helo_accept_junk_hosts"), U("helo_allow_chars"),
    U("helo_lookup_domains"), U("helo_try_verify_hosts"), U("helo_verify_hosts"), U("hold_domains"),
    U("host_lookup"), U("host_reject_connection"),
    U("hosts_connection_nolog"), U("hosts_proxy"), U("hosts_require_alpn"), U("hosts_require_helo"),
    U("hosts_treat_as_local"), U("ibase_servers"), U("ignore_bounce_errors_after"),
    U("ignore_fromline_hosts"), U("ignore_fromline_local"), U("keep_environment"),
    U("keep_malformed"), U("ldap_ca_cert_dir"), U("ldap_ca_cert_file"), U("ldap_cert_file"),
    U("ldap_cert_key"), U("ldap_cipher_suite"), U("ldap_default_servers"), U("ldap_require_cert"),
    U("ldap_start_tls"), U("ldap_version"), U("local_from_check"), U("local_from_prefix"),
    U("local_from_suffix"), U("local_scan_path"), U("local_scan_timeout"),
    U("local_sender_retain"), U("localhost_number"), U("log_file_path"), U("log_selector"),
    U("log_timezone"), U("max_username_length"), U("message_body_newlines"),
    U("message_body_visible"), U("message_id_header_domain"), U("message_id_header_text"),
    U("message_logs"), U("message_size_limit"), U("move_frozen_messages"), U("mua_wrapper"),
    U("mysql_servers"), U("never_users"), U("notifier_socket"), U("openssl_options"),
    U("oracle_servers"), U("panic_coredump"), U("percent_hack_domains"), U("perl_at_start"),
    U("perl_startup"), U("perl_taintmode"), U("pgsql_servers"), U("pid_file_path"),
    U("pipelining_advertise_hosts"), U("pipelining_connect_advertise_hosts"), U("prdr_enable"),
    U("preserve_message_logs"), U("primary_hostname"), U("print_topbitchars"),
    U("process_log_path"), U("prod_requires_admin"), U("proxy_protocol_timeout"),
    U("qualify_domain"), U("qualify_recipient"), U("queue_domains"), U("queue_fast_ramp"),
    U("queue_list_requires_admin"), U("queue_only"), U("queue_only_file"), U("queue_only_load"),
    U("queue_only_load_latch"), U("queue_only_override"), U("queue_run_in_order"),
    U("queue_run_max"), U("queue_smtp_domains"), U("receive_timeout"), U("received_header_text"),
    U("received_headers_max"), U("recipient_unqualified_hosts"), U("recipients_max"),
    U("recipients_max_reject"), U("remote_max_parallel"), U("remote_sort_domains"),
    U("retry_data_expire"), U("retry_interval_max"), U("return_path_remove"),
    U("return_size_limit"), U("rfc1413_hosts"), U("rfc1413_query_timeout"),
    U("sender_unqualified_hosts"), U("smtp_accept_keepalive"),
    U("smtp_accept_max"), U("smtp_accept_max_nonmail"), U("smtp_accept_max_nonmail_hosts"),
    U("smtp_accept_max_per_connection"), U("smtp_accept_max_per_host"), U("smtp_accept_queue"),
    U("smtp_accept_queue_per_connection"), U("smtp_accept_reserve"), U("smtp_active_hostname"),
    U("smtp_backlog_monitor"), U("smtp_banner"), U("smtp_check_spool_space"),
    U("smtp_connect_backlog"), U("smtp_enforce_sync"), U("smtp_etrn_command"),
    U("smtp_etrn_serialize"), U("smtp_load_reserve"), U("smtp_max_synprot_errors"),
    U("smtp_max_unknown_commands"), U("smtp_ratelimit_hosts"), U("smtp_ratelimit_mail"),
    U("smtp_ratelimit_rcpt"), U("smtp_receive_timeout"), U("smtp_reserve_hosts"),
    U("smtp_return_error_details"), U("smtputf8_advertise_hosts"), U("spamd_address"),
    U("spf_guess"), U("spf_smtp_comment_template"), U("split_spool_directory"),
    U("spool_directory"), U("spool_wireformat"), U("sqlite_dbfile"), U("sqlite_lock_timeout"),
    U("strict_acl_vars"), U("strip_excess_angle_brackets"), U("strip_trailing_dot"),
    U("syslog_duplication"), U("syslog_facility"), U("syslog_pid"), U("syslog_processname"),
    U("syslog_timestamp"), U("system_filter"), U("system_filter_directory_transport"),
    U("system_filter_file_transport"), U("system_filter_group"), U("system_filter_pipe_transport"),
    U("system_filter_reply_transport"), U("system_filter_user"), U("tcp_nodelay"),
    U("timeout_frozen_after"), U("timezone"), U("tls_advertise_hosts"), U("tls_alpn"),
    U("tls_certificate"), U("tls_crl"), U("tls_dh_max_bits"), U("tls_dhparam"), U("tls_eccurve"),
    U("tls_ocsp_file"), U("tls_on_connect_ports"), U("tls_privatekey"), U("tls_remember_esmtp"),
    U("tls_require_ciphers"), U("tls_resumption_hosts"), U("tls_try_verify_hosts"),
    U("tls_verify_certificates"), U("tls_verify_hosts"), U("trusted_groups"), U("trusted_users"),
    U("unknown_login"), U("unknown_username"), U("untrusted_set_sender"), U("uucp_from_pattern"),
    U("uucp_from_sender"), U("warn_message_file"), U("write_rejectlog"),
    {0},
};

static const struct option router_rows[] = {
    U("address_data"), U("address_test"), U("cannot_route_message"), U("caseful_local_part"),
    U("check_local_user"), U("condition"), U("debug_print"), U("disable_logging"),
    U("dnssec_request_domains"), U("dnssec_require_domains"), U("domains"), U("dsn_lasthop"),
    U("errors_to"), U("expn"), U("fail_verify"), U("fail_verify_recipient"),
    U("fail_verify_sender"), U("fallback_hosts"), U("group"), U("headers_add"), U("headers_remove"),
    U("ignore_target_hosts"), U("initgroups"), U("local_part_prefix"),
    U("local_part_prefix_optional"), U("local_part_suffix"), U("local_part_suffix_optional"),
    U("local_parts"), U("log_as_local"), U("more"), U("pass_on_timeout"), U("pass_router"),
    U("redirect_router"), U("require_files"), U("retry_use_local_part"), U("router_home_directory"),
    U("self"), U("senders"), U("set"), U("translate_ip_address"), U("transport"),
    U("transport_current_directory"), U("transport_home_directory"), U("unseen"), U("user"),
    U("verify"), U("verify_only"), U("verify_recipient"), U("verify_sender"),
    {0},
};

static const struct option router_dnslookup_rows[] = {
    U("check_secondary_mx"), U("check_srv"), U("fail_defer_domains"), U("ipv4_only"),
    U("ipv4_prefer"), U("mx_domains"), U("mx_fail_domains"), U("qualify_single"),
    U("rewrite_headers"), U("same_domain_copy_routing"), U("search_parents"), U("srv_fail_domains"),
    U("widen_domains"),
    {0},
};

static const struct option router_manualroute_rows[] = {
    U("host_all_ignored"), U("host_find_failed"), U("hosts_randomize"), U("route_data"),
    U("route_list"), U("same_domain_copy_routing"),
    {0},
};

static const struct option router_redirect_rows[] = {
    U("allow_defer"), U("allow_fail"), U("allow_filter"), U("allow_freeze"), U("check_ancestor"),
    U("check_group"), U("check_owner"), U("data"), U("directory_transport"), U("file"),
    U("file_transport"), U("filter_prepend_home"), U("forbid_blackhole"), U("forbid_exim_filter"),
    U("forbid_file"), U("forbid_filter_dlfunc"), U("forbid_filter_existstest"),
    U("forbid_filter_logwrite"), U("forbid_filter_lookup"), U("forbid_filter_perl"),
    U("forbid_filter_readfile"), U("forbid_filter_readsocket"), U("forbid_filter_reply"),
    U("forbid_filter_run"), U("forbid_include"), U("forbid_pipe"), U("forbid_sieve_filter"),
    U("forbid_smtp_code"), U("hide_child_in_errmsg"), U("ignore_eacces"), U("ignore_enotdir"),
    U("include_directory"), U("modemask"), U("one_time"), U("owners"), U("owngroups"),
    U("pipe_transport"), U("qualify_domain"), U("qualify_preserve_domain"), U("repeat_use"),
    U("reply_transport"), U("rewrite"), U("sieve_enotify_mailto_owner"), U("sieve_subaddress"),
    U("sieve_useraddress"), U("sieve_vacation_directory"), U("skip_syntax_errors"),
    U("syntax_errors_text"), U("syntax_errors_to"),
    {0},
};

static const struct option router_iplookup_rows[] = {
    U("hosts"), U("optional"), U("port"), U("protocol"), U("query"), U("reroute"),
    U("response_pattern"), U("timeout"),
    {0},
};

static const struct option router_queryprogram_rows[] = {
    U("command"), U("command_group"), U("command_user"), U("current_directory"), U("timeout"),
    {0},
};

static const struct option transport_rows[] = {
    U("body_only"), U("current_directory"), U("debug_print"), U("delivery_date_add"),
    U("disable_logging"), U("envelope_to_add"), U("event_action"), U("group"), U("headers_add"),
    U("headers_only"), U("headers_remove"), U("headers_rewrite"), U("home_directory"),
    U("initgroups"), U("max_parallel"), U("message_size_limit"), U("rcpt_include_affixes"),
    U("retry_use_local_part"), U("return_path"), U("return_path_add"), U("shadow_condition"),
    U("shadow_transport"), U("transport_filter"), U("transport_filter_timeout"), U("user"),
    {0},
};

static const struct option transport_appendfile_rows[] = {
    U("allow_fifo"), U("allow_symlink"), U("batch_id"), U("batch_max"), U("check_group"),
    U("check_owner"), U("check_string"), U("create_directory"), U("create_file"), U("directory"),
    U("directory_file"), U("directory_mode"), U("escape_string"), U("file"), U("file_format"),
    U("file_must_exist"), U("lock_fcntl_timeout"), U("lock_flock_timeout"), U("lock_interval"),
    U("lock_retries"), U("lockfile_mode"), U("lockfile_timeout"), U("mailbox_filecount"),
    U("mailbox_size"), U("maildir_format"), U("maildir_quota_directory_regex"),
    U("maildir_retries"), U("maildir_tag"), U("maildir_use_size_file"),
    U("maildirfolder_create_regex"), U("mailstore_format"), U("mailstore_prefix"),
    U("mailstore_suffix"), U("mbx_format"), U("message_prefix"), U("message_suffix"), U("mode"),
    U("mode_fail_narrower"), U("notify_comsat"), U("quota"), U("quota_directory"),
    U("quota_filecount"), U("quota_is_inclusive"), U("quota_size_regex"), U("quota_warn_message"),
    U("quota_warn_threshold"), U("use_bsmtp"), U("use_crlf"), U("use_fcntl_lock"),
    U("use_flock_lock"), U("use_lockfile"), U("use_mbx_lock"),
    {0},
};

static const struct option transport_autoreply_rows[] = {
    U("bcc"), U("cc"), U("file"), U("file_expand"), U("file_optional"), U("from"), U("headers"),
    U("log"), U("mode"), U("never_mail"), U("once"), U("once_file_size"), U("once_repeat"),
    U("reply_to"), U("return_message"), U("subject"), U("text"), U("to"),
    {0},
};

static const struct option transport_lmtp_rows[] = {
    U("batch_id"), U("batch_max"), U("command"), U("ignore_quota"), U("socket"), U("timeout"),
    {0},
};

static const struct option transport_pipe_rows[] = {
    U("allow_commands"), U("batch_id"), U("batch_max"), U("check_string"), U("command"),
    U("environment"), U("escape_string"), U("force_command"), U("freeze_exec_fail"),
    U("freeze_signal"), U("ignore_status"), U("log_defer_output"), U("log_fail_output"),
    U("log_output"), U("max_output"), U("message_prefix"), U("message_suffix"), U("path"),
    U("permit_coredump"), U("pipe_as_creator"), U("restrict_to_path"), U("return_fail_output"),
    U("return_output"), U("temp_errors"), U("timeout"), U("timeout_defer"), U("umask"),
    U("use_bsmtp"), U("use_classresources"), U("use_crlf"), U("use_shell"),
    {0},
};

static const struct option transport_smtp_rows[] = {
    U("address_retry_include_sender"), U("allow_localhost"), U("authenticated_sender"),
    U("authenticated_sender_force"), U("command_timeout"), U("connect_timeout"),
    U("connection_max_messages"), U("dane_require_tls_ciphers"), U("data_timeout"),
    U("delay_after_cutoff"), U("dkim_canon"), U("dkim_domain"), U("dkim_hash"), U("dkim_identity"),
    U("dkim_private_key"), U("dkim_selector"), U("dkim_sign_headers"), U("dkim_strict"),
    U("dkim_timestamps"), U("dns_qualify_single"), U("dns_search_parents"),
    U("dnssec_request_domains"), U("dnssec_require_domains"), U("dscp"), U("fallback_hosts"),
    U("final_timeout"), U("gethostbyname"), U("gnutls_compat_mode"), U("helo_data"),
    U("host_name_extract"), U("hosts"), U("hosts_avoid_esmtp"), U("hosts_avoid_pipelining"),
    U("hosts_avoid_tls"), U("hosts_max_try"), U("hosts_max_try_hardlimit"), U("hosts_nopass_tls"),
    U("hosts_noproxy_tls"), U("hosts_override"), U("hosts_pipe_connect"), U("hosts_randomize"),
    U("hosts_request_ocsp"), U("hosts_require_alpn"), U("hosts_require_auth"),
    U("hosts_require_dane"), U("hosts_require_ocsp"), U("hosts_require_tls"), U("hosts_try_auth"),
    U("hosts_try_chunking"), U("hosts_try_dane"), U("hosts_try_fastopen"), U("hosts_try_prdr"),
    U("hosts_verify_avoid_tls"), U("interface"), U("keepalive"), U("lmtp_ignore_quota"),
    U("max_rcpt"), U("message_linelength_limit"), U("multi_domain"), U("port"), U("protocol"),
    U("retry_include_ip_address"), U("serialize_hosts"), U("size_addition"), U("socks_proxy"),
    U("tls_alpn"), U("tls_certificate"), U("tls_crl"), U("tls_dh_min_bits"), U("tls_privatekey"),
    U("tls_require_ciphers"), U("tls_resumption_hosts"), U("tls_sni"), U("tls_tempfail_tryclear"),
    U("tls_try_verify_hosts"), U("tls_verify_cert_hostnames"), U("tls_verify_certificates"),
    U("tls_verify_hosts"), U("utf8_downconvert"),
    {0},
};

/* clang-format on */

static const struct {
    const char *name;
    const struct option *rows;
} tables[] = {
    {"main", main_rows},
    {"router", router_rows},
    {"router/dnslookup", router_dnslookup_rows},
    {"router/manualroute", router_manualroute_rows},
    {"router/redirect", router_redirect_rows},
    {"router/iplookup", router_iplookup_rows},
    {"router/queryprogram", router_queryprogram_rows},
    {"transport", transport_rows},
    {"transport/appendfile", transport_appendfile_rows},
    {"transport/autoreply", transport_autoreply_rows},
    {"transport/lmtp", transport_lmtp_rows},
    {"transport/pipe", transport_pipe_rows},
    {"transport/smtp", transport_smtp_rows},
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
    {"dsn_advertise_hosts", ""},
    {"hosts_try_dane", ""},
    {"hosts_try_prdr", ""},
    {"hosts_proxy", ""},
    {"pipelining_connect_advertise_hosts", ""},
    {"prdr_enable", "false"},
    {"smtputf8_advertise_hosts", ""},
    {"tls_advertise_hosts", ""},
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
            " cram_md5 cyrus_sasl dovecot external gsasl heimdal_gssapi plaintext "
            "spa tls ",
    };
    struct str list = str_c(drivers[kind]), word;
    while (str_next(&list, ' ', &word)) {
        if (!str_empty(word) && str_eq(word, name)) {
            return true;
        }
    }
    return false;
}
