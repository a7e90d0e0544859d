# make            both programs and the client library, hardened, -Werror
# make quickstart installs what is missing, builds, runs the main job          make check  installs, builds, runs every test
# make lint | sanitize | fuzz T=60 | crash | bench | format | install DESTDIR= PREFIX=
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
LIBS_DIRS := base crypto keysource store provider vault supervisor client
# what a daemon-side program may be linked from, most dependent first (archives: only what is used is linked)
ARCH     = $(foreach d,$(1),$(B)/lib$(d).a)

PROGRAMS := $(B)/brokerd $(B)/brokerd-api $(B)/brokerd-keyring $(B)/broker-cli $(B)/broker-exec
.PHONY: all
all: deps-build $(PROGRAMS) $(B)/libbroker-client.a

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
$(foreach d,$(LIBS_DIRS) api cli,$(eval $(call archive,$(d))))
$(B)/libbroker-client.a: $(B)/libclient.a $(B)/obj/broker/base/err.o
	@rm -f $@
	$(Q)cp $(B)/libclient.a $@ && ar rs $@ $(filter %.o,$^)

# ---- programs
define LD_
$(call say,LD,$@)
	$(Q)$(CC) $(LINK) $(CFLAGS)
endef
$(B)/brokerd: $(B)/obj/broker/main.o $(call ARCH,supervisor vault keysource store provider crypto base)
	$(LD_) $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lsodium -lseccomp -lcyaml -lyaml -ljansson -o $@
$(B)/brokerd-api: $(call objs,api) $(call ARCH,provider base)
	$(LD_) $(filter %.o,$^) $(filter %.a,$^) -lmicrohttpd -ljansson -lsodium -lseccomp -o $@
$(B)/brokerd-keyring: $(call objs,keyring) $(call ARCH,keysource crypto base)
	$(LD_) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(shell pkg-config --libs libsecret-1) -lsodium -lseccomp -o $@
$(B)/broker-cli: $(call objs,cli) $(call ARCH,client provider crypto base)
	$(LD_) $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -ljansson -lsodium -o $@

# static, libc only: musl where it is installed, else glibc
EXEC_CC  := $(or $(shell command -v musl-gcc),$(CC))
EXEC_SRC  = $(call src,exec) $(call src,client) broker/base/err.c
$(B)/broker-exec: $(EXEC_SRC) $(wildcard broker/exec/*.h broker/client/*.h include/broker/*.h)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(EXEC_CC) $(STD) -Wall -Wextra -Werror -Os -ffunction-sections -fdata-sections -fstack-protector-strong \
	    -static -Wl,--gc-sections -s $(EXEC_SRC) -o $@

# ---- tests: unit beside each source, contract over every table row
UNIT     := $(patsubst tests/%.c,$(B)/%,$(wildcard tests/unit/*/*.c tests/contract/*.c))
TESTLIBS  = $(call ARCH,vault keysource store provider crypto api cli client base)
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
SEES_client = client base
SEES_cli = cli client provider crypto base
SEES_exec = client base
SEES_contract = vault keysource store provider crypto api client base
sees      = $(SEES_$(notdir $(patsubst %/,%,$(dir $(1)))))
define unit_rule
$(1): tests/$(patsubst $(B)/%,%,$(1)).c tests/check.h $(call ARCH,$(call sees,$(1)))
	@mkdir -p $$(@D)
	$$(call say,TEST,$$@)
	$$(Q)$$(CC) $$(STD) $$(WARN) -Wno-missing-prototypes -Itests $$(filter-out -O2,$$(HARD)) -O1 $$(CFLAGS) -pie $$(DEPGEN) $$< \
	    -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -Wl,--as-needed -lmicrohttpd -ljansson -lsodium -lseccomp -lcyaml -lyaml -o $$@
endef
$(foreach t,$(UNIT),$(eval $(call unit_rule,$(t))))

# the same with ASan and UBSan: make $(B)/asan/unit/base/buf
$(B)/asan/%: FORCE
	$(MAKE) --no-print-directory B=$(B)/asan HARD="-O1 -g -fno-omit-frame-pointer -DBROKER_NO_SANDBOX -fPIE" LINK=-pie \
	    CFLAGS="-fsanitize=address,undefined -fno-sanitize-recover=all" $(B)/asan/$*
.PHONY: FORCE
FORCE:

.PHONY: clean
clean:
	rm -rf $(B)

-include $(shell find $(B) -path $(B)/asan -prune -o -name '*.d' -print 2>/dev/null)
.PHONY: deps-build
deps-build:
