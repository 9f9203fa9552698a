/*
 * Tracing (trace.h): the mask of the process, the parser of -d's argument, and the writer.
 *
 * Lines go to standard error through stdio, or to the debug log, each text in one call. With -bh alone each line begins
 * with ">>> "; with -d, with the time and the process number if these are selected.
 */
#include "core/core.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* All of -d+all but memory and noutf8; -all takes all. */
#define ALL_ON (UINT64_C(0xffffffff) & ~(uint64_t)(TR_memory | TR_noutf8))
#define ALL_OFF UINT64_C(0xffffffff)

struct trace trace_state;

static const struct {
    const char *name;
    bool dflt;
} rows[] = {
#define ROW(name, dflt, doc) {#name, dflt},
    TRACE_CATEGORIES(ROW)
#undef ROW
};

uint64_t trace_default(void)
{
    uint64_t mask = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        mask |= (uint64_t)rows[i].dflt << i;
    }
    return mask;
}

void trace_select(uint64_t mask)
{
    trace_state.mask = mask | (trace_state.mask & TR_bh);
}

void trace_host_check(bool on)
{
    trace_state.mask = on ? trace_state.mask | TR_bh : trace_state.mask & ~(uint64_t)TR_bh;
}

uint64_t trace_selected(void)
{
    return trace_state.mask & ~(uint64_t)TR_bh;
}

/* The bits of a name; 0 if there is none of it. -v's has no name. */
static uint64_t bits_of(struct str name, bool on)
{
    if (str_is(name, "all")) {
        return on ? ALL_ON : ALL_OFF;
    }
    for (size_t i = 1; i < ARRAY_LEN(rows); i++) {
        if (str_is(name, rows[i].name)) {
            return UINT64_C(1) << i;
        }
    }
    return 0;
}

bool trace_parse(struct pool *pool, struct str text, uint64_t *mask, struct str *error)
{
    while (!str_empty(text)) {
        bool on = text.p[0] == '+';
        if (!on && text.p[0] != '-') {
            *error = str_fmt(pool,
                             "malformed debug_selector setting: + or - expected but found \"%.*s\"",
                             STR_ARG(text));
            return false;
        }
        uint32_t end = 1;
        while (end < text.len && text.p[end] != '+' && text.p[end] != '-') {
            end++;
        }
        struct str name = str_sub(text, 1, end - 1);
        uint64_t bits = bits_of(name, on);
        if (!bits) {
            *error = str_fmt(pool, "unknown debug_selector setting: %c%.*s", on ? '+' : '-',
                             STR_ARG(name));
            return false;
        }
        *mask = on ? *mask | bits : *mask & ~bits;
        text = str_from(text, end);
    }
    return true;
}

/* ---- the debug log ---- */

bool trace_file_open(struct pool *pool, struct str tag, uint64_t mask, struct str *error)
{
    struct trace *t = &trace_state;
    if (t->fd > 0) {
        return true;
    }
    t->pool = pool_new("debug log");
    t->fd = log_open_debug(t->pool, tag, &t->path);
    if (t->fd <= 0) {
        *error = tag.tainted ? STR("tainted tag for debug log filename")
                             : str_fmt(pool, "cannot open debug log \"%.*s\": %s", STR_ARG(t->path),
                                       strerror(errno));
        t->fd = 0;
        pool_free(&t->pool);
        return false;
    }
    t->before = trace_selected();
    trace_select(mask);
    return true;
}

void trace_file_close(bool remove)
{
    struct trace *t = &trace_state;
    if (t->fd <= 0) {
        return;
    }
    close(t->fd);
    if (remove && unlink(t->path.p) < 0) {
        log_write(LOG_MAIN | LOG_PANIC, "cannot remove debug log \"%.*s\": %s", STR_ARG(t->path),
                  strerror(errno));
    }
    t->fd = 0;
    trace_select(t->before);
    pool_free(&t->pool);
}

/* ---- writing ---- */

static void add_prefix(struct buf *b)
{
    if (!trace_selected()) {
        buf_addz(b, ">>> ");
        return;
    }
    if (trace_state.mask & TR_timestamp) {
        struct str full = time_log(b->pool, time_now(), false, false, false);
        buf_addf(b, "%.*s ", STR_ARG(str_from(full, full.len > 8 ? full.len - 8u : 0)));
    }
    if (trace_state.mask & TR_pid) {
        buf_addf(b, "%5ld ", (long)getpid());
    }
}

/* Every fourth column of the indentation has a line. */
static void add_indent(struct buf *b)
{
    const char *line = trace_state.mask & TR_noutf8 ? "   !" : "   \xe2\x95\x8e";
    for (int i = 0; i < trace_state.depth / 4; i++) {
        buf_addz(b, line);
    }
    for (int i = 0; i < trace_state.depth % 4; i++) {
        buf_addc(b, ' ');
    }
}

static void write_lines(bool indent, const char *fmt, va_list ap)
{
    enum { MAX_TEXT = 1 << 20 };
    struct pool *pool = pool_new("trace");
    struct str line, text = str_vfmt(pool, fmt, ap);
    struct buf b;
    buf_init(&b, pool, MAX_TEXT);
    do {
        bool more = str_next(&text, '\n', &line);
        add_prefix(&b);
        if (indent) {
            add_indent(&b);
            indent = false; /* Exim's way: the first line of a text alone */
        }
        if (more) {
            buf_adds(&b, line);
        }
        buf_addc(&b, '\n');
    } while (!str_empty(text));
    if (trace_state.fd <= 0) {
        fwrite(b.p, 1, b.len, stderr);
    } else if (write_all(trace_state.fd, b.p, b.len) < 0) {
        trace_file_close(false); /* a full disk is no reason to stop for */
    }
    pool_free(&pool);
}

void trace_write(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_lines(false, fmt, ap);
    va_end(ap);
}

void trace_write_in(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    write_lines(true, fmt, ap);
    va_end(ap);
}
