#include "mcp/connectors/draft/draft_schema.h"

#include <algorithm>

#include "core/json_pointer.h"
#include "mcp/connectors/draft/draft_text.h"
#include "mcp/connectors/pointer.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr int kReferencesMax = 16, kMergeDepth = 3;
constexpr int kInputDepth = 5, kDraftShapeDepth = 2;
constexpr std::size_t kSchemasMax = 4'000, kMembersMax = 60, kFieldsMax = 40, kNotesMax = 500;
constexpr std::size_t kEnumMax = 100, kChoicesMax = 8, kPartsMax = 8;
constexpr std::int64_t kTextLength = 2000, kListLength = 100;

DraftJson free_object() {
  return {{"type", "object"},
          {"additionalProperties", {{"type", "string"}, {"maxLength", kTextLength}}},
          {"maxProperties", 50}};
}

DraftJson plain_text() {
  return {{"type", "string"}, {"maxLength", kTextLength}};
}

bool is_true(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_boolean() && it->get<bool>();
}

// A whole number that is there and within bounds.
std::optional<std::int64_t> bounded_member(const Json& schema, const char* name, std::int64_t max) {
  const auto it = schema.find(name);
  if (it == schema.end() || !it->is_number_integer()) return {};
  const auto value = it->get<std::int64_t>();
  return value >= 0 ? std::optional(std::min(value, max)) : std::nullopt;
}

bool compiles(const DraftJson& schema) {
  return JsonSchema::compile(Json::parse(schema.dump())).schema != nullptr;
}

}  // namespace

void DraftSchemas::note(const std::string& where, const std::string& what) {
  if (notes_.size() == kNotesMax) notes_.push_back("...");
  if (notes_.size() < kNotesMax) notes_.push_back(plain_line(where, 200) + ": " + what);
}

const Json& DraftSchemas::resolve(const Json& node) const {
  static const Json empty = Json::object();
  const Json* at = &node;
  for (int i = 0; i < kReferencesMax; ++i) {
    if (!at->is_object()) return empty;
    const auto reference = at->find("$ref");
    if (reference == at->end()) return *at;
    if (!reference->is_string()) return empty;
    const auto& text = reference->get_ref<const std::string&>();
    if (!text.starts_with("#/")) return empty;
    const auto pointer = Pointer::parse(std::string_view(text).substr(1));
    const Json* next = pointer ? pointer->find(document_) : nullptr;
    if (next == nullptr) return empty;
    at = next;
  }
  return empty;
}

std::string DraftSchemas::type_of(const Json& schema) const {
  const auto it = schema.find("type");
  if (it != schema.end() && it->is_string()) return it->get<std::string>();
  if (it != schema.end() && it->is_array()) {
    for (const auto& one : *it) {
      if (one.is_string() && one != "null") return one.get<std::string>();
    }
  }
  if (schema.contains("properties") || schema.contains("allOf")) return "object";
  return schema.contains("items") ? "array" : "";
}

DraftSchemas::Members DraftSchemas::members(const Json& schema, bool of_request, int depth) const {
  Members out;
  if (depth > kMergeDepth) return out;
  const auto& parts = structured_member(schema, "allOf");
  for (std::size_t i = 0; parts.is_array() && i < parts.size() && i < kPartsMax; ++i) {
    auto part = members(resolve(parts[i]), of_request, depth + 1);
    for (auto& member : part.list) out.list.push_back(std::move(member));
    for (auto& name : part.required) out.required.push_back(std::move(name));
  }
  const auto& properties = structured_member(schema, "properties");
  if (properties.is_object()) {
    for (const auto& [name, value] : properties.items()) {
      if (out.list.size() >= kMembersMax) break;
      const auto& member = resolve(value);
      if (is_true(member, of_request ? "readOnly" : "writeOnly")) continue;
      const auto same =
          std::find_if(out.list.begin(), out.list.end(), [&](const auto& e) { return e.first == name; });
      if (same == out.list.end()) out.list.emplace_back(name, &member);
    }
  }
  const auto& required = structured_member(schema, "required");
  for (std::size_t i = 0; required.is_array() && i < required.size() && i < kMembersMax; ++i) {
    if (required[i].is_string()) out.required.push_back(required[i].get<std::string>());
  }
  return out;
}

void DraftSchemas::bound(const Json& schema, const std::string& type, DraftJson& out,
                         const std::string& where) {
  if (type == "string") {
    if (const auto min = bounded_member(schema, "minLength", 65000)) out["minLength"] = *min;
    const auto max = bounded_member(schema, "maxLength", 65000);
    if (!max && !schema.contains("enum")) note(where, "no maxLength: 2000 was taken");
    out["maxLength"] = max.value_or(kTextLength);
    const auto format = text_member(schema, "format");
    if (format == "date-time" || format == "date" || format == "email" || format == "uuid")
      out["format"] = format;
    if (const auto pattern = text_member(schema, "pattern"); !pattern.empty()) {
      out["pattern"] = pattern;
      if (pattern.size() > 500 || !compiles(out)) {
        out.erase("pattern");
        note(where, "its pattern was left out");
      }
    }
  } else if (type == "integer" || type == "number") {
    for (const char* name : {"minimum", "maximum"}) {
      const auto it = schema.find(name);
      if (it != schema.end() && it->is_number()) out[name] = DraftJson::parse(it->dump());
    }
  }
}

