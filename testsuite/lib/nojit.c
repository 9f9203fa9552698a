/*
 * Preloaded into the MTA under valgrind: PCRE2 without its just-in-time compiler. The code that
 * compiler makes looks at whole words beyond the end of a text and takes no notice of what is
 * there; and as it has no names, valgrind could not be told of it without being told to overlook
 * all code of that kind. The interpreter gives the same answers.
 */
enum { JIT_BADOPTION = -45 }; /* PCRE2_ERROR_JIT_BADOPTION */

int pcre2_jit_compile_8(void *code, unsigned options);

int pcre2_jit_compile_8(void *code, unsigned options)
{
    (void)code, (void)options;
    return JIT_BADOPTION;
}
