/*
 * The log writer (log.h).
 *
 * State of the process: the settings taken over by log_setup() and one descriptor per file, opened
 * when first written to and reopened when the file was moved away (looked at once a second). Each
 * line is one write(2) on an O_APPEND descriptor. A log that cannot be written never stops mail:
 * the line goes to standard error and syslog instead.
 */
#include "core/core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define SELECTOR_ROW(name, dflt, doc) {#name, dflt, doc},
static const struct log_selector_row selector_rows[] = {LOG_SELECTORS(SELECTOR_ROW)};

enum { FILE_MAIN, FILE_REJECT, FILE_PANIC, FILE_COUNT };

/* Recipients listed with a refused message. */
enum { REJECT_RCPTS = 5 };

static const char *const file_names[FILE_COUNT] = {"main", "reject", "panic"};

static struct {
    struct pool *pool; /* of the settings and of the line in hand */
    bool ready, to_file, to_syslog;
    bool timezone, reject_log, syslog_time, syslog_dup;
    uint64_t selectors;
    struct str path;   /* with %s, %D, %M */
    uint32_t uid, gid; /* whose the files are, if root makes them */
    struct {
        int fd;
        ino_t ino;
        time_t checked;
        struct str name;
    } file[FILE_COUNT];
    enum log_stderr on_stderr;
} state = {.file = {{.fd = -1}, {.fd = -1}, {.fd = -1}}};

static uint64_t default_selectors(void)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < ARRAY_LEN(selector_rows); i++) {
        bits |= (uint64_t)selector_rows[i].dflt << i;
    }
    return bits;
}

const struct log_selector_row *log_selector_row(size_t i)
{
    return i < ARRAY_LEN(selector_rows) ? &selector_rows[i] : NULL;
}

/* Its place among the rows, or how many there are. */
static size_t selector_index(struct str name)
{
    size_t i = 0;
    name = str_is(name, "rejected_headers") ? STR("rejected_header") : name;
    while (i < ARRAY_LEN(selector_rows) && !str_is(name, selector_rows[i].name)) {
        i++;
    }
    return i;
}

static bool set_selector(struct opt_reader *r, uint64_t *bits, struct str name, bool on)
{
    if (str_is(name, "all")) {
        *bits = on ? ~UINT64_C(0) : 0;
        return true;
    }
    size_t i = selector_index(name);
    if (i == ARRAY_LEN(selector_rows)) {
        return opt_error(r, "unknown log_selector setting: %c%.*s", on ? '+' : '-', STR_ARG(name));
    }
    if (on && !selector_rows[i].doc) {
        return opt_error(r,
                         "log selector \"%.*s\" is known to Exim but not supported by this version "
                         "of minim",
                         STR_ARG(name));
    }
    *bits = on ? *bits | UINT64_C(1) << i : *bits & ~(UINT64_C(1) << i);
    return true;
}

bool log_parse_selectors(struct opt_reader *r, void *base, struct str value)
{
    struct core_settings *s = base;
    uint64_t bits = default_selectors();
    s->log_selector_text = str_dup(r->pool, value);
    for (struct str rest = str_ltrim(value); rest.len; rest = str_ltrim(rest)) {
        char sign = rest.p[0];
        if (sign != '+' && sign != '-') {
            return opt_error(r,
                             "malformed log_selector setting: + or - expected but found \"%.*s\"",
                             STR_ARG(rest));
        }
        rest = str_ltrim(str_from(rest, 1));
        uint32_t n = 0;
        while (n < rest.len && !strchr(" \t\r\n+-", rest.p[n])) {
            n++;
        }
        struct str name = str_sub(rest, 0, n);
        if (!set_selector(r, &bits, name, sign == '+')) {
            return false;
        }
        rest = str_from(rest, n);
    }
    s->log_selectors = bits;
    return true;
}

