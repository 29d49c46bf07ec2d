#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "billing/journal.h"
#include "core/error.h"
#include "core/random.h"

namespace assistiv::billing {
namespace {

class LedgerJournal : public ::testing::Test {
 protected:
  ~LedgerJournal() override { std::filesystem::remove_all(directory_); }

  core::Uuid id() { return core::Uuid::v7(clock_, random_); }
  HoldRecord hold(std::int64_t seq) {
    HoldRecord out;
    out.epoch = 7;
    out.seq = seq;
    out.payer = {core::PlatformId::make(clock_, random_), core::EndUserId::make(clock_, random_)};
    out.facts.request_id = "request-" + std::to_string(seq);
    out.facts.attempt = 3;
    out.facts.tag = std::string("a\0b", 3);
    out.facts.stream = true;
    out.price_id = "price";
    out.bound = 100;
    out.lost_cost = 25;
    out.token_bound = 40;
    out.created_ms = 123;
    out.wallet = {AccountId::make(clock_, random_), 0, 100, 0};
    out.budget = HoldLevel{AccountId::make(clock_, random_), 5, 100, 40};
    return out;
  }
  SettledCall settled(std::int64_t seq, std::int64_t cost) {
    SettledCall out;
    out.hold = hold(seq);
    out.settlement.outcome = CallOutcome::Timeout;
    out.settlement.usage = {.input = 5, .cache_read = 0};
    out.settlement.error = "too slow";
    out.settlement.first_token = std::chrono::milliseconds(9);
    out.cost = cost;
    out.tokens = 5;
    return out;
  }
  std::size_t segments() const {
    std::size_t out = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory_)) {
      out += file.path().extension() == ".journal";
    }
    return out;
  }
  std::vector<SettledCall> orphaned() {
    const auto found = OrphanJournal::find(directory_, core::Uuid{});
    return found.empty() ? std::vector<SettledCall>{} : found.front()->calls();
  }

  core::SystemClock clock_;
  core::SystemRandom random_;
  std::string directory_ =
      std::filesystem::temp_directory_path() / ("journal-" + core::random_hex(random_, 8));
};

TEST_F(LedgerJournal, gives_back_what_a_dead_process_wrote) {
  const auto first = hold(1);
  {
    Journal journal(directory_, id(), 1 << 20);
    journal.hold(1, encode_hold(first));
    journal.hold(2, encode_hold(hold(2)));
    EXPECT_TRUE(journal.settle(2, encode_settlement(settled(2, 60))));
    EXPECT_TRUE(OrphanJournal::find(directory_, core::Uuid{}).empty());  // it lives
  }
  const auto calls = orphaned();
  ASSERT_EQ(calls.size(), 2u);
  const auto& lost = calls[0];
  EXPECT_EQ(lost.settlement.outcome, CallOutcome::Lost);
  EXPECT_EQ(lost.cost, 25);
  EXPECT_EQ(lost.tokens, 10);
  EXPECT_EQ(lost.hold.epoch, 7);
  EXPECT_EQ(lost.hold.payer.platform_id, first.payer.platform_id);
  EXPECT_EQ(lost.hold.payer.end_user_id, first.payer.end_user_id);
  EXPECT_EQ(lost.hold.facts.tag, first.facts.tag);
  EXPECT_EQ(lost.hold.facts.attempt, 3);
  EXPECT_TRUE(lost.hold.facts.stream);
  EXPECT_EQ(lost.hold.wallet.account, first.wallet.account);
  EXPECT_EQ(lost.hold.budget->period_no, 5);
  const auto& ended = calls[1];
  EXPECT_EQ(ended.settlement.outcome, CallOutcome::Timeout);
  EXPECT_EQ(ended.settlement.usage, (core::Usage{.input = 5, .cache_read = 0}));
  EXPECT_EQ(ended.settlement.error, "too slow");
  EXPECT_EQ(ended.settlement.first_token, std::chrono::milliseconds(9));
  EXPECT_EQ(ended.cost, 60);
}

TEST_F(LedgerJournal, needs_no_more_room_than_what_is_open) {
  Journal journal(directory_, id(), 2000);
  journal.hold(0, encode_hold(hold(0)));  // a call that takes for ever
  for (std::int64_t seq = 1; seq <= 300; ++seq) {
    journal.hold(seq, encode_hold(hold(seq)));
    EXPECT_TRUE(journal.settle(seq, encode_settlement(settled(seq, 1))));
    journal.committed({seq});
  }
  EXPECT_LE(segments(), 6u);
  EXPECT_LE(journal.bytes(), 12'000u);
  journal.unlock();
  bool still_there = false;
  for (const auto& call : orphaned()) still_there = still_there || call.hold.seq == 0;
  EXPECT_TRUE(still_there);
}

TEST_F(LedgerJournal, ignores_a_record_that_was_cut_off_at_any_byte) {
  {
    Journal journal(directory_, id(), 1 << 20);
    journal.hold(1, encode_hold(hold(1)));
    journal.hold(2, encode_hold(hold(2)));
  }
  std::string path;
  for (const auto& file : std::filesystem::directory_iterator(directory_)) {
    if (file.path().extension() == ".journal") path = file.path();
  }
  const auto whole = std::filesystem::file_size(path);
  for (auto size = whole - 1; size >= whole / 2; size -= 7) {
    std::filesystem::resize_file(path, size);
    EXPECT_EQ(orphaned().size(), 1u) << size;
  }
}

TEST_F(LedgerJournal, leaves_nothing_after_an_orderly_end) {
  Journal journal(directory_, id(), 1 << 20);
  journal.hold(1, encode_hold(hold(1)));
  journal.committed({1});
  EXPECT_EQ(journal.bytes(), 0u);
  journal.remove();
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(LedgerJournal, says_so_when_its_directory_cannot_be_written) {
  std::ofstream(directory_) << "a file";
  try {
    Journal journal(directory_, id(), 1 << 20);
    FAIL() << "made a journal in a file";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::Unavailable);
  }
}

}  // namespace
}  // namespace assistiv::billing
