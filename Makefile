# make            both programs and the client library, hardened, -Werror
# make quickstart installs what is missing, builds, runs the main job          make check  installs, builds, runs every test
# make check-clients   installs the real clients (claude, codex, gemini, …) from npm and runs them against a fake provider; RECORD=1: keeps the results
# make lint | sanitize | fuzz T=60 | fuzz-coverage | mutants | crash | bench | format | install DESTDIR= PREFIX=
# Folders are listed by wildcard: a new file is built, linked and tested without a line here.

PREFIX  ?= /usr/local
DESTDIR ?=
B       ?= build
T       ?= 60
VERSION := 0.1.0
CC      := gcc
CLANG   := clang

PKGS    := libsodium libseccomp libcyaml jansson
STD     := -std=gnu17 -D_GNU_SOURCE -DBROKER_VERSION='"$(VERSION)"' -Iinclude -Ibroker
WARN    := -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wstrict-prototypes \
           -Wmissing-prototypes -Wformat=2 -Wvla -Wimplicit-fallthrough -Wundef -Werror
HARD    := -O2 -g -fPIE -fstack-protector-strong -fstack-clash-protection -fcf-protection \
           -D_FORTIFY_SOURCE=2 -ffunction-sections -fdata-sections -fno-plt
LINK    := -pie -Wl,-z,relro,-z,now,-z,noexecstack,--gc-sections,--as-needed
CFLAGS  ?=
DEPGEN   = -MMD -MP
# V=1 shows the commands
Q       := $(if $(V),,@)
say      = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $(2))

