#include "mcp/grants/rules.h"

#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/catalog.h"

namespace assistiv::mcp {

namespace {

Rule parse_rule(const core::Json& body, const std::string& path, const Catalog& catalog) {
  const core::JsonReader reader(body, path);
  Rule rule;
  rule.app = reader.string("app", 1, 64);
  if (const auto key = reader.optional_string("key_id", 1, 64)) {
    rule.key_id = core::KeyId::parse(*key);
    if (!rule.key_id) throw core::bad_request("\"key_id\" is not the id of a key.", reader.pointer("key_id"));
  }
  core::Json policy = body;
  policy.erase("app");
  policy.erase("key_id");
  rule.policy = parse_policy(policy, path, tool_names(catalog, rule.app, reader.pointer("app")));
  return rule;
}

}  // namespace

std::vector<std::string> tool_names(const Catalog& catalog, const std::string& app,
                                    const std::string& pointer) {
  std::vector<std::string> names;
  if (const App* known = catalog.find_app(app)) {
    for (const auto& tool : known->tools) names.push_back(tool.name);
    return names;
  }
  std::string known;
  for (const auto& candidate : catalog.apps()) known += (known.empty() ? "" : ", ") + candidate->id;
  throw core::bad_request("There is no app \"" + app.substr(0, 64) + "\". There are: " + known + ".",
                          pointer);
}

std::vector<Rule> parse_rules(const core::Json& body, const Catalog& catalog) {
  const core::JsonReader reader(body);
  reader.only({"grants"});
  const core::Json* list = reader.array("grants");
  if (list == nullptr)
    throw core::bad_request("\"grants\" is required: a list of rules, which may be empty.", "/grants");
  if (list->size() > kRulesMax) {
    throw core::bad_request("\"grants\" must have at most " + std::to_string(kRulesMax) + " rules.",
                            "/grants");
  }
  std::vector<Rule> rules;
  std::set<std::pair<std::string, std::optional<core::KeyId>>> seen;
  for (const auto& item : *list) {
    const std::string path = "/grants/" + std::to_string(rules.size());
    rules.push_back(parse_rule(item, path, catalog));
    if (!seen.emplace(rules.back().app, rules.back().key_id).second) {
      throw core::bad_request("There is an earlier rule for the same app and key; join the two.", path);
    }
  }
  return rules;
}

core::Json to_json(const Rule& rule) {
  core::Json out = to_json(rule.policy);
  out["app"] = rule.app;
  if (rule.key_id) out["key_id"] = rule.key_id->str();
  return out;
}

}  // namespace assistiv::mcp
