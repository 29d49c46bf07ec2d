#pragma once
// The URIs of this server's resources. Names in them are of the caller's own world: the same URI is another
// thing, or nothing, for another caller. Pure.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::mcp {

enum class ContentKind {
  Connections,  // assistiv://connections
  Connection,   // assistiv://connections/{connection_id}
  App,          // assistiv://apps/{app}
  Tool,         // assistiv://tools/{tool}
  Result,       // assistiv://results/{result_id} or assistiv://results/{result_id}/{part}
};

struct ContentUri {
  ContentKind kind = ContentKind::Connections;
  std::string name;      // what stands for the braces
  std::size_t part = 1;  // of a result, from 1
};

inline constexpr std::string_view kConnectionsUri = "assistiv://connections";

// Empty for anything else; case and escapes matter.
std::optional<ContentUri> parse_content_uri(std::string_view uri);
std::string connection_uri(std::string_view id);
std::string app_uri(std::string_view app);
std::string tool_uri(std::string_view tool);
std::string result_uri(std::string_view id);  // of its first part
std::string result_uri(std::string_view id, std::size_t part);

}  // namespace assistiv::mcp
