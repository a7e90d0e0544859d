#!/usr/bin/env bash
# The Dockerfile builds as it stands, and its image is a broker: as an ordinary user, without capabilities or a network, on a read-only
# root, it is initialised, enrolled and leased from another container, keeps its store over a restart, and ends when asked.
# The first run makes the base image from this machine's own Debian mirror and keeps it in ~/.cache (or /var/cache).
. "$(dirname "$0")/lib.bash" || exit 1
need_root
for tool in buildah podman runc debootstrap; do command -v "$tool" >/dev/null || skip "needs $tool"; done
CACHE=${XDG_CACHE_HOME:-/var/cache}/credential-broker-tests
W=$(mktemp -d /var/tmp/cb-image.XXXXXX) # some GiB while it runs: not on tmpfs
BOX=
finish() {
    local code=$?
    [[ -z $BOX ]] || podman_ rm -f -t 1 "$BOX" >/dev/null 2>&1 || true
    rm -rf "$W"
    (exit "$code")
    cleanup
}
trap finish EXIT

# ---- the base image, debian:bookworm-slim in its place
mirror() { # the mirror that apt itself uses for Debian 12
    apt-get indextargets --format '$(COMPONENT) $(SUITE) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        awk '$1 == "main" && ($2 == "bookworm" || $3 == "bookworm") { print $NF; exit }'
}
make_base() {
    local from
    [[ -s $CACHE/bookworm.tar.gz ]] && return
    from=$(mirror)
    [[ -n $from ]] || skip "apt knows no mirror of Debian 12"
    mkdir -p "$CACHE"
    debootstrap --variant=minbase bookworm "$W/base" "$from" >"$W/debootstrap.log" 2>&1 || {
        tail -n 5 "$W/debootstrap.log" >&2
        skip "debootstrap failed: is the mirror reachable?"
    }
    # like the slim image: no documents; and no fsync per file, as what is built here is thrown away
    printf 'force-unsafe-io\npath-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n' \
        >"$W/base/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$W"/base/usr/share/{doc,man,locale}/*
    # inside, apt works by the settings of this machine (a proxy, a mirror whose clock stands still)
    apt-config dump | grep -E '^Acquire::(http|https|Check-)' >"$W/base/etc/apt/apt.conf.d/50host" || true
    rm -rf "$W"/base/var/cache/apt/archives/*.deb "$W"/base/var/lib/apt/lists/*_*
    tar -C "$W/base" -cf - . | gzip -1 >"$CACHE/bookworm.tar.gz.$$"
    mv "$CACHE/bookworm.tar.gz.$$" "$CACHE/bookworm.tar.gz"
    rm -rf "$W/base"
}
make_base
printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$W/graph" "$W/runroot" >"$W/storage.conf"
export CONTAINERS_STORAGE_CONF=$W/storage.conf BUILDAH_ISOLATION=chroot
base=$(buildah from scratch)
buildah add --quiet "$base" "$CACHE/bookworm.tar.gz" / >/dev/null
buildah commit --quiet --rm "$base" docker.io/library/debian:bookworm-slim >/dev/null

# ---- the Dockerfile
build() { # TARGET TAG
    mkdir -p "$CACHE/archives"
    buildah build --pull-never --layers --format docker --volume "$CACHE/archives:/var/cache/apt/archives" --target "$1" --tag "$2" "$ROOT" \
        >"$W/build.log" 2>&1 || { tail -n 40 "$W/build.log" >&2; die "the Dockerfile does not build"; }
}
build exec localhost/broker-exec
build broker localhost/broker
podman_() { podman --tmpdir "$W/tmp" --runtime runc --cgroup-manager=cgroupfs --log-level=error "$@"; }
run_() { # podman run as it works everywhere, with nothing that a broker does not need
    podman_ run --quiet --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --ulimit memlock=8388608:8388608 --network=none --cap-drop=all --read-only --no-healthcheck \
        "$@"
}
mounted=$(buildah mount "$(buildah from --pull-never localhost/broker-exec)")
[[ $(cd "$mounted" && find . -type f -o -type l) == ./broker-exec ]] || die "the exec image holds more than broker-exec"
"$mounted/broker-exec" --version >/dev/null || die "broker-exec of the image does not run here: is it static?"

# ---- the image is a broker
uid=973
mkdir "$T/r" "$T/s"
chmod 755 "$T/r" "$T/s"
chown "$uid:$uid" "$T/r" "$T/s"
chmod 700 "$T/s"
start() { # further arguments of podman run
    BOX=$(run_ --detach -v "$T/r:/run/credential-broker" -v "$T/s:/var/lib/credential-broker" "$@" localhost/broker)
    eventually 15 cli status || { podman_ logs "$BOX" >&2; die "the broker in the image did not come up"; }
}
cli() { podman_ exec -i "$BOX" broker-cli "$@"; }
as_consumer() { # UID NAME COMMAND…: what broker-exec gives a program in a container of its own
    local user=$1 name=$2
    shift 2
    run_ --rm --user "$user" -v "$T/r/$name:/run/broker:ro" --entrypoint broker-exec localhost/broker --socket /run/broker --profile env -- "$@"
}
start --pid=host
cli status --json | grep -q '"state":"uninitialised"' || die "a new volume is not empty"
cli init --key keyfile --path /var/lib/credential-broker/master.key >/dev/null
cli enroll key --provider anthropic <"$LOGINS/anthropic.txt" >/dev/null 2>&1
cli consumer add gateway --uid 0,1000 >/dev/null
cli grant gateway key --deliver secret --ttl 5m >/dev/null
cli status --json | grep -q '"mode":"system"' || die "not in system mode"
key=$(tr -d '\n' <"$LOGINS/anthropic.txt")
for user in 0 1000; do
    as_consumer "$user" gateway env >"$T/env" 2>"$T/err" || die "uid $user got no lease: $(cat "$T/err")"
    grep -qxF "ANTHROPIC_API_KEY=$key" "$T/env" || die "uid $user: the key is not in the environment"
done
code=0
as_consumer 1001 gateway env >"$T/env" 2>&1 || code=$?
[[ $code == 125 ]] || die "uid 1001, which the consumer does not name, ended with $code"
podman_ logs "$BOX" 2>&1 | grep -qF "$key" && die "the key stands in the log"
grep -rqF "$key" "$T/s" && die "the key lies in the state directory in the clear"

# ---- it ends when asked, and a new container on the same volumes is the same broker
podman_ stop -t 8 "$BOX" >/dev/null
code=$(podman_ inspect --format '{{.State.ExitCode}}' "$BOX")
[[ $code == 0 ]] || die "stopped with exit code $code"
podman_ rm "$BOX" >/dev/null
start --pid=host
as_consumer 1000 gateway env 2>"$T/err" | grep -qxF "ANTHROPIC_API_KEY=$key" || die "after a restart: $(cat "$T/err")"

# ---- control: where the peers' processes cannot be seen, nobody is served
podman_ rm -f -t 8 "$BOX" >/dev/null
start
code=0
as_consumer 1000 gateway env >"$T/err" 2>&1 || code=$?
[[ $code == 125 ]] || die "a peer of an unseen pid namespace ended with $code: $(cat "$T/err")"
grep -q '\[denied\]' "$T/err" || die "a peer of an unseen pid namespace was told: $(cat "$T/err")"
