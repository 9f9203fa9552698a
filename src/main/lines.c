/*
 * Physical lines to logical lines: comments, continuations, macro replacement, .include and the
 * conditional directives.
 *
 * As in Exim, macros are replaced in each physical line before anything else is looked at, so a
 * macro can make a comment or a directive; inclusion and comments may stand inside a continued
 * line, an empty line ends one. Each byte of a logical line knows its file, line and column. Files
 * are read whole when they are opened. The text of a logical line lives in the reader's pool, its
 * places until the next line is asked for.
 */
#include "main/internal.h"

#include <ctype.h>
#include <errno.h>

enum { MAX_CONFIG_SIZE = 64 << 20, MAX_INCLUDES = 1000, MAX_NESTING = 100, MAX_LINE = 1 << 20 };

/* An open file. */
struct input {
    struct input *outer; /* that included it */
    const char *name;
    struct str rest;
    int line;
};

/* One level of .ifdef. */
struct condition {
    bool active; /* lines of the current branch count */
    bool done;   /* a branch was taken, or the whole lies in a skipped one */
    bool seen_else;
    struct cfg_pos pos;
};

struct lines {
    struct opt_reader *r;
    struct macros *macros;
    struct pool *files;   /* contents of files */
    struct pool *scratch; /* the current logical line but its text */
    struct input *input;
    int includes;
    void (*tell)(const char *file, int line); /* or NULL */
    int total; /* lines of the outermost file, once it is at its end */
    struct condition conditions[MAX_NESTING];
    int nesting;
};

/* A physical line after macro replacement, without surrounding white space. */
struct physical {
    struct str text;
    int *cols;
    bool replaced; /* a macro was */
    int line;
    const char *file;
};

