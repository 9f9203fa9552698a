/* What the files of auth/ share. */
#ifndef AUTH_INTERNAL_H
#define AUTH_INTERNAL_H

#include "auth/auth.h"

extern const struct auth_driver auth_tls; /* tls.c */

/* The generic server_condition; unset: AUTH_OK. */
enum auth_result auth_condition(struct ectx *x, const struct authenticator *a);

#endif
