#!/usr/bin/env bash
# Validates docker-compose.yml with docker compose, or, where that plugin is missing, with the library it is made with.
set -euo pipefail
cd "$(dirname "$0")/.."

if docker compose version >/dev/null 2>&1; then
	docker compose --profile '*' -f docker-compose.yml config --quiet
	echo "docker-compose.yml: valid"
else
	cd tools && go run ./composecheck ../docker-compose.yml
fi
