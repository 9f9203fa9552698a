/*
 * Unit tests of the configuration reader: macros, conditions, continuation, quoting, named lists,
 * places of errors. Texts are read from memory; settings are looked at as -bP prints them, errors
 * as "LINE:COL text".
 */
#include "main/daemon.h"
#include "unit/unit.h"

#define HOST "primary_hostname = h.example\n"

/* Reads HOST and the text; lines of errors count from the text. */
static struct config *read_text(const char *text, struct config_source *src)
{
    *src = (struct config_source){.pool = unit_pool()};
    src->text = STR_CAT(unit_pool(), STR(HOST), str_c(text));
    return config_read(src);
}

/* The value of a main option after reading the text; the first error if there was one. */
static struct str value_of(const char *text, const char *option)
{
    struct config_source src;
    struct config *conf = read_text(text, &src);
    if (!conf) {
        const struct config_error *e = src.errors;
        return str_fmt(unit_pool(), "%d:%d %.*s", e->pos.line ? e->pos.line - 1 : 0, e->pos.col,
                       STR_ARG(e->text));
    }
    struct str line = STR("no such option");
    for (const struct module *const *m = modules; *m; m++) {
        const struct option *row = opt_find((*m)->options, str_c(option));
        if (row) {
            line = opt_print(unit_pool(), row, conf->settings[(*m)->room]);
        }
    }
    line = str_dup(unit_pool(), line);
    pool_free(&conf->pool);
    return line;
}

#define CHECK_VALUE(text, option, want) CHECK_STR(value_of(text, option), want)

TEST(reader_macros)
{
    CHECK_VALUE("AB = x.y\nqualify_domain = AB.AB\n", "qualify_domain", "qualify_domain = x.y.x.y");
    CHECK_VALUE("AB = x\nXX = AB y\nqualify_domain = XX\n", "qualify_domain",
                "qualify_domain = x y");
    CHECK_VALUE("AB = \"q\"\nqualify_domain = AB\n", "qualify_domain", "qualify_domain = q");
    CHECK_VALUE("AB = x\nAB == AB.z\nqualify_domain = AB\n", "qualify_domain",
                "qualify_domain = x.z");
    CHECK_VALUE("AA = a BB\nBB = b\nqualify_domain = AA\n", "qualify_domain",
                "qualify_domain = a b");
    CHECK_VALUE("AB = \\\n  x\\\n  y\nqualify_domain = AB\n", "qualify_domain",
                "qualify_domain = xy");
    CHECK_VALUE("AB =\nAB\nqualify_domain = zAB\n", "qualify_domain", "qualify_domain = z");
    CHECK_VALUE("AB = # comment\nAB qualify_domain = wrong\nqualify_domain = x\n", "qualify_domain",
                "qualify_domain = x");
}

TEST(reader_macro_errors)
{
    CHECK_VALUE("A = b\nA = c\n", "",
                "2:1 macro \"A\" is already defined (use \"==\" if you want to redefine it)");
    CHECK_VALUE("A == b\n", "", "1:1 can't redefine an undefined macro \"A\"");
    CHECK_VALUE("Abc\n", "", "1:1 malformed macro definition");
    CHECK_VALUE("AB = b\nABC = c\n", "",
                "2:1 \"ABC\" cannot be defined as a macro because previously defined "
                "macro \"AB\" is a substring");
    CHECK_VALUE("ABC = b\nAB = c\nqualify_domain = ABC\n", "qualify_domain", "qualify_domain = b");
}

