/* What the files of smtp_in/ share: settings, the conversation, command parsing, body reading, reception. */
#ifndef SMTP_IN_INTERNAL_H
#define SMTP_IN_INTERNAL_H

#include "auth/auth.h"
#include "smtp_in/smtp_in.h"
#include "tls/tls.h"

/* ---- settings ---- */

struct smtp_in_settings {
    struct etext acl_not_smtp, acl_not_smtp_start, acl_smtp_connect, acl_smtp_data,
        acl_smtp_data_prdr, acl_smtp_etrn, acl_smtp_expn, acl_smtp_helo, acl_smtp_mail,
        acl_smtp_mailauth, acl_smtp_notquit, acl_smtp_predata, acl_smtp_quit, acl_smtp_rcpt,
        acl_smtp_starttls, acl_smtp_vrfy;
    bool prdr_enable;
    bool accept_8bitmime, delivery_date_remove, envelope_to_remove, return_path_remove,
        extract_addresses_remove_arguments, ignore_fromline_local, local_from_check,
        local_sender_retain, recipients_max_reject, smtp_accept_keepalive, smtp_check_spool_space,
        smtp_enforce_sync, smtp_etrn_serialize, tcp_nodelay;
    int header_line_maxsize, header_maxsize, received_headers_max, receive_timeout, recipients_max,
        rfc1413_query_timeout, smtp_accept_max, smtp_accept_max_nonmail, smtp_accept_queue,
        smtp_accept_queue_per_connection, smtp_accept_reserve, smtp_max_synprot_errors,
        smtp_max_unknown_commands, smtp_connect_backlog, smtp_load_reserve;
    struct etext message_size_limit;
    struct etext chunking_advertise_hosts, dsn_advertise_hosts, helo_accept_junk_hosts,
        helo_try_verify_hosts, helo_verify_hosts, host_lookup, host_reject_connection,
        hosts_connection_nolog, hosts_require_helo, ignore_fromline_hosts,
        pipelining_advertise_hosts, recipient_unqualified_hosts, rfc1413_hosts,
        sender_unqualified_hosts, smtp_accept_max_nonmail_hosts, smtp_ratelimit_hosts,
        smtp_reserve_hosts;
    struct etext helo_lookup_domains, untrusted_set_sender;
    struct str helo_allow_chars, local_from_prefix, local_from_suffix, gecos_pattern,
        uucp_from_pattern;
    struct str smtp_ratelimit_mail, smtp_ratelimit_rcpt;
    struct etext message_id_header_domain, message_id_header_text, received_header_text,
        smtp_active_hostname, smtp_banner, smtp_receive_timeout, smtp_accept_max_per_host,
        smtp_accept_max_per_connection, smtp_etrn_command, gecos_name, uucp_from_sender,
        unknown_username, unknown_login;
};

/* The settings of smtp_in/. */
const struct smtp_in_settings *smtp_in_settings(const struct config *conf);

extern const struct option smtp_in_options[];
extern const struct variable smtp_in_variables[];

/* ---- commands (parse.c) ---- */

enum smtp_cmd {
    CMD_RSET,
    CMD_HELO,
    CMD_EHLO,
    CMD_AUTH,
    CMD_STARTTLS,
    CMD_MAIL,
    CMD_RCPT,
    CMD_DATA,
    CMD_BDAT,
    CMD_QUIT,
    CMD_NOOP,
    CMD_ETRN,
    CMD_VRFY,
    CMD_EXPN,
    CMD_HELP,
    CMD_COUNT,
    CMD_UNKNOWN = CMD_COUNT,
    CMD_BAD_ARG,
    CMD_NUL,
    CMD_TOO_LONG
};

/* A command line taken apart; strings are views of the line. */
struct smtp_line {
    enum smtp_cmd cmd;
    enum smtp_cmd named; /* for CMD_BAD_ARG: which command it was */
    struct str text;     /* the line without its end and trailing white space */
    struct str arg;      /* behind the keyword */
};

/* Recognises the command of a line (without CRLF). Pure. */
struct smtp_line smtp_parse_line(struct str line);

/* The argument of MAIL or RCPT: a path, and what follows it. */
struct smtp_path {
    struct str path;   /* with its angle brackets, if it had any */
    struct str params; /* the rest, without leading blanks */
};
struct smtp_path smtp_parse_path(struct str arg);

/*
 * Takes the last NAME or NAME=VALUE off the parameters, as Exim does: it shows in which of several
 * faults is told. The value begins behind the last '='; without one it is the name once more. A
 * name before '=' that is not of letters comes as "". False if there are none left.
 */
bool smtp_last_param(struct str *params, struct str *name, struct str *value);

/* BDAT's "SIZE [LAST]"; false if it is not that. */
bool smtp_parse_bdat(struct str arg, uint64_t *size, bool *last);

