/*
 * tlsserve - a server of TLS handshakes and nothing else: the limit of a library.
 *
 *   tlsserve openssl|gnutls PROCESSES PORT CERTIFICATES KEY [tickets]
 *
 * PROCESSES of them accept connections on 127.0.0.1 in turn, make the handshake
 * with the library's defaults (tickets only if asked for) and close. Runs until it is killed.
 */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static int listener(int port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((unsigned short)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 500) != 0) {
        perror("tlsserve");
        exit(1);
    }
    return fd;
}

static int accepted(int listening)
{
    int one = 1, fd = accept(listening, NULL, NULL);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static SSL_CTX *openssl_context(const char *cert, const char *key, int tickets)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        exit(1);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, tickets ? 1 : 0);
    if (!tickets)
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    return ctx;
}

static void openssl_serve(SSL_CTX *ctx, int fd)
{
    SSL *s = SSL_new(ctx);
    SSL_set_fd(s, fd);
    if (SSL_accept(s) == 1)
        SSL_shutdown(s);
    SSL_free(s);
}

static gnutls_certificate_credentials_t gnutls_context(const char *cert, const char *key)
{
    gnutls_certificate_credentials_t c;
    if (gnutls_certificate_allocate_credentials(&c) < 0 ||
        gnutls_certificate_set_x509_key_file(c, cert, key, GNUTLS_X509_FMT_PEM) < 0)
        exit(1);
    return c;
}

/* TICKET_KEY without data: no tickets. */
static void gnutls_serve(gnutls_certificate_credentials_t c, gnutls_priority_t priority,
                         const gnutls_datum_t *ticket_key, int fd)
{
    gnutls_session_t s;
    gnutls_init(&s, GNUTLS_SERVER | (ticket_key->data ? 0 : GNUTLS_NO_TICKETS));
    if (ticket_key->data)
        gnutls_session_ticket_enable_server(s, ticket_key);
    gnutls_priority_set(s, priority);
    gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c);
    gnutls_transport_set_int(s, fd);
    gnutls_handshake(s);
    gnutls_deinit(s);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7) {
        fputs("usage: see the head of tlsserve.c\n", stderr);
        return 2;
    }
    int listening = listener((int)strtol(argv[3], NULL, 10));
    SSL_CTX *ctx = NULL;
    gnutls_certificate_credentials_t credentials = NULL;
    gnutls_priority_t priority = NULL;
    gnutls_datum_t ticket_key = {NULL, 0};
    signal(SIGPIPE, SIG_IGN);
    if (strcmp(argv[1], "openssl") == 0) {
        ctx = openssl_context(argv[4], argv[5], argc == 7);
    } else {
        credentials = gnutls_context(argv[4], argv[5]);
        gnutls_priority_init(&priority, "NORMAL", NULL);
        if (argc == 7)
            gnutls_session_ticket_key_generate(&ticket_key);
    }
    for (long i = strtol(argv[2], NULL, 10); i > 0; i--)
        if (fork() == 0)
            for (;;) {
                int fd = accepted(listening);
                if (ctx != NULL)
                    openssl_serve(ctx, fd);
                else
                    gnutls_serve(credentials, priority, &ticket_key, fd);
                close(fd);
            }
    while (wait(NULL) > 0)
        ;
    return 0;
}
