#!/usr/bin/env bash
# Installs the Debian packages that are missing: `deps.sh build` what compiling and running needs, `deps.sh check` what the tests need too.
# Does nothing, and needs no rights, when everything is there.
set -euo pipefail
build="gcc make pkg-config libc6-dev libsodium-dev libmicrohttpd-dev libjansson-dev libsecret-1-dev libcyaml-dev libyaml-dev libseccomp-dev libssl-dev libc-ares-dev libzstd-dev libcurl4-openssl-dev musl-tools"
check="strace gnome-keyring dbus dbus-daemon libglib2.0-bin acl util-linux procps python3 clang libclang-rt-14-dev e2fsprogs xfsprogs faketime python3-yaml \
       curl openssl nginx nodejs podman runc buildah debootstrap uidmap man-db groff-base mandoc fish zsh git universal-ctags shellcheck"
lint="clang-tidy clang-format cppcheck shellcheck universal-ctags"
bench="nginx haproxy oidc-agent-cli munge libmunge-dev openssl python3 procps"
clients="python3 iproute2 util-linux mount libzstd1"
command -v npm >/dev/null || clients+=" nodejs npm" # any npm will do: the clients run on a Node of their own
case ${1:-build} in
build) want=$build ;;
quickstart) want="$build python3" ;; # the provider and the agent that it shows
check) want="$build $check" ;;
lint) want="$build $lint" ;;
bench) want="$build $bench" ;;
clients) want="$build $clients" ;;
*) echo "usage: deps.sh build|quickstart|check|lint|bench|clients" >&2; exit 2 ;;
esac
missing=()
for p in $want; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null) == installed ]] || missing+=("$p")
done
((${#missing[@]})) || exit 0
sudo=()
if ((EUID != 0)); then
    command -v sudo >/dev/null || { echo "missing packages: ${missing[*]}; install them as root: apt-get install ${missing[*]}" >&2; exit 1; }
    sudo=(sudo)
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get update -qq
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
