/* Tests of parsing and evaluating: texts, variables, items, conditions, scopes, errors, taint. */
#include "expand/test_support.h"

TEST(expand_text_and_variables)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a\\tb\\x41\\101\\$\\\\", "a\tbAA$\\"},
        {"\\N$x{\\Nrest", "$x{rest"},
        {"\\Nopen $", "open $"},
        {"{a}b}", "{a}b}"},
        {"<$primary_hostname>", "<host.test>"},
        {"${primary_hostname}x", "host.testx"},
        {"$1${2}$99", ""},
        {"$acl_m0$acl_c_name$acl_m_x", ""},
        {"$h_subject:x", "x"},
        {"$spam_score$dkim_domain", ""},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
}

TEST(expand_errors)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"$", "error: $ not followed by letter, digit, or {"},
        {"a\\", "error: \\ at end of string"},
        {"$nosuch", "error: unknown variable name \"nosuch\""},
        {"${nosuch}", "error: unknown variable in \"${nosuch}\""},
        {"${nosuch:x}", "error: unknown expansion operator \"nosuch\""},
        {"$acl_mx", "error: unknown variable name \"acl_mx\" (6th character of a user-defined ACL "
                    "variable must be a digit or underscore)"},
        {"${1x}", "error: } expected after number"},
        {"${}", "error: letter or digit expected after ${"},
        {"${lc:x", "error: missing } at end of string"},
        {"${lc:$h_x}", "error: missing } at end of string - could be header name not terminated by "
                       "colon"},
        {"${length_x:a}", "error: non-digit after underscore in \"length_x\""},
        {"${if eq{a}{b}{c}fail}", "error: \"if\" failed and \"fail\" requested"},
        {"${if eq{a}{a}x}",
         "error: curly-bracket problem in conditional yes/no parsing: 'yes' part "
         "did not start with '{'\n remaining string is 'x}'"},
        {"${if nosuch{a}{b}}", "error: unknown condition \"nosuch\""},
        {"${if and{{nosuch{a}}}}",
         "error: unknown condition \"nosuch\" inside \"and{...}\" condition"},
        {"${if def:nosuch}", "error: unknown variable \"nosuch\" after \"def:\""},
        {"${lookup{a}nosuch{b}}", "error: unknown lookup type \"nosuch\""},
        {"${sg{a}{(}{b}}",
         "error: regular expression error in \"(\": missing closing parenthesis at "
         "offset 1"},
        {"${perl{x}}", "error: item \"perl\" is known to Exim but not supported by this version of "
                       "minim"},
        {"${if pam{x}}", "error: condition \"pam\" is known to Exim but not supported by this "
                         "version of minim"},
        /* A branch that is not taken is looked at, but not evaluated. */
        {"${if eq{a}{b}{$nosuch}{no}}", "error: unknown variable name \"nosuch\""},
        {"${if eq{a}{b}{${eval:1/0}}{no}}", "no"},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
}

TEST(expand_error_offset)
{
    struct ectx x;
    struct expand_error err;
    test_ectx(&x);
    CHECK(!expand_compile(x.conf, unit_pool(), STR("abc $nosuch"), &err));
    CHECK(err.offset == 11);
    CHECK(!expand_compile(x.conf, unit_pool(), STR("${if xx{a}}"), &err));
    CHECK(err.offset == 7);
}

