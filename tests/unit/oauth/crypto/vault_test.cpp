#include "oauth/crypto/vault.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/encoding.h"
#include "core/error.h"
#include "core/random.h"
#include "oauth/crypto/secret_file.h"

namespace assistiv::oauth {
namespace {

class VaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "vault-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/keyring.json";
    vault_ = Vault::open_file(path_, random_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  static SecretContext context() {
    return {core::PlatformId::of("018f0000-0000-7000-8000-000000000001"), "mcp_app", "github",
            "client_secret"};
  }

  core::Error error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const core::Error& e) {
      return e;
    }
    ADD_FAILURE() << "did not throw";
    return core::internal("");
  }

  void write_file(const std::string& text) { write_secret_file(path_, core::Secret(text)); }

  core::SystemRandom random_;
  std::string folder_, path_;
  std::unique_ptr<Vault> vault_;
};

TEST_F(VaultTest, opens_what_it_sealed) {
  const std::string jwe = vault_->seal(context(), core::Secret("gho_opensesame"));
  EXPECT_EQ(vault_->open(context(), jwe).reveal(), "gho_opensesame");
  EXPECT_EQ(jwe.find("gho_"), std::string::npos);
}

TEST_F(VaultTest, writes_the_row_and_the_kid_into_the_protected_header) {
  const std::string jwe = vault_->seal(context(), core::Secret("x"));
  const auto header = core::base64url_decode(jwe.substr(0, jwe.find('.'))).value_or("");
  for (const std::string part :
       {R"("alg":"dir")", R"("enc":"A256GCM")", R"("tbl":"mcp_app")", R"("row":"github")",
        R"("fld":"client_secret")", R"("tid":"018f0000-0000-7000-8000-000000000001")"}) {
    std::string compact = header;
    std::erase(compact, ' ');
    EXPECT_NE(compact.find(part), std::string::npos) << part << " in " << header;
  }
  EXPECT_EQ(Vault::kid_of(jwe), vault_->active_kid());
}

TEST_F(VaultTest, seals_the_same_text_differently_each_time) {
  EXPECT_NE(vault_->seal(context(), core::Secret("same")), vault_->seal(context(), core::Secret("same")));
}

TEST_F(VaultTest, takes_empty_binary_and_large_secrets) {
  std::string binary = "a";
  binary.push_back('\0');
  binary += "\xff\xfe";
  for (const auto& plain :
       {std::string(), binary, std::string(64 * 1024, 'x'), std::string(Vault::kMaxPlaintext, 'y')}) {
    EXPECT_EQ(vault_->open(context(), vault_->seal(context(), core::Secret(plain))).reveal(), plain)
        << plain.size();
  }
  EXPECT_EQ(error_of([&] {
              vault_->seal(context(), core::Secret(std::string(Vault::kMaxPlaintext + 1, 'z')));
            }).kind(),
            core::ErrorKind::Internal);
}

TEST_F(VaultTest, refuses_a_text_that_was_moved_to_another_row) {
  const std::string jwe = vault_->seal(context(), core::Secret("swap-me"));
  std::vector<SecretContext> others(4, context());
  others[0].platform_id = core::PlatformId::of("018f0000-0000-7000-8000-000000000002");
  others[1].table = "credential";
  others[2].row = "slack";
  others[3].field = "webhook_secret";
  for (const auto& other : others) {
    const auto error = error_of([&] { vault_->open(other, jwe); });
    EXPECT_EQ(error.kind(), core::ErrorKind::Internal);
    EXPECT_EQ((error.message() + error.detail()).find("swap-me"), std::string::npos);
  }
}

TEST_F(VaultTest, refuses_every_changed_character) {
  for (const std::string plain :
       {"tamper", "tamper-", "tamper--"}) {  // every number of unused bits at the end
    const std::string jwe = vault_->seal(context(), core::Secret(plain));
    for (std::size_t i = 0; i < jwe.size(); ++i) {
      for (const char c : {'A', 'B', 'x', '-'}) {
        auto changed = jwe;
        changed[i] = c;
        if (changed == jwe) continue;
        EXPECT_EQ(error_of([&] { vault_->open(context(), changed); }).kind(), core::ErrorKind::Internal)
            << c << " at " << i << " of " << jwe;
      }
    }
  }
}

