#include "oauth/crypto/reencryption.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "oauth/crypto/vault.h"
#include "support/identity_fixture.h"

namespace assistiv::oauth {
namespace {

// A table of secrets with an id of each SQL type that columns may have.
class ReencryptionTest : public IdentityTest {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "reencrypt-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    vault_ = Vault::open_file(folder_ + "/keyring.json", random_);
    reencryption_ = std::make_unique<Reencryption>(
        database_.db(), *vault_,
        std::vector<SealedColumn>{{"box", "name", "text", "lid", "lid"},
                                  {"box", "box_id", "uuid", "bottom", "base"}});
    database_.exec(
        "create table box (platform_id uuid, box_id uuid, name text, lid text, bottom text, "
        "primary key (platform_id, box_id))");
    platforms_ = {core::PlatformId::make(clock_, random_), core::PlatformId::make(clock_, random_)};
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  SecretContext lid_of(int i) const { return {platforms_[i % 2], "box", "box-" + std::to_string(i), "lid"}; }

  void fill(int count) {
    for (int i = 0; i < count; ++i) {
      const auto id = core::FlowId::make(clock_, random_).str();
      const SecretContext bottom{platforms_[i % 2], "box", id, "base"};
      database_.exec("insert into box values ($1::uuid, $2::uuid, $3, $4, $5)",
                     {platforms_[i % 2].str(), id, lid_of(i).row,
                      vault_->seal(lid_of(i), core::Secret("lid " + std::to_string(i))),
                      i % 3 == 0 ? storage::Param() : vault_->seal(bottom, core::Secret("bottom"))});
    }
  }

  std::string sealed_lid(int i) {
    return database_.exec("select lid from box where name = $1", {lid_of(i).row})[0].text("lid");
  }

  std::string folder_;
  std::unique_ptr<Vault> vault_;
  std::unique_ptr<Reencryption> reencryption_;
  std::vector<core::PlatformId> platforms_;
};

TEST_F(ReencryptionTest, moves_every_row_to_the_active_key) {
  fill(250);
  const auto old_kid = vault_->active_kid();
  const auto new_kid = reencryption_->rotate(random_);
  const auto before = reencryption_->count();
  EXPECT_FALSE(before.complete());
  EXPECT_EQ(before.columns[0].kids, (std::map<std::string, std::int64_t>{{old_kid, 250}}));
  const auto report = reencryption_->run();
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.active_kid, new_kid);
  EXPECT_EQ(report.columns[0].resealed, 250);
  EXPECT_EQ(report.columns[1].resealed, 166);
  EXPECT_EQ(report.columns[1].kids, (std::map<std::string, std::int64_t>{{new_kid, 166}}));
  EXPECT_EQ(vault_->open(lid_of(7), sealed_lid(7)).reveal(), "lid 7");
  EXPECT_EQ(reencryption_->drop_unused(), std::vector<std::string>{old_kid});
  EXPECT_EQ(vault_->open(lid_of(249), sealed_lid(249)).reveal(), "lid 249");
  EXPECT_EQ(reencryption_->run().columns[0].resealed, 0);
}

TEST_F(ReencryptionTest, keeps_the_keys_that_rows_are_still_under) {
  fill(3);
  reencryption_->rotate(random_);
  EXPECT_TRUE(reencryption_->drop_unused().empty());
  EXPECT_EQ(vault_->kids().size(), 2u);
}

TEST_F(ReencryptionTest, names_what_it_cannot_read_and_goes_on) {
  fill(3);
  database_.exec("update box set lid = 'not sealed' where name = 'box-0'");
  database_.exec("update box set lid = (select lid from box where name = 'box-2') where name = 'box-1'");
  reencryption_->rotate(random_);
  const auto report = reencryption_->run();
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(report.columns[0].unreadable, 2);
  EXPECT_EQ(report.columns[0].resealed, 1);
  EXPECT_EQ(report.columns[0].kids.at(""), 1);
  EXPECT_EQ(sealed_lid(0), "not sealed");
  EXPECT_TRUE(reencryption_->drop_unused().empty());
}

TEST_F(ReencryptionTest, loses_no_write_that_happens_meanwhile) {
  fill(120);
  reencryption_->rotate(random_);
  std::atomic<bool> done{false};
  std::atomic<int> last{0};
  std::jthread writer([&] {
    for (int n = 1; !done; ++n) {
      database_.exec("update box set lid = $1 where name = $2",
                     {vault_->seal(lid_of(5), core::Secret("version " + std::to_string(n))), lid_of(5).row});
      last = n;
    }
  });
  const auto report = reencryption_->run();
  done = true;
  writer.join();
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(vault_->open(lid_of(5), sealed_lid(5)).reveal(), "version " + std::to_string(last));
}

}  // namespace
}  // namespace assistiv::oauth
