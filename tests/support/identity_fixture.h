#pragma once
// The identity module on a database of its own, with a clock that the test moves.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "oauth/identity/authenticator.h"
#include "oauth/identity/identity_service.h"
#include "storage/audit.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::oauth {

class IdentityTest : public ::testing::Test {
 protected:
  // The error that `call` throws; a test failure when it throws none.
  static core::Error error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& e) {
      return e;
    }
    ADD_FAILURE() << "did not throw";
    return core::internal("nothing was thrown");
  }

  template <class T>
  T run(core::Task<T> task) {
    return io_.run(std::move(task));
  }

  CreatedPlatform make_platform(std::string name = "Acme") {
    return run(
        service_.create_platform({.name = std::move(name), .slug = {}, .settings_json = {}}, context()));
  }

  ProvisionedEndUser make_end_user(core::PlatformId platform, std::string external_id = "user-1") {
    return run(service_.provision_end_user(
        platform, {.external_id = std::move(external_id), .display_name = {}, .metadata_json = {}},
        context()));
  }

  PrincipalPtr authenticate(const core::Secret& raw) {
    return run(authenticator_.authenticate(raw.reveal()));
  }

  static AuditContext context() { return {nullptr, "request-1"}; }

  // A hook that the test replaces.
  IdentityHooks hooks() {
    return {.before_remove =
                [this](core::PlatformId platform, std::optional<core::EndUserId> end_user, AuditContext) {
                  return before_remove_ ? before_remove_(platform, end_user) : nothing();
                },
            .changed =
                [this](std::string_view topic, std::string_view payload) {
                  changes_.emplace_back(topic, payload);
                  authenticator_.on_notify(topic, payload);
                }};
  }

  static core::Task<> nothing() { co_return; }

  test::TestDatabase database_;
  test::ManualClock clock_;
  core::SystemRandom random_;
  test::IoThread io_;
  storage::AuditLog audit_{database_.db(), clock_};
  KeyStore keys_{clock_, random_};
  std::function<core::Task<>(core::PlatformId, std::optional<core::EndUserId>)> before_remove_;
  std::vector<std::pair<std::string, std::string>> changes_;
  Authenticator authenticator_{database_.db(), keys_, clock_};
  IdentityService service_{database_.db(), audit_, clock_, random_, hooks()};
};

}  // namespace assistiv::oauth
