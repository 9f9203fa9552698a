/* What the files of net/ tell each other. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include "net/net.h"

/* How a question is asked, beside its name and type. */
struct dns_question {
    struct str name;
    enum dns_type type;
    bool dnssec;         /* set DO */
    bool qualify_single; /* a name without a dot gets the resolver's domain */
    bool search_parents; /* a name is tried in the domains of the resolver's search list */
    bool untimed;        /* slow_lookup_log does not apply */
    int retrans, retry;  /* 0: the configuration's */
};

/* dns_lookup() with all there is to say. */
enum dns_result dns_ask(const struct config *conf, struct pool *pool, const struct dns_question *q,
                        struct dns_answer *out);

/* ---- hosts ---- */

/*
 * Gives a host its addresses by DNS: the first one goes into *h, further ones into hosts linked
 * behind it (IPv6 first, at random within a family). h->name becomes the name after CNAMEs;
 * *qualified (may be NULL) what the mail domain becomes (address_domain). literal allows a name that
 * is an IP address to stand for itself. Of h's fields only these, dnssec and (all addresses dropped) why are set.
 */
enum host_find dns_set_address(const struct config *conf, struct pool *pool, struct host *h,
                               const struct host_find_opts *opts, bool literal,
                               struct str *qualified);

/* True if a host is this machine, by hosts_treat_as_local or by its address. */
bool net_host_is_local(const struct config *conf, struct pool *pool, const struct host *h);

/* A random number below `below`. */
uint32_t net_random(uint32_t below);

/* ---- decoding ---- */

/* A decoded message: what dns_lookup() gives, and what is needed to go on from it. */
struct dns_packet {
    struct dns_answer answer; /* records of the wanted type */
    struct str last_alias; /* the owner of the last CNAME in the answer; unset if there is none */
    struct str cname;      /* end of the chain of CNAMEs in the answer; unset if there is none */
    int rcode;
    bool ad, aa, any;   /* any: the answer section holds something */
    uint32_t ttl;       /* lowest of the answer's, or how long absence may be remembered */
    struct str aa_zone; /* owner of the authority section's NS (SOA if there is no answer) */
};

/*
 * Decodes the answer to a question for name and type. False if the bytes are not a DNS message;
 * records that are malformed, and what follows them, are left out. Strings are tainted.
 */
bool dns_decode(struct pool *pool, const unsigned char *msg, size_t len, struct str name,
                enum dns_type type, struct dns_packet *out);

/* ---- cache ---- */

/* A remembered message: the bytes that were received, or (len 0) why there are none. */
struct dns_cached {
    enum dns_result result;
    size_t len;
    struct str name; /* that was asked for, after qualifying */
    unsigned char *msg;
    int64_t expires; /* monotonic milliseconds */
};

/* The live entry of a key, or NULL. It stays valid until the next dns_cache_put(). */
const struct dns_cached *dns_cache_get(struct str key);

/* Remembers (copying) for so many seconds. */
void dns_cache_put(struct str key, const struct dns_cached *entry, uint32_t seconds);

/* Drops all that is remembered. */
void dns_cache_forget(void);

/* ---- settings ---- */

/* True if the name matches dns_check_names_pattern. */
bool net_clean_name(const struct net_settings *set, struct str name);

/* Matches through the configuration's matcher; an unset list holds nothing. */
bool net_in_domains(const struct config *conf, struct pool *pool, const struct etext *list,
                    struct str name);

#endif
