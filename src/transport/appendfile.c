/*
 * The appendfile transport: what is to be written where. Everything is expanded and decided here;
 * the plan that comes of it is carried out by mailbox.c and maildir.c.
 * An address that has no plan is ended with the reason, in Exim's words.
 */
#include "transport/internal.h"

#include <stdio.h>
#include <time.h>

struct opts {
    struct etext batch_id, directory, directory_file, file, mailbox_filecount, mailbox_size,
        maildir_tag, mailstore_prefix, mailstore_suffix, message_prefix, message_suffix, quota,
        quota_directory, quota_filecount, quota_warn_message, quota_warn_threshold,
        maildir_use_size_file;
    struct etext default_warning; /* not an option: it must not count for batching */
    struct str check_string, create_file, escape_string, maildir_dir_regex, folder_regex,
        quota_size_regex;
    int batch_max, directory_mode, lock_fcntl_timeout, lock_flock_timeout, lock_interval,
        lock_retries, lockfile_mode, lockfile_timeout, maildir_retries, mode;
    bool allow_fifo, allow_symlink, check_group, check_owner, create_directory, file_must_exist,
        maildir_format, mailstore_format, mode_fail_narrower, quota_is_inclusive, use_bsmtp,
        use_crlf, use_fcntl_lock, use_flock_lock, use_lockfile, use_fcntl_set;
    enum { CREATE_ANYWHERE, CREATE_BELOWHOME, CREATE_INHOME, CREATE_UNDER } create;
};

#define O(field) offsetof(struct opts, field)

static const char default_prefix[] =
    "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\\n";
static const char default_warning[] =
    "To: $local_part@$domain\n"
    "Subject: Your mailbox\n\n"
    "This message is automatically created by mail delivery software.\n\n"
    "The size of your mailbox has exceeded a warning threshold that is\n"
    "set by the system administrator.\n";

static bool note_fcntl(struct opt_reader *r, void *base, struct str value)
{
    (void)r;
    (void)value;
    ((struct opts *)base)->use_fcntl_set = true;
    return true;
}

