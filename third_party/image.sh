#!/usr/bin/env bash
# image.sh builds the CPU target of Dockerfile.cuda from the last commit and tries the image as a user would, without a
# Docker engine or a registry: buildah builds it, podman runs it. The two base images are made here, from a bare Debian
# and this machine's Go. Needs root, a Debian mirror, a Go module proxy and about 8 GB of disk; installs buildah, podman
# and runc.
#
#   KEEP=/folder    images are stored there and stay; the next call takes the base images from there
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf 'image: %s (%d s)\n' "$*" "$SECONDS"; }
die() {
	printf 'image: %s\n' "$*" >&2
	exit 1
}
[ "$(id -u)" -eq 0 ] || die "needs root: run it with sudo; or use docker build, as the head of Dockerfile.cuda says"
for tool in buildah podman runc; do
	command -v $tool >/dev/null || apt-get install -q -y --no-install-recommends buildah podman runc >/dev/null ||
		die "cannot install $tool: run 'apt-get update' and try again"
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/image.XXXXXX")
keep=${KEEP:-$work}
store=(--root "$keep/store" --runroot "$keep/run" --storage-driver vfs)
export DISABLE_HC_SYSTEMD=true # no timers for health checks: systemd need not run
podman() { command podman "${store[@]}" --runtime runc "$@"; }
# chroot isolation and the host's network also work inside a container.
bud() { buildah "${store[@]}" bud --isolation chroot --network host --pull=never --format docker "$@" >>"$work/log" 2>&1; }
# run is docker run. Its default limits are higher than a container may set.
run() { podman run --network host --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --volume data:/data "$@"; }
finish() {
	podman rm --all --force --volumes >/dev/null 2>&1 || true
	podman volume rm --all --force >/dev/null 2>&1 || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM HUP

debian=$(sed -n 's/^ARG DEBIAN=//p' "$repo/Dockerfile.cuda")
go=$(go env GOVERSION) go=${go#go}
slim=docker.io/library/debian:$debian-slim golang=docker.io/library/golang:$go-$debian
if ! podman image exists "$slim"; then
	"$repo/third_party/debian.sh" "$debian" "$work/root"
	tar -C "$work/root" -c . | podman import --quiet - "$slim" >/dev/null
	rm -rf "$work/root"
fi
if ! podman image exists "$golang"; then
	bud --tag "$golang" --file - "$(go env GOROOT)" <<-EOT || die "no $golang: $(tail -n 20 "$work/log")"
		FROM $slim
		RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates g++ git make
		COPY . /usr/local/go
		ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOTOOLCHAIN=local
	EOT
fi
say "base images $slim and $golang"

git clone -q "file://$repo" "$work/src"
bud --tag liebm:cpu --file Dockerfile.cuda --target cpu --build-arg "GO_VERSION=$go" "$work/src" ||
	die "the build failed: $(tail -n 20 "$work/log")"
say "built $(git -C "$work/src" log -1 --format='%h %s'): $(podman image inspect --format '{{.Size}}' liebm:cpu | numfmt --to=iec)B"

user=$(run --rm --entrypoint id liebm:cpu -u)
[ "$user" != 0 ] || die "the image runs as root"
run --rm liebm:cpu doctor
say "doctor passes as user $user"

run --detach --name demo --volume runs:/runs liebm:cpu pretrain --preset fmnist-simclr --steps 4 --set batch=8 --out /runs/h >/dev/null
podman healthcheck run demo || die "the health check fails: $(podman inspect demo)"
say "the health check passes"
[ "$(podman wait demo)" = 0 ] || die "pretraining failed: $(podman logs demo 2>&1 | tail -n 20)"
run --rm --volume runs:/runs liebm:cpu train --preset fmnist-em --encoder /runs/h --steps 4 --out /runs/demo
run --rm --volume runs:/runs liebm:cpu sample --run /runs/demo --n 16 --out /runs/samples.npz
say "a short training into a volume, and a sample of it"

mkdir "$work/mine" "$work/roots"
chown 4321:4321 "$work/mine"
run --rm --user 4321:4321 --volume "$work/mine:/out" --volume runs:/runs liebm:cpu sample --run /runs/demo --n 16 --out /out/samples.npz
[ "$(stat --format %u "$work/mine/samples.npz")" = 4321 ] || die "samples.npz does not belong to the user of --user"
if run --rm --volume "$work/roots:/runs" liebm:cpu demo --out /runs/demo >"$work/log" 2>&1 || ! grep -e '--user' "$work/log"; then
	die "a folder of root's: no error that names --user: $(cat "$work/log")"
fi
say "--user writes to that user's folder; a folder of root's is an error that names --user"
