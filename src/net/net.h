/*
 * The one public header of net/: IP addresses, the resolver (the only code that asks DNS),
 * connecting and listening, and streams with deadlines.
 */
#ifndef NET_NET_H
#define NET_NET_H

#include "core/core.h"

extern const struct module net_module; /* dns_* options, disable_ipv6 users, … */

/* ---- settings ---- */

/*
 * Matches a name against a domain list option. Lists belong to a higher room, which lends this by
 * net_set_matcher() when a configuration has been read.
 */
typedef bool net_matcher(const struct config *conf, struct pool *pool, const struct etext *list,
                         struct str name);

struct net_settings {
    bool allow_mx_to_ip;
    struct str host_lookup_order;
    struct pcre2_real_code_8 *name_pattern; /* dns_check_names_pattern compiled; NULL: no check */
    struct etext dns_again_means_nonexist, dns_ipv4_lookup, dns_trust_aa;
    struct str dns_check_names_pattern;
    int dns_cname_loops, dns_retrans, dns_retry;
    int slow_lookup_log;              /* milliseconds; 0: off */
    int dns_dnssec_ok, dns_use_edns0; /* -1: the resolver's default */
    struct etext local_interfaces, extra_local_interfaces;
    struct str local_text, extra_local_text; /* the two after expansion; see net_set_local() */
    net_matcher *matcher;
};

/* The settings of net. */
const struct net_settings *net_settings(const struct config *conf);

/* Lends the matcher to a configuration that is being read; without one no list matches. */
void net_set_matcher(struct config *conf, net_matcher *matcher);

/* Hands in local_interfaces and extra_local_interfaces, expanded, if they hold a `$`. */
void net_set_local(struct config *conf, struct str local, struct str extra);

/*
 * Cuts the next item off a list ("a : b", "<; a ; b"); *sep is 0 before the first call. False at
 * the end. Items may be empty.
 */
bool net_list_next(struct pool *pool, struct str *rest, int *sep, struct str *item);

/* ---- addresses ---- */

/* An IP address in network order; v4 uses the first four bytes. */
struct ip {
    int family; /* AF_INET, AF_INET6; 0: none */
    unsigned char b[16];
};

/* Parses dotted-quad or colon notation (no brackets, no scope); false if it is neither. */
bool ip_parse(struct str s, struct ip *out);

/* Text form (RFC 5952 for IPv6). */
struct str ip_text(struct pool *pool, const struct ip *ip);

/* True if the address lies in net/bits; false for different families. */
bool ip_in_net(const struct ip *ip, const struct ip *net, unsigned bits);

/* Parses "1.2.3.4", "1.2.3.0/24", "2001:db8::/32"; bits is the full width without a slash. */
bool ip_parse_net(struct str s, struct ip *net, unsigned *bits);

/* The address with the bits after the mask cleared. */
struct ip ip_mask(struct ip ip, unsigned bits);

/* Splits an optional port off a host item: "[1.2.3.4]:25", "1.2.3.4.25", "1.2.3.4"; port 0 if none. */
bool ip_parse_port(struct str s, struct str *addr, int *port);

/* Name for DNS reverse look-up: 4.3.2.1.in-addr.arpa. */
struct str ip_reverse_name(struct pool *pool, const struct ip *ip, struct str suffix);

/*
 * Addresses that are this machine's own (for @[] and routing), text form: those local_interfaces
 * lists, or all of the interfaces when it is unset or names a wildcard; extra_local_interfaces too.
 */
void net_local_addresses(const struct config *conf, struct pool *pool, struct strvec *out);

/* True if the address is one of those. */
bool net_is_local(const struct config *conf, struct pool *pool, const struct ip *ip);

/* ---- DNS ---- */

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_SPF = 99,
    DNS_TLSA = 52
};

enum dns_result {
    DNS_OK,
    DNS_NOMATCH /* no such name */,
    DNS_NODATA /* no such record */,
    DNS_AGAIN /* try later */,
    DNS_FAIL /* for good: bad answer, refused */
};

