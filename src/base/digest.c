/*
 * Message digests (digest.h), whole texts at a time.
 *
 * MD5, SHA-1 and SHA-256 share the padding of blocks of 64 bytes; SHA-3 has a sponge of its own,
 * and SHA-384 and SHA-512 are in sha512.c.
 * For expansions, where neither speed nor side channels matter; signatures come from a library.
 */
#include "base/base.h"

enum { BLOCK = 64, MAX_WORDS = 8 };

static uint32_t rol(uint32_t v, unsigned n)
{
    return v << n | v >> (32 - n);
}

static uint32_t ror(uint32_t v, unsigned n)
{
    return v >> n | v << (32 - n);
}

static uint32_t load(const unsigned char *p, bool big)
{
    return big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
               : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void store(unsigned char *p, uint32_t v, bool big)
{
    for (unsigned i = 0; i < 4; i++) {
        p[i] = (unsigned char)(v >> (big ? 24 - 8 * i : 8 * i));
    }
}

/* ---- MD5 ---- */

static void md5_block(uint32_t *h, const unsigned char *p)
{
    /* floor(2^32 * abs(sin(i + 1))) */
    static const uint32_t k[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613,
        0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193,
        0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
        0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed,
        0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122,
        0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa,
        0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244,
        0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
        0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb,
        0xeb86d391};
    static const unsigned char turn[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t f;
        unsigned g;
        switch (i / 16) {
        case 0:
            f = (b & c) | (~b & d);
            g = i;
            break;
        case 1:
            f = (d & b) | (~d & c);
            g = (5 * i + 1) % 16;
            break;
        case 2:
            f = b ^ c ^ d;
            g = (3 * i + 5) % 16;
            break;
        default:
            f = c ^ (b | ~d);
            g = 7 * i % 16;
            break;
        }
        uint32_t next = b + rol(a + f + k[i] + load(p + (size_t)4 * g, false), turn[i / 16][i % 4]);
        a = d;
        d = c;
        c = b;
        b = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

/* ---- SHA-1 ---- */

static void sha1_block(uint32_t *h, const unsigned char *p)
{
    uint32_t w[80] = {0}, a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (unsigned i = 0; i < 16; i++) {
        w[i] = load(p + (size_t)4 * i, true);
    }
    for (unsigned i = 16; i < 80; i++) {
        w[i] = rol(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (unsigned i = 0; i < 80; i++) {
        uint32_t f, k;
        switch (i / 20) {
        case 0:
            f = (b & c) | (~b & d);
            k = 0x5a827999;
            break;
        case 1:
            f = b ^ c ^ d;
            k = 0x6ed9eba1;
            break;
        case 2:
            f = (b & c) | (b & d) | (c & d);
            k = 0x8f1bbcdc;
            break;
        default:
            f = b ^ c ^ d;
            k = 0xca62c1d6;
            break;
        }
        uint32_t next = rol(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rol(b, 30);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

/* ---- SHA-256 ---- */

static void sha256_schedule(uint32_t w[64], const unsigned char *p)
{
    for (unsigned i = 0; i < 16; i++) {
        w[i] = load(p + (size_t)4 * i, true);
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t s0 = ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void sha256_block(uint32_t *h, const unsigned char *p)
{
    static const uint32_t k[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
        0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
        0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
        0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
        0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
        0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
        0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
        0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
        0xc67178f2};
    uint32_t w[64], v[8];
    sha256_schedule(w, p);
    memcpy(v, h, sizeof v);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t s1 = ror(v[4], 6) ^ ror(v[4], 11) ^ ror(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + k[i] + w[i];
        uint32_t s0 = ror(v[0], 2) ^ ror(v[0], 13) ^ ror(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (unsigned i = 0; i < 8; i++) {
        h[i] += v[i];
    }
}

/* ---- what the three have in common ---- */

struct family {
    void (*block)(uint32_t *h, const unsigned char *p);
    unsigned words;
    bool big;
    uint32_t start[MAX_WORDS];
};

static const struct family families[] = {
    [DIGEST_MD5] = {md5_block, 4, false, {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}},
    [DIGEST_SHA1] = {sha1_block,
                     5,
                     true,
                     {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}},
    [DIGEST_SHA256] = {sha256_block,
                       8,
                       true,
                       {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                        0x1f83d9ab, 0x5be0cd19}},
};

/* The text's last block or two: a one bit, zeros, the length in bits. */
static size_t last_blocks(const struct family *f, struct str data, unsigned char *tail)
{
    size_t left = data.len % BLOCK, size = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;
    uint64_t bits = (uint64_t)data.len * 8;
    memset(tail, 0, size);
    if (left) {
        memcpy(tail, data.p + data.len - left, left);
    }
    tail[left] = 0x80;
    store(tail + size - (f->big ? 4 : 8), (uint32_t)bits, f->big);
    store(tail + size - (f->big ? 8 : 4), (uint32_t)(bits >> 32), f->big);
    return size;
}

static struct str block_digest(struct pool *pool, const struct family *f, struct str data)
{
    uint32_t h[MAX_WORDS];
    unsigned char tail[2 * BLOCK], *out = pool_alloc(pool, (size_t)f->words * 4);
    memcpy(h, f->start, sizeof h);
    for (size_t i = 0; i + BLOCK <= data.len; i += BLOCK) {
        f->block(h, (const unsigned char *)data.p + i);
    }
    size_t size = last_blocks(f, data, tail);
    for (size_t i = 0; i < size; i += BLOCK) {
        f->block(h, tail + i);
    }
    for (unsigned i = 0; i < f->words; i++) {
        store(out + (size_t)4 * i, h[i], f->big);
    }
    return str_n((const char *)out, (size_t)f->words * 4);
}

/* ---- SHA-3 ---- */

static uint64_t rol64(uint64_t v, unsigned n)
{
    return n ? v << n | v >> (64 - n) : v;
}

/* Round constants come from a linear feedback shift register (FIPS 202 3.2.5). */
static uint64_t round_constant(unsigned *lfsr)
{
    uint64_t rc = 0;
    for (unsigned j = 0; j < 7; j++) {
        if (*lfsr & 1) {
            rc ^= (uint64_t)1 << ((1u << j) - 1);
        }
        *lfsr = *lfsr & 0x80 ? (*lfsr << 1 ^ 0x171) & 0xff : *lfsr << 1;
    }
    return rc;
}

static void keccak(uint64_t a[25])
{
    unsigned lfsr = 1;
    for (unsigned round = 0; round < 24; round++) {
        uint64_t c[5], b[25];
        for (unsigned x = 0; x < 5; x++) {
            c[x] = a[x] ^ a[x + 5] ^ a[x + 10] ^ a[x + 15] ^ a[x + 20];
        }
        for (unsigned i = 0; i < 25; i++) {
            a[i] ^= c[(i + 4) % 5] ^ rol64(c[(i + 1) % 5], 1);
        }
        b[0] = a[0];
        for (unsigned t = 0, x = 1, y = 0; t < 24; t++) {
            unsigned nx = y, ny = (2 * x + 3 * y) % 5;
            b[nx + 5 * ny] = rol64(a[x + 5 * y], (t + 1) * (t + 2) / 2 % 64);
            x = nx;
            y = ny;
        }
        for (unsigned i = 0; i < 25; i++) {
            unsigned row = i / 5 * 5;
            a[i] = b[i] ^ (~b[row + (i + 1) % 5] & b[row + (i + 2) % 5]);
        }
        a[0] ^= round_constant(&lfsr);
    }
}

static void absorb(uint64_t a[25], size_t at, unsigned char byte)
{
    a[at / 8] ^= (uint64_t)byte << at % 8 * 8;
}

static struct str sha3(struct pool *pool, size_t bytes, struct str data)
{
    uint64_t a[25] = {0};
    size_t rate = 200 - 2 * bytes, at = 0;
    char *out = pool_alloc(pool, bytes);
    for (uint32_t i = 0; i < data.len; i++) {
        absorb(a, at++, (unsigned char)data.p[i]);
        if (at == rate) {
            keccak(a);
            at = 0;
        }
    }
    absorb(a, at, 0x06);
    absorb(a, rate - 1, 0x80);
    keccak(a);
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (char)(a[i / 8] >> i % 8 * 8);
    }
    return str_n(out, bytes);
}

struct str digest(struct pool *pool, enum digest_kind kind, struct str data)
{
    switch (kind) {
    case DIGEST_SHA384: return digest_sha512(pool, 48, data);
    case DIGEST_SHA512: return digest_sha512(pool, 64, data);
    case DIGEST_SHA3_224: return sha3(pool, 28, data);
    case DIGEST_SHA3_256: return sha3(pool, 32, data);
    case DIGEST_SHA3_384: return sha3(pool, 48, data);
    case DIGEST_SHA3_512: return sha3(pool, 64, data);
    default: return block_digest(pool, &families[kind], data);
    }
}

struct str digest_hmac(struct pool *pool, enum digest_kind kind, struct str key, struct str data)
{
    char inner[BLOCK], outer[BLOCK];
    if (key.len > BLOCK) {
        key = digest(pool, kind, key);
    }
    for (uint32_t i = 0; i < BLOCK; i++) {
        char c = i < key.len ? key.p[i] : '\0';
        inner[i] = (char)(c ^ 0x36);
        outer[i] = (char)(c ^ 0x5c);
    }
    struct str first = digest(pool, kind, STR_CAT(pool, str_n(inner, BLOCK), data));
    return digest(pool, kind, STR_CAT(pool, str_n(outer, BLOCK), first));
}
