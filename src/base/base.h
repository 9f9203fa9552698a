/* The one public header of base/: strings, pools, buffers, vectors, maps, encodings, time, files, children. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include "base/asan.h"
#include "base/banned.h"
#include "base/buf.h"
#include "base/child.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/punycode.h"
#include "base/str.h"
#include "base/timefmt.h"
#include "base/vec.h"

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Ends the process with file, line and text: a broken invariant, never bad input. */
_Noreturn void die_at(const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
#define BUG(...) die_at(__FILE__, __LINE__, __VA_ARGS__)

#endif