DraftJson DraftSchemas::choice_input(const Json& list, const std::string& where, int depth) {
  DraftJson forms = DraftJson::array();
  for (std::size_t i = 0; i < list.size() && forms.size() < kChoicesMax; ++i) {
    const auto& form = resolve(list[i]);
    if (type_of(form) != "null") forms.push_back(input(form, where, depth + 1));
  }
  if (forms.empty()) return plain_text();
  return forms.size() == 1 ? DraftJson(forms[0]) : DraftJson{{"anyOf", forms}};
}

DraftJson DraftSchemas::object_input(const Json& schema, const std::string& where, int depth) {
  const auto found = members(schema, true);
  if (found.list.empty()) {
    note(where, "an object without known members: texts were taken");
    return free_object();
  }
  DraftJson properties = DraftJson::object(), required = DraftJson::array();
  for (const auto& [name, member] : found.list)
    properties[name] = input(*member, where + "." + name, depth + 1);
  for (const auto& name : found.required) {
    const bool twice = std::find(required.begin(), required.end(), name) != required.end();
    if (properties.contains(name) && !twice) required.push_back(name);
  }
  DraftJson out = {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  if (!required.empty()) out["required"] = required;
  return out;
}

DraftJson DraftSchemas::input(const Json& node, const std::string& where, int depth) {
  const auto& schema = resolve(node);
  if (++schemas_ > kSchemasMax || depth > kInputDepth) {
    note(where, "nested too deep: a text was taken");
    return plain_text();
  }
  for (const char* name : {"oneOf", "anyOf"}) {
    const auto& list = structured_member(schema, name);
    if (list.is_array() && !list.empty() && !schema.contains("properties"))
      return choice_input(list, where, depth);
  }
  const auto type = type_of(schema);
  DraftJson out = DraftJson::object();
  const auto& values = structured_member(schema, "enum");
  if (values.is_array() && !values.empty()) {
    DraftJson kept = DraftJson::array();
    for (const auto& value : values) {
      const bool fits = type == "string" ? value.is_string() : value.is_primitive() && !value.is_null();
      if (fits && kept.size() < kEnumMax) kept.push_back(DraftJson::parse(value.dump()));
    }
    if (!type.empty()) out["type"] = type;
    if (!kept.empty()) {
      out["enum"] = kept;
      if (const auto words = plain_line(text_member(schema, "description"), 400); !words.empty())
        out["description"] = words;
      return out;
    }
  }
  if (type == "object") {
    out = object_input(schema, where, depth);
  } else if (type == "array") {
    out = {{"type", "array"}, {"items", input(structured_member(schema, "items"), where + "[]", depth + 1)}};
    out["maxItems"] = bounded_member(schema, "maxItems", 1000).value_or(kListLength);
  } else if (type == "string" || type == "integer" || type == "number" || type == "boolean") {
    out["type"] = type;
    bound(schema, type, out, where);
  } else {
    note(where, "has no type: a text was taken");
    out = plain_text();
  }
  if (const auto words = plain_line(text_member(schema, "description"), 400); !words.empty())
    out["description"] = words;
  return out;
}

DraftJson DraftSchemas::field(const std::string& name, const Json& schema, const std::string& where,
                              int depth) {
  const auto type = type_of(schema);
  if (type == "integer" || type == "number" || type == "boolean") return type;
  if (type == "string") return "string";
  if (type == "array") {
    const auto& items = resolve(structured_member(schema, "items"));
    const auto item = type_of(items);
    if (item == "string") return "strings";
    auto below = item == "object" && depth < kDraftShapeDepth ? shape(items, where + "." + name, depth + 1)
                                                              : DraftJson();
    return below.empty() ? DraftJson() : DraftJson{{"type", "list"}, {"shape", below}};
  }
  if (type != "object" || depth >= kDraftShapeDepth) return {};
  auto below = shape(schema, where + "." + name, depth + 1);
  return below.empty() ? DraftJson() : DraftJson{{"type", "one"}, {"shape", below}};
}

DraftJson DraftSchemas::shape(const Json& node, const std::string& where, int depth) {
  DraftJson out = DraftJson::object();
  if (++schemas_ > kSchemasMax) return out;
  for (const auto& [name, schema] : members(resolve(node), false).list) {
    if (out.size() >= kFieldsMax) {
      note(where, "more than 40 fields: keep those that an agent needs");
      break;
    }
    auto kind = field(name, *schema, where, depth);
    if (kind.is_null()) continue;
    const auto plain = snake_name(name, 64);
    if (plain.empty() || out.contains(plain)) continue;
    if (plain != name) {
      if (kind.is_string()) kind = DraftJson{{"type", kind}};
      kind["from"] = "/" + core::pointer_token(name);
    }
    out[plain] = std::move(kind);
  }
  return out;
}

}  // namespace assistiv::mcp
