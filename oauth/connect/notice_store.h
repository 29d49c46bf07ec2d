#pragma once
// Rows of `provider_webhook` and `provider_notice`, and what a notice does to rows of `connection`. The
// callers' transactions are in the platform's scope.
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "oauth/connect/notice_rules.h"
#include "storage/database.h"

namespace assistiv::oauth {

class Vault;

struct EndedGrant {
  core::ConnectionId connection_id;
  core::EndUserId end_user_id;
};

class NoticeStore {
 public:
  NoticeStore(const Vault& vault, const core::Clock& clock) : vault_(vault), clock_(clock) {}

  std::optional<core::Secret> secret(storage::Transaction& tx, core::PlatformId platform,
                                     const std::string& app) const;
  std::optional<core::Time> set_at(storage::Transaction& tx, core::PlatformId platform,
                                   const std::string& app) const;
  // Throws Error{NotFound} when the app is not activated.
  void put(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
           const core::Secret& secret) const;
  bool remove(storage::Transaction& tx, core::PlatformId platform, const std::string& app) const;

  bool seen(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
            const std::string& digest) const;
  // With `window`, what is older than two of them goes: it can never come again.
  void remember(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                const std::string& digest, std::optional<std::chrono::seconds> window) const;

  // Active connections of these accounts now need consent; up to `limit` of them. One that got a token after
  // the notice's time stays.
  std::vector<EndedGrant> end_grants(storage::Transaction& tx, core::PlatformId platform,
                                     const std::string& app, const Notice& notice, std::size_t limit) const;
  // Their refresh tokens are tried by the worker soon, which finds out whether they still live.
  void check_soon(storage::Transaction& tx, core::PlatformId platform, const std::string& app,
                  const Notice& notice) const;

 private:
  const Vault& vault_;
  const core::Clock& clock_;
};

}  // namespace assistiv::oauth
