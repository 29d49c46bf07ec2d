#include "mcp/grants/policy.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kNamesMax = 256;
constexpr std::size_t kNameBytesMax = 128;

constexpr std::pair<PolicyMode, std::string_view> kModes[] = {{PolicyMode::All, "all"},
                                                              {PolicyMode::ReadOnly, "read_only"},
                                                              {PolicyMode::List, "list"},
                                                              {PolicyMode::None, "none"}};

bool contains(const std::vector<std::string>& sorted, std::string_view name) {
  return std::binary_search(sorted.begin(), sorted.end(), name, std::less<>());
}

bool mode_allows(const Policy& policy, const ToolTraits& tool) {
  switch (policy.mode) {
    case PolicyMode::All:
      return true;
    case PolicyMode::ReadOnly:
      return tool.read_only && tool.risk == Risk::Read;
    case PolicyMode::List:
      return contains(policy.tools, tool.name);
    case PolicyMode::None:
      break;
  }
  return false;
}

bool lets_through(const Policy& policy, const ToolTraits& tool) {
  return !contains(policy.deny, tool.name) && mode_allows(policy, tool);
}

bool demands_approval(const Policy& policy, const ToolTraits& tool) {
  return policy.approval_classes.has(tool.risk) || contains(policy.approval_tools, tool.name);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

// " Did you mean ...?" when a known name is near, or what there is when the choice is small.
std::string hint_for(std::string_view name, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  std::size_t best_distance = name.size() / 3 + 2;
  for (const auto& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  if (best != nullptr) return " Did you mean \"" + *best + "\"?";
  if (known.size() > 8) return " GET /v1/mcp/catalog lists the tools of each app.";
  std::string all;
  for (const auto& candidate : known) all += (all.empty() ? "" : ", ") + candidate;
  return " Known: " + all + ".";
}

void refuse_unknown(const std::vector<std::string>& names, const std::vector<std::string>& known,
                    std::string_view noun, const std::string& pointer) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (std::find(known.begin(), known.end(), names[i]) != known.end()) continue;
    throw core::bad_request("There is no " + std::string(noun) + " \"" + names[i].substr(0, kNameBytesMax) +
                                "\"." + hint_for(names[i].substr(0, kNameBytesMax), known),
                            pointer + "/" + std::to_string(i));
  }
}

std::vector<std::string> sorted_set(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

std::vector<std::string> read_names(const core::JsonReader& reader, std::string_view member,
                                    const std::vector<std::string>& known, std::string_view noun) {
  auto names = reader.strings(member, kNamesMax, kNameBytesMax);
  refuse_unknown(names, known, noun, reader.pointer(member));
  return sorted_set(std::move(names));
}

const std::vector<std::string>& class_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Risk risk : kRisks) out.emplace_back(risk_name(risk));
    return out;
  }();
  return names;
}

RiskSet to_risks(const std::vector<std::string>& names) {
  RiskSet out;
  for (const auto& name : names) {
    if (const auto risk = parse_risk(name)) out.add(*risk);
  }
  return out;
}

PolicyMode parse_mode(std::string_view name) {
  for (const auto& [mode, text] : kModes) {
    if (text == name) return mode;
  }
  throw core::internal("unknown policy mode " + std::string(name));
}

std::string_view mode_name(PolicyMode mode) {
  for (const auto& [candidate, text] : kModes) {
    if (candidate == mode) return text;
  }
  return "none";
}

}  // namespace