/* A HELO name: RFC 5321 syntax, extra characters allowed. */
bool smtp_helo_ok(struct str name, struct str extra);

/* ---- message data (data.c) ---- */

/* How the bytes of a message come. */
enum data_mode {
    DATA_SMTP,  /* only CRLF.CRLF ends it, CR and LF alone are faults; dots are unstuffed */
    DATA_LOCAL, /* SMTP from a local process: LF ends a line as well */
    DATA_DOT,   /* a message on standard input that a line with one dot ends */
    DATA_RAW    /* up to the end of input, or of a BDAT chunk */
};

/* Where the reader stands between two feeds. */
struct data_reader {
    enum data_mode mode;
    enum { DS_BOL, DS_LINE, DS_CR, DS_DOT, DS_DOT_CR } state;
    bool bare_lf, bare_cr; /* seen one in DATA_SMTP */
    bool bad_end;          /* a lone dot between line ends of which one was not CRLF */
    bool odd_bol;          /* the line began after a bare CR or LF */
    bool lf_alone;         /* the last line end given to put was a bare LF */
    bool done;
    bool (*put)(void *closure, const char *p, size_t n); /* text with LF line ends */
    void *closure;
    bool failed; /* put said so */
};

/* Feeds bytes; returns how many were taken (fewer only once r->done). */
size_t data_feed(struct data_reader *r, const char *p, size_t n);

/* Ends input that no dot ends: a pending CR becomes a line end. */
void data_end(struct data_reader *r);

/* ---- the conversation ---- */

/* Why a conversation ends. */
enum conv_end { GO_ON, END_QUIT, END_DROP, END_LOST };

struct conv {
    const struct config *conf;
    const struct smtp_in_settings *set;
    struct session *sess;
    struct message *msg; /* the transaction in hand; its pool is emptied by reset */
    struct pool *msg_pool;
    struct ectx x; /* over the above; x.pool is msg_pool */
    struct stream *io;
    int receive_timeout;          /* smtp_receive_timeout, seconds; 0: none */
    const struct smtp_peer *peer; /* NULL: not TCP of our own */
    const struct submission *sub; /* NULL: TCP */
    bool tcp;                     /* the client is a TCP client (whoever accepted it) */
    bool notcp;                   /* -bs from a local process, -oMa or not */
    bool batch;                   /* -bS */
    bool lenient;                 /* -bh: lines may end in LF alone */
    bool sender_unqualified, rcpt_unqualified, helo_junk;
    bool helo_seen, ehlo, helo_verify_required, helo_verify, advertised_pipelining,
        advertised_chunking, advertised_dsn, advertised_8bit, count_nonmail, count_nonmail_known,
        rset_free, helo_free, ehlo_free, nolog, in_bdat, bdat_last, bdat_refused, no_mail_logged,
        data_sync_fault, quit_seen;
    bool starttls_free, advertised_tls, tls_at_once;
    bool tls_failed;   /* nothing but QUIT is taken any more */
    bool mail_refused; /* the last command was a MAIL that failed, or a RCPT behind it */
    bool last_was_rcpt, too_many_rcpts, discarded;
    bool rcpt_unanswered;           /* the next reply is the one to a RCPT */
    struct str rcpt_reply;          /* the first reply to a RCPT; unset: none yet */
    bool rcpt_replies_same;         /* all of them so far were alike */
    bool chunked;                   /* the message came by BDAT */
    uint64_t bdat_size, bdat_total; /* last chunk and sum */
    int queue_smtp;                 /* messages so far that were not queued only */
    uint64_t size_limit;            /* message_size_limit, 0: none */
    struct str cmd;                 /* the command line in hand */
    struct str cmd_arg;             /* its argument for log lines; unset: none */
    struct strvec history;          /* the last commands, for log lines */
    bool history_cut;               /* there were more */
    int messages;                   /* MAIL transactions, for smtp_accept_max_per_connection */
    int max_per_connection;
    int exit_status; /* of a local caller */
    int lines;       /* of a batch, read so far */
    int batch_start; /* of them before the transaction in hand */
    bool batch_over; /* an error was told of, and ended it */
    double rate_mail_delay, rate_rcpt_delay;
    bool load_latched;   /* queue_only_load_latch: a message had to wait, so do all others */
    double latched_load; /* the load average that it had to wait for */
};

