#pragma once
// Schemas of an OpenAPI document (3.0 or 3.1) as inputs and shapes of a manifest. References are followed
// within the document only; depth, width and the number of schemas are bounded, so that a document that
// refers to itself, or is made to hurt, ends.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/json.h"

namespace assistiv::mcp {

// Keeps the order in which a person wants to read a manifest.
using DraftJson = nlohmann::ordered_json;

class DraftSchemas {
 public:
  // Keeps references to both. `notes` hears what could not be taken over, as "<where>: <what>".
  DraftSchemas(const core::Json& document, std::vector<std::string>& notes)
      : document_(document), notes_(notes) {}

  // Follows "$ref"; an empty object when it leads nowhere, or outside.
  const core::Json& resolve(const core::Json& node) const;
  // An input schema as the lint wants it: closed, bounded, with portable keywords.
  DraftJson input(const core::Json& schema, const std::string& where, int depth = 0);
  // The members of an object schema, "allOf" included, by name; those that only responses have are left out.
  struct Members {
    std::vector<std::pair<std::string, const core::Json*>> list;
    std::vector<std::string> required;
  };
  Members members(const core::Json& schema, bool of_request, int depth = 0) const;
  // The fields of a result; empty when there is nothing that a shape could show.
  DraftJson shape(const core::Json& schema, const std::string& where, int depth = 0);
  // "string", "integer", ..., "" when the schema does not say.
  std::string type_of(const core::Json& schema) const;
  void note(const std::string& where, const std::string& what);

 private:
  DraftJson object_input(const core::Json& schema, const std::string& where, int depth);
  DraftJson choice_input(const core::Json& list, const std::string& where, int depth);
  void bound(const core::Json& schema, const std::string& type, DraftJson& out, const std::string& where);
  DraftJson field(const std::string& name, const core::Json& schema, const std::string& where, int depth);

  const core::Json& document_;
  std::vector<std::string>& notes_;
  std::size_t schemas_ = 0;
};

}  // namespace assistiv::mcp