struct dns_rr {
    enum dns_type type;
    uint32_t ttl;
    struct str owner;
    int pref, weight, port; /* MX, SRV */
    struct str name;        /* MX, SRV, PTR, NS, CNAME, SOA mname: target, tainted */
    struct ip ip;           /* A, AAAA */
    struct strvec txt;      /* TXT, SPF: character strings */
    struct str raw;         /* rdata of other types (TLSA) */
    struct str soa_rname;
    uint32_t soa[5]; /* serial refresh retry expire minimum */
};

struct dns_answer {
    struct dns_rr *rr;
    size_t n;
    bool authentic;            /* AD bit, or AA where dns_trust_aa allows */
    struct str final_name;     /* after CNAMEs (dns_cname_loops) */
    struct str qualified;      /* before them, with what the resolver's search list added */
    struct str address_domain; /* what a mail domain becomes: the last alias of the first answer, or
                                  `qualified` */
    struct str error;          /* text for log and $…_message when not DNS_OK */
};

/*
 * Asks for one type. Follows CNAMEs; results live in pool and are tainted. Answers are cached in
 * the process for their TTL (failures for a bounded time). dnssec asks for the AD bit (DO).
 * Options dns_retrans, dns_retry, dns_check_names_pattern, dns_again_means_nonexist are applied.
 */
enum dns_result dns_lookup(const struct config *conf, struct pool *pool, struct str name,
                           enum dns_type type, bool dnssec, struct dns_answer *out);

/* How else a question may be asked. */
struct dns_asking {
    bool dnssec;
    int retrans, retry; /* seconds and times; 0: dns_retrans and dns_retry */
};

/* dns_lookup() with all that dnsdb lets one choose. */
enum dns_result dns_lookup_as(const struct config *conf, struct pool *pool, struct str name,
                              enum dns_type type, const struct dns_asking *how,
                              struct dns_answer *out);

enum host_find {
    HF_FOUND,
    HF_FOUND_LOCAL,
    HF_FAILED /* no such host or nothing usable */,
    HF_AGAIN,
    HF_SECURITY /* required DNSSEC missing */
};

/* What dns_find_hosts() is to do. */
struct host_find_opts {
    bool mx, a, srv;            /* which records; MX before A */
    struct str srv_service;     /* "smtp" of _smtp._tcp */
    const struct mlist *ignore; /* unused here; callers filter */
    bool dnssec_request, dnssec_require;
    bool mx_fail_is_fail, srv_fail_is_fail; /* try-again counts as absent */
    bool no_ipv6, ipv4_only, widen_search, qualify_single, search_parents;
    /* Filter for addresses (ignore_target_hosts): true drops it. May be NULL. */
    bool (*drop)(void *closure, struct str name, struct str address);
    void *closure;
    bool *local_cut; /* set if hosts were cut off because one is ours; NULL: nobody asks */
};

/*
 * Addresses of a mail domain (RFC 5321 5.1): MX by preference, random among equals, else the
 * domain's own address; from a host of ours onwards the list is cut, HF_FOUND_LOCAL if nothing is
 * left before it (the list is then whole). error gets a text for failures; it stays unset where
 * the domain just has no records. fully_qualified may be NULL.
 */
enum host_find dns_find_hosts(const struct config *conf, struct pool *pool, struct str domain,
                              const struct host_find_opts *opts, struct host **hosts,
                              struct str *fully_qualified, struct str *error);

/* How net_find_addresses() asks DNS. */
enum {
    FIND_DNSSEC = 1, /* ask for authenticated answers */
    FIND_DNSSEC_REQUIRE = 2,
    FIND_QUALIFY_SINGLE = 4,
    FIND_SEARCH_PARENTS = 8
};

/*
 * Addresses of a host name, by DNS or (/etc/hosts first) when byname is set: the first is put into
 * h, others into hosts linked between it and its next. HF_FOUND_LOCAL if one of them is ours.
 */
enum host_find net_find_addresses(const struct config *conf, struct pool *pool, struct host *h,
                                  bool byname, unsigned how, struct str *error);

/*
 * Reverse look-up with forward check, as $sender_host_name wants it; aliases are added to *aliases.
 * On HF_FAILED error is what may follow "host lookup failed" in brackets; that there is no name at
 * all has been logged then, if the selector host_lookup_failed is on.
 */
enum host_find net_host_name(const struct config *conf, struct pool *pool, struct str address,
                             struct str *name, struct strvec *aliases, struct str *error);

