#!/bin/sh
# sbom.sh BINARY prints the parts of a liebm binary as SPDX 2.3 JSON: the Go modules, with the versions and checksums
# that go build recorded in it, and the libtorch that it loads here, with the SHA-256 of its main library.
set -eu
binary=$1
doctor=$(CUDA_VISIBLE_DEVICES='' "$binary" doctor)
field() { printf '%s\n' "$doctor" | awk -v name="$1" '$1 == name { print $2 }'; }
library=$(field library)
[ -f "$library" ] || { echo "sbom.sh: $binary doctor names no library of libtorch: build it with make build" >&2; exit 1; }
go version -m "$binary" | awk -F '\t' \
	-v version="$(field liebm)" -v sum="$(sha256sum "$binary" | cut -d' ' -f1)" -v now="$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
	-v torch="$(field libtorch)" -v torchsum="$(sha256sum "$library" | cut -d' ' -f1)" -v torchfile="${library##*/}" '
function part(name, version, rest) {
	n++
	printf "%s    {\"SPDXID\": \"SPDXRef-%d\", \"name\": \"%s\", \"versionInfo\": \"%s\", \"downloadLocation\": \"NOASSERTION\"%s}", (n == 1 ? "" : ",\n"), n, name, version, rest
}
function sha256(sum) { return ", \"checksums\": [{\"algorithm\": \"SHA256\", \"checksumValue\": \"" sum "\"}]" }
BEGIN {
	printf "{\n  \"spdxVersion\": \"SPDX-2.3\", \"dataLicense\": \"CC0-1.0\", \"SPDXID\": \"SPDXRef-DOCUMENT\", \"name\": \"liebm-%s\",\n", version
	printf "  \"documentNamespace\": \"https://github.com/liebm/liebm/sbom/%s\",\n", sum
	printf "  \"creationInfo\": {\"created\": \"%s\", \"creators\": [\"Tool: third_party/sbom.sh\"]},\n  \"packages\": [\n", now
	part("liebm", version, sha256(sum))
	part("libtorch", torch, sha256(torchsum) ", \"packageFileName\": \"" torchfile "\"")
}
NR == 1 { sub(/.*: go/, ""); part("Go", $0, "") }
$2 == "dep" {
	part($3, $4, ", \"comment\": \"" $5 "\", \"externalRefs\": [{\"referenceCategory\": \"PACKAGE-MANAGER\", \"referenceType\": \"purl\", \"referenceLocator\": \"pkg:golang/" $3 "@" $4 "\"}]")
}
END {
	printf "\n  ],\n  \"relationships\": [\n    {\"spdxElementId\": \"SPDXRef-DOCUMENT\", \"relationshipType\": \"DESCRIBES\", \"relatedSpdxElement\": \"SPDXRef-1\"}"
	for (i = 2; i <= n; i++) printf ",\n    {\"spdxElementId\": \"SPDXRef-1\", \"relationshipType\": \"DEPENDS_ON\", \"relatedSpdxElement\": \"SPDXRef-%d\"}", i
	print "\n  ]\n}"
}'
