#include "mcp/connectors/pointer.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace assistiv::mcp {

std::optional<Pointer> Pointer::parse(std::string_view text) {
  Pointer out;
  if (text.empty()) return out;
  if (text[0] != '/') return {};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '/') {
      out.tokens_.emplace_back();
    } else if (text[i] != '~') {
      out.tokens_.back().push_back(text[i]);
    } else if (++i < text.size() && (text[i] == '0' || text[i] == '1')) {
      out.tokens_.back().push_back(text[i] == '0' ? '~' : '/');
    } else {
      return {};
    }
  }
  return out;
}

const core::Json* Pointer::find(const core::Json& document) const {
  const core::Json* at = &document;
  for (const auto& token : tokens_) {
    if (at->is_object()) {
      const auto it = at->find(token);
      if (it == at->end()) return nullptr;
      at = &*it;
    } else if (at->is_array()) {
      std::size_t index = 0;
      const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
      if (error != std::errc() || end != token.data() + token.size() || index >= at->size()) return nullptr;
      at = &(*at)[index];
    } else {
      return nullptr;
    }
  }
  return at;
}

const core::Json* Pointer::find_value(const core::Json& document) const {
  const core::Json* value = find(document);
  return value == nullptr || value->is_null() ? nullptr : value;
}

}  // namespace assistiv::mcp
