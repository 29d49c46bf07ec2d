#include "agents/cel/types.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace assistiv::agents::cel {

using core::Json;

struct Type::Parts {
  std::optional<Type> key, element;
  std::map<std::string, Type> properties;
  bool open = false;
};

namespace {

constexpr std::pair<Kind, std::string_view> kNames[] = {
    {Kind::Null, "null_type"},
    {Kind::Bool, "bool"},
    {Kind::Int, "int"},
    {Kind::Uint, "uint"},
    {Kind::Double, "double"},
    {Kind::String, "string"},
    {Kind::Bytes, "bytes"},
    {Kind::Timestamp, "google.protobuf.Timestamp"},
    {Kind::Duration, "google.protobuf.Duration"},
    {Kind::List, "list"},
    {Kind::Map, "map"},
    {Kind::Type, "type"},
    {Kind::Error, "error"},
    {Kind::Dyn, "dyn"},
    {Kind::Object, "map"},
};

// Reads a schema into a type. What is too deep, too large or goes in circles is dyn.
class SchemaReader {
 public:
  explicit SchemaReader(const Json& root) : root_(root) {}

  Type read(const Json& schema, int depth) {
    if (!schema.is_object() || depth > kDepthMax || ++nodes_ > kNodesMax) return Type::dyn();
    if (const auto ref = schema.find("$ref"); ref != schema.end()) return read_reference(*ref, depth);
    if (const auto type = schema.find("type"); type != schema.end()) return read_typed(schema, *type, depth);
    if (const auto it = schema.find("const"); it != schema.end()) return type_of(*it);
    if (const auto it = schema.find("enum"); it != schema.end() && it->is_array()) return read_enum(*it);
    for (const char* name : {"anyOf", "oneOf"}) {
      if (const auto it = schema.find(name); it != schema.end()) return read_alternatives(*it, depth);
    }
    if (schema.contains("properties")) return read_object(schema, depth);
    return Type::dyn();
  }

 private:
  static constexpr int kDepthMax = 16;
  static constexpr int kNodesMax = 4096;

  Type read_reference(const Json& ref, int depth) {
    if (!ref.is_string() || !ref.get_ref<const std::string&>().starts_with("#/")) return Type::dyn();
    try {
      const auto pointer = Json::json_pointer(ref.get<std::string>().substr(1));
      return root_.contains(pointer) ? read(root_.at(pointer), depth + 1) : Type::dyn();
    } catch (const Json::exception&) {
      return Type::dyn();
    }
  }

  Type read_typed(const Json& schema, const Json& type, int depth) {
    if (type.is_string()) return read_named(schema, type.get<std::string>(), depth);
    std::optional<std::string> only;
    for (const auto& name : type) {
      if (!name.is_string() || name == "null") continue;
      if (only) return Type::dyn();
      only = name.get<std::string>();
    }
    return only ? read_named(schema, *only, depth) : Type::dyn();
  }

  Type read_named(const Json& schema, const std::string& name, int depth) {
    if (name == "string") return Type::of(Kind::String);
    if (name == "boolean") return Type::of(Kind::Bool);
    if (name == "integer") return Type::of(Kind::Int);
    if (name == "number") return Type::of(Kind::Double);
    if (name == "null") return Type::of(Kind::Null);
    if (name == "object") return read_object(schema, depth);
    if (name != "array") return Type::dyn();
    const auto items = schema.find("items");
    return Type::list(items == schema.end() ? Type::dyn() : read(*items, depth + 1));
  }

  Type read_object(const Json& schema, int depth) {
    const auto additional = schema.find("additionalProperties");
    const bool open =
        schema.contains("patternProperties") || (additional != schema.end() && *additional != Json(false));
    const auto properties = schema.find("properties");
    if (properties == schema.end() || !properties->is_object() || properties->empty()) {
      if (additional != schema.end() && *additional == Json(false)) return Type::object({}, false);
      const bool typed = additional != schema.end() && !schema.contains("patternProperties");
      return Type::map(Type::of(Kind::String), typed ? read(*additional, depth + 1) : Type::dyn());
    }
    std::map<std::string, Type> members;
    for (const auto& [name, member] : properties->items()) members.emplace(name, read(member, depth + 1));
    return Type::object(std::move(members), open);
  }

