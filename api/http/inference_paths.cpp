#include "api/http/inference_paths.h"

#include <utility>

namespace assistiv::api {

std::optional<inference::DialectId> dialect_of_path(std::string_view path) {
  using inference::DialectId;
  static constexpr std::pair<std::string_view, DialectId> kRoots[] = {
      {"/v1/chat/completions", DialectId::OpenAiChat}, {"/v1/responses", DialectId::OpenAiResponses},
      {"/v1/embeddings", DialectId::OpenAiChat},       {"/v1/models", DialectId::OpenAiChat},
      {"/v1/messages", DialectId::Anthropic},          {"/v1beta", DialectId::Gemini},
  };
  for (const auto& [root, dialect] : kRoots) {
    if (path.starts_with(root) && (path.size() == root.size() || path[root.size()] == '/')) return dialect;
  }
  return {};
}

}  // namespace assistiv::api
