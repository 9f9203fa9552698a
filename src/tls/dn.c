/*
 * Distinguished names as text (x509.h; RFC 4514, RFC 4519).
 *
 * Two ways of writing them are in use: the one of GnuTLS, with its keywords and in the order of
 * the certificate, which is what Exim logs and gives to configurations where it is built with
 * that library, and OpenSSL's "/C=GB/CN=…". Both are made here, of the DER alone. Values that are
 * no strings are written as #hex, and so are those of attributes without a keyword (RFC 4514 2.4).
 */
#include "tls/der.h"
#include "tls/x509.h"

/* One attribute type: its octets, the keyword of RFC 4514 texts, that of OpenSSL's. */
static const struct attribute {
    struct str oid, keyword, oneline;
} attributes[] = {
    {STR_INIT("\x55\x04\x03"), STR_INIT("CN"), STR_INIT("CN")},
    {STR_INIT("\x55\x04\x04"), STR_INIT("surName"), STR_INIT("SN")},
    {STR_INIT("\x55\x04\x05"), STR_INIT("serialNumber"), STR_INIT("serialNumber")},
    {STR_INIT("\x55\x04\x06"), STR_INIT("C"), STR_INIT("C")},
    {STR_INIT("\x55\x04\x07"), STR_INIT("L"), STR_INIT("L")},
    {STR_INIT("\x55\x04\x08"), STR_INIT("ST"), STR_INIT("ST")},
    {STR_INIT("\x55\x04\x09"), STR_INIT("street"), STR_INIT("street")},
    {STR_INIT("\x55\x04\x0a"), STR_INIT("O"), STR_INIT("O")},
    {STR_INIT("\x55\x04\x0b"), STR_INIT("OU"), STR_INIT("OU")},
    {STR_INIT("\x55\x04\x0c"), STR_INIT("title"), STR_INIT("title")},
    {STR_INIT("\x55\x04\x0d"), STR_INIT("description"), STR_INIT("description")},
    {STR_INIT("\x55\x04\x0f"), STR_INIT("businessCategory"), STR_INIT("businessCategory")},
    {STR_INIT("\x55\x04\x11"), STR_INIT("postalCode"), STR_INIT("postalCode")},
    {STR_INIT("\x55\x04\x29"), STR_INIT("name"), STR_INIT("name")},
    {STR_INIT("\x55\x04\x2a"), STR_INIT("givenName"), STR_INIT("GN")},
    {STR_INIT("\x55\x04\x2b"), STR_INIT("initials"), STR_INIT("initials")},
    {STR_INIT("\x55\x04\x2c"), STR_INIT("generationQualifier"), STR_INIT("generationQualifier")},
    {STR_INIT("\x55\x04\x2e"), STR_INIT("dnQualifier"), STR_INIT("dnQualifier")},
    {STR_INIT("\x55\x04\x41"), STR_INIT("pseudonym"), STR_INIT("pseudonym")},
    {STR_INIT("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"), STR_INIT("UID"), STR_INIT("UID")},
    {STR_INIT("\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"), STR_INIT("DC"), STR_INIT("DC")},
    {STR_INIT("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"), STR_INIT("EMAIL"), STR_INIT("emailAddress")},
    {STR_INIT("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x01"),
     STR_INIT("jurisdictionOfIncorporationLocalityName"), STR_INIT("jurisdictionL")},
    {STR_INIT("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x02"),
     STR_INIT("jurisdictionOfIncorporationStateOrProvinceName"), STR_INIT("jurisdictionST")},
    {STR_INIT("\x2b\x06\x01\x04\x01\x82\x37\x3c\x02\x01\x03"),
     STR_INIT("jurisdictionOfIncorporationCountryName"), STR_INIT("jurisdictionC")},
};

static const struct attribute *find_attribute(struct str oid)
{
    for (size_t i = 0; i < ARRAY_LEN(attributes); i++) {
        if (str_eq(attributes[i].oid, oid)) {
            return &attributes[i];
        }
    }
    return NULL;
}

