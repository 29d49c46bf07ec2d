#include "inference/gemini/schema.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_read.h"

namespace assistiv::inference {

namespace gemini {

namespace {

using core::Json;

constexpr int kSchemaDepthMax = 100;
// References may double what they name at each level; this is far above any real schema.
constexpr int kSchemaNodesMax = 10'000;

constexpr std::array<std::string_view, 22> kAllowed = {"type",
                                                       "format",
                                                       "description",
                                                       "title",
                                                       "nullable",
                                                       "enum",
                                                       "items",
                                                       "properties",
                                                       "required",
                                                       "anyOf",
                                                       "default",
                                                       "minLength",
                                                       "maxLength",
                                                       "pattern",
                                                       "minimum",
                                                       "maximum",
                                                       "minItems",
                                                       "maxItems",
                                                       "exclusiveMinimum",
                                                       "exclusiveMaximum",
                                                       "propertyOrdering",
                                                       "example"};

struct TypeKeys {
  std::string_view type;
  std::vector<std::string_view> keys;
};
// Which keywords speak of which type, where several types share one schema.
const std::vector<TypeKeys>& type_keys() {
  static const std::vector<TypeKeys> kKeys = {
      {"string", {"enum", "format", "minLength", "maxLength", "pattern"}},
      {"number", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
      {"integer", {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}},
      {"array", {"items", "prefixItems", "minItems", "maxItems"}},
      {"object", {"properties", "required", "propertyOrdering"}},
      {"boolean", {}}};
  return kKeys;
}

std::string lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

std::string_view type_of_value(const Json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_number_integer()) return "integer";
  if (value.is_number()) return "number";
  return value.is_array() ? "array" : "object";
}

Json any_object() {
  return {{"type", "object"}};
}

class Reducer {
 public:
  explicit Reducer(const Json& root) : root_(root) {}

  Json reduce(const Json& schema, int depth) {
    if (!schema.is_object() || depth > kSchemaDepthMax || ++nodes_ > kSchemaNodesMax) return any_object();
    const std::size_t references = active_.size();
    Json node = schema;
    const bool known = inline_reference(node) && merge_all_of(node, depth);
    Json out = known ? reduce_node(std::move(node), depth) : any_object();
    active_.resize(references);
    return out;
  }

 private:
  // False on a reference into itself, which the subset cannot say: an object then.
  bool inline_reference(Json& node) {
    for (int hops = 0; node.contains("$ref"); ++hops) {
      const Json name = node["$ref"];
      node.erase("$ref");
      if (!name.is_string() || hops > kSchemaDepthMax) return false;
      const auto& text = name.get_ref<const std::string&>();
      if (std::find(active_.begin(), active_.end(), text) != active_.end()) return false;
      const Json* found = find(text);
      if (found == nullptr || !found->is_object()) return false;
      active_.push_back(text);
      for (const auto& [key, value] : found->items())
        if (!node.contains(key)) node[key] = value;
    }
    return true;
  }

  const Json* find(const std::string& reference) const {
    if (reference == "#") return &root_;
    if (!reference.starts_with("#/")) return nullptr;
    const Json* at = &root_;
    std::string_view rest = std::string_view(reference).substr(2);
    while (true) {
      const auto end = rest.find('/');
      if (!at->is_object()) return nullptr;
      const auto it = at->find(std::string(rest.substr(0, end)));
      if (it == at->end()) return nullptr;
      at = &*it;
      if (end == std::string_view::npos) return at;
      rest.remove_prefix(end + 1);
    }
  }

  bool merge_all_of(Json& node, int depth) {
    const auto it = node.find("allOf");
    if (it == node.end()) return true;
    const Json branches = std::move(*it);
    node.erase(it);
    if (!branches.is_array()) return true;
    for (const auto& branch : branches) {
      Json part = branch;
      if (!part.is_object() || depth > kSchemaDepthMax || ++nodes_ > kSchemaNodesMax) continue;
      if (!inline_reference(part) || !merge_all_of(part, depth + 1)) return false;
      merge_into(node, std::move(part));
    }
    return true;
  }

  static void merge_into(Json& node, Json part) {
    for (auto& [key, value] : part.items()) {
      auto& mine = node[key];
      if (mine.is_null()) {
        mine = std::move(value);
      } else if (key == "properties" && mine.is_object() && value.is_object()) {
        for (auto& [name, property] : value.items())
          if (!mine.contains(name)) mine[name] = std::move(property);
      } else if (key == "required" && mine.is_array() && value.is_array()) {
        for (auto& name : value)
          if (std::find(mine.begin(), mine.end(), name) == mine.end()) mine.push_back(name);
      }
    }
  }

