/* Tests of the DER reader, of certificates as facts, names and PEM. */
#include "tls/der.h"
#include "tls/x509.h"
#include "unit/unit.h"

/* Ed25519, made by openssl: every extension and kind of name that is read. */
static const char full_pem[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIEpjCCBFigAwIBAgIFAPEjRWcwBQYDK2VwMIIBHTELMAkGA1UEBhMCR0IxFzAV\n"
                               "BgoJkiaJk/IsZAEZFgdleGFtcGxlMRMwEQYKCZImiZPyLGQBGRYDY29tMREwDwYD\n"
                               "VQQJDAhTdHJlZXQgMTEpMCcGA1UECgwgT3JnLCB3aXRoIDxhbmdsZT4gKyBwbHVz\n"
                               "OyBxdW90ZWQxETAPBgNVBAsMCFVuaXQgb25lMRIwEAYDVQQLDAnDnG5pdCB0d28x\n"
                               "DDAKBgNVBAQMA1N1cjEOMAwGA1UEKgwFR2l2ZW4xFDASBgoJkiaJk/IsZAEBDAR1\n"
                               "aWQxMRUwEwYJKoZIhvcNAQkBFgZhQGIuZXgxDDAKBgNTBAUMA2ZvbzEOMAwGA1UE\n"
                               "AwwFZmlyc3QxEjAQBgNVBAMMCWxvY2FsaG9zdDAeFw0yNjAzMDQwNTA2MDdaFw0y\n"
                               "ODExMjgwNTA2MDdaMIIBHTELMAkGA1UEBhMCR0IxFzAVBgoJkiaJk/IsZAEZFgdl\n"
                               "eGFtcGxlMRMwEQYKCZImiZPyLGQBGRYDY29tMREwDwYDVQQJDAhTdHJlZXQgMTEp\n"
                               "MCcGA1UECgwgT3JnLCB3aXRoIDxhbmdsZT4gKyBwbHVzOyBxdW90ZWQxETAPBgNV\n"
                               "BAsMCFVuaXQgb25lMRIwEAYDVQQLDAnDnG5pdCB0d28xDDAKBgNVBAQMA1N1cjEO\n"
                               "MAwGA1UEKgwFR2l2ZW4xFDASBgoJkiaJk/IsZAEBDAR1aWQxMRUwEwYJKoZIhvcN\n"
                               "AQkBFgZhQGIuZXgxDDAKBgNTBAUMA2ZvbzEOMAwGA1UEAwwFZmlyc3QxEjAQBgNV\n"
                               "BAMMCWxvY2FsaG9zdDAqMAUGAytlcAMhAKn7ILv1LDIzmlDF4YLXm40vHslZY9gC\n"
                               "u65dNiwTguz0o4IBszCCAa8wgY0GA1UdEQSBhTCBgoYMaHR0cDovL3UuZXgvgglh\n"
                               "LmV4YW1wbGWCCmI7LmV4YW1wbGWCDioud2lsZC5leGFtcGxlggUqLmNvbYIWeG4t\n"
                               "LW1uY2hlbi0zeWEuZXhhbXBsZYEGbUB4LmV4hwR/AAABhxAgAQ24AAAAAAAAAAAA\n"
                               "AAABoAwGAyoDBKAFDANmb28wXwYIKwYBBQUHAQEEUzBRMBkGCCsGAQUFBzABhg1o\n"
                               "dHRwOi8vbzEuZXgvMBkGCCsGAQUFBzAChg1odHRwOi8vY2EuZXgvMBkGCCsGAQUF\n"
                               "BzABhg1odHRwOi8vbzIuZXgvMDMGA1UdHwQsMCowE6ARoA+GDWh0dHA6Ly9jMS5l\n"
                               "eC8wE6ARoA+GDWh0dHA6Ly9jMi5leC8wHQYDVR0lBBYwFAYIKwYBBQUHAwkGCCsG\n"
                               "AQUFBwMBMA4GA1UdDwEB/wQEAwIChDASBgNVHRMBAf8ECDAGAQH/AgEDMA8GCSsG\n"
                               "AQUFBzABBQQCBQAwFAYIKwYBBQUHARgECDAGAgEFAgERMB0GA1UdDgQWBBTUZL0V\n"
                               "p/s3I7LfxLZe8WMqSmh9GzAFBgMrZXADQQB2NW9Z3SL+0i93WEoIw4cDZ0dDQXM/\n"
                               "fP5Sirv6DqwWzI+/XHuEKhzp2WECx1QtfITcq4U5gBgtCh3ILY2KKLAF\n"
                               "-----END CERTIFICATE-----\n";

static struct str full_der(void)
{
    struct strvec v = {.pool = unit_pool()};
    CHECK(pem_certificates(unit_pool(), str_c(full_pem), &v) && v.n == 1);
    return v.v[0];
}

static struct cert full(void)
{
    struct cert c;
    CHECK(cert_parse(unit_pool(), full_der(), &c));
    return c;
}

/* A certificate of aux-fixed/pki. */
static struct cert fixed(const char *name)
{
    struct cert c = {0};
    struct str pem;
    struct strvec v = {.pool = unit_pool()};
    struct str path = STR_CAT(unit_pool(), STR("aux-fixed/pki/"), str_c(name), STR(".pem"));
    CHECK(file_read(unit_pool(), path, 1 << 20, &pem) == 0);
    CHECK(pem_certificates(unit_pool(), pem, &v) && v.n > 0 && cert_parse(unit_pool(), v.v[0], &c));
    return c;
}

static bool one(struct str bytes)
{
    struct der r = der_of(bytes);
    struct der_item item;
    return der_next(&r, &item) && der_end(&r);
}

TEST(der_lengths_are_definite_and_short)
{
    CHECK(one(STR("\x04\x01x")) && one(STR("\x05\x00")));
    CHECK(!one(STR("\x04")) && !one(STR("\x04\x02x")) && !one(STR("\x04\x01xy")));
    CHECK(!one(STR("\x04\x80x\0\0")));     /* indefinite */
    CHECK(!one(STR("\x04\x81\x01x")));     /* short form would do */
    CHECK(!one(STR("\x04\x82\x00\x81x"))); /* leading zero */
    CHECK(!one(STR("\x04\x84\xff\xff\xff\xff"
                   "x"))); /* beyond the end */
    CHECK(!one(STR("\x04\x85\x01\x00\x00\x00\x00x")));
    CHECK(!one(STR("\x1f\x81\x01\x00"))); /* tag number in several octets */
    char big[3 + 0x80] = {0x04, (char)0x81, (char)0x80};
    CHECK(one(str_n(big, sizeof big)) && !one(str_n(big, sizeof big - 1)));
}

TEST(der_numbers)
{
    struct der r = der_of(STR("\x02\x01\x05\x02\x02\x01\x00\x02\x04\x7f\xff\xff\xff\x01\x01\xff"));
    CHECK(der_small(&r) == 5 && der_small(&r) == 256 && der_small(&r) == 0x7fffffff);
    CHECK(der_boolean(&r) && der_end(&r));
    static const struct str bad[] = {STR_INIT("\x02\x00"), STR_INIT("\x02\x02\x00\x05"),
                                     STR_INIT("\x02\x01\xff"), STR_INIT("\x02\x02\xff\xff"),
                                     STR_INIT("\x02\x05\x00\x80\x00\x00\x00")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        r = der_of(bad[i]);
        der_small(&r);
        CHECK(r.bad);
    }
    r = der_of(STR("\x01\x01\x01"));
    CHECK(!der_boolean(&r) && r.bad);
}

TEST(der_a_fault_stays)
{
    struct der r = der_of(STR("\x02\x01\x05\x02\x01\x06"));
    CHECK(str_unset(der_take(&r, DER_OCTET_STRING)) && r.bad);
    CHECK(der_small(&r) == 0 && !der_end(&r));
}

static time_t read_time(struct str s, bool *bad)
{
    struct der r = der_of(s);
    time_t t = der_time(&r);
    *bad = r.bad;
    return t;
}

TEST(der_times)
{
    bool bad;
    CHECK(read_time(STR("\x17\x0d"
                        "260304050607Z"),
                    &bad) == 1772600767 &&
          !bad);
    CHECK(read_time(STR("\x18\x0f"
                        "20991231235959Z"),
                    &bad) == 4102444799 &&
          !bad);
    CHECK(read_time(STR("\x17\x0d"
                        "500101000000Z"),
                    &bad) == -631152000 &&
          !bad);
    CHECK((read_time(STR("\x17\x0d"
                         "261304050607Z"),
                     &bad),
           bad));
    CHECK((read_time(STR("\x17\x0d"
                         "260004050607Z"),
                     &bad),
           bad));
    CHECK((read_time(STR("\x17\x0d"
                         "260304240607Z"),
                     &bad),
           bad));
    CHECK((read_time(STR("\x17\x0d"
                         "26030405060xZ"),
                     &bad),
           bad));
    CHECK((read_time(STR("\x17\x0b"
                         "2603040506Z"),
                     &bad),
           bad));
    CHECK((read_time(STR("\x18\x13"
                         "20991231235959+0100"),
                     &bad),
           bad));
}

TEST(der_object_identifiers)
{
    CHECK_STR(der_oid_text(unit_pool(), STR("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b")),
              "1.2.840.113549.1.1.11");
    CHECK_STR(der_oid_text(unit_pool(), STR("\x88\x37\x03")), "2.999.3");
    CHECK(str_unset(der_oid_text(unit_pool(), STR(""))));
    CHECK(str_unset(der_oid_text(unit_pool(), STR("\x2a\x86"))));
    CHECK(str_unset(der_oid_text(unit_pool(), STR("\x2a\x80\x01"))));
    CHECK(
        str_unset(der_oid_text(unit_pool(), STR("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))));
}

TEST(der_made_is_read)
{
    static const size_t sizes[] = {0, 127, 128, 255, 256, 65535, 65536};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct str s = str_n(pool_zalloc(unit_pool(), sizes[i] + 1), sizes[i]);
        struct der r = der_of(der_make(unit_pool(), DER_OCTET_STRING, s));
        CHECK(der_take(&r, DER_OCTET_STRING).len == sizes[i] && der_end(&r));
    }
}

TEST(cert_facts)
{
    struct cert c = full();
    CHECK(c.version == 3 && c.not_before == 1772600767 && c.not_after == 1859000767);
    CHECK_STR(hex_encode(unit_pool(), c.serial), "00f1234567");
    CHECK(c.public_key.len == 32 && c.signature.len == 64 && c.spki.len == 44);
    CHECK(c.is_ca && c.has_key_usage && c.key_usage_sign_certs && c.must_staple && c.ocsp_no_check);
    CHECK(c.eku_present && c.eku_ocsp_signing && c.has_alt_names);
    CHECK(c.dns_names.n == 5 && c.mail_names.n == 1 && c.uri_names.n == 1 && c.ip_names.n == 2);
    CHECK(c.ocsp_uris.n == 2 && c.crl_uris.n == 2);
    CHECK_STR(c.ocsp_uris.v[1], "http://o2.ex/");
    CHECK(c.der.tainted && c.subject.tainted && c.dns_names.v[0].tainted);
    CHECK(str_eq(c.issuer, c.subject));
}

TEST(cert_facts_of_others)
{
    struct cert c = fixed("a/server1");
    CHECK(!c.is_ca && !c.must_staple && !c.eku_ocsp_signing && c.eku_present && c.crl_uris.n == 1);
    CHECK_STR(hex_encode(unit_pool(), c.serial), "1001");
    CHECK(fixed("a/server1-staple").must_staple);
    CHECK(fixed("a/ocsp").eku_ocsp_signing && fixed("a/ocsp").ocsp_no_check);
    CHECK(!fixed("a/ocsp-noeku").eku_ocsp_signing);
    CHECK(fixed("a/inter").is_ca && fixed("a/root").is_ca);
    CHECK(!fixed("a/cn-only").has_alt_names);
}

TEST(cert_damaged)
{
    struct str der = full_der();
    struct cert c;
    for (uint32_t n = 0; n < der.len; n++) {
        CHECK(!cert_parse(unit_pool(), str_sub(der, 0, n), &c));
    }
    CHECK(!cert_parse(unit_pool(), STR_CAT(unit_pool(), der, STR("\0")), &c));
}

TEST(cert_names_as_text)
{
    struct cert c = full();
    CHECK_STR(cert_dn_text(unit_pool(), c.subject),
              "C=GB,DC=example,DC=com,street=Street 1,O=Org\\, with \\<angle\\> \\+ plus\\; quoted,"
              "OU=Unit one,OU=\xc3\x9cnit two,surName=Sur,givenName=Given,UID=uid1,EMAIL=a@b.ex,"
              "2.3.4.5=#0c03666f6f,CN=first,CN=localhost");
    CHECK_STR(cert_dn_oneline(unit_pool(), c.subject),
              "/C=GB/DC=example/DC=com/street=Street 1/O=Org, with <angle> \\+ plus; quoted"
              "/OU=Unit one/OU=\\xC3\\x9Cnit two/SN=Sur/GN=Given/UID=uid1/emailAddress=a@b.ex"
              "/2.3.4.5=foo/CN=first/CN=localhost");
    struct strvec v = {.pool = unit_pool()};
    CHECK(cert_dn_values(unit_pool(), c.subject, STR("CN"), &v) && v.n == 2);
    CHECK_STR(v.v[1], "localhost");
    CHECK(cert_dn_values(unit_pool(), c.subject, STR("O"), &v) && v.n == 3);
    CHECK_STR(v.v[2], "Org, with <angle> + plus; quoted");
    CHECK(!cert_dn_values(unit_pool(), STR("\x30\x01"), STR("O"), &v));
}

/* RDN of several values, strings of two octets each and of Latin-1. */
TEST(cert_names_of_other_kinds)
{
    struct str name = STR("\x30\x31\x31\x2f"
                          "\x30\x0d\x06\x03\x55\x04\x03\x1e\x06\x00\x41\x20\xac\x00\x23"
                          "\x30\x0a\x06\x03\x55\x04\x0a\x14\x03\x23\xe9\x20"
                          "\x30\x12\x06\x03\x55\x04\x0b\x1c\x0b"
                          "01234567890");
    struct str text = cert_dn_text(unit_pool(), name);
    CHECK_STR(text, "CN=A\xe2\x82\xac#+O=\\#\xc3\xa9\\ +OU=#1c0b3031323334353637383930");
}

static bool bears(const struct cert *c, const char *name)
{
    return cert_bears_name(unit_pool(), c, str_taint(str_c(name)));
}

TEST(cert_bears_names)
{
    struct cert c = full();
    CHECK(bears(&c, "a.example") && bears(&c, "A.EXAMPLE") && bears(&c, "a.example."));
    CHECK(bears(&c, "x.wild.example") && !bears(&c, "x.y.wild.example"));
    CHECK(!bears(&c, "wild.example") && !bears(&c, ".wild.example"));
    CHECK(!bears(&c, "x.com") && !bears(&c, "com") && !bears(&c, "*.com"));
    CHECK(bears(&c, "xn--mnchen-3ya.example") && bears(&c, "m\xc3\xbcnchen.example"));
    CHECK(!bears(&c, "localhost")); /* a CN does not count beside dNSNames */
    CHECK(bears(&c, "127.0.0.1") && bears(&c, "2001:DB8:0::1") && !bears(&c, "127.0.0.2"));
    CHECK(!bears(&c, "") && !bears(&c, "."));
    CHECK(!cert_bears_name(unit_pool(), &c, STR("a.example\0.evil")));
    c = fixed("a/cn-only");
    CHECK(bears(&c, "server1.example.com") && !bears(&c, "example.com"));
    c = fixed("a/wildcard");
    CHECK(bears(&c, "any.example.com") && !bears(&c, "a.any.example.com"));
}

TEST(cert_wildcards_only_whole_and_first)
{
    static const char *const no[] = {
        "w*.example.com", "*w.example.com", "www.*.com", "*.*.com", "*", "*."};
    for (size_t i = 0; i < ARRAY_LEN(no); i++) {
        struct cert c = {.dns_names = {.pool = unit_pool()}};
        strvec_push(&c.dns_names, str_c(no[i]));
        CHECK(!bears(&c, "www.example.com"));
    }
}

static struct str field(const struct cert *c, const char *name, const char *modifiers)
{
    struct str out = STR_NONE, error = STR_NONE;
    bool ok = cert_field(unit_pool(), c, str_c(name), str_c(modifiers), &out, &error);
    return ok ? (str_unset(out) ? STR("(none)") : out) : error;
}

/* As exim4 4.96 with GnuTLS answers for the same certificate. */
TEST(cert_fields)
{
    struct cert c = full(), other = fixed("a/wildcard");
    CHECK_STR(field(&c, "version", NULL), "3");
    CHECK_STR(field(&c, "serial_number", "int"), "f1234567");
    CHECK_STR(field(&c, "subject", "CN"), "first\nlocalhost");
    CHECK_STR(field(&c, "subject", "O"), "Org, with \\<angle\\> \\+ plus\\; quoted");
    CHECK_STR(field(&c, "subject", "OU,>i"), "Uniit oneiÜniit two");
    CHECK_STR(field(&c, "issuer", "OU,DC,>+"), "example+com");
    CHECK_STR(field(&other, "subject", ""), "O=Example A\nCN=*.example.com");
    CHECK_STR(field(&other, "subject", ">;"), "O=Example A;CN=*.example.com");
    CHECK_STR(field(&c, "subject", "ZZ"), "(none)");
    CHECK_STR(field(&c, "notbefore", "int"), "1772600767");
    CHECK_STR(field(&c, "sig_algorithm", NULL), "EdDSA-Ed25519");
    CHECK_STR(field(&other, "sig_algorithm", NULL), "RSA-SHA256");
    CHECK(str_starts(field(&c, "signature", NULL), "76 35 6f 59 dd"));
    CHECK_STR(field(&c, "subj_altname", ">;"),
              "URI=http://u.ex/;DNS=a.example;DNS=b;;.example;DNS=*.wild.example;DNS=*.com;"
              "DNS=xn--mnchen-3ya.example;MAIL=m@x.ex");
    CHECK_STR(field(&c, "subj_altname", "mail"), "m@x.ex");
    CHECK_STR(field(&c, "subj_altname", ">:,uri"), "http:://u.ex/");
    CHECK_STR(field(&c, "ocsp_uri", NULL), "http://o1.ex/\nhttp://o2.ex/");
    CHECK_STR(field(&c, "crl_uri", ">,"), "http://c1.ex/\nhttp://c2.ex/");
    CHECK_STR(field(&other, "crl_uri", NULL), "(none)");
    CHECK_STR(field(&other, "subj_altname", "mail"), "(none)");
    CHECK_STR(field(&c, "Version", NULL), "bad field selector \"Version\" for certextract");
}

TEST(pem_texts)
{
    struct strvec v = {.pool = unit_pool()};
    struct str der = full_der();
    struct str pem = pem_encode(unit_pool(), "X", STR("abc"));
    CHECK_STR(pem, "-----BEGIN X-----\nYWJj\n-----END X-----\n");
    pem = STR_CAT(unit_pool(), STR("words\r\n"), pem_encode(unit_pool(), "CERTIFICATE", der),
                  STR("more\n"), pem);
    CHECK(pem_certificates(unit_pool(), pem, &v) && v.n == 1 && str_eq(v.v[0], der));
    CHECK(pem_blocks(unit_pool(), pem, "X", &v) && v.n == 2);
    CHECK(pem_blocks(unit_pool(), STR("nothing"), "X", &v) && v.n == 2);
    CHECK(!pem_blocks(unit_pool(), STR("-----BEGIN X-----\nYWJj\n"), "X", &v));
    CHECK(!pem_blocks(unit_pool(), STR("-----BEGIN X-----\nYWJj\n-----END Y-----\n"), "X", &v));
    CHECK(!pem_blocks(unit_pool(), STR("-----BEGIN X-----\nY*Jj\n-----END X-----\n"), "X", &v));
    CHECK(!pem_blocks(unit_pool(), STR("-----BEGIN X-----\n-----END X-----\n"), "X", &v));
    CHECK(pem_blocks(unit_pool(), STR("-----BEGIN X-----\r\n YWJj \r\n\r\n-----END X-----"), "X",
                     &v));
}