TEST(reader_command_line_macros)
{
    struct config_source src = {.pool = unit_pool()};
    src.define.pool = unit_pool();
    strvec_push(&src.define, STR("AB=given"));
    strvec_push(&src.define, STR(" XY = spaced "));
    src.text = STR(HOST "AB = file\nAB == again\nqualify_domain = AB.XY\n");
    struct config *conf = config_read(&src);
    CHECK(conf != NULL);
    if (conf) {
        CHECK_STR(core_settings(conf)->qualify_domain, "given.spaced");
        pool_free(&conf->pool);
    }
    src = (struct config_source){.pool = unit_pool(), .define = {.pool = unit_pool()}};
    strvec_push(&src.define, STR("ab=x"));
    src.text = STR(HOST);
    CHECK(config_read(&src) == NULL);
    CHECK_STR(src.errors->text, "macro name set by -D must start with an upper case letter");
}

TEST(reader_builtin_macros)
{
    CHECK_VALUE(".ifdef _OPT_MAIN_QUALIFY_DOMAIN\nqualify_domain = x\n.endif\n", "qualify_domain",
                "qualify_domain = x");
    CHECK_VALUE(".ifdef _OPT_MAIN_NOSUCH\nnosuch = x\n.endif\nqualify_domain = y\n",
                "qualify_domain", "qualify_domain = y");
    CHECK_VALUE(".ifndef _DRIVER_ROUTER_ACCEPT\nnosuch\n.endif\n.ifndef _LOG_SUBJECT\nnosuch\n"
                ".endif\nqualify_domain = z\n",
                "qualify_domain", "qualify_domain = z");
    CHECK_VALUE(".ifndef _OPT_ROUTERS_DOMAINS\nnosuch\n.endif\n"
                ".ifndef _OPT_TRANSPORT_SMTP_HOSTS\nnosuch\n.endif\nqualify_domain = z\n",
                "qualify_domain", "qualify_domain = z");
}

TEST(reader_conditions)
{
    CHECK_VALUE("A = 1\n.ifdef A\nqualify_domain = a\n.else\nqualify_domain = b\n.endif\n",
                "qualify_domain", "qualify_domain = a");
    CHECK_VALUE("A = 1\n.ifdef B\nx\n.elifdef A\nqualify_domain = a\n.else\ny\n.endif\n",
                "qualify_domain", "qualify_domain = a");
    CHECK_VALUE("A = 1\n.ifndef A\nx\n.elifndef B\nqualify_domain = a\n.elifdef A\ny\n.endif\n",
                "qualify_domain", "qualify_domain = a");
    CHECK_VALUE(".ifdef N\n.ifdef N\nx\n.else\ny\n.endif\n.else trailing text\nqualify_domain = "
                "a\n.endif\n",
                "qualify_domain", "qualify_domain = a");
    CHECK_VALUE("  .ifdef N\nbegin zork\n .endif\nqualify_domain = a\n", "qualify_domain",
                "qualify_domain = a");
    CHECK_VALUE(".endif\n", "", "1:1 .endif without matching .ifdef");
    CHECK_VALUE(".ifdef X\n.else\n.else\n.endif\n", "", "3:1 .else without matching .ifdef");
    CHECK_VALUE("\n .ifdef X\n", "", "2:2 Unexpected end of configuration file: .endif missing");
}

TEST(reader_lines)
{
    CHECK_VALUE(
        "# comment\n   # another\nqualify_domain = a\\  \n  # inside\n   b\\\n\nmessage_logs\n",
        "qualify_domain", "qualify_domain = ab");
    CHECK_VALUE("qualify_domain = a # b\n", "qualify_domain", "qualify_domain = a # b");
    CHECK_VALUE("qualify_domain = a", "qualify_domain", "qualify_domain = a");
    CHECK_VALUE("=x\n", "", "1:1 option setting expected: =x");
    CHECK_VALUE("no_message_logs\n", "message_logs", "no_message_logs");
    CHECK_VALUE("not_message_logs\n", "message_logs", "no_message_logs");
    CHECK_VALUE("hide  message_logs = no\n", "message_logs", "no_message_logs");
}

