#pragma once
// A platform with one end user, its key and a connection to the app "notes", in a database of its own.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "mcp/connectors/app_book.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/audit_context.h"
#include "oauth/identity/end_user_store.h"
#include "oauth/identity/key_store.h"
#include "storage/audit.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::test {

struct GrantsUser {
  core::EndUserId id;
  core::ConnectionId connection;
  oauth::PrincipalPtr principal;
};

class GrantsFixture : public ::testing::Test {
 protected:
  GrantsFixture();
  ~GrantsFixture() override;

  core::PlatformId add_platform(const std::string& slug);
  // With an activated app "notes" (once per platform) and a connection to it.
  GrantsUser add_user(core::PlatformId platform, const std::string& external_id);
  void activate(core::PlatformId platform, const std::string& app);
  core::ConnectionId connect(core::PlatformId platform, core::EndUserId end_user, const std::string& app,
                             const std::string& account);

  template <class T>
  T run(core::Task<T> task) {
    return io_.run(std::move(task));
  }
  // The error that `call` throws; a test failure when it throws none.
  static core::Error error_of(const std::function<void()>& call);
  // The audit entries of an event, newest first, as "subject details".
  std::vector<core::Json> audit(const std::string& event);
  // The platform's own key as the actor of a request.
  oauth::AuditContext by_platform() const;

  TestDatabase database_;
  ManualClock clock_;
  core::SystemRandom random_;
  IoThread io_;
  storage::AuditLog audit_{database_.db(), clock_};
  mcp::AppBook book_;  // "notes" and "mail"
  oauth::EndUserStore end_users_{clock_, random_};
  oauth::KeyStore keys_{clock_, random_};
  std::string vault_path_;
  std::unique_ptr<oauth::Vault> vault_;
  core::PlatformId platform_;
  GrantsUser user_;
};

}  // namespace assistiv::test