  Json reduce_node(Json node, int depth) {
    read_const(node);
    read_types(node);
    read_unions(node);
    if (node.contains("anyOf")) return write_union(std::move(node), depth);
    read_enum(node);
    if (!node.contains("type")) node["type"] = guess_type(node);
    keep_of_type(node);
    keep_allowed(node);
    reduce_children(node, depth);
    return node;
  }

  static void read_const(Json& node) {
    const auto it = node.find("const");
    if (it == node.end()) return;
    if (!node.contains("type") && !it->is_null()) node["type"] = type_of_value(*it);
    if (it->is_null()) {
      node["nullable"] = true;
    } else {
      node["enum"] = Json::array({*it});
    }
    node.erase("const");
  }

  // One type is a word; several are a union.
  static void read_types(Json& node) {
    const auto it = node.find("type");
    if (it == node.end()) return;
    const Json said = it->is_array() ? *it : Json::array({*it});
    std::vector<std::string> types;
    for (const auto& type : said) {
      if (!type.is_string()) continue;
      auto name = lower(type.get<std::string>());
      if (name == "null") {
        node["nullable"] = true;
      } else {
        types.push_back(std::move(name));
      }
    }
    node.erase("type");
    if (types.size() == 1) node["type"] = types.front();
    if (types.size() > 1 && !node.contains("anyOf")) split_types(node, types);
  }

  static void split_types(Json& node, const std::vector<std::string>& types) {
    Json branches = Json::array();
    for (const auto& type : types) {
      Json branch = {{"type", type}};
      for (const auto& [name, keys] : type_keys()) {
        if (name != type) continue;
        for (const auto key : keys)
          if (node.contains(key)) branch[std::string(key)] = node[std::string(key)];
      }
      branches.push_back(std::move(branch));
    }
    for (const auto& [name, keys] : type_keys())
      for (const auto key : keys) node.erase(std::string(key));
    node["anyOf"] = std::move(branches);
  }

  // The null branch becomes `nullable`; a single survivor is folded up.
  static void read_unions(Json& node) {
    if (node.contains("oneOf") && !node.contains("anyOf")) node["anyOf"] = std::move(node["oneOf"]);
    node.erase("oneOf");
    const auto it = node.find("anyOf");
    if (it == node.end()) return;
    Json kept = Json::array();
    if (it->is_array()) {
      for (auto& branch : *it) {
        const bool null = branch.is_object() && (branch.value("type", Json()) == Json("null") ||
                                                 (branch.contains("const") && branch["const"].is_null()));
        if (null) {
          node["nullable"] = true;
        } else {
          kept.push_back(std::move(branch));
        }
      }
    }
    node.erase("anyOf");
    if (!kept.empty()) node["anyOf"] = std::move(kept);
  }

  Json write_union(Json node, int depth) {
    Json branches = Json::array();
    for (const auto& branch : node["anyOf"]) {
      Json reduced = reduce(branch, depth + 1);
      if (reduced.value("nullable", Json()) == Json(true)) {
        node["nullable"] = true;
        reduced.erase("nullable");
      }
      if (std::find(branches.begin(), branches.end(), reduced) == branches.end())
        branches.push_back(std::move(reduced));
    }
    const bool single = branches.size() == 1;
    Json out = single ? std::move(branches.front()) : Json{{"anyOf", std::move(branches)}};
    for (const auto* key : {"title", "description", "nullable", "default"}) {
      const auto it = node.find(key);
      if (it != node.end() && !it->is_null()) out[key] = *it;
    }
    return out;
  }

  // Google takes enums of strings; others go into the description, so that the model still learns of them.
  static void read_enum(Json& node) {
    const auto it = node.find("enum");
    if (it == node.end()) return;
    Json values = Json::array();
    if (it->is_array()) {
      for (auto& value : *it) {
        if (value.is_null()) {
          node["nullable"] = true;
        } else {
          values.push_back(std::move(value));
        }
      }
    }
    node.erase("enum");
    if (values.empty()) return;
    const bool strings =
        std::all_of(values.begin(), values.end(), [](const Json& v) { return v.is_string(); });
    if (!node.contains("type")) node["type"] = strings ? "string" : type_of_value(values.front());
    if (strings && node["type"] == "string") {
      node["enum"] = std::move(values);
      return;
    }
    std::string text =
        node.value("description", Json()).is_string() ? node["description"].get<std::string>() : "";
    text += text.empty() ? "One of: " : " One of: ";
    for (std::size_t i = 0; i < values.size(); ++i) text += (i > 0 ? ", " : "") + core::dump_json(values[i]);
    node["description"] = text + ".";
  }

