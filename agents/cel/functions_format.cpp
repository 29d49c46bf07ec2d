// "...".format([...]): %s %d %f %e %b %o %x %X, with a precision for %f and %e.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "agents/cel/functions.h"
#include "agents/cel/numbers.h"
#include "agents/cel/time_text.h"
#include "core/encoding.h"

namespace assistiv::agents::cel {

namespace {

constexpr int kPrecisionMax = 100;
constexpr int kFormatDepthMax = 100;

Value bad_format(const char* message) {
  return Value::error(Code::InvalidArgument, message);
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'a' && c <= 'f' ? static_cast<char>(c - 32) : c; });
  return text;
}

std::string digits_of(const Value& value, int base) {
  std::array<char, 72> buffer;
  const auto result =
      value.is(Kind::Int)
          ? std::to_chars(buffer.data(), buffer.data() + buffer.size(), value.integer, base)
          : std::to_chars(buffer.data(), buffer.data() + buffer.size(), value.unsigned_integer, base);
  return {buffer.data(), result.ptr};
}

bool is_whole(const Value& value) {
  return value.is(Kind::Int) || value.is(Kind::Uint);
}

// %s. False when it is nested too deeply.
bool add_plain(TextBuilder& out, Memory& memory, const Value& value, int depth) {
  memory.charge(1);
  if (depth > kFormatDepthMax) return false;
  switch (value.kind) {
    case Kind::Null:
      out.add("null");
      return true;
    case Kind::Bool:
      out.add(value.truth ? "true" : "false");
      return true;
    case Kind::Int:
    case Kind::Uint:
      out.add(digits_of(value, 10));
      return true;
    case Kind::Double:
      out.add(format_double(value.number));
      return true;
    case Kind::String:
    case Kind::Bytes:
      out.add(value.str());
      return true;
    case Kind::Timestamp:
      out.add(format_timestamp(value));
      return true;
    case Kind::Duration:
      out.add(format_duration(value));
      return true;
    case Kind::Type:
      out.add(kind_name(value.type));
      return true;
    default:
      break;
  }
  out.add(value.is(Kind::List) ? "[" : "{");
  if (value.is(Kind::List)) {
    for (std::size_t i = 0; i < value.size; ++i) {
      if (i > 0) out.add(", ");
      if (!add_plain(out, memory, value.at(i), depth + 1)) return false;
    }
    out.add("]");
    return true;
  }
  std::map<std::string, Value> sorted;
  MapReader members(value);
  while (const auto member = members.next()) {
    memory.charge_bytes(sizeof(Entry));
    TextBuilder key(memory);
    add_plain(key, memory, member->key, depth + 1);
    sorted.insert_or_assign(key.text(), member->value);
  }
  for (bool first = true; const auto& [key, member] : sorted) {
    if (!std::exchange(first, false)) out.add(", ");
    out.add(key);
    out.add(": ");
    if (!add_plain(out, memory, member, depth + 1)) return false;
  }
  out.add("}");
  return true;
}

std::optional<std::string> real_text(const Value& value, char clause, int precision) {
  if (!value.is_number()) return std::nullopt;
  double number = value.number;
  if (value.is(Kind::Int)) number = static_cast<double>(value.integer);
  if (value.is(Kind::Uint)) number = static_cast<double>(value.unsigned_integer);
  if (!std::isfinite(number)) return format_double(number);
  std::array<char, 512> buffer;
  const auto format = clause == 'f' ? std::chars_format::fixed : std::chars_format::scientific;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, format, precision);
  return std::string(buffer.data(), result.ptr);
}

std::optional<std::string> clause_text(const Value& value, char clause, int precision) {
  switch (clause) {
    case 'd':
      if (value.is(Kind::Double) && !std::isfinite(value.number)) return format_double(value.number);
      return is_whole(value) ? std::optional(digits_of(value, 10)) : std::nullopt;
    case 'f':
    case 'e':
      return real_text(value, clause, precision);
    case 'b':
      if (value.is(Kind::Bool)) return value.truth ? "1" : "0";
      return is_whole(value) ? std::optional(digits_of(value, 2)) : std::nullopt;
    case 'o':
      return is_whole(value) ? std::optional(digits_of(value, 8)) : std::nullopt;
    default:
      break;
  }
  std::string hex;
  if (is_whole(value)) {
    hex = digits_of(value, 16);
  } else if (value.is(Kind::String) || value.is(Kind::Bytes)) {
    hex = core::hex_encode(value.str());
  } else {
    return std::nullopt;
  }
  return clause == 'X' ? upper(std::move(hex)) : hex;
}

// ".3" before a clause; -1 when it is malformed. Moves `at` behind it.
int read_precision(std::string_view text, std::size_t& at) {
  if (at >= text.size() || text[at] != '.') return 6;
  int out = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + at + 1, end, out);
  at = static_cast<std::size_t>(stop - text.data());
  return error == std::errc() && out >= 0 && out <= kPrecisionMax ? out : -1;
}

Value format(Memory& memory, Arguments args) {
  const auto text = args[0].str();
  TextBuilder out(memory);
  std::size_t used = 0;
  for (std::size_t at = 0; at < text.size();) {
    memory.charge(1);
    const std::size_t percent = std::min(text.find('%', at), text.size());
    out.add(text.substr(at, percent - at));
    at = percent + 1;
    if (percent == text.size()) break;
    if (at < text.size() && text[at] == '%') {
      out.add('%');
      ++at;
      continue;
    }
    const int precision = read_precision(text, at);
    const char clause = at < text.size() ? text[at++] : '\0';
    if (precision < 0 || clause == '\0' ||
        std::string_view("sdfeboxX").find(clause) == std::string_view::npos) {
      return bad_format("The format has a clause that is not known.");
    }
    if (used >= args[1].size) return bad_format("The format has more clauses than there are values.");
    const Value value = args[1].at(used++);
    if (clause == 's') {
      if (!add_plain(out, memory, value, 0))
        return bad_format("A value is nested too deeply to be formatted.");
      continue;
    }
    // Hexadecimal text is longer than what it is made of.
    memory.charge_bytes(value.is(Kind::String) || value.is(Kind::Bytes) ? 2 * std::size_t{value.size} : 0);
    const auto formatted = clause_text(value, clause, precision);
    if (!formatted) return bad_format("A value does not fit its clause of the format.");
    out.add(*formatted);
  }
  return out.take();
}

constexpr Overload kFormatFunctions[] = {
    {"format", true, "sl", 's', format},
};

}  // namespace

std::span<const Overload> format_functions() {
  return kFormatFunctions;
}

}  // namespace assistiv::agents::cel
