/*
 * The things that travel between rooms: host, address, message, session, delivery, and the context
 * an expansion is evaluated in. They are passed by pointer and live in a pool whose lifetime is
 * said with each. Rooms may add fields; a field says who sets it and when it is unset.
 */
#ifndef CORE_SHARED_H
#define CORE_SHARED_H

#include "base/base.h"
#include "core/option.h"

struct config;
struct router;
struct transport;
struct stream;
struct spool_file;
struct spool_writer;
struct acl_message;
struct queue_note;
struct delivery;
struct tls_facts;
struct authenticator;

/* ---- small variables by name: $acl_m_…, $r_…, $dnslist_text, $sender_rate … ---- */

/* A set of named values; NULL pointers inside a zeroed struct mean empty. */
struct vars {
    struct pool *pool;
    struct map *map; /* name -> struct str * */
};

/* Sets (copies) or, with an unset value, removes. */
void vars_set(struct vars *v, struct str name, struct str value);

/* The value; unset if there is none. */
struct str vars_get(const struct vars *v, struct str name);

/* ---- hosts ---- */

enum { PORT_NONE = -1, MX_NONE = -1 };

/* One address of one remote host. A list is in the order of trial. */
struct host {
    struct host *next;
    struct str name; /* as configured or from DNS, after CNAMEs */
    struct str
        certname;       /* that a certificate must bear: before CNAMEs, unless DNSSEC covers them */
    struct str address; /* text form of IPv4 or IPv6; unset if not looked up yet */
    int port;           /* PORT_NONE: the transport's */
    int mx;             /* MX preference; MX_NONE: not from MX */
    int sort;           /* random part of the order among equals */
    bool dnssec;        /* name and address came with the AD bit */
    enum host_status { HOST_UNKNOWN, HOST_USABLE, HOST_UNUSABLE, HOST_UNUSABLE_EXPIRED } status;
    enum host_why { WHY_NONE, WHY_RETRY, WHY_DEFERRED, WHY_FAILED, WHY_IGNORED } why;
    int last_try; /* age of the last try, 0 if none */
};

/* ---- addresses ---- */

/*
 * Our own reasons in basic_errno (below zero; above are errno values). The numbers show in log
 * lines ("defer (-22)") and are Exim's.
 */
enum delivery_errno {
    ERRNO_UNKNOWNERROR = -1,
    ERRNO_USERSLASH = -2,
    ERRNO_EXISTRACE = -3,
    ERRNO_NOTREGULAR = -4,
    ERRNO_NOTDIRECTORY = -5,
    ERRNO_BADUGID = -6,
    ERRNO_BADMODE = -7,
    ERRNO_INODECHANGED = -8,
    ERRNO_LOCKFAILED = -9,
    ERRNO_BADADDRESS = -10,
    ERRNO_FORBIDPIPE = -11,
    ERRNO_FORBIDFILE = -12,
    ERRNO_FORBIDREPLY = -13,
    ERRNO_MISSINGPIPE = -14,
    ERRNO_MISSINGFILE = -15,
    ERRNO_MISSINGREPLY = -16,
    ERRNO_BADREDIRECT = -17,
    ERRNO_SMTPCLOSED = -18,
    ERRNO_SMTPFORMAT = -19,
    ERRNO_SPOOLFORMAT = -20,
    ERRNO_NOTABSOLUTE = -21,
    ERRNO_QUOTA = -22, /* more_errno: seconds since the mailbox was last read */
    ERRNO_HELD = -23,
    ERRNO_FILTER_FAIL = -24,
    ERRNO_CHHEADER_FAIL = -25,
    ERRNO_WRITEINCOMPLETE = -26,
    ERRNO_EXPANDFAIL = -27,
    ERRNO_GIDFAIL = -28,
    ERRNO_UIDFAIL = -29,
    ERRNO_BADTRANSPORT = -30,
    ERRNO_MBXLENGTH = -31,
    ERRNO_UNKNOWNHOST = -32,
    ERRNO_FORMATUNKNOWN = -33,
    ERRNO_BADCREATE = -34,
    ERRNO_LISTDEFER = -35,
    ERRNO_DNSDEFER = -36,
    ERRNO_TLSFAILURE = -37,
    ERRNO_TLSREQUIRED = -38,
    ERRNO_CHOWNFAIL = -39,
    ERRNO_PIPEFAIL = -40,
    ERRNO_CALLOUTDEFER = -41,
    ERRNO_AUTHFAIL = -42,
    ERRNO_CONNECTTIMEOUT = -43,
    ERRNO_RCPT4XX = -44, /* these three: more_errno is ERRNO_SMTP_CODE(reply code) */
    ERRNO_MAIL4XX = -45,
    ERRNO_DATA4XX = -46,
    ERRNO_PROXYFAIL = -47,
    ERRNO_AUTHPROB = -48,
    ERRNO_UTF8_FWD = -49,
    ERRNO_HOST_IS_LOCAL = -50,
    ERRNO_TAINT = -51,
    ERRNO_RRETRY = -52, /* not tried: a retry time is not reached. Nothing new to record. */
    ERRNO_LRETRY = -53,
    ERRNO_HRETRY = -54,
    ERRNO_LOCAL_ONLY = -55,
    ERRNO_QUEUE_DOMAIN = -56,
    ERRNO_TRETRY = -57
};

