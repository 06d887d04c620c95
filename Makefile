# Usher. `make help` lists the targets; V=1 shows commands; BUILD=debug|release|asan|cov picks the kind of build,
# CC=gcc|clang the compiler, WERROR=1 makes warnings errors. Everything built lies under build/.
VERSION := 0.1.0
BUILD ?= debug
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
JOBS ?= $(shell nproc)
ifeq ($(origin CC),default)
CC := gcc
endif
B := build/$(BUILD)$(if $(filter clang%,$(notdir $(CC))),-clang)
Q := $(if $(V),,@)
say = @printf '  %-8s %s\n' '$(1)' '$(2)'

# What `make run` and `make demo` start. JSON=1: one JSON object is all that goes to standard output.
RUN_ARGS = demo --stay
DEMO_ARGS = demo$(if $(JSON), --json)

# ---- flags -------------------------------------------------------------------------------------------------------------------
DATA_DIR ?= $(CURDIR)
PACKAGES := libuv hiredis libpq msgpack jansson libcurl libcrypto libzstd
# Asked once, when first needed: `make deps` must work where pkg-config is still missing.
pkg = $(eval $(1) := $(shell pkg-config $(2)))$($(1))
PKG_CFLAGS = $(call pkg,PKG_CFLAGS,--cflags $(PACKAGES))
PKG_LIBS = $(call pkg,PKG_LIBS,--libs $(PACKAGES))
TEST_CFLAGS = $(call pkg,TEST_CFLAGS,--cflags criterion)
TEST_LIBS = $(call pkg,TEST_LIBS,--libs criterion)
WARNINGS := -Wall -Wextra -Wshadow -Wformat=2 -Wundef -Wvla -Wwrite-strings -Wcast-qual -Wstrict-prototypes \
    -Wmissing-prototypes -Wold-style-definition -Wswitch-enum -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion \
    $(if $(WERROR),-Werror)
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAGS_debug := -O1 -g
FLAGS_release := -O2 -g -D_FORTIFY_SOURCE=2 -fstack-protector-strong -ffile-prefix-map=$(CURDIR)=.
FLAGS_asan := -O1 -g $(SANITIZE)
FLAGS_cov := -O0 -g --coverage
FLAGS_fuzz := -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link
FLAGS := $(or $(FLAGS_$(BUILD)),$(error BUILD=$(BUILD) is none of debug, release, asan, cov))
CPP = -D_GNU_SOURCE -I. -I$(B)/gen -DUSHER_VERSION='"$(VERSION)"' $(PKG_CFLAGS)
DATA = -DUSHER_DATA_DIR='"$(DATA_DIR)"' # where migrations/ and examples/ lie; only what reads it is compiled with it
COMPILE = $(CC) -std=gnu11 $(FLAGS) $(WARNINGS) $(CPP) -MMD -MP $(CFLAGS)
LINK = $(CC) $(FLAGS) -Wl,--as-needed $(LDFLAGS)

