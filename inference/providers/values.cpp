#include "inference/providers/values.h"

namespace assistiv::inference {

std::optional<DialectId> dialect_of(std::string_view name) {
  for (const auto id :
       {DialectId::OpenAiChat, DialectId::OpenAiResponses, DialectId::Anthropic, DialectId::Gemini}) {
    if (to_string(id) == name) return id;
  }
  return {};
}

std::string_view to_string(Source source) {
  return source == Source::Builtin ? "builtin" : "operator";
}

}  // namespace assistiv::inference
