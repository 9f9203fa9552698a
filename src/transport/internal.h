/*
 * Inside transport/: writing a message, and the plans that local transports make and the hand
 * carries out.
 */
#ifndef TRANSPORT_INTERNAL_H
#define TRANSPORT_INTERNAL_H

#include "transport/transport.h"

/* ---- content (write.c) ---- */

/*
 * The header block of a delivery, LF line ends, without the empty line: headers removed, added and
 * rewritten as router and transport say. False: x->error says what could not be expanded.
 */
bool transport_headers(struct ectx *x, const struct delivery *d, unsigned flags, struct str *out);

/* The flags that the transport's generic options stand for. */
unsigned transport_flags(const struct transport *t);

/* Line-wise changes on the way out. Zeroed but for the settings it is ready for use. */
struct line_filter {
    struct str check, escape; /* text at the start of a line, and what stands for it */
    bool crlf;
    bool (*put)(void *closure, const char *p, size_t n);
    void *closure;
    int64_t written;
    bool inside; /* in the middle of a line */
    bool last_cr;
};

/* Passes bytes on; false: put failed, errno set. */
bool line_filter_put(struct line_filter *f, const char *p, size_t n);

/* Ends every address of a delivery alike. */
void transport_end_all(struct delivery *d, enum outcome outcome, int basic_errno,
                       struct str message);

/* ---- plans ---- */

enum plan_kind {
    PLAN_MBOX,
    PLAN_MAILDIR,
    PLAN_DIRECTORY, /* one file for each message */
    PLAN_MAILSTORE,
    PLAN_PIPE,
    PLAN_ONCE,  /* autoreply: was this recipient written to, or note that it was */
    PLAN_LOG,   /* autoreply: a line for its log file */
    PLAN_ENTER, /* nothing: can the directory be worked in? */
};

/* Numbers and switches of a plan; copied as they are between processes of the same program. */
struct plan_facts {
    enum plan_kind kind;
    uint32_t uid, gid;
    bool body_in_fd, crlf, body_crlf_check;
    int64_t body_offset, body_size, message_size;
    /* files */
    int mode, directory_mode, lockfile_mode;
    int lock_retries, lock_interval, lock_fcntl_timeout, lock_flock_timeout, lockfile_timeout;
    bool allow_fifo, allow_symlink, check_owner, check_group, create_directory, mode_fail_narrower,
        file_must_exist, use_lockfile, use_fcntl, use_flock, forbid_create;
    int maildir_retries;
    bool size_file, quota_inclusive, quota_no_check, filecount_no_check;
    int64_t quota, quota_filecount, warn_threshold, mailbox_size, mailbox_filecount; /* -1: unset */
    /* pipes */
    int timeout, umask;
    int64_t max_output;
    bool permit_coredump;
    /* autoreply */
    int64_t once_repeat, once_size, now;
    bool once_note;
};

enum plan_text {
    PT_LOGIN, /* for supplementary groups; unset: none */
    PT_LEAD,  /* what comes before the body, as it is to be written */
    PT_BODY,  /* the body as on the spool; unset if it is in a descriptor */
    PT_TAIL,
    PT_CHECK, /* check_string and escape_string for the body */
    PT_ESCAPE,
    PT_PATH,         /* mailbox file, or directory */
    PT_CREATE_UNDER, /* directories are created below this only; unset: anywhere */
    PT_NAME, /* for a new file; INODE_MARK stands for its inode; of maildir: without host and tag */
    PT_TAG,  /* of maildir */
    PT_FOLDER_REGEX,
    PT_QUOTA_DIR,
    PT_QUOTA_SIZE_REGEX,
    PT_QUOTA_DIR_REGEX,
    PT_HOST, /* for names of files */
    PT_CWD,
    PT_ENVELOPE, /* of mailstore */
    PLAN_TEXTS
};

/* An unlikely text that is replaced when the inode is known. */
#define INODE_MARK "\001inode\001"

/* A finished delivery: nothing in it needs the configuration or the message. */
struct plan {
    struct plan_facts f;
    struct str text[PLAN_TEXTS];
    struct strvec argv, env; /* of pipes */
    int fd;                  /* of the body, -1: none */
    bool own_fd;             /* fd is closed when the plan has been carried out */
};

/* What came of it. */
struct plan_facts_out {
    enum outcome outcome;
    int basic_errno, more_errno;
    bool freeze, timed_out, exec_failed;
    int status; /* wait status of the command */
    int64_t written, size_before, size_after, count_before;
};

enum result_text { RT_MESSAGE, RT_FILE, RT_OUTPUT, RESULT_TEXTS };

struct plan_result {
    struct plan_facts_out f;
    struct str text[RESULT_TEXTS];
    struct pool *pool;
};