# ---- sources: a folder that holds none builds nothing ----------------------------------------------------------------------------
LIB_SRC := $(wildcard common/base/*.c common/core/*.c common/io/*.c)
SRC_usher-worker := $(wildcard workers/*.c workers/*/*.c)
SRC_usher-scheduler := $(wildcard scheduler/*.c scheduler/*/*.c)
SRC_usher := $(wildcard cli/*.c cli/*/*.c)
SRC_usher-conformance := $(wildcard tests/conformance/*.c)
PROGRAMS := $(foreach p,usher-worker usher-scheduler usher,$(if $(filter %/main.c,$(SRC_$(p))),$(p)))
CONFORMANCE := $(if $(filter %/main.c,$(SRC_usher-conformance)),usher-conformance)
UNIT_SRC := $(wildcard tests/unit/*.c)
INTEGRATION_SRC := $(wildcard tests/integration/*.c)
FAULTS_SRC := $(wildcard tests/faults/*.c)
SUPPORT_SRC := $(wildcard tests/support/*.c)
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
BENCHES := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/bench_$(or $(BENCH),*).c))
BENCH_SRC := $(filter-out $(wildcard tests/bench/bench_*.c),$(wildcard tests/bench/*.c)) # shared by the benchmarks
LUA := $(wildcard common/io/*.lua)
ALL_SRC := $(LIB_SRC) $(foreach p,$(PROGRAMS) $(CONFORMANCE),$(SRC_$(p))) $(UNIT_SRC) $(INTEGRATION_SRC) $(FAULTS_SRC) $(SUPPORT_SRC) \
    $(wildcard tests/fuzz/*.c tests/bench/*.c)
objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
LIB := $(B)/libusher.a
PARTS := $(patsubst %,$(B)/%.a,$(PROGRAMS)) # the programs without their main.c: tests link what they need of them

.DELETE_ON_ERROR:
.PHONY: help all run demo test unit integration staging staging-short faults faults-short soak conformance node clients sql check bench fuzz fuzz-run cov fmt install clean deps tests FORCE
all: $(addprefix $(B)/,$(PROGRAMS)) $(LIB) ## build the programs into build/$(BUILD)/ (the default)

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo '  BUILD=debug|release|asan|cov  CC=gcc|clang  WERROR=1  V=1  ARGS=… (for unit, integration, sql, conformance)'

deps: ## install what is missing of Debian's packages (root or sudo)
	@deploy/install-deps.sh >&2

# ---- rules -----------------------------------------------------------------------------------------------------------------------
# Changed flags or a changed list of sources rebuild what depends on them.
$(B)/flags: FORCE
	@mkdir -p $(@D); printf '%s\n' "$(subst ",\",$(COMPILE) $(LINK))" | cmp -s - $@ || printf '%s\n' "$(subst ",\",$(COMPILE) $(LINK))" > $@
$(B)/sources: FORCE
	@mkdir -p $(@D); echo '$(sort $(ALL_SRC) $(LUA))' | cmp -s - $@ || echo '$(sort $(ALL_SRC) $(LUA))' > $@

$(B)/gen/common/io/lua.h: tests/tools/embed-lua.sh $(LUA) $(B)/sources
	@mkdir -p $(@D)
	$(Q)tests/tools/embed-lua.sh $(LUA) > $@

$(B)/obj/common/io/settings.o: EXTRA = $(DATA)
$(B)/obj/tests/%.o: EXTRA = $(TEST_CFLAGS)
$(B)/obj/tests/unit/test_rule_%.o: EXTRA = $(TEST_CFLAGS) $(DATA)
$(B)/obj/%.o: %.c $(B)/flags | $(B)/gen/common/io/lua.h
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) $(EXTRA) -c -o $@ $<

define archive
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcsD $@ $(filter %.o,$^)
endef
define link
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $(filter %.o %.a,$^) $(1) $(PKG_LIBS) -lm -lpthread
endef

$(LIB): $(call objects,$(LIB_SRC)) $(B)/sources ; $(archive)
$(B)/support.a: $(call objects,$(SUPPORT_SRC)) $(B)/sources ; $(archive)
define program
$(B)/$(1).a: $(call objects,$(filter-out %/main.c,$(SRC_$(1)))) $(B)/sources ; $$(archive)
$(B)/$(1): $(call objects,$(filter %/main.c,$(SRC_$(1)))) $(B)/$(1).a $(LIB) ; $$(call link)
endef
$(foreach p,$(PROGRAMS) $(CONFORMANCE),$(eval $(call program,$(p))))

$(B)/tests/unit: $(call objects,$(UNIT_SRC)) $(B)/support.a $(PARTS) $(LIB) ; $(call link,$(TEST_LIBS))
$(B)/tests/integration: $(call objects,$(INTEGRATION_SRC)) $(B)/support.a $(PARTS) $(LIB) ; $(call link,$(TEST_LIBS))
$(B)/tests/faults: $(call objects,$(FAULTS_SRC)) $(B)/support.a $(PARTS) $(LIB) ; $(call link,$(TEST_LIBS))
$(B)/replay/%: $(B)/obj/tests/fuzz/%.o $(B)/obj/tests/fuzz/replay.o $(PARTS) $(LIB) ; $(call link)
$(B)/fuzz/%: $(B)/obj/tests/fuzz/%.o $(PARTS) $(LIB) ; $(call link,-fsanitize=fuzzer)
$(B)/bench.a: $(call objects,$(BENCH_SRC)) $(B)/sources ; $(archive)
$(B)/bench/%: $(B)/obj/tests/bench/%.o $(B)/bench.a $(B)/support.a $(PARTS) $(LIB) ; $(call link)
.SECONDARY:

# ---- tests and checks ------------------------------------------------------------------------------------------------------------
TEST_PROGRAMS := $(if $(UNIT_SRC),$(B)/tests/unit) $(if $(INTEGRATION_SRC),$(B)/tests/integration) $(B)/tests/faults \
    $(addprefix $(B)/,$(CONFORMANCE)) $(addprefix $(B)/replay/,$(FUZZERS))
tests: all $(TEST_PROGRAMS) ## build the programs and all tests, run none

# Criterion does not see what a test leaks, since leaks are found after its last word: they go into files.
run_tests = $(Q)rc=0; rm -f $(B)/report.*; export ASAN_OPTIONS=log_path=$(CURDIR)/$(B)/report; $(1) || rc=1; \
    for r in $(B)/report.*; do if [ -e "$$r" ]; then cat "$$r"; rc=1; fi; done; exit $$rc
# What failed is said among all else, and once more at the end.
report = --tap=$(CURDIR)/$(B)/$@.tap
name_failed = || { tests/support/failed.sh $(B)/$@.tap >&2; false; }
# Each part runs also when an earlier one failed; together they fail when any did.
parts = @failed=; rm -f $(B)/*.tap; for part in $(1); do printf '\n== %s\n' "$$part"; \
    $(MAKE) --no-print-directory -j$(JOBS) $$part || failed="$$failed $$part"; done; \
    if [ -n "$$failed" ]; then echo "make $@: FAILED:$$failed"; tests/support/failed.sh $(B)/*.tap; exit 1; fi; echo "make $@: passed ($(1))"

test: deps ## install what is missing, then all tests: unit, integration, some of it through staging, a few faults, conformance, node, clients, sql
	$(call parts,unit integration staging-short faults-short conformance node clients sql)
unit: $(B)/tests/unit $(addprefix $(B)/replay/,$(FUZZERS)) ## unit tests, and the fuzzers' corpora once
	$(call run_tests,$(B)/tests/unit --timeout 120 $(report) $(ARGS) $(name_failed))
	$(call run_tests,for f in $(FUZZERS); do $(B)/replay/$$f tests/fuzz/corpus/$${f#fuzz_} || rc=1; done)
integration: all $(if $(INTEGRATION_SRC),$(B)/tests/integration) ## tests on real PostgreSQL and Redis
	$(Q)$(if $(INTEGRATION_SRC),USHER_TEST_BIN=$(CURDIR)/$(B) tests/support/with-servers.sh $(B)/tests/integration $(report) $(ARGS) $(name_failed),echo 'integration: no tests')
# As on hosted PostgreSQL: the log is written through the staging table. The short selection is what `make test` runs.
STAGED = @(worker|kill|settling)/*
STAGED_FAULTS = worker_kill worker_stop worker_stop_with_results postgres_idle_in_transaction postgres_lock_on_one_wedding \
    postgres_backends_killed producers_killed
staging: all $(B)/tests/integration ## the workers' tests and faults with a login that may not pass row-level security
	$(Q)USHER_TEST_STAGING=1 USHER_TEST_BIN=$(CURDIR)/$(B) tests/support/with-servers.sh \
	    $(B)/tests/integration --filter '$(STAGED)' $(report) $(ARGS) $(name_failed)
	$(Q)$(if $(STAGED_FAULTS),USHER_TEST_STAGING=1 $(MAKE) --no-print-directory faults FAULT='$(STAGED_FAULTS)')
staging-short: ; $(Q)$(MAKE) --no-print-directory staging STAGED='@(kill/worker_*|settling/*)' STAGED_FAULTS=
# One cell at a time: they measure. The short selection is what `make test` runs.
FAULTS_SHORT := redis_flushall redis_kill_without_aof streams_groups_destroyed streams_absurd_ids postgres_kill postgres_replies_cut leader_kill
fault_filter = $(if $(FAULT),faults/@($(subst $(empty) ,|,$(FAULT))),faults/*)
faults: all $(B)/tests/faults ## break things under load, one JSON line a cell (FAULT=name, SEED=n, CYCLES=n)
	$(Q)SEED=$(SEED) CYCLES=$(CYCLES) USHER_TEST_BIN=$(CURDIR)/$(B) tests/support/with-servers.sh \
	    $(B)/tests/faults -j1 --filter '$(fault_filter)' $(report) $(ARGS) $(name_failed)
faults-short: ; $(Q)$(MAKE) --no-print-directory faults FAULT='$(FAULTS_SHORT)'
soak: all $(B)/tests/faults ## mixed load for MINUTES=10: memory, files, tables and streams stay flat
	$(Q)MINUTES=$(MINUTES) USHER_TEST_BIN=$(CURDIR)/$(B) tests/support/with-servers.sh $(B)/tests/faults --filter 'soak/*' $(report) $(ARGS) $(name_failed)
conformance: $(addprefix $(B)/,$(CONFORMANCE)) ## the official JsonLogic suite, and every form a suite may have
	$(Q)tests/conformance/forms.sh $(B)/usher-conformance
	$(Q)$(B)/usher-conformance $(ARGS)
node: all $(addprefix $(B)/,$(CONFORMANCE)) ## rules and offsets against ajv, react-querybuilder, json-logic-js and luxon, from npm
	$(Q)tests/node/run.sh $(B)
clients: all ## the doors through Redis clients of Python and Node that follow PROTOCOL.md alone
	$(Q)tests/clients/run.sh $(B)
sql: all ## pgTAP tests of the schema
	$(Q)tests/tools/sql.sh $(B) $(ARGS)

CHECKS := format layers style compose docs cppcheck tidy compilers sanitizers
check: ## format, layers, style, documents, cppcheck, clang-tidy, both compilers, unit tests under sanitizers
	$(call parts,$(addprefix check-,$(CHECKS)))
check-%: FORCE ; $(Q)tests/tools/check-$*.sh
check-docs: FORCE all ; $(Q)tests/tools/check-docs.sh $(B)
check-tidy: FORCE $(B)/gen/common/io/lua.h ; $(Q)JOBS=$(JOBS) tests/tools/check-tidy.sh -std=gnu11 $(CPP) $(DATA)
check-cppcheck: FORCE $(B)/gen/common/io/lua.h ; $(Q)JOBS=$(JOBS) tests/tools/check-cppcheck.sh -I. -I$(B)/gen
check-compilers: FORCE
	$(Q)$(MAKE) --no-print-directory -s CC=gcc BUILD=release B=build/check-gcc WERROR=1 tests
	$(Q)$(MAKE) --no-print-directory -s CC=clang BUILD=asan B=build/check-clang WERROR=1 tests
check-sanitizers: FORCE ; $(Q)$(MAKE) --no-print-directory -s CC=clang BUILD=asan B=build/check-clang WERROR=1 unit

fuzz: ## every fuzz target for FUZZ_SECONDS (60)
	$(Q)$(MAKE) --no-print-directory CC=clang BUILD=fuzz B=build/fuzz fuzz-run
fuzz-run: $(addprefix $(B)/fuzz/,$(FUZZERS))
	$(Q)for f in $(FUZZERS); do mkdir -p build/fuzz/found/$$f tests/fuzz/corpus/$${f#fuzz_}; echo "== $$f"; \
	    $(B)/fuzz/$$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -artifact_prefix=build/fuzz/found/ \
	    build/fuzz/found/$$f tests/fuzz/corpus/$${f#fuzz_} || exit 1; done
bench: ## build for release and run the benchmarks, or one: BENCH=rules
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=release all $(patsubst %,build/release/bench/%,$(BENCHES))
	$(Q)for b in $(BENCHES); do build/release/bench/$$b $(ARGS) || exit 1; done
cov: ## line coverage of the unit and integration tests
	$(Q)rm -rf build/cov
	$(Q)$(MAKE) --no-print-directory -s -j$(JOBS) BUILD=cov unit integration
	$(Q)tests/tools/cov.sh build/cov
fmt: ## format every C file in place
	$(Q)find common scheduler workers cli tests -name '*.[ch]' -print0 | xargs -0 -r clang-format -i

# ---- run and install -------------------------------------------------------------------------------------------------------------
build_quietly = @$(MAKE) --no-print-directory -s -j$(JOBS) all >&2
run: deps ## install what is missing, build, play a season on a private PostgreSQL and Redis, stay up
	$(build_quietly)
	@$(B)/usher $(RUN_ARGS)
demo: deps ## the same, but exit at the season's end with a summary (JSON=1: as JSON)
	$(build_quietly)
	@$(B)/usher $(DEMO_ARGS)
install: ## install for release into $(DESTDIR)$(PREFIX)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=release B=build/install DATA_DIR=$(PREFIX)/share/usher all
	$(Q)install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/usher/migrations $(DESTDIR)$(PREFIX)/share/usher/examples
	$(Q)install $(addprefix build/install/,$(PROGRAMS)) $(DESTDIR)$(PREFIX)/bin
	$(Q)install -m 644 migrations/*.sql $(DESTDIR)$(PREFIX)/share/usher/migrations
	$(Q)cp -R examples/. $(DESTDIR)$(PREFIX)/share/usher/examples
clean: ## remove build/
	$(Q)rm -rf build

-include $(patsubst %.o,%.d,$(call objects,$(ALL_SRC)))
