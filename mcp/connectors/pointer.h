#pragma once
// A JSON pointer (RFC 6901), parsed once and followed often.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace assistiv::mcp {

class Pointer {
 public:
  Pointer() = default;  // the whole document
  // Empty when `text` is no JSON pointer.
  static std::optional<Pointer> parse(std::string_view text);

  // Null when there is nothing.
  const core::Json* find(const core::Json& document) const;
  // The same, and null also for a JSON null.
  const core::Json* find_value(const core::Json& document) const;

 private:
  std::vector<std::string> tokens_;
};

}  // namespace assistiv::mcp
