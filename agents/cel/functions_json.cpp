// Ours: json(), to_json(), last(), messages.last_text(), hash().
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "agents/cel/functions.h"
#include "agents/cel/json.h"
#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::agents::cel {

namespace {

using core::Json;

// A document is charged for the nodes that it can have at most before it is read.
Value parse_document(Memory& memory, Arguments args) {
  constexpr std::size_t kBytesPerNode = 64;
  const auto text = args[0].str();
  memory.charge(20 + text.size() / 16);
  const auto nodes =
      1 + std::count_if(text.begin(), text.end(), [](char c) { return c == ',' || c == '[' || c == '{'; });
  memory.charge(static_cast<std::size_t>(nodes));
  memory.charge_bytes(text.size() + static_cast<std::size_t>(nodes) * kBytesPerNode);
  auto parsed = core::try_parse_json(text);
  if (!parsed) return Value::error(Code::InvalidArgument, "This text is not JSON.");
  return Value::view(memory.keep(std::move(*parsed)));
}

Value json_text(Memory& memory, Arguments args) {
  TextBuilder out(memory);
  write_json(out, memory, args[0]);
  return out.take();
}

Value hash(Memory& memory, Arguments args) {
  TextBuilder out(memory);
  write_json(out, memory, args[0]);
  memory.charge(out.text().size() / kBytesPerStep * 4);
  return memory.string(core::sha256_hex(out.text()));
}

Value last(Memory&, Arguments args) {
  if (args[0].size == 0) return Value::error(Code::OutOfRange, "The list has no last element.");
  return args[0].at(args[0].size - 1);
}

std::optional<Value> member(Memory& memory, const Value& map, std::string_view name) {
  if (!map.is(Kind::Map)) return std::nullopt;
  MapReader members(map);
  while (const auto entry = members.next()) {
    memory.charge(1);
    if (entry->key.is(Kind::String) && entry->key.str() == name) return entry->value;
  }
  return std::nullopt;
}

// The text of the last message: its content, or the text blocks of its content one after the other.
Value last_text(Memory& memory, Arguments args) {
  if (args[0].size == 0) return Value::string("");
  const auto content = member(memory, args[0].at(args[0].size - 1), "content");
  if (!content) return Value::string("");
  if (content->is(Kind::String)) return *content;
  if (!content->is(Kind::List)) return Value::string("");
  TextBuilder out(memory);
  for (std::size_t i = 0; i < content->size; ++i) {
    const Value block = content->at(i);
    const auto text = member(memory, block, "text");
    if (text && text->is(Kind::String)) out.add(text->str());
    if (block.is(Kind::String)) out.add(block.str());
  }
  return out.take();
}

constexpr Overload kJsonFunctions[] = {
    {"json", false, "s", '*', parse_document},
    {"to_json", false, "*", 's', json_text},
    {"hash", false, "*", 's', hash},
    {"last", false, "l", 'e', last},
    {"messages.last_text", false, "l", 's', last_text},
};

}  // namespace

std::span<const Overload> json_functions() {
  return kJsonFunctions;
}

}  // namespace assistiv::agents::cel
