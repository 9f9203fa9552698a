/* The one public header of smtp_in/: the SMTP server session, and local submission. */
#ifndef SMTP_IN_SMTP_IN_H
#define SMTP_IN_SMTP_IN_H

#include "acl/acl.h"

extern const struct module smtp_in_module;

/* Serves one TCP connection to its end; owns fd. `busy` connections were counted by the caller. */
struct smtp_peer {
    int fd;
    int connections; /* in progress now, this one included (smtp_accept_max…) */
    int from_host;   /* of them from the same address */
    bool tls_on_connect;
    enum queue_how how;       /* the daemon's -od */
    volatile const int *stop; /* set: finish the command in hand, then 421 */
};
void smtp_in_serve(const struct config *conf, const struct smtp_peer *peer);

/*
 * For a daemon, before its workers are forked: has TLS credentials ready that do not depend on the
 * client, so that workers share them. Nothing is said of what is wrong; connections will.
 */
void smtp_in_prepare(const struct config *conf);

/* True if TLS starts at once on connections to the port (tls_on_connect_ports). */
bool smtp_in_tls_port(const struct config *conf, int port);

/* A local submission: the sendmail command, -bs or -bS, as the caller's arguments say. */
struct submission {
    enum { SUBMIT_MESSAGE, SUBMIT_BS, SUBMIT_BATCH, SUBMIT_HOST_CHECK /* -bh */ } mode;
    int in, out, err;         /* descriptors of the caller */
    uint32_t uid, gid;        /* the caller, as the kernel says */
    struct strvec recipients; /* arguments */
    bool extract;             /* -t */
    bool dot_ends;            /* false: -i, -oi */
    struct str sender;        /* -f; unset if none; "<>" allowed */
    bool sender_set;
    struct str full_name; /* -F */
    struct str protocol;  /* -oMr */
    struct str host_address, host_name, interface_address, ident, auth_id, auth_sender,
        auth_mechanism;         /* -oM* */
    enum queue_how how;         /* -od */
    enum {
        ERRORS_PRINT,
        ERRORS_MAIL,
        ERRORS_MAIL_EXIT0,
        ERRORS_QUIET,
        ERRORS_WRITE
    } errors;                   /* -oe */
    bool dont_deliver;          /* -N */
    bool suppress_local_fixups; /* -G, from a trusted caller */
    bool how_set, trusted, admin, qualify_no, metoo, tls_on_connect;
    struct str caller;            /* --caller LOGIN from a trusted caller */
    int receive_timeout;          /* -or, seconds; -1: the option's */
    int smtp_receive_timeout;     /* -os */
    struct str host_check;        /* -bh address */
    struct str message_reference; /* -oMm */
};
/* Runs it here. Returns the exit status of the command. */
int smtp_in_submit(const struct config *conf, struct submission *s);

/*
 * Fills in $authenticated_id and $authenticated_sender of a local caller: the login and its address,
 * unless -oMai and -oMas told, or a trusted caller says himself who sends (SMTP, -f).
 */
void smtp_in_authenticate(const struct config *conf, const struct submission *sub,
                          struct session *s);

/* Sends it to the daemon through the local socket; -1 if there is no daemon. */
int smtp_in_submit_remote(const struct config *conf, const struct submission *s);

/* The daemon's end: listens (supervisor), serves one accepted caller (worker). */
int smtp_in_submit_listen(const struct config *conf);
void smtp_in_submit_serve(const struct config *conf, int fd);

#endif
