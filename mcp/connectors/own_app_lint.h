#pragma once
// The rules for manifests of platforms' own apps that their JSON shows. Pure.
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "mcp/connectors/catalog.h"

namespace assistiv::mcp {

inline constexpr char kOwnManifestName[] = "manifest";  // the "file" of its faults

// "127.0.0.1", "localhost" or "[::1]", with or without a port.
bool is_loopback_host(std::string_view host);

// What reading the manifest would cost beyond its size. With such a fault it must not be read further.
std::vector<ManifestFault> own_cost_faults(const core::Json& manifest);
// The rest. `loopback`: hosts may be loopback ones.
std::vector<ManifestFault> own_rule_faults(const core::Json& manifest, bool loopback);

// Letters and digits in one case without what makes two names look different to a program and alike to
// people; for comparing titles.
std::string folded_title(std::string_view title);

}  // namespace assistiv::mcp
