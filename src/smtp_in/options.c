/*
 * The main options of the room, its settings, and the module that hands its tables to the program.
 *
 * Options of features that minim does not have yet stand here only where a configuration may turn
 * them off by an empty list: then there is nothing to report.
 */
#include "smtp_in/internal.h"

#define O(field) offsetof(struct smtp_in_settings, field)

#define RECEIVED \
    "Received: ${if def:sender_rcvhost {from $sender_rcvhost\\n\\t}" \
    "{${if def:sender_ident {from ${quote_local_part:$sender_ident} }}" \
    "${if def:sender_helo_name {(helo=$sender_helo_name)\\n\\t}}}}" \
    "by $primary_hostname ${if def:received_protocol {with $received_protocol }}" \
    "${if def:tls_in_ver { ($tls_in_ver)}}${if def:tls_in_cipher_std { tls $tls_in_cipher_std\\n\\t}}" \
    "(minim $version_number)\\n\\t" \
    "${if def:sender_address {(envelope-from <$sender_address>)\\n\\t}}" \
    "id $message_exim_id${if def:received_for {\\n\\tfor $received_for}}"
#define BANNER "$smtp_active_hostname ESMTP minim $version_number $tod_full"
#define UUCP \
    "^From\\s+(\\S+)\\s+(?:[a-zA-Z]{3},?\\s+)?" \
    "(?:[a-zA-Z]{3}\\s+\\d?\\d|\\d?\\d\\s+[a-zA-Z]{3}\\s+\\d\\d(?:\\d\\d)?)\\s+\\d\\d?:\\d\\d?"

/* A feature that is not there: only switching it off is understood. */
static bool off_only(struct opt_reader *r, void *base, struct str value)
{
    (void)base;
    if (str_empty(value) || str_isi(value, "false") || str_isi(value, "no")) {
        return true;
    }
    return opt_error(
        r,
        "option \"%s\" is not supported by this version of minim, except to turn the feature off",
        r->option);
}

static struct str print_off(struct pool *pool, const void *base)
{
    (void)pool;
    (void)base;
    return STR("");
}