src      = $(wildcard broker/$(1)/*.c)
objs     = $(patsubst %.c,$(B)/obj/%.o,$(call src,$(1)))
LIBS_DIRS := base crypto keysource store provider vault supervisor client exec
# what a daemon-side program may be linked from, most dependent first (archives: only what is used is linked)
ARCH     = $(foreach d,$(1),$(B)/lib$(d).a)

PROGRAMS := $(B)/brokerd $(B)/brokerd-api $(B)/brokerd-proxy $(B)/brokerd-keyring $(B)/brokerd-oauth $(B)/broker-cli $(B)/broker-exec
.PHONY: all
all: $(PROGRAMS) $(B)/libbroker-client.a

# ---- objects and archives
$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(STD) $(WARN) $(HARD) $(CFLAGS) $(CPP_$(patsubst broker/%/,%,$(dir $<))) $(DEPGEN) -c $< -o $@

CPP_keyring = $(shell pkg-config --cflags libsecret-1)

define archive
$(B)/lib$(1).a: $$(call objs,$(1))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach d,$(LIBS_DIRS) api proxy oauth cli,$(eval $(call archive,$(d))))
$(B)/libbroker-client.a: $(B)/libclient.a $(B)/obj/broker/base/err.o $(B)/obj/broker/base/utf8.o
	@rm -f $@
	$(Q)cp $(B)/libclient.a $@ && ar rs $@ $(filter %.o,$^)

# ---- programs
define LD_
$(call say,LD,$@)
	$(Q)$(CC) $(LINK) $(CFLAGS)
endef
$(B)/brokerd: $(B)/obj/broker/main.o $(call ARCH,supervisor vault keysource store provider crypto base)
	$(LD_) $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lsodium -lseccomp -lcyaml -lyaml -ljansson -o $@
# Statically where Debian's archive is there: a third of the memory and of the start-up time, because GnuTLS (which plain HTTP on a
# Unix socket has no use for) then is not loaded
comma    := ,
MHD      := $(if $(wildcard $(shell $(CC) -print-file-name=libmicrohttpd.a)),-l:libmicrohttpd.a,-lmicrohttpd)
$(B)/brokerd-api: $(call objs,api) $(call ARCH,provider base)
	$(LD_) $(filter %.o,$^) $(filter %.a,$^) $(if $(filter -l:%,$(MHD)),-Wl$(comma)--wrap=setsockopt) $(MHD) -ljansson -lsodium -lseccomp -o $@
$(B)/brokerd-proxy: $(call objs,proxy) $(call ARCH,base)
	$(LD_) $(filter %.o,$^) $(filter %.a,$^) -lssl -lcrypto -lcares -lzstd -lsodium -lseccomp -o $@
$(B)/brokerd-keyring: $(call objs,keyring) $(call ARCH,keysource crypto base)
	$(LD_) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(shell pkg-config --libs libsecret-1) -lsodium -lseccomp -o $@
$(B)/brokerd-oauth: $(call objs,oauth) $(call ARCH,provider base)
	$(LD_) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcurl -ljansson -lsodium -lseccomp -o $@
$(B)/broker-cli: $(call objs,cli) $(call ARCH,client provider crypto base)
	$(LD_) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -ljansson -lsodium -o $@

# static, libc only: musl where it is installed, else glibc
EXEC_CC  := $(or $(shell command -v musl-gcc),$(CC))
EXEC_SRC  = $(call src,exec) $(call src,client) $(addprefix broker/base/,err.c utf8.c options.c loop.c clock.c)
$(B)/broker-exec: $(EXEC_SRC) $(wildcard broker/exec/*.h broker/client/*.h broker/base/*.h include/broker/*.h)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(EXEC_CC) $(STD) -Wall -Wextra -Werror -Os -ffunction-sections -fdata-sections -fstack-protector-strong \
	    -static -Wl,--gc-sections -s $(EXEC_SRC) -o $@

# ---- tests: unit beside each source, contract over every table row
UNIT     := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/*/*.c tests/contract/*.c))
TESTLIBS  = $(call ARCH,vault keysource store provider crypto api proxy oauth cli client base)
TESTLINK  = -Wl,--start-group $(TESTLIBS) -Wl,--end-group -lmicrohttpd -ljansson -lsodium -lseccomp -lcyaml -lyaml
# only the archives a test's folder may see, so that one broken folder does not stop the others' tests
SEES_base = base
SEES_crypto = crypto base
SEES_keysource = keysource crypto base
SEES_store = store base
SEES_provider = provider base
SEES_vault = vault keysource store provider crypto base
SEES_supervisor = supervisor vault keysource store provider crypto base
SEES_api = api provider base
SEES_proxy = proxy base
SEES_oauth = oauth provider base
SEES_client = client base
SEES_cli = cli client provider crypto base
SEES_exec = exec client base
SEES_contract = vault keysource store provider crypto api proxy client base
sees      = $(SEES_$(notdir $(patsubst %/,%,$(dir $(1)))))
define unit_rule
$(1): tests/$(patsubst $(B)/%,%,$(1)).c tests/check.h $(call ARCH,$(call sees,$(1)))
	@mkdir -p $$(@D)
	$$(call say,TEST,$$@)
	$$(Q)$$(CC) $$(STD) $$(WARN) -Wno-missing-prototypes -Itests $$(filter-out -O2,$$(HARD)) -O1 $$(CFLAGS) -pie $$(DEPGEN) $$< \
	    -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -Wl,--as-needed -lmicrohttpd -ljansson -lsodium -lseccomp -lcyaml -lyaml \
	    -lssl -lcrypto -lcares -lzstd -lcurl -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

# the same with ASan and UBSan: make $(B)/asan/unit/base/buf
$(B)/asan/%: FORCE
	$(MAKE) --no-print-directory B=$(B)/asan HARD="-O1 -g -fno-omit-frame-pointer -DBROKER_NO_SANDBOX -fPIE" LINK=-pie \
	    CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all" $(B)/asan/$*
.PHONY: FORCE
FORCE:

# programs that the tests' scripts use: tests/{crash,fake}/NAME.c
TOOLS    := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/crash/*.c tests/fake/*.c))

# ---- the two commands of the README
.PHONY: quickstart quickstart-clean check check-unit check-integration check-clients
quickstart: deps-quickstart
	@$(MAKE) --no-print-directory all
	@contrib/quickstart/quickstart.sh
quickstart-clean:
	@contrib/quickstart/quickstart.sh --clean

check: deps-check
	@$(MAKE) --no-print-directory all $(UNIT) $(TOOLS)
	@tests/run.sh $(UNIT) $(sort $(wildcard tests/integration/*.sh tests/crash/*.sh))
check-unit: all $(UNIT)
	@tests/run.sh $(UNIT)
check-integration: all $(TOOLS)
	@tests/run.sh $(sort $(wildcard tests/integration/*.sh))
check-clients: deps-clients
	@$(MAKE) --no-print-directory all $(B)/fake/scan
	@TEST_TIMEOUT=1200 tests/run.sh -v tests/clients/run.sh tests/clients/placeholders/run.sh tests/clients/renewal/run.sh tests/clients/transfer/run.sh tests/clients/oidc/run.sh

# how those are built, and tests/bench/NAME.c
BENCH    := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/bench/*.c))
define tool_rule
$(1): tests/$(patsubst $(B)/%,%,$(1)).c $(call ARCH,api vault keysource store provider crypto client base)
	@mkdir -p $$(@D)
	$$(call say,TOOL,$$@)
	$$(Q)$$(CC) $$(STD) $$(WARN) -Wno-missing-prototypes -Itests $$(HARD) $$(CFLAGS) $$(DEPGEN) $$< \
	    -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -pie -Wl,--as-needed,--gc-sections -ljansson -lsodium -lseccomp -lcyaml -lyaml \
	    $$(LIBS_$$(notdir $(1))) -o $$@
endef
$(foreach t,$(TOOLS) $(BENCH),$(eval $(call tool_rule,$(t))))

# ---- lint: layers, sizes, banned calls, tests beside sources; then the analysers
.PHONY: lint format deps-build deps-quickstart deps-check deps-lint deps-bench deps-clients deps
lint: deps-lint
	@echo "  LINT  clang-format"; $(MAKE) -s format-check
	@for s in tests/lint/*.sh; do echo "  LINT  $$s"; bash $$s || exit 1; done
	@echo "  LINT  shellcheck"; shellcheck -x -S warning tests/*.sh tests/*/*.sh tests/*/*/*.sh tests/*/*.bash tests/lint/analyse contrib/*/*.sh .ci/run
	@echo "  LINT  cppcheck"; # it knows neither the sentinel attribute nor cleanup: those two checks see ghosts
	@cppcheck -q --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
	    --suppress=missingIncludeSystem --suppress=varFuncNullUB --suppress=memleak -Iinclude -Ibroker -DBROKER_VERSION='""' broker
	@echo "  LINT  gcc -fanalyzer"; ls broker/*.c broker/*/*.c | xargs -P 2 -I{} tests/lint/analyse gcc {} $(STD) $(CPP_keyring)
	@echo "  LINT  clang-tidy"; ls broker/*.c broker/*/*.c | xargs -P 2 -I{} tests/lint/analyse clang {} $(STD) $(CPP_keyring)
	@echo "lint: clean"
.PHONY: format-check
format-check:
	@clang-format --dry-run -Werror broker/*.c broker/*/*.[ch] include/broker/*.h
format:
	clang-format -i broker/*.c broker/*/*.[ch] include/broker/*.h

deps: deps-check deps-lint
deps-build:
	@tests/deps.sh build
deps-quickstart:
	@tests/deps.sh quickstart
deps-check:
	@tests/deps.sh check
deps-lint:
	@tests/deps.sh lint
deps-clients:
	@tests/deps.sh clients
deps-bench:
	@tests/deps.sh bench

# ---- sanitizers: every unit and contract test under ASan and UBSan
.PHONY: sanitize fuzz crash bench
sanitize:
	@$(MAKE) --no-print-directory $(SAN) $(SAN_UNIT)
	@ASAN_OPTIONS=$$(tests/leaks.sh) tests/run.sh $(SAN_UNIT)
SAN_B    := $(B)/asan
SAN      := B=$(SAN_B) HARD="-O1 -g -fno-omit-frame-pointer -DBROKER_NO_SANDBOX -fPIE" LINK=-pie CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all"
SAN_UNIT := $(patsubst $(B)/%,$(SAN_B)/%,$(UNIT))

# ---- fuzzing: make fuzz T=60 [ONLY=token]
ONLY     ?= *
LIBS_munge_bench = -lmunge
LIBS_mhd_floor = -lmicrohttpd
LIBS_api_worker = -lmicrohttpd
LIBS_provider = -lssl -lcrypto
FUZZ     := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/$(ONLY).c))
FUZZ_B   := $(B)/fuzz
fuzz:
	@$(MAKE) --no-print-directory B=$(FUZZ_B) CC=clang HARD="-O1 -g -DBROKER_NO_SANDBOX -fPIE" LINK=-pie \
	    CFLAGS="-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -Wno-unknown-warning-option -Wno-format-nonliteral" \
	    $(addprefix $(FUZZ_B)/bin/,$(FUZZ))
	@T=$(T) ASAN_OPTIONS=$$(CC=clang tests/leaks.sh) tests/fuzz/run.sh $(FUZZ_B)/bin $(FUZZ)
# which lines of the parsers the committed corpora reach
fuzz-coverage:
	@tests/fuzz/coverage.sh
.PHONY: fuzz-coverage
define fuzz_rule
$(B)/bin/$(1): tests/fuzz/$(1).c $(call ARCH,vault keysource store provider crypto api proxy oauth cli exec client base)
	@mkdir -p $$(@D)
	$$(call say,FUZZ,$$@)
	$$(Q)clang $$(STD) -Itests -Itests/fuzz -O1 -g $$(CFLAGS) -fsanitize=fuzzer $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group \
	    -Wl,--as-needed -lmicrohttpd -ljansson -lsodium -lseccomp -lcyaml -lyaml -lssl -lcrypto -lcares -lzstd -lcurl -o $$@
endef
$(foreach t,$(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/*.c)),$(eval $(call fuzz_rule,$(t))))

# the same targets in numbers: make blast BLAST="gate usage" N=100000000 SEED=1
BLAST ?= gate gate_response chunk usage model guard host request_policy
N     ?= 1000000
SEED  ?= 1
.PHONY: blast
blast:
	@$(MAKE) --no-print-directory B=build/blast CC=clang HARD="-O2 -g -DBROKER_NO_SANDBOX -fPIE" LINK=-pie \
	    CFLAGS="-fsanitize=undefined -fsanitize-trap=undefined -Wno-unknown-warning-option -Wno-format-nonliteral" \
	    $(addprefix build/blast/blast/,$(BLAST))
	@for t in $(BLAST); do printf '%-16s ' $$t; build/blast/blast/$$t $(N) $(SEED) tests/fuzz/corpus/$$t || exit 1; done
$(B)/blast/%: tests/fuzz/%.c tests/fuzz/blast/blast.c $(call ARCH,vault keysource store provider crypto api proxy oauth cli exec client base)
	@mkdir -p $(@D)
	$(call say,BLAST,$@)
	$(Q)clang $(STD) -Itests -Itests/fuzz -O2 -g $(CFLAGS) $(filter %.c,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group \
	    -Wl,--as-needed -lmicrohttpd -ljansson -lsodium -lseccomp -lcyaml -lyaml -lssl -lcrypto -lcares -lzstd -lcurl -o $@

# takes each protection of tests/mutants/mutants.txt away and sees which test notices; a quarter of an hour
.PHONY: mutants
mutants: deps-check
	@tests/mutants/run.py
crash: all $(TOOLS)
	@tests/run.sh $(sort $(wildcard tests/crash/*.sh))
bench: deps-bench
	@$(MAKE) --no-print-directory all $(BENCH)
	@tests/bench/run.sh
	@bash tests/bench/proxy.sh

# ---- install
.PHONY: install uninstall
INSTALL  := install -D
LIBEXEC   = $(DESTDIR)$(PREFIX)/libexec/credential-broker
MAN       = $(DESTDIR)$(PREFIX)/share/man
install: all
	@$(INSTALL) -m 0755 $(B)/brokerd $(DESTDIR)$(PREFIX)/bin/brokerd
	@$(INSTALL) -m 0755 $(B)/broker-cli $(DESTDIR)$(PREFIX)/bin/broker-cli
	@$(INSTALL) -m 0755 $(B)/broker-exec $(DESTDIR)$(PREFIX)/bin/broker-exec
	@$(INSTALL) -m 0755 -t $(LIBEXEC) $(B)/brokerd-api $(B)/brokerd-proxy $(B)/brokerd-keyring $(B)/brokerd-oauth
	@ln -sf broker-cli $(DESTDIR)$(PREFIX)/bin/git-credential-broker
	@ln -sf broker-cli $(DESTDIR)$(PREFIX)/bin/docker-credential-broker
	@$(INSTALL) -m 0644 $(B)/libbroker-client.a $(DESTDIR)$(PREFIX)/lib/libbroker-client.a
	@$(INSTALL) -m 0644 -t $(DESTDIR)$(PREFIX)/include/broker include/broker/client.h include/broker/err.h
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/pkgconfig
	@sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|' contrib/credential-broker-client.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/credential-broker-client.pc
	@for page in contrib/man/*.[1-8]; do $(INSTALL) -m 0644 $$page $(MAN)/man$${page##*.}/$${page##*/}; done
	@$(INSTALL) -m 0644 contrib/completion/broker-cli.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/broker-cli
	@$(INSTALL) -m 0644 contrib/completion/_broker-cli $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_broker-cli
	@$(INSTALL) -m 0644 contrib/completion/broker-cli.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/broker-cli.fish
	@ln -sf broker-cli $(DESTDIR)$(PREFIX)/share/bash-completion/completions/broker-exec
	@ln -sf broker-cli.fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/broker-exec.fish
	@$(INSTALL) -m 0644 -t $(DESTDIR)$(PREFIX)/share/credential-broker contrib/openapi.yaml contrib/audit-schema.json contrib/python/credential_broker.py contrib/deerflow/broker_codex.py
	@$(INSTALL) -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/credential-broker README.md SECURITY.md LICENSE broker/crypto/FORMAT.md
	@mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/systemd/user
	@sed 's|/usr/local/bin|$(PREFIX)/bin|' contrib/systemd/credential-broker.service >$(DESTDIR)$(PREFIX)/lib/systemd/system/credential-broker.service
	@sed 's|/usr/local/bin|$(PREFIX)/bin|' contrib/systemd/user/credential-broker.service >$(DESTDIR)$(PREFIX)/lib/systemd/user/credential-broker.service
	@sed 's|/usr/local/bin|$(PREFIX)/bin|' contrib/systemd/user/credential-broker-keep@.service >$(DESTDIR)$(PREFIX)/lib/systemd/user/credential-broker-keep@.service
	@$(INSTALL) -m 0644 contrib/systemd/credential-broker.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/credential-broker.conf
	@$(INSTALL) -m 0644 contrib/systemd/credential-broker.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/credential-broker.conf
	@echo "installed below $(DESTDIR)$(PREFIX)"
uninstall:
	@rm -rf $(LIBEXEC) $(DESTDIR)$(PREFIX)/include/broker $(DESTDIR)$(PREFIX)/share/credential-broker $(DESTDIR)$(PREFIX)/share/doc/credential-broker
	@cd $(DESTDIR)$(PREFIX) && rm -f bin/brokerd bin/broker-cli bin/broker-exec bin/git-credential-broker bin/docker-credential-broker \
	    lib/libbroker-client.a lib/pkgconfig/credential-broker-client.pc share/man/man*/broker* share/man/man7/credential-broker.7 \
	    share/bash-completion/completions/broker-cli share/bash-completion/completions/broker-exec \
	    share/fish/vendor_completions.d/broker-exec.fish share/zsh/site-functions/_broker-cli share/fish/vendor_completions.d/broker-cli.fish \
	    lib/systemd/system/credential-broker.service lib/systemd/user/credential-broker.service lib/systemd/user/credential-broker-keep@.service \
	    lib/sysusers.d/credential-broker.conf lib/tmpfiles.d/credential-broker.conf

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -path $(B)/asan -prune -o -name '*.d' -print 2>/dev/null)
