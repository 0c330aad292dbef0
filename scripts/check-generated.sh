#!/usr/bin/env bash
# Generates code from the protobuf files into a directory of its own and compares it with what is committed.
set -euo pipefail
cd "$(dirname "$0")/../api"

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
go tool -modfile=../tools/go.mod buf generate -o "$fresh"

# Protobuf files and the HTTP mapping are written by hand; everything else below aftertouch/ is generated.
if ! diff -r -q -x '*.proto' -x 'http.yaml' aftertouch "$fresh/aftertouch"; then
	echo "generated code differs from the protobuf files: run 'make generate' and commit the result" >&2
	exit 1
fi
echo "generated code is fresh"
