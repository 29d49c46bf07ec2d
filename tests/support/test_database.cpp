#include "support/test_database.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

#include "core/embedded.h"
#include "core/encoding.h"
#include "storage/cluster_directory.h"
#include "storage/connection.h"
#include "storage/descriptor.h"
#include "storage/migrator.h"
#include "storage/private_postgres.h"

// libpqxx 6.4 forgets the result of a statement on which the connection was lost
// (connection_base::make_result throws before it owns it): two kilobytes per lost connection.
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libpqxx-6";
}

namespace assistiv::test {

namespace {

namespace fs = std::filesystem;

storage::DatabaseOptions options_for(std::string url) {
  storage::DatabaseOptions options;
  options.url = std::move(url);
  options.connections = 4;
  return options;
}

void run_alone(const std::string& url, std::string_view sql) {
  storage::Connection(options_for(url)).exec_alone(sql);
}

storage::PrivatePostgresOptions cluster_options(const fs::path& directory) {
  storage::PrivatePostgresOptions options;
  options.directory = directory.string();
  options.durability = storage::Durability::None;
  options.lifetime = storage::Lifetime::WithParent;
  return options;
}

std::string schema_hash() {
  std::string all = "template 1";
  for (const auto& file : storage::embedded_migrations()) {
    all.append("\n").append(file.path).append("\n").append(core::sha256_hex(file.content));
  }
  return core::sha256_hex(all).substr(0, 16);
}

// Makes a stopped cluster with the migrated database.
void make_template(const fs::path& place) {
  auto options = cluster_options(place);
  options.lifetime = storage::Lifetime::Independent;  // shut down, not cut off: the files must be complete
  storage::PrivatePostgres postgres(options);
  storage::Database database(options_for(postgres.url()));
  storage::Migrator(database).apply();
}

void remove_old_templates(const fs::path& place) {
  const auto yesterday = fs::file_time_type::clock::now() - std::chrono::hours(24);
  for (const auto& entry : fs::directory_iterator(place)) {
    if (entry.is_directory() && entry.last_write_time() < yesterday) fs::remove_all(entry);
  }
}

// Copies the template into `directory`. It is kept between runs: to make one takes seconds, to copy it 0.1 s.
void copy_template(const fs::path& directory) {
  const fs::path place = fs::temp_directory_path() / ("assistiv-test-template-" + std::to_string(geteuid()));
  fs::create_directories(place);
  fs::permissions(place, fs::perms::owner_all);
  const storage::Descriptor lock(open((place / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (flock(lock.get(), LOCK_EX) != 0) throw std::runtime_error("cannot lock " + place.string());
  const fs::path ready = place / schema_hash();
  if (!fs::exists(ready)) {
    remove_old_templates(place);
    const fs::path making = place / "making";
    fs::remove_all(making);
    make_template(making);
    fs::rename(making, ready);
  }
  const auto from = (ready / "data").string(), to = (directory / "data").string();
  const auto command = "cp -a --reflink=auto '" + from + "' '" + to + "'";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

void remove_what_dead_processes_left() {
  const std::string prefix = "assistiv-test-db-";
  for (const auto& entry : fs::directory_iterator(fs::temp_directory_path())) {
    const auto name = entry.path().filename().string();
    if (!name.starts_with(prefix)) continue;
    const auto pid = name.substr(prefix.size(), name.find('-', prefix.size()) - prefix.size());
    if (fs::exists("/proc/" + pid)) continue;
    const storage::ClusterDirectory cluster(entry.path().string());
    cluster.remove_socket_directory();
    std::error_code ignored;
    fs::remove_all(entry.path(), ignored);
  }
}

// The process's cluster: made at first use, gone at exit.
class TestCluster {
 public:
  static TestCluster& instance() {
    static TestCluster cluster;
    return cluster;
  }

  TestCluster() : directory_(make_directory()), postgres_(cluster_options(directory_)) {}
  ~TestCluster() {
    postgres_.stop();
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  storage::PrivatePostgres& postgres() { return postgres_; }

 private:
  static fs::path make_directory() {
    remove_what_dead_processes_left();
    auto path =
        (fs::temp_directory_path() / ("assistiv-test-db-" + std::to_string(getpid()) + "-XXXXXX")).string();
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("cannot make " + path);
    copy_template(path);
    return path;
  }

  fs::path directory_;
  storage::PrivatePostgres postgres_;
};

std::string next_name() {
  static std::atomic<int> count{0};
  return "test_" + std::to_string(getpid()) + "_" + std::to_string(++count);
}

std::string admin_url() {
  return TestCluster::instance().postgres().superuser_url();
}

}  // namespace

TestDatabase::TestDatabase(Schema schema) : name_(next_name()) {
  const std::string source = schema == Schema::Migrated ? "assistiv" : "template1";
  // Files are copied as a whole: through the log it takes six times as long.
  run_alone(admin_url(),
            "create database " + name_ + " template " + source + " owner assistiv strategy file_copy");
  url_ = TestCluster::instance().postgres().url() + " dbname=" + name_;
}

TestDatabase::~TestDatabase() {
  database_.reset();
  try {
    run_alone(admin_url(), "drop database if exists " + name_ + " with (force)");
  } catch (const std::exception&) {
    // The test ended the server; what is left goes with the cluster.
  }
}

storage::Database& TestDatabase::db() {
  std::call_once(opened_, [this] { database_ = std::make_unique<storage::Database>(options_for(url_)); });
  return *database_;
}

storage::Result TestDatabase::exec(std::string_view sql, std::vector<storage::Param> params) {
  std::optional<storage::Result> result;
  db().execute(storage::Scope::system(), [&](storage::Transaction& tx) { result = tx.exec(sql, params); });
  return *result;
}

void TestDatabase::exec_as_superuser(std::string_view sql) {
  run_alone(TestCluster::instance().postgres().superuser_url(name_), sql);
}

}  // namespace assistiv::test
