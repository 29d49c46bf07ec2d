#include "agents/definition/alias_reader.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "agents/definition/compiler.h"
#include "agents/definition/toolset.h"

namespace assistiv::agents {

namespace {

using core::Json;

std::vector<std::string> texts_of(const Json& object, const char* member) {
  return object.value(member, std::vector<std::string>());
}

void check_model(const std::string& model, const std::string& at, const DefinitionWorld& world,
                 Faults& faults) {
  if (!world.may_use_model || world.may_use_model(model)) return;
  faults.add(at, "model_not_allowed",
             "\"" + model + "\" is no model that this platform can call: GET /v1/models lists them");
}

// Longest first: the first that fits decides.
template <class Rules, class Pattern>
void longest_first(Rules& rules, Pattern pattern) {
  std::stable_sort(rules.begin(), rules.end(),
                   [&](const auto& a, const auto& b) { return pattern(a).size() > pattern(b).size(); });
}

// A rule for a tool that the set does not have would never be asked.
void check_rule_name(const Toolset& toolset, const std::string& name, const std::string& at, Faults& faults) {
  if (name.find('*') != std::string::npos || toolset_allows(toolset, name)) return;
  faults.add(at, "unknown_tool", "is for \"" + name + "\", which \"allow\" does not give");
}

// The agent's list, which has full names, as patterns without the app's prefix.
std::optional<std::vector<std::string>> tools_of_app(const DefinitionWorld& world, const std::string& app) {
  if (!world.tools) return {};
  std::vector<std::string> out;
  for (const auto& pattern : *world.tools) {
    if (pattern.starts_with(app + "_")) out.push_back(pattern.substr(app.size() + 1));
    if (pattern == "*") out.push_back(pattern);
  }
  return out;
}

void check_connector(const Toolset& toolset, const std::string& at, const DefinitionWorld& world,
                     Faults& faults) {
  if (world.knows_app && !world.knows_app(toolset.connector)) {
    faults.add(at + "/connector", "unknown_app",
               "there is no app \"" + toolset.connector + "\": GET /v1/mcp/catalog lists them");
    return;
  }
  if (world.apps &&
      std::find(world.apps->begin(), world.apps->end(), toolset.connector) == world.apps->end()) {
    faults.add(at + "/connector", "app_not_allowed",
               "the agent's \"apps\" does not have \"" + toolset.connector + "\"");
  }
  if (!world.knows_tool) return;
  for (std::size_t i = 0; i < toolset.allow.size(); ++i) {
    const auto& name = toolset.allow[i];
    if (name.find('*') == std::string::npos && !world.knows_tool(toolset.connector, name)) {
      faults.add(at + "/allow/" + std::to_string(i), "unknown_tool",
                 "\"" + toolset.connector + "\" has no tool \"" + name + "\"");
    }
  }
}

class ToolsetReader {
 public:
  ToolsetReader(const Json& json, std::string at, const DefinitionWorld& world, const Variables& variables,
                Faults& faults)
      : json_(json), at_(std::move(at)), world_(world), variables_(variables), faults_(faults) {}

  Toolset read() {
    out_.connector = json_.at("connector");
    out_.allow = texts_of(json_, "allow");
    out_.deny = texts_of(json_, "deny");
    out_.as_platform = json_.value("identity", "end_user") == "platform";
    if (out_.as_platform)
      faults_.add(at_ + "/identity", "identity",
                  "only the connections of the end user whom a run acts as can be used: leave it out");
    out_.only = tools_of_app(world_, out_.connector);
    check_connector(out_, at_, world_, faults_);
    read_approval();
    read_side_effects();
    return std::move(out_);
  }

 private:
  void read_approval() {
    const Json rules = json_.value("approval", Json::object());
    for (const auto& [pattern, rule] : rules.items()) {
      const std::string at = at_ + "/approval" + pointer_to(pattern);
      check_rule_name(out_, pattern, at, faults_);
      ApprovalRule one{pattern, rule == "always", {}};
      if (rule.is_object())
        one.when = Compiler(faults_).condition(rule.at("when"), at + "/when", variables_.of_arguments());
      out_.approval.push_back(std::move(one));
    }
    longest_first(out_.approval, [](const ApprovalRule& rule) { return rule.pattern; });
  }

