#pragma once
// Which tools may be used, and how: the shapes of docs/rest-api.md ("Apps", "Grants") and the one function
// that decides. Everything here is pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/json.h"
#include "mcp/tools/risk.h"

namespace assistiv::mcp {

enum class PolicyMode { All, ReadOnly, List, None };

// A small set of risk classes.
class RiskSet {
 public:
  void add(Risk risk) { bits_ |= bit(risk); }
  bool has(Risk risk) const { return (bits_ & bit(risk)) != 0; }
  bool empty() const { return bits_ == 0; }
  bool operator==(const RiskSet&) const = default;

 private:
  static std::uint8_t bit(Risk risk) { return static_cast<std::uint8_t>(1u << static_cast<unsigned>(risk)); }
  std::uint8_t bits_ = 0;
};

// Name lists are sorted and free of duplicates.
struct Policy {
  PolicyMode mode = PolicyMode::All;
  std::vector<std::string> tools;  // what PolicyMode::List allows; empty in the other modes
  std::vector<std::string> deny;
  RiskSet approval_classes;
  std::vector<std::string> approval_tools;
  bool operator==(const Policy&) const = default;
};

// A grant of one end user for one app. Without a key it replaces the platform's policy, with a key it narrows
// further.
struct Rule {
  std::string app;
  std::optional<core::KeyId> key_id;
  Policy policy;
  bool operator==(const Rule&) const = default;
};

// What a decision needs to know of a tool.
struct ToolTraits {
  std::string_view name;
  Risk risk = Risk::Destructive;
  bool read_only = false;
};

enum class Verdict { Allow, Approval, Deny };
enum class DecidedBy { Default, PlatformPolicy, EndUserGrant, KeyGrant, Consent, AppInactive };

struct Decision {
  Verdict verdict = Verdict::Deny;
  DecidedBy rule = DecidedBy::AppInactive;
  bool operator==(const Decision&) const = default;
};

// The rules that could bind one call; null where there is none.
struct BindingRules {
  bool app_active = false;
  const Policy* platform = nullptr;
  const Policy* end_user = nullptr;
  const Policy* key = nullptr;
  const Policy* consent = nullptr;  // what the end user allowed the client behind an access token
};

// Precedence: an inactive app denies. The base is the end user's rule, or else the platform's policy, or else
// "all". The key's rule and the end user's consent can only take away. A name on any `deny` list is denied,
// on the platform's list also for end users with a rule of their own. What remains needs an approval when the
// base or the key's rule demands one. The decision names the first rule that denied or demanded; an allowed
// call names its base.
Decision evaluate(const BindingRules& rules, const ToolTraits& tool);

std::string_view verdict_name(Verdict verdict);    // "allow", "approval", "deny"
std::string_view decided_by_name(DecidedBy rule);  // "platform_policy", ... (docs/rest-api.md)

// Reads {mode, tools?, deny?, require_approval?: {classes?, tools?}}. `path` is the object's JSON pointer.
// Unknown fields, classes and tools (not in `known_tools`) throw core::Error{InvalidArgument} with the
// pointer and the nearest name.
Policy parse_policy(const core::Json& body, const std::string& path,
                    const std::vector<std::string>& known_tools);
// Reads what to_json wrote; a fault is Internal, names are not checked (a manifest may have dropped a tool).
Policy stored_policy(std::string_view json);
core::Json to_json(const Policy& policy);

}  // namespace assistiv::mcp