TEST(reader_quotes)
{
    CHECK_VALUE("qualify_domain = \"a b\"\n", "qualify_domain", "qualify_domain = a b");
    CHECK_VALUE("qualify_domain = \"a\\\"b\\\\c\\x41\\102\\q\"\n", "qualify_domain",
                "qualify_domain = a\"b\\cABq");
    CHECK_VALUE("qualify_domain = \"a \\\n  b\"\n", "qualify_domain", "qualify_domain = a b");
    CHECK_VALUE("qualify_domain = \"\"\n", "qualify_domain", "qualify_domain = ");
    CHECK_VALUE("qualify_domain = \"a\n", "",
                "1:18 missing quote at end of string value for qualify_domain");
    CHECK_VALUE("qualify_domain = \"a\" b\n", "",
                "1:18 extra characters follow string value for qualify_domain");
    CHECK_VALUE("qualify_domain = a\"b\"\n", "qualify_domain", "qualify_domain = a\"b\"");
}

TEST(reader_errors)
{
    CHECK_VALUE("zork = 1\n", "", "1:1 main option \"zork\" unknown");
    CHECK_VALUE("av_scanner = x\n", "",
                "1:1 option \"av_scanner\" is known to Exim but not supported by this version "
                "of minim");
    CHECK_VALUE("tls_advertise_hosts =\nqualify_domain = a\n", "qualify_domain",
                "qualify_domain = a");
    CHECK_VALUE("qualify_domain = a\nqualify_domain = b\n", "",
                "2:1 \"qualify_domain\" option set for the second time");
    CHECK_VALUE("qualify_domain\n", "",
                "1:1 unexpected end of line (data missing) after qualify_domain");
    CHECK_VALUE("qualify_domain x\n", "", "1:1 missing \"=\" after qualify_domain");
    CHECK_VALUE("message_logs x\n", "", "1:1 extra characters follow boolean option message_logs");
    CHECK_VALUE("message_logs = 3\n", "",
                "1:16 \"3\" is not a valid value for the \"message_logs\" option");
    CHECK_VALUE("begin nowhere\nzork\n", "",
                "1:1 \"nowhere\" is not a known configuration section name");
    CHECK_VALUE("begin retry\nbegin retry\n", "",
                "2:1 \"retry\" section is repeated in the configuration file");
}

TEST(reader_place_of_fault)
{
    struct config_source src;
    CHECK(read_text("dsn_from = abc ${foo:x}\nwarn_message_file = a\\\n  ${bar:y}\nzork\n", &src) ==
          NULL);
    const struct config_error *e = src.errors;
    CHECK(src.error_count == 3);
    CHECK(e && e->pos.line == 2 && e->pos.col >= 12);
    e = e ? e->next : NULL;
    CHECK(e && e->pos.line == 4);
    e = e ? e->next : NULL;
    CHECK(e && e->pos.line == 5 && e->pos.col == 1);
}

TEST(reader_named_lists)
{
    struct config_source src;
    struct config *conf =
        read_text("domainlist a = x : y\nhide hostlist_cache a = 1.2.3.4\n", &src);
    CHECK(conf != NULL);
    if (conf) {
        const struct named_list *d = map_get(conf->named_lists[LIST_DOMAINS], STR("a"));
        const struct named_list *h = map_get(conf->named_lists[LIST_HOSTS], STR("a"));
        CHECK(d && !d->hide && !d->cache);
        CHECK(h && h->hide && h->cache);
        CHECK_STR(d->text.text, "x : y");
        pool_free(&conf->pool);
    }
    CHECK_VALUE("domainlist a\n", "", "1:12 missing '=' after \"a\"");
    CHECK_VALUE("domainlist a = b\ndomainlist a = c\n", "",
                "2:12 duplicate name \"a\" for a named domain list");
}