/* Sends one line, CRLF added. */
void reply(struct conv *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Sends a reply of one or more lines, each with the code ("550 " or "550 5.7.1 "); `final` tells
 * whether more follow it.
 */
void reply_lines(struct conv *c, struct str code, bool final, struct str text);

/*
 * Where the client asked for PRDR and there are several recipients: asks about each, answers for
 * each, and takes off those that do not get the message. False if nobody does: all is answered.
 */
bool prdr_ask(struct conv *c);

/* Takes a code off the front of an ACL's message where it has one that fits; *code is replaced. */
void reply_code(struct pool *pool, struct str *code, struct str *text, struct str *log, bool check);

/* The text with long lines broken at blanks, as replies have it. */
struct str reply_split(struct pool *pool, struct str text);

/* Refuses after an ACL said so: replies, logs. END_DROP if the connection is to be dropped. */
enum conv_end reply_acl(struct conv *c, enum acl_where where, enum acl_result rc,
                        struct acl_reply *r);

/* Counts and answers a syntax or protocol error; code 0: no reply. */
enum conv_end reply_error(struct conv *c, bool protocol, int code, struct str data,
                          const char *text);

/* An error in a batch of SMTP: tells the caller, and ends the batch. */
void batch_failed(struct conv *c, struct str answer);

/* Counts a syntax or protocol error; true, and logged, if there were too many. */
bool reply_count_error(struct conv *c);

/* "H=…" of the client; plain without H=. */
struct str conv_who(struct conv *c, bool flag);

/* Runs an ACL of the conversation. */
enum acl_result conv_acl(struct conv *c, enum acl_where where, const struct etext *acl,
                         struct acl_reply *r);

/* The qualified address of RCPT or VRFY as its ACL sees it in x->addr; lives as long as the transaction. */
struct address *conv_acl_address(struct conv *c, const struct mailbox *m);

/* Forgets the transaction. */
void conv_reset(struct conv *c);

/* Sets up a conversation around a session; memory from the session's pool. */
void conv_init(struct conv *c, const struct config *conf, struct session *s);

/* Frees the conversation's pools, the session's included. */
void conv_free(struct conv *c);

/* Reads and answers commands to the end. Returns why it ended. */
enum conv_end conv_run(struct conv *c);

/* Reads the next command line and recognises it; END_LOST after dealing with a client that is gone. */
enum conv_end conv_read_command(struct conv *c, struct smtp_line *l);

/* Answers one command. */
enum conv_end conv_command(struct conv *c, const struct smtp_line *l);

/* Runs the not-QUIT ACL for a reason, and sends its words or the default ones (code NULL: none). */
void conv_notquit(struct conv *c, const char *reason, const char *code, const char *text);

/* The last commands, " C=EHLO,MAIL"; empty before the first. */
struct str conv_history(struct conv *c);

/* Ends the conversation with a client that fell silent: logs, says so. */
enum conv_end conv_timed_out(struct conv *c);

/* How long the connection has lasted, "0s". */
struct str conv_age(struct conv *c);

/* "SMTP connection from …" as log lines name the connection. */
struct str conv_name(struct conv *c);

/* True if the start and the end of this connection are logged (log selector smtp_connection,
 * hosts_connection_nolog). */
bool conv_logged(const struct conv *c);

/* Logs a transaction that came to nothing (log selector smtp_incomplete_transaction). */
void conv_incomplete(struct conv *c, const char *what);

/* What the client sent, as log lines show it. */
struct str conv_printable(struct conv *c, struct str s);

/* True if the client may give an address without a domain. */
bool conv_unqualified_ok(struct conv *c, bool recipient);

/* True if the client is in the host list. */
bool conv_host_in(struct conv *c, const struct etext *list);

/* ---- the start of a conversation (accept.c) ---- */

/* Limits, look-ups, connect ACL, banner. GO_ON if commands may come. */
enum conv_end conv_accept(struct conv *c);

/* The same for a batch: nothing is said, no client is looked at. */
void conv_quiet_start(struct conv *c);

/*
 * The login in a reply of RFC 1413, "port , port : USERID : system : login"; unset if there is none.
 * The ports must be those that were asked for. It lives in the pool.
 */
struct str ident_parse(struct pool *pool, struct str line, int theirs, int ours);

/* Asks RFC 1413 who the client is; the session's ident. */
void accept_ident(struct conv *c);

/* ---- encryption (tls.c) ---- */

/* Does the handshake that comes before all else. END_DROP after logging if it fails. */
enum conv_end conv_tls_on_connect(struct conv *c);

/* True if the client is to be offered STARTTLS. */
bool conv_offers_tls(struct conv *c);

/* The protocol's name as $received_protocol has it: "esmtps" … */
struct str conv_protocol(const struct conv *c);

/* ---- commands ---- */

enum conv_end cmd_starttls(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_helo(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_mail(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_rcpt(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_data(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_bdat(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_vrfy(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_expn(struct conv *c, const struct smtp_line *l);
enum conv_end cmd_etrn(struct conv *c, const struct smtp_line *l);

/* Slows MAIL or RCPT down as smtp_ratelimit_… say. */
void conv_ratelimit(struct conv *c, bool rcpt);

/* ---- receiving a message (receive.c) ---- */

/* One message on its way in: headers are collected, the body goes to the spool. */
struct receiver {
    const struct config *conf;
    const struct smtp_in_settings *set;
    struct ectx *x;
    struct session *sess;
    struct message *msg;
    struct spool_writer *spool;
    struct buf header; /* lines of the header in hand */
    struct buf line;   /* the line of the header section in hand */
    bool in_body, first_line_done, smtp, extract;
    int64_t header_bytes; /* of the header section so far */
    int64_t size_limit;   /* 0: none */
    int line_len;
    bool too_big, header_too_big, header_line_too_big, write_failed;
    int write_errno;
    bool last_lf;    /* the last byte written was LF */
    bool from_lines; /* "From " lines at the top may be those of a mailbox file */
    bool resent;
    struct str message_id, subject;           /* for the log line */
    bool message_id_created;                  /* the message came without one */
    struct header *received;                  /* the placeholder of our Received: line */
    struct str arrival;                       /* text of the "<=" line; unset before it is made */
    enum queue_how how;                       /* what to do once the sender has been answered */
    bool chunked;                             /* it came by BDAT */
    const struct data_reader *reader;         /* of a chunked message */
    bool header_lf;                           /* a line of its header ended in LF alone */
    bool sender_forced, name_forced, trusted; /* local: -f, -F were given; the caller is trusted */
    bool from_line_seen;                      /* one of them named the sender */
};

/* Starts reception: id, spool file. False with errno if the spool will not have it. */
bool receive_begin(struct receiver *r, struct ectx *x, bool smtp);

/* data_reader's put. False once nothing more is wanted (r tells why). */
bool receive_put(void *closure, const char *p, size_t n);

/* After the last byte: closes the header section if there was no body. */
void receive_end_input(struct receiver *r);

/*
 * Header fix-ups, envelope rewriting, Received: line; before the DATA ACL. False, after a log line,
 * if the Received: line cannot be made.
 */
bool receive_fixup(struct receiver *r);

/* Puts the header lines in and out that ACLs asked for. */
void receive_acl_headers(struct receiver *r);

/* Makes the message safe and logs it. False with errno if the spool failed. */
bool receive_commit(struct receiver *r, enum queue_how how);

/*
 * Tells the delivery pool, once the sender has its answer. Returns the load average for which this
 * message and those behind it wait, or -1.
 */
double receive_hand_over(struct receiver *r);

/* Sets the size of the message as it would be kept: headers and body. */
void receive_take_size(struct receiver *r);

/* Forgets what was received. */
void receive_abort(struct receiver *r);

/* The Received: line, expanded; unset with a log line if that failed. */
bool receive_make_received(struct receiver *r, struct str *text);

/* " A=mechanism:id" of log lines; nothing if the client was not authenticated. */
void session_log_auth(struct buf *b, const struct session *s);

/* The hints databases of this room. */
extern const struct hint_kind smtp_in_hints[];

/* The "<=" line. */
void receive_log(struct receiver *r);

/* Puts the same at the head of the message's own log, before the message is committed. */
void receive_note(struct receiver *r);

/* Local fix-ups of receive_fixup(): Message-ID, Date, From, Sender (fixup.c). */
void fixup_headers(struct receiver *r);

/* Recipients from the header lines for -t; false if none are left. (extract.c) */
bool extract_recipients(struct receiver *r, const struct strvec *arguments, struct str *errors);

/* ---- local callers (caller.c) ---- */

/* True if the user may say who a message is from. */
bool caller_is_trusted(const struct config *conf, uint32_t uid, uint32_t gid);

/* Fills in the session's caller: login, name, ids. */
void caller_identify(struct ectx *x, const struct submission *sub);

/* The caller's own address. */
struct str caller_address(struct ectx *x);

/* True if the caller may use that envelope sender (trusted, or untrusted_set_sender). */
bool caller_may_send_as(struct ectx *x, struct str sender);

/* Why a message was not taken from a local sender. */
enum moan_kind {
    MOAN_NO_RECIPIENTS,
    MOAN_ADDRESSES,      /* all those in the header lines are bad */
    MOAN_SOME_ADDRESSES, /* some of them */
    MOAN_ARGUMENT,       /* one on the command line is */
    MOAN_REFUSED,        /* by an ACL */
    MOAN_TECHNICAL
};

/* Mails the reason to a local sender, with a copy of the message; false if that cannot be done. */
bool moan(struct ectx *x, enum moan_kind kind, struct str sender, struct str detail,
          const struct message *about, enum queue_how how);

/* Tells freeze_tell of a message that was frozen `by` somebody as it came. */
void moan_frozen(const struct config *conf, const struct message *about, struct str by,
                 enum queue_how how);

#endif
