#pragma once
// Where things are in a schema document: resources ($id), anchors, and what a reference points to.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/json.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::mcp::schema {

// One schema resource (JSON Schema core, section 4.3.5): the document, or an embedded subschema with an $id.
struct Resource {
  std::string base;
  const core::Json* root = nullptr;
  std::map<std::string, const core::Json*, std::less<>> anchors;          // $anchor and $dynamicAnchor
  std::map<std::string, const core::Json*, std::less<>> dynamic_anchors;  // $dynamicAnchor alone
};

struct Target {
  const core::Json* schema = nullptr;
  std::uint32_t resource = 0;
  std::string pointer;         // of the schema in the document
  std::string dynamic_anchor;  // set when the reference names a $dynamicAnchor of its resource
};

class DocumentIndex {
 public:
  // Finds every subschema of `document`, which must outlive the index. Faults are appended to `faults`.
  DocumentIndex(const core::Json& document, const SchemaLimits& limits, std::vector<SchemaFault>& faults);

  const std::vector<Resource>& resources() const { return resources_; }
  // The target of a $ref or $dynamicRef found in `resource`; empty when this document does not hold it.
  std::optional<Target> resolve(std::uint32_t resource, std::string_view reference) const;
  bool knows(const core::Json* schema) const { return places_.contains(schema); }
  // The JSON pointer and resource of a subschema that the index knows.
  Target place_of(const core::Json* schema) const { return places_.at(schema); }

 private:
  void visit(const core::Json& schema, std::uint32_t resource, const std::string& pointer, std::size_t depth);
  void visit_children(const core::Json& schema, std::uint32_t resource, const std::string& pointer,
                      std::size_t depth);
  std::uint32_t enter_resource(const core::Json& schema, std::uint32_t outer, const std::string& pointer);
  void add_anchor(const core::Json& schema, std::uint32_t resource, const std::string& pointer,
                  const char* keyword);
  std::optional<Target> follow(std::uint32_t resource, std::string_view pointer) const;

  const SchemaLimits& limits_;
  std::vector<SchemaFault>& faults_;
  std::vector<Resource> resources_;
  std::map<std::string, std::uint32_t, std::less<>> by_uri_;
  std::unordered_map<const core::Json*, Target> places_;
};

}  // namespace assistiv::mcp::schema
