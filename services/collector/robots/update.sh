#!/bin/sh
# Renews the robot list from the npm package crawler-user-agents. Usage: update.sh VERSION
set -eu
here=$(cd "$(dirname "$0")" && pwd)
version=${1:?usage: update.sh VERSION}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "crawler-user-agents@$version" >/dev/null
tar xzf ./*.tgz
node -e '
  const list = require("./package/crawler-user-agents.json");
  process.stdout.write(list.map(e => e.tags.sort().join(",") + "\t" + e.pattern + "\n").join(""));
' > "$here/patterns.tsv"
cp package/LICENSE "$here/LICENSE.crawler-user-agents"
sed -i "s/crawler-user-agents [0-9.]* by/crawler-user-agents $version by/" "$here/robots.go"
wc -l "$here/patterns.tsv"
