/*
 * Texts and numbers for gnutls.c (gnutls_text.h).
 *
 * Results are views of what was handed in or live in the pool. Nothing here keeps state, and
 * nothing is decided: what is to be done with a ClientHello is for tls.c.
 */
#include "tls/gnutls_text.h"

/* ---- ClientHello ---- */

/* RFC 6066 3: a list of names, of which only one kind exists. */
static struct str server_name(struct str data)
{
    const unsigned char *p = (const unsigned char *)data.p;
    if (data.len < 5 || p[2] != 0) {
        return STR_NONE;
    }
    size_t n = (size_t)p[3] << 8 | p[4];
    return n <= data.len - 5 ? str_taint(str_sub(data, 5, n)) : STR_NONE;
}

/* RFC 7301 3.1: names, each behind its length. */
static void protocol_names(struct strvec *out, struct str data)
{
    struct str rest = str_from(data, 2);
    while (rest.len) {
        uint32_t n = (unsigned char)rest.p[0];
        if (n > rest.len - 1) {
            return;
        }
        strvec_push(out, str_taint(str_sub(rest, 1, n)));
        rest = str_from(rest, n + 1);
    }
}

void tls_hello_extension(struct tls_hello *hello, unsigned type, struct str data)
{
    enum { /* the registry of TLS ExtensionType values */
           SERVER_NAME = 0,
           STATUS_REQUEST = 5,
           SIGNATURE_ALGORITHMS = 13,
           ALPN = 16,
           SESSION_TICKET = 35,
           PRE_SHARED_KEY = 41,
           PSK_KEY_EXCHANGE_MODES = 45
    };
    struct pool *pool = hello->alpn.pool;
    switch (type) {
    case SERVER_NAME: hello->sni = str_dup(pool, server_name(data)); break;
    case STATUS_REQUEST: hello->asks_status = true; break;
    case SIGNATURE_ALGORITHMS: hello->signatures = str_dup(pool, data); break;
    case ALPN:
        hello->alpn_offered = true;
        protocol_names(&hello->alpn, str_dup(pool, data));
        break;
    case SESSION_TICKET:
        hello->asks_ticket = true;
        hello->offers_session = hello->offers_session || data.len;
        break;
    case PRE_SHARED_KEY: hello->offers_session = true; break;
    case PSK_KEY_EXCHANGE_MODES: hello->asks_ticket = true; break;
    }
}

/* ---- priorities ---- */

/* Groups by the names that OpenSSL and the standards have for them. */
static const struct {
    const char *name, *group;
} curves[] = {
    {"P-256", "SECP256R1"},     {"prime256v1", "SECP256R1"}, {"secp256r1", "SECP256R1"},
    {"P-384", "SECP384R1"},     {"secp384r1", "SECP384R1"},  {"P-521", "SECP521R1"},
    {"secp521r1", "SECP521R1"}, {"X25519", "X25519"},        {"X448", "X448"},
    {"ffdhe2048", "FFDHE2048"}, {"ffdhe3072", "FFDHE3072"},  {"ffdhe4096", "FFDHE4096"},
    {"ffdhe6144", "FFDHE6144"}, {"ffdhe8192", "FFDHE8192"},
};

static const char *curve_group(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(curves); i++) {
        if (str_isi(name, curves[i].name)) {
            return curves[i].group;
        }
    }
    return NULL;
}

bool gnutls_text_priority(struct pool *pool, struct str ciphers, struct str eccurve,
                          struct str *out, struct str *error)
{
    struct str rest = eccurve, name;
    *out = ciphers.len ? ciphers : STR("NORMAL");
    if (!eccurve.len || str_isi(eccurve, "auto")) {
        return true;
    }
    *out = STR_CAT(pool, *out, STR(":-GROUP-ALL"));
    while (str_next(&rest, ':', &name)) {
        name = str_trim(name);
        const char *group = curve_group(name);
        if (!group) {
            *error = str_fmt(pool, "unknown curve \"%.*s\"", STR_ARG(name));
            return false;
        }
        *out = STR_CAT(pool, *out, STR(":+GROUP-"), str_c(group));
    }
    return true;
}

/* ---- groups ---- */