/* The path list: "syslog", a pattern, or both; an empty item is the default place. */
static void take_path(const struct config *conf, struct str list)
{
    const struct core_settings *s = core_settings(conf);
    struct str dflt = STR_CAT(state.pool, s->spool_directory, STR("/log/%slog"));
    struct str item, rest = list;
    state.to_file = state.to_syslog = false;
    state.path = dflt;
    if (str_empty(str_trim(list))) {
        state.to_file = true;
        return;
    }
    while (str_next(&rest, ':', &item)) {
        item = str_trim(item);
        if (str_is(item, "syslog")) {
            state.to_syslog = true;
        } else {
            state.to_file = true;
            if (!str_empty(item)) {
                /* A relative path is one below the spool directory, where Exim works. */
                struct str above = core_settings(conf)->spool_directory;
                state.path = str_starts(item, "/") ? str_dup(state.pool, item)
                                                   : STR_CAT(state.pool, above, STR("/"), item);
            }
        }
    }
}

int log_facility(struct str name)
{
    static const struct {
        const char *name;
        int facility;
    } rows[] = {{"mail", LOG_MAIL},     {"user", LOG_USER},     {"news", LOG_NEWS},
                {"uucp", LOG_UUCP},     {"daemon", LOG_DAEMON}, {"local0", LOG_LOCAL0},
                {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
                {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6},
                {"local7", LOG_LOCAL7}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_is(name, rows[i].name)) {
            return rows[i].facility;
        }
    }
    return -1;
}

void log_setup(const struct config *conf)
{
    const struct core_settings *s = core_settings(conf);
    log_close();
    pool_free(&state.pool);
    state.pool = pool_new("log");
    state.selectors = str_unset(s->log_selector_text) ? default_selectors() : s->log_selectors;
    state.timezone = s->log_timezone;
    state.reject_log = s->write_rejectlog;
    state.syslog_time = s->syslog_timestamp;
    state.syslog_dup = s->syslog_duplication;
    state.uid = priv_work_uid(conf);
    state.gid = priv_work_gid(conf);
    take_path(conf, str_unset(conf->log_path) ? s->log_file_path.text : conf->log_path);
    if (state.to_syslog) {
        openlog(str_cstr(state.pool, s->syslog_processname), s->syslog_pid ? LOG_PID : 0,
                log_facility(str_empty(s->syslog_facility) ? STR("mail") : s->syslog_facility));
    }
    state.ready = true;
}

unsigned log_if(enum log_selector s, unsigned where)
{
    return log_wants(s) ? where : where & ~(unsigned)LOG_MAIN;
}

bool log_wants(enum log_selector s)
{
    return (state.ready ? state.selectors : default_selectors()) >> s & 1;
}

/* The file's name: %s its kind, %D and %M the date and the month. */
static struct str file_name(struct pool *pool, const char *kind)
{
    struct buf b;
    buf_init(&b, pool, 4096);
    for (uint32_t i = 0; i < state.path.len; i++) {
        char c = state.path.p[i], next = i + 1 < state.path.len ? state.path.p[i + 1] : '\0';
        if (c == '%' && next == 's') {
            buf_addz(&b, kind);
            i++;
        } else if (c == '%' && (next == 'D' || next == 'M')) {
            buf_adds(&b, time_strftime(pool, next == 'D' ? "%Y%m%d" : "%Y%m", time(NULL), false));
            i++;
        } else {
            buf_addc(&b, c);
        }
    }
    return buf_str(&b);
}

static void close_file(int which)
{
    if (state.file[which].fd >= 0) {
        close(state.file[which].fd);
        state.file[which].fd = -1;
    }
}

/* What root makes belongs to those who will write to it. */
static void give_away(int fd)
{
    struct stat st;
    if (geteuid() == 0 && state.uid != 0 && fstat(fd, &st) == 0 && st.st_uid == 0 &&
        fchown(fd, state.uid, state.gid) < 0) {
        fprintf(stderr, "minim: cannot give a log to exim_user: %s\n", strerror(errno));
    }
}

