/*
 * Fuzz target: what a server answers. The input is all that it says, whatever it is asked; the
 * session is opened, some commands are sent, and it is closed. It must end with the server's words.
 */
#include "smtp_out/smtp_out.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWERS_MAX = 32768, SECONDS = 1, COMMANDS = 8 };

static void talk(struct pool *pool, int fd, bool lmtp)
{
    struct config conf = {.pool = pool};
    struct host host = {.name = STR("server.example"), .address = STR("127.0.0.1")};
    struct smtp_client_opts o = {
        .conf = &conf,
        .host = &host,
        .port = 25,
        .helo = STR("client.example"),
        .connect_timeout = SECONDS,
        .command_timeout = SECONDS,
        .data_timeout = SECONDS,
        .final_timeout = SECONDS,
        .connected = true,
        .fd = fd,
        .lmtp = lmtp,
    };
    struct smtp_client *c = NULL;
    struct smtp_reply r = {0};
    struct str error;
    volatile int64_t sum = 0;
    enum smtp_status st = smtp_client_open(pool, &o, &c, &r, &error);
    for (int i = 0; st == SMTP_OK && i < COMMANDS; i++) {
        smtp_client_cmd(c, "NOOP %d", i);
        st = smtp_client_reply(c, SECONDS, &r);
        sum += smtp_client_error(c, pool, st, "NOOP", &r).len;
    }
    if (c) {
        sum += smtp_client_size_limit(c) + smtp_client_exts(c);
        smtp_client_close(&c, true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2];
    if (size < 1 || size > ANSWERS_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) {
        return 0;
    }
    signal(SIGPIPE, SIG_IGN);
    struct pool *pool = pool_new("fuzz");
    if (write_all(ends[1], data + 1, size - 1) == 0) {
        shutdown(ends[1], SHUT_WR);
        talk(pool, ends[0], data[0] & 1);
    }
    close(ends[1]);
    pool_free(&pool);
    return 0;
}