static const struct option options[] = {
    {"allow_fifo", OPT_BOOL, O(allow_fifo), "false", "the file may be a named pipe", NULL, NULL},
    {"allow_symlink", OPT_BOOL, O(allow_symlink), "false", "the file may be a symbolic link", NULL,
     NULL},
    {"batch_id", OPT_EXPAND, O(batch_id), NULL, "addresses with the same text share a delivery",
     NULL, NULL},
    {"batch_max", OPT_INT, O(batch_max), "1", "addresses that may share a delivery", NULL, NULL},
    {"check_group", OPT_BOOL, O(check_group), "false", "an existing file's group must be ours",
     NULL, NULL},
    {"check_owner", OPT_BOOL, O(check_owner), "true", "an existing file's owner must be ours", NULL,
     NULL},
    {"check_string", OPT_STRING, O(check_string), NULL,
     "what is replaced at the start of a line; \"From \" for files", NULL, NULL},
    {"create_directory", OPT_BOOL, O(create_directory), "true", "missing directories are made",
     NULL, NULL},
    {"create_file", OPT_STRING, O(create_file), "anywhere",
     "where files may be made: anywhere, inhome, belowhome, or below a path", NULL, NULL},
    {"directory", OPT_EXPAND, O(directory), NULL, "where each message becomes a file", NULL, NULL},
    {"directory_file", OPT_EXPAND, O(directory_file), "q${base62:$tod_epoch}-$inode",
     "name of that file, unless a format makes its own", NULL, NULL},
    {"directory_mode", OPT_OCT, O(directory_mode), "0700", "mode of directories made", NULL, NULL},
    {"escape_string", OPT_STRING, O(escape_string), NULL, "what stands for check_string", NULL,
     NULL},
    {"file", OPT_EXPAND, O(file), NULL, "the mailbox file", NULL, NULL},
    {"file_must_exist", OPT_BOOL, O(file_must_exist), "false", "the file is not made", NULL, NULL},
    {"lock_fcntl_timeout", OPT_TIME, O(lock_fcntl_timeout), "0s",
     "how long one fcntl() call may wait for its lock", NULL, NULL},
    {"lock_flock_timeout", OPT_TIME, O(lock_flock_timeout), "0s",
     "how long one flock() call may wait for its lock", NULL, NULL},
    {"lock_interval", OPT_TIME, O(lock_interval), "3s", "time between attempts to lock", NULL,
     NULL},
    {"lock_retries", OPT_INT, O(lock_retries), "10", "attempts to lock", NULL, NULL},
    {"lockfile_mode", OPT_OCT, O(lockfile_mode), "0600", "mode of lock files", NULL, NULL},
    {"lockfile_timeout", OPT_TIME, O(lockfile_timeout), "30m",
     "age at which a lock file counts as forgotten", NULL, NULL},
    {"mailbox_filecount", OPT_EXPAND, O(mailbox_filecount), NULL,
     "number of files in the mailbox, known from elsewhere", NULL, NULL},
    {"mailbox_size", OPT_EXPAND, O(mailbox_size), NULL, "size of the mailbox, known from elsewhere",
     NULL, NULL},
    {"maildir_format", OPT_BOOL, O(maildir_format), "false", "the directory is a maildir", NULL,
     NULL},
    {"maildir_quota_directory_regex", OPT_STRING, O(maildir_dir_regex), "^(?:cur|new|\\..*)$",
     "directories that count for maildirsize", NULL, NULL},
    {"maildir_retries", OPT_INT, O(maildir_retries), "10", "attempts at a unique name", NULL, NULL},
    {"maildir_tag", OPT_EXPAND, O(maildir_tag), NULL, "put behind the name of the file", NULL,
     NULL},
    {"maildir_use_size_file", OPT_TRUTH, O(maildir_use_size_file), "false",
     "sizes are kept in maildirsize", NULL, NULL},
    {"maildirfolder_create_regex", OPT_STRING, O(folder_regex), NULL,
     "directories that get a file maildirfolder", NULL, NULL},
    {"mailstore_format", OPT_BOOL, O(mailstore_format), "false",
     "the envelope goes in a file of its own", NULL, NULL},
    {"mailstore_prefix", OPT_EXPAND, O(mailstore_prefix), NULL, "text before that envelope", NULL,
     NULL},
    {"mailstore_suffix", OPT_EXPAND, O(mailstore_suffix), NULL, "text behind that envelope", NULL,
     NULL},
    {"message_prefix", OPT_EXPAND, O(message_prefix), NULL,
     "text before the message; the From line for files", NULL, NULL},
    {"message_suffix", OPT_EXPAND, O(message_suffix), NULL,
     "text behind the message; an empty line for files", NULL, NULL},
    {"mode", OPT_OCT, O(mode), "0600", "mode of the file", NULL, NULL},
    {"mode_fail_narrower", OPT_BOOL, O(mode_fail_narrower), "true",
     "an existing file with fewer rights is an error", NULL, NULL},
    {"quota", OPT_EXPAND, O(quota), NULL, "largest size of the mailbox", NULL, NULL},
    {"quota_directory", OPT_EXPAND, O(quota_directory), NULL, "the directory that is measured",
     NULL, NULL},
    {"quota_filecount", OPT_EXPAND, O(quota_filecount), "0", "largest number of files", NULL, NULL},
    {"quota_is_inclusive", OPT_BOOL, O(quota_is_inclusive), "true",
     "the new message counts for the quota", NULL, NULL},
    {"quota_size_regex", OPT_STRING, O(quota_size_regex), NULL, "finds a file's size in its name",
     NULL, NULL},
    {"quota_warn_message", OPT_EXPAND, O(quota_warn_message), NULL,
     "the message that warns of the threshold", NULL, NULL},
    {"quota_warn_threshold", OPT_EXPAND, O(quota_warn_threshold), "0",
     "size, or percentage of the quota, whose crossing causes a warning", NULL, NULL},
    {"use_bsmtp", OPT_BOOL, O(use_bsmtp), "false", "written as batched SMTP", NULL, NULL},
    {"use_crlf", OPT_BOOL, O(use_crlf), "false", "lines end with CR LF", NULL, NULL},
    {"use_fcntl_lock", OPT_BOOL, O(use_fcntl_lock), "true", "the open file is locked by fcntl()",
     note_fcntl, NULL},
    {"use_flock_lock", OPT_BOOL, O(use_flock_lock), "false", "the open file is locked by flock()",
     NULL, NULL},
    {"use_lockfile", OPT_BOOL, O(use_lockfile), "true", "a lock file is made beside the file", NULL,
     NULL},
    {0},
};

