/*
 * The one public header of mail/: RFC 5321/5322 addresses, header fields, rewriting, message ids,
 * and the spool.
 */
#ifndef MAIL_MAIL_H
#define MAIL_MAIL_H

#include "expand/expand.h"

extern const struct module mail_module;

/* ---- addresses ---- */

/* A parsed address. Strings are views of the input or in the pool; taint is kept. */
struct mailbox {
    struct str text;               /* local-part@domain, comments, names and source route removed */
    struct str local_part, domain; /* domain empty if the address had none */
    uint32_t start, end;           /* of the address proper in the input */
};

/* What mailbox_parse() lets pass; `true` is MBX_NULL alone. */
enum mailbox_flag {
    MBX_NULL = 1,           /* <> */
    MBX_NO_LITERAL = 2,     /* domain literals are refused */
    MBX_STRIP_DOT = 4,      /* a dot at the end of the domain is dropped */
    MBX_STRIP_BRACKETS = 8, /* <<a@b>> is <a@b> */
    MBX_UTF8 = 16           /* bytes above 127 in the domain */
};

/* The flags that the configuration's options ask for in SMTP commands and headers. */
unsigned mailbox_flags(const struct config *conf);

/*
 * Extracts the one address of a text (RFC 5322 mailbox, RFC 5321 path without its brackets, bare
 * local part); flags are enum mailbox_flag. On failure false, *error in Exim's words ("missing or
 * malformed local part", …).
 */
bool mailbox_parse(struct pool *pool, struct str text, unsigned flags, struct mailbox *out,
                   struct str *error);

/* End of the first address in a comma-separated list (comments, quotes, groups skipped). */
uint32_t mailbox_list_next(struct str list, uint32_t from, bool allow_group);

/*
 * Each address of a header body, through groups (flags: mailbox_flags()); false with the words of the first error. If
 * `error` is NULL what is no address is passed over.
 */
bool mailbox_each(struct pool *pool, struct str body, unsigned flags,
                  bool (*f)(void *closure, const struct mailbox *m), void *closure,
                  struct str *error);

/* The same; *bad is the text of the address that is none. */
bool mailbox_walk(struct pool *pool, struct str body, unsigned flags,
                  bool (*f)(void *closure, const struct mailbox *m), void *closure,
                  struct str *error, struct str *bad);

/* Offset of the @ that ends the local part of a clean address; -1 if there is none. */
ptrdiff_t mailbox_at(struct str address);

/* Local part quoted if RFC 5321 needs it; a phrase quoted if RFC 5322 does (-F, gecos names). */
struct str mail_quote_local_part(struct pool *pool, struct str lp);
struct str mail_quote_phrase(struct pool *pool, struct str phrase);

/* Adds @qualify_domain (sender) or @qualify_recipient to an address without domain. */
struct str mail_qualify(struct pool *pool, const struct config *conf, struct str address,
                        bool recipient);

/* ---- headers ---- */

/* Exim's type letter for a header line by its name (' ' for one it does not treat specially). */
char header_type(struct str text, bool resent);

/* True if the text begins with a header name and colon. */
bool header_name_ok(struct str text, uint32_t *name_len);

/* The name of a header; its body (after the colon, white space kept). */
struct str header_name(const struct header *h);
struct str header_body(const struct header *h);

/* First live header with the name; next one after h; NULL if there is none. */
struct header *header_find(const struct message *m, struct str name);
struct header *header_find_next(struct header *h, struct str name);

/* Checks syntax of all address headers (verify = header_syntax; flags: mailbox_flags()); words in *error if false. */
bool headers_check_syntax(struct pool *pool, const struct message *m, unsigned flags,
                          struct str *error);

/* ---- rewriting ---- */

struct rewrite_rule;

/* Reads one line of the rewrite section (or of headers_rewrite). False after reporting. */
bool rewrite_read_line(struct opt_reader *r, struct rewrite_rule **list, struct str line);

enum rewrite_flag {
    RW_SENDER = 1,
    RW_FROM = 2,
    RW_TO = 4,
    RW_CC = 8,
    RW_BCC = 16,
    RW_REPLYTO = 32,
    RW_ENVFROM = 64,
    RW_ENVTO = 128,
    RW_ALL_HEADERS = 63,
    RW_ALL_ENVELOPE = 192,
    RW_ALL = 255,
    RW_REPEAT = 256,
    RW_QUIT = 512,
    RW_WHOLE = 1024,
    RW_SMTP = 2048,
    RW_QUALIFY = 4096
};

/* An envelope address through the rules; the same text if none applies. */
struct str rewrite_address(struct ectx *x, const struct rewrite_rule *rules, struct str address,
                           unsigned flag);

