// int(), uint(), double(), string(), bytes(), bool(), timestamp(), duration(), type(), dyn().
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <system_error>

#include "agents/cel/functions.h"
#include "agents/cel/numbers.h"
#include "agents/cel/time_text.h"
#include "core/encoding.h"

namespace assistiv::agents::cel {

namespace {

Value same(Memory&, Arguments args) {
  return args[0];
}
Value type_of_value(Memory&, Arguments args) {
  return Value::of_type(args[0].kind);
}

Value not_a_number() {
  return Value::error(Code::InvalidArgument, "This text is no such number.");
}
Value out_of_reach() {
  return Value::error(Code::Overflow, "The number is out of the range of this type.");
}

Value uint_to_int(Memory&, Arguments args) {
  const std::uint64_t value = args[0].unsigned_integer;
  if (value > static_cast<std::uint64_t>(INT64_MAX)) return out_of_reach();
  return Value::of_int(static_cast<std::int64_t>(value));
}
Value double_to_int(Memory&, Arguments args) {
  // The two ends themselves are not exact as doubles, so they are out (as in cel-go).
  if (!(std::abs(args[0].number) < 9223372036854775807.0)) return out_of_reach();
  return Value::of_int(static_cast<std::int64_t>(args[0].number));
}
template <typename Int>
std::optional<Int> parse_whole(std::string_view text) {
  Int out{};
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}
Value string_to_int(Memory&, Arguments args) {
  const auto out = parse_whole<std::int64_t>(args[0].str());
  return out ? Value::of_int(*out) : not_a_number();
}
Value time_to_int(Memory&, Arguments args) {
  return Value::of_int(args[0].integer);
}

Value int_to_uint(Memory&, Arguments args) {
  return args[0].integer < 0 ? out_of_reach() : Value::of_uint(static_cast<std::uint64_t>(args[0].integer));
}
Value double_to_uint(Memory&, Arguments args) {
  if (!(args[0].number >= 0 && args[0].number < 18446744073709551615.0)) return out_of_reach();
  return Value::of_uint(static_cast<std::uint64_t>(args[0].number));
}
Value string_to_uint(Memory&, Arguments args) {
  const auto out = parse_whole<std::uint64_t>(args[0].str());
  return out ? Value::of_uint(*out) : not_a_number();
}

Value int_to_double(Memory&, Arguments args) {
  return Value::of_double(static_cast<double>(args[0].integer));
}
Value uint_to_double(Memory&, Arguments args) {
  return Value::of_double(static_cast<double>(args[0].unsigned_integer));
}
Value string_to_double(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  const auto out = parse_double(args[0].str());
  return out ? Value::of_double(*out) : not_a_number();
}

Value bool_to_string(Memory&, Arguments args) {
  return Value::string(args[0].truth ? "true" : "false");
}
Value int_to_string(Memory& memory, Arguments args) {
  return memory.string(std::to_string(args[0].integer));
}
Value uint_to_string(Memory& memory, Arguments args) {
  return memory.string(std::to_string(args[0].unsigned_integer));
}
Value double_to_string(Memory& memory, Arguments args) {
  return memory.string(format_double(args[0].number));
}
Value time_to_string(Memory& memory, Arguments args) {
  return memory.string(args[0].is(Kind::Timestamp) ? format_timestamp(args[0]) : format_duration(args[0]));
}
Value bytes_to_string(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  if (!core::is_valid_utf8(args[0].str())) {
    return Value::error(Code::InvalidArgument, "These bytes are not valid UTF-8.");
  }
  return Value::string(args[0].str());
}
Value string_to_bytes(Memory&, Arguments args) {
  return Value::bytes(args[0].str());
}

Value string_to_bool(Memory&, Arguments args) {
  const auto text = args[0].str();
  for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return Value::boolean(true);
  }
  for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text == no) return Value::boolean(false);
  }
  return Value::error(Code::InvalidArgument, "This text is neither true nor false.");
}

Value string_to_timestamp(Memory&, Arguments args) {
  return parse_timestamp(args[0].str());
}
Value int_to_timestamp(Memory&, Arguments args) {
  return timestamp_of(Nanos{args[0].integer} * kNanosPerSecond);
}
Value string_to_duration(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  return parse_duration(args[0].str());
}
Value int_to_duration(Memory&, Arguments args) {
  return duration_of(Nanos{args[0].integer} * kNanosPerSecond);
}

constexpr Overload kConversionFunctions[] = {
    {"type", false, "*", 'T', type_of_value},
    {"dyn", false, "*", '*', same},
    {"int", false, "i", 'i', same},
    {"int", false, "u", 'i', uint_to_int},
    {"int", false, "d", 'i', double_to_int},
    {"int", false, "s", 'i', string_to_int},
    {"int", false, "t", 'i', time_to_int},
    {"int", false, "r", 'i', time_to_int},
    {"uint", false, "u", 'u', same},
    {"uint", false, "i", 'u', int_to_uint},
    {"uint", false, "d", 'u', double_to_uint},
    {"uint", false, "s", 'u', string_to_uint},
    {"double", false, "d", 'd', same},
    {"double", false, "i", 'd', int_to_double},
    {"double", false, "u", 'd', uint_to_double},
    {"double", false, "s", 'd', string_to_double},
    {"string", false, "s", 's', same},
    {"string", false, "b", 's', bool_to_string},
    {"string", false, "i", 's', int_to_string},
    {"string", false, "u", 's', uint_to_string},
    {"string", false, "d", 's', double_to_string},
    {"string", false, "t", 's', time_to_string},
    {"string", false, "r", 's', time_to_string},
    {"string", false, "y", 's', bytes_to_string},
    {"bytes", false, "y", 'y', same},
    {"bytes", false, "s", 'y', string_to_bytes},
    {"bool", false, "b", 'b', same},
    {"bool", false, "s", 'b', string_to_bool},
    {"timestamp", false, "t", 't', same},
    {"timestamp", false, "s", 't', string_to_timestamp},
    {"timestamp", false, "i", 't', int_to_timestamp},
    {"duration", false, "r", 'r', same},
    {"duration", false, "s", 'r', string_to_duration},
    {"duration", false, "i", 'r', int_to_duration},
};

}  // namespace

std::span<const Overload> conversion_functions() {
  return kConversionFunctions;
}

}  // namespace assistiv::agents::cel