/* Plans and results as bytes, and back; false: malformed. Texts read are views of the bytes. */
struct str plan_encode(struct pool *pool, const struct plan *p);
bool plan_decode(struct pool *pool, struct str bytes, struct plan *p);
struct str result_encode(struct pool *pool, const struct plan_result *r);
bool result_decode(struct str bytes, struct plan_result *r);

/* Who carries the plan out, with which groups, and where. */
void plan_identity(const struct delivery *d, struct plan *p);

/*
 * Fills in what all plans have: identity, headers (behind `prefix`), body, `suffix`. False: the
 * addresses have been ended.
 */
bool plan_begin(struct ectx *x, struct delivery *d, struct plan *p, struct str prefix,
                struct str suffix);

/* The bytes that the plan will write. */
int64_t plan_exact_size(const struct plan *p);

/* Carries a plan out, here or by the hand, and gives the result. */
void plan_execute(struct ectx *x, struct delivery *d, struct plan *p, struct plan_result *r);

/* Sets the addresses' outcome from a result. */
void plan_apply(struct delivery *d, const struct plan_result *r);

/* Runs a plan as whoever we are (the hand's part). pool is for the result. */
void plan_run(struct pool *pool, const struct plan *p, struct plan_result *r);

/* Ends a result: message by printf. */
void result_set(struct plan_result *r, enum outcome outcome, int basic_errno, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes the plan's message through put. False with errno. */
bool plan_write_message(const struct plan *p, struct line_filter *out);

/* The kinds (mailbox.c, maildir.c, pipe_run.c). */
void mbox_run(const struct plan *p, struct plan_result *r);
void maildir_run(const struct plan *p, struct plan_result *r);
void directory_run(const struct plan *p, struct plan_result *r);
void mailstore_run(const struct plan *p, struct plan_result *r);
void pipe_run(const struct plan *p, struct plan_result *r);
void once_run(const struct plan *p, struct plan_result *r);
void append_line_run(const struct plan *p, struct plan_result *r);

/* A name for a file of a maildir, unlike all others. */
struct str maildir_temporary_name(const struct plan *p, struct plan_result *r);

/* Path of the file that a message is written to before it gets its name (directory_file). */
struct str directory_temporary_path(const struct plan *p, const struct plan_result *r);

/* Creates missing directories of a path (all of it if `whole`, else its parents). -1 with errno. */
int plan_make_directories(struct pool *pool, const struct plan *p, struct str path, bool whole);

/* Writes the message to a descriptor and syncs; false with r set. */
bool plan_write_file(const struct plan *p, int fd, struct str path, struct plan_result *r);

/* Sets the result for a failed write: quota and full disks have words of their own. */
void result_write_failed(struct plan_result *r, int e, struct str path);

/* ---- quota (quota.c) ---- */

/* Sizes of all files under a directory; false with errno. */
bool quota_directory_size(struct pool *pool, const struct plan *p, struct str dir, int64_t *size,
                          int64_t *count);

/* True if the message fits; else r says that the mailbox is full. */
bool quota_fits(const struct plan *p, struct plan_result *r, int64_t size, int64_t count);

/* maildirsize: current size and count, making the file if needed; -1 with errno, else its fd. */
int maildirsize_open(struct pool *pool, const struct plan *p, struct str dir, int64_t *size,
                     int64_t *count);

/* ---- commands (command.c) ---- */

/* The environment of commands. */
void command_environment(struct ectx *x, const struct delivery *d, struct str path,
                         struct strvec *env);

/* ---- transport filters (filter.c) ---- */

/* transport_filter's value: its arguments, compiled; and as -bP prints it. */
bool filter_parse(struct opt_reader *r, void *base, struct str value);
struct str filter_print(struct pool *pool, const void *base);

/*
 * Passes the message (headers and body by the TW_ flags) through the transport's filter. *fd gets
 * an anonymous file of *size bytes with its output, the caller's to close. False: the addresses
 * have been ended, errno is set.
 */
bool filter_message(struct ectx *x, struct delivery *d, unsigned flags, int *fd, int64_t *size);

/* ---- drivers ---- */

extern const struct transport_driver appendfile_transport, autoreply_transport, lmtp_transport,
    pipe_transport, smtp_transport;

/* Envelope of batched SMTP, each line ending as `crlf` says. */
struct str bsmtp_envelope(struct ectx *x, const struct delivery *d, struct str prefix, bool crlf);

/* Sends quota_warn_message: headers and text as expanded. */
void transport_send_warning(struct ectx *x, const struct delivery *d, struct str text);

/* The hints databases of this room. */
extern const struct hint_kind transport_hints[];

#endif
