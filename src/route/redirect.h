/* The redirect router's options, shared by its files. */
#ifndef ROUTE_REDIRECT_H
#define ROUTE_REDIRECT_H

#include "route/internal.h"

struct redirect_opts {
    struct etext data, file;
    struct etext file_transport_text, pipe_transport_text, directory_transport_text,
        reply_transport_text;
    struct etext qualify_domain, syntax_errors_text, include_directory;
    struct str syntax_errors_to;
    const struct transport *file_transport, *pipe_transport, *directory_transport;
    struct idlist owners, owngroups;
    int modemask;
    bool allow_defer, allow_fail, check_ancestor, check_group, check_group_set, check_owner,
        check_owner_set, forbid_blackhole, forbid_file, forbid_include, forbid_pipe,
        forbid_smtp_code, hide_child_in_errmsg, ignore_eacces, ignore_enotdir, one_time,
        qualify_preserve_domain, repeat_use, rewrite, skip_syntax_errors;
    bool unused;         /* options that turn off what filter files could do */
    bool unsupported_on; /* options that would turn filter files on; true is refused */
};

enum redirect_read {
    REDIRECT_NONE, /* no file: the router declines */
    REDIRECT_DATA,
    REDIRECT_DEFER /* with the reason */
};

/* Reads the file that `file` names, after the checks. */
enum redirect_read redirect_read_file(struct ectx *x, const struct redirect_opts *o,
                                      const struct router *r, const struct address *a,
                                      struct str path, struct str *data, struct str *why);

/*
 * Reads an :include: file, which must be in the directory unless that is unset: REDIRECT_DATA or,
 * with the reason, REDIRECT_DEFER.
 */
enum redirect_read redirect_read_include(struct ectx *x, const struct address *a, struct str path,
                                         struct str dir, struct str *data, struct str *why);

extern const struct option redirect_options[];

/* Checks of the options, and of the transports they name once all sections are read. */
bool redirect_init(struct opt_reader *r, struct router *router);
bool redirect_link(struct opt_reader *r, struct router *router);

/* Sends the message about faulty addresses to syntax_errors_to; others: there were good ones. */
void redirect_report_faults(struct route_job *job, const struct router *r, struct str faults,
                            bool others);

/* Opens a file for reading, as the user where that is known and possible; -1 with errno. */
int route_open(struct pool *pool, struct str path, bool as_user, uint32_t uid, uint32_t gid);

#endif
