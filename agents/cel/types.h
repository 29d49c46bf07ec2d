#pragma once
// The types of CEL as the checker knows them. Immutable, cheap to copy, shared between threads.
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace assistiv::agents::cel {

// What a value is at run time. Dyn is the checker's "known only at run time", Object its map with known keys.
enum class Kind : std::uint8_t {
  Null,
  Bool,
  Int,
  Uint,
  Double,
  String,
  Bytes,
  Timestamp,
  Duration,
  List,
  Map,
  Type,
  Error,
  Dyn,
  Object,
};

// CEL's name of a kind: "int", "null_type", "google.protobuf.Timestamp"; a Map and an Object are "map".
std::string_view kind_name(Kind kind);
// The kind that an identifier like "int" names; empty when it names none.
std::optional<Kind> kind_named(std::string_view name);

class Type {
 public:
  static Type dyn() { return Type(Kind::Dyn); }
  static Type of(Kind kind) { return Type(kind); }
  static Type list(Type element);
  static Type map(Type key, Type value);
  // A map with these string keys and, when `open`, any others.
  static Type object(std::map<std::string, Type> properties, bool open);
  // From a JSON Schema (2020-12 or older). An object with `properties` has those keys and no others unless
  // `additionalProperties` or `patternProperties` says more; "number" is double, "integer" int; what the
  // schema leaves open is dyn, and so is everything below 16 levels. null among the types is ignored: any
  // value may be compared with null.
  static Type from_schema(const core::Json& schema);

  Kind kind() const { return kind_; }
  bool is_dyn() const { return kind_ == Kind::Dyn; }
  bool is_map() const { return kind_ == Kind::Map || kind_ == Kind::Object; }
  // Of a list its elements, of a map its values; dyn for anything else.
  Type element() const;
  Type key() const;
  // The type of a member: empty for a key that the type does not have. dyn when nothing is known.
  std::optional<Type> member(std::string_view name) const;
  std::vector<std::string> member_names() const;
  // "list(string)", "map(string, dyn)", "object".
  std::string name() const;
  bool operator==(const Type& other) const;

 private:
  struct Parts;
  explicit Type(Kind kind) : kind_(kind) {}
  Type(Kind kind, std::shared_ptr<const Parts> parts) : kind_(kind), parts_(std::move(parts)) {}

  Kind kind_;
  std::shared_ptr<const Parts> parts_;
};

// The type of a list of both: theirs if they are equal, else dyn.
Type join(const Type& a, const Type& b);

// The variables that an expression may use. Names of several parts ("a.b") are not needed: a is an object.
class Declarations {
 public:
  Declarations& add(std::string name, Type type);
  const Type* find(std::string_view name) const;  // nullptr when it is not declared
  std::vector<std::string> names() const;

 private:
  std::map<std::string, Type, std::less<>> variables_;
};

}  // namespace assistiv::agents::cel
