#!/usr/bin/env bash
# matrix.sh [RELEASE...] runs the whole test suite on the libtorch of each Debian RELEASE, by default
# bookworm (1.13.1), trixie (2.6.0) and forky (2.14.1): for each it makes a bare root (fresh.sh),
# installs there what the project's own set-up installs, and runs go test ./... and make gotorch inside.
# Needs root and about 4 GB of disk at a time; the roots are removed. Ends with a table, and fails if a
# release did.
#
#   LOGS=folder   where each release's output goes; by default a temporary folder, named at the end
#   TIMEOUT=2400  seconds for each release
#   WORKTREE=1    the working tree, uncommitted changes too, in place of a clone of HEAD
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ "$(id -u)" -eq 0 ] || {
	echo "matrix: needs root, for chroot: run it with sudo" >&2
	exit 1
}
[ $# -gt 0 ] || set -- bookworm trixie forky
logs=${LOGS:-$(mktemp -d "${TMPDIR:-/tmp}/matrix.XXXXXX")}
mkdir -p "$logs"
export TIMEOUT=${TIMEOUT:-2400}

table='' failed=0
for release in "$@"; do
	log=$logs/$release.log
	echo "matrix: $release, output in $log"
	start=$SECONDS
	# shellcheck disable=SC2016 # expanded in the root
	if "$here/fresh.sh" "$release" 'make setup && echo "libtorch $(dpkg-query -W -f "\${Version}" libtorch-dev)" && sh third_party/env.sh go test -timeout 30m ./... && make gotorch' >"$log" 2>&1; then
		verdict=ok
	else
		verdict=FAILED failed=1
	fi
	version=$(sed -n 's/^libtorch //p' "$log" | head -n 1)
	table+=$(printf '%-9s libtorch %-16s %-6s %4d s' "$release" "${version:-not installed}" "$verdict" $((SECONDS - start)))$'\n'
	[ "$verdict" = ok ] || grep -E '^(--- FAIL|FAIL|panic|fresh:|setup:)|error:' "$log" | tail -n 20 || true
done
printf '%s' "$table"
echo "matrix: the whole output is in $logs"
exit "$failed"
