#include "oauth/identity/operator_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/encoding.h"
#include "oauth/crypto/secret_file.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

class OperatorKeysTest : public IdentityTest {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "operator-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  core::Secret read_key() {
    const auto text = read_secret_file(folder_ + "/admin.key").value_or(core::Secret()).reveal();
    return core::Secret(text.substr(0, text.find('\n')));
  }
  std::int64_t rows() { return database_.exec("select count(*) n from operator_key")[0].integer("n"); }

  std::string folder_;
  OperatorKeys operators_{database_.db(), clock_, random_};
};

TEST_F(OperatorKeysTest, makes_the_first_key_and_only_the_first) {
  EXPECT_EQ(operators_.ensure(folder_), folder_ + "/admin.key");
  const auto raw = read_key();
  const auto principal = authenticate(raw);
  EXPECT_EQ(principal->kind, PrincipalKind::Operator);
  EXPECT_EQ(principal->platform_id, core::PlatformId{});
  EXPECT_EQ(operators_.ensure(folder_), std::nullopt);
  EXPECT_EQ(read_key().reveal(), raw.reveal());
  struct stat info {};
  ASSERT_EQ(::stat((folder_ + "/admin.key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(OperatorKeysTest, makes_one_key_when_many_start_at_once) {
  {
    std::vector<std::jthread> starts;
    for (int i = 0; i < 6; ++i) starts.emplace_back([this] { operators_.ensure(folder_); });
  }
  EXPECT_EQ(rows(), 1);
  EXPECT_TRUE(authenticate(read_key()));
}

TEST_F(OperatorKeysTest, replaces_every_key_on_rotation) {
  operators_.ensure(folder_);
  const auto old_key = read_key();
  authenticate(old_key);
  EXPECT_EQ(operators_.rotate(folder_), folder_ + "/admin.key");
  authenticator_.on_notify("key", core::sha256_hex(old_key.reveal()));
  EXPECT_NE(read_key().reveal(), old_key.reveal());
  EXPECT_TRUE(authenticate(read_key()));
  EXPECT_EQ(error_of([&] { authenticate(old_key); }).kind(), core::ErrorKind::Unauthenticated);
  EXPECT_EQ(rows(), 1);
}

TEST_F(OperatorKeysTest, publishes_a_key_that_a_crash_left_behind) {
  operators_.ensure(folder_);
  const auto raw = read_key();
  std::filesystem::rename(folder_ + "/admin.key", folder_ + "/admin.key.new");
  EXPECT_EQ(operators_.ensure(folder_), folder_ + "/admin.key");
  EXPECT_EQ(read_key().reveal(), raw.reveal());
  EXPECT_EQ(rows(), 1);
}

TEST_F(OperatorKeysTest, keeps_the_old_key_when_the_file_cannot_be_written) {
  operators_.ensure(folder_);
  const auto raw = read_key();
  EXPECT_EQ(error_of([&] { operators_.rotate(folder_ + "/missing"); }).kind(),
            core::ErrorKind::InvalidArgument);
  EXPECT_TRUE(authenticate(raw));
}

TEST_F(OperatorKeysTest, are_invisible_to_tenants) {
  operators_.ensure(folder_);
  const auto platform = make_platform().platform.id;
  std::size_t visible = 1;
  database_.db().execute(storage::Scope::tenant(platform), [&](storage::Transaction& tx) {
    visible = tx.exec("select 1 from operator_key").size();
  });
  EXPECT_EQ(visible, 0u);
}

TEST_F(OperatorKeysTest, record_their_last_use) {
  operators_.ensure(folder_);
  authenticate(read_key());
  run(authenticator_.write_uses());
  EXPECT_EQ(database_.exec("select assistiv_ms(last_used_at) at from operator_key")[0].optional_time("at"),
            clock_.now());
}

}  // namespace
}  // namespace assistiv::oauth
