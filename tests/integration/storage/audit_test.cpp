#include "storage/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "core/encoding.h"
#include "core/error.h"
#include "core/random.h"
#include "support/database_gate.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::storage {
namespace {

using test::TestDatabase;
using testing::HasSubstr;

class FixedClock final : public core::Clock {
 public:
  core::Time now() const override { return core::from_epoch_ms(1700000000123); }
};

class AuditTest : public testing::Test {
 protected:
  core::PlatformId add_platform() {
    const auto id = core::PlatformId::make(core::SystemClock(), random_);
    database_.exec(
        "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, 'p', $2, "
        "now(), now())",
        {id.str(), id.str()});
    return id;
  }

  static AuditEvent event(std::string name, std::string subject = "subject") {
    AuditEvent out;
    out.event = std::move(name);
    out.actor_kind = "platform";
    out.subject = std::move(subject);
    out.details_json = R"({"b": 1, "a": [1.50, "x"]})";
    out.request_id = "req";
    return out;
  }

  void append(core::PlatformId platform, const AuditEvent& what) {
    database_.db().execute(Scope::tenant(platform),
                           [&](Transaction& tx) { audit_.append(tx, platform, what); });
  }

  AuditPage list(core::PlatformId platform, AuditFilter filter = {}) {
    return io_.run(audit_.list(platform, filter));
  }
  AuditVerdict verify(core::PlatformId platform) { return io_.run(audit_.verify(platform)); }

  // Changes the trail as someone with the database's administrator rights could.
  void tamper(const std::string& sql) {
    database_.exec_as_superuser("set session_replication_role = replica; " + sql);
  }

  static std::vector<std::string> subjects(const AuditPage& page) {
    std::vector<std::string> out;
    for (const auto& entry : page.entries) out.push_back(entry.event.subject);
    return out;
  }

  core::SystemRandom random_;
  TestDatabase database_;
  FixedClock clock_;
  test::IoThread io_;
  AuditLog audit_{database_.db(), clock_};
};

TEST_F(AuditTest, chains_entries_by_the_documented_hash) {
  const auto platform = add_platform();
  auto first = event("key.created");
  first.end_user_id = core::EndUserId::make(core::SystemClock(), random_);
  first.key_id = core::KeyId::make(core::SystemClock(), random_);
  append(platform, first);
  append(platform, event("key.revoked"));
  const auto page = list(platform);
  ASSERT_EQ(page.total, 2);
  const auto& newest = page.entries[0];
  const auto& oldest = page.entries[1];
  EXPECT_EQ(oldest.seq, 1);
  EXPECT_EQ(core::to_epoch_ms(oldest.at), 1700000000123);
  EXPECT_EQ(oldest.event.details_json, R"({"a":[1.5,"x"],"b":1})");
  EXPECT_EQ(oldest.event.key_id, first.key_id);
  EXPECT_EQ(oldest.prev_hash, std::string(64, '0'));
  const auto line =
      R"({"actor_kind":"platform","at":1700000000123,"details":{"a":[1.5,"x"],"b":1},"end_user_id":")" +
      first.end_user_id->str() + R"(","event":"key.created","key_id":")" + first.key_id->str() +
      R"(","platform_id":")" + platform.str() + R"(","request_id":"req","seq":1,"subject":"subject"})";
  EXPECT_EQ(oldest.hash, core::sha256_hex(std::string(32, '\0') + line));
  EXPECT_EQ(newest.prev_hash, oldest.hash);
  const auto verdict = verify(platform);
  EXPECT_TRUE(verdict.valid);
  EXPECT_EQ(verdict.entries, 2);
  EXPECT_EQ(verdict.head_seq, 2);
  EXPECT_EQ(verdict.head_hash, newest.hash);
  EXPECT_EQ(verdict.broken_at, std::nullopt);
}

TEST_F(AuditTest, keeps_no_entry_of_a_transaction_that_was_rolled_back) {
  const auto platform = add_platform();
  EXPECT_THROW(database_.db().execute(Scope::tenant(platform),
                                      [&](Transaction& tx) {
                                        audit_.append(tx, platform, event("key.created"));
                                        throw std::runtime_error("changed my mind");
                                      }),
               std::runtime_error);
  append(platform, event("key.created", "kept"));
  EXPECT_THAT(subjects(list(platform)), testing::ElementsAre("kept"));
  EXPECT_TRUE(verify(platform).valid);
}