TEST(expand_conditions)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"${if eq{a}{a}}", "true"},
        {"${if eq{a}{b}}", ""},
        {"${if ! eq {a} {b} {yes} {no} }", "yes"},
        {"${if and{{eq{a}{b}}{>{x}{1}}}{y}{n}}", "n"},
        {"${if or{{eq{a}{a}}{>{x}{1}}}{y}{n}}", "y"},
        {"${if and{}{y}{n}}${if or{}{y}{n}}", "yn"},
        {"${if >{2K}{2047}{y}{n}}", "y"},
        {"${if <{-2}{ 1 }{y}{n}}", "y"},
        {"${if ={1x}{1}}", "error: invalid integer \"1x\""},
        {"${if ={a}{1}}", "error: integer expected but \"a\" found"},
        {"${if ={99999999999999999999}{1}}",
         "error: absolute value of integer \"99999999999999999999\" is too large (overflow)"},
        {"${if bool{00}{y}{n}}${if bool{-1}{y}{n}}${if bool{Yes}{y}{n}}", "nyy"},
        {"${if bool{x}}", "error: unrecognised boolean value \"x\""},
        {"${if bool_lax{x}{y}{n}}${if bool_lax{no}{y}{n}}", "yn"},
        {"${if def:primary_hostname{y}{n}}${if def:h_x:{y}{n}}", "yn"},
        {"${if isip6{::1}{y}{n}}${if isip4{::1}{y}{n}}${if isip{1.2.3}{y}{n}}", "ynn"},
        {"${if inlisti{B}{a:b}{$value}}", "b"},
        {"${if crypteq{abc}{\\{md5\\}900150983cd24fb0d6963f7d28e17f72}{y}{n}}", "y"},
        {"${if crypteq{abc}{\\{SHA1\\}qZk+NkcGgWq6PiVxeFDCbJzQ2J0=}{y}{n}}", "y"},
        {"${if crypteq{secret}{abNANd1rDfiNc}{y}{n}}", "y"},
        {"${if forany{a:b:c}{eq{$item}{b}}{y}{n}}${if forall{}{eq{a}{a}}{y}{n}}", "yn"},
        {"${if forany_jsons{[\"a\",\"b\"]}{eq{$item}{b}}{y}{n}}", "y"},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
}

TEST(expand_scopes)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"${if match{abc}{^(a)(.)}{$0$1$2$3}}$1", "abab"},
        {"${if match{a}{(a)}{${if match{b}{(b)}{$1}}$1}}", "ba"},
        {"${if match{x}{(a)}{x}{<$1>}}", "<>"},
        {"${if and{{match{ab}{(a)}}{eq{$1}{a}}}{$1}}", "a"},
        {"${if forany{a:b}{match{$item}{^(b)}}{<$item$1>}}", "<b>"},
        {"${reduce{1:2:3}{0}{${eval:$value+$item}}}<$value$item>", "6<>"},
        {"${map{a:b}{${map{1:2}{$item}}$item}}", "1::2a:1::2b"},
        {"${extract{1}{,}{a,b}{<$value>}}$value", "<a>"},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
    struct scope *kept = scope_set_numeric(&x, (struct str[]){STR("zero"), STR("one")}, 2);
    CHECK_STR(test_value(&x, "$0 $1 $2"), "zero one ");
    scope_set(&x, STR("acl_arg1"), STR("arg"));
    CHECK_STR(test_value(&x, "$acl_arg1 $1"), "arg one");
    scope_restore(&x, kept);
    CHECK_STR(test_value(&x, "$acl_arg1$1"), "");
}

