#!/bin/sh
# env.sh [COMMAND...] runs COMMAND so that cgo finds the libtorch to use. Without a COMMAND it prints
# the lines that do this in a shell: eval "$(sh third_party/env.sh)".
#
# That libtorch is the first of: $LIBTORCH, a folder with include/ and lib/ (an unpacked zip, or the
# torch folder of a Python package); third_party/libtorch, if fetch-libtorch.sh put it there; the
# system's. cgo puts CGO_CXXFLAGS and CGO_LDFLAGS before the #cgo lines of torch/, so the folder named
# here wins over an installed libtorch-dev.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

die() {
	printf 'libtorch: %s\n' "$*" >&2
	exit 1
}

# prepend FLAGS REST prints both, or only REST where it has FLAGS already: flags are part of the key of
# Go's build cache, and doubled ones would compile everything twice.
prepend() {
	case " $2 " in
	*" $1 "*) printf '%s' "$2" ;;
	*) printf '%s%s' "$1" "${2:+ $2}" ;;
	esac
}

quote() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# What links gotorch (build tag gotorch) finds its C library by this. As one of the flags below it
# would compile everything anew.
gotorch=$here/gotorch
if [ -e "$gotorch/libcgotorch.so" ]; then
	export LIBRARY_PATH="$gotorch${LIBRARY_PATH:+:$LIBRARY_PATH}"
	[ $# -gt 0 ] || printf 'export LIBRARY_PATH=%s\n' "$(quote "$LIBRARY_PATH")"
fi

# OpenMP's threads wait for each other by spinning, which takes the cores from other tests (see waitBriefly in cmd/liebm).
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}"

root=${LIBTORCH-}
if [ -z "$root" ] && [ -f "$here/libtorch/build-version" ]; then
	root=$here/libtorch
fi

if [ -z "$root" ]; then
	if [ ! -e /usr/include/torch/csrc/api/include/torch/version.h ] && [ -z "${CGO_CXXFLAGS-}${CPATH-}" ]; then
		die "none found: run 'make setup', or set LIBTORCH to a folder that has its include/ and lib/"
	fi
	[ $# -eq 0 ] || exec "$@"
	echo "# libtorch: the system's, nothing to set"
	exit
fi

given=$root
root=$(cd "$given" 2>/dev/null && pwd) || die "LIBTORCH=$given is not a folder; name the one that has libtorch's include/ and lib/, or unset it"
case $root in
*[[:space:]\'\",\$]*) die "LIBTORCH=$root: compilers' flags cannot carry this path; move or link it to one without spaces, commas, quotes and \$" ;;
esac
api=$root/include/torch/csrc/api/include
for file in "$api/torch/version.h" "$root/lib/libtorch_cpu.so"; do
	[ -e "$file" ] || die "$file is missing; LIBTORCH names the folder that has libtorch's include/ and lib/"
done

# Go's build cache does not see headers outside a package. With their checksum among the flags, another
# libtorch under the same path compiles anew instead of crashing.
#
# -isystem silences libtorch's own warnings; $api needs -I to come before the -I of cgo_system.go.
cxx="-isystem $root/include -I$api -DLIBTORCH_HEADERS=$(cksum <"$api/torch/version.h" | cut -d' ' -f1)"
abi=$(grep -o '_GLIBCXX_USE_CXX11_ABI=0' "$root/share/cmake/Torch/TorchConfig.cmake" 2>/dev/null | head -n 1) || true
cxx="$cxx${abi:+ -D$abi}" # wheels before 2.7 were built with the old std::string
ld="-L$root/lib -Wl,-rpath,$root/lib"

CGO_CXXFLAGS=$(prepend "$cxx" "${CGO_CXXFLAGS--O2 -g}")
CGO_LDFLAGS=$(prepend "$ld" "${CGO_LDFLAGS--O2 -g}")
if [ $# -gt 0 ]; then
	export CGO_CXXFLAGS CGO_LDFLAGS
	exec "$@"
fi
printf 'export CGO_CXXFLAGS=%s\n' "$(quote "$CGO_CXXFLAGS")"
printf 'export CGO_LDFLAGS=%s\n' "$(quote "$CGO_LDFLAGS")"
