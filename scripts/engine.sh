#!/usr/bin/env bash
# Brings the ClickHouse engine library (libchdb.so) that `aftertouch all` and the tests run on.
#
# The library is taken from the npm package @chdb/lib-<platform>, checked against the sha512 pinned below, and put
# at ${XDG_CACHE_HOME:-$HOME/.cache}/aftertouch/chdb/<version>/libchdb.so. A second run finds it there and ends at once.
#
#   AFTERTOUCH_CHDB_LIB        use this libchdb.so; nothing is fetched
#   AFTERTOUCH_CHDB_TGZ        take the package from this file instead of the network
#   AFTERTOUCH_CHDB_INTEGRITY  the package's integrity (sha512-...), for a platform that has none pinned here
set -euo pipefail

VERSION="26.7.3-stable.1"

fail() {
	echo "engine: $1" >&2
	shift
	for line in "$@"; do echo "engine:   $line" >&2; done
	exit 1
}

remedy() {
	fail "$1" \
		"either set AFTERTOUCH_CHDB_LIB to a libchdb.so of version ${VERSION%%-*}," \
		"or run on a ClickHouse server: --clickhouse-dsn=clickhouse://USER:PASSWORD@HOST:9000/DATABASE" \
		"(tests: AFTERTOUCH_TEST_CLICKHOUSE_DSN)."
}

platform() {
	case "$(uname -s)/$(uname -m)" in
		Linux/x86_64 | Linux/amd64) echo linux-x64-gnu ;;
		Linux/aarch64 | Linux/arm64) echo linux-arm64-gnu ;;
		Darwin/x86_64) echo darwin-x64 ;;
		Darwin/arm64) echo darwin-arm64 ;;
		*) echo none ;;
	esac
}

# Integrity of each platform's package, as its publisher's registry record states it.
integrity() {
	if [ -n "${AFTERTOUCH_CHDB_INTEGRITY:-}" ]; then
		echo "$AFTERTOUCH_CHDB_INTEGRITY"
		return
	fi
	case "$1" in
		linux-x64-gnu) echo "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw==" ;;
	esac
}

sha512() {
	if command -v openssl >/dev/null; then
		echo "sha512-$(openssl dgst -sha512 -binary "$1" | openssl base64 -A)"
	elif command -v node >/dev/null; then
		node -e 'const h=require("crypto").createHash("sha512");require("fs").createReadStream(process.argv[1]).on("data",d=>h.update(d)).on("end",()=>console.log("sha512-"+h.digest("base64")))' "$1"
	else
		fail "neither openssl nor node is here to check the package's sha512: install one of them"
	fi
}

# fetch PACKAGE DIR prints the path of the package's archive.
fetch() {
	if [ -n "${AFTERTOUCH_CHDB_TGZ:-}" ]; then
		[ -r "$AFTERTOUCH_CHDB_TGZ" ] || fail "AFTERTOUCH_CHDB_TGZ names $AFTERTOUCH_CHDB_TGZ, which cannot be read"
		echo "$AFTERTOUCH_CHDB_TGZ"
		return
	fi
	command -v npm >/dev/null || remedy "npm is missing, and the engine library comes from npm: install Node.js with npm and run make engine again;"
	echo "engine: fetching $1 (about 170 MB)" >&2
	(cd "$2" && npm pack --silent --ignore-scripts "$1" >/dev/null) ||
		remedy "npm pack $1 failed: this platform's package is missing or the registry was not reached;"
	find "$2" -maxdepth 1 -name '*.tgz'
}

main() {
	if [ -n "${AFTERTOUCH_CHDB_LIB:-}" ]; then
		[ -r "$AFTERTOUCH_CHDB_LIB" ] || fail "AFTERTOUCH_CHDB_LIB names $AFTERTOUCH_CHDB_LIB, which cannot be read"
		echo "engine: using $AFTERTOUCH_CHDB_LIB (AFTERTOUCH_CHDB_LIB)"
		return
	fi
	local dir lib platform want got tgz
	dir="${XDG_CACHE_HOME:-$HOME/.cache}/aftertouch/chdb/$VERSION"
	lib="$dir/libchdb.so"
	if [ -s "$lib" ]; then
		echo "engine: $lib"
		return
	fi

	platform="$(platform)"
	[ "$platform" != none ] || remedy "there is no engine library for $(uname -s)/$(uname -m);"
	if [ "$platform" = linux-x64-gnu ] || [ "$platform" = linux-arm64-gnu ]; then
		if ldd --version 2>&1 | grep -qi musl; then remedy "the engine library needs glibc, and this system runs on musl;"; fi
	fi
	want="$(integrity "$platform")"
	[ -n "$want" ] || remedy "no integrity is pinned for $platform: look it up with 'npm view @chdb/lib-$platform@$VERSION dist.integrity', judge it, and pass it as AFTERTOUCH_CHDB_INTEGRITY;"

	mkdir -p "$dir"
	# Not local: the trap runs after main has returned. Inside $dir, so that the last step is a rename on one file system.
	work="$(mktemp -d "$dir/.fetch.XXXXXX")"
	trap 'rm -rf "$work"' EXIT
	tgz="$(fetch "@chdb/lib-$platform@$VERSION" "$work")"
	got="$(sha512 "$tgz")"
	[ "$got" = "$want" ] || fail "the package's sha512 differs from the pinned one: refusing it" "pinned: $want" "found:  $got"
	tar -xzf "$tgz" -C "$work" package/libchdb.so
	chmod 0644 "$work/package/libchdb.so"
	mv -f "$work/package/libchdb.so" "$lib"
	echo "engine: $lib"
}

main "$@"
