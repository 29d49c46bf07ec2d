#pragma once
// One operation of an OpenAPI document as a tool of a draft.
#include <map>
#include <optional>
#include <set>
#include <string>

#include "mcp/connectors/draft/draft_schema.h"

namespace assistiv::mcp {

struct DraftOperation {
  std::string method;                // "GET"
  std::string path;                  // "/repos/{owner}"
  const core::Json* item = nullptr;  // the path item: its parameters are of all operations
  const core::Json* operation = nullptr;
  std::string where() const { return method + " " + path; }
};

// What the tools of one draft share.
struct DraftBook {
  const core::Json& document;
  DraftSchemas schemas;
  std::string id;
  std::string oauth_scheme;                    // name of the security scheme whose scopes count; may be empty
  std::set<std::string> scopes;                // that it has
  std::set<std::string> names;                 // of tools so far
  DraftJson paginators = DraftJson::object();  // name -> paginator
  DraftBook(const core::Json& openapi, std::vector<std::string>& notes)
      : document(openapi), schemas(openapi, notes) {}
};

// Empty when the operation cannot be a tool; a note says why.
std::optional<DraftJson> draft_tool(DraftBook& book, const DraftOperation& operation);

}  // namespace assistiv::mcp
