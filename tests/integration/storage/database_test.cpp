#include "storage/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>

#include "core/clock.h"
#include "core/error.h"
#include "core/random.h"
#include "support/database_gate.h"
#include "support/run_task.h"
#include "support/test_database.h"

namespace assistiv::storage {
namespace {

using core::ErrorKind;
using test::Schema;
using test::TestDatabase;
using testing::HasSubstr;

template <class F>
core::Error error_of(F body) {
  try {
    body();
  } catch (const core::Error& e) {
    return e;
  }
  ADD_FAILURE() << "nothing was thrown";
  return core::internal("nothing was thrown");
}

core::PlatformId new_platform() {
  core::SystemClock clock;
  core::SystemRandom random;
  return core::PlatformId::make(clock, random);
}

class DatabaseTest : public testing::Test {
 protected:
  DatabaseTest() {
    database_.exec(
        "create table item (platform_id uuid, name text, primary key (platform_id, name));"
        "select assistiv_protect('item')");
  }

  void insert(const Scope& scope, core::PlatformId platform, const std::string& name) {
    database_.db().execute(scope, [&](Transaction& tx) {
      tx.exec("insert into item values ($1::uuid, $2)", {platform.str(), name});
    });
  }

  std::int64_t count(const Scope& scope, Database& db) {
    std::int64_t out = 0;
    db.execute(scope,
               [&](Transaction& tx) { out = tx.exec("select count(*) as n from item")[0].integer("n"); });
    return out;
  }
  std::int64_t count(const Scope& scope) { return count(scope, database_.db()); }

  DatabaseOptions options(const std::string& url, std::size_t connections = 2) {
    DatabaseOptions out;
    out.url = url;
    out.connections = connections;
    return out;
  }

