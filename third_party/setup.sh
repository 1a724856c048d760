#!/bin/sh
# setup.sh installs what building, testing and the demo need and this machine lacks, through apt where
# there is apt. When nothing is missing it says nothing and changes nothing.
# LIBTORCH=/path (a folder with libtorch's include/ and lib/) is used as it is; no libtorch is installed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=versions
. "$here/versions"
export LC_ALL=C

say() { printf 'setup: %s\n' "$*"; }
die() {
	say "$*" >&2
	exit 1
}
have() { command -v "${1%% *}" >/dev/null 2>&1; }
version() { dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null | sed -n 's/^installed //p' | head -n 1; }
recent() { [ -n "$1" ] && dpkg --compare-versions "$1" ge "$LIBTORCH_MIN"; }

# What is missing. Files and commands decide where another package may provide the same.
apt=
! have apt-get || apt=yes
compiler=yes blas=yes fashion=yes certificates=yes libtorch=yes
have "${CXX:-g++}" && have "${CC:-gcc}" || compiler=
[ -e "$FASHION_DIR/train-images-idx3-ubyte.gz" ] || [ -e "$FASHION_DIR/train-images-idx3-ubyte" ] || fashion=
if [ -n "${LIBTORCH-}" ]; then
	sh "$here/env.sh" true
elif [ ! -f "$here/libtorch/build-version" ]; then
	{ [ -n "$apt" ] && recent "$(version libtorch-dev)"; } || libtorch=
	{ [ -z "$apt" ] || [ -n "$(version libopenblas0-openmp)" ]; } || blas=
fi
[ -z "$apt" ] || [ -n "$(version ca-certificates)${SSL_CERT_FILE-}" ] || certificates=
case $compiler$libtorch$blas$fashion$certificates in
yesyesyesyesyes) exit 0 ;;
esac

fashion_by_hand() {
	say "Fashion-MNIST is not in apt here: put the four files of $FASHION_SITE/ ({train,t10k}-{images-idx3,labels-idx1}-ubyte.gz) into $FASHION_DIR/"
}

if [ -z "$apt" ]; then
	[ -n "$compiler" ] || die "no C++ compiler: install g++ 10 or newer, or set CC and CXX"
	[ -n "$libtorch" ] || sh "$here/fetch-libtorch.sh"
	[ -n "$fashion" ] || fashion_by_hand
	exit 0
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
	sudo=sudo
	if ! have sudo || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
		sudo=none
	fi
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP

# root COMMAND... runs it as root, its output kept for the case that it fails.
root() { ${sudo:+"$sudo"} env DEBIAN_FRONTEND=noninteractive "$@" >"$log" 2>&1 </dev/null; }

candidate() { apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" && $2 != "(none)" { print $2 }'; }

# plan sets add (packages to install), why (the same, with reasons), fetch and absent from what apt
# offers now.
plan() {
	add='' why='' fetch='' absent=''
	[ -n "$compiler" ] || offer g++ "C++ compiler"
	[ -n "$certificates" ] || offer ca-certificates "go downloads modules over TLS"
	if [ -z "$libtorch" ]; then
		if recent "$(candidate libtorch-dev)"; then
			offer libtorch-dev "tensors and gradients"
		else
			fetch=yes
			have unzip || offer unzip "unpacks libtorch's zip"
			have curl || have wget || offer curl "downloads libtorch's zip"
		fi
	fi
	[ -n "$blas$fetch" ] || offer libopenblas0-openmp "fast matrix products for libtorch"
	[ -n "$fashion" ] || offer dataset-fashion-mnist "the demo's images"
}
offer() {
	if [ -n "$(candidate "$1")" ]; then
		add="$add $1" why="$why${why:+, }$1 ($2)"
	else
		absent="$absent $1"
	fi
}

# Images of containers come without package lists, and then apt offers nothing at all.
lists() { [ -n "$(apt-cache madison base-files 2>/dev/null)" ]; }
refreshed=
refresh() {
	refreshed=yes
	say "reading apt's package lists"
	root apt-get update -q || true # judged by what is offered then: one broken source need not matter
	lists || die "apt-get update brought no package lists: $(grep -E -m 1 '^[EW]: ' "$log"); check the network and /etc/apt/sources.list*, then run again"
}

plan
if [ "$sudo" = none ]; then
	required=
	[ -n "$compiler" ] || required="$required g++"
	[ -n "$libtorch$fetch" ] || required="$required libtorch-dev libopenblas0-openmp"
	case $required in
	'') ;;
	*g++*) die "installing$required needs root: run as root or with sudo" ;;
	*) die "installing$required needs root: run as root or with sudo, or fetch libtorch without: sh third_party/fetch-libtorch.sh" ;;
	esac
	[ -z "$add" ] || say "not installed, for want of root or sudo: $why"
	[ -z "$fetch" ] || sh "$here/fetch-libtorch.sh"
	exit 0
fi
# Not for the images alone: they are in Debian or they are not, and this must be quick the second time.
if ! lists || [ -n "$fetch${absent# dataset-fashion-mnist}" ]; then
	refresh
	plan
fi

# shellcheck disable=SC2086 # $add is a list of package names
install() { root apt-get install -q -y --no-install-recommends -o DPkg::Lock::Timeout=300 $add; }
if [ -n "$add" ]; then
	say "installing $why; this can take minutes"
	if ! install; then
		# Stale lists name files that the mirror has since replaced.
		[ -n "$refreshed" ] || refresh
		install || {
			tail -n 20 "$log" >&2
			die "apt-get install$add failed, its last lines are above: check the network and the free disk space, then run again"
		}
	fi
fi
for package in $absent; do
	case $package in
	dataset-fashion-mnist) fashion_by_hand ;;
	libopenblas0-openmp) say "apt has no $package here: libtorch works without it, slower" ;;
	*) die "apt has no $package: add your distribution's main archive to /etc/apt/sources.list*, or install it by hand" ;;
	esac
done
if [ -n "$fetch" ]; then
	say "apt has no libtorch-dev of at least $LIBTORCH_MIN; fetching the official $LIBTORCH_VERSION"
	sh "$here/fetch-libtorch.sh"
fi
