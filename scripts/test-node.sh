#!/usr/bin/env bash
# Runs the core tests (scripts/test-core.js) on each version of Node that is named: bash scripts/test-node.sh 22 24 26
set -euo pipefail
cd "$(dirname "$0")/.."
status=0
for version in "$@"; do
  for attempt in 1 2 3; do
    npx --yes --package "node@$version" node --version >/dev/null && break
    echo "node@$version could not be fetched, attempt $attempt" >&2
  done
  npx --yes --package "node@$version" node scripts/test-core.js || status=1
done
exit "$status"
