#pragma once
// Brings the database's schema to what this binary knows: numbered SQL files, each in one transaction,
// recorded with its hash in schema_migration. An advisory lock lets several nodes start at once; one of them
// does the work.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/embedded.h"
#include "storage/database.h"

namespace assistiv::storage {

struct Migration {
  int number;
  std::string name;    // the file's name, e.g. 0001_foundation.sql
  std::string sha256;  // hex
  std::string_view sql;
};

struct MigrationPlan {
  std::vector<std::string> applied;  // file names
  std::vector<std::string> pending;
};

class Migrator {
 public:
  // Throws Internal when a file is not named NNNN_name.sql or a number occurs twice.
  explicit Migrator(Database& database, std::span<const core::EmbeddedFile> files = embedded_migrations());

  // Both throw Conflict when an applied file has changed since, or when the database has migrations that this
  // binary does not know (it is older than the database). The message says what to do.
  MigrationPlan plan();
  // Applies what is pending; returns the names of what this call applied. A failure is rolled back, names the
  // file, and leaves the files before it applied.
  std::vector<std::string> apply();

 private:
  struct Applied {
    int number;
    std::string name, sha256;
  };
  std::vector<Applied> applied(Transaction& tx);
  const Migration* next(const std::vector<Applied>& done) const;
  void apply_one(Transaction& tx, const Migration& migration);

  Database& database_;
  std::vector<Migration> migrations_;  // by number
};

// Row-level security is the second wall between tenants, and it does not bind superusers and BYPASSRLS roles.
// Says what to change when the role is one; the server logs it at start.
std::optional<std::string> row_security_gap(Database& database);

}  // namespace assistiv::storage
