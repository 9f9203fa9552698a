/* Unit tests of queue/: retry rules and times, listing formats, log lines, warnings that are due. */
#include "queue/internal.h"
#include "unit/unit.h"

#include <errno.h>

static struct retry_rule rule_of(const char *error, const char *params)
{
    struct retry_rule rule = {0};
    struct str why = STR("");
    CHECK(!retry_parse_error(str_c(error), &rule));
    CHECK(retry_parse_params(unit_pool(), str_c(params), &rule, &why));
    CHECK_STR(why, "");
    return rule;
}

TEST(retry_params)
{
    struct retry_rule rule = rule_of("*", "F,2h,15m; G,16h,1h,1.5;F,4d,6h");
    CHECK(rule.n == 3);
    CHECK(rule.params[0].algorithm == 'F' && rule.params[0].cutoff == 7200 &&
          rule.params[0].interval == 900);
    CHECK(rule.params[1].algorithm == 'G' && rule.params[1].factor == 1500);
    CHECK(retry_ultimate(&rule) == 4 * 86400);
    rule = rule_of("*", "");
    CHECK(rule.n == 0 && retry_ultimate(&rule) == 0);
    CHECK(rule_of("*", "F,1h,15m;").n == 1);
}

TEST(retry_params_bad)
{
    static const char *const cases[][2] = {
        {"X,1h,1m", "unknown retry rule letter"},
        {"F,1h", "comma expected"},
        {"F,1h,1m,2", "semicolon expected"},
        {"G,1h,1m", "comma expected"},
        {"F,zz,1m", "bad parameters for retry rule"},
        {"F,1h,0s", "bad parameters for retry rule"},
        {"G,1h,1m,0.5", "bad parameters for retry rule"},
        {"F,1h,1m G,1h,1m,2", "semicolon expected"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct retry_rule rule = {0};
        struct str why = STR("");
        CHECK(!retry_parse_params(unit_pool(), str_c(cases[i][0]), &rule, &why));
        CHECK_STR(why, cases[i][1]);
    }
}

TEST(retry_error_names)
{
    struct retry_rule rule = {0};
    CHECK(retry_parse_error(STR("bogus"), &rule) == retry_unknown_error);
    CHECK(retry_parse_error(STR("rcpt_9xx"), &rule) == retry_unknown_error);
    CHECK(retry_parse_error(STR("rcpt_4x1"), &rule) != NULL);
    CHECK(retry_parse_error(STR("quota_x"), &rule) != NULL);
    CHECK(retry_parse_error(STR("Refused_mx"), &rule) == NULL);
}

TEST(retry_errors_match)
{
    int code = ERRNO_SMTP_CODE(452);
    struct retry_rule any = rule_of("*", ""), rcpt = rule_of("rcpt_4xx", "");
    struct retry_rule five = rule_of("rcpt_45x", ""), exact = rule_of("rcpt_451", "");
    CHECK(retry_error_matches(&any, ERRNO_QUOTA, 0));
    CHECK(retry_error_matches(&rcpt, ERRNO_RCPT4XX, code));
    CHECK(retry_error_matches(&five, ERRNO_RCPT4XX, code));
    CHECK(!retry_error_matches(&exact, ERRNO_RCPT4XX, code));
    CHECK(!retry_error_matches(&rcpt, ERRNO_MAIL4XX, code));
    struct retry_rule quota = rule_of("quota_5d", "");
    CHECK(!retry_error_matches(&quota, ERRNO_QUOTA, 4 * 86400));
    CHECK(retry_error_matches(&quota, ERRNO_QUOTA, 5 * 86400));
    CHECK(retry_error_matches(&quota, ENOSPC, 6 * 86400));
    struct retry_rule refused = rule_of("refused_A", ""), connect = rule_of("timeout_connect", "");
    CHECK(retry_error_matches(&refused, ECONNREFUSED, 'A'));
    CHECK(!retry_error_matches(&refused, ECONNREFUSED, 'M'));
    CHECK(retry_error_matches(&connect, ETIMEDOUT, ERRNO_CONNECTING + 'M'));
    CHECK(!retry_error_matches(&connect, ETIMEDOUT, 'M'));
    struct retry_rule timeout = rule_of("timeout_MX", "");
    CHECK(retry_error_matches(&timeout, ETIMEDOUT, ERRNO_CONNECTING + 'M'));
    CHECK(!retry_error_matches(&timeout, ETIMEDOUT, 'A'));
}

/* Fails again and again, each time as soon as it may: the intervals that result. */
TEST(retry_times)
{
    static const int want[] = {900, 900, 900, 3600, 5400, 8100, 12150, 18225};
    struct retry_rule rule = rule_of("*", "F,35m,15m; G,16h,1h,1.5; F,4d,6h");
    struct retry_record r = {.first = 1000};
    int64_t now = 1000;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        retry_compute(&rule, &r, now, r.first, 86400, 0);
        CHECK(r.next - now == want[i] && !r.expired);
        now = r.next;
    }
    retry_compute(&rule, &r, now + 5 * 86400, r.first, 86400, 0);
    CHECK(r.expired && r.next == now + 5 * 86400 + 6 * 3600);
    retry_compute(&rule, &r, now, r.first, 60, 0);
    CHECK(r.next - now == 60);
}

