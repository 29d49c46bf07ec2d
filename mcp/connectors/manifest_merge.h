#pragma once
// What happens to a manifest before it is read: "extends" is applied and shared arguments are put in their
// places.
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "mcp/connectors/catalog.h"

namespace assistiv::mcp {

struct ManifestDocument {
  std::string file;
  std::shared_ptr<core::Json> json;
};

// Parses the files, applies "extends" and replaces {"$ref": "#/arguments/<name>", ...} in inputs by the
// shared argument (members beside $ref win). {"id", "extends": "<id of another manifest>", ...} takes over
// the other manifest: members of its top-level objects are replaced one by one (null removes), "tools" is an
// object from tool name to members to replace, and tools get the new id in front of their names instead of
// the old one, also where texts mention them. Faulty documents are left out. By id.
std::vector<ManifestDocument> merge_manifests(const std::vector<ManifestFile>& files,
                                              std::vector<ManifestFault>& faults);

}  // namespace assistiv::mcp
