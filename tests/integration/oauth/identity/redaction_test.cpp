#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include "core/log.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/secret_file.h"
#include "oauth/crypto/vault.h"
#include "oauth/identity/operator_keys.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

// Everything that the log said while the test ran.
class LogCapture {
 public:
  LogCapture() {
    core::log::set_level(core::log::Level::Debug);
    core::log::set_listener([this](core::log::Level, std::string_view line) {
      std::lock_guard lock(mutex_);
      text_.append(line).append("\n");
    });
  }
  ~LogCapture() {
    core::log::set_listener({});
    core::log::set_level(core::log::Level::Info);
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::string text_;
};

class RedactionTest : public IdentityTest {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "redact-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The part of a key that is not public.
  static std::string secret_part(const core::Secret& raw) {
    return raw.reveal().substr(raw.reveal().find('_') + 9);
  }

  std::string folder_;
};

TEST_F(RedactionTest, no_secret_reaches_the_log_an_error_or_the_audit_trail) {
  LogCapture log;
  std::vector<std::string> secrets;
  std::string errors;
  const auto fail = [&](const std::function<void()>& call) {
    const auto error = error_of(call);
    errors += error.message() + error.detail() + "\n";
  };

  const auto made = make_platform();
  const auto user = make_end_user(made.platform.id);
  secrets.push_back(secret_part(made.api_key.raw));
  secrets.push_back(secret_part(user.api_key.raw));
  authenticate(user.api_key.raw);
  run(service_.revoke_key({made.platform.id, {}}, user.api_key.key.id, context()));
  fail([&] { authenticate(user.api_key.raw); });
  fail([&] { run(authenticator_.authenticate(user.api_key.raw.reveal() + "0")); });

  OperatorKeys operators(database_.db(), clock_, random_);
  for (int i = 0; i < 2; ++i) {
    i == 0 ? static_cast<void>(operators.ensure(folder_)) : static_cast<void>(operators.rotate(folder_));
    secrets.push_back(read_secret_file(folder_ + "/admin.key")->reveal().substr(17, 56));
  }

  const auto vault = Vault::open_file(folder_ + "/keyring.json", random_);
  const SecretContext context{made.platform.id, "box", "1", "lid"};
  const auto sealed = vault->seal(context, core::Secret("the-plaintext-of-the-box"));
  secrets.emplace_back("the-plaintext-of-the-box");
  auto other = context;
  other.row = "2";
  fail([&] { vault->open(other, sealed); });
  fail([&] { vault->open(context, sealed.substr(1)); });
  const auto keyring = read_secret_file(folder_ + "/keyring.json")->reveal();
  secrets.push_back(keyring.substr(keyring.find("\"k\": \"") + 6, 43));
  Reencryption(database_.db(), *vault, {}).rotate(random_);

  std::string trail;
  for (const auto& entry : run(audit_.list(made.platform.id, {.page = 1, .limit = 100})).entries) {
    trail += entry.event.event + " " + entry.event.subject + " " + entry.event.details_json + "\n";
  }
  ASSERT_NE(trail.find("key.revoked"), std::string::npos) << trail;
  ASSERT_NE(log.text().find("operator_key.rotated"), std::string::npos);
  for (const auto& secret : secrets) {
    EXPECT_GE(secret.size(), 24u);
    EXPECT_EQ(log.text().find(secret), std::string::npos);
    EXPECT_EQ(errors.find(secret), std::string::npos);
    EXPECT_EQ(trail.find(secret), std::string::npos);
  }
}

}  // namespace
}  // namespace assistiv::oauth