Decision evaluate(const BindingRules& rules, const ToolTraits& tool) {
  if (!rules.app_active) return {Verdict::Deny, DecidedBy::AppInactive};
  static const Policy kDefault;
  const Policy& base = rules.end_user ? *rules.end_user : rules.platform ? *rules.platform : kDefault;
  const DecidedBy base_rule = rules.end_user   ? DecidedBy::EndUserGrant
                              : rules.platform ? DecidedBy::PlatformPolicy
                                               : DecidedBy::Default;
  if (rules.platform && contains(rules.platform->deny, tool.name)) {
    return {Verdict::Deny, DecidedBy::PlatformPolicy};
  }
  if (!lets_through(base, tool)) return {Verdict::Deny, base_rule};
  if (rules.key && !lets_through(*rules.key, tool)) return {Verdict::Deny, DecidedBy::KeyGrant};
  if (rules.consent && !lets_through(*rules.consent, tool)) return {Verdict::Deny, DecidedBy::Consent};
  if (demands_approval(base, tool)) return {Verdict::Approval, base_rule};
  if (rules.key && demands_approval(*rules.key, tool)) return {Verdict::Approval, DecidedBy::KeyGrant};
  return {Verdict::Allow, base_rule};
}

std::string_view verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::Allow:
      return "allow";
    case Verdict::Approval:
      return "approval";
    case Verdict::Deny:
      break;
  }
  return "deny";
}

std::string_view decided_by_name(DecidedBy rule) {
  switch (rule) {
    case DecidedBy::Default:
      return "default";
    case DecidedBy::PlatformPolicy:
      return "platform_policy";
    case DecidedBy::EndUserGrant:
      return "end_user_grant";
    case DecidedBy::KeyGrant:
      return "key_grant";
    case DecidedBy::Consent:
      return "consent";
    case DecidedBy::AppInactive:
      break;
  }
  return "app_inactive";
}

Policy parse_policy(const core::Json& body, const std::string& path,
                    const std::vector<std::string>& known_tools) {
  const core::JsonReader reader(body, path);
  reader.only({"mode", "tools", "deny", "require_approval"});
  Policy policy;
  policy.mode = parse_mode(reader.choice("mode", {"all", "read_only", "list", "none"}));
  policy.tools = read_names(reader, "tools", known_tools, "tool");
  if (policy.mode == PolicyMode::List && !reader.has("tools")) {
    throw core::bad_request("Mode \"list\" needs \"tools\": the names that are allowed.",
                            reader.pointer("tools"));
  }
  if (policy.mode != PolicyMode::List && !policy.tools.empty()) {
    throw core::bad_request(
        "\"tools\" has a meaning with mode \"list\" only; use \"deny\" to take tools away.",
        reader.pointer("tools"));
  }
  policy.deny = read_names(reader, "deny", known_tools, "tool");
  if (const core::Json* demands = reader.object("require_approval")) {
    const core::JsonReader demand_reader(*demands, reader.pointer("require_approval"));
    demand_reader.only({"classes", "tools"});
    policy.approval_classes = to_risks(read_names(demand_reader, "classes", class_names(), "class"));
    policy.approval_tools = read_names(demand_reader, "tools", known_tools, "tool");
  }
  return policy;
}

Policy stored_policy(std::string_view json) {
  const auto body = core::try_parse_json(json);
  if (!body) throw core::internal("a stored policy is not JSON");
  try {
    const core::JsonReader reader(*body);
    Policy policy;
    policy.mode = parse_mode(reader.string("mode"));
    policy.tools = sorted_set(reader.strings("tools"));
    policy.deny = sorted_set(reader.strings("deny"));
    if (const core::Json* demands = reader.object("require_approval")) {
      const core::JsonReader demand_reader(*demands);
      policy.approval_classes = to_risks(demand_reader.strings("classes"));
      policy.approval_tools = sorted_set(demand_reader.strings("tools"));
    }
    return policy;
  } catch (const core::Error& e) {
    throw core::internal(std::string("a stored policy cannot be read: ") + e.what() + e.detail());
  }
}

core::Json to_json(const Policy& policy) {
  core::Json classes = core::Json::array();
  for (const Risk risk : kRisks) {
    if (policy.approval_classes.has(risk)) classes.push_back(risk_name(risk));
  }
  return {{"mode", mode_name(policy.mode)},
          {"tools", policy.tools},
          {"deny", policy.deny},
          {"require_approval", {{"classes", std::move(classes)}, {"tools", policy.approval_tools}}}};
}

}  // namespace assistiv::mcp
