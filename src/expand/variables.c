/*
 * Variables of the program, the session and the message. Those of addresses and deliveries are in
 * variables_address.c.
 *
 * A value is unset where Exim's is empty. Values are views of what they come from or live in
 * x->pool; those that came from the network are tainted where they were taken in.
 */
#include "expand/variables.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

bool variable_lacks(const struct ectx *x, struct str name, struct str value)
{
    return str_unset(value) && (str_starts(name, "acl_c") || str_starts(name, "acl_m")) &&
           expand_settings(x->conf)->strict_acl_vars;
}

/* Made here: nothing of it came from elsewhere. */
static struct str clean(struct str s)
{
    s.tainted = false;
    return s;
}

struct str variable_number(struct ectx *x, int64_t n)
{
    struct str s = str_fmt(x->pool, "%lld", (long long)n);
    s.tainted = false;
    return s;
}

const struct session *variable_session(const struct ectx *x)
{
    return x->sess ? x->sess : x->msg ? x->msg->session_facts : NULL;
}

/* ---- the program ---- */

GETTER(primary_hostname, core_settings(x->conf)->primary_hostname)
GETTER(qualify_domain, core_settings(x->conf)->qualify_domain)
GETTER(qualify_recipient, core_settings(x->conf)->qualify_recipient)
GETTER(spool_directory, core_settings(x->conf)->spool_directory)
GETTER(version, STR(MINIM_VERSION))
GETTER(compile_number, STR("1"))
GETTER(config_file, str_c(x->conf->file))
GETTER(exim_uid, variable_number(x, priv_work_uid(x->conf)))
GETTER(exim_gid, variable_number(x, priv_work_gid(x->conf)))
GETTER(pid, variable_number(x, getpid()))
GETTER(runrc, variable_number(x, x->runrc))

static struct str get_exim_path(struct ectx *x, struct str name)
{
    (void)name;
    struct str path = core_settings(x->conf)->exim_path;
    char self[4096];
    if (!str_unset(path)) {
        return path;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self);
    return n > 0 ? str_dup(x->pool, str_n(self, (size_t)n)) : STR_NONE;
}

static struct str get_config_dir(struct ectx *x, struct str name)
{
    (void)name;
    char *path = realpath(x->conf->file, NULL);
    struct str file = str_dup(x->pool, str_c(path ? path : x->conf->file));
    ptrdiff_t slash = str_rchr(file, '/');
    free(path);
    return slash < 0 ? STR_NONE : str_sub(file, 0, slash ? (size_t)slash : 1);
}

/* The time of the program's file stands for that of the build. */
static struct str get_compile_date(struct ectx *x, struct str name)
{
    struct stat st;
    (void)name;
    return stat("/proc/self/exe", &st) == 0
               ? clean(time_strftime(x->pool, "%d-%b-%Y %H:%M:%S", st.st_mtime, false))
               : STR_NONE;
}

static struct str get_load_average(struct ectx *x, struct str name)
{
    double load = 0;
    (void)name;
    return getloadavg(&load, 1) == 1 ? variable_number(x, (int64_t)(load * 1000)) : STR("-1");
}

static struct str get_space(struct ectx *x, struct str name)
{
    struct statvfs fs;
    bool inodes = str_ends(name, STR("_inodes"));
    struct str dir = str_starts(name, "log") ? log_directory(x->conf, x->pool)
                                             : core_settings(x->conf)->spool_directory;
    if (str_unset(dir) || statvfs(str_cstr(x->pool, dir), &fs) < 0) {
        return STR("-1");
    }
    return variable_number(x, inodes ? (int64_t)fs.f_favail
                                     : (int64_t)fs.f_bavail * (int64_t)(fs.f_frsize / 512) / 2);
}

/* ---- times ---- */

GETTER(tod_full, clean(time_rfc5322(x->pool, time(NULL), false)))
GETTER(tod_log,
       clean(time_log(x->pool, time_now(), false, core_settings(x->conf)->log_timezone, false)))
