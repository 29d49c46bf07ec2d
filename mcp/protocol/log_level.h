#pragma once
// The levels of notifications/message (RFC 5424 section 6.2.1), least severe first.
#include <cstdint>
#include <optional>
#include <string_view>

namespace assistiv::mcp {

enum class ClientLogLevel : std::uint8_t {
  Debug,
  Info,
  Notice,
  Warning,
  Error,
  Critical,
  Alert,
  Emergency,
  Off
};

constexpr std::optional<ClientLogLevel> parse_log_level(std::string_view text) {
  constexpr std::string_view kNames[] = {"debug", "info",     "notice", "warning",
                                         "error", "critical", "alert",  "emergency"};
  for (std::uint8_t i = 0; i < 8; ++i) {
    if (kNames[i] == text) return static_cast<ClientLogLevel>(i);
  }
  return {};
}

}  // namespace assistiv::mcp
