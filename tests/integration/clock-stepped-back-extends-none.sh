#!/usr/bin/env bash
# The wall clock is stepped back by an hour under the running broker, and across a restart: no lease, no renewal and no narrowed token lives
# longer for it. The real programs behind their real sandbox, with a library that answers for the clock: it is loaded by an
# ld.so.preload of a mount namespace of its own, because the broker takes LD_PRELOAD from nobody. Needs root.
. "$(dirname "$0")/lib.bash" || exit 1
. "$(dirname "$0")/faults.bash"
need_root
command -v gcc >/dev/null || skip "needs gcc"
if [[ -z ${CLOCK_INSIDE:-} ]]; then
    unshare -m true 2>/dev/null || skip "no mount namespaces here"
    export CLOCK_INSIDE=1
    unshare -m --propagation private "$0" && exit 0
    exit $?
fi
# what the clock is off by lies in a page that each process maps at its start, before any sandbox
cat >"$T/clock.c" <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static volatile long *off;
__attribute__((constructor)) static void begin(void)
{
    int fd = open(PAGE, O_RDONLY | O_CLOEXEC);
    void *p = fd < 0 ? MAP_FAILED : mmap(0, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    off = p == MAP_FAILED ? 0 : p;
}
int clock_gettime(clockid_t id, struct timespec *ts)
{
    int r = (int)syscall(SYS_clock_gettime, id, ts);
    if (r == 0 && off && id == CLOCK_REALTIME)
        ts->tv_sec += *off;
    return r;
}
C
head -c 4096 /dev/zero >"$T/off"
chmod 644 "$T/off"
chmod 755 "$T"
gcc -O1 -shared -fPIC -DPAGE="\"$T/off\"" "$T/clock.c" -o "$T/clock.so" || die "the clock does not compile"
cp -a /etc "$T/etc"
echo "$T/clock.so" >"$T/etc/ld.so.preload"
mount --bind "$T/etc" /etc || skip "no mounts here"
step() { "$PYTHON" -IS -c 'import sys; f=open(sys.argv[1],"r+b"); f.write(int(sys.argv[2]).to_bytes(8,"little",signed=True))' "$T/off" "$1"; }
broker_time() { call gateway GET /v1/whoami | field time_ms; }
real_ms() { sed 's/\..*//' /proc/uptime; }
active() { [[ $(call gateway POST /v1/token/introspect "{\"token\":\"$1\"}" | field active) == True ]]; }
not_active() { ! active "$1"; }
wait_until() { while (($(real_ms) < $1)); do sleep 0.1; done; }

init_broker
"$CLI" enroll key --provider generic <<<the-value >/dev/null 2>&1
consumer gateway key secret --ttl 1h --max-ttl 1h
before=$(broker_time)
step -3600
(($(broker_time) < before - 3000000)) || die "the clock does not reach the broker: this test proves nothing"
step 0

short=$(lease gateway key '"ttl_ms":3000')
due=$(($(real_ms) + 4))
long=$(lease gateway key)
narrow=$("$CLI" attenuate --ttl 3s < <(field token <<<"$long"))
active "$(field token <<<"$short")" || die "a fresh lease is not active"
active "$narrow" || die "a narrowed token is not active"
step -3600
renewed=$(call gateway POST "/v1/leases/$(field id <<<"$long")/renew" '{"ttl_ms":3600000}' "$(field token <<<"$long")")
[[ $renewed == 200* ]] || die "a renewal after the step: $renewed"
(($(field expires_at_ms <<<"$renewed") <= $(field max_expires_at_ms <<<"$long"))) || die "the step made a renewal outlive the lease's maximum"
wait_until "$due"
not_active "$(field token <<<"$short")" || die "a lease was extended by the step"
not_active "$narrow" || die "a narrowed token was extended by the step"
[[ $(call gateway POST "/v1/leases/$(field id <<<"$short")/renew" '{}' "$(field token <<<"$short")") != 20* ]] || die "an ended lease renews"

# across a restart, with the clock at another place each time
step 0
short=$(lease gateway key '"ttl_ms":3000')
due=$(($(real_ms) + 4))
kill_all
step -7200
start_broker
wait_until "$due"
not_active "$(field token <<<"$short")" || die "a restart with the clock stepped back extended a lease"
active "$(field token <<<"$long")" || die "a live lease was lost by the step"
step -3600
kill_all
start_broker
not_active "$(field token <<<"$short")" || die "an ended lease lives after a second restart"
end_broker
verify_log
