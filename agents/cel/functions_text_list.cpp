// Between strings and lists: split and join; and strings.quote.
#include <algorithm>
#include <string_view>
#include <vector>

#include "agents/cel/functions.h"
#include "agents/cel/utf8.h"

namespace assistiv::agents::cel {

namespace {

// At most `limit` parts, the last one the rest; all for a negative limit, none for 0. The parts are looked
// at, not copied.
Value split(Memory& memory, Arguments args) {
  const auto text = args[0].str(), separator = args[1].str();
  const std::int64_t limit = args.size() == 3 ? args[2].integer : -1;
  charge_search(memory, text.size(), separator.size());
  std::vector<Value> parts;
  if (limit == 0) return memory.list(parts);
  std::size_t at = 0;
  while (limit < 0 || static_cast<std::int64_t>(parts.size()) + 1 < limit) {
    memory.charge(1);
    std::size_t end = separator.empty() ? at : text.find(separator, at);
    if (separator.empty()) {
      if (at >= text.size()) break;
      end = at + point_length(text, at);
      if (end >= text.size()) break;
    }
    if (end == std::string_view::npos) break;
    parts.push_back(Value::string(text.substr(at, end - at)));
    at = end + separator.size();
  }
  if (!separator.empty() || at < text.size()) parts.push_back(Value::string(text.substr(at)));
  return memory.list(parts);
}

Value join_list(Memory& memory, Arguments args) {
  const auto separator = args.size() == 2 ? args[1].str() : std::string_view();
  TextBuilder out(memory);
  for (std::size_t i = 0; i < args[0].size; ++i) {
    memory.charge(1);
    const Value part = args[0].at(i);
    if (!part.is(Kind::String)) return Value::error(Code::NoSuchOverload, "join() takes a list of strings.");
    if (i > 0) out.add(separator);
    out.add(part.str());
  }
  return out.take();
}

// As a literal of CEL in double quotes.
Value quote(Memory& memory, Arguments args) {
  constexpr std::string_view kSpecial = "\a\b\f\n\r\t\v\\\"";
  constexpr std::string_view kLetter = "abfnrtv\\\"";
  TextBuilder out(memory);
  out.add('"');
  for (const char c : args[0].str()) {
    const auto at = kSpecial.find(c);
    if (at != std::string_view::npos) out.add('\\');
    out.add(at == std::string_view::npos ? c : kLetter[at]);
  }
  out.add('"');
  return out.take();
}

constexpr Overload kTextListFunctions[] = {
    {"split", true, "ss", 'S', split},         {"split", true, "ssi", 'S', split},
    {"join", true, "l", 's', join_list},       {"join", true, "ls", 's', join_list},
    {"strings.quote", false, "s", 's', quote},
};

}  // namespace

std::span<const Overload> text_list_functions() {
  return kTextListFunctions;
}

}  // namespace assistiv::agents::cel