TEST(retry_random_interval)
{
    struct retry_rule rule = rule_of("*", "H,4d,1h,2");
    for (uint32_t i = 0; i < 100; i++) {
        struct retry_record r = {.first = 0, .last = 100000, .next = 107200};
        retry_compute(&rule, &r, 107200, 0, 86400, i * 7919);
        CHECK(r.next - 107200 >= 3600 && r.next - 107200 <= 14400);
    }
}

TEST(retry_records)
{
    struct retry_record r = {.first = 1,
                             .last = 2,
                             .next = 3,
                             .basic_errno = -22,
                             .more_errno = 5,
                             .expired = true,
                             .text = STR("a b\nc")};
    struct retry_record back = {0};
    CHECK(retry_decode(retry_encode(unit_pool(), &r), &back));
    CHECK(back.first == 1 && back.last == 2 && back.next == 3 && back.expired);
    CHECK(back.basic_errno == -22 && back.more_errno == 5);
    CHECK_STR(back.text, "a b\nc");
    CHECK(!retry_decode(STR("1 2 3"), &back) && !retry_decode(STR("9 1 1 1 1 1 1 x"), &back));
}

TEST(list_formats)
{
    CHECK_STR(list_age(unit_pool(), 59), " 0m");
    CHECK_STR(list_age(unit_pool(), 90 * 60), "90m");
    CHECK_STR(list_age(unit_pool(), 91 * 60), " 2h");
    CHECK_STR(list_age(unit_pool(), 72 * 3600), "72h");
    CHECK_STR(list_age(unit_pool(), 100 * 3600), " 4d");
    CHECK_STR(list_size(unit_pool(), 259), "  259");
    CHECK_STR(list_size(unit_pool(), 1439), " 1.4K");
    CHECK_STR(list_size(unit_pool(), 20480), "  20K");
    CHECK_STR(list_size(unit_pool(), 3 * 1024 * 1024), " 3.0M");
    CHECK_STR(list_size(unit_pool(), 30 * 1024 * 1024), "  30M");
}

TEST(warnings_due)
{
    int v[] = {4 * 3600, 8 * 3600, 24 * 3600};
    struct timelist list = {3, v}, one = {1, v}, none = {0, NULL};
    int64_t passed;
    CHECK(bounce_warnings_due(&none, 1000000, &passed) == 0);
    CHECK(bounce_warnings_due(&list, 3600, &passed) == 0);
    CHECK(bounce_warnings_due(&list, 5 * 3600, &passed) == 1);
    CHECK(bounce_warnings_due(&list, 24 * 3600, &passed) == 3);
    CHECK(bounce_warnings_due(&list, 41 * 3600, &passed) == 4);
    CHECK(passed == 40 * 3600);
    CHECK(bounce_warnings_due(&one, 9 * 3600, &passed) == 2);
}

