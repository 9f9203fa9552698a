/*
 * What a build with AddressSanitizer needs from the program, and what of it is nothing in other
 * builds. gcc and clang tell of it in different ways.
 */
#ifndef BASE_ASAN_H
#define BASE_ASAN_H

#ifndef __has_feature
#define __has_feature(x) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define ASAN_ON 1

#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#include <sys/prctl.h>

/*
 * The search for leaks traces the process it runs in, which the kernel forbids to one that has
 * changed its identity. Call after that, and before the process ends.
 */
static inline void asan_allow_tracing(void)
{
    prctl(PR_SET_DUMPABLE, 1);
}

/* Searches for leaks now, for a process that ends by _exit(). Does not return if there are any. */
static inline void asan_check_leaks(void)
{
    asan_allow_tracing();
    __lsan_do_leak_check();
}
#else
#define ASAN_ON 0
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))

static inline void asan_allow_tracing(void) {}

static inline void asan_check_leaks(void) {}
#endif

#endif