/* Makes the folder of a log; false if that fails. */
static bool make_folder(struct str path)
{
    if (mkdir_parents(path, 0750) < 0) {
        return false;
    }
    int fd = file_open(path, O_RDONLY | O_DIRECTORY, 0);
    if (fd >= 0) {
        give_away(fd);
        close(fd);
    }
    return true;
}

static int open_file(struct str name)
{
    int flags = O_WRONLY | O_APPEND;
    int fd = file_open(name, flags, 0);
    if (fd >= 0 || errno != ENOENT) {
        return fd;
    }
    ptrdiff_t slash = str_rchr(name, '/');
    fd = file_open(name, flags | O_CREAT, 0640);
    if (fd < 0 && errno == ENOENT && slash > 0 && make_folder(str_sub(name, 0, (size_t)slash))) {
        fd = file_open(name, flags | O_CREAT, 0640);
    }
    if (fd >= 0) {
        give_away(fd);
    }
    return fd;
}

/* The descriptor of a log; looks once a second whether the name still means the open file. */
static int log_fd(struct pool *pool, int which, time_t now)
{
    struct stat st;
    if (state.file[which].fd >= 0 && state.file[which].checked == now) {
        return state.file[which].fd;
    }
    struct str name = file_name(pool, file_names[which]);
    name.tainted = false;
    if (state.file[which].fd >= 0 && stat(name.p, &st) == 0 && st.st_ino == state.file[which].ino) {
        state.file[which].checked = now;
        return state.file[which].fd;
    }
    close_file(which);
    int fd = open_file(name);
    if (fd >= 0 && fstat(fd, &st) == 0) {
        state.file[which].ino = st.st_ino;
    }
    state.file[which].fd = fd;
    state.file[which].checked = now;
    return fd;
}

int log_open_debug(struct pool *pool, struct str tag, struct str *path)
{
    *path = STR_CAT(pool, file_name(pool, "debug"), tag);
    if (path->tainted || !state.ready || !state.to_file) {
        errno = path->tainted ? EPERM : ENOENT;
        return -1;
    }
    return open_file(*path);
}

static void put_syslog(int which, struct str text)
{
    static const int priorities[FILE_COUNT] = {LOG_INFO, LOG_NOTICE, LOG_ALERT};
    syslog(priorities[which], "%.*s", STR_ARG(text));
}

static void put_line(struct pool *pool, int which, time_t now, struct str line, struct str plain)
{
    if (state.to_syslog && (which == FILE_MAIN || state.syslog_dup)) {
        struct str text = state.syslog_time ? line : plain;
        put_syslog(which, str_rtrim(text));
    }
    if (!state.to_file) {
        return;
    }
    int fd = log_fd(pool, which, now);
    if (fd < 0 || write_all(fd, line.p, line.len) < 0) {
        int e = errno;
        fprintf(stderr, "minim: cannot write %slog: %s: %.*s", file_names[which], strerror(e),
                STR_ARG(line));
        syslog(LOG_MAIL | LOG_ALERT, "minim: cannot write %slog: %s: %.*s", file_names[which],
               strerror(e), STR_ARG(plain));
        close_file(which);
    }
}

/* A line on standard error; where its place is told the message's id, of so many bytes, is not. */
static void show(unsigned where, struct str line, struct str plain, size_t id)
{
    struct str text = str_from(plain, id);
    switch (state.on_stderr) {
    case LOG_STDERR_NONE:
    case LOG_STDERR_DATED: fprintf(stderr, "%.*s", STR_ARG(line)); break;
    case LOG_STDERR_BARE: fprintf(stderr, "LOG: %.*s\n", STR_ARG(plain)); break;
    case LOG_STDERR_PLACE:
    case LOG_STDERR_COPY:
        fprintf(stderr, "LOG:%s%s%s%s\n  %.*s\n", where & LOG_MAIN ? " MAIN" : "",
                where & LOG_PANIC ? " PANIC" : "", where & LOG_DIE ? " DIE" : "",
                where & LOG_REJECT ? " REJECT" : "", STR_ARG(text));
    }
}

