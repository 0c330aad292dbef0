#!/usr/bin/env bash
# Measures what users feel: collecting, applying, freshness and reports; the machine is named first. BENCH picks benchmarks by
# name; micro=1 adds those of single packages. Client, server and engines share the machine.
set -euo pipefail
cd "$(dirname "$0")/.."

cpu=$(grep -m1 'model name' /proc/cpuinfo 2>/dev/null | cut -d: -f2- | xargs || sysctl -n machdep.cpu.brand_string)
memory=$(awk '/MemTotal/ {printf "%.0f GiB", $2 / 1048576}' /proc/meminfo 2>/dev/null || echo "unknown memory")
echo "machine: ${cpu:-unknown processor}, $(getconf _NPROCESSORS_ONLN) cores, ${memory}, $(uname -sr)"
echo "load before: $(uptime | sed 's/.*load average[s]*: //')"
echo "commit: $(git rev-parse --short HEAD 2>/dev/null || echo unknown)"

bench() { # heading, package, benchmarks, time for each
	printf '\n== %s\n' "$1"
	go test "$2" -run '^$' -bench "${BENCH:-$3}" -benchtime "$4" -timeout 40m | grep -vE '^(goos|goarch|pkg|cpu):|^(PASS|ok)'
}

bench "collect: events and pixels acknowledged by the brokers, one server with everything in it" ./internal/e2e 'Collect|Pixel' 10s
bench "fresh: from acknowledgement to the report performance, idle server" ./internal/e2e Freshness 200x
bench "apply: events applied with 10 M touches in state, without and with their rows in ClickHouse" ./services/attributor 'Apply|Protocol' 10x
bench "reports: performance and exposure over 1 M journeys and 20 M facts" ./services/query Reports 40x
if [ "${micro:-}" = 1 ]; then
	bench "single packages" ./... . 1s
fi
