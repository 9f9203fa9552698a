/* Tests of command lines, line-wise changes, and plans as bytes. */
#include "transport/internal.h"
#include "unit/unit.h"

static struct str split(const char *line)
{
    struct pool *pool = unit_pool();
    struct strvec v = {.pool = pool};
    struct str error;
    struct buf b;
    buf_init(&b, pool, 65536);
    if (!command_split(pool, str_c(line), &v, &error)) {
        return error;
    }
    for (size_t i = 0; i < v.n; i++) {
        buf_addf(&b, "[%.*s]", STR_ARG(v.v[i]));
    }
    return buf_str(&b);
}

TEST(command_lines)
{
    CHECK_STR(split(""), "");
    CHECK_STR(split("/bin/cat a  b"), "[/bin/cat][a][b]");
    CHECK_STR(split("/bin/sh -c \"echo \\\"hi\\\" there\""), "[/bin/sh][-c][echo \"hi\" there]");
    CHECK_STR(split("x 'a \\n b' \"c\\nd\""), "[x][a \\n b][c\nd]");
    CHECK_STR(split("x \"\" ''"), "[x][][]");
    CHECK_STR(split("x \"open"), "no closing quote");
    CHECK_STR(split("x a\"b"), "[x][a\"b]");
}

static bool keep(void *closure, const char *p, size_t n)
{
    return buf_add(closure, p, n);
}

/* The text through the filter, in pieces of `step` bytes. */
static struct str filtered(struct line_filter f, const char *text, size_t step)
{
    struct buf b;
    struct str s = str_c(text);
    buf_init(&b, unit_pool(), 65536);
    f.put = keep;
    f.closure = &b;
    for (size_t i = 0; i < s.len; i += step) {
        struct str piece = str_sub(s, i, step);
        CHECK(line_filter_put(&f, piece.p, piece.len));
    }
    CHECK(f.written == (int64_t)b.len);
    return buf_str(&b);
}

TEST(line_filters)
{
    const struct line_filter none = {0}, crlf = {.crlf = true},
                             dots = {.check = STR("."), .escape = STR(".."), .crlf = true},
                             from = {.check = STR("From "), .escape = STR(">From ")};
    CHECK_STR(filtered(none, "a\nb", 1), "a\nb");
    CHECK_STR(filtered(crlf, "a\n\nb\n", 1), "a\r\n\r\nb\r\n");
    CHECK_STR(filtered(crlf, "a\n\nb\n", 100), "a\r\n\r\nb\r\n");
    CHECK_STR(filtered(dots, ".\n..a\nb.\n.", 100), "..\r\n...a\r\nb.\r\n..");
    CHECK_STR(filtered(dots, ".\n.a\n", 1), "..\r\n..a\r\n");
    CHECK_STR(filtered(from, "From a\n From b\nFrom c\n", 100), ">From a\n From b\n>From c\n");
    CHECK_STR(filtered(from, "From", 100), "From");
}

TEST(plans_travel)
{
    struct pool *pool = unit_pool();
    struct plan p = {.fd = -1, .argv = {.pool = pool}, .env = {.pool = pool}}, q;
    p.f.kind = PLAN_PIPE;
    p.f.uid = 12345;
    p.f.quota = 1LL << 40;
    p.text[PT_LEAD] = STR("lead\0with nul");
    p.text[PT_TAIL] = STR("");
    strvec_push(&p.argv, STR("/bin/cat"));
    strvec_push(&p.argv, STR(""));
    strvec_push(&p.env, STR("A=b"));
    struct str bytes = plan_encode(pool, &p);
    CHECK(plan_decode(pool, bytes, &q));
    CHECK(q.f.uid == 12345 && q.f.quota == 1LL << 40 && q.f.kind == PLAN_PIPE);
    CHECK(str_eq(q.text[PT_LEAD], p.text[PT_LEAD]));
    CHECK(!str_unset(q.text[PT_TAIL]) && str_empty(q.text[PT_TAIL]));
    CHECK(str_unset(q.text[PT_PATH]));
    CHECK(q.argv.n == 2 && q.env.n == 1);
    CHECK_STR(q.argv.v[0], "/bin/cat");
    for (uint32_t n = 0; n < bytes.len; n++) {
        CHECK(!plan_decode(pool, str_sub(bytes, 0, n), &q));
    }
}

TEST(recipients_without_affixes)
{
    struct pool *pool = unit_pool();
    struct address a = {
        .address = STR("x-joe+tag@a.b"), .prefix = STR("x-"), .suffix = STR("+tag")};
    CHECK_STR(transport_rcpt(pool, &a, false), "joe@a.b");
    CHECK_STR(transport_rcpt(pool, &a, true), "x-joe+tag@a.b");
    a.prefix = a.suffix = STR_NONE;
    CHECK_STR(transport_rcpt(pool, &a, false), "x-joe+tag@a.b");
}