static bool compile_default(struct opt_reader *r, struct etext *e, const char *text)
{
    e->text = str_c(text);
    return !r->compile || (e->tree = r->compile(r, e->text)) != NULL;
}

/* Settings that depend on where the message goes. */
static bool set_defaults(struct opt_reader *r, struct opts *o)
{
    bool file = str_unset(o->directory.text) && !o->maildir_format && !o->mailstore_format;
    if (o->use_bsmtp) {
        o->check_string = STR(".");
        o->escape_string = STR("..");
        return true;
    }
    if (!file) {
        return true;
    }
    if (str_unset(o->check_string)) {
        o->check_string = STR("From ");
        if (str_unset(o->escape_string)) {
            o->escape_string = STR(">From ");
        }
    }
    if (str_unset(o->message_suffix.text)) {
        o->message_suffix.text = STR("\n");
    }
    return !str_unset(o->message_prefix.text) ||
           compile_default(r, &o->message_prefix, default_prefix);
}

static bool init(struct opt_reader *r, struct transport *t)
{
    struct opts *o = t->opts;
    t->batch_id = o->batch_id;
    t->batch_max = o->batch_max;
    if (!str_unset(o->file.text) && !str_unset(o->directory.text)) {
        return opt_error(r,
                         "%.*s transport:\n  only one of \"file\" or \"directory\" can be "
                         "specified",
                         STR_ARG(t->name));
    }
    if (o->maildir_format && o->mailstore_format) {
        return opt_error(r, "%.*s transport:\n  only one of maildir and mailstore may be specified",
                         STR_ARG(t->name));
    }
    if (o->use_flock_lock && !o->use_fcntl_set) {
        o->use_fcntl_lock = false;
    }
    if (!str_unset(o->file.text) && !o->use_lockfile && !o->use_fcntl_lock && !o->use_flock_lock) {
        return opt_error(r, "%.*s transport:\n  no locking configured", STR_ARG(t->name));
    }
    if (str_is(o->create_file, "anywhere")) {
        o->create = CREATE_ANYWHERE;
    } else if (str_is(o->create_file, "belowhome")) {
        o->create = CREATE_BELOWHOME;
    } else if (str_is(o->create_file, "inhome")) {
        o->create = CREATE_INHOME;
    } else if (str_starts(o->create_file, "/")) {
        o->create = CREATE_UNDER;
    } else {
        return opt_error(r,
                         "invalid value given for \"create_file\" for the %.*s transport: '%.*s'",
                         STR_ARG(t->name), STR_ARG(o->create_file));
    }
    o->lock_retries = o->lock_retries > 0 ? o->lock_retries : 1;
    if (str_unset(o->quota_warn_message.text) &&
        !compile_default(r, &o->default_warning, default_warning)) {
        return false;
    }
    return set_defaults(r, o);
}

/* ---- numbers ---- */

