/* The one public header of transport/: transports, their common options, the privileged hand. */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include "expand/expand.h"
#include "mail/mail.h"
#include "route/route.h"
#include "smtp_out/smtp_out.h"

extern const struct module transport_module;

struct transport_driver {
    const char *name;
    bool local;
    size_t opts_size;
    const struct option *options;
    bool (*init)(struct opt_reader *r, struct transport *t);
    /*
     * Delivers d->addrs. Sets each address's outcome, message, errno and facts (host_used,
     * confirmation, file_used). A local driver does it for the one address or batch. Never logs
     * "=>" lines; that is queue/'s.
     */
    void (*deliver)(struct ectx *x, struct delivery *d);
};

/* The generic option rows (struct transport). */
extern const struct option transport_options[];

/* Writes the message as a transport must: headers changed, prefix, body, by the flags. */
enum {
    TW_CRLF = 1,
    TW_DOTS = 2 /* SMTP dot-stuffing */,
    TW_NO_HEADERS = 4,
    TW_NO_BODY = 8,
    TW_RETURN_PATH = 16,
    TW_ENVELOPE_TO = 32,
    TW_DELIVERY_DATE = 64,
    TW_FINAL_DOT = 128,
    TW_CHECK_STRING = 256,
    TW_UNFILTERED = 512 /* what a transport filter reads */
};
struct transport_writer {
    unsigned flags;
    struct str check_string, escape_string;
    bool (*put)(void *closure, const char *p, size_t n); /* false: stop, errno set */
    void *closure;
    int64_t written;
};
bool transport_write_message(struct ectx *x, struct delivery *d, struct transport_writer *w);

/* Ends a connection that the smtp transport kept for a next delivery; nothing if there is none. */
void smtp_close_kept(void);

/* Where that connection goes; false if there is none. Valid until it is closed. */
struct smtp_kept {
    struct str transport, host, address;
};
bool smtp_kept(struct smtp_kept *to);

/* ---- TLS of the smtp transport, in deliveries and callouts ---- */

struct smtp_options;

/* How a connection to one host is to be, as smtp_tls_plan() found out. */
struct smtp_tls {
    bool use;                 /* TLS, where the server has it */
    bool on_connect;          /* without STARTTLS */
    bool required;            /* no mail in clear */
    bool clear_after_failure; /* after a failed handshake, over a new connection */
    bool clear_after_refusal; /* after a 4xx to STARTTLS, over the same one */
    bool has_tlsa;            /* there are TLSA records, though perhaps none that can be used */
    bool verifying;           /* for a callout */
    struct tls_side side;
    struct tls_facts early; /* what $tls_out_… tell before there is a connection */
    struct str hindrance;   /* set: why a handshake will fail */
    struct str key;         /* equal for plans that may share a connection */
    const struct smtp_options *options;
};

/*
 * What the options of d->transport (no other than smtp has any) say of TLS with d->host, whose
 * address is known, on d->host_port; asks for TLSA records (RFC 7672). Made in x->pool. ADDR_DEFER
 * and ADDR_FAIL: the host is not to be connected to, *error says why. Sets d->tls to NULL.
 */
enum outcome smtp_tls_plan(struct ectx *x, struct delivery *d, bool verifying,
                           struct smtp_tls *plan, struct str *error);

/* True if the smtp transport would ask for the host's TLSA records. */
bool smtp_tls_wants_dane(struct ectx *x, const struct transport *t, const struct host *h);

/*
 * smtp_client_open() with the plan filled into opts; if the handshake fails and the plan allows it,
 * logs that and does it again in clear.
 */
enum smtp_status smtp_tls_open(struct ectx *x, struct pool *pool, struct smtp_tls *plan,
                               const struct smtp_client_opts *opts, struct smtp_client **c,
                               struct smtp_reply *r, struct str *error);

/* A copy of facts for a pool that outlives the connection; NULL for NULL. */
struct tls_facts *smtp_tls_facts(struct pool *pool, const struct tls_facts *from);

/* Prints debug_print when debugging; drivers that the hand does not run call it first. */
void transport_note(struct ectx *x, const struct delivery *d);

/*
 * The hand (core/hand.h) is forked before privileges are dropped, and its socket is inherited by
 * workers. hand_start() returns the socket, -1 with errno; hand_use() makes it this process's.
 */
int hand_start(const struct config *conf);
void hand_use(int fd);

/*
 * Runs a local transport for a delivery as d->uid and d->gid: in this process when it has the
 * rights, else by the hand. Sets the addresses' outcome.
 */
void hand_local(struct ectx *x, struct delivery *d);

/* The recipient as it goes over the wire: affixes by rcpt_include_affixes. */
struct str transport_rcpt(struct pool *pool, struct address *a, bool affixes);

#endif