/*
 * more_errno of ECONNREFUSED and ETIMEDOUT at a remote host: 'M' if it came from an MX record, else
 * 'A'; for a timeout while connecting ERRNO_CONNECTING is added.
 */
enum { ERRNO_FROM_MX = 'M', ERRNO_FROM_A = 'A', ERRNO_CONNECTING = 256 };
#define ERRNO_SMTP_CODE(code) (((code) % 100) << 8)

/* What became of an address at a router, a transport or in verification. */
enum outcome {
    ADDR_PENDING,
    ADDR_OK, /* delivered / verified */
    ADDR_DEFER,
    ADDR_FAIL,
    ADDR_DISCARD /* accepted and dropped (:blackhole:) */
};

/*
 * One recipient on its way, or one verified address. Made from an envelope recipient or by a
 * router from a parent. Lives in the pool of the delivery (or of the verification).
 */
/* What a named list said about a subject: expand/ makes them and reads them. */
struct match_memo;

struct address {
    struct address *next;     /* in the list it stands in */
    struct match_memo *known; /* answers of named lists about it, newest first */
    struct address *parent;   /* whose redirection made it; NULL for an envelope recipient */
    struct str address;       /* full, as it was written */
    struct str unique;        /* key for the journal and for duplicates */
    struct str local_part;    /* without affixes, lower-cased unless caseful */
    struct str cc_local_part; /* case as received, with affixes */
    struct str domain;
    struct str prefix, suffix;               /* stripped affixes */
    struct str prefix_v, suffix_v;           /* the variable part of a wildcard affix */
    struct str local_part_data, domain_data; /* untainted, from matching lookups */
    struct str address_data;
    struct vars vars;                             /* $r_… */
    struct str errors_to;                         /* bounces go here; unset: the message's sender */
    bool errors_to_empty;                         /* errors_to was set to <> */
    struct str extra_headers;                     /* headers_add, complete lines */
    struct strvec remove_headers;                 /* headers_remove, names */
    struct str home;                              /* $home */
    const struct etext *home_option, *cwd_option; /* the router's, for a local delivery, or NULL */
    bool uid_set, gid_set, initgroups;
    uint32_t uid, gid;
    bool local_user_known; /* check_local_user succeeded */
    uint32_t local_user_uid, local_user_gid;
    struct str local_user_home; /* $home of local deliveries unless an option says another */
    struct str self_hostname;
    const struct router *router;       /* that handles, or accepted, it */
    const struct router *start_router; /* where its routing begins; NULL: at the first */
    const struct transport *transport;
    struct host *hosts; /* for a remote transport */
    struct host *fallback_hosts;
    bool fallback_set;    /* the transport gave its own fallback hosts, once */
    struct str pipe_file; /* |command, /file or >reply text of a generated address */
    enum { AK_NORMAL, AK_FILE, AK_PIPE, AK_REPLY, AK_DIRECTORY } kind;
    bool one_time; /* its redirection is not to be repeated: its children replace it */
    bool one_time_done, verified_local, unseen_child;
    bool hide_child;    /* bounces name the envelope recipient instead */
    bool log_as_local;  /* router's choice for log lines */
    bool share_routing; /* same_domain_copy_routing: its hosts are good for the whole domain */
    bool defer_for_host_retry;
    int child_count; /* children not finished yet */
    int dsn_flags;   /* enum dsn_notify bits */
    struct str dsn_orcpt;
    /* result, set by whoever ended the address */
    enum outcome outcome;
    int basic_errno; /* errno, or an ERRNO_… of queue/ */
    int more_errno;
    struct str message;      /* for the log and the bounce */
    bool pass_message;       /* a transport's message may be told the sender */
    bool shown_affixes;      /* a transport was given it with its affixes */
    bool keep_message;       /* a router's message is for the log alone */
    struct str user_message; /* for the SMTP reply in verification, and what reports say instead */
    struct str special_action; /* freeze and the like */
    struct host *host_used;
    int host_used_port;
    struct str confirmation; /* the final reply of the remote host */
    struct str file_used;    /* appendfile: where it was written */
    int64_t size_delivered;
    bool all_parents_logged;
    struct str retry_key; /* set: a refused recipient waits for this sender only */
    bool no_retry;        /* the deferral is not the address's own: no retry record for it; set by a
                             local transport it is a fault for the panic log */
    bool timed_out;       /* failed because retry time-outs of all hosts have passed */
    bool pipelining_used, chunking_used, continued; /* of the SMTP conversation */
    bool return_output;    /* a pipe's `output` goes back to the sender, whatever the outcome */
    struct str output;     /* what a command wrote (return_output and kin), tainted */
    bool dsn_lasthop;      /* the router does not want that */
    bool dsn_relayed;      /* the next host took over the duty to report (RFC 3461) */
    struct timespec tried; /* when the delivery was begun and when it ended */
    struct timespec ended;
    struct queue_note *note;     /* what queue/ remembers of it */
    const struct tls_facts *tls; /* of the connection it was tried over; NULL: in clear */
};

enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 };

/* ---- messages ---- */

/* One header with its lines and final newline. */
struct header {
    struct header *next;
    struct str text; /* name, colon, body, newline(s); LF line ends */
    char type; /* ' ' other, '*' deleted or rewritten, or Exim's letter: B C F I P R S T … */
};

/* An envelope recipient. */
struct recipient {
    struct str address;
    struct str errors_to; /* one_time redirections */
    int dsn_flags;
    struct str orcpt;
    int parent; /* index of the recipient that made it (one_time), -1: none */
};

/*
 * A message: envelope, headers, counters. Filled by reception, or by the spool reader for
 * delivery. Pool lifetime: one reception or one delivery attempt.
 */
struct message {
    struct pool *pool;
    struct match_memo *sender_known; /* answers of named lists about the sender */
    struct str id;                   /* unset before it is known */
    struct timespec received;
    struct timespec received_complete;
    struct str sender; /* envelope sender; empty for a bounce */
    bool sender_set;   /* MAIL was accepted (an empty sender is set as well) */
    struct recipient *recipients;
    size_t recipient_count, recipient_alloc;
    struct header *headers, **headers_last;
    struct str received_protocol;
    struct session *session_facts; /* host, helo, ident, auth as recorded; never NULL after load */
    struct vars acl_m, acl_c;
    int64_t body_size;          /* bytes, LF line ends */
    int64_t size;               /* $message_size: headers and body */
    int body_lines, line_count; /* $body_linecount, $message_linecount */
    int body_zerocount;
    int max_line;       /* $max_received_linelength */
    int received_count; /* Received: lines */
    bool smtp_batched, local, local_error_message, allow_unqualified_sender, allow_unqualified_rcpt;
    bool sender_set_untrusted; /* by -f, by a caller who is not trusted but may do so */
    bool deliver_firsttime, frozen, manually_thawed, suppress_local_fixups, dont_deliver;
    bool queue_only_policy, fake_reject, eight_bit, body_8bit_declared, smtputf8, spool_wireformat;
    bool has_bcc, no_reply;
    int body_type; /* MAIL BODY=: 7, 8; 0: not given */
    time_t frozen_at, deliver_warned_at;
    int warning_count;
    struct str originator_login;
    uint32_t originator_uid, originator_gid;
    struct str auth_sender; /* MAIL AUTH= */
    struct str dsn_envid;
    int dsn_ret; /* 0 unset, 1 HDRS, 2 FULL */
    struct str interface_note;
    struct str queue_name;
    struct strvec delivered;           /* addresses that are done (journal) */
    struct spool_file *spool;          /* open spool file; NULL if none */
    struct str body_text;              /* the body, where there is no spool file (-bem) */
    struct spool_writer *spool_writer; /* while it is being received; NULL otherwise */
    struct str pending_msglog;         /* first lines of the message log, kept in the spool file */
    bool no_msglog;                    /* message_logs is off: nothing is collected */
    bool msglog_on_disk;               /* a message log file was written */
    struct str return_path;            /* while a transport runs */
    /* -- while one is being received -- */
    bool making_received; /* its Received: is being made: $received_for tells */
    int rcpt_count, rcpt_fail_count, rcpt_defer_count, recipients_discarded;
    size_t recipients_removed; /* -t: addresses in header lines that arguments took away */
    struct str fake_reply;     /* text for control = fakereject / fakedefer */
    enum { FAKE_NONE, FAKE_DEFER, FAKE_REJECT } fake;
    struct str submission_domain, submission_name;
    bool prdr;      /* MAIL asked for a reply for each recipient */
    bool prdr_some; /* not all recipients got the message then */
    bool submission, sender_retain, freeze_requested, freeze_no_tell, deliver_queue;
    struct str freeze_reason;
    struct acl_message *acl;      /* what ACLs noted for this message; acl/ makes it on demand */
    bool queue_first_pass;        /* control = queue/first_pass_route */
    struct str message_reference; /* -oMm */
    struct str raw_sender, raw_recipients; /* before rewriting and as given, for log lines */
};

