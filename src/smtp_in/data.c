/*
 * Reading message data: from the bytes a client sends to text with LF line ends, without the dots
 * that SMTP puts in front of lines, up to the end of the message.
 *
 * From a network client only CRLF "." CRLF ends a message (RFC 5321 4.1.1.4) and neither CR nor LF
 * alone ends a line (2.3.8): a receiver that takes them for line ends can be talked into reading one
 * message as two. They are recorded, the caller refuses the message. A lone dot between line ends
 * of the wrong kind sets bad_end: whoever sent it would wait for an answer for ever, or is smuggling;
 * the caller answers and closes the connection. From a local process LF is a line end as well.
 *
 * The state between feeds is in struct data_reader; there is no other memory.
 */
#include "smtp_in/internal.h"

static void put(struct data_reader *r, const char *p, size_t n)
{
    if (n && !r->failed && !r->put(r->closure, p, n)) {
        r->failed = true;
    }
}

static bool dots_end(const struct data_reader *r)
{
    return r->mode != DATA_RAW;
}

/* A line end that is not CRLF. In SMTP a fault, elsewhere a line end like any other. */
static void odd_line_end(struct data_reader *r, bool lf)
{
    if (r->mode == DATA_SMTP) {
        *(lf ? &r->bare_lf : &r->bare_cr) = true;
    }
    r->lf_alone = lf;
    put(r, "\n", 1);
    r->state = DS_BOL;
    r->odd_bol = true;
}

static void line_end(struct data_reader *r)
{
    r->lf_alone = false;
    put(r, "\n", 1);
    r->state = DS_BOL;
    r->odd_bol = false;
}

/* A dot alone on a line of which an end was not CRLF. */
static void lone_dot(struct data_reader *r, bool crlf)
{
    if (r->mode != DATA_SMTP || (crlf && !r->odd_bol)) {
        r->done = true;
        return;
    }
    r->bad_end = r->done = true;
}

/* In SMTP the first dot of a line is dropped; elsewhere it is text. */
static void after_dot(struct data_reader *r)
{
    if (r->mode == DATA_DOT) {
        put(r, ".", 1);
    }
    r->state = DS_LINE;
}

/* Takes bytes of a line up to its end; returns how many. */
static size_t feed_text(struct data_reader *r, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] != '\r' && p[i] != '\n') {
        i++;
    }
    put(r, p, i);
    if (i == n) {
        r->state = DS_LINE;
        return n;
    }
    if (p[i] == '\r') {
        r->state = DS_CR;
    } else {
        odd_line_end(r, true);
    }
    return i + 1;
}

/* One byte where the state is not "within a line"; false if the byte must be looked at again. */
static bool feed_special(struct data_reader *r, char ch)
{
    switch (r->state) {
    case DS_BOL:
        if (ch == '.' && dots_end(r)) {
            r->state = DS_DOT;
            return true;
        }
        r->state = DS_LINE;
        return false;
    case DS_CR:
        if (ch == '\n') {
            line_end(r);
            return true;
        }
        odd_line_end(r, false);
        return false;
    case DS_DOT:
        if (ch == '\r') {
            r->state = DS_DOT_CR;
            return true;
        }
        if (ch == '\n') {
            r->bare_lf |= r->mode == DATA_SMTP;
            lone_dot(r, false);
            return true;
        }
        after_dot(r);
        return false;
    case DS_DOT_CR:
        if (ch == '\n') {
            lone_dot(r, true);
            return true;
        }
        if (r->mode == DATA_SMTP) {
            r->bare_cr = true;
            lone_dot(r, false);
            return true;
        }
        after_dot(r);
        odd_line_end(r, false);
        return false;
    case DS_LINE: break;
    }
    return false;
}

size_t data_feed(struct data_reader *r, const char *p, size_t n)
{
    size_t at = 0;
    while (at < n && !r->done) {
        if (r->state == DS_LINE) {
            at += feed_text(r, p + at, n - at);
        } else if (feed_special(r, p[at])) {
            at++;
        }
    }
    return at;
}

void data_end(struct data_reader *r)
{
    if (r->state == DS_CR) {
        put(r, "\n", 1);
    } else if ((r->state == DS_DOT || r->state == DS_DOT_CR) && r->mode == DATA_DOT) {
        /* A dot that ended the input without a line end counts as the end. */
        r->done = true;
    }
    r->state = DS_BOL;
}