TEST(expand_items)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"${sg{abcabc}{(b)(c)}{\\$2\\$1}}", "acbacb"},
        {"${sg{abc}{}{x}}", "xaxbxcx"},
        {"${sg{aaa}{^a}{x}}", "xaa"},
        {"${tr{abcdea}{aced}{13}}", "1b3331"},
        {"${length{2}{abc}}${substr{-2}{1}{abc}}${substr{1}{abc}}", "abbbc"},
        {"${hash{5}{62}{monty python}} ${hash{5}{monty python}}", "7ZxZT bsxzn"},
        {"${nhash{8}{64}{supercalifragilisticexpialidocious}}", "6/33"},
        {"${hmac{md5}{key}{text}}", "d0ca6177c61c975fd2f8c07d8c6528c6"},
        {"${extract{b}{a=1 b=\"2 \\\\\"x\" c=3}}", "2 \"x"},
        {"${extract{-1}{:}{a:b:c}} ${extract{0}{:}{a:b}} ${extract{5}{:}{a}{y}{n}}", "c a:b n"},
        {"${extract{x}{a=1}{y}fail}", "error: \"extract\" failed and \"fail\" requested"},
        {"${extract{1}{a=1}}", "error: missing '{' for arg 3 of extract"},
        {"${extract jsons{b}{\\{\"a\":1, \"b\":\"x,y\"\\}}}", "x,y"},
        {"${extract json{2}{[1,[2,3],4]}}", "[2,3]"},
        {"${listextract{-1}{a:b:c}} ${listextract{4}{a:b}{y}{n}}", "c n"},
        {"${filter{<;a;b}{!eq{$item}{a}}} ${filter{a: :b}{eq{a}{a}}}", "b a: :b"},
        {"${map{a:b}{$item:}} ${map{a:b}{}}", "a:::b:: : "},
        {"${sort{3:1:2}{<}{$item}} ${sort{c:B:a}{lti}{$item}}", "1:2:3 a:B:c"},
        {"${sort{a}{eq}{$item}}", "error: comparator not handled for sort"},
        {"${listquote{:}{a:b}}", "a::b"},
        {"${listquote{:}{}}", " "},
        {"${if bool_lax{00}{y}{n}}${if bool_lax{0}{y}{n}}", "yn"},
        {"${if match{abcdefghijk}{(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)(.)}{$9 $10 $11}}", "i j k"},
        {"${if match_ip{::ffff:1.2.3.4}{1.2.3.4}{y}{n}}", "y"},
        {"${if def:{y}{n}}", "error: variable name omitted after \"def:\""},
        {"${length{x}{abc}}", "error: \"x\" is not a positive number (in \"length\" expansion)"},
        {"${substr{}{}{abc}}.", "."},
        {"${base32:}${base62:}.${base62d:}", "000000.0"},
        {"${base32:99999999999999999999}", "p777777777777"},
        {"${base64d: YW Jj}", "abc"},
        {"${reverse_ip:1.2.3.4/24} ${ipv6norm:fe80::1%eth0}", "4.3.2.1 fe80::1"},
        {"${randint:-1}", "error: non-negative integer expected but \"-1\" found"},
        {"${time_interval:}", "0s"},
        {"${sha256_3:a}", "error: unrecognised sha2 variant"},
        {"${utf8_domain_to_alabel:-A}", "-A"},
        {"${env{NO_SUCH_VARIABLE}{y}{n}}", "n"},
        {"${readfile{/no/such/file}}",
         "error: failed to open /no/such/file: No such file or directory"},
        {"${run{/bin/echo a \"b c\" $primary_hostname}{<$value>}{no}}$runrc",
         "<a b c host.test\n>0"},
        {"${run{/bin/sh -c \"exit 3\"}{yes}{no}}$runrc", "no3"},
        {"${run{/no/such/command}{yes}{no}}$runrc", "no127"},
        {"${prvscheck{${prvs{a@b.c}{key}{1}}}{key}{$prvscheck_result}}", "1"},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
}

TEST(expand_arithmetic)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"${eval:1+2*3} ${eval:(1+2)*3} ${eval:-7/2} ${eval:7%-2}", "7 9 -3 1"},
        {"${eval:0x10} ${eval:010} ${eval10:010} ${eval:1K}", "16 8 10 1024"},
        {"${eval:5&3|8^1} ${eval:1<<2+1} ${eval:~-5} ${eval:-1>>1}", "9 8 4 -1"},
        {"${eval:(-9223372036854775807-1)/-1}", "9223372036854775807"},
        {"${eval:9223372036854775807+1}",
         "error: error in expression evaluation: overflow in sum (after processing "
         "\"9223372036854775807+1\")"},
        {"${eval:1/0}",
         "error: error in expression evaluation: divide by zero (after processing \"1/0\")"},
        {"${eval:08}", "error: error in expression evaluation: expecting operator (after "
                       "processing \"0\")"},
        {"${eval:(1}",
         "error: error in expression evaluation: expecting closing parenthesis (after "
         "processing \"(1\")"},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
}

