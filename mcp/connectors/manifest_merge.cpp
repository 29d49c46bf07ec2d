#include "mcp/connectors/manifest_merge.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::string_view kArgumentRef = "#/arguments/";
constexpr int kArgumentRefDepth = 16;

std::optional<ManifestDocument> parse_manifest(const ManifestFile& file, std::vector<ManifestFault>& faults) {
  try {
    auto json = std::make_shared<Json>(core::parse_json(file.text));
    if (json->is_object() && json->contains("id") && (*json)["id"].is_string()) {
      return ManifestDocument{file.name, std::move(json)};
    }
    faults.push_back({file.name, "/id", "is required: a manifest is an object with an id"});
  } catch (const core::Error& error) {
    faults.push_back({file.name, "", error.message()});
  }
  return {};
}

std::string id_of(const ManifestDocument& document) {
  return (*document.json)["id"].get<std::string>();
}

// Renames tools from one app's prefix to another's wherever they stand in texts.
void rename_tools(Json& value, const std::map<std::string, std::string>& names) {
  if (value.is_string()) {
    std::string text = value.get<std::string>();
    for (const auto& [from, to] : names) {
      for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
        const auto end = at + from.size();
        const bool whole = end == text.size() ||
                           (std::isalnum(static_cast<unsigned char>(text[end])) == 0 && text[end] != '_');
        if (whole) text.replace(at, from.size(), to);
      }
    }
    value = std::move(text);
  } else if (value.is_structured()) {
    for (auto& inner : value) rename_tools(inner, names);
  }
}

std::string renamed(const std::string& name, const std::string& base, const std::string& id) {
  return name.starts_with(base + "_") ? id + name.substr(base.size()) : name;
}

// Members of `patch` replace those of `target`; null removes.
void replace_members(Json& target, const Json& patch) {
  for (const auto& [name, value] : patch.items()) {
    if (value.is_null()) {
      target.erase(name);
    } else {
      target[name] = value;
    }
  }
}

void patch_tools(Json& tools, const Json& patches, const std::string& file,
                 std::vector<ManifestFault>& faults) {
  for (const auto& [name, patch] : patches.items()) {
    const auto it = std::find_if(tools.begin(), tools.end(), [&name = name](const Json& tool) {
      return tool.is_object() && tool.value("name", Json()) == name;
    });
    if (it == tools.end()) {
      faults.push_back({file, "/tools/" + name, "is no tool of the manifest that this one extends"});
    } else if (patch.is_null()) {
      tools.erase(it);
    } else {
      replace_members(*it, patch);
    }
  }
}

std::optional<Json> extend(const Json& base, const Json& child, const std::string& file,
                           std::vector<ManifestFault>& faults) {
  const auto base_id = base["id"].get<std::string>();
  const auto id = child["id"].get<std::string>();
  Json out = base;
  Json patch = child;
  const Json tool_patches = patch.contains("tools") ? patch["tools"] : Json::object();
  patch.erase("tools");
  patch.erase("extends");
  if (!tool_patches.is_object() && !tool_patches.is_array()) {
    faults.push_back({file, "/tools", "must be an object from tool name to changes, or a list of tools"});
    return {};
  }
  for (auto& [name, value] : patch.items()) {
    if (value.is_object() && out.contains(name) && out[name].is_object()) {
      replace_members(out[name], value);
    } else {
      replace_members(out, {{name, value}});
    }
  }
  // Tools of its own: it shares what is around them (how to sign in, where the data centres are).
  if (tool_patches.is_array()) {
    out["tools"] = tool_patches;
    if (!child.contains("prompts")) out.erase("prompts");
    return out;
  }
  if (!out.contains("tools") || !out["tools"].is_array()) return out;
  std::map<std::string, std::string> names;
  for (const auto& tool : out["tools"]) {
    if (!tool.is_object() || !tool.contains("name") || !tool["name"].is_string()) continue;
    const auto name = tool["name"].get<std::string>();
    names.emplace(name, renamed(name, base_id, id));
  }
  patch_tools(out["tools"], tool_patches, file, faults);
  rename_tools(out["tools"], names);
  if (!child.contains("prompts") && out.contains("prompts")) {
    for (const auto& prompt : out["prompts"]) {
      const auto name = prompt.is_object() ? prompt.value("name", Json()) : Json();
      if (name.is_string()) names.emplace(name, renamed(name.get<std::string>(), base_id, id));
    }
    rename_tools(out["prompts"], names);
  }
  return out;
}

void inline_arguments(Json& value, const Json& arguments, const std::string& pointer, int depth,
                      const std::string& file, std::vector<ManifestFault>& faults) {
  if (!value.is_structured()) return;
  const auto ref = value.is_object() ? value.find("$ref") : value.end();
  if (value.is_object() && ref != value.end()) {
    const std::string target = ref->is_string() ? ref->get<std::string>() : "";
    const std::string name = target.starts_with(kArgumentRef) ? target.substr(kArgumentRef.size()) : "";
    if (name.empty() || !arguments.is_object() || !arguments.contains(name) || depth >= kArgumentRefDepth) {
      faults.push_back(
          {file, pointer + "/$ref", "must be \"#/arguments/<name>\" of an argument of this manifest"});
      return;
    }
    Json merged = arguments[name];
    value.erase("$ref");
    if (merged.is_object()) merged.update(value);
    value = std::move(merged);
    return inline_arguments(value, arguments, pointer, depth + 1, file, faults);
  }
  for (auto it = value.begin(); it != value.end(); ++it) {
    const std::string token = value.is_object() ? it.key() : std::to_string(std::distance(value.begin(), it));
    inline_arguments(*it, arguments, pointer + "/" + token, depth, file, faults);
  }
}

void inline_tools(ManifestDocument& document, std::vector<ManifestFault>& faults) {
  Json& json = *document.json;
  const Json arguments = json.value("arguments", Json::object());
  if (!json.contains("tools") || !json["tools"].is_array()) return;
  for (std::size_t i = 0; i < json["tools"].size(); ++i) {
    Json& tool = json["tools"][i];
    if (!tool.is_object() || !tool.contains("input")) continue;
    inline_arguments(tool["input"], arguments, "/tools/" + std::to_string(i) + "/input", 0, document.file,
                     faults);
  }
}

}  // namespace

std::vector<ManifestDocument> merge_manifests(const std::vector<ManifestFile>& files,
                                              std::vector<ManifestFault>& faults) {
  std::map<std::string, ManifestDocument> by_id;
  for (const auto& file : files) {
    auto document = parse_manifest(file, faults);
    if (!document) continue;
    const auto [it, added] = by_id.emplace(id_of(*document), *document);
    if (!added) faults.push_back({file.name, "/id", "is the id of " + it->second.file + " too"});
  }
  std::vector<ManifestDocument> out;
  for (const auto& [id, document] : by_id) {
    if (!document.json->contains("extends")) {
      out.push_back({document.file, std::make_shared<Json>(*document.json)});
      continue;
    }
    const Json& base_id = (*document.json)["extends"];
    const auto base = base_id.is_string() ? by_id.find(base_id.get<std::string>()) : by_id.end();
    if (base == by_id.end() || base->second.json->contains("extends")) {
      faults.push_back({document.file, "/extends", "must be the id of a manifest that extends no other"});
      continue;
    }
    auto extended = extend(*base->second.json, *document.json, document.file, faults);
    if (extended) out.push_back({document.file, std::make_shared<Json>(std::move(*extended))});
  }
  for (auto& document : out) inline_tools(document, faults);
  return out;
}

}  // namespace assistiv::mcp
