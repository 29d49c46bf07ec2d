#pragma once
// Rows of `provider_sign_in`: browsers that were sent to a provider. Found by the hash of a state that only
// the browser and the provider have seen, so in the system's scope.
#include <cstdint>
#include <optional>
#include <string>

#include "core/clock.h"
#include "oauth/authorize/issuer_store.h"
#include "storage/database.h"

namespace assistiv::oauth {

struct ProviderFlow {
  core::PlatformId platform_id;
  IssuerId issuer_id;
  std::string query;
  core::Time expires_at;
};

class ProviderFlowStore {
 public:
  static constexpr std::int64_t kMax = 10000;

  // False when there are kMax under way.
  bool insert(storage::Transaction& tx, const ProviderFlow& flow, const std::string& state,
              const std::string& cookie, core::Time now) const;
  // The flow of this state and this browser, which is then gone. Another browser's try ends nothing.
  std::optional<ProviderFlow> take(storage::Transaction& tx, const std::string& state,
                                   const std::string& cookie) const;
  void discard_expired(storage::Transaction& tx, core::Time before, std::int64_t limit) const;
};

}  // namespace assistiv::oauth
