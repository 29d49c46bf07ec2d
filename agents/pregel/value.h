#pragma once
// A value of state: immutable JSON that checkpoints share. Copying one copies a pointer.
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "core/json.h"

namespace assistiv::agents::pregel {

// Levels of nesting that a value may have; what is deeper is refused before anything walks over it.
inline constexpr int kMaxNesting = 128;

// About the bytes of its text. Throws Error{Unprocessable, INVALID_GRAPH_UPDATE} for what is nested too deep.
std::size_t json_bytes(const core::Json& json);

class Value {
 public:
  Value() = default;                // none
  explicit Value(core::Json json);  // throws as json_bytes does

  explicit operator bool() const { return box_ != nullptr; }
  const core::Json& json() const;  // null when there is none
  std::size_t bytes() const { return box_ ? box_->bytes : 0; }
  // The same object, not merely an equal one.
  bool is(const Value& other) const { return box_ == other.box_; }
  friend bool operator==(const Value& a, const Value& b) { return a.is(b) || a.json() == b.json(); }

 private:
  struct Box {
    core::Json json;
    std::size_t bytes;
  };
  std::shared_ptr<const Box> box_;
};

using Values = std::map<std::string, Value, std::less<>>;

core::Json to_json(const Values& values);

}  // namespace assistiv::agents::pregel
