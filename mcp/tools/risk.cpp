#include "mcp/tools/risk.h"

namespace assistiv::mcp {

std::string_view risk_name(Risk risk) {
  switch (risk) {
    case Risk::Read:
      return "read";
    case Risk::Write:
      return "write";
    case Risk::Outbound:
      return "outbound";
    case Risk::Destructive:
      break;
  }
  return "destructive";
}

std::optional<Risk> parse_risk(std::string_view name) {
  for (const Risk risk : kRisks) {
    if (risk_name(risk) == name) return risk;
  }
  return {};
}

}  // namespace assistiv::mcp
