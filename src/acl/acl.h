/* The one public header of acl/: access control lists, address verification, ratelimit, dnslists. */
#ifndef ACL_ACL_H
#define ACL_ACL_H

#include "queue/queue.h"

extern const struct module acl_module;

/* Where an ACL runs; bits so that rows can say where they are allowed. */
enum acl_where {
    ACL_RCPT = 1 << 0, ACL_MAIL = 1 << 1, ACL_PREDATA = 1 << 2, ACL_MIME = 1 << 3, ACL_DKIM = 1 << 4,
    ACL_DATA = 1 << 5, ACL_PRDR = 1 << 6, ACL_NOTSMTP = 1 << 7, ACL_AUTH = 1 << 8, ACL_CONNECT = 1 << 9,
    ACL_ETRN = 1 << 10, ACL_EXPN = 1 << 11, ACL_HELO = 1 << 12, ACL_MAILAUTH = 1 << 13,
    ACL_NOTSMTP_START = 1 << 14, ACL_NOTQUIT = 1 << 15, ACL_QUIT = 1 << 16, ACL_STARTTLS = 1 << 17,
    ACL_VRFY = 1 << 18
};

enum acl_result { ACL_ACCEPT, ACL_DENY, ACL_DROP, ACL_DEFER, ACL_DISCARD, ACL_ERROR };

/* What to tell the client and the log. */
struct acl_reply {
    struct str user; /* may be several lines, may start with a code (smtp_in checks it) */
    struct str log;
};

/* Reads one logical line of the ACL section ("name:", verb lines). False after reporting. */
bool acl_read_line(struct opt_reader *r, struct str line);

/* After all sections: resolves acl = name. */
bool acl_link(struct config *conf, struct opt_reader *r);

/*
 * Runs the ACL that the option names (a name, a file, or text). An unset option: ACL_ACCEPT, except
 * for RCPT where smtp_in decides. x->addr is the recipient for RCPT.
 */
enum acl_result acl_run(struct ectx *x, enum acl_where where, const struct etext *opt, struct acl_reply *reply);

/* How verify went; the words are in a->message / a->user_message. */
enum verify_result { VERIFY_OK, VERIFY_FAIL, VERIFY_DEFER };

/* Verifies an address by routing (and callout, if `callout` is set: "30s,defer_ok,…"). */
enum verify_result verify_address(struct ectx *x, struct str address, bool is_sender, struct str callout,
                                  struct address **result);

#endif
