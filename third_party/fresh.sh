#!/usr/bin/env bash
# fresh.sh RELEASE [COMMAND] proves the two commands of the README: it makes a bare Debian RELEASE
# (bookworm, trixie, …) in a folder, with git, make and this machine's Go and nothing else, clones the
# repository into it and runs COMMAND there, 'make test' by default. Needs root; installs debootstrap.
#
#   WORKTREE=1    the working tree as it is, uncommitted changes too, in place of a clone of HEAD
#   KEEP=/folder  the root is made there, or used again as it was left, and stays
#   MIRROR=url    the Debian mirror; by default the one that apt uses here
#   TIMEOUT=5400  seconds until COMMAND is ended
set -euo pipefail

die() {
	printf 'fresh: %s\n' "$*" >&2
	exit 1
}
say() { printf 'fresh: %s\n' "$*"; }

[ $# -ge 1 ] || die "usage: third_party/fresh.sh RELEASE [COMMAND]"
[ "$(id -u)" -eq 0 ] || die "needs root, for chroot: run it with sudo"
release=$1
command=${2:-make test}
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

child=
if [ -n "${KEEP-}" ]; then
	mkdir -p "$KEEP"
	root=$(cd "$KEEP" && pwd)
else
	root=$(mktemp -d "${TMPDIR:-/tmp}/fresh-$release.XXXXXX")
	trap 'rm -rf "$root"' EXIT
fi
trap '[ -z "$child" ] || { kill "$child"; wait "$child"; } 2>/dev/null; exit 130' INT TERM HUP

if [ ! -e "$root/etc/debian_version" ]; then
	say "making a bare $release in $root"
	"$repo/third_party/debian.sh" "$release" "$root" git,make,ca-certificates || exit 1
fi
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"

rm -rf "$root/src/liebm"
mkdir -p "$root/src/liebm"
if [ -n "${WORKTREE-}" ]; then
	git -C "$repo" ls-files -z --cached --others --exclude-standard |
		tar -C "$repo" --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -C "$root/src/liebm" -xf -
	say "the working tree of $repo"
else
	git clone -q "file://$repo" "$root/src/liebm"
	say "a clone of $(git -C "$repo" log -1 --format='%h %s')"
fi

# This machine's Go, read-only; its module cache serves as the first proxy, and saves downloads.
goroot=$(go env GOROOT)
downloads=$(go env GOMODCACHE)/cache/download
mkdir -p "$root/usr/local/go" "$root/modules" "$downloads"
settings=(GOPROXY="file:///modules,$(go env GOPROXY)" GOTOOLCHAIN=local)
for name in GOFLAGS GOSUMDB GOPRIVATE GONOPROXY GONOSUMDB GOINSECURE; do
	settings+=("$name=$(go env "$name")")
done
for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
	[ -z "${!name-}" ] || settings+=("$name=${!name}")
done

# The mounts live in a namespace of their own and end with it. The removal of the root happens outside,
# where they never were, and so cannot reach through them into this machine's Go.
say "$release: $command"
start=$SECONDS status=0
# shellcheck disable=SC2016 # expanded by the inner shell
timeout --kill-after=1 "${TIMEOUT:-5400}" unshare --mount --pid --fork --kill-child --propagation private bash -euc '
	root=$1 goroot=$2 downloads=$3
	shift 3
	mount --bind "$goroot" "$root/usr/local/go"
	mount -o remount,bind,ro "$root/usr/local/go"
	mount --bind "$downloads" "$root/modules"
	mount -o remount,bind,ro "$root/modules"
	mount -t proc proc "$root/proc"
	mount -t tmpfs tmpfs "$root/dev/shm"
	exec chroot "$root" env -i "$@"' \
	_ "$root" "$goroot" "$downloads" HOME=/root TERM=dumb LANG=C.UTF-8 \
	PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
	"${settings[@]}" bash -c "cd /src/liebm && $command" </dev/null &
child=$!
wait "$child" 2>/dev/null || status=$?
say "$release: $command: status $status after $((SECONDS - start)) s"
exit "$status"