/* "10M", "1.5G", "5M/no_check"; false with a->message. An unset option is -1. */
static bool size_option(struct ectx *x, const struct delivery *d, const struct etext *e,
                        bool *no_check, int64_t *out)
{
    struct str s;
    double n = 0, scale = 1;
    uint32_t i = 0;
    *out = -1;
    if (str_unset(e->text)) {
        return true;
    }
    if (!expand_option(x, e, &s)) {
        d->addrs->message =
            str_fmt(x->pool, "Expansion of \"%.*s\" in %.*s transport failed: %.*s",
                    STR_ARG(e->text), STR_ARG(d->transport->name), STR_ARG(x->error));
        return false;
    }
    s = str_trim(s);
    bool dot = false;
    for (; i < s.len && ((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] == '.' && !dot)); i++) {
        if (s.p[i] == '.') {
            dot = true;
            continue;
        }
        n = n * 10 + (s.p[i] - '0');
        scale *= dot ? 10 : 1;
    }
    n /= scale;
    if (i < s.len && strchr("KkMmGg", s.p[i])) {
        n *= s.p[i] == 'K' || s.p[i] == 'k'   ? 1024.0
             : s.p[i] == 'M' || s.p[i] == 'm' ? 1024.0 * 1024
                                              : 1024.0 * 1024 * 1024;
        i++;
    }
    struct str rest = str_trim(str_from(s, i));
    if (str_starts(rest, "/")) {
        *no_check = str_find(rest, STR("no_check")) >= 0;
    } else if (!str_empty(rest) && !str_is(rest, "%")) {
        d->addrs->message = str_fmt(x->pool,
                                    "Malformed value \"%.*s\" (expansion of \"%.*s\") in "
                                    "%.*s transport",
                                    STR_ARG(s), STR_ARG(e->text), STR_ARG(d->transport->name));
        return false;
    }
    *out = str_is(rest, "%") ? -2 - (int64_t)n : (int64_t)n;
    return true;
}

static bool plan_quota(struct ectx *x, struct delivery *d, const struct opts *o, struct plan *p)
{
    struct plan_facts *f = &p->f;
    bool unused = false, size_file = false;
    if (!size_option(x, d, &o->quota, &f->quota_no_check, &f->quota) ||
        !size_option(x, d, &o->quota_filecount, &f->filecount_no_check, &f->quota_filecount) ||
        !size_option(x, d, &o->quota_warn_threshold, &unused, &f->warn_threshold) ||
        !size_option(x, d, &o->mailbox_size, &unused, &f->mailbox_size) ||
        !size_option(x, d, &o->mailbox_filecount, &unused, &f->mailbox_filecount)) {
        transport_end_all(d, ADDR_DEFER, ERRNO_UNKNOWNERROR, d->addrs->message);
        return false;
    }
    if (f->warn_threshold <= -2) {
        int64_t percent = -2 - f->warn_threshold;
        f->warn_threshold = f->quota > 0 && percent < 100 ? f->quota / 100 * percent : 0;
    }
    if (!expand_bool_option(x, &o->maildir_use_size_file, false, &size_file)) {
        transport_end_all(d, ADDR_DEFER, ERRNO_UNKNOWNERROR, x->error);
        return false;
    }
    f->size_file = size_file && o->maildir_format;
    f->quota_inclusive = o->quota_is_inclusive;
    p->text[PT_QUOTA_SIZE_REGEX] = o->quota_size_regex;
    p->text[PT_QUOTA_DIR_REGEX] = f->size_file ? o->maildir_dir_regex : STR_NONE;
    if (!str_unset(o->quota_directory.text) &&
        !expand_option(x, &o->quota_directory, &p->text[PT_QUOTA_DIR])) {
        transport_end_all(d, ADDR_DEFER, ERRNO_UNKNOWNERROR, x->error);
        return false;
    }
    return true;
}

/* ---- where ---- */

static bool end(struct delivery *d, int why, struct str text)
{
    transport_end_all(d, why == ERRNO_NOTABSOLUTE ? ADDR_FAIL : ADDR_DEFER, why, text);
    for (struct address *a = d->addrs; a; a = a->next) {
        a->no_retry = why == ERRNO_UNKNOWNERROR; /* the configuration's fault */
    }
    return false;
}