/* The first bits of pi, which RFC 3526 makes its primes of; hexadecimal. */
static const char pi[] =
    "c90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd"
    "3a431b302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee38"
    "6bfb5a899fa5ae9f24117c4b1fe649286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf"
    "5f83655d23dca3ad961c62f356208552bb9ed529077096966d670c354e4abc9804f1746c08ca18217c32905e46"
    "2e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf6955817183995497cea956ae515"
    "d2261898fa051015728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d06"
    "0c7db3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602"
    "733ec86a64521f2b18177b200cbbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e"
    "4b82d120a92108011a723c12a787e6d788719a10bdba5b2699c327186af4e23c1a946834b6150bda2583e9ca2a"
    "d44ce8dbbbc2db04de8ef92e8efc141fbecaa6287c59474e6bc05d99b2964fa090c3a2233ba186515be7ed1f61"
    "2970cee2d7afb81bdd762170481cd0069127d5b05aa993b4ea988d8fddc186ffb7dc90a6c08f4df435c9340284"
    "9236c3fab4d27c7026c1d4dcb2602646dec9751e763dba37bdf8ff9406ad9e530ee5db382f413001aeb06a53ed"
    "9027d831179727b0865a8918da3edbebcf9b14ed44ce6cbaced4bb1bdb7f1447e6cc254b332051512bd7af426f"
    "b8f401378cd2bf5983ca01c64b92ecf032ea15d1721d03f482d7ce6e74fef6d55e702f46980c82b5a84031900b"
    "1c9e59e7c97fbec7e8f323a97a7e36cc88be0f1d45b7ff585ac54bd407b22b4154aacc8f6d7ebf48e1d814cc5e"
    "d20f8037e0a79715eef29be32806a1d58bb7c5da76f550aa3d8a1fbff0eb19ccb1a313d55cda56c9ec2ef29632"
    "387fe8d76e3c0468043e8f663f4860ee12bf2d5b0b7474d6e694f91e6dbe115974a3926f12fee5e438777cb6a9"
    "32df8cd8bec4d073b931ba3bc832b68d9dd300741fa7bf8afc47ed2576f6936ba424663aab639c5ae4f5683423"
    "b4742bf1c978238f16cbe39d652de3fdb8befc848ad922222e04a4037c0713eb57a81a23f0c73473fc646cea30"
    "6b4bcbc8862f8385ddfa9d4b7fa2c087e879683303ed5bdd3a062b3cf5b3a278a66d2a13f83f44f82ddf310ee0"
    "74ab6a364597e899a0255dc164f31cc50846851df9ab48195ded7ea1b1d510bd7ee74d73faf36bc31ecfa26835"
    "9046f4eb879f924009438b481c6cd7889a002ed5ee382bc9190da6fc026e479558e4475677e9aa9e3050e27656"
    "94dfc81f56e880b96e7160c980dd98a573ea";

static const struct {
    const char *name;
    uint32_t bits, summand;
} groups[] = {
    {"modp_1536", 1536, 741804}, {"modp_2048", 2048, 124476}, {"modp_3072", 3072, 1690314},
    {"modp_4096", 4096, 240904}, {"modp_6144", 6144, 929484}, {"modp_8192", 8192, 4743158},
};

/*
 * 2^n - 2^(n-64) - 1 + 2^64 * (floor(2^(n-130) * pi) + c): 64 bits of ones at both ends, and
 * between them the bits of pi with c - 1 added.
 */
static struct str make_prime(struct pool *pool, uint32_t bits, uint32_t summand)
{
    uint32_t n = bits / 8;
    struct str middle;
    if (!hex_decode(pool, str_n(pi, 2 * (size_t)(n - 16)), &middle)) {
        BUG("the bits of pi are not hexadecimal");
    }
    char *p = pool_alloc(pool, n);
    memset(p, 0xff, n);
    memcpy(p + 8, middle.p, middle.len);
    uint32_t carry = summand - 1;
    for (uint32_t i = n - 8; carry && i-- > 8;) {
        carry += (unsigned char)p[i];
        p[i] = (char)(carry & 0xff);
        carry >>= 8;
    }
    return str_n(p, n);
}

bool gnutls_text_group(struct pool *pool, struct str name, struct str *prime)
{
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (str_is(name, groups[i].name)) {
            *prime = make_prime(pool, groups[i].bits, groups[i].summand);
            return true;
        }
    }
    return false;
}

/* ---- ciphers ---- */

struct str gnutls_text_cipher(struct pool *pool, struct str version, struct str desc, int bits)
{
    struct buf b;
    struct str rest = desc, part;
    bool first = true;
    buf_init(&b, pool, version.len + desc.len + 32u);
    buf_adds(&b, version);
    buf_addc(&b, ':');
    str_next(&rest, '(', &part);
    str_next(&rest, '(', &part); /* the version */
    while (str_next(&rest, '(', &part)) {
        ptrdiff_t end = str_chr(part, ')');
        buf_addz(&b, first ? "" : "__");
        for (ptrdiff_t i = 0; i < end; i++) {
            buf_addc(&b, part.p[i] == '-' ? '_' : part.p[i]);
        }
        first = false;
    }
    buf_addf(&b, ":%d", bits);
    b.tainted = false; /* the library's own words */
    return buf_str(&b);
}

/* ---- stored sessions ---- */

struct str gnutls_text_pack(struct pool *pool, struct str cipher, struct str data)
{
    return STR_CAT(pool, STR("G1 "), cipher, STR(" "), data);
}

bool gnutls_text_unpack(struct str packed, struct str *cipher, struct str *data)
{
    ptrdiff_t end = str_chr(str_from(packed, 3), ' ');
    if (!str_starts(packed, "G1 ") || end < 1) {
        return false;
    }
    *cipher = str_sub(packed, 3, (size_t)end);
    *data = str_from(packed, (size_t)end + 4);
    return true;
}