/* The SMTP-time rewrite (flag S) of a raw MAIL or RCPT argument. */
struct str rewrite_smtp(struct ectx *x, const struct rewrite_rule *rules, struct str argument);

/* A header through the rules (and qualification of bare addresses); NULL if nothing changes. */
struct header *rewrite_header(struct ectx *x, const struct rewrite_rule *rules,
                              const struct header *h);

/* What -brw prints. */
void rewrite_test(struct ectx *x, struct str address, void (*print)(const char *line));

/* ---- message ids ---- */

/* True if s has the form of a message id, of either length. */
bool message_id_valid(struct str s);

/* A new id, unique on this host (time, process, microsecond); message_id_compat decides its form. */
struct str message_id_new(struct pool *pool, const struct config *conf, struct timespec *when);

/* Time of reception that the id tells. */
time_t message_id_time(struct str id);

/* ---- the spool: the only code that knows what is on disk ---- */

struct spool_writer;

/*
 * Remaining space and inodes at the spool and the logs: false after logging, with *error "space", if
 * below the limits (check_spool_…), or "directory", if a directory cannot be looked at.
 */
bool spool_check_space(const struct config *conf, int64_t message_size, struct str *error);

/*
 * Begins a message: a file in the process's own spool folder, locked. NULL with errno (ENOSPC …).
 * m->id and m->received are set.
 */
struct spool_writer *spool_begin(const struct config *conf, struct message *m);

/* Body bytes with LF line ends. False with errno; the writer must then be aborted. */
bool spool_write(struct spool_writer *w, const char *p, size_t n);

/* What was written so far, for the DATA ACL ($message_body) and filters: reads at an offset. */
ssize_t spool_writer_read(struct spool_writer *w, int64_t offset, char *p, size_t n);

/*
 * Makes the message safe: envelope and headers are added and the file is fsynced. After true the
 * message is ours. False with errno: nothing is left behind.
 */
bool spool_commit(struct spool_writer **w, struct message *m);

/* Forgets the message; sets *w to NULL. */
void spool_abort(struct spool_writer **w);

/* True if there is such a message, whatever its state. */
bool spool_exists(const struct config *conf, struct str id);

/* Opens and locks a message for delivery or change. */
enum spool_open { SPOOL_OK, SPOOL_GONE, SPOOL_LOCKED, SPOOL_DAMAGED };
enum spool_open spool_load(const struct config *conf, struct str id, struct message *m,
                           struct str *error);

/* The same for looking only: no lock is taken. */
enum spool_open spool_peek(const struct config *conf, struct str id, struct message *m,
                           struct str *error);

/* Reads of the body; bytes read, 0 at its end, -1 with errno. */
ssize_t spool_body_read(struct message *m, int64_t offset, char *p, size_t n);

/* File descriptor and offset of the body, for passing to the hand or sendfile. */
int spool_body_fd(struct message *m, int64_t *offset);

/* Opens the journal, so that it is known before a delivery that one can be noted. False with errno. */
bool spool_journal_ready(struct message *m);

/* Appends to the journal that the address (its unique form) is done. False with errno. */
bool spool_delivered(struct message *m, struct str unique);

/*
 * Records changed facts of a loaded message: frozen, thawed, sender, added recipients, delivered
 * set, delay warnings, headers. False with errno.
 */
bool spool_update(struct message *m);

/* Takes the message off the spool, message log included, and closes it. */
void spool_remove(struct message *m);

/* Takes whatever is left of a message off the spool that cannot be loaded. */
void spool_discard(const struct config *conf, struct str id);

/* Closes and unlocks; the message stays. */
void spool_close(struct message *m);

/* Appends a line to the message log (message_logs); dated; nothing if the option is off. */
void spool_msglog(struct message *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * For processes that work on one message for another: takes away the lines that are not yet in the
 * message log's file, and adds such lines.
 */
struct str spool_msglog_take(struct message *m);
void spool_msglog_put(struct message *m, struct str lines);

/* The whole message log into the pool; unset if there is none. */
struct str spool_msglog_read(const struct config *conf, struct pool *pool, struct str id);

/* How many messages there are, without those that are still arriving. */
size_t spool_count(const struct config *conf);

/* Ids of all messages, in order of arrival. */
void spool_list(const struct config *conf, struct pool *pool, struct strvec *ids);

/*
 * Removes leftovers of processes that died before a commit, and gives messages their names back
 * whose renaming was lost with the power. Called by queue runs.
 */
void spool_tidy(const struct config *conf);

/* The same at the start of a daemon; the processes that it forks use files of the spool again. */
void spool_start(const struct config *conf);

/* Path below spool_directory, with the directory created on demand. */
struct str spool_path(const struct config *conf, struct pool *pool, struct str name);

#endif
