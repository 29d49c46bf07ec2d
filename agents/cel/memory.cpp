#include "agents/cel/memory.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace assistiv::agents::cel {

namespace {

[[noreturn]] void spent(const char* what) {
  throw EvaluationError("budget_exceeded",
                        std::string("The expression needs more ") + what + " than it may use.");
}

}  // namespace

void Memory::charge(std::size_t steps) {
  if (budget_.steps < 0 || steps > static_cast<std::size_t>(budget_.steps)) {
    budget_.steps = 0;
    spent("steps");
  }
  budget_.steps -= static_cast<std::int64_t>(steps);
}

void Memory::charge_bytes(std::size_t bytes) {
  if (budget_.bytes < 0 || bytes > static_cast<std::size_t>(budget_.bytes)) {
    budget_.bytes = 0;
    spent("memory");
  }
  budget_.bytes -= static_cast<std::int64_t>(bytes);
}

char* Memory::allocate_text(std::size_t bytes) {
  charge_text(bytes);
  charge_bytes(bytes);
  return static_cast<char*>(allocate_charged(bytes, 1));
}

Value Memory::string(std::string_view text) {
  char* out = allocate_text(text.size());
  std::copy(text.begin(), text.end(), out);
  return Value::string({out, text.size()});
}

Value Memory::bytes(std::string_view text) {
  Value out = string(text);
  out.kind = Kind::Bytes;
  return out;
}

Value Memory::list(const std::vector<Value>& items) {
  charge_bytes(items.size() * sizeof(Value));
  auto* out = static_cast<Value*>(allocate_charged(items.size() * sizeof(Value), alignof(Value)));
  std::uninitialized_copy(items.begin(), items.end(), out);
  return Value::list(out, items.size());
}

Value Memory::map(const std::vector<Entry>& entries) {
  charge_bytes(entries.size() * sizeof(Entry));
  auto* out = static_cast<Entry*>(allocate_charged(entries.size() * sizeof(Entry), alignof(Entry)));
  std::uninitialized_copy(entries.begin(), entries.end(), out);
  return Value::map(out, entries.size());
}

const core::Json& Memory::keep(core::Json json) {
  return documents_.emplace_back(std::move(json));
}

void* Memory::allocate_charged(std::size_t bytes, std::size_t alignment) {
  return resource_.allocate(std::max<std::size_t>(bytes, 1), alignment);
}

void TextBuilder::add(std::string_view text) {
  memory_.charge_bytes(text.size());
  uncharged_ += text.size();
  if (uncharged_ >= kBytesPerStep) {
    memory_.charge(uncharged_ / kBytesPerStep);
    uncharged_ %= kBytesPerStep;
  }
  text_ += text;
}

Value TextBuilder::take() {
  auto* out = static_cast<char*>(memory_.allocate_charged(text_.size(), 1));
  std::copy(text_.begin(), text_.end(), out);
  return Value::string({out, text_.size()});
}

}  // namespace assistiv::agents::cel