TEST_F(VaultTest, refuses_a_shortened_tag) {
  const std::string jwe = vault_->seal(context(), core::Secret("tag"));
  const auto tag_at = jwe.rfind('.') + 1;
  for (const std::size_t bytes : {0, 4, 8, 12, 15}) {
    const auto tag = core::base64url_decode(jwe.substr(tag_at)).value_or("").substr(0, bytes);
    EXPECT_EQ(error_of([&] {
                vault_->open(context(), jwe.substr(0, tag_at) + core::base64url_encode(tag));
              }).kind(),
              core::ErrorKind::Internal);
  }
}

TEST_F(VaultTest, refuses_texts_that_it_did_not_make) {
  const std::string jwe = vault_->seal(context(), core::Secret("x"));
  const auto header = [](std::string text) { return core::base64url_encode(text); };
  for (const auto& text :
       {std::string(), std::string("...."), std::string("a.b.c.d.e"), std::string(100000, '.'), jwe + ".x",
        jwe.substr(0, jwe.size() - 1), " " + jwe, header("{}") + jwe.substr(jwe.find('.')),
        header(R"({"alg":"dir","enc":"A256GCM"})") + jwe.substr(jwe.find('.')),
        header(R"({"alg":"none","enc":"A256GCM","kid":")" + vault_->active_kid() + "\"}") +
            jwe.substr(jwe.find('.')),
        header(R"({"alg":"dir","enc":"A128CBC-HS256","kid":")" + vault_->active_kid() + "\"}") +
            jwe.substr(jwe.find('.')),
        header(R"({"alg":"dir","enc":"A256GCM","kid":7})") + jwe.substr(jwe.find('.'))}) {
    EXPECT_EQ(error_of([&] { vault_->open(context(), text); }).kind(), core::ErrorKind::Internal);
  }
}

TEST_F(VaultTest, refuses_a_context_that_a_c_string_would_cut) {
  auto cut = context();
  cut.row += std::string("\0other", 6);
  EXPECT_EQ(error_of([&] { vault_->seal(cut, core::Secret("x")); }).kind(), core::ErrorKind::Internal);
}

TEST_F(VaultTest, opens_under_old_keys_after_a_rotation) {
  const auto old_kid = vault_->active_kid();
  const std::string old_text = vault_->seal(context(), core::Secret("old"));
  const auto new_kid = vault_->rotate(random_);
  EXPECT_NE(new_kid, old_kid);
  EXPECT_EQ(vault_->active_kid(), new_kid);
  EXPECT_EQ(vault_->open(context(), old_text).reveal(), "old");
  EXPECT_EQ(Vault::kid_of(vault_->seal(context(), core::Secret("new"))), new_kid);
  EXPECT_EQ(vault_->kids(), (std::vector<std::string>{new_kid, old_kid}));
}

TEST_F(VaultTest, cannot_open_under_a_dropped_key) {
  const auto old_kid = vault_->active_kid();
  const std::string old_text = vault_->seal(context(), core::Secret("old"));
  vault_->rotate(random_);
  vault_->drop(old_kid);
  EXPECT_EQ(error_of([&] { vault_->open(context(), old_text); }).kind(), core::ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { vault_->drop(old_kid); }).kind(), core::ErrorKind::NotFound);
  EXPECT_EQ(error_of([&] { vault_->drop(vault_->active_kid()); }).kind(), core::ErrorKind::Conflict);
}

TEST_F(VaultTest, finds_a_key_that_another_process_added) {
  const auto other = Vault::open_file(path_, random_);
  other->rotate(random_);
  const std::string jwe = other->seal(context(), core::Secret("from elsewhere"));
  EXPECT_NE(vault_->active_kid(), other->active_kid());
  EXPECT_EQ(vault_->open(context(), jwe).reveal(), "from elsewhere");
  EXPECT_EQ(vault_->active_kid(), other->active_kid());
}

