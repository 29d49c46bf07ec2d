#pragma once
// The compiled form of a schema document: a flat table of nodes, one per subschema. Made by compiler.cpp,
// walked by checker.cpp; nothing else includes this.
#include <re2/re2.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::mcp::schema {

using NodeId = std::uint32_t;

// Bits of Node::types. A float without a fraction is an integer too.
inline constexpr std::uint8_t kNullBit = 1;
inline constexpr std::uint8_t kBooleanBit = 2;
inline constexpr std::uint8_t kObjectBit = 4;
inline constexpr std::uint8_t kArrayBit = 8;
inline constexpr std::uint8_t kStringBit = 16;
inline constexpr std::uint8_t kIntegerBit = 32;
inline constexpr std::uint8_t kNumberBit = 64;
inline constexpr std::uint8_t kAnyType = 127;

enum class Format { None, DateTime, Date, Uri, Email, Uuid };

struct NumberRules {
  std::optional<core::Json> minimum, maximum, exclusive_minimum, exclusive_maximum, multiple_of;
};

struct StringRules {
  std::size_t min_length = 0;  // in code points
  std::size_t max_length = SIZE_MAX;
  std::shared_ptr<const RE2> pattern;
  Format format = Format::None;
};

struct ArrayRules {
  std::vector<NodeId> prefix;
  std::optional<NodeId> items, contains, unevaluated;
  std::size_t min_items = 0, max_items = SIZE_MAX;
  std::size_t min_contains = 1, max_contains = SIZE_MAX;
  bool unique = false;
};

struct ObjectRules {
  std::vector<std::pair<std::string, NodeId>> properties;  // sorted by name
  std::vector<std::pair<std::shared_ptr<const RE2>, NodeId>> patterns;
  std::optional<NodeId> additional, names, unevaluated;
  std::vector<std::string> required;
  std::vector<std::pair<std::string, std::vector<std::string>>> dependent_required;
  std::vector<std::pair<std::string, NodeId>> dependent_schemas;
  std::size_t min_properties = 0, max_properties = SIZE_MAX;
};

// Subschemas that apply to the same value.
struct Combination {
  std::vector<NodeId> all_of;  // with the target of $ref
  std::vector<NodeId> any_of, one_of;
  std::optional<NodeId> none_of;
  std::optional<NodeId> condition, then, otherwise;
  // $dynamicRef: the outermost resource of the dynamic scope that has the anchor wins, else `fallback`.
  struct Dynamic {
    std::string anchor;
    NodeId fallback;
  };
  std::optional<Dynamic> dynamic;
};

struct Node {
  std::uint32_t resource = 0;  // the schema resource ($id) it belongs to
  bool never = false;          // the schema `false`
  std::uint8_t types = kAnyType;
  std::optional<core::Json> constant;
  std::optional<std::vector<core::Json>> choices;
  std::unique_ptr<NumberRules> number;
  std::unique_ptr<StringRules> string;
  std::unique_ptr<ArrayRules> array;
  std::unique_ptr<ObjectRules> object;
  std::unique_ptr<Combination> combination;
};

struct Program {
  std::vector<Node> nodes;                                                   // the root is the first
  std::vector<std::vector<std::pair<std::string, NodeId>>> dynamic_anchors;  // by resource
  SchemaLimits limits;
};

// Fills `program`, or returns the faults of the document.
std::vector<SchemaFault> compile_program(const core::Json& document, Formats formats, Program& program);
std::vector<SchemaFault> check_program(const Program& program, const core::Json& value);

}  // namespace assistiv::mcp::schema
