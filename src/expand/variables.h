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

/* variables_address.c, headers.c */
struct str get_address_data(struct ectx *x, struct str name);
struct str get_address_file(struct ectx *x, struct str name);
struct str get_address_pipe(struct ectx *x, struct str name);
struct str get_affix(struct ectx *x, struct str name);
struct str get_delivery_host_port(struct ectx *x, struct str name);
struct str get_domain(struct ectx *x, struct str name);
struct str get_domain_data(struct ectx *x, struct str name);
struct str get_home(struct ectx *x, struct str name);
struct str get_host(struct ectx *x, struct str name);
struct str get_host_address(struct ectx *x, struct str name);
struct str get_local_part(struct ectx *x, struct str name);
struct str get_local_part_data(struct ectx *x, struct str name);
struct str get_local_user(struct ectx *x, struct str name);
struct str get_message_headers(struct ectx *x, struct str name);
struct str get_message_headers_raw(struct ectx *x, struct str name);
struct str get_original(struct ectx *x, struct str name);
struct str get_parent(struct ectx *x, struct str name);
struct str get_reply_address(struct ectx *x, struct str name);
struct str get_return_path(struct ectx *x, struct str name);
struct str get_router_variable(struct ectx *x, struct str name);
struct str get_self_hostname(struct ectx *x, struct str name);
struct str get_sending_ip_address(struct ectx *x, struct str name);
struct str get_sending_port(struct ectx *x, struct str name);

#endif