/* Appends a header; type as in struct header. The text is copied. */
struct header *message_add_header(struct message *m, char type, struct str text);

/* Appends a recipient; the address is copied. */
struct recipient *message_add_recipient(struct message *m, struct str address);

/* ---- sessions ---- */

/* A conversation (SMTP over TCP, -bs, -bS) or a local submission. Pool lifetime: the connection. */
struct session {
    struct pool *pool;
    struct match_memo *host_known; /* answers of named lists about the host */
    struct str host_address;       /* unset: not over TCP */
    int host_port;
    struct str interface_address;
    int interface_port;
    struct str host_name;   /* looked up; unset if not (yet) known */
    bool host_name_unshown; /* looked up too late for log lines and Received: until the next HELO */
    struct strvec host_aliases;
    bool host_lookup_done, host_lookup_failed, host_lookup_deferred;
    struct str host_lookup_why; /* of a failed lookup, as it stands in brackets in log lines */
    struct str helo_name;       /* argument of HELO or EHLO */
    bool helo_verified, helo_checked, esmtp, local, batched, starttls_used, tls_on_connect;
    bool sender_host_unknown, host_checking, notsocket;
    struct str ident; /* caller's login for local, RFC 1413 otherwise */
    struct str active_hostname;
    struct str callout_address; /* the host of the last callout, [ADDRESS]:PORT */
    struct str auth_id, auth_sender, auth_mechanism;
    struct str protocol; /* smtp, esmtp, local-smtp, … */
    struct vars acl_c;
    struct vars facts; /* results of ACL conditions by variable name */
    struct timespec connected;
    int64_t last_command_at;
    int mail_count, nonmail_count, synprot_errors, unknown_commands, rcpt_total;
    struct stream *stream;
    const struct strvec *smtp_history; /* commands so far; NULL: none */
    int connections_at_start;          /* $smtp_count_at_connection_start */
    struct str smtp_command;           /* current command line, for $smtp_command */
    struct str notquit_reason;
    uint32_t caller_uid, caller_gid;
    bool caller_trusted, caller_admin;
    struct str caller_login, caller_name;
    bool pipelining, no_enforce_sync, no_pipelining_advertise, proxy;
    struct str proxy_local_address, proxy_external_address;
    int proxy_local_port, proxy_external_port;
    struct strvec acl_stack;
    struct strvec
        rates_done; /* ratelimit per_conn: what was counted already, see acl/ratelimit.c */
    bool no_multiline_responses, no_delay_flush, no_callout_flush, allow_unadvertised_auth;
    bool pipelining_advertised, pipelining_used, enforce_sync;
    struct tls_facts *tls; /* of the connection the message came over; NULL: in clear */
    const struct authenticator *authenticator; /* that authenticated the client; NULL: none */
};

/* True if HELO said just what is known anyway: the host's name or its address literal. */
bool session_helo_is_known(const struct session *s);

/* The H= text of Exim's log lines: "name (helo) [addr]:port", by the selectors. Never unset. */
struct str session_fullhost(struct pool *pool, const struct session *s, bool with_port);

/* "SMTP connection from …" as log lines write it: the host, or for local callers who they are. */
struct str session_connection(struct pool *pool, const struct session *s);

