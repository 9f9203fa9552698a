/*
 * The backends of a program with OpenSSL alone. The Makefile takes one
 * of the files backends_*.c, by its variable TLS.
 */
#include "tls/internal.h"

const struct tls_backend *const tls_backends[] = {&tls_openssl, NULL};

const char *const tls_features[] = {"OpenSSL",
                                    "TLS_resume",
                                    "DANE",
                                    "OCSP",
                                    "TLS/TLS1_3/TLS_ALPN/TLS_OCSP/TLS_OCSP_LIST/TLS_CA_CACHE",
                                    NULL};