GETTER(tod_bsdinbox, clean(time_strftime(x->pool, "%a %b %d %H:%M:%S %Y", time(NULL), false)))
GETTER(tod_logfile, clean(time_strftime(x->pool, "%Y%m%d", time(NULL), false)))
GETTER(tod_zone, clean(time_strftime(x->pool, "%z", time(NULL), false)))
GETTER(tod_zulu, clean(time_strftime(x->pool, "%Y%m%d%H%M%SZ", time(NULL), true)))
GETTER(tod_epoch, variable_number(x, time(NULL)))

static struct str get_tod_epoch_l(struct ectx *x, struct str name)
{
    (void)name;
    struct timespec now = time_now();
    return variable_number(x, (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

/* ---- the session ---- */

SESSION(sender_host_address, s->host_address)
SESSION(sender_helo_name, s->helo_name)
SESSION(sender_host_authenticated, s->auth_mechanism)
SESSION(sender_ident, s->ident)
SESSION(authenticated_id, s->auth_id)
SESSION(proxy_local_address, s->proxy_local_address)
SESSION(proxy_external_address, s->proxy_external_address)
SESSION(interface_address, s->interface_address)

/* What MAIL said; before it, and for a message that came otherwise, what is known of the caller. */
static struct str get_authenticated_sender(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    return x->msg && !str_unset(x->msg->auth_sender) ? x->msg->auth_sender
           : s                                       ? s->auth_sender
                                                     : STR_NONE;
}

static struct str port_text(struct ectx *x, int port)
{
    return variable_number(x, port);
}

static struct str get_host_port(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    return port_text(x, s ? s->host_port : 0);
}

/* -1 where there is no socket. */
static struct str get_interface_port(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    return port_text(x, s && !str_empty(s->interface_address) ? s->interface_port : -1);
}

static struct str get_proxy_port(struct ectx *x, struct str name)
{
    const struct session *s = variable_session(x);
    bool local = str_is(name, "proxy_local_port");
    return port_text(x, !s ? 0 : local ? s->proxy_local_port : s->proxy_external_port);
}

GETTER(proxy_session, variable_session(x) && variable_session(x)->proxy ? STR("yes") : STR("no"))

static struct str get_host_name(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    if (x->sess) {
        session_host_name(x);
    }
    return s ? s->host_name : STR_NONE;
}

/* The two flags speak of a lookup that has been made. */
static struct str get_lookup_flag(struct ectx *x, struct str name)
{
    const struct session *s = variable_session(x);
    bool failed = str_is(name, "host_lookup_failed");
    return s && (failed ? s->host_lookup_failed : s->host_lookup_deferred) ? STR("1") : STR("0");
}

static struct str get_fullhost(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    return s && !str_empty(s->host_address)
               ? str_taint(session_fullhost(x->pool, s, log_wants(LS_incoming_port)))
               : STR_NONE;
}

/* The facts that stand in brackets behind the host in Received lines. */
static struct str rcvhost_facts(struct ectx *x, const struct session *s)
{
    struct buf b;
    buf_init(&b, x->pool, 4096);
    if (log_wants(LS_incoming_port) && s->host_port > 0) {
        buf_addf(&b, " port=%d", s->host_port);
    }
    if (!str_empty(s->helo_name) && !session_helo_is_known(s)) {
        buf_addf(&b, " helo=%.*s", STR_ARG(s->helo_name));
    }
    if (!str_empty(s->ident)) {
        buf_addf(&b, " ident=%.*s", STR_ARG(s->ident));
    }
    return buf_str(&b);
}

static struct str get_rcvhost(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    if (!s || str_empty(s->host_address)) {
        return STR_NONE;
    }
    struct str addr = STR_CAT(x->pool, STR("["), s->host_address, STR("]"));
    struct str facts = rcvhost_facts(x, s);
    if (!str_empty(s->host_name) && !s->host_name_unshown) {
        return STR_CAT(x->pool, s->host_name, STR(" ("), addr, facts, STR(")"));
    }
    return str_empty(facts) ? addr
                            : STR_CAT(x->pool, addr, STR(" ("), str_from(facts, 1), STR(")"));
}

static struct str get_active_hostname(struct ectx *x, struct str name)
{
    (void)name;
    const struct session *s = variable_session(x);
    return s && !str_empty(s->active_hostname) ? s->active_hostname
                                               : core_settings(x->conf)->primary_hostname;
}

static struct str get_session_fact(struct ectx *x, struct str name)
{
    const struct session *s = variable_session(x);
    return s ? vars_get(&s->facts, name) : STR_NONE;
}

/* ---- the message ---- */

MESSAGE(message_id, m->id)
MESSAGE(queue_name, m->queue_name)
MESSAGE_NUMBER(message_size, m->size)
MESSAGE_NUMBER(message_body_size, m->body_size)
MESSAGE_NUMBER(message_linecount, m->line_count)
MESSAGE_NUMBER(body_linecount, m->body_lines)
MESSAGE_NUMBER(body_zerocount, m->body_zerocount)
MESSAGE_NUMBER(max_received_linelength, m->max_line)
MESSAGE_NUMBER(recipients_count, m->recipient_count)
MESSAGE_NUMBER(received_count, m->received_count)
MESSAGE_NUMBER(received_time, m->received.tv_sec)
MESSAGE_NUMBER(message_age, m->received.tv_sec ? time(NULL) - m->received.tv_sec : 0)

/* Whoever started the process; a trusted caller may have named another. */
static struct str get_caller(struct ectx *x, struct str name)
{
    bool user = str_is(name, "caller_uid") || str_is(name, "originator_uid");
    if (x->msg && str_starts(name, "originator") && !str_empty(x->msg->originator_login)) {
        return variable_number(x, user ? x->msg->originator_uid : x->msg->originator_gid);
    }
    if (x->sess && !str_empty(x->sess->caller_login)) {
        return variable_number(x, user ? x->sess->caller_uid : x->sess->caller_gid);
    }
    return variable_number(x, user ? priv_real_uid() : priv_real_gid());
}

GETTER(prdr_requested, x->msg && x->msg->prdr ? STR("yes") : STR("no"))
GETTER(no, STR("no"))
GETTER(zero, STR("0"))
GETTER(localhost_number, core_settings(x->conf)->localhost_number < 0
                             ? STR("0")
                             : variable_number(x, core_settings(x->conf)->localhost_number))

static struct str get_sender(struct ectx *x, struct str name)
{
    if (!x->msg) {
        return STR_NONE;
    }
    struct str s = x->msg->sender;
    ptrdiff_t at = str_rchr(s, '@');
    if (str_is(name, "sender_address_domain")) {
        return at < 0 ? STR("") : str_from(s, (size_t)at + 1);
    }
    return str_is(name, "sender_address") ? s : str_sub(s, 0, at < 0 ? s.len : (size_t)at);
}

static struct str get_protocol(struct ectx *x, struct str name)
{
    (void)name;
    if (x->msg && !str_empty(x->msg->received_protocol)) {
        return x->msg->received_protocol;
    }
    const struct session *s = variable_session(x);
    return s ? s->protocol : STR_NONE;
}

/* For whom, if that is one alone: for Received lines. */
static struct str get_received_for(struct ectx *x, struct str name)
{
    (void)name;
    return x->msg && x->msg->making_received &&
                   x->msg->recipient_count + x->msg->recipients_removed == 1
               ? x->msg->recipients[0].address
               : STR_NONE;
}

/* All recipients where that tells nobody of the others: not while one of them is looked at. */
static struct str get_recipients(struct ectx *x, struct str name)
{
    bool list = str_is(name, "recipients_list");
    struct buf b;
    if (x->dlv && !list) {
        return x->dlv->rcpt_list;
    }
    if (!x->msg || x->addr || x->dlv) {
        return STR_NONE;
    }
    buf_init(&b, x->pool, 64 << 20);
    for (size_t i = 0; i < x->msg->recipient_count; i++) {
        struct str address = x->msg->recipients[i].address;
        if (list) {
            list_add(&b, address, ':', i == 0);
        } else {
            buf_addz(&b, i ? ", " : "");
            buf_adds(&b, address);
        }
    }
    return buf_str(&b);
}

/* $acl_m… belong to the message, $acl_c… to the session (or, once received, to the message). */
static struct str get_acl(struct ectx *x, struct str name)
{
    struct str value = STR_NONE;
    if (name.len > 4 && name.p[4] == 'm') {
        return x->msg ? vars_get(&x->msg->acl_m, name) : STR_NONE;
    }
    if (x->sess) {
        value = vars_get(&x->sess->acl_c, name);
    }
    return str_unset(value) && x->msg ? vars_get(&x->msg->acl_c, name) : value;
}

/* ---- scoped values ---- */

static struct str get_scoped(struct ectx *x, struct str name)
{
    return scope_get(x, name);
}

static struct str get_acl_narg(struct ectx *x, struct str name)
{
    struct str n = scope_get(x, name);
    return str_unset(n) ? STR("0") : n;
}

/* ---- features that this version lacks ---- */

/* Empty, as in Exim when the feature has not run; or the value that it has then. */
static struct str get_absent(struct ectx *x, struct str name)
{
    static const struct {
        const char *name, *value;
    } rows[] = {{"av_failed", "0"},
                {"dkim_bodylength", "9999999999999"},
                {"dkim_created", "0"},
                {"dkim_expires", "9999999999999"},
                {"dkim_key_granularity", "*"},
                {"dkim_key_length", "0"},
                {"dkim_key_nosubdomains", "0"},
                {"dkim_key_srvtype", "*"},
                {"dkim_key_testing", "0"},
                {"event_defer_errno", "0"},
                {"mime_anomaly_level", "0"},
                {"mime_content_size", "0"},
                {"mime_is_coverletter", "0"},
                {"mime_is_multipart", "0"},
                {"mime_is_rfc822", "0"},
                {"mime_part_count", "-1"},
                {"sender_helo_dnssec", "no"},
                {"spf_guess", "v=spf1 a/24 mx/24 ptr ?all"},
                {"spf_result_guessed", "no"}};
    (void)x;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_is(name, rows[i].name)) {
            return str_c(rows[i].value);
        }
    }
    return STR_NONE;
}

#define ABSENT(name) \
    { \
        name, get_absent, "empty: the feature is not part of this version" \
    }
#define SCOPED(name, doc) \
    { \
        name, get_scoped, doc \
    }
#define ACL_ARG(n) \
    { \
        "acl_arg" n, get_scoped, "argument " n " of the ACL that is called" \
    }
#define AUTH(n) \
    { \
        "auth" n, get_session_fact, "string " n " of an authentication" \
    }
#define REGEX(n) \
    { \
        "regex" n, get_absent, "empty: the feature is not part of this version" \
    }

static struct str get_initial_cwd(struct ectx *x, struct str name)
{
    (void)name;
    return x->conf->initial_cwd;
}

const struct variable expand_variables[] = {
    ACL_ARG("1"),
    ACL_ARG("2"),
    ACL_ARG("3"),
    ACL_ARG("4"),
    ACL_ARG("5"),
    ACL_ARG("6"),
    ACL_ARG("7"),
    ACL_ARG("8"),
    ACL_ARG("9"),
    {"acl_c*", get_acl, "variable of the connection, set by ACLs"},
    {"acl_m*", get_acl, "variable of the message, set by ACLs"},
    {"acl_narg", get_acl_narg, "number of arguments of the ACL that is called"},
    {"address_data", get_address_data, "what the router's address_data made"},
    {"address_file", get_address_file, "file that a redirection names"},
    {"address_pipe", get_address_pipe, "command that a redirection names"},
    ABSENT("arc_domains"),
    ABSENT("arc_oldest_pass"),
    ABSENT("arc_state"),
    ABSENT("arc_state_reason"),
    AUTH("1"),
    AUTH("2"),
    AUTH("3"),
    AUTH("4"),
    {"authenticated_fail_id", get_session_fact, "id of the last authentication that failed"},
    {"authenticated_id", get_authenticated_id, "id that a client authenticated as"},
    {"authenticated_sender", get_authenticated_sender, "address of the AUTH parameter of MAIL"},
    {"authentication_failed", get_zero, "1 after an authentication that failed"},
    ABSENT("av_failed"),
    {"body_linecount", get_body_linecount, "lines of the body"},
    {"body_zerocount", get_body_zerocount, "NUL bytes of the body"},
    {"callout_address", get_callout_address, "host of the connection, or of the last callout: [ADDRESS]:PORT"},
    {"caller_gid", get_caller, "real group id of the caller"},
    {"caller_uid", get_caller, "real user id of the caller"},
    {"compile_date", get_compile_date, "when the program was made"},
    {"compile_number", get_compile_number, "number of the build"},
    {"config_dir", get_config_dir, "folder of the configuration file"},
    {"config_file", get_config_file, "the configuration file"},
    ABSENT("csa_status"),
    ABSENT("dkim_algo"),
    ABSENT("dkim_bodylength"),
    ABSENT("dkim_canon_body"),
    ABSENT("dkim_canon_headers"),
    ABSENT("dkim_copiedheaders"),
    ABSENT("dkim_created"),
    ABSENT("dkim_cur_signer"),
    ABSENT("dkim_domain"),
    ABSENT("dkim_expires"),
    ABSENT("dkim_headernames"),
    ABSENT("dkim_identity"),
    ABSENT("dkim_key_granularity"),
    ABSENT("dkim_key_length"),
    ABSENT("dkim_key_nosubdomains"),
    ABSENT("dkim_key_notes"),
    ABSENT("dkim_key_srvtype"),
    ABSENT("dkim_key_testing"),
    ABSENT("dkim_selector"),
    ABSENT("dkim_signers"),
    ABSENT("dkim_verify_reason"),
    ABSENT("dkim_verify_signers"),
    ABSENT("dkim_verify_status"),
    ABSENT("dmarc_alignment_dkim"),
    ABSENT("dmarc_alignment_spf"),
    ABSENT("dmarc_domain_policy"),
    ABSENT("dmarc_status"),
    ABSENT("dmarc_status_text"),
    ABSENT("dmarc_used_domain"),
    {"domain", get_domain, "domain of the address in hand"},
    {"domain_data", get_domain_data, "what the match of the domain made"},
    ABSENT("event_data"),
    ABSENT("event_defer_errno"),
    ABSENT("event_name"),
    {"exim_gid", get_exim_gid, "group id that workers run as"},
    {"exim_path", get_exim_path, "path of the program"},
    {"exim_uid", get_exim_uid, "user id that workers run as"},
    {"exim_version", get_version, "version of the program"},
    {"home", get_home, "home folder for the delivery"},
    {"host", get_host, "name of the host being tried"},
    {"host_address", get_host_address, "its address"},
    {"host_lookup_deferred", get_lookup_flag, "1 if the client's name could not be looked up now"},
    {"host_lookup_failed", get_lookup_flag, "1 if the client has no name"},
    {"host_port", get_delivery_host_port, "port of the host being tried"},
    {"initial_cwd", get_initial_cwd, "directory that the program was started in"},
    {"interface_address", get_interface_address, "our address in the connection"},
    {"interface_port", get_interface_port, "our port in the connection"},
    SCOPED("item", "the item in hand of a list"),
    ABSENT("ldap_dn"),
    {"load_average", get_load_average, "load of the system, times 1000"},
    {"local_part", get_local_part, "local part of the address in hand"},
    {"local_part_data", get_local_part_data, "what the match of the local part made"},
    {"local_part_prefix", get_affix, "prefix taken off the local part"},
    {"local_part_prefix_v", get_affix, "the part of it that * matched"},
    {"local_part_suffix", get_affix, "suffix taken off the local part"},
    {"local_part_suffix_v", get_affix, "the part of it that * matched"},
    ABSENT("local_scan_data"),
    {"local_user_gid", get_local_user, "group id found by check_local_user"},
    {"local_user_uid", get_local_user, "user id found by check_local_user"},
    {"localhost_number", get_localhost_number, "localhost_number, expanded"},
    {"log_inodes", get_space, "free inodes where logs are written"},
    {"log_space", get_space, "free kilobytes where logs are written"},
    ABSENT("malware_name"),
    {"max_received_linelength", get_max_received_linelength, "longest line received"},
    {"message_age", get_message_age, "seconds since the message came"},
    {"message_body_size", get_message_body_size, "bytes of the body"},
    {"message_exim_id", get_message_id, "id of the message"},
    {"message_headers", get_message_headers, "all headers, decoded"},
    {"message_headers_raw", get_message_headers_raw, "all headers as they came"},
    {"message_id", get_message_id, "id of the message"},
    {"message_linecount", get_message_linecount, "lines of headers and body"},
    {"message_size", get_message_size, "bytes of headers and body"},
    ABSENT("mime_anomaly_level"),
    ABSENT("mime_anomaly_text"),
    ABSENT("mime_boundary"),
    ABSENT("mime_charset"),
    ABSENT("mime_content_description"),
    ABSENT("mime_content_disposition"),
    ABSENT("mime_content_id"),
    ABSENT("mime_content_size"),
    ABSENT("mime_content_transfer_encoding"),
    ABSENT("mime_content_type"),
    ABSENT("mime_decoded_filename"),
    ABSENT("mime_filename"),
    ABSENT("mime_is_coverletter"),
    ABSENT("mime_is_multipart"),
    ABSENT("mime_is_rfc822"),
    ABSENT("mime_part_count"),
    {"original_domain", get_original, "domain of the address that this one comes from in the end"},
    {"original_local_part", get_original, "its local part"},
    {"originator_gid", get_caller, "group id of who sent the message"},
    {"originator_uid", get_caller, "user id of who sent the message"},
    {"parent_domain", get_parent, "domain of the address that this one was made from"},
    {"parent_local_part", get_parent, "its local part"},
    {"pid", get_pid, "id of the process"},
    {"prdr_requested", get_prdr_requested, "yes if the client asked for PRDR"},
    {"primary_hostname", get_primary_hostname, "name of this host"},
    {"proxy_external_address", get_proxy_external_address, "the proxy's side towards the client"},
    {"proxy_external_port", get_proxy_port, "its port"},
    {"proxy_local_address", get_proxy_local_address, "the proxy's side towards us"},
    {"proxy_local_port", get_proxy_port, "its port"},
    {"proxy_session", get_proxy_session, "yes if the connection came by a proxy"},
    SCOPED("prvscheck_address", "address that ${prvscheck found"),
    SCOPED("prvscheck_keynum", "key number that ${prvscheck found"),
    SCOPED("prvscheck_result", "1 if ${prvscheck found the signature good"),
    {"qualify_domain", get_qualify_domain, "domain added to senders"},
    {"qualify_recipient", get_qualify_recipient, "domain added to recipients"},
    {"queue_name", get_queue_name, "name of the message's queue"},
    {"r_*", get_router_variable, "variable set by routers"},
    {"received_count", get_received_count, "Received: headers"},
    {"received_for", get_received_for, "in received_header_text, the recipient, if there is just one"},
    {"received_ip_address", get_interface_address, "our address in the connection"},
    {"received_port", get_interface_port, "our port in the connection"},
    {"received_protocol", get_protocol, "protocol the message came by"},
    {"received_time", get_received_time, "when the message came, in seconds"},
    {"recipients", get_recipients, "recipients of the message"},
    {"recipients_count", get_recipients_count, "their number"},
    {"recipients_list", get_recipients, "recipients of the message, as a list"},
    REGEX("1"),
    REGEX("2"),
    REGEX("3"),
    REGEX("4"),
    REGEX("5"),
    REGEX("6"),
    REGEX("7"),
    REGEX("8"),
    REGEX("9"),
    ABSENT("regex_match_string"),
    {"reply_address", get_reply_address, "Reply-To:, or From:"},
    {"return_path", get_return_path, "sender of the delivery"},
    {"runrc", get_runrc, "exit status of the last ${run"},
    {"self_hostname", get_self_hostname, "the name by which self = pass found this host"},
    {"sender_address", get_sender, "envelope sender"},
    {"sender_address_domain", get_sender, "its domain"},
    {"sender_address_local_part", get_sender, "its local part"},
    {"sender_fullhost", get_fullhost, "the client as log lines write it"},
    ABSENT("sender_helo_dnssec"),
    {"sender_helo_name", get_sender_helo_name, "name that HELO or EHLO gave"},
    {"sender_host_address", get_sender_host_address, "address of the client"},
    {"sender_host_authenticated", get_sender_host_authenticated, "authenticator that succeeded"},
    {"sender_host_dnssec", get_no, "yes if DNSSEC vouches for the client's name"},
    {"sender_host_name", get_host_name, "name of the client, looked up on use"},
    {"sender_host_port", get_host_port, "port of the client"},
    {"sender_ident", get_sender_ident, "who the client says, or the kernel knows, it is"},
    {"sender_rcvhost", get_rcvhost, "the client as Received: lines write it"},
    {"sending_ip_address", get_sending_ip_address, "our address of the outgoing connection"},
    {"sending_port", get_sending_port, "our port of the outgoing connection"},
    {"smtp_active_hostname", get_active_hostname, "name that we say we are"},
    ABSENT("spam_action"),
    ABSENT("spam_bar"),
    ABSENT("spam_report"),
    ABSENT("spam_score"),
    ABSENT("spam_score_int"),
    ABSENT("spf_guess"),
    ABSENT("spf_header_comment"),
    ABSENT("spf_received"),
    ABSENT("spf_result"),
    ABSENT("spf_result_guessed"),
    ABSENT("spf_smtp_comment"),
    ABSENT("spf_used_domain"),
    {"spool_directory", get_spool_directory, "spool_directory"},
    {"spool_inodes", get_space, "free inodes of the spool"},
    {"spool_space", get_space, "free kilobytes of the spool"},
    ABSENT("srs_recipient"),
    SCOPED("thisaddress", "the address in hand of a filter's loop"),
    {"tod_bsdinbox", get_tod_bsdinbox, "now, as From_ lines of mailboxes write it"},
    {"tod_epoch", get_tod_epoch, "now, in seconds"},
    {"tod_epoch_l", get_tod_epoch_l, "now, in microseconds"},
    {"tod_full", get_tod_full, "now, as RFC 5322 writes it"},
    {"tod_log", get_tod_log, "now, as log lines write it"},
    {"tod_logfile", get_tod_logfile, "today, as yyyymmdd"},
    {"tod_zone", get_tod_zone, "the time zone, as +hhmm"},
    {"tod_zulu", get_tod_zulu, "now, as yyyymmddhhmmssZ"},
    SCOPED("value", "what the item found"),
    {"version_number", get_version, "version of the program"},
    {NULL, NULL, NULL},
};
