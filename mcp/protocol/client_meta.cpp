#include "mcp/protocol/client_meta.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

const core::Json* object_member(const core::Json* object, std::string_view name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto it = object->find(name);
  return it == object->end() || !it->is_object() ? nullptr : &*it;
}

Fault missing_meta(std::string message) {
  return {kInvalidParams, std::move(message), 400, {}};
}

}  // namespace

const core::Json* meta_of(const core::Json* params) {
  return object_member(params, "_meta");
}

bool states_version(const core::Json* params) {
  const core::Json* meta = meta_of(params);
  return meta != nullptr && meta->contains(kMetaVersion);
}

std::optional<Fault> read_modern_meta(const core::Json* params, ModernMeta& out) {
  const core::Json* meta = meta_of(params);
  if (meta == nullptr) {
    return missing_meta("params._meta must be an object with \"" + std::string(kMetaVersion) + "\" and \"" +
                        std::string(kMetaCapabilities) + "\".");
  }
  const auto version = meta->find(kMetaVersion);
  if (version == meta->end() || !version->is_string()) {
    return missing_meta("params._meta needs \"" + std::string(kMetaVersion) + "\", a string.");
  }
  out.version = version->get<std::string>();
  const core::Json* capabilities = object_member(meta, kMetaCapabilities);
  if (capabilities == nullptr) {
    return missing_meta("params._meta needs \"" + std::string(kMetaCapabilities) + "\", an object.");
  }
  out.abilities = read_abilities(*capabilities);
  if (const auto info = meta->find(kMetaClientInfo); info != meta->end() && !info->is_object()) {
    return missing_meta("\"" + std::string(kMetaClientInfo) + "\" must be an object.");
  }
  const auto level = meta->find(kMetaLogLevel);
  if (level == meta->end()) return {};
  const auto parsed = level->is_string() ? parse_log_level(level->get_ref<const std::string&>())
                                         : std::optional<ClientLogLevel>();
  if (!parsed)
    return Fault{kInvalidParams, "\"" + std::string(kMetaLogLevel) + "\" is not a log level.", 200, {}};
  out.log_level = *parsed;
  return {};
}

ClientAbilities read_abilities(const core::Json& capabilities) {
  ClientAbilities out;
  out.sampling = object_member(&capabilities, "sampling") != nullptr;
  out.roots = object_member(&capabilities, "roots") != nullptr;
  out.tasks = object_member(object_member(&capabilities, "extensions"), kTasksExtension) != nullptr;
  const core::Json* elicitation = object_member(&capabilities, "elicitation");
  if (elicitation != nullptr) {
    out.elicitation_url = elicitation->contains("url");
    // Before there were modes, the bare capability meant forms; it still does.
    out.elicitation_form = elicitation->contains("form") || !out.elicitation_url;
  }
  return out;
}

ClientAbilities parse_abilities(std::string_view capabilities_json) {
  const auto json = core::try_parse_json(capabilities_json);
  return json ? read_abilities(*json) : ClientAbilities{};
}

std::string progress_token(const core::Json* params) {
  const core::Json* meta = meta_of(params);
  if (meta == nullptr) return {};
  const auto token = meta->find("progressToken");
  if (token == meta->end() || !(token->is_string() || token->is_number_integer())) return {};
  std::string text = core::dump_json(*token);
  return text.size() > 1024 ? std::string() : text;
}

}  // namespace assistiv::mcp
