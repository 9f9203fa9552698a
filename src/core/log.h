/*
 * The log: main, reject and panic files (or syslog) in Exim's format, and the selectors that say
 * what goes in. One writer per process; a line is one write, so processes do not mix their lines.
 */
#ifndef CORE_LOG_H
#define CORE_LOG_H

#include "base/base.h"

struct message;
struct config;
struct opt_reader;

/* Where a line goes; several may be ored. */
enum log_where {
    LOG_MAIN = 1,
    LOG_REJECT = 2,
    LOG_PANIC = 4,
    LOG_CONFIG = 8, /* prefix "Exim configuration error", to standard error as well */
    LOG_DIE = 16    /* end the process afterwards */
};

/*
 * The selectors: name, on by default, meaning (NULL: Exim has it, minim does not yet). The order is
 * that of -bP log_selector.
 */
#define LOG_SELECTORS(X) \
    X(8bitmime, false, "the BODY parameter of MAIL, M8S=, on arrival") \
    X(acl_warn_skipped, true, "warn statements skipped because a condition could not be tested") \
    X(address_rewrite, false, "each rewriting of an address") \
    X(all_parents, false, "all addresses between the recipient and the original one, on deliveries") \
    X(arguments, false, "the command line the program was called with") \
    X(connection_id, false, NULL) \
    X(connection_reject, true, "connections that were refused") \
    X(delay_delivery, true, "messages that are not delivered at once") \
    X(deliver_time, false, "how long the delivery took, DT=") \
    X(delivery_size, false, "size of the message, S=, on deliveries") \
    X(dkim, true, "DKIM signatures that verified; there are none without DKIM") \
    X(dkim_verbose, false, NULL) \
    X(dnslist_defer, true, "DNS lists that did not answer") \
    X(dnssec, false, "whether DNSSEC vouched for the host, DS") \
    X(etrn, true, "ETRN commands") \
    X(host_lookup_failed, true, "hosts whose name cannot be had from their address") \
    X(ident_timeout, false, "ident requests that were not answered in time") \
    X(incoming_interface, false, "our address and port of the connection, I=") \
    X(incoming_port, false, "the port of the client, behind its address") \
    X(lost_incoming_connection, true, "connections that ended without QUIT") \
    X(millisec, false, "milliseconds in times") \
    X(msg_id, true, "the Message-ID header, id=, on arrival") \
    X(msg_id_created, false, "the same, id*=, if it was made here") \
    X(outgoing_interface, false, "our address of the connection, I=, on deliveries") \
    X(outgoing_port, false, "the port of the server, behind its address") \
    X(pid, false, "process number, behind the time") \
    X(pipelining, false, "whether PIPELINING was used, L") \
    X(protocol_detail, false, NULL) \
    X(proxy, false, NULL) \
    X(queue_run, true, "begin and end of queue runs") \
    X(queue_time, false, "how long the message was here, QT=") \
    X(queue_time_exclusive, false, "the same without the time it took to receive") \
    X(queue_time_overall, false, "the same, on the line Completed") \
    X(receive_time, false, "how long it took to receive the message, RT=") \
    X(received_recipients, false, "recipients, behind for, on arrival") \
    X(received_sender, false, "sender, behind from, on arrival") \
    X(rejected_header, true, "headers of refused messages, in the reject log") \
    X(retry_defer, true, "deliveries put off because their retry time is not reached") \
    X(return_path_on_delivery, false, "envelope sender of the delivery, P=") \
    X(sender_on_delivery, false, "sender of the message, F=, on deliveries") \
    X(sender_verify_fail, true, "senders that failed verification") \
    X(size_reject, true, "messages refused for their size") \
    X(skip_delivery, true, "messages passed over: frozen, or in the hands of another process") \
    X(smtp_confirmation, true, "the server's reply to the message, C=") \
    X(smtp_connection, false, "begin and end of connections") \
    X(smtp_incomplete_transaction, false, "transactions that did not end with a message") \
    X(smtp_mailauth, false, "the AUTH parameter of MAIL, behind A=") \
    X(smtp_no_mail, false, "connections without a message, and what they did") \
    X(smtp_protocol_error, false, "violations of the protocol") \
    X(smtp_syntax_error, false, "commands that are not understood") \
    X(subject, false, "the Subject header, T=") \
    X(tls_certificate_verified, true, "whether the peer's certificate verified, CV=") \
    X(tls_cipher, true, "TLS version and cipher suite, X=") \
    X(tls_on_connect, false, NULL) \
    X(tls_peerdn, false, "subject of the peer's certificate, DN=") \
    X(tls_resumption, false, "an asterisk behind the cipher suite of a resumed session") \
    X(tls_sni, false, "server name the client asked for, SNI=") \
    X(unknown_in_list, false, "lists that could not be searched to the end because a lookup failed")

#define LOG_SELECTOR_ENUM(name, dflt, doc) LS_##name,
enum log_selector { LOG_SELECTORS(LOG_SELECTOR_ENUM) LS_COUNT };

struct log_selector_row {
    const char *name;
    bool dflt;
    const char *doc; /* NULL: not supported */
};

/* The rows, for the manual; NULL behind the last. */
const struct log_selector_row *log_selector_row(size_t i);

/*
 * Makes the settings of the configuration those of this process. Called once the configuration is
 * read and again after a reload; `server` is not NULL in a test daemon. Before it is called lines
 * go to standard error.
 */
void log_setup(const struct config *conf);

/* The number of a syslog facility ("mail", "user", "local0"...); -1 if there is none of that name. */
int log_facility(struct str name);

/* True if the selector is on. */
bool log_wants(enum log_selector s);

/* Where a line goes that a selector keeps out of the main log alone: `where`, perhaps without it. */
unsigned log_if(enum log_selector s, unsigned where);

/*
 * Opens the debug log, which is called as log_file_path says with the tag behind it; its name in
 * *path, of the pool. -1 with errno: EPERM if the tag is tainted, ENOENT if no logs are files.
 */
int log_open_debug(struct pool *pool, struct str tag, struct str *path);

/* Parses a log_selector value ("+all -pid"); false after reporting. */
bool log_parse_selectors(struct opt_reader *r, void *base, struct str value);

/*
 * Writes one line. msg_id (may be NULL/empty) precedes the text. Line breaks in the text become
 * visible escapes; the date, and [pid] if selected, are put in front. With LOG_PANIC the line goes
 * to the panic log as well. If a log cannot be written the text goes to the panic log, and failing
 * that to standard error and syslog; the process goes on.
 */
void log_write(unsigned where, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same about a message; in the reject log its envelope and header lines follow. */
void log_msg(unsigned where, const struct message *m, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What goes to standard error, in place of the files or beside them. */
enum log_stderr {
    LOG_STDERR_NONE,
    LOG_STDERR_BARE,  /* -bh: the text after "LOG:", or as the next; no file */
    LOG_STDERR_DATED, /* -be, -bv: the line as it would be written; no file */
    LOG_STDERR_PLACE, /* -bt, -v with these: places after "LOG:", text on the next line; no file */
    LOG_STDERR_COPY   /* -v: the same as a copy, beside the files */
};

/* Says where lines go from now on. */
void log_to_stderr(enum log_stderr how);

/* The directory of the log files; unset if logs go to syslog alone. */
struct str log_directory(const struct config *conf, struct pool *pool);

/* Closes the files, so that the next line opens them again (rotation, SIGHUP, fork). */
void log_close(void);

#endif
