#include "mcp/protocol/missing_capability.h"

#include <nlohmann/json.hpp>
#include <string>

#include "core/json_read.h"

namespace assistiv::mcp {

std::optional<Fault> missing_capability(const ClientAbilities& client, const core::Json& requests) {
  core::Json missing = core::Json::object();
  for (const auto& [key, request] : requests.items()) {
    const std::string method = request.value("method", "");
    if (method == "sampling/createMessage" && !client.sampling) missing["sampling"] = core::Json::object();
    if (method == "roots/list" && !client.roots) missing["roots"] = core::Json::object();
    if (method != "elicitation/create") continue;
    const bool url = request.contains("params") && request.at("params").value("mode", "form") == "url";
    if (url && !client.elicitation_url) missing["elicitation"]["url"] = core::Json::object();
    if (!url && !client.elicitation_form) missing["elicitation"]["form"] = core::Json::object();
  }
  if (missing.empty()) return {};
  std::string names;
  for (const auto& [name, value] : missing.items()) names += (names.empty() ? "" : ", ") + name;
  return Fault{kMissingCapability, "This call needs a client with the capability: " + names + ".", 400,
               core::dump_json({{"requiredCapabilities", missing}})};
}

}  // namespace assistiv::mcp