TEST_F(AuditTest, keeps_the_trails_of_platforms_apart) {
  const auto mine = add_platform(), other = add_platform();
  append(mine, event("key.created", "mine"));
  append(other, event("key.created", "theirs"));
  EXPECT_THAT(subjects(list(mine)), testing::ElementsAre("mine"));
  EXPECT_EQ(list(other).entries[0].seq, 1);
  EXPECT_THROW(append(core::PlatformId{}, event("key.created")), core::Error);
}

TEST_F(AuditTest, lists_by_page_and_filter_newest_first) {
  const auto platform = add_platform();
  const auto user = core::EndUserId::make(core::SystemClock(), random_);
  for (int i = 1; i <= 25; ++i) {
    auto one = event(i % 5 == 0 ? "tool.denied" : "tool.called", std::to_string(i));
    if (i % 2 == 0) one.end_user_id = user;
    append(platform, one);
  }
  AuditFilter filter;
  filter.limit = 10;
  EXPECT_EQ(subjects(list(platform, filter)).front(), "25");
  filter.page = 3;
  EXPECT_THAT(subjects(list(platform, filter)), testing::ElementsAre("5", "4", "3", "2", "1"));
  EXPECT_EQ(list(platform, filter).total, 25);
  filter.page = 4;
  EXPECT_TRUE(list(platform, filter).entries.empty());
  filter = {.event = "tool.denied", .end_user_id = {}, .page = 2, .limit = 3};
  EXPECT_THAT(subjects(list(platform, filter)), testing::ElementsAre("10", "5"));
  EXPECT_EQ(list(platform, filter).total, 5);
  filter = {.event = "tool.denied", .end_user_id = user, .page = 1, .limit = 20};
  EXPECT_THAT(subjects(list(platform, filter)), testing::ElementsAre("20", "10"));
  EXPECT_EQ(list(add_platform()).total, 0);
}

core::Task<> record_many(AuditLog* audit, std::vector<core::PlatformId> platforms, int count,
                         AuditEvent what) {
  for (int i = 0; i < count; ++i) {
    what.subject = std::to_string(i);
    co_await audit->record(platforms[static_cast<std::size_t>(i) % platforms.size()], what);
  }
}

TEST_F(AuditTest, records_in_the_background_in_order) {
  audit_.start(io_.executor());
  const auto one = add_platform(), two = add_platform();
  io_.run(record_many(&audit_, {one, two}, 6000, event("tool.called")));
  io_.run(audit_.flush());
  EXPECT_EQ(list(one).total, 3000);
  EXPECT_EQ(list(two).entries.front().event.subject, "5999");
  EXPECT_TRUE(verify(one).valid);
  EXPECT_EQ(verify(two).entries, 3000);
  audit_.stop();
}

TEST_F(AuditTest, writes_what_is_queued_before_it_stops) {
  const auto platform = add_platform();
  io_.run(record_many(&audit_, {platform}, 500, event("tool.called")));
  audit_.start(io_.executor());
  audit_.stop();
  EXPECT_EQ(list(platform).total, 500);
}

constexpr int kQueue = 20000;

TEST_F(AuditTest, lets_callers_wait_for_room_and_serves_them_all) {
  const auto platform = add_platform();
  std::vector<std::future<void>> callers;
  for (int i = 0; i < 20; ++i) {
    callers.push_back(io_.start(record_many(&audit_, {platform}, kQueue / 20 + 50, event("tool.called"))));
  }
  audit_.start(io_.executor());
  for (auto& caller : callers) caller.get();
  io_.run(audit_.flush());
  EXPECT_EQ(list(platform).total, kQueue + 1000);
  audit_.stop();
}

TEST_F(AuditTest, refuses_entries_when_nothing_is_written_for_long) {
  const auto platform = add_platform();
  io_.run(record_many(&audit_, {platform}, kQueue, event("tool.called")));
  try {
    io_.run(audit_.record(platform, event("tool.called")));
    ADD_FAILURE() << "it was queued";
  } catch (const core::Error& e) {
    EXPECT_EQ(e.kind(), core::ErrorKind::Unavailable);
    EXPECT_TRUE(e.retry_after());
  }
}