TEST(expand_operators)
{
    struct ectx x;
    static const struct value_case cases[] = {
        {"${lc:AbC} ${uc:abc} ${strlen:abc}", "abc ABC 3"},
        {"${length_2:abc} ${substr_-3_2:abcdef} ${s_1:abc} ${substr_-1:abc}", "ab de bc ab"},
        {"${base32:35} ${base32d:bd} ${base62:12345} ${base62d:3D7}", "bd 35 0003D7 12345"},
        {"${base64:hello} ${base64d:aGVsbG8=} ${hex2b64:616263}", "aGVsbG8= hello YWJj"},
        {"${quote:a b} ${quote:} ${quote:a.b} ${quote:\"\\n}", "\"a b\" \"\" a.b \"\\\"\\n\""},
        {"${escape:a\\n\\xff\\\\d} ${escape8bit:\\xc3\\\\}", "a\\n\\377\\d \\303\\134"},
        {"${rxquote:a.b} ${hexquote:a b}", "a\\.b a\\x20b"},
        {"${md5:abc} ${sha1:abc}",
         "900150983cd24fb0d6963f7d28e17f72 A9993E364706816ABA3E25717850C26C9CD0D89D"},
        {"${mask:10.1.2.3/28} ${mask:3ffe::a031/120}",
         "10.1.2.0/28 3ffe.0000.0000.0000.0000.0000.0000.a000/120"},
        {"${mask_n:3ffe::a031/120} ${mask:1.2.3.4}", "error: missing mask value in \"1.2.3.4\""},
        {"${ipv6denorm:1.2.3.4} ${ipv6norm:fe80:0:0:0:1:0:0:1}",
         "0000:0000:0000:0000:0000:ffff:0102:0304 fe80::1:0:0:1"},
        {"${reverse_ip:1.2.3.4} ${reverse_ip:::ffff:1.2.3.4}", "4.3.2.1 4.3.2.1"},
        {"${time_eval:1d2h} ${time_interval:93784}", "93600 1d2h3m4s"},
        {"${listcount:a::b:} ${listcount:<;a;b}", "1 2"},
        {"${expand:\\$primary_hostname}", "host.test"},
        {"${expand:\\$nosuch}",
         "error: internal expansion of \"$nosuch\" failed: unknown variable name \"nosuch\""},
        {"${utf8clean:a\\xc3\\xa9\\xff\\xe2\\x82x\\xf4\\x90\\x80\\x80}", "a\xc3\xa9??x?"},
        {"${from_utf8:\\xc3\\xa9\\xe2\\x82\\xac}", "\xe9_"},
        {"${rfc2047:caf\\xe9 x} ${rfc2047:plain}", "=?UTF-8?Q?caf=E9_x?= plain"},
        {"${utf8_domain_to_alabel:b\\xc3\\xbccher.de}", "xn--bcher-kva.de"},
        {NULL, NULL},
    };
    test_ectx(&x);
    test_values(&x, cases);
}

TEST(expand_taint)
{
    struct ectx x;
    struct session s = {.pool = unit_pool(), .helo_name = str_taint(STR("a$pid"))};
    struct str out;
    test_ectx(&x);
    x.sess = &s;
    CHECK(expand_text(&x, STR("/tmp/$sender_helo_name"), &out) && out.tainted);
    CHECK(expand_text(&x, STR("${lc:$sender_helo_name}"), &out) && out.tainted);
    CHECK(expand_text(&x, STR("${strlen:$sender_helo_name}"), &out) && !out.tainted);
    CHECK_STR(test_value(&x, "${expand:$sender_helo_name}"),
              "error: internal expansion of \"a$pid\" failed: attempt to expand tainted string "
              "'a$pid'");
    CHECK_STR(test_value(&x, "${sg{x}{x}{$sender_helo_name}}"),
              "error: attempt to expand tainted string 'a$pid'");
    CHECK(!expand_text(&x, STR("${readfile{/tmp/$sender_helo_name}}"), &out));
    CHECK(!expand_text(&x, STR("${lookup{x}lsearch{/tmp/$sender_helo_name}}"), &out));
    CHECK(!expand_text(&x, STR("${run{/bin/$sender_helo_name}}"), &out));
    CHECK(!expand_text(&x, str_taint(STR("$pid")), &out));
    CHECK(expand_text(&x, str_taint(STR("pid")), &out) && out.tainted);
}

TEST(expand_nesting_is_bounded)
{
    struct ectx x;
    struct buf b;
    struct str out;
    test_ectx(&x);
    buf_init(&b, unit_pool(), 1 << 20);
    for (int i = 0; i < 10000; i++) {
        buf_addz(&b, "${lc:");
    }
    CHECK(!expand_text(&x, str_c(buf_str(&b).p), &out));
    buf_init(&b, unit_pool(), 1 << 20);
    buf_addz(&b, "${eval:");
    for (int i = 0; i < 10000; i++) {
        buf_addc(&b, '(');
    }
    buf_addc(&b, '}');
    CHECK(!expand_text(&x, str_c(buf_str(&b).p), &out));
}
