#include "mcp/protocol/services.h"

#include <string>
#include <utility>
#include <vector>

#include "mcp/protocol/client_meta.h"
#include "mcp/protocol/jsonrpc.h"

namespace assistiv::mcp {

namespace {

std::string write_server_info(const EndpointOptions& options) {
  std::string out = R"({"name":)" + json_string(options.server_name);
  if (!options.server_title.empty()) out += R"(,"title":)" + json_string(options.server_title);
  return out + R"(,"version":)" + json_string(options.server_version) + "}";
}

std::string meta_of_server(const std::string& server_info) {
  return "\"_meta\":{\"" + std::string(kMetaServerInfo) + "\":" + server_info + "}";
}

std::string introduce(const std::string& server_info, const std::vector<Icon>& icons) {
  std::string out;
  append_with_icons(out, server_info, icons_text(icons));
  return out;
}

enum class Extensions { Without, With };

// Each without settings.
std::string write_extensions(const EndpointOptions& options, const Doors& doors) {
  std::vector<std::string> names = options.extensions;
  if (doors.tasks != nullptr) names.emplace_back(kTasksExtension);
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ",") + json_string(name) + ":{}";
  return out.empty() ? out : R"(,"extensions":{)" + out + "}";
}

std::string write_capabilities(const EndpointOptions& options, const Doors& doors, Extensions extensions) {
  std::string out = R"({"tools":{"listChanged":true})";
  if (doors.resources != nullptr) {
    out += R"(,"resources":{"listChanged":true)";
    out += doors.resources->subscribable() ? R"(,"subscribe":true})" : "}";
  }
  if (doors.prompts != nullptr) out += R"(,"prompts":{"listChanged":true})";
  if (doors.completions != nullptr) out += R"(,"completions":{})";
  if (doors.logging == LogSupport::Yes) out += R"(,"logging":{})";
  if (extensions == Extensions::With) out += write_extensions(options, doors);
  return out + "}";
}

}  // namespace

EndpointServices::EndpointServices(EndpointOptions endpoint_options, Doors endpoint_doors,
                                   EndpointWorld endpoint_world)
    : options(std::move(endpoint_options)),
      doors(endpoint_doors),
      world(endpoint_world),
      guard(options.allowed_hosts, options.allowed_origins),
      server_info(write_server_info(options)),
      server_introduction(introduce(server_info, options.server_icons)),
      server_meta(meta_of_server(server_info)),
      discovery_meta(meta_of_server(server_introduction)),
      cache_hints("\"ttlMs\":" + std::to_string(options.list_ttl.count()) + ",\"cacheScope\":\"private\","),
      capabilities(write_capabilities(options, doors, Extensions::Without)),
      modern_capabilities(write_capabilities(options, doors, Extensions::With)),
      hub(options.streams_max, options.streams_per_user_max) {}

}  // namespace assistiv::mcp
