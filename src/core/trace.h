/*
 * Tracing: what -bh shows (">>> " before each line) and what -d shows, on standard error. A line
 * belongs to categories, which are bits of a mask of the process. While a bit is off, a line of its
 * category costs one test; nothing is evaluated or formatted.
 */
#ifndef CORE_TRACE_H
#define CORE_TRACE_H

#include "base/base.h"

/*
 * The categories: name, in -d without more, what it shows. The order is
 * Exim's, so that masks look the same; the lowest bit is that of -v.
 */
#define TRACE_CATEGORIES(X) \
    X(v, true, "what -v shows; no name for -d") \
    X(local_scan, false, "nothing; there is no local_scan()") \
    X(acl, true, "the interpretation of ACLs") \
    X(auth, true, "authenticators") \
    X(deliver, true, "the delivery of messages") \
    X(dns, true, "DNS look-ups") \
    X(dnsbl, true, "DNS lists") \
    X(exec, true, "the arguments of commands") \
    X(expand, false, "string expansions, step by step") \
    X(filter, false, "nothing; there are no filter files") \
    X(hints_lookup, true, "hints databases") \
    X(host_lookup, true, "names to addresses and back") \
    X(ident, true, "ident look-ups") \
    X(interface, false, "local interfaces") \
    X(lists, true, "the matching of lists") \
    X(load, false, "the system's load") \
    X(lookup, true, "look-ups") \
    X(memory, false, "nothing") \
    X(noutf8, false, "ASCII in place of line-drawing characters") \
    X(pid, false, "the process number before each line") \
    X(process_info, true, "nothing; see the names of processes") \
    X(queue_run, true, "queue runs") \
    X(receive, true, "the reception of messages") \
    X(resolver, false, "nothing") \
    X(retry, true, "retry rules and times") \
    X(rewrite, true, "rewriting of addresses") \
    X(route, true, "the routing of addresses") \
    X(timestamp, false, "the time before each line") \
    X(tls, true, "TLS") \
    X(transport, true, "transports") \
    X(uid, true, "users and groups") \
    X(verify, true, "the verification of addresses")

#define TRACE_INDEX(name, dflt, doc) TRACE_AT_##name,
enum trace_index { TRACE_CATEGORIES(TRACE_INDEX) TRACE_COUNT };
#undef TRACE_INDEX

#define TRACE_BIT(name, dflt, doc) TR_##name = INT64_C(1) << TRACE_AT_##name,
enum trace_bit {
    TRACE_CATEGORIES(TRACE_BIT)
    TR_any = INT64_C(0xffffffff), /* whatever is selected */
    TR_bh = INT64_C(1) << 32      /* -bh: or it to the category of what -bh shows without -d, too */
};
#undef TRACE_BIT

/* What the process shows. The depth indents: ACLs that call each other, and nested expansions. */
struct trace {
    uint64_t mask;
    int depth;
    int fd;            /* of the debug log; 0: none, lines go to standard error */
    struct pool *pool; /* with the debug log's name */
    struct str path;
    uint64_t before; /* the mask to go back to when the debug log is closed */
};
extern struct trace trace_state;

/* True if a line of one of these categories is shown. */
static inline bool trace_on(uint64_t categories)
{
    return __builtin_expect((trace_state.mask & categories) != 0, 0);
}

/* One or more lines, not indented; printf's arguments without the last newline. */
#define TRACE(categories, ...) \
    do { \
        if (trace_on(categories)) { \
            trace_write(__VA_ARGS__); \
        } \
    } while (0)

/* The same, indented by the depth. */
#define TRACE_IN(categories, ...) \
    do { \
        if (trace_on(categories)) { \
            trace_write_in(__VA_ARGS__); \
        } \
    } while (0)

/* Writes without asking; for TRACE(). */
void trace_write(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same, indented. */
void trace_write_in(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Sets what is shown; keeps the bit of -bh. */
void trace_select(uint64_t mask);

/* Shows what -bh shows, or no more. */
void trace_host_check(bool on);

/* What is selected, without the bit of -bh. */
uint64_t trace_selected(void);

/* What -d shows without more. */
uint64_t trace_default(void);

/*
 * control = debug: what the mask selects goes to the debug log with this tag from now on; nothing
 * changes if one is open. False with *error, of the pool, if it cannot be opened.
 */
bool trace_file_open(struct pool *pool, struct str tag, uint64_t mask, struct str *error);

/* The end of that, if there is one; the file is removed if so wished. */
void trace_file_close(bool remove);

/*
 * Works "+name-name..." into the mask. False with Exim's words in *error, which lives in the pool.
 */
bool trace_parse(struct pool *pool, struct str selectors, uint64_t *mask, struct str *error);

#endif
