// From a schema document to a Program. Subschemas are built from a work list, so that neither references nor
// cycles among them recurse.
#include <algorithm>
#include <deque>
#include <set>

#include "core/json_pointer.h"
#include "mcp/schema/documents.h"
#include "mcp/schema/json_order.h"
#include "mcp/schema/node.h"

namespace assistiv::mcp::schema {

namespace {

using core::Json;

constexpr std::string_view kDialect = "https://json-schema.org/draft/2020-12/schema";

std::uint8_t type_bit(const std::string& name) {
  if (name == "null") return kNullBit;
  if (name == "boolean") return kBooleanBit;
  if (name == "object") return kObjectBit;
  if (name == "array") return kArrayBit;
  if (name == "string") return kStringBit;
  if (name == "integer") return kIntegerBit;
  if (name == "number") return kNumberBit | kIntegerBit;
  return 0;
}

Format format_of(const std::string& name) {
  if (name == "date-time") return Format::DateTime;
  if (name == "date") return Format::Date;
  if (name == "uri") return Format::Uri;
  if (name == "email") return Format::Email;
  if (name == "uuid") return Format::Uuid;
  return Format::None;
}

// Long names of Unicode general categories (Unicode 15, PropertyValueAliases) that people write; RE2 knows
// the short ones.
std::string_view short_category(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> kNames[] = {{"Letter", "L"},
                                                                             {"Uppercase_Letter", "Lu"},
                                                                             {"Lowercase_Letter", "Ll"},
                                                                             {"Titlecase_Letter", "Lt"},
                                                                             {"Modifier_Letter", "Lm"},
                                                                             {"Other_Letter", "Lo"},
                                                                             {"Mark", "M"},
                                                                             {"Nonspacing_Mark", "Mn"},
                                                                             {"Spacing_Mark", "Mc"},
                                                                             {"Enclosing_Mark", "Me"},
                                                                             {"Number", "N"},
                                                                             {"Decimal_Number", "Nd"},
                                                                             {"digit", "Nd"},
                                                                             {"Letter_Number", "Nl"},
                                                                             {"Other_Number", "No"},
                                                                             {"Punctuation", "P"},
                                                                             {"punct", "P"},
                                                                             {"Symbol", "S"},
                                                                             {"Math_Symbol", "Sm"},
                                                                             {"Currency_Symbol", "Sc"},
                                                                             {"Separator", "Z"},
                                                                             {"Space_Separator", "Zs"},
                                                                             {"Control", "Cc"},
                                                                             {"Format", "Cf"}};
  for (const auto& [long_name, short_name] : kNames) {
    if (long_name == name) return short_name;
  }
  return name;
}

// ECMA-262 spellings that RE2 has under another name.
std::string to_re2(const std::string& pattern) {
  std::string out;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const std::string_view rest = std::string_view(pattern).substr(i);
    if (rest.starts_with("(?<") && rest.size() > 3 && rest[3] != '=' && rest[3] != '!') {
      out += "(?P<";
      i += 2;
    } else if (rest.starts_with("\\u") && rest.size() >= 6 && rest[2] != '{') {
      out += "\\x{" + std::string(rest.substr(2, 4)) + "}";
      i += 5;
    } else if ((rest.starts_with("\\p{") || rest.starts_with("\\P{")) &&
               rest.find('}') != std::string_view::npos) {
      const auto end = rest.find('}');
      out += std::string(rest.substr(0, 3)) + std::string(short_category(rest.substr(3, end - 3))) + "}";
      i += end;
    } else if (rest[0] == '\\' && rest.size() > 1) {
      out.append(rest.substr(0, 2));
      ++i;
    } else {
      out.push_back(rest[0]);
    }
  }
  return out;
}

// Builds the nodes of one document.
class Builder {
 public:
  Builder(const Json& document, Formats formats, Program& program)
      : formats_(formats), program_(program), index_(document, program.limits, faults_) {}

  std::vector<SchemaFault> run(const Json& document) {
    if (!faults_.empty()) return faults_;
    node_for(index_.place_of(&document));
    link_dynamic_anchors();
    while (!queue_.empty() && faults_.size() < program_.limits.faults_max) {
      auto [id, target] = std::move(queue_.front());
      queue_.pop_front();
      build(id, target);
    }
    return faults_;
  }

