/* Inside mail/: the spool's file format, shared by its writer, reader and journal. */
#ifndef MAIL_INTERNAL_H
#define MAIL_INTERNAL_H

#include "mail/mail.h"

/* Settings of this room. */
struct mail_settings {
    int64_t check_spool_space; /* bytes */
    int check_spool_inodes;
    int64_t check_log_space; /* bytes */
    int check_log_inodes;
    int64_t message_body_visible;
    bool message_body_newlines;
};
const struct mail_settings *mail_settings(const struct config *conf);

/* An open message file. */
struct spool_file {
    const struct config *conf;
    int fd;                    /* -1: the whole file is in `small` */
    int journal_fd;            /* -1 until something is written */
    int64_t body_at, body_len; /* where in the file the body is */
    struct str small;          /* the whole file if it is short, else unset */
    struct str dir, id;
    struct buf msglog; /* lines not yet in the message log file */
    bool msglog_new;   /* no message log file has been written yet */
    struct spool_state *baseline;
};

enum {
    SPOOL_SMALL = 65536, /* files up to this size are read and written in one go */
    SPOOL_SLOT =
        16384,       /* files up to this size are used again; those of long messages are larger */
    SPOOL_MARK = 80, /* bytes of the line that makes a file a message */
    SPOOL_DIRS = 32, /* folders that processes spread over */
    SPOOL_ID = 24,   /* room for a message id and its end */
    SPOOL_STALE_SECONDS = 300,
    SPOOL_META_MAX = 64 * 1024 * 1024
};

/* Envelope, facts and headers as text, and back. False on malformed text. */
struct str spool_encode(struct pool *pool, const struct message *m);
bool spool_decode(struct pool *pool, struct str meta, struct message *m);

/*
 * The line that makes a file a message: whose it is, where its parts are, and a sum over this and
 * the parts that are given (body unset: over the rest only). Reading checks its form; the id is a
 * view of the text. spool_mark_sum() says what the sum should be.
 */
struct spool_mark {
    struct str id;
    int64_t body_len, meta_len;
    uint64_t sum;
};
void spool_mark_text(char out[SPOOL_MARK + 1], struct str id, struct str body, int64_t body_len,
                     struct str meta);
bool spool_mark_read(struct str text, struct spool_mark *mark);
uint64_t spool_mark_sum(struct str text, struct str body, struct str meta);

/*
 * Reads a file of at most SPOOL_SLOT bytes. SLOT_GOOD: it holds the message mark->id. SLOT_TORN: a
 * part of one. SLOT_NONE: none; -1 with errno if it cannot be read. `room` has SPOOL_SLOT bytes,
 * which the views point into.
 */
enum spool_slot { SLOT_ERROR = -1, SLOT_GOOD, SLOT_TORN, SLOT_NONE };
enum spool_slot spool_slot_read(int fd, char *room, struct spool_mark *mark, struct str *meta);

/*
 * Whether a file says that it is the message of its name. One that does not was never promised to
 * anybody under this name: somebody writes it now, or died over it, which is taken for certain after
 * SPOOL_STALE_SECONDS.
 */
struct stat;
enum spool_arrival { ARRIVED, ARRIVING, LEFT_OVER };
bool spool_is_old(time_t t);
enum spool_arrival spool_arrival(int fd, const struct stat *st, struct str id);

/*
 * What becomes of a file that is not the message of its name (suffix "", or "-F" for a free one).
 * The caller has locked it. One that holds another message gets its name back; what is left over is
 * removed; else nothing is done.
 */
void spool_settle(const struct config *conf, int fd, struct str id, const char *suffix);

/*
 * Files to be used again, known to the processes that come from one daemon (spool_start). A place
 * is reserved before a file gets its free name, then set to the file's id (unset: given back).
 * -1 if there is no place. spool_free_take() hands out one of the folder.
 */
int spool_free_reserve(unsigned folder);
void spool_free_set(int place, struct str id);
bool spool_free_take(unsigned folder, char id[SPOOL_ID]);
void spool_free_share(void);

/* Folder of a message, its number, and the file of a kind ("", "-J", "-F") in it. */
unsigned spool_folder(struct str id);
struct str spool_dir(const struct config *conf, struct pool *pool, struct str id);
struct str spool_name(struct pool *pool, struct str dir, struct str id, const char *suffix);

/* Applies a journal's records to a loaded message. */
void spool_journal_apply(struct message *m, struct str journal);

/* Remembers what is on disk, so that spool_update writes only changes. */
void spool_remember(struct message *m);

/* Writes the message log's lines in hand to its file. */
void spool_msglog_flush(struct message *m);

/* Path of a message log; old: in the folder of kept ones. */
struct str spool_msglog_path(const struct config *conf, struct pool *pool, struct str id, bool old);

#endif
