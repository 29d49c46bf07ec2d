#include "mcp/protocol/version.h"

#include <array>

namespace assistiv::mcp {

namespace {
constexpr std::array<std::string_view, 5> kVersionNames = {"2024-11-05", "2025-03-26", "2025-06-18",
                                                           "2025-11-25", "2026-07-28"};
}

std::optional<Version> parse_version(std::string_view text) {
  for (std::size_t i = 0; i < kVersionNames.size(); ++i) {
    if (kVersionNames[i] == text) return static_cast<Version>(i);
  }
  return {};
}

std::string_view version_name(Version version) {
  return kVersionNames[static_cast<std::size_t>(version)];
}

std::string_view supported_versions_json() {
  return R"(["2026-07-28","2025-11-25","2025-06-18","2025-03-26","2024-11-05"])";
}

}  // namespace assistiv::mcp
