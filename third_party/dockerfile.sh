#!/usr/bin/env bash
# dockerfile.sh [TARGET] runs the steps of Dockerfile.cuda that make TARGET (cpu) where there is no
# Docker. Each stage is a folder: a bare Debian (fresh.sh), in which this machine's Go stands in for the
# golang image, or a copy of the stage it builds on. Each RUN runs chroot-ed in it; COPY, ENV, WORKDIR
# and USER do what they do in Docker. Last, the HEALTHCHECK runs as the image's user. Needs root and
# about 6 GB of disk.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(dirname "$here")
target=${1:-cpu}

say() { printf 'dockerfile: %s\n' "$*"; }
die() {
	say "$*" >&2
	exit 1
}
[ "$(id -u)" -eq 0 ] || die "needs root, for chroot: run it with sudo"
work=$(mktemp -d "${TMPDIR:-/var/tmp}/dockerfile.XXXXXX")
trap 'rm -rf "$work"' EXIT
declare -A args=() base=() body=() env=() user=() dir=() health=()

# The instructions, one a line, without comments and continued lines.
stage=
while read -r word rest; do
	for name in "${!args[@]}"; do rest=${rest//"\${$name}"/${args[$name]}}; done
	case $word in
	ARG) args[${rest%%=*}]=${rest#*=} ;;
	FROM)
		read -r from _ stage <<<"$rest"
		base[$stage]=$from body[$stage]=''
		;;
	*) body[$stage]+="$word $rest"$'\n' ;;
	esac
done < <(sed '/^ *#/d; /^ *$/d' "$repo/Dockerfile.cuda" | sed ':a; /\\$/ { N; s/\\\n//; ba }')
[ -n "${base[$target]-}" ] || die "Dockerfile.cuda has no stage $target; it has ${!base[*]}"

# in_root STAGE COMMAND runs a shell command as Docker would in that stage.
in_root() {
	local root=$work/$1 go='' settings=()
	[ ! -e "$root/.golang" ] || go=$(go env GOROOT)
	for name in GOPROXY GOFLAGS GOSUMDB GONOSUMDB GOPRIVATE GONOPROXY GOINSECURE; do settings+=("$name=$(go env $name)"); done
	for name in http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY; do
		[ -z "${!name-}" ] || settings+=("$name=${!name}")
	done
	# shellcheck disable=SC2016,SC2086 # expanded by the inner shell; env is words
	unshare --mount --pid --fork --kill-child --propagation private bash -euc '
		root=$1 go=$2 user=$3
		shift 3
		[ -z "$go" ] || mount --bind "$go" "$root/usr/local/go"
		mount -t proc proc "$root/proc"
		exec chroot --userspec="$user" "$root" env -i "$@"' _ "$root" "$go" "${user[$1]}" \
		HOME=/tmp GOTOOLCHAIN=local "${settings[@]}" ${env[$1]} \
		PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		sh -c "cd ${dir[$1]} && $2" </dev/null
}

# copy STAGE ARGUMENTS is COPY, from the repository's last commit or from another stage.
copy() {
	local root=$work/$1 from=$work/context to
	shift
	[ -e "$from" ] || { mkdir "$from" && git -C "$repo" archive HEAD | tar -C "$from" -xf -; }
	case $1 in
	--from=*)
		build "${1#--from=}"
		from=$work/${1#--from=}
		shift
		;;
	esac
	to=${*: -1}
	[ "${to#/}" != "$to" ] || to=${dir[$stage]}/$to
	for file in "${@:1:$#-1}"; do
		if [ -d "$from/$file" ]; then
			mkdir -p "$root$to"
			cp -a "$from/$file/." "$root$to"
		else
			mkdir -p "$(dirname "$root$to")"
			cp -a "$from/$file" "$root$to"
		fi
	done
}

# build STAGE makes its root, after those that it needs.
build() {
	local stage=$1 from=${base[$1]} root=$work/$1 start
	[ ! -e "$root" ] || return 0
	if [ -n "${base[$from]-}" ]; then
		build "$from"
		cp -a "$work/$from" "$root"
		env[$stage]=${env[$from]} user[$stage]=${user[$from]} dir[$stage]=${dir[$from]} health[$stage]=${health[$from]}
	else
		local release=${from%-slim}
		KEEP=$root "$here/fresh.sh" "${release##*[-:]}" true >"$work/log" 2>&1 || die "no bare ${release##*[-:]}: $(tail -n 3 "$work/log")"
		rm -rf "$root/src"
		env[$stage]='' user[$stage]=root dir[$stage]=/ health[$stage]=''
		[ "${from#golang:}" = "$from" ] || touch "$root/.golang"
	fi
	local word rest
	while read -r word rest <&3; do
		start=$SECONDS
		case $word in
		RUN) in_root "$stage" "$rest" >"$work/log" 2>&1 || die "$stage: RUN $rest: $(tail -n 20 "$work/log")" ;;
		COPY) eval "copy $stage $rest" ;;
		WORKDIR) dir[$stage]=$rest && mkdir -p "$root$rest" ;;
		ENV) env[$stage]+=" $rest" ;;
		USER) user[$stage]=$rest ;;
		HEALTHCHECK) health[$stage]=$rest ;;
		VOLUME) eval "ls -d ${rest//\// $root/}" >/dev/null ;;
		ENTRYPOINT | CMD) ;;
		*) die "what is $word?" ;;
		esac
		say "$stage: $word $rest ($((SECONDS - start)) s)"
	done 3<<<"${body[$stage]%$'\n'}"
}

build "$target"
command=$(sed 's/.*CMD \[//; s/\]//; s/", "/ /g; s/"//g' <<<"${health[$target]}")
[ "${user[$target]}" != root ] || die "the image runs as root"
in_root "$target" "$command && touch /data/written /runs/written"
say "$target: as ${user[$target]}, '$command' succeeds, and /data and /runs can be written"