  void read_side_effects() {
    static constexpr std::array<std::pair<std::string_view, SideEffect>, 4> kEffects = {
        {{"none", SideEffect::None},
         {"idempotent", SideEffect::Idempotent},
         {"keyed", SideEffect::Keyed},
         {"unsafe", SideEffect::Unsafe}}};
    const Json effects = json_.value("side_effects", Json::object());
    for (const auto& [pattern, effect] : effects.items()) {
      check_rule_name(out_, pattern, at_ + "/side_effects" + pointer_to(pattern), faults_);
      for (const auto& [name, value] : kEffects) {
        if (effect == name) out_.side_effects.emplace_back(pattern, value);
      }
    }
    longest_first(out_.side_effects, [](const auto& rule) { return rule.first; });
  }

  const Json& json_;
  const std::string at_;
  const DefinitionWorld& world_;
  const Variables& variables_;
  Faults& faults_;
  Toolset out_;
};

std::chrono::milliseconds ms_of(const Json& object, const char* member, double standard) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(object.value(member, standard) * 1000));
}

RetryPolicy read_retry(const Json& json) {
  static constexpr std::array<std::pair<std::string_view, RetryOn>, 6> kCauses = {
      {{"timeout", RetryOn::Timeout},
       {"rate_limit", RetryOn::RateLimit},
       {"5xx", RetryOn::ServerError},
       {"network", RetryOn::Network},
       {"tool_error", RetryOn::ToolError},
       {"invalid_output", RetryOn::InvalidOutput}}};
  RetryPolicy out;
  out.max_attempts = json.value("max_attempts", out.max_attempts);
  out.initial_interval = ms_of(json, "initial_interval_s", 0.5);
  out.backoff_factor = json.value("backoff_factor", out.backoff_factor);
  out.max_interval = ms_of(json, "max_interval_s", 128);
  out.jitter = json.value("jitter", true);
  for (const auto& cause : texts_of(json, "retry_on")) {
    for (const auto& [name, value] : kCauses) {
      if (cause == name) out.retry_on.push_back(value);
    }
  }
  return out;
}

CachePolicy read_cache(const Json& json, const std::string& at, const cel::Declarations& variables,
                       Faults& faults) {
  CachePolicy out;
  if (json.contains("key")) out.key = Compiler(faults).any(json.at("key"), at + "/key", variables);
  out.ttl = std::chrono::seconds(json.value("ttl_s", std::int64_t{3600}));
  out.per_platform = json.value("scope", "user") == "platform";
  return out;
}

}  // namespace

std::map<std::string, ModelAlias> read_models(const Json& document, const DefinitionWorld& world,
                                              Faults& faults) {
  std::map<std::string, ModelAlias> out;
  const Json models = document.value("models", Json::object());
  for (const auto& [alias, json] : models.items()) {
    ModelAlias model{json.at("model"), texts_of(json, "fallbacks"), json.value("params", Json::object())};
    const std::string at = "/models" + pointer_to(alias);
    check_model(model.model, at + "/model", world, faults);
    for (std::size_t i = 0; i < model.fallbacks.size(); ++i) {
      check_model(model.fallbacks[i], at + "/fallbacks/" + std::to_string(i), world, faults);
    }
    out.emplace(alias, std::move(model));
  }
  if (!world.model.empty()) {
    out.try_emplace(std::string(kDefaultModel), ModelAlias{world.model, world.fallbacks, Json::object()});
  }
  return out;
}

std::map<std::string, Toolset> read_toolsets(const Json& document, const DefinitionWorld& world,
                                             const Variables& variables, Faults& faults) {
  std::map<std::string, Toolset> out;
  const Json tools = document.value("tools", Json::object());
  for (const auto& [alias, json] : tools.items()) {
    out.emplace(alias, ToolsetReader(json, "/tools" + pointer_to(alias), world, variables, faults).read());
  }
  return out;
}

Policies read_policies(const Json& own, const std::string& at, const Json* defaults,
                       const std::string& defaults_at, const cel::Declarations& variables, Faults& faults) {
  const auto find = [&](const char* member) -> std::pair<const Json*, std::string> {
    if (own.contains(member)) return {&own.at(member), at + "/" + member};
    if (defaults != nullptr && defaults->contains(member))
      return {&defaults->at(member), defaults_at + "/" + member};
    return {nullptr, {}};
  };
  Policies out;
  if (const auto retry = find("retry"); retry.first != nullptr) out.retry = read_retry(*retry.first);
  if (const auto timeout = find("timeout"); timeout.first != nullptr) {
    out.timeout = TimeoutPolicy{ms_of(*timeout.first, "run_s", 0), ms_of(*timeout.first, "idle_s", 0)};
  }
  if (const auto cache = find("cache"); cache.first != nullptr)
    out.cache = read_cache(*cache.first, cache.second, variables, faults);
  if (const auto handler = find("on_error"); handler.first != nullptr) out.on_error = *handler.first;
  return out;
}

}  // namespace assistiv::agents