static void add_utf8(struct buf *b, uint32_t c)
{
    if (c < 0x80) {
        buf_addc(b, (char)c);
    } else if (c < 0x800) {
        buf_addc(b, (char)(0xc0 | c >> 6));
        buf_addc(b, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_addc(b, (char)(0xe0 | c >> 12));
        buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_addc(b, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_addc(b, (char)(0xf0 | (c >> 18 & 7)));
        buf_addc(b, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_addc(b, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_addc(b, (char)(0x80 | (c & 0x3f)));
    }
}

/* Characters of `width` octets each as UTF-8; false if they are not whole. */
static bool widen(struct pool *pool, struct str s, unsigned width, struct str *out)
{
    struct buf b;
    if (s.len % width) {
        return false;
    }
    buf_init(&b, pool, (size_t)s.len * 4 + 1);
    b.tainted = s.tainted;
    for (uint32_t i = 0; i < s.len; i += width) {
        uint32_t c = 0;
        for (unsigned k = 0; k < width; k++) {
            c = c << 8 | (unsigned char)s.p[i + k];
        }
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
            return false;
        }
        add_utf8(&b, c);
    }
    *out = buf_str(&b);
    return true;
}

/* The text of a value; false if it is no string. */
static bool value_text(struct pool *pool, const struct der_item *value, struct str *out)
{
    switch (value->tag) {
    case DER_UTF8_STRING:
    case DER_PRINTABLE_STRING:
    case DER_IA5_STRING: *out = value->content; return utf8_valid(value->content);
    case DER_T61_STRING: return widen(pool, value->content, 1, out); /* in practice Latin-1 */
    case DER_BMP_STRING: return widen(pool, value->content, 2, out);
    case DER_UNIVERSAL_STRING: return widen(pool, value->content, 4, out);
    default: return false;
    }
}

static struct str hex_value(struct pool *pool, const struct der_item *value)
{
    return STR_CAT(pool, STR("#"), hex_encode(pool, value->whole));
}

/* RFC 4514 2.4. */
static struct str escaped(struct pool *pool, struct str s)
{
    struct buf b;
    buf_init(&b, pool, (size_t)s.len * 3 + 1);
    b.tainted = s.tainted;
    for (uint32_t i = 0; i < s.len; i++) {
        bool edge =
            (i == 0 && (s.p[i] == ' ' || s.p[i] == '#')) || (i == s.len - 1 && s.p[i] == ' ');
        if (s.p[i] == '\0') {
            buf_addz(&b, "\\00");
            continue;
        }
        if (edge || strchr(",+\"\\<>;", s.p[i])) {
            buf_addc(&b, '\\');
        }
        buf_addc(&b, s.p[i]);
    }
    return buf_str(&b);
}

/* One AttributeTypeAndValue. */
struct ava {
    const struct attribute *attribute; /* NULL: not in the table */
    struct str oid;
    struct der_item value;
    bool joined; /* with the one before, in the same RDN */
};

/* Walks a Name: *name and *rdn start as readers; false at the end or a fault (name->bad). */
static bool next_ava(struct der *name, struct der *rdn, struct ava *out)
{
    out->joined = rdn->rest.len > 0;
    if (!out->joined) {
        if (name->rest.len == 0) {
            return false;
        }
        *rdn = der_enter(name, DER_SET);
    }
    struct der ava = der_enter(rdn, DER_SEQUENCE);
    out->oid = der_take(&ava, DER_OID);
    if (!der_next(&ava, &out->value) || !der_end(&ava)) {
        name->bad = true;
        return false;
    }
    out->attribute = find_attribute(out->oid);
    return true;
}

static struct der enter_name(struct str name)
{
    struct der outer = der_of(name);
    return der_enter(&outer, DER_SEQUENCE);
}

static struct str oid_keyword(struct pool *pool, const struct ava *a)
{
    struct str s = der_oid_text(pool, a->oid);
    return str_unset(s) ? STR("?") : s;
}

/* The value as RFC 4514 writes it. */
static struct str ava_value(struct pool *pool, const struct ava *a)
{
    struct str text;
    return a->attribute && value_text(pool, &a->value, &text) ? escaped(pool, text)
                                                              : hex_value(pool, &a->value);
}

struct str cert_dn_text(struct pool *pool, struct str name)
{
    struct der r = enter_name(name), rdn = {0};
    struct ava a;
    struct buf b;
    buf_init(&b, pool, (size_t)name.len * 8 + 256);
    b.tainted = true;
    while (next_ava(&r, &rdn, &a)) {
        if (b.len) {
            buf_addc(&b, a.joined ? '+' : ',');
        }
        buf_adds(&b, a.attribute ? a.attribute->keyword : oid_keyword(pool, &a));
        buf_addc(&b, '=');
        buf_adds(&b, ava_value(pool, &a));
    }
    return buf_str(&b);
}

/* OpenSSL's tools write what is no printable ASCII as \xHH, and escape the two separators. */
static void add_oneline_value(struct buf *b, struct str content)
{
    for (uint32_t i = 0; i < content.len; i++) {
        unsigned char c = (unsigned char)content.p[i];
        if (c < ' ' || c > '~') {
            buf_addf(b, "\\x%02X", c);
        } else {
            if (c == '/' || c == '+') {
                buf_addc(b, '\\');
            }
            buf_addc(b, (char)c);
        }
    }
}

struct str cert_dn_oneline(struct pool *pool, struct str name)
{
    struct der r = enter_name(name), rdn = {0};
    struct ava a;
    struct buf b;
    buf_init(&b, pool, (size_t)name.len * 8 + 256);
    b.tainted = true;
    while (next_ava(&r, &rdn, &a)) {
        buf_addc(&b, a.joined ? '+' : '/');
        buf_adds(&b, a.attribute ? a.attribute->oneline : oid_keyword(pool, &a));
        buf_addc(&b, '=');
        add_oneline_value(&b, a.value.content);
    }
    return buf_str(&b);
}

bool cert_dn_values(struct pool *pool, struct str name, struct str attribute, struct strvec *out)
{
    struct der r = enter_name(name), rdn = {0};
    struct ava a;
    while (next_ava(&r, &rdn, &a)) {
        struct str keyword = a.attribute ? a.attribute->keyword : oid_keyword(pool, &a), text;
        if (str_unset(attribute)) {
            strvec_push(out, STR_CAT(pool, keyword, STR("="), ava_value(pool, &a)));
        } else if (str_eq(keyword, attribute)) {
            bool plain = value_text(pool, &a.value, &text);
            strvec_push(out, plain ? text : hex_value(pool, &a.value));
        }
    }
    return !r.bad;
}
