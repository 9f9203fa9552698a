# minim: a compact mail transfer agent. `make help` lists the targets.

CC       ?= gcc
BUILD    ?= build
PREFIX   ?= /usr/local
DESTDIR  ?=
SYSCONF  ?= /etc

CSTD     = -std=c17 -D_GNU_SOURCE
WARN     = -Wall -Wextra -Wshadow -Werror -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           -Wpointer-arith -Wwrite-strings
HARDEN   = -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
CFLAGS   ?= -O2 -g
ALLFLAGS = $(CSTD) $(WARN) $(CFLAGS) -Isrc -MMD -MP
# Symbols are bound at the start, once, and not again in each worker.
LINK     = -pie -Wl,-z,relro,-z,now
LIBS     = $(TLSLIBS) -lpcre2-8 -llmdb -lidn2 -lcrypt -lresolv -lm
# The TLS libraries: both, openssl or gnutls. What is left out is not compiled at all.
TLS      ?= $(if $(wildcard src/tls/gnutls.c),both,openssl)
TLSOUT_both    = backends_openssl backends_gnutls
TLSOUT_openssl = backends_both backends_gnutls gnutls gnutls_context gnutls_primitives gnutls_cipher gnutls_text gnutls_tickets
TLSOUT_gnutls  = backends_both backends_openssl openssl openssl_primitives openssl_settings openssl_tickets
TLSLIBS_both    = -lssl -lcrypto -lgnutls
TLSLIBS_openssl = -lssl -lcrypto
TLSLIBS_gnutls  = -lgnutls
TLSOUT   = $(if $(TLSLIBS_$(TLS)),$(TLSOUT_$(TLS):%=src/tls/%.c),$(error TLS is both, openssl or gnutls))
TLSLIBS  = $(TLSLIBS_$(TLS))
ASAN     = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

DEPS     = gcc clang make perl iproute2 libnet-ssleay-perl faketime swaks valgrind clang-format cppcheck universal-ctags pkg-config \
           libssl-dev libgnutls28-dev libpcre2-dev liblmdb-dev libidn2-dev libcrypt-dev libclang-rt-14-dev \
           openssl gnutls-bin nsd unbound ldnsutils

TESTSRC  = $(wildcard src/*/test_*.c)
SRC      = $(filter-out $(TESTSRC) $(TLSOUT),$(wildcard src/*/*.c))
OBJ      = $(SRC:src/%.c=$(BUILD)/obj/%.o)
LIBOBJ   = $(filter-out $(BUILD)/obj/main/main.o,$(OBJ))
TESTOBJ  = $(TESTSRC:src/%.c=$(BUILD)/obj/%.o) $(BUILD)/obj/unit.o
FUZZ     = $(basename $(notdir $(wildcard testsuite/fuzz/fuzz_*.c)))

.PHONY: all help deps serve test check unit suite suite-asan selftest lint bench fuzz install clean format \
        durability doc doc-check clang tls-alone need
.DEFAULT_GOAL := all

all: need $(BUILD)/minim

help:
	@echo 'all (default)  build $(BUILD)/minim'
	@echo 'deps           install what is needed, with apt-get'
	@echo 'serve          dependencies, build, start minim on loopback and show mail delivered'
	@echo 'test           dependencies, build, lint, unit tests, the suite, the suite under ASan and UBSan'
	@echo 'unit suite suite-asan selftest lint durability fuzz bench   one part of it'
	@echo 'install        DESTDIR= PREFIX=/usr/local SYSCONF=/etc'

# Says what is missing before a compiler does.
need:
	@for tool in $(firstword $(CC)) perl; do command -v $$tool >/dev/null || \
	  { echo "minim: $$tool is missing: run 'make deps'" >&2; exit 1; }; done
	@for h in $(if $(filter both openssl,$(TLS)),openssl/ssl.h) $(if $(filter both gnutls,$(TLS)),gnutls/gnutls.h) \
	    pcre2.h lmdb.h idn2.h crypt.h; do \
	  printf '#define PCRE2_CODE_UNIT_WIDTH 8\n#include <%s>\n' $$h | $(CC) -E -x c - >/dev/null 2>&1 || \
	  { echo "minim: header $$h is missing: run 'make deps'" >&2; exit 1; }; done