 private:
  struct Here {
    const Json& schema;
    const Target& target;
    Node& node;
  };

  NodeId node_for(const Target& target) {
    const auto [it, added] = ids_.try_emplace(target.schema, static_cast<NodeId>(program_.nodes.size()));
    if (added) {
      program_.nodes.emplace_back();
      queue_.emplace_back(it->second, target);
    }
    return it->second;
  }

  void link_dynamic_anchors() {
    for (const auto& resource : index_.resources()) {
      auto& anchors = program_.dynamic_anchors.emplace_back();
      for (const auto& [name, schema] : resource.dynamic_anchors) {
        anchors.emplace_back(name, node_for(index_.place_of(schema)));
      }
    }
  }

  void fault(const Target& at, std::string_view keyword, std::string message) {
    faults_.push_back({at.pointer + "/" + core::pointer_token(keyword), std::move(message)});
  }

  // The subschema under `tokens` of the schema being built. Schemas inside unknown keywords are not in the
  // index.
  NodeId child(const Target& at, const Json& schema, std::initializer_list<std::string_view> tokens) {
    std::string pointer = at.pointer;
    for (const auto token : tokens) pointer += "/" + core::pointer_token(token);
    return node_for({&schema, resource_of(schema, at.resource), std::move(pointer), {}});
  }

  std::uint32_t resource_of(const Json& schema, std::uint32_t otherwise) const {
    return index_.knows(&schema) ? index_.place_of(&schema).resource : otherwise;
  }

  void build(NodeId id, const Target& target) {
    Node node;
    node.resource = target.resource;
    const Json& schema = *target.schema;
    if (schema.is_boolean()) {
      node.never = !schema.get<bool>();
    } else if (!schema.is_object()) {
      faults_.push_back({target.pointer, "must be a schema: an object, true or false"});
    } else {
      const Here here{schema, target, node};
      read_general(here);
      read_number(here);
      read_string(here);
      read_array(here);
      read_object(here);
      read_combination(here);
    }
    program_.nodes[id] = std::move(node);
  }

  // The member, when present.
  static const Json* find(const Here& here, const char* keyword) {
    const auto it = here.schema.find(keyword);
    return it == here.schema.end() ? nullptr : &*it;
  }

  void read_general(const Here& here) {
    if (const Json* dialect = find(here, "$schema")) {
      std::string name = dialect->is_string() ? dialect->get<std::string>() : "";
      if (name.ends_with('#')) name.pop_back();
      if (name != kDialect) fault(here.target, "$schema", "must be " + std::string(kDialect));
    }
    if (const Json* types = find(here, "type")) here.node.types = read_types(here, *types);
    if (const Json* constant = find(here, "const")) here.node.constant = *constant;
    if (const Json* choices = find(here, "enum")) {
      if (!choices->is_array()) return fault(here.target, "enum", "must be an array");
      here.node.choices.emplace(choices->begin(), choices->end());
    }
  }

  std::uint8_t read_types(const Here& here, const Json& types) {
    std::uint8_t bits = 0;
    const auto add = [&](const Json& name) {
      const auto bit = name.is_string() ? type_bit(name.get_ref<const std::string&>()) : std::uint8_t{0};
      if (bit == 0) fault(here.target, "type", "must name a JSON type, or list some");
      bits |= bit;
    };
    if (types.is_array()) {
      for (const auto& name : types) add(name);
    } else {
      add(types);
    }
    return bits;
  }

  void read_number(const Here& here) {
    NumberRules rules;
    bool any = false;
    const auto read = [&](const char* keyword, std::optional<Json>& out) {
      const Json* value = find(here, keyword);
      if (value == nullptr) return;
      if (!value->is_number()) return fault(here.target, keyword, "must be a number");
      out = *value;
      any = true;
    };
    read("minimum", rules.minimum);
    read("maximum", rules.maximum);
    read("exclusiveMinimum", rules.exclusive_minimum);
    read("exclusiveMaximum", rules.exclusive_maximum);
    read("multipleOf", rules.multiple_of);
    if (rules.multiple_of && compare_json(*rules.multiple_of, Json(0)) <= 0) {
      fault(here.target, "multipleOf", "must be greater than 0");
    }
    if (any) here.node.number = std::make_unique<NumberRules>(std::move(rules));
  }

