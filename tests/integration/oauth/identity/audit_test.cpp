#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

using IdentityAuditTest = IdentityTest;

TEST_F(IdentityAuditTest, says_who_did_what_in_which_request) {
  const auto made = make_platform();
  const auto actor = authenticate(made.api_key.raw);
  const AuditContext by_platform{actor, "request-7"};
  const auto platform = made.platform.id;
  const auto user = run(service_.provision_end_user(platform, {.external_id = "u"}, by_platform));
  run(service_.update_key({platform, user.end_user.id}, user.api_key.key.id, {.is_active = false},
                          by_platform));
  run(service_.revoke_key({platform, {}}, user.api_key.key.id, by_platform));
  run(service_.update_end_user(platform, user.end_user.id, {.display_name = "Jo Doe"}, by_platform));
  run(service_.remove_end_user(platform, user.end_user.id, by_platform));
  run(service_.update_platform(platform, {.settings_json = R"({"private":"value"})"}, by_platform));

  const auto page = run(audit_.list(platform, {.page = 1, .limit = 100}));
  std::vector<std::string> events;
  for (const auto& entry : page.entries) events.insert(events.begin(), entry.event.event);
  EXPECT_EQ(events, (std::vector<std::string>{"platform.created", "key.created", "end_user.created",
                                              "key.created", "key.updated", "key.revoked", "end_user.updated",
                                              "end_user.removed", "platform.updated"}));
  const auto& revoked = page.entries.at(3).event;
  EXPECT_EQ(revoked.event, "key.revoked");
  EXPECT_EQ(revoked.actor_kind, "platform");
  EXPECT_EQ(revoked.key_id, actor->key_id);
  EXPECT_EQ(revoked.end_user_id, user.end_user.id);
  EXPECT_EQ(revoked.subject, user.api_key.key.id.str());
  EXPECT_EQ(revoked.request_id, "request-7");
  EXPECT_NE(revoked.details_json.find(user.api_key.key.key_prefix), std::string::npos);
  EXPECT_EQ(page.entries.back().event.actor_kind, "system");
  for (const auto& entry : page.entries) {
    EXPECT_EQ(entry.event.details_json.find("Jo Doe"), std::string::npos);
    EXPECT_EQ(entry.event.details_json.find("value"), std::string::npos);
  }
  EXPECT_TRUE(run(audit_.verify(platform)).valid);
}

TEST_F(IdentityAuditTest, has_no_entry_of_what_was_refused) {
  const auto platform = make_platform().platform.id;
  const auto before = run(audit_.list(platform, {})).total;
  error_of([&] { run(service_.issue_key({platform, {}}, {.scopes = {{"nonsense"}}}, context())); });
  error_of([&] { run(service_.revoke_key({platform, {}}, core::KeyId::make(clock_, random_), context())); });
  EXPECT_EQ(run(audit_.list(platform, {})).total, before);
}

}  // namespace
}  // namespace assistiv::oauth
