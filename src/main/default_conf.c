/*
 * The configuration that is used where there is no file: a mail server for trying out, on loopback
 * and an unprivileged port, that keeps everything below one directory. Macros set it up:
 *
 *   SPOOL      directory of messages, logs and mailboxes (default: /var/spool/minim)
 *   PORT       port of the daemon (default: 2525)
 *   DOMAINS    local domains (default: the host's own name, localhost)
 *   USERS      local parts that have a mailbox (default: alice, bob, postmaster)
 *   NAME       the host's name
 *   SMARTHOST  host::port or host that mail for other domains goes to (default: refused)
 *
 * Mail for a user in a local domain is put in a maildir SPOOL/mail/LOCAL-PART.
 */
#include "main/internal.h"

/* clang-format off */
const char default_configuration[] =
    ".ifndef SPOOL\n"
    "SPOOL = /var/spool/minim\n"
    ".endif\n"
    ".ifndef PORT\n"
    "PORT = 2525\n"
    ".endif\n"
    ".ifndef DOMAINS\n"
    "DOMAINS = @ : localhost\n"
    ".endif\n"
    ".ifndef USERS\n"
    "USERS = alice : bob : postmaster\n"
    ".endif\n"
    ".ifdef NAME\n"
    "primary_hostname = NAME\n"
    ".endif\n"
    "spool_directory = SPOOL\n"
    "local_interfaces = <; 127.0.0.1 ; ::1\n"
    "daemon_smtp_ports = PORT\n"
    "domainlist local_domains = DOMAINS\n"
    "acl_smtp_rcpt = check_recipient\n"
    "log_selector = +delivery_size +received_recipients\n"
    "never_users = root\n"
    "\n"
    "begin acl\n"
    "check_recipient:\n"
    "  deny    local_parts = ^[.] : ^.*[@%!/|]\n"
    "          message     = restricted characters in address\n"
    "  accept  domains     = +local_domains\n"
    "          verify      = recipient\n"
    ".ifdef SMARTHOST\n"
    "  accept  hosts       = : 127.0.0.1 : ::::1\n"
    ".endif\n"
    "  deny    message     = relay not permitted\n"
    "\n"
    "begin routers\n"
    ".ifdef SMARTHOST\n"
    "smarthost:\n"
    "  driver = manualroute\n"
    "  domains = ! +local_domains\n"
    "  route_list = * SMARTHOST byname\n"
    "  self = send\n"
    "  transport = remote\n"
    "  no_more\n"
    ".endif\n"
    "mailbox:\n"
    "  driver = accept\n"
    "  domains = +local_domains\n"
    "  local_parts = USERS\n"
    "  transport = mailbox\n"
    "\n"
    "begin transports\n"
    "remote:\n"
    "  driver = smtp\n"
    "  allow_localhost\n"
    "mailbox:\n"
    "  driver = appendfile\n"
    "  directory = SPOOL/mail/$local_part_data\n"
    "  maildir_format\n"
    "  create_directory\n"
    "  delivery_date_add\n"
    "  envelope_to_add\n"
    "  return_path_add\n"
    "\n"
    "begin retry\n"
    "* * F,2h,15m; G,16h,1h,1.5; F,4d,6h\n";
/* clang-format on */
