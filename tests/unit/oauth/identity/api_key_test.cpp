#include "oauth/identity/api_key.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"

namespace assistiv::oauth {
namespace {

constexpr PrincipalKind kKinds[] = {PrincipalKind::Operator, PrincipalKind::Platform, PrincipalKind::EndUser};

TEST(ApiKey, makes_keys_of_which_it_knows_the_kind) {
  core::SystemRandom random;
  for (const auto kind : kKinds) {
    const auto raw = make_raw_key(kind, random);
    EXPECT_EQ(kind_of_raw_key(raw.reveal()), kind);
    EXPECT_EQ(raw.reveal().size(), raw_key_prefix(kind).size() + 64);
    EXPECT_NE(raw.reveal(), make_raw_key(kind, random).reveal());
  }
}

TEST(ApiKey, shows_the_prefix_and_eight_digits) {
  EXPECT_EQ(visible_prefix("sk-plat_" + std::string(64, 'a')), "sk-plat_aaaaaaaa");
  EXPECT_EQ(visible_prefix("sk-eu_0123456789abcdef"), "sk-eu_01234567");
  EXPECT_EQ(visible_prefix("password"), "");
}

TEST(ApiKey, refuses_malformed_keys) {
  const std::string digits(64, 'a');
  for (const auto& raw :
       {std::string(), std::string("sk-"), std::string("sk-plat_"), "sk-plat_" + digits + "a",
        "sk-plat_" + digits.substr(1), "sk-plat_" + digits.substr(1) + "A",
        "sk-plat_" + digits.substr(1) + "g", "sk-plat_" + digits.substr(1) + std::string(1, '\0'),
        "SK-PLAT_" + digits, "sk-xx_" + digits, " sk-eu_" + digits, "sk-eu_" + digits + "\n", digits,
        std::string(100000, 'a')}) {
    EXPECT_EQ(kind_of_raw_key(raw), std::nullopt) << raw.substr(0, 80);
  }
}

TEST(ApiKey, gives_every_scope_of_the_kind_by_default) {
  EXPECT_EQ(checked_scopes(PrincipalKind::Platform, std::nullopt),
            (std::vector<std::string>{"inference", "management"}));
  EXPECT_EQ(checked_scopes(PrincipalKind::EndUser, std::nullopt),
            (std::vector<std::string>{"connections", "inference", "mcp"}));
}

TEST(ApiKey, sorts_scopes_and_drops_doubles) {
  EXPECT_EQ(checked_scopes(PrincipalKind::EndUser, std::vector<std::string>{"mcp", "inference", "mcp"}),
            (std::vector<std::string>{"inference", "mcp"}));
}

TEST(ApiKey, refuses_scopes_that_the_kind_cannot_have) {
  for (const auto& scopes : {std::vector<std::string>{}, std::vector<std::string>{"management"},
                             std::vector<std::string>{"mcp", ""}, std::vector<std::string>{"MCP"},
                             std::vector<std::string>{"mcp inference"}}) {
    try {
      checked_scopes(PrincipalKind::EndUser, scopes);
      ADD_FAILURE() << "accepted";
    } catch (const core::Error& e) {
      EXPECT_EQ(e.kind(), core::ErrorKind::InvalidArgument);
      EXPECT_EQ(e.field(), "/scopes");
      EXPECT_NE(e.message().find("connections, inference, mcp"), std::string::npos);
    }
  }
}

TEST(Principal, has_the_scopes_it_was_given_and_no_others) {
  const Principal principal{.kind = PrincipalKind::EndUser, .scopes = {"mcp"}};
  EXPECT_TRUE(principal.has_scope("mcp"));
  EXPECT_FALSE(principal.has_scope("mc"));
  EXPECT_FALSE(principal.has_scope(""));
}

}  // namespace
}  // namespace assistiv::oauth