  // A non-negative integer; true when the keyword is there.
  bool read_size(const Here& here, const char* keyword, std::size_t& out) {
    const Json* value = find(here, keyword);
    if (value == nullptr) return false;
    const bool whole = value->is_number() && is_integral(*value) && compare_json(*value, Json(0)) >= 0 &&
                       compare_json(*value, Json(INT64_MAX)) <= 0;
    if (!whole) {
      fault(here.target, keyword, "must be an integer of at least 0");
      return false;
    }
    out = static_cast<std::size_t>(value->get<long double>());
    return true;
  }

  void read_string(const Here& here) {
    StringRules rules;
    bool any = read_size(here, "minLength", rules.min_length);
    any |= read_size(here, "maxLength", rules.max_length);
    if (const Json* pattern = find(here, "pattern")) {
      rules.pattern = read_pattern(here.target, "pattern", *pattern);
      any = true;
    }
    const Json* format = find(here, "format");
    if (format != nullptr && !format->is_string()) fault(here.target, "format", "must be a string");
    if (format != nullptr && format->is_string() && formats_ == Formats::Assert) {
      rules.format = format_of(format->get_ref<const std::string&>());
      any |= rules.format != Format::None;
    }
    if (any) here.node.string = std::make_unique<StringRules>(std::move(rules));
  }

  std::shared_ptr<const RE2> read_pattern(const Target& at, std::string_view keyword, const Json& text) {
    if (!text.is_string() || text.get_ref<const std::string&>().size() > program_.limits.pattern_bytes_max) {
      fault(at, keyword,
            "must be a pattern of at most " + std::to_string(program_.limits.pattern_bytes_max) + " bytes");
      return nullptr;
    }
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(1 << 20);
    auto pattern = std::make_shared<const RE2>(to_re2(text.get_ref<const std::string&>()), options);
    if (pattern->ok()) return pattern;
    fault(at, keyword, "is not a pattern that can be checked in linear time: " + pattern->error());
    return nullptr;
  }

  void read_array(const Here& here) {
    ArrayRules rules;
    bool any = read_schema(here, "items", rules.items);
    any |= read_schema(here, "contains", rules.contains);
    any |= read_schema(here, "unevaluatedItems", rules.unevaluated);
    any |= read_schema_list(here, "prefixItems", rules.prefix);
    any |= read_size(here, "minItems", rules.min_items);
    any |= read_size(here, "maxItems", rules.max_items);
    any |= read_size(here, "minContains", rules.min_contains);
    any |= read_size(here, "maxContains", rules.max_contains);
    if (const Json* unique = find(here, "uniqueItems")) {
      if (!unique->is_boolean()) return fault(here.target, "uniqueItems", "must be true or false");
      rules.unique = unique->get<bool>();
      any = true;
    }
    if (any) here.node.array = std::make_unique<ArrayRules>(std::move(rules));
  }

  bool read_schema(const Here& here, const char* keyword, std::optional<NodeId>& out) {
    const Json* value = find(here, keyword);
    if (value != nullptr) out = child(here.target, *value, {keyword});
    return value != nullptr;
  }

  bool read_schema_list(const Here& here, const char* keyword, std::vector<NodeId>& out) {
    const Json* value = find(here, keyword);
    if (value == nullptr) return false;
    if (!value->is_array() || value->empty()) {
      fault(here.target, keyword, "must be a non-empty array of schemas");
      return false;
    }
    for (std::size_t i = 0; i < value->size(); ++i) {
      out.push_back(child(here.target, (*value)[i], {keyword, std::to_string(i)}));
    }
    return true;
  }

  // The member as an object, when it is one.
  const Json* read_map(const Here& here, const char* keyword) {
    const Json* value = find(here, keyword);
    if (value == nullptr || value->is_object()) return value;
    fault(here.target, keyword, "must be an object");
    return nullptr;
  }

