#!/bin/sh
# gotorch.sh [FOLDER] builds libcgotorch.so, the C library of github.com/wangkuiyi/gotorch that
# torch/gotorch needs, into FOLDER, by default third_party/gotorch, where env.sh and torch/gotorch look.
# The sources come unchanged from Go's module cache, in the version of go.mod. When nothing has changed
# it does nothing. Where they do not compile against a libtorch that is not in GOTORCH_TRIED, it says
# so, leaves no library, and succeeds.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source-path=SCRIPTDIR source=versions
. "$here/versions"
module=github.com/wangkuiyi/gotorch

say() { printf 'gotorch: %s\n' "$*"; }
die() {
	say "$*" >&2
	exit 1
}

out=${1:-$here/gotorch}
flags=$(sh "$here/env.sh")
eval "$flags"
cxx=${CXX:-g++}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here/.."
go mod download $module || die "cannot download $module: check the network and 'go env GOPROXY'"
source=$(go list -m -f '{{.Dir}}' $module)

# shellcheck disable=SC2086 # lists of flags
compile() { $cxx -x c++ -std=c++20 -w -I"$source" ${CGO_CXXFLAGS-} -idirafter /usr/include/torch/csrc/api/include "$@"; }

version=$(echo TORCH_VERSION | compile -E -P -include torch/version.h - | tail -n 1 | tr -d '"')
key="$source libtorch $version $cxx $($cxx -dumpfullversion) ${CGO_CXXFLAGS-} ${CGO_LDFLAGS-} $(cksum <"$here/gotorch.sh")"
if [ -e "$out/libcgotorch.so" ] && [ "$(cat "$out/built-from" 2>/dev/null)" = "$key" ]; then
	exit 0
fi

say "building its C library against libtorch $version, half a minute"
rm -f "$out/libcgotorch.so"
log=$(mktemp)
trap 'rm -f "$log" "$out/libcgotorch.so.tmp"' EXIT
trap 'exit 130' INT TERM HUP
# torch/torch.h takes nearly all of the time, so all sources are one translation unit.
# shellcheck disable=SC2086
if ! (cd "$source/cgotorch" && printf '#include "cgotorch/%s"\n' *.cc) |
	compile -O1 -g0 -fPIC -shared -o "$out/libcgotorch.so.tmp" - ${CGO_LDFLAGS-} -ltorch -ltorch_cpu -lc10 2>"$log"; then
	grep -m 5 -E 'error|undefined' "$log" >&2 || tail -n 5 "$log" >&2
	case " $GOTORCH_TRIED " in
	*" $(echo "$version" | cut -d. -f1,2) "*) die "its C library does not build against libtorch $version, where it did before: see above" ;;
	esac
	say "its C library does not build against libtorch $version, which nobody has tried (those tried: $GOTORCH_TRIED): torch/gotorch is not available here, everything else is"
	exit 0
fi
mv "$out/libcgotorch.so.tmp" "$out/libcgotorch.so"
printf '%s\n' "$key" >"$out/built-from"
