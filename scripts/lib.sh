# Sourced by the scripts of this folder.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
NODE="$ROOT/tests/js/node_modules/.bin/node"

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() { warn "error: $*"; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Those of the given Debian packages that are not installed, one per line.
missing_packages() {
  local have
  have="$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p')" || true
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$have")
}