const struct option smtp_in_options[] = {
    {"accept_8bitmime", OPT_BOOL, O(accept_8bitmime), "true",
     "BODY=8BITMIME is offered and accepted", NULL, NULL},
    {"acl_not_smtp", OPT_EXPAND, O(acl_not_smtp), NULL, "ACL for messages that do not come by SMTP",
     NULL, NULL},
    {"acl_not_smtp_start", OPT_EXPAND, O(acl_not_smtp_start), NULL,
     "ACL before such a message is read", NULL, NULL},
    {"acl_smtp_connect", OPT_EXPAND, O(acl_smtp_connect), NULL, "ACL at the start of a connection",
     NULL, NULL},
    {"acl_smtp_data", OPT_EXPAND, O(acl_smtp_data), NULL, "ACL once a message was read", NULL,
     NULL},
    {"acl_smtp_data_prdr", OPT_EXPAND, O(acl_smtp_data_prdr), NULL,
     "ACL for each recipient once a message was read (PRDR)", NULL, NULL},
    {"acl_smtp_etrn", OPT_EXPAND, O(acl_smtp_etrn), NULL, "ACL for ETRN", NULL, NULL},
    {"acl_smtp_expn", OPT_EXPAND, O(acl_smtp_expn), NULL, "ACL for EXPN", NULL, NULL},
    {"acl_smtp_helo", OPT_EXPAND, O(acl_smtp_helo), NULL, "ACL for HELO and EHLO", NULL, NULL},
    {"acl_smtp_mail", OPT_EXPAND, O(acl_smtp_mail), NULL, "ACL for MAIL", NULL, NULL},
    {"acl_smtp_mailauth", OPT_EXPAND, O(acl_smtp_mailauth), NULL,
     "ACL for the AUTH parameter of MAIL", NULL, NULL},
    {"acl_smtp_notquit", OPT_EXPAND, O(acl_smtp_notquit), NULL,
     "ACL for connections that end without QUIT", NULL, NULL},
    {"acl_smtp_predata", OPT_EXPAND, O(acl_smtp_predata), NULL, "ACL for DATA, before the message",
     NULL, NULL},
    {"acl_smtp_quit", OPT_EXPAND, O(acl_smtp_quit), NULL, "ACL for QUIT", NULL, NULL},
    {"acl_smtp_rcpt", OPT_EXPAND, O(acl_smtp_rcpt), NULL, "ACL for RCPT", NULL, NULL},
    {"acl_smtp_starttls", OPT_EXPAND, O(acl_smtp_starttls), NULL, "ACL for STARTTLS", NULL, NULL},
    {"acl_smtp_vrfy", OPT_EXPAND, O(acl_smtp_vrfy), NULL, "ACL for VRFY", NULL, NULL},
    {"chunking_advertise_hosts", OPT_HOSTS, O(chunking_advertise_hosts), "*",
     "hosts that are offered CHUNKING", NULL, NULL},
    {"delivery_date_remove", OPT_BOOL, O(delivery_date_remove), "true",
     "Delivery-date: lines are taken out of incoming messages", NULL, NULL},
    {"dsn_advertise_hosts", OPT_HOSTS, O(dsn_advertise_hosts), NULL, "hosts that are offered DSN",
     NULL, NULL},
    {"envelope_to_remove", OPT_BOOL, O(envelope_to_remove), "true",
     "Envelope-to: lines are taken out of incoming messages", NULL, NULL},
    {"extract_addresses_remove_arguments", OPT_BOOL, O(extract_addresses_remove_arguments), "true",
     "with -t, addresses on the command line are not recipients", NULL, NULL},
    {"gecos_name", OPT_EXPAND, O(gecos_name), NULL,
     "the name of a local caller, from what gecos_pattern matched", NULL, NULL},
    {"gecos_pattern", OPT_STRING, O(gecos_pattern), NULL,
     "regular expression over the password file's name field", NULL, NULL},
    {"header_line_maxsize", OPT_INT, O(header_line_maxsize), "0",
     "bytes a header line may have; 0: any", NULL, NULL},
    {"header_maxsize", OPT_INT, O(header_maxsize), "1M", "bytes a header section may have", NULL,
     NULL},
    {"helo_accept_junk_hosts", OPT_HOSTS, O(helo_accept_junk_hosts), NULL,
     "hosts whose HELO name may be anything", NULL, NULL},
    {"helo_allow_chars", OPT_STRING, O(helo_allow_chars), NULL,
     "more characters allowed in HELO names", NULL, NULL},
    {"helo_lookup_domains", OPT_DOMAINS, O(helo_lookup_domains), "@ : @[]",
     "HELO names that make the client's name be looked up", NULL, NULL},
    {"helo_try_verify_hosts", OPT_HOSTS, O(helo_try_verify_hosts), NULL,
     "hosts whose HELO name is verified, without consequence", NULL, NULL},
    {"helo_verify_hosts", OPT_HOSTS, O(helo_verify_hosts), NULL,
     "hosts whose HELO name must prove right", NULL, NULL},
    {"host_lookup", OPT_HOSTS, O(host_lookup), NULL,
     "hosts whose name is looked up when they connect", NULL, NULL},
    {"host_reject_connection", OPT_HOSTS, O(host_reject_connection), NULL,
     "hosts that are turned away at once", NULL, NULL},
    {"hosts_connection_nolog", OPT_HOSTS, O(hosts_connection_nolog), NULL,
     "hosts whose connections are not logged", NULL, NULL},
    {"hosts_require_helo", OPT_HOSTS, O(hosts_require_helo), "*",
     "hosts that must say HELO before MAIL", NULL, NULL},
    {"ignore_fromline_hosts", OPT_HOSTS, O(ignore_fromline_hosts), NULL,
     "hosts whose messages may begin with a \"From \" line", NULL, NULL},
    {"ignore_fromline_local", OPT_BOOL, O(ignore_fromline_local), "false",
     "local SMTP messages may begin with a \"From \" line", NULL, NULL},
    {"local_from_check", OPT_BOOL, O(local_from_check), "true",
     "a From: that is not the caller gets a Sender: beside it", NULL, NULL},
    {"local_from_prefix", OPT_STRING, O(local_from_prefix), NULL,
     "prefixes that local_from_check overlooks", NULL, NULL},
    {"local_from_suffix", OPT_STRING, O(local_from_suffix), NULL,
     "suffixes that local_from_check overlooks", NULL, NULL},
    {"local_sender_retain", OPT_BOOL, O(local_sender_retain), "false",
     "Sender: lines of local messages are kept", NULL, NULL},
    {"message_id_header_domain", OPT_EXPAND, O(message_id_header_domain), NULL,
     "domain of a Message-ID we make", NULL, NULL},
    {"message_id_header_text", OPT_EXPAND, O(message_id_header_text), NULL,
     "more text for a Message-ID we make", NULL, NULL},
    {"message_size_limit", OPT_EXPAND, O(message_size_limit), "50M",
     "bytes a message may have; 0: any", NULL, NULL},
    {"pipelining_advertise_hosts", OPT_HOSTS, O(pipelining_advertise_hosts), "*",
     "hosts that are offered PIPELINING", NULL, NULL},
    {"receive_timeout", OPT_TIME, O(receive_timeout), "0s",
     "how long a local message may take to arrive; 0: any time", NULL, NULL},
    {"received_header_text", OPT_EXPAND, O(received_header_text), RECEIVED,
     "the Received: line, without its date", NULL, NULL},
    {"received_headers_max", OPT_INT, O(received_headers_max), "30",
     "Received: lines a message may have", NULL, NULL},
    {"recipient_unqualified_hosts", OPT_HOSTS, O(recipient_unqualified_hosts), NULL,
     "hosts whose recipients need no domain", NULL, NULL},
    {"recipients_max", OPT_INT, O(recipients_max), "50000",
     "recipients a message may have; 0: any number", NULL, NULL},
    {"recipients_max_reject", OPT_BOOL, O(recipients_max_reject), "false",
     "too many recipients refuse the message, not just the excess", NULL, NULL},
    {"return_path_remove", OPT_BOOL, O(return_path_remove), "true",
     "Return-path: lines are taken out of incoming messages", NULL, NULL},
    {"rfc1413_hosts", OPT_HOSTS, O(rfc1413_hosts), "@[]", "hosts that are asked who the client is",
     NULL, NULL},
    {"rfc1413_query_timeout", OPT_TIME, O(rfc1413_query_timeout), "0s",
     "how long to wait for that answer; 0: do not ask", NULL, NULL},
    {"sender_unqualified_hosts", OPT_HOSTS, O(sender_unqualified_hosts), NULL,
     "hosts whose senders need no domain", NULL, NULL},
    {"smtp_accept_keepalive", OPT_BOOL, O(smtp_accept_keepalive), "true",
     "SO_KEEPALIVE on incoming connections", NULL, NULL},
    {"smtp_accept_max", OPT_INT, O(smtp_accept_max), "20", "connections at a time; 0: any number",
     NULL, NULL},
    {"smtp_accept_max_nonmail", OPT_INT, O(smtp_accept_max_nonmail), "10",
     "commands that are not about mail in one connection", NULL, NULL},
    {"smtp_accept_max_nonmail_hosts", OPT_HOSTS, O(smtp_accept_max_nonmail_hosts), "*",
     "hosts to which that limit applies", NULL, NULL},
    {"smtp_accept_max_per_connection", OPT_EXPAND, O(smtp_accept_max_per_connection), "1000",
     "messages in one connection; 0: any number", NULL, NULL},
    {"smtp_accept_max_per_host", OPT_EXPAND, O(smtp_accept_max_per_host), NULL,
     "connections at a time from one host", NULL, NULL},
    {"smtp_accept_queue", OPT_INT, O(smtp_accept_queue), "0",
     "with more connections than this, messages wait on the queue", NULL, NULL},
    {"smtp_accept_queue_per_connection", OPT_INT, O(smtp_accept_queue_per_connection), "10",
     "more messages than this in one connection wait on the queue", NULL, NULL},
    {"smtp_accept_reserve", OPT_INT, O(smtp_accept_reserve), "0",
     "connections kept for smtp_reserve_hosts", NULL, NULL},
    {"smtp_active_hostname", OPT_EXPAND, O(smtp_active_hostname), NULL,
     "the name we go by in this connection", NULL, NULL},
    {"smtp_banner", OPT_EXPAND, O(smtp_banner), BANNER, "the greeting", NULL, NULL},
    {"smtp_check_spool_space", OPT_BOOL, O(smtp_check_spool_space), "true",
     "SIZE of MAIL counts in the check for free space", NULL, NULL},
    {"smtp_connect_backlog", OPT_INT, O(smtp_connect_backlog), "128",
     "connections the kernel holds until they are accepted", NULL, NULL},
    {"smtp_enforce_sync", OPT_BOOL, O(smtp_enforce_sync), "true",
     "clients that do not wait for replies are turned away", NULL, NULL},
    {"smtp_etrn_command", OPT_EXPAND, O(smtp_etrn_command), NULL, "command that ETRN runs", NULL,
     NULL},
    {"smtp_etrn_serialize", OPT_BOOL, O(smtp_etrn_serialize), "true",
     "one ETRN for the same argument at a time", NULL, NULL},
    {"smtp_load_reserve", OPT_FIXED, O(smtp_load_reserve), "-1",
     "load above which only smtp_reserve_hosts are served", NULL, NULL},
    {"smtp_max_synprot_errors", OPT_INT, O(smtp_max_synprot_errors), "3",
     "syntax and protocol errors in one connection", NULL, NULL},
    {"smtp_max_unknown_commands", OPT_INT, O(smtp_max_unknown_commands), "3",
     "unknown commands in one connection", NULL, NULL},
    {"smtp_ratelimit_hosts", OPT_HOSTS, O(smtp_ratelimit_hosts), NULL, "hosts that are slowed down",
     NULL, NULL},
    {"smtp_ratelimit_mail", OPT_STRING, O(smtp_ratelimit_mail), NULL, "how MAIL is slowed down",
     NULL, NULL},
    {"smtp_ratelimit_rcpt", OPT_STRING, O(smtp_ratelimit_rcpt), NULL, "how RCPT is slowed down",
     NULL, NULL},
    {"smtp_receive_timeout", OPT_EXPAND, O(smtp_receive_timeout), "5m",
     "how long to wait for the client", NULL, NULL},
    {"smtp_reserve_hosts", OPT_HOSTS, O(smtp_reserve_hosts), NULL,
     "hosts for which connections are kept", NULL, NULL},
    {"tcp_nodelay", OPT_BOOL, O(tcp_nodelay), "true", "TCP_NODELAY on incoming connections", NULL,
     NULL},
    {"unknown_login", OPT_EXPAND, O(unknown_login), NULL,
     "the login of a caller the password file does not know", NULL, NULL},
    {"unknown_username", OPT_EXPAND, O(unknown_username), NULL, "that caller's name", NULL, NULL},
    {"untrusted_set_sender", OPT_ADDRESSES, O(untrusted_set_sender), NULL,
     "senders that anybody may set", NULL, NULL},
    {"uucp_from_pattern", OPT_STRING, O(uucp_from_pattern), UUCP,
     "regular expression for \"From \" lines", NULL, NULL},
    {"uucp_from_sender", OPT_EXPAND, O(uucp_from_sender), "$1",
     "the sender in a \"From \" line that matched", NULL, NULL},
    {"pipelining_connect_advertise_hosts", OPT_CUSTOM, 0, NULL,
     "hosts that may send before the greeting: not supported", off_only, print_off},
    {"prdr_enable", OPT_BOOL, O(prdr_enable), "false",
     "clients may ask for a reply for each recipient (PRDR)", NULL, NULL},
    {"smtputf8_advertise_hosts", OPT_CUSTOM, 0, NULL,
     "hosts that are offered SMTPUTF8: not supported", off_only, print_off},
    {NULL, OPT_END, 0, NULL, NULL, NULL, NULL},
};

const struct smtp_in_settings *smtp_in_settings(const struct config *conf)
{
    return conf->settings[ROOM_SMTP_IN];
}

static const char *const features[] = {"PRDR", NULL};

const struct module smtp_in_module = {
    .name = "smtp_in",
    .room = ROOM_SMTP_IN,
    .settings_size = sizeof(struct smtp_in_settings),
    .options = smtp_in_options,
    .variables = smtp_in_variables,
    .features = features,
    .hints = smtp_in_hints,
};
