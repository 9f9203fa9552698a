/* Tests of HTTP for OCSP: URLs, and what answers may look like. */
#include "tls/http.h"
#include "unit/unit.h"

#include <sys/mman.h>
#include <unistd.h>

TEST(http_urls)
{
    struct http_url u;
    struct pool *pool = unit_pool();
    CHECK(http_url(pool, STR("http://OCSP.example.com"), &u) && u.port == 80);
    CHECK_STR(u.host, "ocsp.example.com");
    CHECK_STR(u.path, "/");
    CHECK(http_url(pool, STR("HTTP://a.b:8080/c/d?e"), &u) && u.port == 8080);
    CHECK_STR(u.path, "/c/d?e");
    CHECK(http_url(pool, STR("http://[2001:db8::1]:81/"), &u) && u.port == 81);
    CHECK_STR(u.host, "2001:db8::1");
    CHECK(http_url(pool, STR("http://[::1]"), &u) && u.port == 80);
    static const char *const bad[] = {"",
                                      "https://a/",
                                      "http://",
                                      "http:///x",
                                      "http://:80/",
                                      "http://a:0/",
                                      "http://a:65536/",
                                      "http://a:x/",
                                      "http://[::1",
                                      "http://a/ b",
                                      "http://a/\r\nX: y"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        CHECK(!http_url(pool, str_c(bad[i]), &u));
    }
}

/* What comes of the bytes: the body, "-> URL", or the error behind a "!". */
static struct str answer(const char *bytes, size_t most)
{
    int fd = memfd_create("answer", MFD_CLOEXEC);
    struct str body = STR_NONE, again, error = STR_NONE;
    CHECK(fd >= 0 && write_all(fd, bytes, strlen(bytes)) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    struct stream *s = stream_new(unit_pool(), fd, -1);
    bool ok = http_answer(unit_pool(), s, most, &body, &again, &error);
    stream_close(&s);
    return !ok                ? STR_CAT(unit_pool(), STR("!"), error)
           : str_unset(again) ? body
                              : STR_CAT(unit_pool(), STR("-> "), again);
}

TEST(http_answers)
{
    CHECK_STR(answer("HTTP/1.1 200 OK\r\n\r\nabc", 10), "abc");
    CHECK_STR(answer("HTTP/1.0 200 OK\nContent-length: 2\n\nabc", 10), "ab");
    CHECK_STR(answer("HTTP/1.0 200\r\nContent-Length: 0\r\n\r\n", 10), "");
    CHECK_STR(answer("HTTP/1.0 200\r\nContent-Length: 4\r\n\r\nabc", 10),
              "!the answer is cut short");
    CHECK_STR(answer("HTTP/1.0 200 OK\r\n\r\nabcdefghijk", 10), "!the answer is too long");
    CHECK_STR(answer("HTTP/1.0 302 Found\r\nLocation: http://b/\r\n\r\n", 10), "-> http://b/");
    CHECK_STR(answer("HTTP/1.0 302 Found\r\n\r\n", 10), "!HTTP status 302");
    CHECK_STR(answer("HTTP/1.0 404 Not Found\r\n\r\nabc", 10), "!HTTP status 404");
    CHECK_STR(answer("220 mail ESMTP\r\n", 10), "!the answer is not HTTP");
    CHECK_STR(answer("HTTP/1.0 200 OK\r\nX: y\r\n", 10), "!the answer ended in its head");
    CHECK_STR(answer("", 10), "!the answer ended in its head");
    CHECK(answer("HTTP/1.0 200 OK\r\n\r\nabc", 10).tainted);
}
