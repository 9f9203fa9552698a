/* The one public header of auth/: authenticators, which say who a client is. */
#ifndef AUTH_AUTH_H
#define AUTH_AUTH_H

#include "expand/expand.h"

extern const struct module auth_module;

enum auth_result {
    AUTH_OK,
    AUTH_FAIL, /* the client is not who it would have to be */
    AUTH_DEFER /* that could not be told */
};

/* An authenticator of the configuration. */
struct authenticator {
    struct authenticator *next;
    struct str name;
    struct cfg_pos pos;
    const struct auth_driver *driver;
    void *opts; /* of the driver */
    struct etext server_condition, server_set_id, server_debug_print, server_mail_auth_condition;
};

struct auth_driver {
    const char *name;
    size_t opts_size;
    const struct option *options;
    /* Judges the client of x->sess by what TLS told of it. NULL: the driver does no such thing. */
    enum auth_result (*on_tls)(struct ectx *x, const struct authenticator *a);
};

/* The generic option rows (struct authenticator). */
extern const struct option auth_options[];

/*
 * Has the client, which has just started TLS with a certificate that verified, authenticated by an
 * authenticator that needs no more than that, if there is one. On AUTH_OK the session's
 * authenticator, mechanism and id are set; otherwise $authenticated_fail_id.
 */
enum auth_result auth_on_tls(struct ectx *x);

/* False if the authenticator of the session does not let the client name a sender by MAIL AUTH=. */
bool auth_takes_sender(struct ectx *x);

#endif
