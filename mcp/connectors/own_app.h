#pragma once
// Reading the manifest of a platform's own app. It is written by a stranger: on top of what every manifest
// must keep to, it may take nothing from the server's apps, imitate none of them, reach public hosts under
// fixed domains only, carry no secret, and cost no more to read than its size says.
#include <string>
#include <vector>

#include "mcp/connectors/catalog.h"

namespace assistiv::mcp {

inline constexpr std::size_t kOwnManifestBytesMax = 128 * 1024;

struct OwnAppRules {
  // For tests and development: a manifest all of whose hosts are loopback may use plain http.
  bool loopback = false;
};

// Throws ManifestError with every fault that can be told, by its place in the manifest.
AppPtr read_own_app(const std::string& text, const OwnAppRules& rules);

// What makes this app look like one of the server's.
std::vector<ManifestFault> imitation_faults(const App& app, const Catalog& built_in);

}  // namespace assistiv::mcp