/* The path as given: by the address, or by file or directory. */
static bool find_path(struct ectx *x, struct delivery *d, const struct opts *o, bool *directory,
                      struct str *path)
{
    const struct address *a = d->addrs;
    const struct etext *e = str_unset(o->file.text) ? &o->directory : &o->file;
    bool redirected = a->kind == AK_FILE || a->kind == AK_DIRECTORY;
    if (redirected) {
        d->address_file = a->pipe_file;
    }
    *directory = redirected ? a->kind == AK_DIRECTORY || o->maildir_format || o->mailstore_format
                            : !str_unset(o->directory.text);
    if (str_unset(e->text)) {
        if (!redirected) {
            return end(d, ERRNO_MISSINGFILE,
                       str_fmt(x->pool,
                               "Mandatory file or directory option missing from %.*s "
                               "transport",
                               STR_ARG(d->transport->name)));
        }
        *path = a->pipe_file;
    } else if (!expand_option(x, e, path)) {
        return end(d, ERRNO_UNKNOWNERROR,
                   str_fmt(x->pool,
                           "Expansion of \"%.*s\" (file or directory name for %.*s "
                           "transport) failed: %.*s",
                           STR_ARG(e->text), STR_ARG(d->transport->name), STR_ARG(x->error)));
    }
    while (*directory && path->len > 1 && str_ends(*path, STR("/"))) {
        path->len--;
    }
    return true;
}

/* create_file: where something may be made. May take the taint off a path below a fixed place. */
static bool check_place(struct ectx *x, struct delivery *d, const struct opts *o, struct plan *p,
                        struct str *path)
{
    struct str home = o->create == CREATE_UNDER ? o->create_file : d->home;
    if (o->create == CREATE_ANYWHERE) {
        return true;
    }
    bool inside = !str_empty(home) && path->len > home.len &&
                  str_eq(str_sub(*path, 0, home.len), home) && path->p[home.len] == '/' &&
                  str_find(*path, STR("/../")) < 0 && !str_ends(*path, STR("/.."));
    ptrdiff_t slash = str_rchr(*path, '/');
    if (o->create == CREATE_INHOME && inside && (size_t)slash != home.len) {
        inside = false;
    }
    p->f.forbid_create = !inside;
    if (inside) {
        p->text[PT_CREATE_UNDER] = STR_CAT(x->pool, home, STR("/"));
        path->tainted &= o->create == CREATE_INHOME;
    }
    return true;
}

static bool plan_path(struct ectx *x, struct delivery *d, const struct opts *o, struct plan *p)
{
    struct str path;
    bool directory;
    if (!find_path(x, d, o, &directory, &path)) {
        return false;
    }
    if (!directory && str_is(path, "/dev/null")) {
        transport_end_all(d, ADDR_OK, 0, STR_NONE); /* nothing to lock or to write */
        return false;
    }
    if (!check_place(x, d, o, p, &path)) {
        return false;
    }
    if (!str_starts(path, "/")) {
        return end(d, ERRNO_NOTABSOLUTE,
                   str_fmt(x->pool, "Path name \"%.*s\" is not absolute", STR_ARG(path)));
    }
    if (path.tainted) {
        return end(d, ERRNO_UNKNOWNERROR,
                   str_fmt(x->pool,
                           "Tainted '%.*s' (file or directory name for %.*s transport) "
                           "not permitted",
                           STR_ARG(path), STR_ARG(d->transport->name)));
    }
    p->text[PT_PATH] = path;
    p->f.kind = !directory            ? PLAN_MBOX
                : o->maildir_format   ? PLAN_MAILDIR
                : o->mailstore_format ? PLAN_MAILSTORE
                                      : PLAN_DIRECTORY;
    return true;
}

/* ---- names and envelopes ---- */

/* An expansion that may be forced to fail, which leaves nothing. */
static bool name_option(struct ectx *x, struct delivery *d, const struct etext *e, const char *name,
                        struct str *out)
{
    if (str_unset(e->text) || expand_option(x, e, out)) {
        return true;
    }
    *out = STR_NONE;
    return x->forced_fail ||
           end(d, ERRNO_UNKNOWNERROR,
               str_fmt(x->pool,
                       "Expansion of \"%.*s\" (%s for %.*s transport) "
                       "failed: %.*s",
                       STR_ARG(e->text), name, STR_ARG(d->transport->name), STR_ARG(x->error)));
}