  static std::string guess_type(const Json& node) {
    if (node.contains("properties")) return "object";
    if (node.contains("items") || node.contains("prefixItems")) return "array";
    if (node.contains("pattern") || node.contains("minLength") || node.contains("maxLength")) return "string";
    return node.contains("minimum") || node.contains("maximum") ? "number" : "object";
  }

  static void keep_of_type(Json& node) {
    const auto format = node.find("format");
    if (format != node.end() && *format != "enum" && *format != "date-time") node.erase(format);
    for (const auto* key : {"exclusiveMinimum", "exclusiveMaximum"})
      if (node.contains(key) && !node[key].is_number()) node.erase(key);
    if (node["type"] == "array") {
      if (node.contains("prefixItems") && !(node.contains("items") && node["items"].is_object()))
        node["items"] = {{"anyOf", node["prefixItems"]}};
      if (!node.contains("items")) node["items"] = any_object();
    } else {
      node.erase("items");
    }
    if (node["type"] != "object") {
      for (const auto* key : {"properties", "required", "propertyOrdering"}) node.erase(key);
    }
  }

  static void keep_allowed(Json& node) {
    for (auto it = node.begin(); it != node.end();) {
      const bool keep = std::find(kAllowed.begin(), kAllowed.end(), it.key()) != kAllowed.end();
      it = keep && !it->is_null() ? std::next(it) : node.erase(it);
    }
  }

  void reduce_children(Json& node, int depth) {
    if (node.contains("items")) node["items"] = reduce(node["items"], depth + 1);
    const auto properties = node.find("properties");
    if (properties == node.end() || !properties->is_object() || properties->empty()) {
      for (const auto* key : {"properties", "required", "propertyOrdering"}) node.erase(key);
      return;
    }
    for (auto& [name, property] : properties->items()) property = reduce(property, depth + 1);
    order_properties(node);
  }

  // Google writes the members in this order, and refuses a required name that is no property.
  static void order_properties(Json& node) {
    const Json& properties = node["properties"];
    const auto known = [&](const Json& names) {
      Json out = Json::array();
      if (!names.is_array()) return out;
      for (const auto& name : names) {
        const bool here = name.is_string() && properties.contains(name.get_ref<const std::string&>());
        if (here && std::find(out.begin(), out.end(), name) == out.end()) out.push_back(name);
      }
      return out;
    };
    const Json required = known(node.value("required", Json()));
    Json order = known(node.value("propertyOrdering", Json()));
    node.erase("required");
    node.erase("propertyOrdering");
    if (!required.empty()) node["required"] = required;
    if (order.empty()) order = required;
    if (order.empty()) return;
    for (const auto& [name, property] : properties.items())
      if (std::find(order.begin(), order.end(), Json(name)) == order.end()) order.push_back(name);
    node["propertyOrdering"] = std::move(order);
  }

  const Json& root_;
  std::vector<std::string> active_;
  int nodes_ = 0;
};

void restore_node(Json& node, int depth) {
  if (!node.is_object() || depth > kSchemaDepthMax) return;
  const auto type = node.find("type");
  if (type != node.end() && type->is_string()) *type = lower(type->get<std::string>());
  const bool nullable = node.value("nullable", Json()) == Json(true);
  node.erase("nullable");
  node.erase("propertyOrdering");
  if (nullable && node.contains("type")) node["type"] = Json::array({node["type"], "null"});
  if (nullable && node.contains("enum") && node["enum"].is_array()) node["enum"].push_back(nullptr);
  // The proto mapping writes 64-bit integers as text.
  for (const auto* key :
       {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}) {
    const auto it = node.find(key);
    if (it == node.end() || !it->is_string()) continue;
    const auto& text = it->get_ref<const std::string&>();
    std::int64_t number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault == std::errc() && end == text.data() + text.size()) *it = number;
  }
  if (node.contains("items")) restore_node(node["items"], depth + 1);
  if (node.contains("anyOf") && node["anyOf"].is_array()) {
    for (auto& branch : node["anyOf"]) restore_node(branch, depth + 1);
    if (nullable && !node.contains("type")) node["anyOf"].push_back({{"type", "null"}});
  }
  if (node.contains("properties") && node["properties"].is_object())
    for (auto& [name, property] : node["properties"].items()) restore_node(property, depth + 1);
}

}  // namespace

}  // namespace gemini

core::Json gemini_schema(const core::Json& json_schema) {
  return gemini::Reducer(json_schema).reduce(json_schema, 0);
}

core::Json json_schema_of_gemini(const core::Json& schema) {
  core::Json out = schema;
  gemini::restore_node(out, 0);
  return out;
}

}  // namespace assistiv::inference
