/* The one public header of acl/: access control lists, address verification, ratelimit, dnslists. */
#ifndef ACL_ACL_H
#define ACL_ACL_H

#include "queue/queue.h"

extern const struct module acl_module;

/* Where an ACL runs; bits so that rows can say where they are allowed. */
enum acl_where {
    ACL_RCPT = 1 << 0,
    ACL_MAIL = 1 << 1,
    ACL_PREDATA = 1 << 2,
    ACL_MIME = 1 << 3,
    ACL_DKIM = 1 << 4,
    ACL_DATA = 1 << 5,
    ACL_PRDR = 1 << 6,
    ACL_NOTSMTP = 1 << 7,
    ACL_AUTH = 1 << 8,
    ACL_CONNECT = 1 << 9,
    ACL_ETRN = 1 << 10,
    ACL_EXPN = 1 << 11,
    ACL_HELO = 1 << 12,
    ACL_MAILAUTH = 1 << 13,
    ACL_NOTSMTP_START = 1 << 14,
    ACL_NOTQUIT = 1 << 15,
    ACL_QUIT = 1 << 16,
    ACL_STARTTLS = 1 << 17,
    ACL_VRFY = 1 << 18
};

/* The name of a phase as log lines and errors have it: "RCPT", "connection", "EHLO or HELO" … */
const char *acl_where_name(enum acl_where where);

/* What may stand in a statement. For the manual. */
struct acl_word {
    const char *name, *doc;
    bool modifier, supported;
};

/* The i-th condition or modifier; false behind the last. */
bool acl_word(size_t i, struct acl_word *out);

enum acl_result { ACL_ACCEPT, ACL_DENY, ACL_DROP, ACL_DEFER, ACL_DISCARD, ACL_ERROR };

/* What to tell the client and the log. */
struct acl_reply {
    struct str user; /* may be several lines, may start with a code (smtp_in checks it) */
    struct str log;
    unsigned log_target;        /* enum log_where; 0: a rejection is not logged */
    bool temp_details;          /* the client may see `user` with a temporary refusal */
    bool return_details;        /* smtp_return_error_details */
    struct address *bad_sender; /* the sender whose verification failed in this run, or NULL */
};

/* What ACLs noted for one message. Made by acl_note(); lives in the message's pool. */
struct acl_message {
    struct header
        *added; /* header lines to add; type 't' start, 'r' after Received, 'f' rfc, 'b' end */
    struct strvec removed;     /* names of header lines to remove */
    struct strvec warned;      /* warnings that were logged */
    struct address *senders;   /* senders verified so far (linked by next) */
    struct str verify_message; /* $acl_verify_message: what the last verification told */
    struct str dnslist_domain, dnslist_matched, dnslist_text, dnslist_value;
    struct str sender_rate, sender_rate_limit, sender_rate_period;
    struct str sender_verify_failure, recipient_verify_failure;
    struct str sender_data, recipient_data, host_data, address_data, sender_address_data;
    struct strvec rates_mail, rates_cmd; /* ratelimit results so far, see ratelimit.c */
    bool told_bad_sender;                /* the client and the log know why the sender failed */
    bool pm_fail, null_sender_fail;      /* which kind of callout refusal it was */
    unsigned where;                      /* the phase whose ACL is running; 0: none */
    char verify_mode;                    /* 'S' or 'R' while an address is verified */
};

/* The notes of the message, made on demand. */
struct acl_message *acl_note(struct message *m);

/* "H=host [addr] U=ident" of log lines (without `H=` or `U=` if !flag); ident alone if not over TCP. */
struct str acl_host_and_ident(struct pool *pool, const struct session *s, bool flag);

/* Reads one logical line of the ACL section ("name:", verb lines). False after reporting. */
bool acl_read_line(struct opt_reader *r, struct str line);

/* After all sections: resolves acl = name. */
bool acl_link(struct config *conf, struct opt_reader *r);

/*
 * Runs the ACL that the option names (a name, a file, or text). An unset option: ACL_ACCEPT, except
 * for RCPT where smtp_in decides. x->addr is the recipient for RCPT.
 */
enum acl_result acl_run(struct ectx *x, enum acl_where where, const struct etext *opt,
                        struct acl_reply *reply);

/*
 * Checks the name HELO or EHLO gave against the client's address, once per session: sets
 * s->helo_verified and s->helo_checked. False if it could not be told for now.
 */
bool acl_verify_helo(struct ectx *x);

/* How verify went; the words are in a->message / a->user_message. */
enum verify_result { VERIFY_OK, VERIFY_FAIL, VERIFY_DEFER };

/* Verifies an address by routing (and callout, if `callout` is set: "30s,defer_ok,…"). */
enum verify_result verify_address(struct ectx *x, struct str address, bool is_sender,
                                  struct str callout, struct address **result);

#endif
