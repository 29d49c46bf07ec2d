#include "agents/cel/compare.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

namespace assistiv::agents::cel {

namespace {

constexpr double kTwo63 = 9223372036854775808.0;
constexpr int kValueDepthMax = 200;

std::partial_ordering reversed(std::partial_ordering order) {
  return 0 <=> order;
}

std::partial_ordering int_uint(std::int64_t a, std::uint64_t b) {
  if (a < 0) return std::partial_ordering::less;
  return static_cast<std::uint64_t>(a) <=> b;
}

// An int and a double are compared as doubles, as in the other implementations of CEL.
std::partial_ordering int_double(std::int64_t a, double b) {
  return static_cast<double>(a) <=> b;
}
std::partial_ordering uint_double(std::uint64_t a, double b) {
  return static_cast<double>(a) <=> b;
}

std::partial_ordering order_numbers(const Value& a, const Value& b) {
  if (a.is(Kind::Int)) {
    if (b.is(Kind::Int)) return a.integer <=> b.integer;
    return b.is(Kind::Uint) ? int_uint(a.integer, b.unsigned_integer) : int_double(a.integer, b.number);
  }
  if (a.is(Kind::Uint)) {
    if (b.is(Kind::Uint)) return a.unsigned_integer <=> b.unsigned_integer;
    return b.is(Kind::Int) ? reversed(int_uint(b.integer, a.unsigned_integer))
                           : uint_double(a.unsigned_integer, b.number);
  }
  if (b.is(Kind::Double)) return a.number <=> b.number;
  return reversed(b.is(Kind::Int) ? int_double(b.integer, a.number)
                                  : uint_double(b.unsigned_integer, a.number));
}

bool equal_at(Memory& memory, const Value& a, const Value& b, int depth);

bool equal_lists(Memory& memory, const Value& a, const Value& b, int depth) {
  if (a.size != b.size) return false;
  for (std::size_t i = 0; i < a.size; ++i) {
    if (!equal_at(memory, a.at(i), b.at(i), depth)) return false;
  }
  return true;
}

bool equal_maps(Memory& memory, const Value& a, const Value& b, int depth) {
  if (a.size != b.size) return false;
  MapReader members(a);
  while (const auto member = members.next()) {
    const auto other = find_member(memory, b, member->key);
    if (!other || !equal_at(memory, member->value, *other, depth)) return false;
  }
  return true;
}

bool equal_at(Memory& memory, const Value& a, const Value& b, int depth) {
  memory.charge(1);
  if (a.is_number() && b.is_number()) return order_numbers(a, b) == 0;
  if (a.kind != b.kind) return false;
  if (depth > kValueDepthMax)
    throw EvaluationError("invalid_argument", "A value is nested too deeply to be compared.");
  switch (a.kind) {
    case Kind::Bool:
      return a.truth == b.truth;
    case Kind::String:
    case Kind::Bytes:
      if (a.size != b.size) return false;
      memory.charge(a.size / kBytesPerStep);
      return a.str() == b.str();
    case Kind::Timestamp:
    case Kind::Duration:
      return a.integer == b.integer && a.nanos() == b.nanos();
    case Kind::Type:
      return a.type == b.type;
    case Kind::List:
      return equal_lists(memory, a, b, depth + 1);
    case Kind::Map:
      return equal_maps(memory, a, b, depth + 1);
    default:
      return true;  // null
  }
}

}  // namespace

bool equal(Memory& memory, const Value& a, const Value& b) {
  return equal_at(memory, a, b, 0);
}

bool have_order(Kind a, Kind b) {
  const auto number = [](Kind kind) {
    return kind == Kind::Int || kind == Kind::Uint || kind == Kind::Double;
  };
  if (number(a) && number(b)) return true;
  return a == b && (a == Kind::Bool || a == Kind::String || a == Kind::Bytes || a == Kind::Timestamp ||
                    a == Kind::Duration);
}

std::optional<std::partial_ordering> order(Memory& memory, const Value& a, const Value& b) {
  if (!have_order(a.kind, b.kind)) return std::nullopt;
  if (a.is_number()) return order_numbers(a, b);
  switch (a.kind) {
    case Kind::Bool:
      return a.truth <=> b.truth;
    case Kind::String:
    case Kind::Bytes:
      memory.charge(std::min(a.size, b.size) / kBytesPerStep);
      return a.str().compare(b.str()) <=> 0;  // UTF-8 sorts as its code points do
    default:
      return a.integer != b.integer ? a.integer <=> b.integer : a.nanos() <=> b.nanos();
  }
}

std::optional<Value> find_member(Memory& memory, const Value& map, const Value& key) {
  if (map.is_view) {
    if (!key.is(Kind::String)) return std::nullopt;
    memory.charge_text(key.size);
    const auto& members = map.json->get_ref<const core::Json::object_t&>();
    const auto it = members.find(key.str());
    return it == members.end() ? std::nullopt : std::optional<Value>(Value::view(it->second));
  }
  for (std::size_t i = 0; i < map.size; ++i) {
    if (equal(memory, map.entries[i].key, key)) return map.entries[i].value;
  }
  return std::nullopt;
}

std::optional<std::int64_t> whole_number(const Value& value) {
  if (value.is(Kind::Int)) return value.integer;
  if (value.is(Kind::Uint) && value.unsigned_integer <= static_cast<std::uint64_t>(INT64_MAX)) {
    return static_cast<std::int64_t>(value.unsigned_integer);
  }
  if (value.is(Kind::Double) && std::trunc(value.number) == value.number && std::abs(value.number) < kTwo63) {
    return static_cast<std::int64_t>(value.number);
  }
  return std::nullopt;
}

}  // namespace assistiv::agents::cel
