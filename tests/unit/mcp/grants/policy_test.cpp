#include "mcp/grants/policy.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/grants/consent.h"

namespace assistiv::mcp {
namespace {

const std::vector<std::string> kTools = {"github_get_issue", "github_create_issue",
                                         "github_merge_pull_request"};

constexpr ToolTraits kGet{"github_get_issue", Risk::Read, true};
constexpr ToolTraits kCreate{"github_create_issue", Risk::Outbound, false};
constexpr ToolTraits kMerge{"github_merge_pull_request", Risk::Destructive, false};

Policy parsed(std::string_view json) {
  return parse_policy(core::parse_json(json), "", kTools);
}

BindingRules active(const Policy* platform, const Policy* end_user = nullptr, const Policy* key = nullptr) {
  return {true, platform, end_user, key};
}

// The error of a refused body, as (field, message).
std::pair<std::string, std::string> refusal(std::string_view json) {
  try {
    parsed(json);
  } catch (const core::Error& e) {
    EXPECT_EQ(e.kind(), core::ErrorKind::InvalidArgument);
    return {e.field(), e.message()};
  }
  return {"accepted", ""};
}

TEST(Policy, allows_everything_when_no_rule_exists) {
  EXPECT_EQ(evaluate(active(nullptr), kMerge), (Decision{Verdict::Allow, DecidedBy::Default}));
}

TEST(Policy, denies_everything_when_the_app_is_inactive) {
  const Policy all;
  BindingRules rules = active(&all, &all, &all);
  rules.app_active = false;
  EXPECT_EQ(evaluate(rules, kGet), (Decision{Verdict::Deny, DecidedBy::AppInactive}));
}

TEST(Policy, read_only_mode_needs_both_the_hint_and_the_class) {
  const Policy policy = parsed(R"({"mode":"read_only"})");
  EXPECT_EQ(evaluate(active(&policy), kGet).verdict, Verdict::Allow);
  EXPECT_EQ(evaluate(active(&policy), kCreate), (Decision{Verdict::Deny, DecidedBy::PlatformPolicy}));
  EXPECT_EQ(evaluate(active(&policy), {"x", Risk::Outbound, true}).verdict, Verdict::Deny);
  EXPECT_EQ(evaluate(active(&policy), {"x", Risk::Read, false}).verdict, Verdict::Deny);
}

TEST(Policy, list_mode_allows_the_named_tools_only) {
  const Policy policy = parsed(R"({"mode":"list","tools":["github_get_issue"]})");
  EXPECT_EQ(evaluate(active(&policy), kGet).verdict, Verdict::Allow);
  EXPECT_EQ(evaluate(active(&policy), kMerge).verdict, Verdict::Deny);
}

TEST(Policy, none_mode_denies_every_tool) {
  const Policy policy = parsed(R"({"mode":"none"})");
  EXPECT_EQ(evaluate(active(&policy), kGet), (Decision{Verdict::Deny, DecidedBy::PlatformPolicy}));
}

TEST(Policy, end_user_rule_replaces_mode_and_approvals_of_the_platform) {
  const Policy platform = parsed(R"({"mode":"none","require_approval":{"classes":["outbound"]}})");
  const Policy end_user = parsed(R"({"mode":"all"})");
  EXPECT_EQ(evaluate(active(&platform, &end_user), kCreate),
            (Decision{Verdict::Allow, DecidedBy::EndUserGrant}));
}

TEST(Policy, platform_deny_list_holds_for_an_end_user_with_a_rule) {
  const Policy platform = parsed(R"({"mode":"all","deny":["github_merge_pull_request"]})");
  const Policy end_user = parsed(R"({"mode":"list","tools":["github_merge_pull_request"]})");
  EXPECT_EQ(evaluate(active(&platform, &end_user), kMerge),
            (Decision{Verdict::Deny, DecidedBy::PlatformPolicy}));
}

TEST(Policy, deny_wins_over_the_list_of_the_same_rule) {
  const Policy rule = parsed(R"({"mode":"list","tools":["github_get_issue"],"deny":["github_get_issue"]})");
  EXPECT_EQ(evaluate(active(nullptr, &rule), kGet), (Decision{Verdict::Deny, DecidedBy::EndUserGrant}));
}

TEST(Policy, key_rule_takes_away_but_does_not_give) {
  const Policy platform = parsed(R"({"mode":"read_only"})");
  const Policy all = parsed(R"({"mode":"all"})");
  const Policy none = parsed(R"({"mode":"none"})");
  EXPECT_EQ(evaluate(active(&platform, nullptr, &all), kMerge),
            (Decision{Verdict::Deny, DecidedBy::PlatformPolicy}));
  EXPECT_EQ(evaluate(active(&platform, nullptr, &none), kGet),
            (Decision{Verdict::Deny, DecidedBy::KeyGrant}));
}

TEST(Policy, consent_takes_away_but_does_not_give) {
  const Policy platform = parsed(R"({"mode":"read_only"})");
  const auto consents =
      stored_consents(R"({"github":{"mode":"list","tools":["github_get_issue"]},"slack":{"mode":"none"}})");
  BindingRules rules = active(nullptr);
  rules.consent = &consents.of("github");
  EXPECT_EQ(evaluate(rules, kGet), (Decision{Verdict::Allow, DecidedBy::Default}));
  EXPECT_EQ(evaluate(rules, kMerge), (Decision{Verdict::Deny, DecidedBy::Consent}));
  rules.platform = &platform;
  EXPECT_EQ(evaluate(rules, kMerge), (Decision{Verdict::Deny, DecidedBy::PlatformPolicy}));
  rules.consent = &consents.of("slack");
  EXPECT_EQ(evaluate(rules, kGet), (Decision{Verdict::Deny, DecidedBy::Consent}));
  rules.consent = &consents.of("added_later");
  EXPECT_EQ(evaluate(rules, kGet), (Decision{Verdict::Deny, DecidedBy::Consent}));
  const auto open = stored_consents(R"({"*":{"mode":"all"},"slack":{"mode":"none"}})");
  rules.consent = &open.of("added_later");
  EXPECT_EQ(evaluate(rules, kGet), (Decision{Verdict::Allow, DecidedBy::PlatformPolicy}));
  EXPECT_EQ(open.of("slack").mode, PolicyMode::None);
  EXPECT_THROW(stored_consents("[]"), core::Error);
}

TEST(Policy, approval_is_the_union_of_what_base_and_key_demand) {
  const Policy base = parsed(R"({"mode":"all","require_approval":{"classes":["destructive"]}})");
  const Policy key = parsed(R"({"mode":"all","require_approval":{"tools":["github_create_issue"]}})");
  EXPECT_EQ(evaluate(active(&base, nullptr, &key), kMerge),
            (Decision{Verdict::Approval, DecidedBy::PlatformPolicy}));
  EXPECT_EQ(evaluate(active(&base, nullptr, &key), kCreate),
            (Decision{Verdict::Approval, DecidedBy::KeyGrant}));
  EXPECT_EQ(evaluate(active(&base, nullptr, &key), kGet),
            (Decision{Verdict::Allow, DecidedBy::PlatformPolicy}));
}

Policy random_policy(std::mt19937& rng) {
  const auto subset = [&rng] {
    std::vector<std::string> out;
    for (const auto& name : kTools) {
      if (rng() % 3 == 0) out.push_back(name);
    }
    std::sort(out.begin(), out.end());
    return out;
  };
  Policy policy;
  policy.mode = static_cast<PolicyMode>(rng() % 4);
  if (policy.mode == PolicyMode::List) policy.tools = subset();
  policy.deny = subset();
  for (const Risk risk : kRisks) {
    if (rng() % 3 == 0) policy.approval_classes.add(risk);
  }
  policy.approval_tools = subset();
  return policy;
}

TEST(PolicyProperty, a_key_rule_never_widens_and_deny_always_wins) {
  std::mt19937 rng(20261121);
  const ToolTraits tools[] = {kGet, kCreate, kMerge};
  for (int round = 0; round < 20000; ++round) {
    const Policy platform = random_policy(rng), end_user = random_policy(rng), key = random_policy(rng);
    const bool has_platform = rng() % 2, has_end_user = rng() % 2;
    BindingRules rules{rng() % 8 != 0, has_platform ? &platform : nullptr, has_end_user ? &end_user : nullptr,
                       nullptr};
    for (const auto& tool : tools) {
      const Decision without = evaluate(rules, tool);
      rules.key = &key;
      const Decision with = evaluate(rules, tool);
      // The verdicts are ordered: allow < approval < deny.
      ASSERT_GE(with.verdict, without.verdict) << to_json(key) << " widens " << tool.name;
      for (const Policy* rule : {rules.platform, rules.end_user, rules.key}) {
        const bool listed =
            rule && std::find(rule->deny.begin(), rule->deny.end(), tool.name) != rule->deny.end();
        if (listed) ASSERT_EQ(with.verdict, Verdict::Deny) << tool.name;
      }
      rules.key = nullptr;
    }
  }
}

TEST(PolicyProperty, survives_being_stored_and_read_back) {
  std::mt19937 rng(7);
  for (int round = 0; round < 500; ++round) {
    const Policy policy = random_policy(rng);
    ASSERT_EQ(stored_policy(core::dump_json(to_json(policy))), policy);
    ASSERT_EQ(parse_policy(to_json(policy), "", kTools), policy);
  }
}

TEST(PolicyParse, refuses_unknown_fields_with_their_pointer) {
  EXPECT_EQ(refusal(R"({"mode":"all","allow":[]})").first, "/allow");
  EXPECT_EQ(refusal(R"({"mode":"all","require_approval":{"risk":[]}})").first, "/require_approval/risk");
}

TEST(PolicyParse, refuses_an_unknown_mode) {
  EXPECT_EQ(refusal(R"({"mode":"some"})").first, "/mode");
  EXPECT_EQ(refusal(R"({})").first, "/mode");
  EXPECT_EQ(refusal(R"({"mode":1})").first, "/mode");
}

TEST(PolicyParse, refuses_an_unknown_tool_and_names_the_nearest) {
  const auto [field, message] =
      refusal(R"({"mode":"list","tools":["github_get_issue","github_create_isue"]})");
  EXPECT_EQ(field, "/tools/1");
  EXPECT_NE(message.find("Did you mean \"github_create_issue\"?"), std::string::npos) << message;
  EXPECT_EQ(refusal(R"({"mode":"all","deny":["nope"]})").first, "/deny/0");
  EXPECT_EQ(refusal(R"({"mode":"all","require_approval":{"tools":["nope"]}})").first,
            "/require_approval/tools/0");
}

TEST(PolicyParse, refuses_an_unknown_class_and_names_the_known_ones) {
  const auto [field, message] = refusal(R"({"mode":"all","require_approval":{"classes":["money"]}})");
  EXPECT_EQ(field, "/require_approval/classes/0");
  EXPECT_NE(message.find("outbound"), std::string::npos) << message;
}

TEST(PolicyParse, wants_tools_with_list_and_with_nothing_else) {
  EXPECT_EQ(refusal(R"({"mode":"list"})").first, "/tools");
  EXPECT_EQ(refusal(R"({"mode":"all","tools":["github_get_issue"]})").first, "/tools");
  EXPECT_EQ(refusal(R"({"mode":"all","tools":[]})").first, "accepted");
  EXPECT_EQ(refusal(R"({"mode":"list","tools":[]})").first, "accepted");
}

TEST(PolicyParse, refuses_wrong_types_and_too_many_names) {
  EXPECT_EQ(refusal(R"([])").first, "");
  EXPECT_EQ(refusal(R"({"mode":"all","deny":"x"})").first, "/deny");
  EXPECT_EQ(refusal(R"({"mode":"all","deny":[1]})").first, "/deny");
  core::Json body = {{"mode", "all"}, {"deny", std::vector<std::string>(257, "github_get_issue")}};
  EXPECT_EQ(refusal(body.dump()).first, "/deny");
}

TEST(PolicyParse, prefixes_pointers_with_the_path_of_the_object) {
  try {
    parse_policy(core::parse_json(R"({"mode":"x"})"), "/grants/3", kTools);
    FAIL();
  } catch (const core::Error& e) {
    EXPECT_EQ(e.field(), "/grants/3/mode");
  }
}

}  // namespace
}  // namespace assistiv::mcp
