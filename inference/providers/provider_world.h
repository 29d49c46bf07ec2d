#pragma once
// What the services of this folder use.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "billing/price.h"
#include "core/clock.h"
#include "core/random.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::oauth {
class Vault;
}

namespace assistiv::inference {

// Everything outlives the services.
struct ProviderWorld {
  storage::Database& database;
  storage::AuditLog& audit;
  const oauth::Vault& vault;
  const core::Clock& clock;
  core::Random& random;
  // Why a provider's address may not be called, in words that follow "it "; empty when it may. Plain http and
  // private addresses pass only with `private_ok`.
  std::function<std::optional<std::string>(const std::string& url, bool private_ok)> url_fault;
  // The price that holds now; null when there is none.
  std::function<billing::PricePtr(const std::string& provider, const std::string& model)> price_of;
  // Called after a commit with what Transaction::notify sent: caches of this node need not wait for it.
  std::function<void(std::string_view topic, std::string_view payload)> changed;
  // Platforms may name private addresses and mark configurations local themselves (a server of one's own).
  // Otherwise only the operator can: these addresses are inside the operator's network.
  bool platforms_may_use_private = false;
};

}  // namespace assistiv::inference
