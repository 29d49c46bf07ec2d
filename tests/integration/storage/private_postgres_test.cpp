#include "storage/private_postgres.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "storage/child_process.h"
#include "storage/database.h"

namespace assistiv::storage {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PrivatePostgresTest : public testing::Test {
 protected:
  // The place is handed to the process of a death test, which runs this constructor again.
  PrivatePostgresTest() {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    if (const char* given = std::getenv(kPlace)) {
      place_ = given;
      return;
    }
    auto path = (fs::temp_directory_path() / "assistiv-private-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
    place_ = path;
    setenv(kPlace, path.c_str(), 1);
  }
  ~PrivatePostgresTest() override {
    unsetenv(kPlace);
    std::error_code ignored;
    fs::remove_all(place_, ignored);
  }

  PrivatePostgresOptions options(const std::string& name = "pg") const {
    PrivatePostgresOptions out;
    out.directory = (place_ / name).string();
    out.durability = Durability::None;
    return out;
  }

  static std::string ask(const std::string& url, const std::string& sql) {
    DatabaseOptions options;
    options.url = url;
    options.connections = 1;
    Database database(options);
    std::string out;
    database.execute(Scope::system(), [&](Transaction& tx) {
      const auto rows = tx.exec(sql);
      if (!rows.empty()) out = rows[0].text("answer");
    });
    return out;
  }

  static std::string message_of(const PrivatePostgresOptions& options) {
    try {
      PrivatePostgres postgres(options);
    } catch (const core::Error& e) {
      return e.message();
    }
    return "no error";
  }

  static constexpr const char* kPlace = "ASSISTIV_PRIVATE_POSTGRES_TEST";
  fs::path place_;
};

// Leaves a running cluster behind, like a server that got a kill -9. Runs in a death test's process.
void be_killed(const PrivatePostgresOptions& options) {
  const PrivatePostgres postgres(options);
  kill(getpid(), SIGKILL);
}

TEST_F(PrivatePostgresTest, serves_a_role_that_row_level_security_binds) {
  PrivatePostgres postgres(options());
  EXPECT_EQ(ask(postgres.url(),
                "select current_user || ':' || (rolsuper or rolbypassrls)::text as answer from pg_roles"
                " where rolname = current_user"),
            "assistiv:false");
  EXPECT_EQ(ask(postgres.url(), "select current_setting('listen_addresses') as answer"), "");
}

TEST_F(PrivatePostgresTest, keeps_the_data_over_a_restart_and_leaves_nothing_running) {
  int pid = 0;
  std::string url;
  {
    PrivatePostgres postgres(options());
    pid = postgres.postmaster_pid();
    url = postgres.url();
    ask(url, "create table kept as select 'value' as answer");
  }
  EXPECT_FALSE(process_is(pid, "postgres"));
  EXPECT_FALSE(fs::exists(url.substr(5, url.find(' ') - 5))) << "the socket's directory";
  EXPECT_FALSE(fs::is_symlink(fs::path(options().directory) / "socket"));
  EXPECT_FALSE(running_private_postgres(options().directory));
  PrivatePostgres again(options());
  EXPECT_EQ(ask(again.url(), "select answer from kept"), "value");
}

TEST_F(PrivatePostgresTest, refuses_a_second_server_on_the_directory) {
  PrivatePostgres postgres(options());
  EXPECT_THAT(message_of(options()), AllOf(HasSubstr("Another server"), HasSubstr(std::to_string(getpid())),
                                           HasSubstr("ASSISTIV_DATA_DIR")));
  EXPECT_EQ(ask(postgres.url(), "select 'fine' as answer"), "fine");
}

TEST_F(PrivatePostgresTest, tells_commands_where_the_running_cluster_is) {
  EXPECT_FALSE(running_private_postgres(options().directory));
  PrivatePostgres postgres(options());
  EXPECT_EQ(running_private_postgres(options().directory), postgres.url());
}

TEST_F(PrivatePostgresTest, adopts_what_a_killed_server_left) {
  ASSERT_EXIT(be_killed(options()), testing::KilledBySignal(SIGKILL), "");
  const auto left = running_private_postgres(options().directory);
  ASSERT_TRUE(left);
  ask(*left, "create table written_between as select 'yes' as answer");
  {
    PrivatePostgres adopted(options());
    EXPECT_EQ(adopted.url(), *left);
    EXPECT_EQ(ask(adopted.url(), "select answer from written_between"), "yes");
  }
  EXPECT_FALSE(running_private_postgres(options().directory));
}

TEST_F(PrivatePostgresTest, recovers_when_server_and_database_were_killed) {
  ASSERT_EXIT(be_killed(options()), testing::KilledBySignal(SIGKILL), "");
  const auto left = running_private_postgres(options().directory);
  ASSERT_TRUE(left);
  ask(*left, "create table survives as select 'committed' as answer");
  int pid = 0;
  std::ifstream(fs::path(options().directory) / "data/postmaster.pid") >> pid;
  ASSERT_EQ(kill(pid, SIGKILL), 0);
  PrivatePostgres recovered(options());
  EXPECT_EQ(ask(recovered.url(), "select answer from survives"), "committed");
}

TEST_F(PrivatePostgresTest, restarts_a_database_that_died) {
  PrivatePostgres postgres(options());
  DatabaseOptions database_options;
  database_options.url = postgres.url();
  Database database(database_options);
  database.execute(Scope::system(), [](Transaction& tx) { tx.exec("create table kept (x int)"); });
  const int killed = postgres.postmaster_pid();
  ASSERT_EQ(kill(killed, SIGKILL), 0);
  // Refused, or even in doubt, until the new one is there; anything else ends the test.
  for (bool inserted = false; !inserted || postgres.postmaster_pid() == killed;) {
    try {
      database.execute(Scope::system(), [](Transaction& tx) { tx.exec("insert into kept values (1)"); });
      inserted = true;
    } catch (const core::Error& e) {
      ASSERT_EQ(e.kind(), core::ErrorKind::Unavailable) << e.detail();
    }
  }
}

TEST_F(PrivatePostgresTest, ignores_a_pid_file_whose_number_is_anothers_now) {
  { PrivatePostgres postgres(options()); }
  std::ofstream(fs::path(options().directory) / "data/postmaster.pid")
      << getpid() << "\n/nowhere\n1\n5432\n/nowhere\n\n";
  PrivatePostgres postgres(options());
  EXPECT_EQ(ask(postgres.url(), "select 'fine' as answer"), "fine");
}

TEST_F(PrivatePostgresTest, starts_over_after_an_interrupted_initdb) {
  fs::create_directories(fs::path(options().directory) / "data.new/base");
  std::ofstream(fs::path(options().directory) / "data.new/PG_VERSION") << "15\n";
  PrivatePostgres postgres(options());
  EXPECT_EQ(ask(postgres.url(), "select 'fine' as answer"), "fine");
}

TEST_F(PrivatePostgresTest, works_below_a_long_path_that_only_the_owner_may_enter) {
  const auto closed = place_ / std::string(120, 'x');
  fs::create_directories(closed);
  fs::permissions(closed, fs::perms::owner_all);
  auto deep = options();
  deep.directory = (closed / "pg").string();
  PrivatePostgres postgres(deep);
  EXPECT_EQ(ask(postgres.url(), "select 'fine' as answer"), "fine");
}

TEST_F(PrivatePostgresTest, lets_nobody_else_at_the_socket_and_the_data) {
  PrivatePostgres postgres(options());
  const auto url = postgres.url();
  const auto socket_directory = url.substr(5, url.find(' ') - 5);
  for (const auto& path : {socket_directory, options().directory, options().directory + "/data"}) {
    struct stat info {};
    ASSERT_EQ(stat(path.c_str(), &info), 0) << path;
    EXPECT_EQ(info.st_mode & 0777, 0700u) << path;
  }
}

TEST_F(PrivatePostgresTest, names_the_version_that_an_existing_cluster_needs) {
  { PrivatePostgres postgres(options()); }
  std::ofstream(fs::path(options().directory) / "data/PG_VERSION") << "9\n";
  EXPECT_THAT(message_of(options()), AllOf(HasSubstr("PostgreSQL 9"), HasSubstr("Install")));
}

TEST_F(PrivatePostgresTest, names_the_fix_when_there_is_no_postgresql) {
  auto nowhere = options();
  nowhere.bin_directory = place_.string();
  EXPECT_THAT(message_of(nowhere), AllOf(HasSubstr(place_.string()), HasSubstr("database_url")));
}

TEST_F(PrivatePostgresTest, quotes_the_log_when_postgresql_refuses_to_start) {
  { PrivatePostgres postgres(options()); }
  std::ofstream(fs::path(options().directory) / "data/postgresql.conf", std::ios::app)
      << "no_such_setting = 1\n";
  EXPECT_THAT(message_of(options()), AllOf(HasSubstr("did not start"), HasSubstr("postgres.log")));
}

}  // namespace
}  // namespace assistiv::storage
