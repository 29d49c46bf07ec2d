#pragma once
// The connect engine on a database of its own, against a scripted provider. Several nodes can share the
// database.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/random.h"
#include "oauth/connect/app_service.h"
#include "oauth/connect/connect_flow.h"
#include "oauth/connect/connect_worker.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_service.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/revocation_queue.h"
#include "oauth/connect/token_service.h"
#include "support/fake_http_client.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::test {

inline constexpr char kTokenUrl[] = "https://provider.test/token";
inline constexpr char kUserUrl[] = "https://api.provider.test/user";
inline constexpr char kRevokeTokenUrl[] = "https://api.provider.test/applications/client-1/token";
inline constexpr char kRevokeGrantUrl[] = "https://api.provider.test/applications/client-1/grant";
inline constexpr char kReturnUrl[] = "https://platform.test/done";

// A manifest with rotating refresh tokens and both revoke levels ("demo"), and one without either ("plain").
std::string demo_manifest();
std::string plain_manifest();

class SpecRegistry final : public oauth::ConnectorRegistry {
 public:
  void add(const std::string& manifest);
  core::Task<oauth::ConnectorPtr> find(core::PlatformId platform, std::string app) const override;
  oauth::ConnectorPtr find_in(storage::Transaction& tx, core::PlatformId platform,
                              std::string_view app) const override;

 private:
  std::map<std::string, oauth::ConnectorPtr, std::less<>> specs_;
};

// One server process as far as the engine is concerned.
struct ConnectNode {
  ConnectNode(storage::Database& database, const oauth::Vault& vault, FakeHttpClient& http,
              const SpecRegistry& registry, const core::Clock& clock, core::Random& random,
              oauth::TokenServiceOptions options = {});
  storage::AuditLog audit;
  oauth::ConnectWorld world;
  oauth::ProviderClient provider;
  oauth::RevocationQueue revocations;
  oauth::ConnectionService connections;
  oauth::AppService apps;
  oauth::ConnectFlow flow;
  oauth::TokenService tokens;
  oauth::ConnectWorker worker;
};

struct StartedBrowser {
  std::string cookie, state, provider_url;
};

class ConnectTest : public ::testing::Test {
 protected:
  ConnectTest();
  ~ConnectTest() override;

  template <class T>
  T run(core::Task<T> task) {
    return io_.run(std::move(task));
  }
  // The error that the task throws; a test failure when it throws none.
  template <class T>
  core::Error error_of(core::Task<T> task) {
    try {
      io_.run(std::move(task));
    } catch (const core::Error& error) {
      return error;
    }
    ADD_FAILURE() << "did not throw";
    return core::internal("nothing was thrown");
  }

  core::PlatformId make_platform(const std::string& name = "Acme");
  core::EndUserId make_end_user(core::PlatformId platform, const std::string& external_id = "user-1");
  void activate(core::PlatformId platform, const std::string& app = "demo",
                std::vector<std::string> urls = {kReturnUrl});

  // The provider grants: access "access-<n>", refresh "refresh-<n>", account `account`.
  void provider_grants(int n, const std::string& account = "42", int expires_in_s = 28800);
  static std::string token_json(int n, int expires_in_s = 28800);

  std::string make_link(core::PlatformId platform, core::EndUserId end_user, oauth::NewLink input);
  StartedBrowser start_flow(core::PlatformId platform, core::EndUserId end_user, oauth::NewLink input = {});
  StartedBrowser open_link(const std::string& token);
  oauth::CallbackRequest callback(const StartedBrowser& browser, const std::string& app = "demo") const;
  // The whole way, as a browser goes it.
  core::ConnectionId connect(core::PlatformId platform, core::EndUserId end_user, int n = 1,
                             const std::string& account = "42", int expires_in_s = 28800);

  std::string column(const std::string& sql);  // the one value of a query
  std::int64_t count(const std::string& sql);
  static oauth::AuditContext context() { return {nullptr, "request-1"}; }

  TestDatabase database_;
  ManualClock clock_;
  core::SystemRandom random_;
  IoThread io_;
  std::string vault_dir_;
  std::unique_ptr<oauth::Vault> vault_;
  FakeHttpClient http_;
  SpecRegistry registry_;
  std::unique_ptr<ConnectNode> node_;
};

}  // namespace assistiv::test