TEST_F(AuditTest, keeps_one_chain_when_nodes_and_transactions_write_together) {
  const auto one = add_platform(), two = add_platform();
  AuditLog second_node(database_.db(), clock_);
  test::IoThread other_io;
  audit_.start(io_.executor());
  second_node.start(other_io.executor());
  auto here = io_.start(record_many(&audit_, {one, two}, 2000, event("tool.called")));
  auto there = other_io.start(record_many(&second_node, {two, one}, 2000, event("tool.called")));
  for (int i = 0; i < 50; ++i) append(i % 2 == 0 ? one : two, event("key.created"));
  here.get();
  there.get();
  io_.run(audit_.flush());
  other_io.run(second_node.flush());
  EXPECT_EQ(list(one).total, 2025);
  EXPECT_EQ(list(two).total, 2025);
  EXPECT_TRUE(verify(one).valid);
  EXPECT_TRUE(verify(two).valid);
  second_node.stop();
  audit_.stop();
}

TEST_F(AuditTest, takes_odd_text_and_refuses_details_that_are_no_object) {
  audit_.start(io_.executor());
  const auto platform = add_platform();
  auto odd = event("tool.called", std::string("a\0b\xff", 4));
  odd.request_id = std::string(5000, 'r');
  odd.details_json = R"({"text":"\u0000 ü"})";
  io_.run(audit_.record(platform, odd));
  odd.details_json = "";
  io_.run(audit_.record(platform, odd));
  for (const char* bad : {"[]", "{", "1"}) {
    odd.details_json = bad;
    EXPECT_THROW(io_.run(audit_.record(platform, odd)), core::Error) << bad;
  }
  odd.details_json = R"({"x":")" + std::string(20000, 'x') + "\"}";
  EXPECT_THROW(io_.run(audit_.record(platform, odd)), core::Error);
  io_.run(audit_.flush());
  const auto page = list(platform);
  ASSERT_EQ(page.total, 2);
  EXPECT_EQ(page.entries[0].event.details_json, "{}");
  EXPECT_EQ(page.entries[1].event.subject, "a?b?");
  EXPECT_EQ(page.entries[1].event.request_id.size(), 128u);
  EXPECT_TRUE(verify(platform).valid);
  audit_.stop();
}

TEST_F(AuditTest, drops_entries_of_a_platform_that_is_gone_and_no_others) {
  audit_.start(io_.executor());
  const auto stays = add_platform(), goes = add_platform();
  database_.exec("delete from platform where platform_id = $1::uuid", {goes.str()});
  io_.run(record_many(&audit_, {goes, stays}, 10, event("tool.called")));
  io_.run(audit_.flush());
  EXPECT_EQ(list(stays).total, 5);
  EXPECT_EQ(list(goes).total, 0);
  audit_.stop();
}

TEST_F(AuditTest, goes_with_its_platform_and_not_before) {
  const auto stays = add_platform(), goes = add_platform();
  append(stays, event("key.created"));
  for (int i = 0; i < 3; ++i) append(goes, event("key.created"));
  for (const char* sql :
       {"update audit_entry set subject = 'x'", "delete from audit_entry", "truncate audit_entry",
        "delete from audit_head", "truncate audit_head, audit_entry",
        "update audit_head set hash = decode(repeat('ab', 32), 'hex')", "update audit_head set seq = 0"}) {
    EXPECT_THROW(database_.exec(sql), core::Error) << sql;
  }
  // In the platform's own scope, as the API does it.
  database_.db().execute(Scope::tenant(goes), [&](Transaction& tx) {
    tx.exec("delete from platform where platform_id = $1::uuid", {goes.str()});
  });
  EXPECT_EQ(database_.exec("select count(*) as n from audit_entry")[0].integer("n"), 1);
  EXPECT_TRUE(verify(stays).valid);
}

