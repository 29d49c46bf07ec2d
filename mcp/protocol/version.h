#pragma once
// The revisions of the protocol that this server speaks, oldest first, so that they compare.
// Legacy revisions begin with `initialize`; modern ones state themselves in every request.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace assistiv::mcp {

enum class Version : std::uint8_t { v2024_11_05, v2025_03_26, v2025_06_18, v2025_11_25, v2026_07_28 };

inline constexpr Version kNewestLegacy = Version::v2025_11_25;
// What a legacy request without session and without MCP-Protocol-Version header speaks (2025-06-18
// transports, "Protocol Version Header").
inline constexpr Version kAssumedLegacy = Version::v2025_03_26;

constexpr bool is_modern(Version version) {
  return version >= Version::v2026_07_28;
}

// Definitions and serverInfo may have icons.
constexpr bool has_icons(Version version) {
  return version >= Version::v2025_11_25;
}

std::optional<Version> parse_version(std::string_view text);
std::string_view version_name(Version version);
// All of them, newest first, as a JSON array.
std::string_view supported_versions_json();

}  // namespace assistiv::mcp