TEST_F(VaultTest, keeps_its_ring_when_the_file_is_broken_at_a_reload) {
  const std::string jwe = vault_->seal(context(), core::Secret("still here"));
  write_file("{}");
  EXPECT_EQ(error_of([&] { vault_->reload(); }).kind(), core::ErrorKind::InvalidArgument);
  EXPECT_EQ(vault_->open(context(), jwe).reveal(), "still here");
}

TEST_F(VaultTest, writes_a_file_that_only_its_owner_reads_and_leaves_nothing_beside_it) {
  vault_->rotate(random_);
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names, (std::vector<std::string>{"keyring.json", "keyring.json.lock"}));
}

TEST_F(VaultTest, refuses_a_file_that_others_can_read) {
  ASSERT_EQ(::chmod(path_.c_str(), 0640), 0);
  const auto error = error_of([&] { Vault::open_file(path_, random_); });
  EXPECT_NE(error.message().find("chmod 600 " + path_), std::string::npos) << error.message();
}

TEST_F(VaultTest, refuses_links_and_folders) {
  const auto link = folder_ + "/link.json";
  std::filesystem::create_symlink(path_, link);
  EXPECT_EQ(error_of([&] { Vault::open_file(link, random_); }).kind(), core::ErrorKind::InvalidArgument);
  std::filesystem::create_directory(folder_ + "/dir");
  EXPECT_EQ(error_of([&] { Vault::open_file(folder_ + "/dir", random_); }).kind(),
            core::ErrorKind::InvalidArgument);
  EXPECT_EQ(error_of([&] { Vault::open_file(folder_ + "/nowhere/ring", random_); }).kind(),
            core::ErrorKind::InvalidArgument);
}

TEST_F(VaultTest, says_what_is_wrong_with_a_keyring_without_quoting_it) {
  const std::string k(43, 'A');
  const std::vector<std::string> broken = {
      "",
      "{",
      "[]",
      "{}",
      R"({"keys":[]})",
      R"({"keys":{}})",
      R"({"keys":["a"]})",
      R"({"keys":[{"kid":"a"}]})",
      R"({"keys":[{"kid":"a","k":"c2hvcnQ"}]})",
      R"({"keys":[{"kid":"","k":")" + k + R"("}]})",
      R"({"keys":[{"kid":"a b","k":")" + k + R"("}]})",
      R"({"keys":[{"kid":"a","k":")" + k + "=\"}]}",
      R"({"keys":[{"kid":"a","k":")" + k + R"("},{"kid":"a","k":")" + k + R"("}]})"};
  for (const auto& text : broken) {
    write_file(text);
    const auto error = error_of([&] { Vault::open_file(path_, random_); });
    EXPECT_EQ(error.kind(), core::ErrorKind::InvalidArgument) << text;
    EXPECT_NE(error.message().find(path_), std::string::npos);
    EXPECT_EQ(error.message().find("AAAA"), std::string::npos) << error.message();
  }
}

TEST_F(VaultTest, makes_one_keyring_when_many_start_at_once) {
  const auto shared = folder_ + "/shared.json";
  std::vector<std::string> kids(8);
  {
    std::vector<std::jthread> threads;
    for (auto& kid : kids) {
      threads.emplace_back([&kid, shared] {
        core::SystemRandom random;
        kid = Vault::open_file(shared, random)->active_kid();
      });
    }
  }
  for (const auto& kid : kids) EXPECT_EQ(kid, kids.front());
}

TEST_F(VaultTest, seals_and_opens_on_many_threads_while_it_rotates) {
  std::atomic<int> good{0};
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 200; ++i) {
          const auto text = std::to_string(i);
          if (vault_->open(context(), vault_->seal(context(), core::Secret(text))).reveal() == text) ++good;
        }
      });
    }
    for (int i = 0; i < 10; ++i) vault_->rotate(random_);
  }
  EXPECT_EQ(good, 800);
}

}  // namespace
}  // namespace assistiv::oauth
