/*
 * Getters of variables: macros that make the plain ones, and the declarations that the table in
 * variables.c needs from other files.
 */
#ifndef EXPAND_VARIABLES_H
#define EXPAND_VARIABLES_H

#include "expand/internal.h"

/* A number as a value. */
struct str variable_number(struct ectx *x, int64_t n);

/* The session in hand, or what is recorded of the message's; may be NULL. */
const struct session *variable_session(const struct ectx *x);

#define GETTER(id, expression) \
    static struct str get_##id(struct ectx *x, struct str name) \
    { \
        (void)x; \
        (void)name; \
        return expression; \
    }

#define SESSION(id, expression) \
    static struct str get_##id(struct ectx *x, struct str name) \
    { \
        (void)name; \
        const struct session *s = variable_session(x); \
        return s ? expression : STR_NONE; \
    }

#define MESSAGE(id, expression) \
    static struct str get_##id(struct ectx *x, struct str name) \
    { \
        (void)name; \
        const struct message *m = x->msg; \
        return m ? expression : STR_NONE; \
    }

#define MESSAGE_NUMBER(id, expression) \
    static struct str get_##id(struct ectx *x, struct str name) \
    { \
        (void)name; \
        const struct message *m = x->msg; \
        return variable_number(x, m ? (int64_t)(expression) : 0); \
    }

#define DECLARE_GETTER(id) struct str get_##id(struct ectx *x, struct str name);
#define GETTERS_ELSEWHERE(X) \
    X(address_data) \
    X(address_file) X(address_pipe) X(affix) X(callout_address) X(delivery_host_port) X(domain) X(domain_data) \
        X(home) X(host) X(host_address) X(local_part) X(local_part_data) X(local_user) \
            X(message_headers) X(message_headers_raw) X(original) X(parent) X(reply_address) \
                X(return_path) X(router_variable) X(self_hostname) X(sending_ip_address) \
                    X(sending_port)

/* The getters of variables_address.c and headers.c. */
GETTERS_ELSEWHERE(DECLARE_GETTER)

#endif
