#pragma once
// Connector manifests for tests: the embedded ones, and a small complete one to change.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mcp/connectors/catalog.h"

namespace assistiv::test {

// An app "acme" with one reading and one writing tool; without faults.
nlohmann::json acme_manifest();
// A tool of acme_manifest() by its place: 0 reads, 1 writes.
nlohmann::json& acme_tool(nlohmann::json& manifest, std::size_t index);

mcp::Catalog load_manifest(const nlohmann::json& manifest, const mcp::ApiOverrides& overrides = {});
// What Catalog::load complains about, as "pointer: message"; empty when it does not.
std::vector<std::string> manifest_faults(const nlohmann::json& manifest);

}  // namespace assistiv::test
