#pragma once
// Rows of `tool_policy` and `tool_grant`.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/ids.h"
#include "mcp/grants/consent.h"
#include "mcp/grants/policy.h"
#include "storage/database.h"

namespace assistiv::mcp {

// Inside the caller's transaction; holds no state.
class GrantStore {
 public:
  PoliciesByApp policies(storage::Transaction& tx, core::PlatformId platform) const;
  std::optional<Policy> policy(storage::Transaction& tx, core::PlatformId platform,
                               const std::string& app) const;
  // Throws NotFound when the platform has not activated the app.
  void put_policy(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                  const Policy& policy) const;

  // By app, the rule without a key first.
  std::vector<Rule> rules(storage::Transaction& tx, core::PlatformId platform,
                          core::EndUserId end_user) const;
  // Throws NotFound when the end user or a key is gone.
  void replace_rules(storage::Transaction& tx, core::PlatformId platform, core::EndUserId end_user,
                     const std::vector<Rule>& rules) const;
};

// What binds one end user's calls: every policy of the platform and every rule of the end user.
class GrantSet {
 public:
  // `consent` is of an access token (consent.h); without it nothing is taken away.
  GrantSet(PoliciesByApp policies, std::vector<Rule> rules, std::optional<Consents> consent = {})
      : policies_(std::move(policies)), rules_(std::move(rules)), consent_(std::move(consent)) {}
  // Pointers into this object.
  BindingRules binding(std::string_view app, bool app_active, const std::optional<core::KeyId>& key) const;
  const std::vector<Rule>& rules() const { return rules_; }

 private:
  PoliciesByApp policies_;
  std::vector<Rule> rules_;
  std::optional<Consents> consent_;
};

}  // namespace assistiv::mcp
