#!/usr/bin/env bash
# Every source and header of the product, and every source of the tests' support, compiles without its neighbours of a unity build.
# What the standard library, Boost.Asio and nlohmann/json declare is there from the start, for half the time: what is
# found missing is an #include of the project's own.
#
# usage: stand_alone.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

BUILD="$PWD/build/hygiene"  # no unity: its compile commands are one per file
cmake --preset hygiene >/dev/null

cat >"$BUILD/prelude.h" <<'EOF'
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>
EOF
# A precompiled header serves whoever was compiled with the same options.
options=$(jq -r '.[0].command | [scan("(?:^| )(-[DOgfWs][^ ]*)")[]] | join(" ")' "$BUILD/compile_commands.json")
# shellcheck disable=SC2086
clang++-16 $options -pthread -x c++-header "$BUILD/prelude.h" -o "$BUILD/prelude.pch"

commands=$(jq -r --arg root "$PWD" '.[]
  | select(.file | ltrimstr($root) | test("^/tests/(unit|integration|tools)/|^/build/hygiene/generated/") | not)
  | .command + " -fsyntax-only -pthread -include-pch prelude.pch"' "$BUILD/compile_commands.json")
[ -n "$commands" ] || { echo "stand_alone: nothing to look at"; exit 1; }
echo "stand_alone: $(wc -l <<<"$commands") files"
cd "$BUILD"
xargs -d '\n' -P "$(nproc)" -n 1 bash -c <<<"$commands"
