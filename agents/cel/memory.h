#pragma once
// What one evaluation uses: the budget, charged before the work, and the memory of the values that it builds.
#include <cstddef>
#include <deque>
#include <memory_resource>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "agents/cel/expression.h"
#include "agents/cel/value.h"

namespace assistiv::agents::cel {

inline constexpr std::size_t kBytesPerStep = 64;

class Memory {
 public:
  explicit Memory(Budget& budget) : budget_(budget), resource_(buffer_, sizeof buffer_) {}
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  // All throw EvaluationError{budget_exceeded} before anything is done. That one is no Value: nothing absorbs
  // it.
  void charge(std::size_t steps);
  void charge_text(std::size_t bytes) { charge(1 + bytes / kBytesPerStep); }
  void charge_bytes(std::size_t bytes);

  // Charged by its size, and the copying as looked at.
  char* allocate_text(std::size_t bytes);
  Value string(std::string_view text);
  Value bytes(std::string_view text);
  Value list(const std::vector<Value>& items);
  Value map(const std::vector<Entry>& entries);
  // Keeps a document that was parsed here until the end of the evaluation; the caller has charged it.
  const core::Json& keep(core::Json json);

  // For builders that have charged the bytes themselves.
  void* allocate_charged(std::size_t bytes, std::size_t alignment);

 private:
  Budget& budget_;
  alignas(16) char buffer_[2048];
  std::pmr::monotonic_buffer_resource resource_;
  std::deque<core::Json> documents_;
};

// Text that grows, every byte charged before it is there.
class TextBuilder {
 public:
  explicit TextBuilder(Memory& memory) : memory_(memory) {}
  void add(std::string_view text);
  void add(char c) { add(std::string_view(&c, 1)); }
  const std::string& text() const { return text_; }
  // Without a second charge.
  Value take();

 private:
  Memory& memory_;
  std::string text_;
  std::size_t uncharged_ = 0;
};

}  // namespace assistiv::agents::cel
