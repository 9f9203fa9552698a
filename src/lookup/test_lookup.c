/* Lookup types, text files, partial matches and defaults, directories, cdb. */
#include "unit/unit.h"

#include "lookup/internal.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static struct config *conf(void)
{
    static const struct module *const modules[] = {&core_module, &net_module, &lookup_module, NULL};
    struct config *c = POOL_NEW(unit_pool(), struct config);
    struct opt_reader r = {.pool = unit_pool(), .conf = c};
    c->pool = unit_pool();
    c->modules = modules;
    for (size_t i = 0; modules[i]; i++) {
        void *set = pool_zalloc(c->pool, modules[i]->settings_size);
        c->settings[modules[i]->room] = set;
        CHECK(opt_defaults(&r, modules[i]->options, set));
    }
    return c;
}

/* A file with the text, in a folder of its own. */
static struct str make_file(const char *text, size_t n)
{
    char dir[] = "/tmp/minim-unit-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    struct str path = STR_CAT(unit_pool(), str_c(dir), STR("/file"));
    int fd = file_open(path, O_WRONLY | O_CREAT, 0600);
    CHECK(fd >= 0 && write_all(fd, text, n) == 0);
    close(fd);
    return path;
}

static void remove_file(struct str path)
{
    unlink(path.p);
    rmdir(str_cstr(unit_pool(), str_sub(path, 0, (size_t)str_rchr(path, '/'))));
    lookup_files_close();
    lookup_tidy();
}

/* "data|$1|$2", or "!result" or the error. */
static struct str find(const char *type, struct str file, const char *key)
{
    struct lookup_type t;
    struct str data, wild, fixed, error;
    struct config *c = conf();
    if (!lookup_parse_type(c, c->pool, str_c(type), &t, &error)) {
        return error;
    }
    enum lookup_result r =
        lookup_find(c, c->pool, &t, file, str_c(key), &data, NULL, &wild, &fixed, &error);
    if (r == LK_FOUND) {
        return STR_CAT(c->pool, data, STR("|"), wild, STR("|"), fixed);
    }
    return r == LK_NOTFOUND ? STR("!") : error;
}

TEST(lookup_types)
{
    const struct str none = STR("/");
    CHECK_STR(find("foo", none, "x"), "unknown lookup type \"foo\"");
    CHECK_STR(find("partial-foo*@,a=b", none, "x"), "unknown lookup type \"foo\"");
    CHECK_STR(find("mysql", none, "x"),
              "lookup type \"mysql\" is known but not supported by this version of minim");
    CHECK_STR(find("partial1(xlsearch", none, "x"),
              "format error in lookup type \"partial1(xlsearch\"");
    CHECK_STR(find("partial-dnsdb", none, "x"),
              "\"partial\" is not permitted for lookup type \"dnsdb\"");
    CHECK_STR(find("dnsdb*", none, "x"),
              "defaults using \"*\" or \"*@\" are not permitted for lookup type \"dnsdb*\"");
    CHECK_STR(find("lsearch", str_taint(STR("/etc/passwd")), "x"),
              "Tainted filename for search: '/etc/passwd'");
}

static const char text[] = "# comment\n"
                           "a: one\n"
                           "  and more  \n"
                           "# ends it\n"
                           "  lost\n"
                           "b two\n"
                           "c: :fail: x\n"
                           "d\n"
                           "e:\n"
                           "\ttail\n"
                           "\"quo\\\"ted: \\x41\\102\"  :  q\n"
                           "*.dom.ex: wild\n"
                           ".b.c: dot\n"
                           "*@at.ex: starat\n"
                           "*: star\n"
                           "last: line";

TEST(lsearch)
{
    struct str f = make_file(text, sizeof text - 1);
    CHECK_STR(find("lsearch", f, "A"), "one and more||");
    CHECK_STR(find("lsearch,ret=full", f, "A"), "a: one and more||");
    CHECK_STR(find("lsearch,ret=key", f, "A"), "A||");
    CHECK_STR(find("lsearch", f, "b"), "two||");
    CHECK_STR(find("lsearch", f, "c"), ":fail: x||");
    CHECK_STR(find("lsearch", f, "d"), "||");
    CHECK_STR(find("lsearch", f, "e"), " tail||");
    CHECK_STR(find("lsearch", f, "quo\"ted: AB"), "q||");
    CHECK_STR(find("lsearch", f, "last"), "line||");
    CHECK_STR(find("lsearch", f, "lost"), "!");
    CHECK_STR(find("lsearch", f, ""), "!");
    CHECK_STR(find("lsearch*", f, ""), "star||");
    CHECK_STR(find("lsearch*", f, "nix"), "star|nix|");
    CHECK_STR(find("lsearch*@", f, "x@at.ex"), "starat|x|");
    CHECK_STR(find("lsearch*@", f, "x@no.ex"), "star|x@no.ex|");
    CHECK_STR(find("partial-lsearch", f, "x.y.dom.ex"), "wild|x.y|dom.ex");
    CHECK_STR(find("partial-lsearch", f, "dom.ex"), "wild||dom.ex");
    CHECK_STR(find("partial-lsearch", f, "y.ex"), "!");
    CHECK_STR(find("partial(.)lsearch", f, "q.w.b.c"), "dot|q.w|b.c");
    CHECK_STR(find("partial3-lsearch", f, "x.dom.ex"), "!");
    CHECK_STR(find("partial0-lsearch", f, "q.w"), "star|q.|");
    remove_file(f);
}

