/* One HTTP request by POST, for OCSP (RFC 6960 A.1). */
#ifndef TLS_HTTP_H
#define TLS_HTTP_H

#include "net/net.h"

/* The parts of "http://host[:port]/path". */
struct http_url {
    struct str text, host;
    int port;
    struct str path; /* at least "/" */
};

/* False if the text is no such URL. */
bool http_url(struct pool *pool, struct str text, struct http_url *out);

struct http_request {
    struct http_url url;
    struct str type, body;
    /* May the host be asked? Also asked for each host the request is redirected to. NULL: yes. */
    bool (*allowed)(void *closure, struct str host);
    void *closure;
    size_t most; /* octets of an answer */
};

/*
 * The body of a 200 answer (tainted). False with *error in words: no connection, another status,
 * too long, cut short. Takes a minute at most.
 */
bool http_post(const struct config *conf, struct pool *pool, const struct http_request *request,
               struct str *answer, struct str *error);

/*
 * Reads one answer of at most that many octets of body; *again is where a redirection leads, else
 * unset. A part of http_post().
 */
bool http_answer(struct pool *pool, struct stream *s, size_t most, struct str *answer,
                 struct str *again, struct str *error);

#endif