/* ---- deliveries ---- */

/*
 * What a transport asks and tells while it works. The pointers are set by queue/ and are never NULL
 * there; in verification `hooks` is NULL.
 */
struct delivery_hooks {
    /*
     * Before a host is tried: false if it has to wait, with h->status HOST_UNUSABLE, or
     * HOST_UNUSABLE_EXPIRED if it has failed past all its retry rules; h->why is WHY_RETRY.
     */
    bool (*host_check)(struct delivery *d, struct host *h);
    /*
     * The host failed for now: reason's basic_errno, more_errno and message say how. of_message:
     * only this message is affected (4xx to MAIL or DATA, timeout after DATA), not the host.
     */
    void (*host_failed)(struct delivery *d, struct host *h, const struct address *reason,
                        bool of_message);
    /* The host took a connection and greeted well: past failures are forgotten. */
    void (*host_worked)(struct delivery *d, struct host *h);
    /*
     * The recipient was accepted for good (outcome ADDR_OK with its facts set). To be called before
     * anything else is said to the peer: writes the journal.
     */
    void (*delivered)(struct delivery *d, struct address *a);
    /* True if other messages wait for this host: its connection is worth keeping for them. */
    bool (*others_wait)(struct delivery *d, const struct host *h);
    /* The message waits for these hosts (linked by next): nothing was wrong with it. */
    void (*waits)(struct delivery *d, const struct host *hosts);
    /*
     * Sends a message of our own from <>: recipients separated by commas, a block of headers, the
     * text. False: it could not be kept, which has been logged. owner is the delivery's.
     */
    bool (*submit)(void *owner, struct str to, struct str headers, struct str body);
};

/* What a transport works on: one message, the addresses that share the transport call, one host. */
struct delivery {
    struct pool *pool;
    struct message *msg;
    struct address *addrs; /* linked by next; at least one */
    const struct transport *transport;
    struct host *host; /* being tried; NULL for a local transport */
    struct str return_path;
    uint32_t uid, gid; /* to run as */
    struct str home, cwd;
    struct str writing_to; /* a mailbox file, for messages; unset: something else */
    struct str sending_ip; /* our end of the connection */
    int sending_port;
    const struct delivery_hooks *hooks; /* NULL in verification */
    void *owner;                        /* of whoever set the hooks */
    int host_port; /* port of the host being tried, for retry keys and logs; set by the transport */
    bool connection_broken; /* the conversation ended so that not even QUIT is due */
    bool keep_open;         /* another delivery may follow: the transport may keep its connection */
    bool continued;         /* over a connection that an earlier delivery made */
    bool only_kept;         /* over no other */
    bool passed_over;       /* set if there was none that would do */
    bool reset_due;         /* the transaction was not ended by an answer to its data */
    bool host_refused;      /* the last host tried refused the session for good */
    bool retry_with_ip;     /* the transport's retry_include_ip_address */
    struct tls_facts *tls;  /* of the connection; NULL: in clear, or not yet encrypted */
    struct str address_file, address_pipe;
    struct str rcpt_list;                 /* $recipients for a pipe */
    struct str inode, mailstore_basename; /* while appendfile expands names of files */
};

/* ---- evaluation ---- */

struct scope; /* numbered variables, $value, $item …: expand/ */

/* What an expansion may look at. No evaluation reads anything else but the configuration. */
struct ectx {
    const struct config *conf;
    struct pool *pool; /* results live here */
    struct session *sess;
    struct message *msg;
    struct address *addr;
    struct delivery *dlv;
    struct scope *scope;
    const struct router *router;
    struct str error; /* why the last evaluation failed */
    bool forced_fail; /* it failed by {fail} */
    bool defer;       /* it failed for now: a lookup could not be done */
    bool testing;     /* -be, -bt, -bv, -bh: say what would be done */
    bool verifying, verifying_sender, expn, address_testing;
    bool queue_running; /* a queue run delivers */
    int depth;          /* nesting of ACLs and expansions, bounded */
    int runrc;          /* $runrc: exit status of the last ${run */
};

/* A variable: one row beside the code that knows its value. Name ends in '*' for a prefix row. */
struct variable {
    const char *name; /* NULL ends a table */
    /* The value, or unset for none (an empty expansion). name is the full name asked for. */
    struct str (*get)(struct ectx *x, struct str name);
    const char *doc;
};

#endif