/* The printing characters but slashes; a colon comes before a letter or digit. */
static struct str clean_tag(struct pool *pool, struct str tag)
{
    struct buf b;
    buf_init(&b, pool, (size_t)tag.len + 2);
    for (uint32_t i = 0; i < tag.len; i++) {
        unsigned char c = (unsigned char)tag.p[i];
        if (c >= ' ' && c != 127 && c != '/') {
            buf_addc(&b, (char)c);
        }
    }
    struct str s = buf_str(&b);
    bool alnum = s.len && ((s.p[0] >= '0' && s.p[0] <= '9') || (s.p[0] >= 'a' && s.p[0] <= 'z') ||
                           (s.p[0] >= 'A' && s.p[0] <= 'Z'));
    return alnum ? STR_CAT(pool, STR(":"), s) : s;
}

static struct str end_line(struct pool *pool, struct str s)
{
    return str_empty(s) || str_ends(s, STR("\n")) ? s : STR_CAT(pool, s, STR("\n"));
}

static bool plan_mailstore(struct ectx *x, struct delivery *d, const struct opts *o, struct plan *p)
{
    struct str before = STR_NONE, after = STR_NONE;
    struct buf b;
    p->text[PT_NAME] =
        STR_CAT(x->pool, d->msg->id, str_fmt(x->pool, "-%lx", (unsigned long)time_monotonic_ms()));
    d->mailstore_basename = STR_CAT(x->pool, p->text[PT_PATH], STR("/"), p->text[PT_NAME]);
    if (!name_option(x, d, &o->mailstore_prefix, "mailstore_prefix", &before) ||
        !name_option(x, d, &o->mailstore_suffix, "mailstore_suffix", &after)) {
        return false;
    }
    buf_init(&b, x->pool, 64 * 1024 * 1024);
    buf_adds(&b, end_line(x->pool, before));
    buf_adds(&b, d->msg->sender);
    buf_addc(&b, '\n');
    for (struct address *a = d->addrs; a; a = a->next) {
        buf_adds(&b, transport_rcpt(x->pool, a, d->transport->rcpt_include_affixes));
        buf_addc(&b, '\n');
    }
    buf_adds(&b, end_line(x->pool, after));
    p->text[PT_ENVELOPE] = buf_str(&b);
    return true;
}

/*
 * The name in a maildir follows from the message, the transport and the recipient: a delivery that
 * is repeated, because its end could not be noted before a crash, puts the same file in place again.
 */
static struct str maildir_name(const struct delivery *d)
{
    const struct message *m = d->msg;
    struct str key = STR_CAT(d->pool, d->transport->name, STR(" "), d->addrs->unique);
    uint64_t h = 14695981039346656037u; /* FNV-1a */
    for (uint32_t i = 0; i < key.len; i++) {
        h = (h ^ (unsigned char)key.p[i]) * 1099511628211u;
    }
    return str_fmt(d->pool, "%lld.M%.*sR%016llx", (long long)m->received.tv_sec, STR_ARG(m->id),
                   (unsigned long long)h);
}

static bool plan_names(struct ectx *x, struct delivery *d, const struct opts *o, struct plan *p)
{
    p->text[PT_HOST] = core_settings(x->conf)->primary_hostname;
    if (p->f.kind == PLAN_MAILDIR) {
        struct str tag = STR_NONE;
        int64_t real = d->msg->size;
        d->msg->size = str_unset(o->maildir_tag.text) ? real : plan_exact_size(p);
        bool ok = name_option(x, d, &o->maildir_tag, "maildir_tag", &tag);
        d->msg->size = real;
        p->text[PT_TAG] = clean_tag(x->pool, tag);
        p->text[PT_FOLDER_REGEX] = o->folder_regex;
        p->text[PT_NAME] = maildir_name(d);
        return ok;
    }
    if (p->f.kind == PLAN_MAILSTORE) {
        return plan_mailstore(x, d, o, p);
    }
    if (p->f.kind == PLAN_DIRECTORY) {
        d->inode = STR(INODE_MARK);
        bool ok = name_option(x, d, &o->directory_file, "directory_file", &p->text[PT_NAME]);
        d->inode = STR_NONE;
        return ok && (!str_empty(p->text[PT_NAME]) ||
                      end(d, ERRNO_UNKNOWNERROR, STR("directory_file expanded to nothing")));
    }
    return true;
}

