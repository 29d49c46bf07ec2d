#include "agents/service/ephemeral_journal.h"

#include <gtest/gtest.h>

#include "agents/pregel/codec.h"
#include "agents/pregel/ids.h"
#include "core/error.h"
#include "support/manual_clock.h"
#include "support/run_task.h"
#include "support/scripted_random.h"

namespace assistiv::agents {
namespace {

using core::Json;

class EphemeralJournalTest : public testing::Test {
 protected:
  CheckpointRow row(const std::string& ns, const std::string& text, const std::string& parent = "") {
    pregel::Checkpoint at;
    at.id = ids_.next(parent, 0);
    at.ns = ns;
    at.parent = parent;
    at.values["text"] = pregel::Value(text);
    return {at.id, parent, ns, 0, "loop", at.at, true, pregel::encode(at, {}), Json::object()};
  }
  void commit(std::vector<CheckpointRow> checkpoints, std::vector<TaskRow> tasks = {}) {
    JournalWrite write;
    write.checkpoints = std::move(checkpoints);
    write.tasks = std::move(tasks);
    io_.run(journal_.commit(std::move(write)));
  }
  std::string refusal(CheckpointRow checkpoint) {
    try {
      commit({std::move(checkpoint)});
    } catch (const core::Error& e) {
      return std::string(e.code());
    }
    return "";
  }
  Json text_of(const std::string& ns, const std::string& id) {
    const auto stored = io_.run(journal_.load(ns, id));
    return stored ? stored->checkpoint.values.at("text").json() : Json(nullptr);
  }

  test::ManualClock clock_;
  test::ScriptedRandom random_;
  pregel::CheckpointIds ids_{clock_, random_};
  test::IoThread io_;
  EphemeralJournal journal_{{}, 20'000};
};

TEST_F(EphemeralJournalTest, GivesASubgraphItsStateBack) {
  const auto first = row("s:1", "first"), second = row("s:1", "second", first.id),
             other = row("s:2", "other");
  commit({first, second, other},
         {{second.id, "t", Fact::Started, "k", nullptr}, {first.id, "t", Fact::Started, "j", nullptr}});
  EXPECT_EQ(text_of("s:1", ""), "second");
  EXPECT_EQ(text_of("s:1", first.id), "first");
  EXPECT_EQ(text_of("s:2", ""), "other");
  EXPECT_TRUE(text_of("s:3", "").is_null());
  const auto stored = io_.run(journal_.load("s:1", ""));
  EXPECT_EQ(stored->pending.tasks.at("t").started.size(), 1u);
}

TEST_F(EphemeralJournalTest, KeepsNoMoreThanItMay) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(refusal(row("", std::string(5'000, 'r'))), "");  // not kept
  const auto kept = row("s:1", std::string(8'000, 's'));
  commit({kept});
  for (int i = 0; i < 10; ++i)  // each in place of the one before
    commit({}, {{kept.id, "t", Fact::Step, "k", std::string(5'000, 't')}});
  EXPECT_EQ(refusal(row("s:1", std::string(8'000, 's'))), "STATE_TOO_LARGE");
}

}  // namespace
}  // namespace assistiv::agents