/*
 * Writes a finished text to its places; its first bytes, `id`, are a message's id and a blank. The
 * body goes to the reject log alone.
 */
static void emit(unsigned where, struct str text, size_t id, struct str body)
{
    struct pool *pool = pool_new("log line");
    struct timespec now = time_now();
    struct str plain = str_printable(pool, text, false); /* a line stays a line */
    struct str pid = log_wants(LS_pid) ? str_fmt(pool, " [%ld]", (long)getpid()) : STR("");
    struct str date = time_log(pool, now, log_wants(LS_millisec), state.timezone, false);
    struct str line = STR_CAT(pool, date, pid, STR(" "), plain, STR("\n"));
    if (!state.ready || state.on_stderr) {
        show(where, line, plain, id);
        if (!state.ready || state.on_stderr != LOG_STDERR_COPY) {
            pool_free(&pool);
            return;
        }
    }
    if (trace_state.fd > 0) {
        trace_write("LOG:%s%s%s\n  %.*s", where & LOG_MAIN ? " MAIN" : "",
                    where & LOG_PANIC ? " PANIC" : "", where & LOG_REJECT ? " REJECT" : "",
                    STR_ARG(str_from(plain, id)));
    }
    if (where & LOG_MAIN) {
        put_line(pool, FILE_MAIN, now.tv_sec, line, plain);
    }
    if (where & LOG_REJECT && state.reject_log) {
        put_line(pool, FILE_REJECT, now.tv_sec, str_empty(body) ? line : STR_CAT(pool, line, body),
                 plain);
    }
    if (where & LOG_PANIC) {
        put_line(pool, FILE_PANIC, now.tv_sec, line, plain);
        fprintf(stderr, "%.*s", STR_ARG(line));
    }
    pool_free(&pool);
}

/* The envelope and the header lines of a refused message, for the reject log. */
static struct str refused_headers(struct pool *pool, const struct message *m)
{
    struct buf b;
    if (!m->headers || !log_wants(LS_rejected_header)) {
        return STR("");
    }
    buf_init(&b, pool, 1 << 20);
    if (m->recipient_count) {
        buf_addf(&b, "Envelope-from: <%.*s>\nEnvelope-to: <%.*s>\n", STR_ARG(m->sender),
                 STR_ARG(m->recipients[0].address));
    }
    for (size_t i = 1; i < m->recipient_count && i < REJECT_RCPTS; i++) {
        buf_addf(&b, "    <%.*s>\n", STR_ARG(m->recipients[i].address));
    }
    buf_addz(&b, m->recipient_count > REJECT_RCPTS ? "    ...\n" : "");
    for (const struct header *h = m->headers; h; h = h->next) {
        if (!str_empty(h->text)) {
            buf_addf(&b, "%c %.*s", h->type, STR_ARG(h->text));
        }
    }
    return buf_str(&b);
}

static void vlog(unsigned where, const struct message *m, const char *fmt, va_list ap)
{
    struct pool *pool = pool_new("log text");
    struct str text = str_vfmt(pool, fmt, ap);
    size_t id = m && !str_empty(m->id) ? m->id.len + 1u : 0;
    if (id) {
        text = STR_CAT(pool, m->id, STR(" "), text);
    }
    emit(where, text, id, m && where & LOG_REJECT ? refused_headers(pool, m) : STR(""));
    pool_free(&pool);
    if (where & LOG_DIE) {
        exit(1);
    }
}

void log_write(unsigned where, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(where, NULL, fmt, ap);
    va_end(ap);
}

void log_msg(unsigned where, const struct message *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(where, m, fmt, ap);
    va_end(ap);
}

void log_to_stderr(enum log_stderr how)
{
    state.on_stderr = how;
}

void log_close(void)
{
    for (int i = 0; i < FILE_COUNT; i++) {
        close_file(i);
    }
}
