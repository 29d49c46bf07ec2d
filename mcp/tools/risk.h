#pragma once
// What a tool may do to the world, as policies speak of it. Read changes nothing, write changes the end
// user's own data, outbound is seen by other people (a post, a reply), destructive cannot be taken back
// (delete, merge).
#include <optional>
#include <string_view>

namespace assistiv::mcp {

enum class Risk { Read, Write, Outbound, Destructive };

inline constexpr Risk kRisks[] = {Risk::Read, Risk::Write, Risk::Outbound, Risk::Destructive};

std::string_view risk_name(Risk risk);  // "read", "write", "outbound", "destructive"
std::optional<Risk> parse_risk(std::string_view name);

}  // namespace assistiv::mcp
