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

/* The selectors: name, on by default. The order is that of -bP log_selector. */
#define LOG_SELECTORS(X) \
    X(8bitmime, false) \
    X(acl_warn_skipped, true) X(address_rewrite, false) X(all_parents, false) X(arguments, false) \
        X(connection_id, false) X(connection_reject, true) X(delay_delivery, true) X( \
            deliver_time, false) X(delivery_size, false) X(dkim, true) X(dkim_verbose, false) \
            X(dnslist_defer, true) X(dnssec, false) X(etrn, true) X(host_lookup_failed, true) X( \
                ident_timeout, false) X(incoming_interface, false) X(incoming_port, false) \
                X(lost_incoming_connection, true) X(millisec, false) X(msg_id, true) X( \
                    msg_id_created, false) X(outgoing_interface, false) X(outgoing_port, false) \
                    X(pid, false) X(pipelining, false) X(protocol_detail, false) X(proxy, false) \
                        X(queue_run, true) X(queue_time, false) X(queue_time_exclusive, false) \
                            X(queue_time_overall, false) X(receive_time, false) \
                                X(received_recipients, false) X(received_sender, \
                                                                false) X(rejected_header, true) \
                                    X(retry_defer, true) X(return_path_on_delivery, false) \
                                        X(sender_on_delivery, false) X(sender_verify_fail, true) \
                                            X(size_reject, true) X(skip_delivery, true) X( \
                                                smtp_confirmation, true) X(smtp_connection, false) \
                                                X(smtp_incomplete_transaction, false) \
                                                    X(smtp_mailauth, false) X(smtp_no_mail, false) \
                                                        X(smtp_protocol_error, \
                                                          false) X(smtp_syntax_error, \
                                                                   false) X(subject, false) \
                                                            X(tls_certificate_verified, \
                                                              true) X(tls_cipher, true) \
                                                                X(tls_on_connect, false) \
                                                                    X(tls_peerdn, false) \
                                                                        X(tls_resumption, false) \
                                                                            X(tls_sni, false) \
                                                                                X(unknown_in_list, \
                                                                                  false)

#define LOG_SELECTOR_ENUM(name, dflt) LS_##name,
enum log_selector { LOG_SELECTORS(LOG_SELECTOR_ENUM) LS_COUNT };

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
    LOG_STDERR_BARE,  /* -bh: the text after "LOG:"; no file */
    LOG_STDERR_DATED, /* -be, -bv: the line as it would be written; no file */
    LOG_STDERR_PLACE, /* -bt, -v with these: places after "LOG:", text on the next line; no file */
    LOG_STDERR_COPY   /* -v: the same as a copy, beside the files */
};

/* Says where lines go from now on. */
void log_to_stderr(enum log_stderr how);

/* Closes the files, so that the next line opens them again (rotation, SIGHUP, fork). */
void log_close(void);

/* Debugging (-d): one line to standard error with the process id, nothing unless on. */
void debug_on(bool on);
bool debug_enabled(void);
void debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