/* ---- sockets ---- */

/* What else net_connect() is to do: keep-alive packets; TCP Fast Open (RFC 7413), a hint. */
enum { NET_KEEPALIVE = 1, NET_FASTOPEN = 2 };

/*
 * Connects, from `interface` (unset: any) to address:port, within timeout seconds (0: the
 * system's). address starting with '/' is a Unix socket. Returns the descriptor (close-on-exec)
 * or -1 with errno (ETIMEDOUT).
 */
int net_connect(struct str interface, struct str address, int port, int timeout, unsigned how);

/* A listening socket. IPv6 sockets are v6-only. -1 with errno. */
int net_listen(const struct ip *ip, int port, int backlog);

/*
 * Accepts a connection, -1 with errno; the descriptor is close-on-exec. *peer is where it comes
 * from, of family 0 if not from TCP.
 */
int net_accept(int listener, struct ip *peer);

/* Text and port of a socket's own end or its peer; false if it is not IP. */
bool net_sock_name(struct pool *pool, int fd, bool peer, struct str *addr, int *port);

/* ---- streams ---- */

/*
 * A buffered two-way byte stream. Filters (TLS, later) stand between it and the socket by
 * replacing its ops. Every read and every flush obeys the timeout set last.
 */
struct stream;

struct stream_ops {
    /* Like read(2)/write(2); -1 with errno (ETIMEDOUT at the deadline). timeout_ms -1: none. */
    ssize_t (*read)(void *ctx, char *p, size_t n, int timeout_ms);
    ssize_t (*write)(void *ctx, const char *p, size_t n, int timeout_ms);
    bool (*readable)(void *ctx); /* something could be read at once */
    void (*close)(void *ctx);
};

/* A stream over descriptors (may be equal, out may be -1); it owns them. Memory from pool. */
struct stream *stream_new(struct pool *pool, int in_fd, int out_fd);

/*
 * The same for a talk in short lines: small buffers, so that many can idle. They become large when
 * they do not suffice, or beforehand by stream_bulk().
 */
struct stream *stream_new_small(struct pool *pool, int in_fd, int out_fd);
void stream_bulk(struct stream *s);

/* Seconds each following wait may take; 0 none. */
void stream_timeout(struct stream *s, int seconds);

enum { STREAM_EOF = -1, STREAM_ERROR = -2 };

/*
 * While *flag is set, a signal ends a wait for input with STREAM_ERROR and errno EINTR; the stream
 * can be used on. NULL: signals are waited through.
 */
void stream_interrupt(struct stream *s, volatile const int *flag);

/* Next byte, or STREAM_EOF / STREAM_ERROR (errno; ETIMEDOUT). */
int stream_getc(struct stream *s);

/* Puts the last byte back (one is always possible). */
void stream_ungetc(struct stream *s, int c);

/*
 * View of what is buffered, filling the buffer if it is empty: *n bytes at *p, to be taken with
 * stream_consume(). Returns false at end or error (stream_error tells).
 */
bool stream_peek(struct stream *s, const char **p, size_t *n);

/* Takes n bytes of what was peeked at. */
void stream_consume(struct stream *s, size_t n);

/* True if input is waiting: buffered, or readable at once. */
bool stream_pending(struct stream *s);

/* True if unread input is in the buffer; asks nobody. */
bool stream_buffered(const struct stream *s);

/* errno of the last failure, 0 at plain end of file. */
int stream_error(const struct stream *s);

/* Adds to the output buffer; written when full or flushed. False once an error happened. */
bool stream_write(struct stream *s, const char *p, size_t n);

/* The same for a string. */
bool stream_puts(struct stream *s, struct str text);

/* Writes what is buffered. False once an error happened. */
bool stream_flush(struct stream *s);

/* Descriptor for polling; -1 if none. */
int stream_fd(const struct stream *s);

/* Puts a filter under the buffers (after flushing); ctx belongs to the ops. */
bool stream_push(struct stream *s, const struct stream_ops *ops, void *ctx);

/* What is under the buffers now: a filter that is to be pushed reads and writes through it. */
void stream_under(const struct stream *s, const struct stream_ops **ops, void **ctx);

/* Flushes and closes; sets *s to NULL. */
void stream_close(struct stream **s);

#endif
