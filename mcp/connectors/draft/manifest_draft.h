#pragma once
// A first manifest from an OpenAPI document (3.0 or 3.1), for a person to finish: docs/connectors.md, "From
// an OpenAPI document". Offline and pure: nothing is fetched, "$ref" is followed within the document only.
#include <string>
#include <vector>

#include "core/json.h"

namespace assistiv::mcp {

struct DraftOptions {
  std::string id;  // of the app; made from the title when empty
  // Operations to take, by "METHOD /path" or operationId with "*"; all of them when empty.
  std::vector<std::string> include;
};

struct ManifestDraft {
  std::string id;
  std::string text;  // the manifest, indented
  std::size_t tools = 0;
  std::vector<std::string> undecided;  // "<where>: <what the author is to decide>"
  std::vector<std::string> faults;     // what the loader refuses as it stands, "pointer: message"
};

inline constexpr std::size_t kDraftToolsMax = 64;

// Throws Error{InvalidArgument} when this is no OpenAPI 3 document, or no operation is left.
ManifestDraft draft_manifest(const core::Json& openapi, const DraftOptions& options);

}  // namespace assistiv::mcp