TEST_F(AuditTest, shows_one_tenant_nothing_of_another_even_by_sql) {
  const auto mine = add_platform(), other = add_platform();
  append(other, event("key.created"));
  database_.db().execute(Scope::tenant(mine), [&](Transaction& tx) {
    EXPECT_TRUE(tx.exec("select from audit_entry").empty());
    EXPECT_TRUE(tx.exec("select from audit_head").empty());
  });
  EXPECT_THROW(database_.db().execute(Scope::tenant(mine),
                                      [&](Transaction& tx) { audit_.append(tx, other, event("x")); }),
               core::Error);
}

TEST_F(AuditTest, finds_the_first_entry_that_was_tampered_with) {
  audit_.start(io_.executor());
  const struct {
    std::string sql;
    std::int64_t broken_at;
    int entries = 20;
  } cases[] = {
      {"update audit_entry set subject = 'forged' where seq = 2050", 2050, 2100},  // behind the first chunk
      {"update audit_entry set details = '{ \"a\":[1.5,\"x\"],\"b\":1}' where seq = 7", 7},
      {"update audit_entry set at = at + interval '1 ms' where seq = 1", 1},
      {"update audit_entry set prev_hash = hash where seq = 20", 20},
      {"delete from audit_entry where seq = 10", 10},
      {"delete from audit_entry where seq > 15", 16},
      {"delete from audit_entry", 1},
      {"update audit_head set hash = decode(repeat('ab', 32), 'hex')", 20},
      {"update audit_head set seq = 30", 21},
      {"delete from audit_head", 1},
  };
  for (const auto& one : cases) {
    const auto platform = add_platform();
    io_.run(record_many(&audit_, {platform}, one.entries, event("tool.called")));
    io_.run(audit_.flush());
    ASSERT_TRUE(verify(platform).valid);
    const auto where = one.sql.find(" where ") == std::string::npos ? " where " : " and ";
    tamper(one.sql + where + "platform_id = '" + platform.str() + "'");
    const auto verdict = verify(platform);
    EXPECT_FALSE(verdict.valid) << one.sql;
    EXPECT_EQ(verdict.broken_at, one.broken_at) << one.sql;
    EXPECT_EQ(verdict.entries, one.broken_at - 1) << one.sql;
  }
  audit_.stop();
}

TEST_F(AuditTest, writes_each_entry_once_when_commits_are_in_doubt) {
  test::DatabaseGate gate(database_.url());
  DatabaseOptions options;
  options.url = gate.url();
  options.connections = 2;
  Database database(options);
  AuditLog audit(database, clock_);
  const auto platform = add_platform();
  audit.start(io_.executor());
  for (const auto cut : {test::Cut::AfterServer, test::Cut::BeforeServer}) {
    gate.cut_once("commit", cut);
    io_.run(record_many(&audit, {platform}, 100, event("tool.called")));
    io_.run(audit.flush());
  }
  EXPECT_EQ(list(platform).total, 200);
  EXPECT_TRUE(verify(platform).valid);
  audit.stop();
}

TEST_F(AuditTest, has_an_entry_that_must_come_first_in_the_database_when_it_says_so) {
  const auto platform = add_platform();
  audit_.start(io_.executor());
  for (int i = 1; i <= 3; ++i) {
    io_.run(audit_.record_durably(platform, event("tool.started")));
    EXPECT_EQ(list(platform).total, i) << "without a flush";
  }
  database_.exec("delete from platform where platform_id = $1::uuid", {platform.str()});
  try {
    io_.run(audit_.record_durably(platform, event("tool.started")));
    ADD_FAILURE() << "there is no trail to write to";
  } catch (const core::Error& error) {
    EXPECT_EQ(error.kind(), core::ErrorKind::Unavailable);
  }
  audit_.stop();
}

TEST_F(AuditTest, keeps_entries_while_the_database_is_away) {
  test::DatabaseGate gate(database_.url());
  DatabaseOptions options;
  options.url = gate.url();
  Database database(options);
  AuditLog audit(database, clock_);
  const auto platform = add_platform();
  audit.start(io_.executor());
  gate.close();
  io_.run(record_many(&audit, {platform}, 100, event("tool.called")));
  gate.open();
  io_.run(audit.flush());
  EXPECT_EQ(list(platform).total, 100);
  audit.stop();
}

}  // namespace
}  // namespace assistiv::storage
