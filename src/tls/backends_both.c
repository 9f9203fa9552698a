/*
 * The backends of a program with both libraries; the default is the first. The
 * Makefile takes one of the files backends_*.c, by its variable TLS.
 */
#include "tls/internal.h"

const struct tls_backend *const tls_backends[] = {&tls_openssl, &tls_gnutls, NULL};