TEST(log_addresses)
{
    struct pool *p = unit_pool();
    struct router router = {.name = STR("r")};
    struct transport local = {.name = STR("t"), .local = true};
    struct address top = {
        .address = STR("List@Dom.ex"), .local_part = STR("list"), .domain = STR("dom.ex")};
    struct address mid = {.address = STR("in@dom.ex"), .parent = &top};
    struct address a = {.address = STR("c@dom.ex"),
                        .local_part = STR("c"),
                        .domain = STR("dom.ex"),
                        .parent = &mid,
                        .router = &router,
                        .transport = &local,
                        .log_as_local = true};
    CHECK_STR(log_address(p, &a, false, true), "c <List@Dom.ex>");
    CHECK_STR(log_address(p, &a, true, true), "c (in@dom.ex) <List@Dom.ex>");
    CHECK_STR(log_address(p, &a, false, false), "c@dom.ex <List@Dom.ex>");
    struct address plain = {.address = STR("x@y"), .local_part = STR("x"), .domain = STR("y")};
    CHECK_STR(log_address(p, &plain, false, false), "x@y");
    CHECK_STR(log_address(p, &top, false, false), "list@dom.ex <List@Dom.ex>");
    struct address pipe = {.address = STR("|cmd"), .kind = AK_PIPE, .parent = &mid};
    CHECK_STR(log_address(p, &pipe, false, true), "|cmd (in@dom.ex) <List@Dom.ex>");
}

/* The lines as the selectors are before a configuration is read: Exim's defaults. */
TEST(log_lines)
{
    struct message m = {.pool = unit_pool(), .sender = STR("s@d")};
    struct job j = {.pool = unit_pool(), .m = &m};
    struct router router = {.name = STR("rr")};
    struct transport remote = {.name = STR("tt")};
    struct host host = {.name = STR("mx.ex"), .address = STR("10.0.0.1")};
    struct address a = {.address = STR("x@y"),
                        .local_part = STR("x"),
                        .domain = STR("y"),
                        .router = &router,
                        .transport = &remote,
                        .host_used = &host,
                        .host_used_port = 25,
                        .outcome = ADDR_OK,
                        .confirmation = STR("250 \"ok\" \\o")};
    CHECK_STR(log_delivered(&j, &a), "x@y R=rr T=tt H=mx.ex [10.0.0.1] C=\"250 \\\"ok\\\" \\\\o\"");
    a.chunking_used = a.continued = true;
    a.confirmation = STR_NONE;
    CHECK_STR(log_delivered(&j, &a), "x@y R=rr T=tt H=mx.ex [10.0.0.1]* K");
    a.outcome = ADDR_FAIL;
    a.continued = false;
    a.message = STR("no");
    CHECK_STR(log_failed(&j, &a), "x@y R=rr T=tt H=mx.ex [10.0.0.1]: no");
    a.outcome = ADDR_DEFER;
    a.basic_errno = ERRNO_HRETRY;
    CHECK_STR(log_deferred(&j, &a, STAGE_TRANSPORT),
              "x@y R=rr T=tt defer (-54) H=mx.ex [10.0.0.1]: no");
    a.host_used = NULL;
    CHECK_STR(log_deferred(&j, &a, STAGE_ROUTER), "x@y R=rr defer (-54): no");
    CHECK_STR(log_deferred(&j, &a, STAGE_ROUTING), "x@y routing defer (-54): no");
    CHECK_STR(log_deferred(&j, &a, STAGE_NONE), "x@y defer (-54): no");
    a.outcome = ADDR_DISCARD;
    a.transport = NULL;
    CHECK_STR(log_delivered(&j, &a), ":blackhole: <x@y> R=rr");
}
