#!/usr/bin/env bash
# Runs clang-tidy-16 with .clang-tidy, each finding an error.
#
# usage: clang_tidy.sh [--all | FILE...]
#   without arguments: the sources that differ from the last commit, and those of the last commit
#   --all: every source of the product
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

BUILD=build/hygiene  # no unity: its compile commands are one per file
cmake --preset hygiene >/dev/null

changed() {
  { git diff --name-only HEAD; git ls-files -o --exclude-standard; git diff --name-only HEAD~1 HEAD 2>/dev/null || true; } | sort -u
}
case "${1:-}" in
  --all) files=$(git ls-files -- '*.cpp') ;;
  "") files=$(changed) ;;
  *) files=$(printf '%s\n' "$@") ;;
esac
files=$(grep -E '^(core|net|storage|billing|oauth|inference|mcp|agents|api)/.*\.cpp$' <<<"$files" || true)
[ -n "$files" ] || { echo "clang-tidy: nothing to look at"; exit 0; }

echo "clang-tidy: $(wc -l <<<"$files") files"
xargs -P "$(nproc)" -n 1 clang-tidy-16 -p "$BUILD" --quiet <<<"$files" 2> >(grep -vE '^[0-9]+ warnings? |^Suppressed |^Use -header-filter' >&2)
