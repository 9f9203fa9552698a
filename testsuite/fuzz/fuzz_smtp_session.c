/*
 * Fuzz target: whole SMTP sessions, as -bh plays them: all that a client says, whatever it is
 * answered, with an ACL that accepts, PIPELINING, CHUNKING and PRDR offered. Nothing is kept.
 * The first byte chooses which of the options that take more are on.
 */
#include "main/command.h"
#include "main/internal.h"
#include "smtp_in/smtp_in.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "primary_hostname = fuzz.example\n"
                           "spool_directory = DIR\n"
                           "log_file_path = DIR/%slog\n"
                           "acl_smtp_helo = accept\n"
                           "acl_smtp_rcpt = rcpt\n"
                           "acl_smtp_data = data\n"
                           "acl_smtp_data_prdr = accept\n"
                           "acl_smtp_vrfy = accept\n"
                           "acl_smtp_expn = accept\n"
                           "prdr_enable = true\n"
                           "rfc1413_query_timeout = 0s\n"
                           "dsn_advertise_hosts = *\n"
                           "begin acl\n"
                           "rcpt:\n"
                           "  deny local_parts = deny\n"
                           "  accept set acl_m_a = $local_part:$sender_address_domain\n"
                           "data:\n"
                           "  deny !verify = header_syntax\n"
                           "  accept condition = ${if match{$h_subject:}{x(.*)y}}\n"
                           "         logwrite = $1 $h_from: $rh_to:\n"
                           "  accept\n"
                           "begin routers\n"
                           "all:\n"
                           "  driver = accept\n"
                           "  transport = none\n"
                           "begin transports\n"
                           "none:\n"
                           "  driver = appendfile\n"
                           "  file = /dev/null\n";

/* With or without what lets addresses through that are not those of RFC 5321. */
static const char *const more[] = {"",
                                   "allow_domain_literals = true\nstrip_excess_angle_brackets\n"
                                   "strip_trailing_dot\nallow_utf8_domains\n"
                                   "sender_unqualified_hosts = *\nrecipient_unqualified_hosts = *\n"
                                   "allow_mx_to_ip\nhelo_accept_junk_hosts = *\n"};

/* Where the program is run, which is build-fuzz: the spool stays there. */
static const char *folder(void)
{
    static char dir[4096], here[4000];
    if (!getcwd(here, sizeof here)) {
        abort();
    }
    snprintf(dir, sizeof dir, "%s/spool", here);
    return dir;
}

static struct config *make_config(const char *dir, const char *options)
{
    static struct pool *pool; /* for as long as the configurations */
    pool = pool ? pool : pool_new("fuzz configurations");
    struct config_source src = {.pool = pool};
    struct str rest = STR_CAT(pool, str_c(options), str_c(text)), out = STR("");
    for (ptrdiff_t at; (at = str_find(rest, STR("DIR"))) >= 0;
         rest = str_from(rest, (size_t)at + 3)) {
        out = STR_CAT(pool, out, str_sub(rest, 0, (size_t)at), str_c(dir));
    }
    src.text = STR_CAT(pool, out, rest);
    struct config *conf = config_read(&src);
    if (!conf) {
        config_print_errors(&src);
        abort();
    }
    config_apply(conf);
    return conf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config *confs[2];
    static int null = -1, errors = -1;
    if (!confs[0]) {
        const char *dir = folder();
        confs[0] = make_config(dir, more[0]);
        confs[1] = make_config(dir, more[1]);
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        errors = dup(STDERR_FILENO);
        __sanitizer_set_report_fd((void *)(uintptr_t)errors);
    }
    int in = memfd_create("session", MFD_CLOEXEC);
    if (size > 0 && in >= 0 && write_all(in, data + 1, size - 1) == 0) {
        struct submission sub = {.mode = SUBMIT_HOST_CHECK,
                                 .in = in,
                                 .out = null,
                                 .err = null,
                                 .host_check = STR("192.0.2.1"),
                                 .receive_timeout = -1,
                                 .smtp_receive_timeout = -1};
        lseek(in, 0, SEEK_SET);
        dup2(null, STDERR_FILENO); /* -bh logs there */
        smtp_in_submit(confs[data[0] & 1], &sub);
        dup2(errors, STDERR_FILENO);
    }
    close(in);
    return 0;
}
