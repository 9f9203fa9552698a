/*
 * Unit tests of the data reader (data.c): line ends, dots, and the ways of smuggling a second
 * message behind the first (RFC 5321 2.3.8, 4.1.1.4, 4.5.2).
 */
#include "smtp_in/internal.h"
#include "unit/unit.h"

struct got {
    struct buf b;
};

static bool take(void *closure, const char *p, size_t n)
{
    struct got *g = closure;
    return buf_add(&g->b, p, n);
}

/* Feeds `in` in pieces of `step` bytes; returns the text, the reader, how many bytes it took. */
static struct str run(enum data_mode mode, const char *in, size_t step, struct data_reader *r,
                      size_t *took)
{
    static struct got g;
    size_t n = strlen(in);
    buf_init(&g.b, unit_pool(), 4096);
    *r = (struct data_reader){.mode = mode, .put = take, .closure = &g};
    *took = 0;
    while (*took < n && !r->done) {
        size_t part = n - *took < step ? n - *took : step;
        *took += data_feed(r, in + *took, part);
    }
    if (mode != DATA_SMTP && mode != DATA_LOCAL) {
        data_end(r);
    }
    return buf_str(&g.b);
}

TEST(data_texts)
{
    static const struct {
        enum data_mode mode;
        const char *in, *out;
        bool done;
        size_t left; /* bytes behind the end of the message */
    } rows[] = {
        {DATA_SMTP, "a\r\nb\r\n.\r\nQUIT\r\n", "a\nb\n", true, 6},
        {DATA_SMTP, ".\r\n", "", true, 0},
        {DATA_SMTP, "..\r\n.\r\n", ".\n", true, 0},
        {DATA_SMTP, ".a\r\n..b\r\n.\r\n", "a\n.b\n", true, 0},
        {DATA_SMTP, "a.\r\n.\r\n", "a.\n", true, 0},
        {DATA_SMTP, "a\r\n.", "a\n", false, 0},
        {DATA_LOCAL, "a\n..b\n.\nX", "a\n.b\n", true, 1},
        {DATA_LOCAL, "a\r\n.\r\nX", "a\n", true, 1},
        {DATA_LOCAL, "a\rb\n.\n", "a\nb\n", true, 0},
        {DATA_DOT, "a\n..b\n.\nX", "a\n..b\n", true, 1},
        {DATA_DOT, "a\n.b\n", "a\n.b\n", false, 0},
        {DATA_DOT, "a\n.", "a\n", true, 0},
        {DATA_RAW, ".\r\na\rb\n.\n", ".\na\nb\n.\n", false, 0},
        {DATA_RAW, "a\r", "a\n", false, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t step = 1; step < 20; step++) {
            struct data_reader r;
            size_t took;
            struct str out = run(rows[i].mode, rows[i].in, step, &r, &took);
            CHECK_STR(out, rows[i].out);
            CHECK(r.done == rows[i].done);
            CHECK(strlen(rows[i].in) - took == rows[i].left);
            CHECK(!r.bare_cr && !r.bare_lf);
        }
    }
}

TEST(data_bare_line_ends_are_noticed)
{
    static const struct {
        const char *in;
        bool lf, cr, bad_end;
    } rows[] = {
        {"a\nb\r\n.\r\n", true, false, false},
        {"a\rb\r\n.\r\n", false, true, false},
        {"a\r\r\n.\r\n", false, true, false},
        /* a lone dot with a wrong end before or after it never ends the message quietly */
        {"a\n.\nMAIL FROM:<x@y>\r\n", true, false, true},
        {"a\n.\r\nMAIL FROM:<x@y>\r\n", true, false, true},
        {"a\r\n.\nMAIL FROM:<x@y>\r\n", true, false, true},
        {"a\r.\rMAIL FROM:<x@y>\r\n", false, true, true},
        {"a\r.\r\nMAIL FROM:<x@y>\r\n", false, true, true},
        {"a\r\n.\rMAIL FROM:<x@y>\r\n", false, true, true},
        {"a\r\n\r.\r\nMAIL FROM:<x@y>\r\n", false, true, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        for (size_t step = 1; step < 20; step++) {
            struct data_reader r;
            size_t took;
            run(DATA_SMTP, rows[i].in, step, &r, &took);
            CHECK(r.done);
            CHECK(r.bare_lf == rows[i].lf);
            CHECK(r.bare_cr == rows[i].cr);
            CHECK(r.bad_end == rows[i].bad_end);
        }
    }
}