/* The settings that go over as they are. */
static void plan_facts(const struct opts *o, struct plan *p)
{
    struct plan_facts *f = &p->f;
    f->mode = o->mode;
    f->directory_mode = o->directory_mode;
    f->lockfile_mode = o->lockfile_mode;
    f->lock_retries = o->lock_retries;
    f->lock_interval = o->lock_interval;
    f->lock_fcntl_timeout = o->lock_fcntl_timeout;
    f->lock_flock_timeout = o->lock_flock_timeout;
    f->lockfile_timeout = o->lockfile_timeout;
    f->allow_fifo = o->allow_fifo;
    f->allow_symlink = o->allow_symlink;
    f->check_owner = o->check_owner;
    f->check_group = o->check_group;
    f->create_directory = o->create_directory;
    f->mode_fail_narrower = o->mode_fail_narrower;
    f->file_must_exist = o->file_must_exist;
    f->use_lockfile = o->use_lockfile;
    f->use_fcntl = o->use_fcntl_lock;
    f->use_flock = o->use_flock_lock;
    f->maildir_retries = o->maildir_retries;
    f->crlf = o->use_crlf;
    if (!str_empty(o->check_string)) {
        p->text[PT_CHECK] = o->check_string;
        p->text[PT_ESCAPE] = str_unset(o->escape_string) ? STR("") : o->escape_string;
    }
}

/* ---- delivery ---- */

static bool prefix_and_suffix(struct ectx *x, struct delivery *d, const struct opts *o,
                              struct str *prefix, struct str *suffix)
{
    *prefix = *suffix = STR("");
    if ((!str_unset(o->message_prefix.text) && !expand_option(x, &o->message_prefix, prefix)) ||
        (!str_unset(o->message_suffix.text) && !expand_option(x, &o->message_suffix, suffix))) {
        return end(d, ERRNO_UNKNOWNERROR,
                   str_fmt(x->pool,
                           "Expansion of message_prefix or message_suffix for %.*s "
                           "transport failed: %.*s",
                           STR_ARG(d->transport->name), STR_ARG(x->error)));
    }
    if (o->use_bsmtp) {
        *prefix = bsmtp_envelope(x, d, *prefix, o->use_crlf);
        *suffix = o->use_crlf ? STR(".\r\n") : STR(".\n");
    }
    return true;
}

/* The message that a mailbox has grown past its threshold. */
static void warn(struct ectx *x, struct delivery *d, const struct opts *o, const struct plan *p,
                 const struct plan_result *r)
{
    struct str text;
    int64_t limit = p->f.warn_threshold;
    const struct etext *e =
        str_unset(o->quota_warn_message.text) ? &o->default_warning : &o->quota_warn_message;
    if (limit <= 0 || r->f.outcome != ADDR_OK || r->f.size_before < 0 || r->f.size_before > limit ||
        r->f.size_after <= limit) {
        return;
    }
    if (!expand_option(x, e, &text)) {
        log_msg(LOG_MAIN | LOG_PANIC, d->msg,
                "Failed to expand \"%.*s\" (quota warning message for %.*s transport): %.*s",
                STR_ARG(e->text), STR_ARG(d->transport->name), STR_ARG(x->error));
        return;
    }
    transport_send_warning(x, d, text);
}

static void deliver(struct ectx *x, struct delivery *d)
{
    const struct opts *o = d->transport->opts;
    struct plan p = {.fd = -1};
    struct plan_result r;
    struct str prefix, suffix;
    plan_facts(o, &p);
    bool found = plan_path(x, d, o, &p);
    d->writing_to = p.text[PT_PATH];
    if (!found || !plan_quota(x, d, o, &p) || !prefix_and_suffix(x, d, o, &prefix, &suffix) ||
        !plan_begin(x, d, &p, prefix, suffix) || !plan_names(x, d, o, &p)) {
        return;
    }
    plan_execute(x, d, &p, &r);
    plan_apply(d, &r);
    warn(x, d, o, &p, &r);
}

const struct transport_driver appendfile_transport = {
    .name = "appendfile",
    .local = true,
    .opts_size = sizeof(struct opts),
    .options = options,
    .init = init,
    .deliver = deliver,
};
