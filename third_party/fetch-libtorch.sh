#!/bin/sh
# fetch-libtorch.sh [FOLDER] puts the pinned official libtorch for x86-64 Linux into FOLDER, by default
# third_party/libtorch, where env.sh and the build tag libtorch_pinned look. LIBTORCH_VARIANT=cu128
# takes the CUDA build. The zip is checked before it is unpacked, an interrupted download is resumed,
# and FOLDER appears only when it is whole. Where this machine has no network, put the zip beside this
# script, under the name that the script asks for.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=versions
. "$here/versions"

say() { printf 'libtorch: %s\n' "$*"; }
die() {
	say "$*" >&2
	exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
sha256() { sha256sum "$1" | cut -d' ' -f1; }

dest=${1:-$here/libtorch}
variant=${LIBTORCH_VARIANT:-cpu}
case $variant in
cpu) want=$LIBTORCH_SHA256_cpu ;;
cu128) want=$LIBTORCH_SHA256_cu128 ;;
*) die "LIBTORCH_VARIANT=$variant is not pinned in third_party/versions; cpu and cu128 are" ;;
esac
build=$LIBTORCH_VERSION+$variant
zip=libtorch-$build.zip
url=$LIBTORCH_SITE/$variant/libtorch-cxx11-abi-shared-with-deps-$LIBTORCH_VERSION%2B$variant.zip

[ "$(cat "$dest/build-version" 2>/dev/null)" != "$build" ] || exit 0
case $(uname -sm) in
"Linux x86_64") ;;
*) die "the pinned build is for x86-64 Linux, this is $(uname -sm); set LIBTORCH to a libtorch of this machine" ;;
esac

if have unzip; then
	unpack() { unzip -q "$1" -d "$2"; }
elif have bsdtar; then
	unpack() { bsdtar -xf "$1" -C "$2"; }
elif have python3; then
	unpack() { python3 -m zipfile -e "$1" "$2"; }
else
	die "no unzip, bsdtar or python3 to unpack $zip with; install unzip"
fi

# download URL FILE resumes FILE.
download() {
	if have curl; then
		curl --fail --location --silent --show-error --retry 3 --continue-at - --output "$2" "$1"
	elif have wget; then
		wget --no-verbose --tries=3 --continue --output-document="$2" "$1"
	else
		die "no curl or wget to download with; install curl"
	fi
}

cd "$here"
if [ ! -f "$zip" ]; then
	# A file that is whole already cannot be resumed: curl calls that an error.
	if [ ! -f "$zip.part" ] || [ "$(sha256 "$zip.part")" != "$want" ]; then
		say "downloading $url"
		download "$url" "$zip.part" ||
			die "cannot download $url: check the network, or put the file at $here/$zip; what has arrived is kept and resumed"
	fi
	mv "$zip.part" "$zip"
fi
got=$(sha256 "$zip")
if [ "$got" != "$want" ]; then
	mv "$zip" "$zip.rejected"
	die "$zip has sha256 $got, not $want; it is now $zip.rejected and was not unpacked: run again to download it anew"
fi

parent=$(dirname "$dest")
mkdir -p "$parent"
tmp=$(mktemp -d "$parent/libtorch.tmp.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
trap 'exit 130' INT TERM HUP
unpack "$zip" "$tmp" || die "cannot unpack $zip into $parent: is the disk full? It needs about five times the size of the zip"
[ "$(cat "$tmp/libtorch/build-version" 2>/dev/null)" = "$build" ] || die "$zip does not hold libtorch $build"
if [ -e "$dest" ]; then
	mv "$dest" "$tmp/old" # removed with tmp
fi
mv "$tmp/libtorch" "$dest"
rm -f "$zip"
say "$build is in $dest"
