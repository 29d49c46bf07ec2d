#pragma once
// A real PostgreSQL for tests: one private cluster per test process (unix socket only, fsync off, gone with
// the process), migrated once, and a database of its own for every TestDatabase (a copy of the migrated one,
// ~50 ms). Row-level security binds the role of url() as it does in production.
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "storage/database.h"

namespace assistiv::test {

enum class Schema { Migrated, Empty };

class TestDatabase {
 public:
  explicit TestDatabase(Schema schema = Schema::Migrated);
  ~TestDatabase();  // drops the database
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  // libpq connection string, as the role that owns the database and is bound by row-level security.
  const std::string& url() const { return url_; }
  // A pool of four connections, opened at first use. Thread-safe.
  storage::Database& db();
  // One statement (or several) in a transaction that sees every tenant.
  storage::Result exec(std::string_view sql, std::vector<storage::Param> params = {});
  // The same as a superuser who is bound by nothing: to tamper, to end backends.
  void exec_as_superuser(std::string_view sql);

 private:
  std::string name_;
  std::string url_;
  std::once_flag opened_;
  std::unique_ptr<storage::Database> database_;
};

}  // namespace assistiv::test