TEST(reader_instances)
{
    CHECK_VALUE("begin routers\nfoo\n", "", "2:1 router name missing");
    CHECK_VALUE("begin routers\nx: y\n", "", "2:1 extra characters follow driver name x");
    CHECK_VALUE("begin routers\nx:\n  zork = 1\n", "",
                "3:3 option \"zork\" unknown (\"driver\" must be specified before any private "
                "options)");
    CHECK_VALUE("begin routers\nx:\n  driver = zork\n", "",
                "3:12 router x: cannot find router driver \"zork\"");
    CHECK_VALUE("begin transports\nx:\n  driver = smtp\n  driver = smtp\n", "",
                "4:3 \"driver\" option set for the second time");
    CHECK_VALUE("begin routers\nx:\n", "", "2:1 no driver defined for router \"x\"");
    CHECK_VALUE("begin authenticators\nx:\n  driver = plaintext\n  public_name = PLAIN\n", "",
                "3:12 authenticator driver \"plaintext\" is known to Exim but not supported by "
                "this version of minim");
}

/* No row may be in two places: nobody could tell which one is meant. */
struct table {
    const char *name;
    const struct option *own;
};

static bool same_driver(void *closure, const char *name, const struct option *rows)
{
    struct table *t = closure;
    struct str driver = str_c(t->name), want = str_c(name);
    ptrdiff_t slash = str_chr(driver, '/');
    if (slash >= 0 && str_eq(str_from(driver, (size_t)slash + 1), want)) {
        t->own = rows;
    }
    return true;
}

static void no_row_twice(void *closure, const char *name, const struct option *rows)
{
    (void)closure;
    struct table t = {.name = name};
    for (int kind = 0; kind < INSTANCE_KINDS; kind++) {
        const char *word = instance_classes[kind].word;
        if (strcmp(name, word) == 0) {
            t.own = instance_classes[kind].generic;
        } else if (strncmp(name, word, strlen(word)) == 0) {
            instance_drivers(modules, kind, same_driver, &t);
        }
    }
    for (; rows->type != OPT_END; rows++) {
        bool there = t.own && opt_find(t.own, str_c(rows->name));
        for (const struct module *const *m = modules; *m && strcmp(name, "main") == 0; m++) {
            there |= opt_find((*m)->options, str_c(rows->name)) != NULL;
        }
        if (there) {
            printf("%s: %s is supported by now\n", name, rows->name);
        }
        CHECK(!there);
    }
}

TEST(unsupported_rows)
{
    unsupported_each(no_row_twice, NULL);
}

TEST(main_rows_are_unique)
{
    struct map *seen = map_new(unit_pool(), false);
    for (const struct module *const *m = modules; *m; m++) {
        for (const struct option *row = (*m)->options; row && row->type != OPT_END; row++) {
            CHECK(map_get(seen, str_c(row->name)) == NULL);
            map_set(seen, str_c(row->name), (void *)(uintptr_t)row);
        }
    }
}

TEST(listeners)
{
    struct config_source src;
    struct config *conf =
        read_text("local_interfaces = <; 127.0.0.1.2525 ; [::1]:2526 ; 127.0.0.2\n"
                  "daemon_smtp_ports = 2527 : 2528\n",
                  &src);
    struct listeners l;
    struct str error;
    CHECK(conf != NULL);
    if (!conf) {
        return;
    }
    CHECK(listeners_plan(conf, unit_pool(), STR_NONE, &l, &error) && l.n == 4);
    CHECK_STR(listeners_text(unit_pool(), &l),
              "listening for SMTP on [127.0.0.1]:2525 [::1]:2526 [127.0.0.2]:{2527,2528}");
    CHECK(listeners_plan(conf, unit_pool(), STR("<;::0;0.0.0.0;25"), &l, &error));
    CHECK_STR(listeners_text(unit_pool(), &l), "listening for SMTP on port 25 (IPv6 and IPv4)");
    CHECK(listeners_plan(conf, unit_pool(), STR("0.0.0.0.2533"), &l, &error));
    CHECK_STR(listeners_text(unit_pool(), &l), "listening for SMTP on port 2533 (IPv4)");
    CHECK(!listeners_plan(conf, unit_pool(), STR("1.2.3.4.5.6"), &l, &error));
    pool_free(&conf->pool);
}
