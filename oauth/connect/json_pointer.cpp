#include "oauth/connect/json_pointer.h"

#include <charconv>
#include <nlohmann/json.hpp>

namespace assistiv::oauth {

bool is_json_pointer(std::string_view text) {
  if (text.empty() || text.front() != '/' || text.size() > 200) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '~') continue;
    if (i + 1 == text.size() || (text[i + 1] != '0' && text[i + 1] != '1')) return false;
  }
  return true;
}

const core::Json* at_pointer(const core::Json& document, const std::string& pointer) {
  if (pointer.empty()) return nullptr;
  const core::Json::json_pointer path(pointer);
  if (!document.contains(path)) return nullptr;
  const core::Json& value = document.at(path);
  return value.is_null() ? nullptr : &value;
}

std::optional<std::string> text_at(const core::Json& document, const std::string& pointer) {
  const core::Json* value = at_pointer(document, pointer);
  if (value == nullptr) return {};
  if (value->is_number_integer()) return value->dump();
  if (!value->is_string() || value->get_ref<const std::string&>().empty()) return {};
  return value->get<std::string>();
}

std::optional<std::int64_t> seconds_at(const core::Json& document, const std::string& pointer) {
  const auto text = text_at(document, pointer);
  if (!text) return {};
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  constexpr std::int64_t kSecondsMax = 100LL * 366 * 86400;
  if (error != std::errc() || end != text->data() + text->size() || seconds <= 0) return {};
  return std::min(seconds, kSecondsMax);
}

}  // namespace assistiv::oauth
