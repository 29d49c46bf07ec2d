#pragma once
// What a remote MCP server says of a tool, made safe to show: written by strangers, so it is bounded, cleaned
// of what a person would not see, and refused where cleaning would change its meaning. Pure.
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"
#include "mcp/connectors/catalog.h"
#include "mcp/tools/icon.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

struct DefinitionLimits {
  std::size_t name_bytes_max = 64;     // ours, with the prefix; longer ones end in a hash
  std::size_t description_max = 2000;  // characters
  std::size_t schema_bytes_max = 32 * 1024;
  int schema_depth_max = 24;
};

struct RemoteToolDefinition {
  std::string remote_name;  // as the server calls it
  std::string name;         // as we call it: "<app>_<name>"
  std::string title, description;
  std::shared_ptr<const core::Json>
      input;  // JSON Schema 2020-12, root type object, no reference out of the document
  std::shared_ptr<const core::Json> output;  // the same, or null
  Hints hints;
  Risk risk = Risk::Destructive;
  std::vector<MirroredArgument> mirrored;  // x-mcp-header of the input, taken out of it
  std::vector<Icon> icons;                 // images that came along with it; never one that is elsewhere
  std::string digest;                      // SHA-256, hex, of all of the above but `name`
};

// One entry of the server's list: a definition, or why there is none.
struct ReadTool {
  std::string remote_name;  // cleaned and cut
  std::optional<RemoteToolDefinition> definition;
  std::string refused;
};

// The tools of a list, in its order. Tools that would get the same name are all refused: which one is meant
// must not depend on their order.
std::vector<ReadTool> read_definitions(const std::string& app, const std::vector<core::Json>& tools,
                                       const DefinitionLimits& limits = {});

core::Json to_json(const RemoteToolDefinition& definition);
// Of what to_json() wrote, for this app.
RemoteToolDefinition definition_of(const std::string& app, const core::Json& stored);

// As the door shows and checks it. Empty when this version of the program cannot compile its schema.
std::optional<Tool> make_tool(const std::string& app, const RemoteToolDefinition& definition);

// "<app>_<name>" in the characters that every client takes (A-Z a-z 0-9 _ -), at most `bytes_max` bytes.
std::string public_tool_name(const std::string& app, std::string_view remote_name, std::size_t bytes_max);

}  // namespace assistiv::mcp
