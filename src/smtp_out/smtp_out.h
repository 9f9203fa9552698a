/*
 * The one public header of smtp_out/: a client session, used by the smtp and lmtp transports, by
 * callouts and by cutthrough. It knows the wire; what to do with a result is the caller's.
 */
#ifndef SMTP_OUT_SMTP_OUT_H
#define SMTP_OUT_SMTP_OUT_H

#include "expand/expand.h"
#include "mail/mail.h"
#include "tls/tls.h"

extern const struct module smtp_out_module;

/* A reply, all lines, code and text; text has its lines joined as Exim logs them ("\n" between). */
struct smtp_reply {
    int code;        /* 0: none was read */
    struct str text; /* first line's code up to the last line, tainted */
};

enum smtp_status {
    SMTP_OK,
    SMTP_PERM /* 5xx */,
    SMTP_TEMP /* 4xx */,
    SMTP_CLOSED,
    SMTP_TIMEOUT,
    SMTP_IOERROR,
    SMTP_SYNC,       /* malformed or unexpected reply */
    SMTP_TLS_FAILED, /* no handshake; over a new connection it might be said in clear */
    SMTP_TLS_BARRED, /* no handshake, for a reason that clear text must not get round */
    SMTP_TLS_LACKING /* the server has no TLS for us, which is insisted on */
};

struct smtp_client;

/* How a caller keeps TLS sessions (RFC 5077) from one connection to the next. */
struct smtp_sessions {
    /* A handshake is due; ehlo is the server's answer to EHLO, unset before it. NULL: nothing is kept. */
    void (*recall)(void *closure, struct tls_side *side, struct str ehlo);
    /* No session came about with the one that was recalled. */
    void (*forget)(void *closure);
    /* An encrypted connection is about to be closed. */
    void (*keep)(void *closure, const struct tls_facts *facts);
    void *closure; /* as long-lived as the session */
};

/* Facts and time-outs of a conversation; times in seconds. */
struct smtp_client_opts {
    const struct config *conf;
    struct host *host;
    int port;
    struct str interface, helo;
    /*
     * Names us when the connection is made and our end of it known: sets *helo, to live as long as
     * the session, or fails with *error set. NULL: helo above will do.
     */
    bool (*name_us)(void *closure, struct str address, int port, struct str *helo,
                    struct str *error);
    void *namer; /* its closure */
    int connect_timeout, command_timeout, data_timeout, final_timeout;
    bool connected; /* fd is the connection, which the session takes over */
    int fd;
    bool lmtp, keepalive, fastopen, avoid_esmtp, avoid_pipelining, avoid_chunking;
    /* What TLS is to be like; NULL: it is not used. To live until smtp_client_open() returns. */
    struct tls_side *tls;
    struct smtp_sessions sessions;
    struct str tls_hindrance; /* set: why there will be no handshake when it is due */
    bool tls_on_connect;      /* it comes first, without STARTTLS */
    bool tls_required;        /* without it there is no conversation */
    bool tls_no_clear;        /* a 4xx to STARTTLS is a refusal, not a reason to go on in clear */
};

/*
 * Connects, reads the banner, says EHLO (HELO if refused; LHLO), and, where the server offers
 * STARTTLS (RFC 3207), encrypts and says EHLO again. *error tells a failure in Exim's words.
 */
enum smtp_status smtp_client_open(struct pool *pool, const struct smtp_client_opts *o,
                                  struct smtp_client **c, struct smtp_reply *reply,
                                  struct str *error);

/* Our end of the connection. */
void smtp_client_local(const struct smtp_client *c, struct str *addr, int *port);

/* ESMTP extensions the server offered. */
enum smtp_ext {
    EXT_SIZE = 1,
    EXT_PIPELINING = 2,
    EXT_8BITMIME = 4,
    EXT_CHUNKING = 8,
    EXT_DSN = 16,
    EXT_STARTTLS = 32,
    EXT_AUTH = 64,
    EXT_SMTPUTF8 = 128,
    EXT_PRDR = 256
};
unsigned smtp_client_exts(const struct smtp_client *c);

/* The server's greeting (220 …), in the session's pool, tainted. */
struct str smtp_client_greeting(const struct smtp_client *c);

/* Facts of the encrypted connection, in the session's pool; NULL: in clear. */
struct tls_facts *smtp_client_tls(const struct smtp_client *c);

/* The stream under the session. */
struct stream *smtp_client_stream(struct smtp_client *c);

/* Queues a command (CRLF added) without flushing; reads one reply, flushing first. */
bool smtp_client_cmd(struct smtp_client *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * Tells a trace of what is sent otherwise than as a command: a line, unless NULL, and the word that
 * stands for it in the list of commands and replies, unless empty.
 */
void smtp_client_note(struct smtp_client *c, const char *line, const char *word);
enum smtp_status smtp_client_reply(struct smtp_client *c, int timeout, struct smtp_reply *r);

/* Words for a status and the command it answered, as Exim logs them. */
struct str smtp_client_error(struct smtp_client *c, struct pool *pool, enum smtp_status st,
                             const char *stage, const struct smtp_reply *r);

/* QUIT (not awaited longer than a moment) and close; sets *c to NULL. */
void smtp_client_close(struct smtp_client **c, bool quit);

#endif
