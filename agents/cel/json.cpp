#include "agents/cel/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "agents/cel/numbers.h"
#include "agents/cel/time_text.h"
#include "core/encoding.h"

namespace assistiv::agents::cel {

namespace {

using core::Json;

constexpr int kLevelsMax = 200;

[[noreturn]] void no_json(const char* message) {
  throw EvaluationError("invalid_argument", message);
}

void enter(int depth) {
  if (depth > kLevelsMax) no_json("The value is nested too deeply.");
}

// What a copy takes, before it is made.
void charge_copy(Memory& memory, const Json& json, int depth) {
  enter(depth);
  memory.charge(1);
  std::size_t bytes = sizeof(Json);
  if (json.is_string()) bytes += json.get_ref<const std::string&>().size();
  memory.charge(bytes / kBytesPerStep);
  memory.charge_bytes(bytes);
  if (json.is_object()) {
    for (const auto& [name, member] : json.get_ref<const Json::object_t&>()) {
      memory.charge_bytes(name.size() + sizeof(Json));
      charge_copy(memory, member, depth + 1);
    }
  } else if (json.is_array()) {
    for (const auto& element : json) charge_copy(memory, element, depth + 1);
  }
}

std::string scalar_text(const Value& value) {
  switch (value.kind) {
    case Kind::Timestamp:
      return format_timestamp(value);
    case Kind::Duration:
      return format_duration(value);
    case Kind::Type:
      return std::string(kind_name(value.type));
    default:
      return core::base64_encode(value.str());
  }
}

// A key as the name of a member.
std::string name_of(const Value& key) {
  switch (key.kind) {
    case Kind::Bool:
      return key.truth ? "true" : "false";
    case Kind::Int:
      return std::to_string(key.integer);
    case Kind::Uint:
      return std::to_string(key.unsigned_integer);
    default:
      return std::string(key.str());
  }
}

Json copy(Memory& memory, const Value& value, int depth) {
  enter(depth);
  memory.charge(1);
  memory.charge_bytes(sizeof(Json));
  switch (value.kind) {
    case Kind::Null:
      return nullptr;
    case Kind::Bool:
      return value.truth;
    case Kind::Int:
      return value.integer;
    case Kind::Uint:
      return value.unsigned_integer;
    case Kind::Double:
      if (!std::isfinite(value.number)) no_json("JSON has no infinite numbers and no NaN.");
      return value.number;
    case Kind::String:
      memory.charge(value.size / kBytesPerStep);
      memory.charge_bytes(value.size);
      return std::string(value.str());
    case Kind::List:
    case Kind::Map:
      break;
    default:
      memory.charge_bytes(2 * static_cast<std::size_t>(value.is(Kind::Bytes) ? value.size : 0));
      return scalar_text(value);
  }
  if (value.is_view) {
    charge_copy(memory, *value.json, depth);
    return *value.json;
  }
  Json out = value.is(Kind::List) ? Json::array() : Json::object();
  if (value.is(Kind::List)) {
    for (std::size_t i = 0; i < value.size; ++i) out.push_back(copy(memory, value.items[i], depth + 1));
    return out;
  }
  for (std::size_t i = 0; i < value.size; ++i) {
    std::string name = name_of(value.entries[i].key);
    memory.charge_bytes(name.size() + sizeof(Json));
    out[std::move(name)] = copy(memory, value.entries[i].value, depth + 1);
  }
  return out;
}

void write_string(TextBuilder& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out.add('"');
  std::size_t begin = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out.add(text.substr(begin, i - begin));
    begin = i + 1;
    constexpr std::string_view kShort = "\b\t\n\f\r\"\\";
    constexpr std::string_view kLetter = "btnfr\"\\";
    if (const auto at = kShort.find(text[i]); at != std::string_view::npos) {
      out.add('\\');
      out.add(kLetter[at]);
    } else {
      out.add("\\u00");
      out.add(kHex[c >> 4]);
      out.add(kHex[c & 15]);
    }
  }
  out.add(text.substr(begin));
  out.add('"');
}

void write(TextBuilder& out, Memory& memory, const Value& value, int depth) {
  enter(depth);
  memory.charge(1);
  switch (value.kind) {
    case Kind::Null:
      return out.add("null");
    case Kind::Bool:
      return out.add(value.truth ? "true" : "false");
    case Kind::Int:
      return out.add(std::to_string(value.integer));
    case Kind::Uint:
      return out.add(std::to_string(value.unsigned_integer));
    case Kind::Double:
      if (!std::isfinite(value.number)) no_json("JSON has no infinite numbers and no NaN.");
      return out.add(format_double(value.number));
    case Kind::String:
      return write_string(out, value.str());
    case Kind::List:
      out.add('[');
      for (std::size_t i = 0; i < value.size; ++i) {
        if (i > 0) out.add(',');
        write(out, memory, value.at(i), depth + 1);
      }
      return out.add(']');
    case Kind::Map:
      break;
    default:
      memory.charge_bytes(2 * static_cast<std::size_t>(value.is(Kind::Bytes) ? value.size : 0));
      return write_string(out, scalar_text(value));
  }
  std::map<std::string, Value> sorted;
  MapReader members(value);
  while (const auto member = members.next()) {
    memory.charge_bytes(sizeof(Entry));
    sorted.insert_or_assign(name_of(member->key), member->value);
  }
  bool first = true;
  out.add('{');
  for (const auto& [name, member] : sorted) {
    if (!std::exchange(first, false)) out.add(',');
    write_string(out, name);
    out.add(':');
    write(out, memory, member, depth + 1);
  }
  out.add('}');
}

}  // namespace

Json to_json(Memory& memory, const Value& value) {
  return copy(memory, value, 0);
}

void write_json(TextBuilder& out, Memory& memory, const Value& value) {
  write(out, memory, value, 0);
}

void write_text(TextBuilder& out, Memory& memory, const Value& value) {
  if (value.is(Kind::String)) return out.add(value.str());
  // Without the quotes that JSON puts around them.
  if (value.is(Kind::Timestamp) || value.is(Kind::Duration) || value.is(Kind::Type))
    return out.add(scalar_text(value));
  write_json(out, memory, value);
}

}  // namespace assistiv::agents::cel
