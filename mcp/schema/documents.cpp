#include "mcp/schema/documents.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_pointer.h"
#include "mcp/schema/uri.h"

namespace assistiv::mcp::schema {

namespace {

using core::Json;

constexpr std::string_view kDefaultBase = "schema:///";

// Keywords by what they hold: a schema, a list of schemas, an object of schemas.
constexpr std::array<std::string_view, 11> kOneSchema = {
    "additionalProperties", "propertyNames",         "items",        "contains", "not", "if", "then", "else",
    "unevaluatedItems",     "unevaluatedProperties", "contentSchema"};
constexpr std::array<std::string_view, 4> kSchemaLists = {"allOf", "anyOf", "oneOf", "prefixItems"};
constexpr std::array<std::string_view, 4> kSchemaMaps = {"properties", "patternProperties", "$defs",
                                                         "dependentSchemas"};

bool is_schema(const Json& value) {
  return value.is_object() || value.is_boolean();
}

std::optional<std::string> unescape_token(std::string_view token) {
  std::string out;
  for (std::size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      out.push_back(token[i]);
    } else if (++i < token.size() && (token[i] == '0' || token[i] == '1')) {
      out.push_back(token[i] == '0' ? '~' : '/');
    } else {
      return {};
    }
  }
  return out;
}

const Json* child_of(const Json& value, const std::string& token) {
  if (value.is_object()) {
    const auto it = value.find(token);
    return it == value.end() ? nullptr : &*it;
  }
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), index);
  const bool whole = error == std::errc() && end == token.data() + token.size();
  return value.is_array() && whole && index < value.size() ? &value[index] : nullptr;
}

}  // namespace

DocumentIndex::DocumentIndex(const Json& document, const SchemaLimits& limits,
                             std::vector<SchemaFault>& faults)
    : limits_(limits), faults_(faults) {
  resources_.push_back({std::string(kDefaultBase), &document, {}, {}});
  by_uri_.emplace(kDefaultBase, 0);
  visit(document, 0, "", 0);
}

void DocumentIndex::visit(const Json& schema, std::uint32_t resource, const std::string& pointer,
                          std::size_t depth) {
  if (places_.size() >= limits_.nodes_max || depth > limits_.depth_max) {
    if (faults_.empty()) faults_.push_back({pointer, "makes the schema too big or too deep"});
    return;
  }
  if (!is_schema(schema)) {
    faults_.push_back({pointer, "must be a schema: an object, true or false"});
    return;
  }
  if (schema.contains("$id")) resource = enter_resource(schema, resource, pointer);
  places_[&schema] = {&schema, resource, pointer, {}};
  if (!schema.is_object()) return;
  add_anchor(schema, resource, pointer, "$anchor");
  add_anchor(schema, resource, pointer, "$dynamicAnchor");
  visit_children(schema, resource, pointer, depth);
}

void DocumentIndex::visit_children(const Json& schema, std::uint32_t resource, const std::string& pointer,
                                   std::size_t depth) {
  const auto listed = [](const auto& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  for (const auto& [name, value] : schema.items()) {
    const std::string place = pointer + "/" + core::pointer_token(name);
    if (listed(kOneSchema, name)) {
      visit(value, resource, place, depth + 1);
    } else if (listed(kSchemaLists, name) && value.is_array()) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        visit(value[i], resource, place + "/" + std::to_string(i), depth + 1);
      }
    } else if (listed(kSchemaMaps, name) && value.is_object()) {
      for (const auto& [key, child] : value.items()) {
        visit(child, resource, place + "/" + core::pointer_token(key), depth + 1);
      }
    }
  }
}

std::uint32_t DocumentIndex::enter_resource(const Json& schema, std::uint32_t outer,
                                            const std::string& pointer) {
  const Json& id = schema["$id"];
  if (!id.is_string()) {
    faults_.push_back({pointer + "/$id", "must be a string"});
    return outer;
  }
  const auto uri = resolve_uri(resources_[outer].base, id.get_ref<const std::string&>());
  if (!uri.fragment.empty()) {
    faults_.push_back({pointer + "/$id", "must not have a fragment"});
    return outer;
  }
  if (pointer.empty()) {
    resources_[0].base = uri.absolute;
    by_uri_.emplace(uri.absolute, 0);
    return 0;
  }
  const auto index = static_cast<std::uint32_t>(resources_.size());
  if (!by_uri_.emplace(uri.absolute, index).second) {
    faults_.push_back({pointer + "/$id", "is used twice in this document"});
  }
  resources_.push_back({uri.absolute, &schema, {}, {}});
  return index;
}

void DocumentIndex::add_anchor(const Json& schema, std::uint32_t resource, const std::string& pointer,
                               const char* keyword) {
  const auto it = schema.find(keyword);
  if (it == schema.end()) return;
  if (!it->is_string() || it->get_ref<const std::string&>().empty()) {
    faults_.push_back({pointer + "/" + keyword, "must be a name"});
    return;
  }
  const auto& name = it->get_ref<const std::string&>();
  const bool dynamic = std::string_view(keyword) == "$dynamicAnchor";
  if (dynamic) resources_[resource].dynamic_anchors.emplace(name, &schema);
  const auto [place, added] = resources_[resource].anchors.emplace(name, &schema);
  if (!added && place->second != &schema) {
    faults_.push_back({pointer + "/" + keyword, "is used twice in one schema resource"});
  }
}

std::optional<Target> DocumentIndex::resolve(std::uint32_t resource, std::string_view reference) const {
  const auto uri = resolve_uri(resources_[resource].base, reference);
  const auto it = by_uri_.find(uri.absolute);
  const auto fragment = core::percent_decode(uri.fragment);
  if (it == by_uri_.end() || !fragment) return {};
  const Resource& found = resources_[it->second];
  if (fragment->empty() || (*fragment)[0] == '/') return follow(it->second, *fragment);
  const auto anchor = found.anchors.find(*fragment);
  if (anchor == found.anchors.end()) return {};
  Target target = places_.at(anchor->second);
  const auto dynamic = found.dynamic_anchors.find(*fragment);
  if (dynamic != found.dynamic_anchors.end() && dynamic->second == anchor->second)
    target.dynamic_anchor = *fragment;
  return target;
}

std::optional<Target> DocumentIndex::follow(std::uint32_t resource, std::string_view pointer) const {
  Target target = places_.at(resources_[resource].root);
  while (!pointer.empty()) {
    pointer.remove_prefix(1);
    const auto end = std::min(pointer.find('/'), pointer.size());
    const auto token = unescape_token(pointer.substr(0, end));
    pointer.remove_prefix(end);
    target.schema = token ? child_of(*target.schema, *token) : nullptr;
    if (target.schema == nullptr) return {};
    target.pointer += "/" + core::pointer_token(*token);
    if (const auto known = places_.find(target.schema); known != places_.end())
      target.resource = known->second.resource;
  }
  return target;
}

}  // namespace assistiv::mcp::schema