deps:
	@testsuite/deps $(DEPS)

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) $(HARDEN) -c $< -o $@

$(BUILD)/obj/unit.o: testsuite/unit/unit.c
	@mkdir -p $(@D)
	$(CC) $(ALLFLAGS) -Itestsuite $(HARDEN) -c $< -o $@

$(BUILD)/obj/%/test_%.o: ALLFLAGS += -Itestsuite
$(TESTOBJ): ALLFLAGS += -Itestsuite

$(BUILD)/minim: $(OBJ)
	$(CC) $(CFLAGS) $(LINK) $^ -o $@ $(LIBS)

$(BUILD)/unit-tests: $(LIBOBJ) $(TESTOBJ)
	$(CC) $(CFLAGS) $(LINK) $^ -o $@ $(LIBS)

unit: need $(BUILD)/unit-tests
	$(BUILD)/unit-tests

selftest: all
	testsuite/selftest/run
	testsuite/lint/selftest

suite: all
	./runtest -j $$(nproc)

# The same program and tests under AddressSanitizer and UndefinedBehaviorSanitizer.
suite-asan:
	$(MAKE) -j$$(nproc) BUILD=build-asan CFLAGS='$(ASAN)' HARDEN= all build-asan/unit-tests
	build-asan/unit-tests
	./runtest --asan -j $$(nproc)

lint: all
	testsuite/lint/run

bench: all
	testsuite/bench/run

durability: all
	testsuite/durability/run

fuzz: need
	testsuite/fuzz/run

check: unit lint selftest suite

test: deps
	$(MAKE) -j$$(nproc) all
	$(MAKE) -j$$(nproc) clang
	$(MAKE) -j$$(nproc) tls-alone
	$(MAKE) lint
	$(MAKE) doc-check
	$(MAKE) unit
	$(MAKE) selftest
	$(MAKE) suite-asan
	$(MAKE) durability
	$(MAKE) suite

serve: deps
	$(MAKE) all
	testsuite/serve

# The reference pages are made from the program's rows; the check keeps them from falling behind.
REFERENCE = options expansion acl log

doc: all
	for part in $(REFERENCE); do $(BUILD)/minim --reference $$part > doc/$$part.md; done

doc-check: all
	for part in $(REFERENCE); do $(BUILD)/minim --reference $$part | diff -u doc/$$part.md - || \
	  { echo "doc/$$part.md is behind the code: run 'make doc'" >&2; exit 1; }; done

# The other compiler has its own warnings.
clang:
	$(MAKE) CC=clang BUILD=build-clang all

# Each TLS library alone must do.
tls-alone:
	$(MAKE) TLS=openssl BUILD=build-openssl all
	$(MAKE) TLS=gnutls BUILD=build-gnutls all

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/bin \
	  $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(SYSCONF)/minim
	install -m 755 $(BUILD)/minim $(DESTDIR)$(PREFIX)/sbin/minim
	ln -sf minim $(DESTDIR)$(PREFIX)/sbin/sendmail
	ln -sf ../sbin/minim $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf ../sbin/minim $(DESTDIR)$(PREFIX)/lib/sendmail
	install -m 755 src/tools/ocsp_fetch.pl $(DESTDIR)$(PREFIX)/sbin/ocsp_fetch.pl
	install -m 644 doc/minim.8 doc/ocsp_fetch.8 $(DESTDIR)$(PREFIX)/share/man/man8/

format:
	testsuite/lint/format --fix

clean:
	rm -rf build build-*

-include $(OBJ:.o=.d) $(TESTOBJ:.o=.d)