TEST(lsearch_notices_change)
{
    struct str f = make_file("k: old\n", 7);
    CHECK_STR(find("lsearch", f, "k"), "old||");
    int fd = file_open(f, O_WRONLY | O_TRUNC, 0);
    CHECK(write_all(fd, "k: newer\n", 9) == 0);
    close(fd);
    lookup_tidy();
    CHECK_STR(find("lsearch", f, "k"), "newer||");
    unlink(f.p);
    lookup_tidy();
    CHECK(str_find(find("lsearch", f, "k"), STR("for linear search: No such file")) > 0);
    remove_file(f);
}

TEST(nwildlsearch_and_iplsearch)
{
    static const char wild[] = "*.a.ex: suffix\n^\\d+$: digits\n\"^(?-i)X y\": case\n!no: other\n";
    static const char nets[] =
        "192.0.2.1: host\n192.0.2.0/24 net\n\"2001:db8::/32\": six\n*: star\n";
    struct str f = make_file(wild, sizeof wild - 1);
    CHECK_STR(find("nwildlsearch", f, "x.A.ex"), "suffix||");
    CHECK_STR(find("nwildlsearch", f, "123"), "digits||");
    CHECK_STR(find("wildlsearch", f, "X y"), "case||");
    CHECK_STR(find("nwildlsearch", f, "x y"), "other||");
    CHECK_STR(find("nwildlsearch", f, "no"), "!");
    remove_file(f);
    f = make_file(nets, sizeof nets - 1);
    CHECK_STR(find("iplsearch", f, "192.0.2.1"), "host||");
    CHECK_STR(find("iplsearch,ret=full", f, "192.0.2.9"), "192.0.2.0/24 net||");
    CHECK_STR(find("iplsearch", f, "2001:db8::9"), "six||");
    CHECK_STR(find("iplsearch", f, "10.0.0.1"), "!");
    CHECK_STR(find("iplsearch*", f, "10.0.0.1"), "star|10.0.0.1|");
    CHECK(str_starts(find("iplsearch", f, "name"), "\"name\" is not a valid iplsearch key"));
    remove_file(f);
}

/* A pattern that looks into its own file must end, and may not lose the file on the way. */
TEST(nwildlsearch_in_itself)
{
    struct str f = make_file("", 0);
    struct str text_of = STR_CAT(unit_pool(), STR("nwildlsearch;"), f, STR(" : x\n"));
    int fd = file_open(f, O_WRONLY, 0);
    CHECK(write_all(fd, text_of.p, text_of.len) == 0);
    close(fd);
    lookup_tidy();
    CHECK(str_ends(find("nwildlsearch", f, "key"), STR("refers to itself")));
    remove_file(f);
}

TEST(dsearch)
{
    struct str f = make_file("", 0);
    struct str dir = str_dup(unit_pool(), str_sub(f, 0, (size_t)str_rchr(f, '/')));
    CHECK_STR(find("dsearch", dir, "file"), "file||");
    CHECK(str_ends(find("dsearch,ret=full", dir, "file"), STR("/file||")));
    CHECK_STR(find("dsearch,filter=dir", dir, "file"), "!");
    CHECK_STR(find("dsearch,filter=file", dir, "file"), "file||");
    CHECK_STR(find("dsearch,filter=subdir", dir, ".."), "!");
    CHECK_STR(find("dsearch", dir, "none"), "!");
    CHECK_STR(find("dsearch", dir, "a/b"), "key for dsearch lookup contains a slash: a/b");
    CHECK_STR(find("dsearch", STR("/nonexistent"), "x"),
              "failed to open /nonexistent for directory search: No such file or directory");
    remove_file(f);
}

static void put32(unsigned char *p, uint32_t n)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (unsigned char)(n >> 8 * i);
    }
}

/* A database of one record, key "k" and data "value". */
TEST(cdb)
{
    unsigned char db[2048 + 8 + 6 + 16] = {0};
    uint32_t hash = ((5381u << 5) + 5381u) ^ 'k';
    for (size_t i = 0; i < 256; i++) {
        put32(db + 8 * i, 2048 + 14);
    }
    put32(db + 8 * (hash % 256) + 4, 2);
    put32(db + 2048, 1);
    put32(db + 2052, 5);
    memcpy(db + 2056, "kvalue", 6);
    unsigned char *slot = db + 2062 + 8 * ((hash / 256) % 2);
    put32(slot, hash);
    put32(slot + 4, 2048);
    struct str f = make_file((const char *)db, sizeof db);
    CHECK_STR(find("cdb", f, "k"), "value||");
    CHECK_STR(find("cdb", f, "x"), "!");
    remove_file(f);
    put32(slot + 4, 1 << 30);
    f = make_file((const char *)db, sizeof db);
    CHECK(str_starts(find("cdb", f, "k"), "cdb: corrupt file"));
    remove_file(f);
    f = make_file("short", 5);
    CHECK(str_find(find("cdb", f, "k"), STR("too short for cdb lookup")) > 0);
    remove_file(f);
}