static bool fail_at(struct lines *l, struct cfg_pos pos, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static bool fail_at(struct lines *l, struct cfg_pos pos, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct str text = str_vfmt(l->r->pool, fmt, ap);
    va_end(ap);
    l->r->pos = pos;
    l->r->error(l->r, text.p);
    return false;
}

void lines_tell_files(struct lines *l, void (*tell)(const char *file, int line))
{
    l->tell = tell;
    tell(l->input->name, 1);
}

/* The innermost file and the place in it have changed, or are about to. */
static void tell_place(const struct lines *l, int line)
{
    if (l->tell && l->input) {
        l->tell(l->input->name, line);
    }
}

static void push(struct lines *l, const char *name, struct str text)
{
    struct input *in = POOL_NEW(l->files, struct input);
    *in = (struct input){l->input, name, text, 0};
    l->input = in;
    l->includes++;
}

struct lines *lines_open(struct opt_reader *r, struct macros *m, const char *file, struct str text)
{
    struct lines *l = POOL_NEW(r->pool, struct lines);
    l->r = r;
    l->macros = m;
    l->files = pool_new("configuration files");
    l->scratch = pool_new("configuration line");
    if (str_unset(text) && file_read(l->files, str_c(file), MAX_CONFIG_SIZE, &text) < 0) {
        int e = errno;
        lines_close(l);
        errno = e;
        return NULL;
    }
    push(l, file, text);
    return l;
}

void lines_close(struct lines *l)
{
    pool_free(&l->files);
    pool_free(&l->scratch);
}

/* ---- inclusion ---- */

/* The path of a relative name beside the including file. */
static struct str beside(struct pool *pool, const char *file, struct str name)
{
    ptrdiff_t slash = str_rchr(str_c(file), '/');
    return STR_CAT(pool, str_sub(str_c(file), 0, (size_t)(slash + 1)), name);
}

static bool include(struct lines *l, struct str name, bool if_exists, struct cfg_pos pos)
{
    struct pool *pool = l->r->pool;
    if (name.len > 1 && name.p[0] == '"' && name.p[name.len - 1] == '"') {
        name = str_sub(name, 1, name.len - 2u);
    }
    if (!str_starts(name, "/")) {
        if (if_exists || str_empty(name)) {
            return fail_at(l, pos, ".include specifies a non-absolute path \"%.*s\"",
                           STR_ARG(name));
        }
        name = beside(pool, l->input->name, name);
    }
    if (l->includes >= MAX_INCLUDES) {
        return fail_at(l, pos, ".include nested too deeply");
    }
    struct str text;
    if (file_read(l->files, name, MAX_CONFIG_SIZE, &text) < 0) {
        return if_exists && (errno == ENOENT || errno == ENOTDIR)
                   ? true
                   : fail_at(l, pos, "failed to open included configuration file %.*s",
                             STR_ARG(name));
    }
    tell_place(l, l->input->line);
    push(l, str_cstr(pool, name), text);
    tell_place(l, 1);
    return true;
}

/* ---- conditions ---- */

static bool skipping(const struct lines *l)
{
    return l->nesting > 0 && !l->conditions[l->nesting - 1].active;
}

static bool begin_condition(struct lines *l, bool yes, struct cfg_pos pos)
{
    if (l->nesting == MAX_NESTING) {
        return fail_at(l, pos, ".ifdef nested too deeply");
    }
    bool outer = !skipping(l);
    l->conditions[l->nesting++] =
        (struct condition){.active = outer && yes, .done = !outer || yes, .pos = pos};
    return true;
}

/* .elifdef, .elifndef, .else */
static bool next_branch(struct lines *l, bool yes, bool is_else, const char *word,
                        struct cfg_pos pos)
{
    struct condition *c = l->nesting ? &l->conditions[l->nesting - 1] : NULL;
    if (!c || c->seen_else) {
        return fail_at(l, pos, ".%s without matching .ifdef", word);
    }
    c->active = !c->done && yes;
    c->done |= yes;
    c->seen_else = is_else;
    return true;
}

static bool end_condition(struct lines *l, struct cfg_pos pos)
{
    if (l->nesting == 0) {
        return fail_at(l, pos, ".endif without matching .ifdef");
    }
    l->nesting--;
    return true;
}

/* Does what a directive says. False if the line is none. */
static bool directive(struct lines *l, const struct physical *p)
{
    struct str word = str_from(p->text, 1);
    uint32_t n = 0;
    while (n < word.len && (isalpha((unsigned char)word.p[n]) || word.p[n] == '_')) {
        n++;
    }
    struct str arg = str_trim(str_from(word, n));
    word.len = n;
    struct cfg_pos pos = {p->file, p->line, p->cols[0]};
    if (str_is(word, "ifdef") || str_is(word, "ifndef")) {
        begin_condition(l, p->replaced == str_is(word, "ifdef"), pos);
    } else if (str_is(word, "elifdef") || str_is(word, "elifndef")) {
        bool plain = str_is(word, "elifdef");
        next_branch(l, p->replaced == plain, false, plain ? "elifdef" : "elifndef", pos);
    } else if (str_is(word, "else")) {
        next_branch(l, true, true, "else", pos);
    } else if (str_is(word, "endif")) {
        end_condition(l, pos);
    } else if (str_is(word, "include") || str_is(word, "include_if_exists")) {
        if (!skipping(l)) {
            include(l, arg, n > 7, pos);
        }
    } else {
        return false;
    }
    return true;
}

/* ---- lines ---- */

/* The next raw line of the innermost file, leaving files that are at their end. */
static bool raw_line(struct lines *l, struct str *out)
{
    while (l->input && l->input->rest.len == 0) {
        l->total = l->input->line;
        l->input = l->input->outer;
        l->includes--;
        tell_place(l, l->input ? l->input->line : 0);
    }
    if (!l->input) {
        return false;
    }
    struct str *rest = &l->input->rest;
    ptrdiff_t end = str_chr(*rest, '\n');
    *out = str_sub(*rest, 0, end < 0 ? rest->len : (size_t)end);
    *rest = str_from(*rest, end < 0 ? rest->len : (size_t)end + 1);
    l->input->line++;
    return true;
}

/* Trims the line and gives each byte, and the place behind the last, its column. */
static void columns(struct lines *l, struct str raw, struct physical *p)
{
    struct str text = str_ltrim(raw);
    int first = (int)(raw.len - text.len) + 1;
    text = str_rtrim(text);
    p->text = text;
    p->cols = pool_calloc(l->scratch, text.len + 1u, sizeof *p->cols);
    for (uint32_t i = 0; i <= text.len; i++) {
        p->cols[i] = first + (int)i;
    }
    p->line = l->input->line;
    p->file = l->input->name;
}

/* True if the line is one of those that count even where lines are skipped. */
static bool maybe_directive(struct str s)
{
    return s.len > 1 && s.p[0] == '.' && islower((unsigned char)s.p[1]);
}

/*
 * The next physical line that counts: macros replaced, comments and directives done. `inside` a
 * continued line, empty lines are handed on; else they are skipped.
 */
static bool physical_line(struct lines *l, bool inside, struct physical *p)
{
    struct str raw;
    while (raw_line(l, &raw)) {
        columns(l, raw, p);
        if (str_starts(p->text, "#") || (skipping(l) && !maybe_directive(p->text))) {
            continue;
        }
        p->replaced = false;
        if (!str_empty(p->text)) {
            p->replaced = macros_expand(l->macros, l->scratch, &p->text, &p->cols);
            struct str trimmed = str_ltrim(p->text);
            p->cols += p->text.len - trimmed.len;
            p->text = str_rtrim(trimmed);
        }
        bool empty = str_empty(p->text);
        if (str_starts(p->text, "#") || (maybe_directive(p->text) && directive(l, p)) ||
            skipping(l) || (empty && (!inside || p->replaced))) {
            continue;
        }
        return true;
    }
    return false;
}

static void end_of_file(struct lines *l)
{
    if (l->nesting) {
        fail_at(l, l->conditions[l->nesting - 1].pos,
                "Unexpected end of configuration file: .endif missing");
        l->nesting = 0;
    }
}

/* Adds a physical line; true if it ends in a continuation, which is not added. */
static bool add(struct buf *text, struct buf *at, const struct physical *p)
{
    bool continued = str_ends(p->text, STR("\\"));
    uint32_t n = p->text.len - continued;
    buf_add(text, p->text.p, n);
    for (uint32_t i = 0; i < n; i++) {
        struct cfg_pos pos = {p->file, p->line, p->cols[i]};
        buf_add(at, (const char *)&pos, sizeof pos);
    }
    return continued;
}

int lines_read(const struct lines *l)
{
    return l->total;
}

bool lines_next(struct lines *l, struct line *out)
{
    struct physical p;
    struct buf text, at;
    pool_clear(l->scratch);
    if (!physical_line(l, false, &p)) {
        end_of_file(l);
        return false;
    }
    buf_init(&text, l->scratch, MAX_LINE);
    buf_init(&at, l->scratch, (size_t)MAX_LINE * sizeof(struct cfg_pos));
    struct cfg_pos start = {p.file, p.line, p.cols[0]};
    while (add(&text, &at, &p) && physical_line(l, true, &p)) {
    }
    if (text.overflow) {
        fail_at(l, start, "configuration line is too long");
    }
    struct cfg_pos end = {p.file, p.line, p.cols[p.text.len]};
    buf_add(&at, (const char *)&end, sizeof end);
    out->text = str_dup(l->r->pool, buf_str(&text));
    out->at = (const struct cfg_pos *)(const void *)at.p;
    return true;
}