  TestDatabase database_;
  const core::PlatformId mine_ = new_platform();
  const core::PlatformId other_ = new_platform();
};

TEST_F(DatabaseTest, reads_every_kind_of_column) {
  const auto row = database_.exec(
      "select 42::bigint as i, true as b, 'text' as t, null::text as n, '' as e, $1::uuid as id,"
      " assistiv_ms(assistiv_time(1700000000123)) as at",
      {mine_.str()})[0];
  EXPECT_EQ(row.integer("i"), 42);
  EXPECT_TRUE(row.boolean("b"));
  EXPECT_EQ(row.text("t"), "text");
  EXPECT_TRUE(row.is_null("n"));
  EXPECT_EQ(row.text("n"), "");
  EXPECT_EQ(row.optional_text("n"), std::nullopt);
  EXPECT_EQ(row.optional_text("e"), "");
  EXPECT_EQ(row.id<core::PlatformId>("id"), mine_);
  EXPECT_EQ(core::to_epoch_ms(row.time("at")), 1700000000123);
  EXPECT_EQ(error_of([&] { row.text("absent"); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { row.integer("t"); }).kind(), ErrorKind::Internal);
}

TEST_F(DatabaseTest, keeps_milliseconds_of_times_over_a_round_trip) {
  for (const std::int64_t ms : {0LL, 1LL, 999LL, 1700000000001LL, 4102444799999LL, -1LL}) {
    EXPECT_EQ(database_.exec("select assistiv_ms(assistiv_time($1::bigint)) as at", {std::to_string(ms)})[0]
                  .integer("at"),
              ms);
  }
}

TEST_F(DatabaseTest, tells_how_many_rows_were_affected) {
  insert(Scope::tenant(mine_), mine_, "a");
  insert(Scope::tenant(mine_), mine_, "b");
  EXPECT_EQ(database_.exec("update item set name = name || '!'").affected(), 2u);
}

TEST_F(DatabaseTest, shows_a_tenant_its_own_rows_only) {
  insert(Scope::system(), mine_, "a");
  insert(Scope::system(), other_, "b");
  EXPECT_EQ(count(Scope::tenant(mine_)), 1);
  EXPECT_EQ(count(Scope::system()), 2);
}

TEST_F(DatabaseTest, lets_no_tenant_write_rows_of_another) {
  insert(Scope::system(), other_, "b");
  EXPECT_EQ(error_of([&] { insert(Scope::tenant(mine_), other_, "c"); }).kind(), ErrorKind::Internal);
  database_.db().execute(Scope::tenant(mine_), [&](Transaction& tx) {
    EXPECT_EQ(tx.exec("update item set name = 'stolen'").affected(), 0u);
    EXPECT_EQ(tx.exec("delete from item where platform_id = $1::uuid", {other_.str()}).affected(), 0u);
  });
  insert(Scope::tenant(mine_), mine_, "a");
  EXPECT_EQ(error_of([&] {
              database_.db().execute(Scope::tenant(mine_), [&](Transaction& tx) {
                tx.exec("update item set platform_id = $1::uuid", {other_.str()});
              });
            }).kind(),
            ErrorKind::Internal);
  EXPECT_EQ(count(Scope::tenant(other_)), 1);
}

TEST_F(DatabaseTest, forgets_the_scope_with_the_transaction) {
  Database one(options(database_.url(), 1));
  insert(Scope::system(), other_, "b");
  EXPECT_EQ(count(Scope::system(), one), 1);
  EXPECT_EQ(count(Scope::tenant(mine_), one), 0);
  EXPECT_EQ(count(Scope::tenant(other_), one), 1);
  EXPECT_EQ(count(Scope::tenant(mine_), one), 0);
}

TEST_F(DatabaseTest, rolls_back_when_the_work_throws) {
  EXPECT_THROW(database_.db().execute(Scope::system(),
                                      [&](Transaction& tx) {
                                        tx.exec("insert into item values ($1::uuid, 'a')", {mine_.str()});
                                        throw std::runtime_error("changed my mind");
                                      }),
               std::runtime_error);
  EXPECT_EQ(count(Scope::system()), 0);
}

TEST_F(DatabaseTest, fails_when_the_work_swallows_a_statements_error) {
  const auto error = error_of([&] {
    database_.db().execute(Scope::system(), [&](Transaction& tx) {
      tx.exec("insert into item values ($1::uuid, 'a')", {mine_.str()});
      try {
        tx.exec("insert into item values ($1::uuid, 'a')", {mine_.str()});
      } catch (const core::Error&) {
      }
    });
  });
  EXPECT_EQ(error.kind(), ErrorKind::Conflict);
  EXPECT_EQ(count(Scope::system()), 0);
}

TEST_F(DatabaseTest, names_conflicts_and_missing_references_without_values) {
  insert(Scope::system(), mine_, "secret-name");
  const auto conflict = error_of([&] { insert(Scope::system(), mine_, "secret-name"); });
  EXPECT_EQ(conflict.kind(), ErrorKind::Conflict);
  EXPECT_EQ(conflict.code(), "conflict");
  EXPECT_THAT(conflict.detail(), HasSubstr("23505"));
  EXPECT_THAT(conflict.detail(), Not(HasSubstr("secret-name")));
  database_.exec(
      "create table part (platform_id uuid, name text, foreign key (platform_id, name) references item)");
  const auto missing =
      error_of([&] { database_.exec("insert into part values ($1::uuid, 'x')", {mine_.str()}); });
  EXPECT_EQ(missing.kind(), ErrorKind::NotFound);
  const auto syntax = error_of([&] { database_.exec("selekt 1"); });
  EXPECT_EQ(syntax.kind(), ErrorKind::Internal);
  EXPECT_THAT(syntax.detail(), HasSubstr("42601"));
  EXPECT_THAT(syntax.message(), Not(HasSubstr("selekt")));
}

TEST_F(DatabaseTest, refuses_text_that_the_database_cannot_hold) {
  for (const auto& text : {std::string("a\0b", 3), std::string("\xff\xfe"), std::string("\xc3")}) {
    EXPECT_EQ(error_of([&] { insert(Scope::system(), mine_, text); }).kind(), ErrorKind::InvalidArgument);
  }
  insert(Scope::system(), mine_, "grüße 🎉 \\ ' \" $1 ;--");
  EXPECT_EQ(database_.exec("select name from item")[0].text("name"), "grüße 🎉 \\ ' \" $1 ;--");
}

TEST_F(DatabaseTest, gives_up_on_a_statement_at_its_timeout) {
  auto with_timeout = options(database_.url());
  with_timeout.statement_timeout = std::chrono::milliseconds(20);
  Database database(with_timeout);
  const auto error = error_of(
      [&] { database.execute(Scope::system(), [](Transaction& tx) { tx.exec("select pg_sleep(10)"); }); });
  EXPECT_EQ(error.kind(), ErrorKind::DeadlineExceeded);
  EXPECT_EQ(count(Scope::system(), database), 0);
}

TEST_F(DatabaseTest, refuses_to_block_an_io_thread) {
  test::IoThread io;
  const auto call = [](Database* database) -> core::Task<ErrorKind> {
    try {
      database->execute(Scope::system(), [](Transaction&) {});
    } catch (const core::Error& e) {
      co_return e.kind();
    }
    co_return ErrorKind::Cancelled;
  };
  EXPECT_EQ(io.run(call(&database_.db())), ErrorKind::Internal);
}

TEST_F(DatabaseTest, serves_coroutines) {
  test::IoThread io;
  EXPECT_EQ(io.run(database_.db().run(
                Scope::system(), [](Transaction& tx) { return tx.exec("select 7 as n")[0].integer("n"); })),
            7);
  io.run(database_.db().run(Scope::tenant(mine_), [id = mine_](Transaction& tx) {
    tx.exec("insert into item values ($1::uuid, 'a')", {id.str()});
  }));
  EXPECT_EQ(count(Scope::system()), 1);
  EXPECT_THROW(io.run(database_.db().run(Scope::system(), [](Transaction& tx) { tx.exec("selekt"); })),
               core::Error);
  EXPECT_TRUE(io.run(database_.db().ready(std::chrono::seconds(5))));
}

// Both transactions read before either writes, so one of them must be run again.
TEST_F(DatabaseTest, runs_the_work_again_after_a_serialization_failure) {
  database_.exec("create table counter (n int); insert into counter values (0)");
  std::latch both_have_read(2);
  std::atomic<int> runs{0};
  const auto increment = [&](Transaction& tx) {
    tx.exec("set transaction isolation level serializable");
    const auto n = tx.exec("select n from counter")[0].integer("n");
    if (++runs <= 2) both_have_read.arrive_and_wait();
    tx.exec("update counter set n = $1::int", {std::to_string(n + 1)});
  };
  auto first = std::async(std::launch::async, [&] { database_.db().execute(Scope::system(), increment); });
  auto second = std::async(std::launch::async, [&] { database_.db().execute(Scope::system(), increment); });
  first.get();
  second.get();
  EXPECT_EQ(database_.exec("select n from counter")[0].integer("n"), 2);
  EXPECT_GE(runs.load(), 3);
}

TEST_F(DatabaseTest, runs_the_work_again_after_a_deadlock) {
  database_.exec("create table pair (k int primary key, n int); insert into pair values (1, 0), (2, 0)");
  std::latch both_hold_one(2);
  std::atomic<int> runs{0};
  const auto cross = [&](int a, int b) {
    database_.db().execute(Scope::system(), [&](Transaction& tx) {
      tx.exec("update pair set n = n + 1 where k = $1::int", {std::to_string(a)});
      if (++runs <= 2) both_hold_one.arrive_and_wait();
      tx.exec("update pair set n = n + 1 where k = $1::int", {std::to_string(b)});
    });
  };
  auto first = std::async(std::launch::async, [&] { cross(1, 2); });
  auto second = std::async(std::launch::async, [&] { cross(2, 1); });
  first.get();
  second.get();
  EXPECT_EQ(database_.exec("select sum(n) as n from pair")[0].integer("n"), 4);
}

TEST_F(DatabaseTest, gives_up_on_contention_that_does_not_end) {
  int runs = 0;
  const auto error = error_of([&] {
    database_.db().execute(Scope::system(), [&](Transaction& tx) {
      ++runs;
      tx.exec("do $$ begin raise exception 'again' using errcode = 'serialization_failure'; end $$");
    });
  });
  EXPECT_EQ(error.kind(), ErrorKind::Unavailable);
  EXPECT_EQ(runs, 5);
}

TEST_F(DatabaseTest, survives_a_schema_change_under_prepared_statements) {
  Database one(options(database_.url(), 1));
  const auto read = [&] {
    one.execute(Scope::system(), [&](Transaction& tx) {
      tx.exec("select * from item where platform_id = $1::uuid", {mine_.str()});
    });
  };
  for (int i = 0; i < 3; ++i) read();
  database_.exec("alter table item add column more text");
  read();
}

TEST_F(DatabaseTest, tells_callers_to_come_back_when_the_pool_is_full) {
  auto tight = options(database_.url(), 1);
  tight.queue_max = 1;
  Database database(tight);
  test::IoThread io;
  std::promise<void> running, release;
  const auto released = release.get_future().share();
  auto busy = io.start(database.run(Scope::system(), [&running, released](Transaction&) {
    running.set_value();
    released.wait();
  }));
  running.get_future().wait();
  auto queued = io.start(database.run(Scope::system(), [](Transaction&) {}));
  const auto error = error_of([&] { io.run(database.run(Scope::system(), [](Transaction&) {})); });
  EXPECT_EQ(error.kind(), ErrorKind::Unavailable);
  EXPECT_TRUE(error.retry_after());
  EXPECT_FALSE(io.run(database.ready(std::chrono::seconds(5))));
  release.set_value();
  busy.get();
  queued.get();
  EXPECT_TRUE(io.run(database.ready(std::chrono::seconds(5))));
}

TEST_F(DatabaseTest, works_again_after_its_backend_was_killed_in_a_statement) {
  Database one(options(database_.url(), 1));
  std::promise<std::string> backend;
  auto slow = std::async(std::launch::async, [&] {
    return error_of([&] {
      one.execute(Scope::system(), [&](Transaction& tx) {
        backend.set_value(tx.exec("select pg_backend_pid()::text as pid")[0].text("pid"));
        tx.exec("select pg_sleep(60)");
      });
    });
  });
  database_.exec_as_superuser("select pg_terminate_backend(" + backend.get_future().get() + ")");
  EXPECT_EQ(slow.get().kind(), ErrorKind::Unavailable);
  EXPECT_EQ(count(Scope::system(), one), 0);
}

TEST_F(DatabaseTest, replaces_idle_connections_that_died_without_an_error) {
  Database database(options(database_.url(), 2));
  std::latch both(2);
  const auto open_one = [&] {
    database.execute(Scope::system(), [&](Transaction&) { both.arrive_and_wait(); });
  };
  auto other = std::async(std::launch::async, open_one);
  open_one();
  other.get();
  database_.exec_as_superuser(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'assistiv'"
      " and usename = 'assistiv' and datname = current_database()");
  EXPECT_EQ(count(Scope::system(), database), 0);
  EXPECT_TRUE(database.ping(std::chrono::seconds(5)));
}

TEST_F(DatabaseTest, says_unavailable_while_the_database_is_away_and_works_when_it_is_back) {
  test::DatabaseGate gate(database_.url());
  Database database(options(gate.url()));
  EXPECT_EQ(count(Scope::system(), database), 0);
  gate.close();
  EXPECT_EQ(error_of([&] { count(Scope::system(), database); }).kind(), ErrorKind::Unavailable);
  EXPECT_FALSE(database.ping(std::chrono::milliseconds(200)));
  gate.open();
  EXPECT_EQ(count(Scope::system(), database), 0);
  EXPECT_TRUE(database.ping(std::chrono::seconds(5)));
}

TEST_F(DatabaseTest, says_that_a_commit_is_in_doubt_and_does_not_repeat_it) {
  test::DatabaseGate gate(database_.url());
  Database database(options(gate.url()));
  int runs = 0;
  const auto add = [&](const std::string& name) {
    database.execute(Scope::system(), [&](Transaction& tx) {
      ++runs;
      tx.exec("insert into item values ($1::uuid, $2)", {mine_.str(), name});
    });
  };
  add("first");
  gate.cut_once("commit", test::Cut::AfterServer);
  const auto done = error_of([&] { add("arrived"); });
  EXPECT_EQ(done.kind(), ErrorKind::Unavailable);
  EXPECT_THAT(done.detail(), HasSubstr("in doubt"));
  gate.cut_once("commit", test::Cut::BeforeServer);
  EXPECT_THAT(error_of([&] { add("lost"); }).detail(), HasSubstr("in doubt"));
  EXPECT_EQ(runs, 3);
  EXPECT_EQ(database_.exec("select string_agg(name, ',' order by name) as names from item")[0].text("names"),
            "arrived,first");
  add("later");
  EXPECT_EQ(count(Scope::system(), database), 3);
}

TEST_F(DatabaseTest, does_not_show_the_password_of_a_url_that_it_cannot_use) {
  for (const char* url : {"postgresql://user:hunter2@127.0.0.1:1/x?nonsense=1",
                          "host=/nowhere password=hunter2", "password=hunter2 hunter2", "hunter2"}) {
    Database database(options(url));
    const auto error = error_of([&] { database.execute(Scope::system(), [](Transaction&) {}); });
    EXPECT_EQ(error.kind(), ErrorKind::Unavailable);
    EXPECT_THAT(error.message() + error.detail(), Not(HasSubstr("hunter2")));
  }
}

TEST_F(DatabaseTest, refuses_notifications_that_postgresql_would_not_carry) {
  const auto notify = [&](std::string topic, std::string payload) {
    database_.db().execute(Scope::system(), [&](Transaction& tx) { tx.notify(topic, payload); });
  };
  notify("topic", std::string(7000, 'x'));
  EXPECT_EQ(error_of([&] { notify("topic", std::string(8000, 'x')); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { notify("two words", "x"); }).kind(), ErrorKind::Internal);
  EXPECT_EQ(error_of([&] { notify("", "x"); }).kind(), ErrorKind::Internal);
}

TEST(TenantTables, lead_with_platform_id_and_are_protected) {
  TestDatabase database;
  std::string faults;
  for (const auto row :
       database.exec("select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and "
                     "a.attname = 'platform_id'"
                     " where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and ("
                     "  not c.relrowsecurity or not c.relforcerowsecurity"
                     "  or not exists (select from pg_policy p where p.polrelid = c.oid)"
                     "  or not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary "
                     "and i.indkey[0] = a.attnum))")) {
    faults += row.text("name") + " ";
  }
  EXPECT_EQ(faults, "");
}

}  // namespace
}  // namespace assistiv::storage
