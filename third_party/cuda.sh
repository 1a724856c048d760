#!/usr/bin/env bash
# cuda.sh runs the tests of GPUs where there is none: in a bare Debian 13 (fresh.sh) with libtorch 2.6.0
# built for CUDA, from Debian's contrib, whose two GPUs are idle: torch/torchtest/testdata/idle_cuda.c
# takes the place of NVIDIA's libraries, and no kernel runs. The binary is built with Debian's libtorch
# without CUDA, as ever. Needs root, 500 MB of downloads and 7 GB of disk.
#
#   KEEP=/folder, MIRROR=url, WORKTREE=1, TIMEOUT=seconds    as for fresh.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[ "${1-}" = inside ] || exec third_party/fresh.sh trixie 'make setup && third_party/cuda.sh inside'

lib=/opt/cuda
[ -e $lib ] || {
	sed 's/ main$/ contrib/' /etc/apt/sources.list >/etc/apt/sources.list.d/contrib.list
	apt-get update -q >/dev/null
	mkdir -p /tmp/cuda
	(cd /tmp/cuda && apt-get download -q libtorch-cuda-2.6 libtorch-cuda-dev libgloo-cuda-0 libtensorpipe-cuda-0)
	for deb in /tmp/cuda/*.deb; do dpkg -x "$deb" /tmp/cuda; done
	mkdir -p $lib
	mv /tmp/cuda/usr/lib/*.so* /tmp/cuda/usr/lib/x86_64-linux-gnu/*.so* $lib
	rm -rf /tmp/cuda
}

# libidle.so: what idle_cuda.c defines, and for every other function of NVIDIA's that is asked for, 0.
# Each gets the version that Debian's libraries ask for.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
gcc -c -O1 -fPIC -o "$work/idle.o" torch/torchtest/testdata/idle_cuda.c
nm -D --undefined-only $lib/lib*.so.* | awk '$1 == "U" { print $2 }' | sort -u >"$work/undefined"
grep -E '@(libcu|libnv)|^(nccl|cu[A-Z])' "$work/undefined" >"$work/asked"
nm --defined-only "$work/idle.o" | awk '{ print $3 }' | sort -u >"$work/have"
sed 's/@.*//' "$work/asked" | sort -u | comm -23 - "$work/have" | sed 's/.*/int &(void) { return 0; }/' >"$work/rest.c"
sed -n 's/@/ /p' "$work/asked" | awk '{ names[$2] = names[$2] " " $1 ";" } END { for (v in names) print v " {" names[v] " };" }' >"$work/versions"
gcc -shared -fPIC -w -o $lib/libidle.so "$work/idle.o" "$work/rest.c" -Wl,--version-script="$work/versions"
export LD_LIBRARY_PATH=$lib
find $lib -name 'lib*.so.*' -type f -exec ldd {} + | awk '/not found/ && $1 ~ /^lib(cu|nccl|nv)/ { print $1 }' | sort -u |
	while read -r name; do ln -sf libidle.so "$lib/$name"; done
missing=$(ldd $lib/libtorch_cuda.so | grep 'not found' || true)
[ -z "$missing" ] || {
	echo "cuda: not found: $missing" >&2
	exit 1
}

# cuDNN's newer interface asks more than idle_cuda.c can answer; UCX would catch Go's signals.
touch /dev/nvidiactl # the driver's sign of life
export LIEBM_TEST_IDLE_GPUS=1 TORCH_CUDNN_V8_API_DISABLED=1 UCX_HANDLE_ERRORS=none
sh third_party/env.sh go test -tags long -count=1 -v -run 'GPU|NCCL' ./torch ./train