  bool read_named(const Here& here, const char* keyword, std::vector<std::pair<std::string, NodeId>>& out) {
    const Json* map = read_map(here, keyword);
    if (map == nullptr) return false;
    for (const auto& [name, schema] : map->items()) {
      out.emplace_back(name, child(here.target, schema, {keyword, name}));
    }
    return true;
  }

  std::vector<std::string> read_names(const Target& at, std::string_view keyword, const Json& value) {
    std::vector<std::string> out;
    std::set<std::string> seen;
    bool good = value.is_array();
    for (std::size_t i = 0; good && i < value.size(); ++i) {
      good = value[i].is_string() && seen.insert(value[i].get<std::string>()).second;
      if (good) out.push_back(value[i].get<std::string>());
    }
    if (!good) fault(at, keyword, "must be an array of different names");
    return out;
  }

  void read_object(const Here& here) {
    ObjectRules rules;
    bool any = read_named(here, "properties", rules.properties);
    any |= read_named(here, "dependentSchemas", rules.dependent_schemas);
    any |= read_schema(here, "additionalProperties", rules.additional);
    any |= read_schema(here, "propertyNames", rules.names);
    any |= read_schema(here, "unevaluatedProperties", rules.unevaluated);
    any |= read_size(here, "minProperties", rules.min_properties);
    any |= read_size(here, "maxProperties", rules.max_properties);
    any |= read_pattern_properties(here, rules);
    any |= read_required(here, rules);
    if (any) here.node.object = std::make_unique<ObjectRules>(std::move(rules));
  }

  bool read_pattern_properties(const Here& here, ObjectRules& rules) {
    const Json* map = read_map(here, "patternProperties");
    if (map == nullptr) return false;
    for (const auto& [name, schema] : map->items()) {
      rules.patterns.emplace_back(read_pattern(here.target, "patternProperties", Json(name)),
                                  child(here.target, schema, {"patternProperties", name}));
    }
    return true;
  }

  bool read_required(const Here& here, ObjectRules& rules) {
    const Json* required = find(here, "required");
    if (required != nullptr) rules.required = read_names(here.target, "required", *required);
    const Json* dependent = read_map(here, "dependentRequired");
    if (dependent == nullptr) return required != nullptr;
    for (const auto& [name, names] : dependent->items()) {
      rules.dependent_required.emplace_back(name, read_names(here.target, "dependentRequired", names));
    }
    return true;
  }

  void read_combination(const Here& here) {
    Combination rules;
    bool any = read_schema_list(here, "allOf", rules.all_of);
    any |= read_schema_list(here, "anyOf", rules.any_of);
    any |= read_schema_list(here, "oneOf", rules.one_of);
    any |= read_schema(here, "not", rules.none_of);
    if (read_schema(here, "if", rules.condition)) {
      read_schema(here, "then", rules.then);
      read_schema(here, "else", rules.otherwise);
      any = true;
    }
    any |= read_reference(here, "$ref", rules);
    any |= read_reference(here, "$dynamicRef", rules);
    if (any) here.node.combination = std::make_unique<Combination>(std::move(rules));
  }

  bool read_reference(const Here& here, const char* keyword, Combination& rules) {
    const Json* reference = find(here, keyword);
    if (reference == nullptr) return false;
    if (!reference->is_string()) {
      fault(here.target, keyword, "must be a string");
      return true;
    }
    auto target = index_.resolve(here.target.resource, reference->get_ref<const std::string&>());
    if (!target) {
      fault(here.target, keyword,
            "points to nothing in this document, and other documents are never fetched");
      return true;
    }
    const NodeId node = node_for(*target);
    if (std::string_view(keyword) == "$dynamicRef" && !target->dynamic_anchor.empty()) {
      rules.dynamic = Combination::Dynamic{target->dynamic_anchor, node};
    } else {
      rules.all_of.push_back(node);
    }
    return true;
  }

  Formats formats_;
  Program& program_;
  std::vector<SchemaFault> faults_;
  DocumentIndex index_;
  std::unordered_map<const Json*, NodeId> ids_;
  std::deque<std::pair<NodeId, Target>> queue_;
};

}  // namespace

std::vector<SchemaFault> compile_program(const Json& document, Formats formats, Program& program) {
  return Builder(document, formats, program).run(document);
}

}  // namespace assistiv::mcp::schema
