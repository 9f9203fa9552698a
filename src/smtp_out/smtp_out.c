/*
 * The smtp_out module. It has no options of its own: time-outs, ports and the like belong to the
 * transport or the callout that opens a session, which passes them in.
 */
#include "smtp_out/smtp_out.h"

const struct module smtp_out_module = {
    .name = "smtp_out",
    .room = ROOM_SMTP_OUT,
};
