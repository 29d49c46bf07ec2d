#include "storage/notifier.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "core/error.h"
#include "storage/database.h"
#include "support/database_gate.h"
#include "support/test_database.h"

namespace assistiv::storage {
namespace {

// What a notifier delivered, in order.
class Heard {
 public:
  void listen_to(Notifier& notifier) {
    notifier.subscribe([this](std::string_view topic, std::string_view payload) {
      const std::lock_guard lock(mutex_);
      messages_.push_back(std::string(topic) + "|" + std::string(payload));
      arrived_.notify_all();
    });
  }
  std::string next() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, std::chrono::seconds(30), [this] { return !messages_.empty(); }))
      return "nothing";
    auto message = messages_.front();
    messages_.erase(messages_.begin());
    return message;
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::string> messages_;
};

void send(Database& database, std::string_view topic, std::string_view payload) {
  database.execute(Scope::system(), [&](Transaction& tx) { tx.notify(topic, payload); });
}

TEST(Notifier, brings_what_was_committed_to_every_process) {
  test::TestDatabase database;
  Notifier here(database.url()), there(database.url());
  Heard heard_here, heard_there;
  heard_here.listen_to(here);
  heard_there.listen_to(there);
  here.start();
  there.start();
  send(database.db(), "grant", "platform/user with space");
  send(database.db(), "resync", "");
  for (auto* heard : {&heard_here, &heard_there}) {
    EXPECT_EQ(heard->next(), "grant|platform/user with space");
    EXPECT_EQ(heard->next(), "resync|");
  }
}

TEST(Notifier, brings_nothing_of_a_transaction_that_was_rolled_back) {
  test::TestDatabase database;
  Notifier notifier(database.url());
  Heard heard;
  heard.listen_to(notifier);
  notifier.start();
  EXPECT_THROW(database.db().execute(Scope::system(),
                                     [](Transaction& tx) {
                                       tx.notify("key", "undone");
                                       throw std::runtime_error("changed my mind");
                                     }),
               std::runtime_error);
  send(database.db(), "key", "done");
  EXPECT_EQ(heard.next(), "key|done");
}

TEST(Notifier, says_resync_after_a_lost_connection_and_listens_again) {
  test::TestDatabase database;
  test::DatabaseGate gate(database.url());
  Notifier notifier(gate.url());
  Heard heard;
  heard.listen_to(notifier);
  notifier.start();
  gate.close();
  send(database.db(), "key", "missed");
  gate.open();
  EXPECT_EQ(heard.next(), "resync|");
  send(database.db(), "key", "seen");
  EXPECT_EQ(heard.next(), "key|seen");
}

TEST(Notifier, stops_while_the_database_is_away) {
  test::TestDatabase database;
  test::DatabaseGate gate(database.url());
  Notifier notifier(gate.url());
  notifier.start();
  gate.close();
  notifier.stop();
}

TEST(Notifier, does_not_start_without_a_database) {
  Notifier notifier("host=/nowhere dbname=x");
  try {
    notifier.start();
    FAIL() << "it started";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.kind(), core::ErrorKind::Unavailable);
  }
}

}  // namespace
}  // namespace assistiv::storage
