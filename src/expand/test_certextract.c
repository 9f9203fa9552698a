/* Tests of ${certextract}: where the certificate comes from, its errors, digests of certificates. */
#include "expand/test_support.h"
#include "tls/tls.h"

static void with_client_certificate(struct ectx *x)
{
    struct str pem;
    struct strvec v = {.pool = unit_pool()};
    struct session *s = POOL_NEW(unit_pool(), struct session);
    struct tls_facts *facts = POOL_NEW(unit_pool(), struct tls_facts);
    test_ectx(x);
    CHECK(file_read(unit_pool(), STR("aux-fixed/pki/a/server1.pem"), 1 << 20, &pem) == 0);
    CHECK(pem_certificates(unit_pool(), pem, &v) && v.n == 1);
    facts->peercert = v.v[0];
    s->tls = facts;
    x->sess = s;
}

/* What exim4 answers with the same client certificate, and without one. */
TEST(certextract_as_exim)
{
    static const struct value_case cases[] = {
        {"${certextract{subject}{$tls_in_peercert}}", "O=Example A,CN=server1.example.com"},
        {"${certextract{ version }{$tls_in_peercert}{[$value]}{no}}", "[3]"},
        {"${certextract{subj_altname,dns,>+}{$tls_in_peercert}}",
         "alternatename.server1.example.com+server1.example.com"},
        {"${certextract{${lc:NOTAFTER},int}{$tls_in_peercert}}", "4102444799"},
        {"${certextract{subj_altname,mail}{$tls_in_peercert}{yes}{no}}", "no"},
        {"${certextract{subject}{$tls_in_ourcert}{yes}{no}}", "no"},
        {"${certextract{nosuch}{$tls_in_ourcert}{yes}{no}}", "no"},
        {"${certextract{nosuch}{$tls_in_peercert}{yes}{no}}",
         "error: bad field selector \"nosuch\" for certextract"},
        {"${certextract{subject}{tls_in_peercert}}",
         "error: second argument of \"certextract\" must be a certificate variable"},
        {"${certextract{subject}{$tls_in_peerdn}}",
         "error: \"tls_in_peerdn\" is not a certificate"},
        {"${certextract{subject}{$nosuch}}", "error: no variable named \"nosuch\""},
        {"${certextract{subject}}", "error: missing '{' for cert variable arg of certextract"},
        {"$tls_in_peercert$tls_in_ourcert", "<cert>"},
        {"${if def:tls_in_peercert{yes}{no}} ${if def:tls_in_ourcert{yes}{no}}", "yes no"},
        {"${sha256:$tls_in_peercert}",
         "0B2654ABFBCA6E37EB140F20D9E8FCFE0DBF5F3ABBDE3B4DF5EABCB13039A648"},
        {"${sha1:$tls_in_peercert}", "9AB6D34F56CD3DBC1454EDEE9DD70C2498499E28"},
        {"${md5:$tls_in_peercert}", "1D9F1416B3C9FF1F4A0AF9E561C6DBDC"},
        {"${length_16:${base64:$tls_in_peercert}}", "MIID6zCCAtOgAwIB"},
        {"${sha1:x$tls_in_peercert}", "5433594084A5B00DCE6F4A0CBD95CE565A2DADB2"},
        {"x${md5:${tls_in_peercert}}", "x2ae3e6bcc8747d90da5c0f061811b67e"},
        {NULL, NULL}};
    struct ectx x;
    with_client_certificate(&x);
    test_values(&x, cases);
    CHECK(test_value(&x, "${certextract{subject}{$tls_in_peercert}}").tainted);
}