  Type read_enum(const Json& values) {
    std::optional<Type> out;
    for (const auto& value : values) {
      if (!value.is_null()) out = out ? join(*out, type_of(value)) : type_of(value);
    }
    return out.value_or(Type::dyn());
  }

  Type read_alternatives(const Json& schemas, int depth) {
    std::optional<Type> out;
    for (const auto& schema : schemas) {
      const Type type = read(schema, depth + 1);
      if (type.kind() != Kind::Null) out = out ? join(*out, type) : type;
    }
    return out.value_or(Type::dyn());
  }

  static Type type_of(const Json& value) {
    if (value.is_string()) return Type::of(Kind::String);
    if (value.is_boolean()) return Type::of(Kind::Bool);
    if (value.is_number_integer()) return Type::of(Kind::Int);
    return Type::dyn();
  }

  const Json& root_;
  int nodes_ = 0;
};

}  // namespace

std::string_view kind_name(Kind kind) {
  for (const auto& [known, name] : kNames) {
    if (known == kind) return name;
  }
  return "unknown";
}

std::optional<Kind> kind_named(std::string_view name) {
  for (const auto& [kind, known] : kNames) {
    if (known == name && kind < Kind::Error) return kind;
  }
  return std::nullopt;
}

Type Type::list(Type element) {
  auto parts = std::make_shared<Parts>();
  parts->element = std::move(element);
  return {Kind::List, std::move(parts)};
}

Type Type::map(Type key, Type value) {
  auto parts = std::make_shared<Parts>();
  parts->key = std::move(key);
  parts->element = std::move(value);
  return {Kind::Map, std::move(parts)};
}

Type Type::object(std::map<std::string, Type> properties, bool open) {
  auto parts = std::make_shared<Parts>();
  parts->key = Type::of(Kind::String);
  parts->properties = std::move(properties);
  parts->open = open;
  return {Kind::Object, std::move(parts)};
}

Type Type::from_schema(const Json& schema) {
  return SchemaReader(schema).read(schema, 0);
}

Type Type::element() const {
  return parts_ && parts_->element ? *parts_->element : dyn();
}
Type Type::key() const {
  return parts_ && parts_->key ? *parts_->key : dyn();
}

std::optional<Type> Type::member(std::string_view name) const {
  if (kind_ != Kind::Object) return element();
  const auto it = parts_->properties.find(std::string(name));
  if (it != parts_->properties.end()) return it->second;
  return parts_->open ? std::optional<Type>(dyn()) : std::nullopt;
}

std::vector<std::string> Type::member_names() const {
  std::vector<std::string> out;
  if (kind_ == Kind::Object) {
    for (const auto& [name, type] : parts_->properties) out.push_back(name);
  }
  return out;
}

std::string Type::name() const {
  if (kind_ == Kind::List && parts_) return "list(" + element().name() + ")";
  if (kind_ == Kind::Map && parts_) return "map(" + key().name() + ", " + element().name() + ")";
  return std::string(kind_name(kind_));
}

bool Type::operator==(const Type& other) const {
  if (kind_ != other.kind_) return false;
  if (parts_ == other.parts_ || kind_ < Kind::List || kind_ > Kind::Map) {
    return kind_ != Kind::Object || parts_ == other.parts_;
  }
  return key() == other.key() && element() == other.element();
}

Type join(const Type& a, const Type& b) {
  if (a == b) return a;
  if (a.is_map() && b.is_map()) return Type::map(join(a.key(), b.key()), Type::dyn());
  if (a.kind() == Kind::List && b.kind() == Kind::List) return Type::list(join(a.element(), b.element()));
  return Type::dyn();
}

Declarations& Declarations::add(std::string name, Type type) {
  variables_.insert_or_assign(std::move(name), std::move(type));
  return *this;
}

const Type* Declarations::find(std::string_view name) const {
  const auto it = variables_.find(name);
  return it == variables_.end() ? nullptr : &it->second;
}

std::vector<std::string> Declarations::names() const {
  std::vector<std::string> out;
  for (const auto& [name, type] : variables_) out.push_back(name);
  return out;
}

}  // namespace assistiv::agents::cel
