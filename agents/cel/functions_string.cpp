// Strings and sizes: everything by code point.
#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/cel/functions.h"
#include "agents/cel/utf8.h"

namespace assistiv::agents::cel {

void charge_search(Memory& memory, std::size_t text, std::size_t needle) {
  constexpr std::size_t kNeedlePerStep = 16;
  memory.charge(1 + (text / kBytesPerStep + 1) * (1 + needle / kNeedlePerStep));
}

namespace {

Value out_of_text() {
  return Value::error(Code::OutOfRange, "The index is outside of the string.");
}
Value of_size(std::size_t size) {
  return Value::of_int(static_cast<std::int64_t>(size));
}

Value string_size(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  return of_size(count_points(args[0].str()));
}
Value element_count(Memory&, Arguments args) {
  return of_size(args[0].size);
}

void charge_search(Memory& memory, Arguments args) {
  charge_search(memory, args[0].size, args[1].size);
}

Value contains(Memory& memory, Arguments args) {
  charge_search(memory, args);
  return Value::boolean(args[0].str().find(args[1].str()) != std::string_view::npos);
}
Value starts_with(Memory& memory, Arguments args) {
  memory.charge_text(args[1].size);
  return Value::boolean(args[0].str().starts_with(args[1].str()));
}
Value ends_with(Memory& memory, Arguments args) {
  memory.charge_text(args[1].size);
  return Value::boolean(args[0].str().ends_with(args[1].str()));
}

Value char_at(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  const auto text = args[0].str();
  const auto at = point_offset(text, args[1].integer);
  if (!at) return out_of_text();
  return Value::string(*at == text.size() ? std::string_view() : text.substr(*at, point_length(text, *at)));
}

Value index_of(Memory& memory, Arguments args) {
  charge_search(memory, args);
  const auto text = args[0].str();
  const auto from = point_offset(text, args.size() == 3 ? args[2].integer : 0);
  if (!from) return out_of_text();
  const auto found = text.find(args[1].str(), *from);
  return found == std::string_view::npos ? Value::of_int(-1) : of_size(count_points(text.substr(0, found)));
}

Value last_index_of(Memory& memory, Arguments args) {
  charge_search(memory, args);
  const auto text = args[0].str();
  const auto from = args.size() == 3 ? point_offset(text, args[2].integer) : std::optional(text.size());
  if (!from) return out_of_text();
  const auto found = text.rfind(args[1].str(), *from);
  return found == std::string_view::npos ? Value::of_int(-1) : of_size(count_points(text.substr(0, found)));
}

Value substring(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  const auto text = args[0].str();
  const auto begin = point_offset(text, args[1].integer);
  const auto end = args.size() == 3 ? point_offset(text, args[2].integer) : std::optional(text.size());
  if (!begin || !end) return out_of_text();
  if (*begin > *end) return Value::error(Code::OutOfRange, "The end of a substring is before its beginning.");
  return Value::string(text.substr(*begin, *end - *begin));
}

template <char from, char to, int shift>
Value ascii_case(Memory& memory, Arguments args) {
  char* out = memory.allocate_text(args[0].size);
  std::transform(args[0].text, args[0].text + args[0].size, out,
                 [](char c) { return c >= from && c <= to ? static_cast<char>(c + shift) : c; });
  return Value::string({out, args[0].size});
}

Value trim(Memory& memory, Arguments args) {
  memory.charge_text(args[0].size);
  auto text = args[0].str();
  std::size_t end = 0;
  std::optional<std::size_t> begin;
  for (std::size_t at = 0; at < text.size(); at += point_length(text, at)) {
    if (space_length(text, at) > 0) continue;
    if (!begin) begin = at;
    end = at + point_length(text, at);
  }
  return Value::string(begin ? text.substr(*begin, end - *begin) : std::string_view());
}

Value reverse(Memory& memory, Arguments args) {
  const auto text = args[0].str();
  char* out = memory.allocate_text(text.size());
  char* at = out + text.size();
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = point_length(text, i);
    at -= length;
    std::copy_n(text.data() + i, length, at);
    i += length;
  }
  return Value::string({out, text.size()});
}

// All of them for a negative count. An empty needle is before every code point and at the end.
Value replace(Memory& memory, Arguments args) {
  charge_search(memory, args);
  const auto text = args[0].str(), needle = args[1].str(), with = args[2].str();
  std::int64_t left = args.size() == 4 ? args[3].integer : -1;
  TextBuilder out(memory);
  std::size_t at = 0;
  while (left != 0) {
    memory.charge(1);
    if (needle.empty()) {
      out.add(with);
      --left;
      if (at >= text.size()) break;
      const std::size_t length = point_length(text, at);
      out.add(text.substr(at, length));
      at += length;
      continue;
    }
    const auto found = text.find(needle, at);
    if (found == std::string_view::npos) break;
    out.add(text.substr(at, found - at));
    out.add(with);
    at = found + needle.size();
    --left;
  }
  out.add(text.substr(std::min(at, text.size())));
  return out.take();
}

constexpr Overload kStringFunctions[] = {
    {"size", false, "s", 'i', string_size},
    {"size", true, "s", 'i', string_size},
    {"size", false, "y", 'i', element_count},
    {"size", true, "y", 'i', element_count},
    {"size", false, "l", 'i', element_count},
    {"size", true, "l", 'i', element_count},
    {"size", false, "m", 'i', element_count},
    {"size", true, "m", 'i', element_count},
    {"contains", true, "ss", 'b', contains},
    {"startsWith", true, "ss", 'b', starts_with},
    {"endsWith", true, "ss", 'b', ends_with},
    {"charAt", true, "si", 's', char_at},
    {"indexOf", true, "ss", 'i', index_of},
    {"indexOf", true, "ssi", 'i', index_of},
    {"lastIndexOf", true, "ss", 'i', last_index_of},
    {"lastIndexOf", true, "ssi", 'i', last_index_of},
    {"substring", true, "si", 's', substring},
    {"substring", true, "sii", 's', substring},
    {"lowerAscii", true, "s", 's', ascii_case<'A', 'Z', 32>},
    {"upperAscii", true, "s", 's', ascii_case<'a', 'z', -32>},
    {"trim", true, "s", 's', trim},
    {"reverse", true, "s", 's', reverse},
    {"replace", true, "sss", 's', replace},
    {"replace", true, "sssi", 's', replace},
};

}  // namespace

std::span<const Overload> string_functions() {
  return kStringFunctions;
}

}  // namespace assistiv::agents::cel
