#!/usr/bin/env bash
# debian.sh RELEASE FOLDER [PACKAGE,...] makes a bare Debian RELEASE (bookworm, trixie, ...) with those packages in
# FOLDER, from the Debian mirror MIRROR=url, by default the one that apt uses here. It takes over this machine's
# certificates and settings of apt. Needs root; installs debootstrap.
set -euo pipefail
release=$1 root=$2 packages=${3-} mirror=${MIRROR-}
script=/usr/share/debootstrap/scripts/$release

die() {
	printf 'debian: %s\n' "$*" >&2
	exit 1
}
[ "$(id -u)" -eq 0 ] || die "needs root, for chroot: run it with sudo"
command -v debootstrap >/dev/null || apt-get install -q -y debootstrap >/dev/null ||
	die "cannot install debootstrap: run 'apt-get update' and try again"
# shellcheck disable=SC2016 # apt expands it
[ -n "$mirror" ] || mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '/\/debian\/*$/ && !n++')
[ -n "$mirror" ] || die "apt here has no Debian mirror: set MIRROR=url"
[ -e "$script" ] || script=${script%/*}/sid # a release younger than this debootstrap
debootstrap --variant=minbase ${packages:+"--include=$packages"} "$release" "$root" "$mirror" "$script" >"$root.log" 2>&1 || {
	tail -n 5 "$root.log" >&2
	die "debootstrap failed, the whole log is $root.log"
}
rm -f "$root.log"
apt-config dump | grep -E '^Acquire::(Check|http|https|Retries|ForceIPv[46])' >"$root/etc/apt/apt.conf.d/90host" || true
find /usr/local/share/ca-certificates -name '*.crt' -exec install -m 644 -D -t "$root/usr/local/share/ca-certificates" {} +
[ ! -e "$root/usr/sbin/update-ca-certificates" ] || chroot "$root" update-ca-certificates >/dev/null 2>&1
