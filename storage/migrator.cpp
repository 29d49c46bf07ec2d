#include "storage/migrator.h"

#include <algorithm>
#include <charconv>

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::storage {

namespace {

// One number for all versions of the program: nodes that start at once wait here for each other.
constexpr const char* kLock = "select pg_advisory_xact_lock(7236837251001)";

int number_of(std::string_view path) {
  int number = 0;
  const auto result =
      std::from_chars(path.data(), path.data() + std::min<std::size_t>(path.size(), 4), number);
  const bool shaped =
      path.size() > 9 && result.ptr == path.data() + 4 && path[4] == '_' && path.ends_with(".sql");
  if (!shaped || number <= 0)
    throw core::internal("migration " + std::string(path) + " is not named NNNN_name.sql");
  return number;
}

core::Error changed(const std::string& name) {
  return core::conflict(
      "Migration " + name +
      " was changed after it was applied to this database. Run the release that fits the database, or "
      "restore the file and put the change into a new migration.");
}

core::Error too_new(const std::string& name) {
  return core::conflict("The database has migration " + name +
                        ", which this version does not know. Run the newer version that applied it.");
}

core::Error failed(const std::string& name, const core::Error& cause) {
  return core::Error(cause.kind(), "Migration " + name + " failed and was rolled back: " +
                                       (cause.detail().empty() ? cause.message() : cause.detail()))
      .with_detail(cause.detail());
}

}  // namespace

Migrator::Migrator(Database& database, std::span<const core::EmbeddedFile> files) : database_(database) {
  for (const auto& file : files) {
    migrations_.push_back(
        {number_of(file.path), std::string(file.path), core::sha256_hex(file.content), file.content});
  }
  std::ranges::sort(migrations_, {}, &Migration::number);
  const auto twice = std::ranges::adjacent_find(migrations_, {}, &Migration::number);
  if (twice != migrations_.end()) throw core::internal("two migrations have the number of " + twice->name);
}

// What the database has, checked against what the binary knows.
std::vector<Migrator::Applied> Migrator::applied(Transaction& tx) {
  if (tx.exec("select to_regclass('schema_migration') is not null as found")[0].text("found") != "t")
    return {};
  std::vector<Applied> out;
  for (const auto row : tx.exec("select number, name, sha256 from schema_migration order by number")) {
    out.push_back({static_cast<int>(row.integer("number")), row.text("name"), row.text("sha256")});
  }
  for (const auto& done : out) {
    const auto known = std::ranges::find(migrations_, done.number, &Migration::number);
    if (known == migrations_.end()) throw too_new(done.name);
    if (known->sha256 != done.sha256) throw changed(done.name);
  }
  return out;
}

const Migration* Migrator::next(const std::vector<Applied>& done) const {
  for (const auto& migration : migrations_) {
    if (std::ranges::find(done, migration.number, &Applied::number) == done.end()) return &migration;
  }
  return nullptr;
}

MigrationPlan Migrator::plan() {
  MigrationPlan plan;
  database_.execute(Scope::system(), [&](Transaction& tx) {  // migrations belong to no tenant
    plan = {};
    const auto done = applied(tx);
    for (const auto& one : done) plan.applied.push_back(one.name);
    for (const auto& migration : migrations_) {
      const bool is_done = std::ranges::find(done, migration.number, &Applied::number) != done.end();
      if (!is_done) plan.pending.push_back(migration.name);
    }
  });
  return plan;
}

void Migrator::apply_one(Transaction& tx, const Migration& migration) {
  tx.exec(migration.sql);
  tx.exec("insert into schema_migration (number, name, sha256) values ($1::int, $2, $3)",
          {std::to_string(migration.number), migration.name, migration.sha256});
}

std::vector<std::string> Migrator::apply() {
  std::vector<std::string> out;
  for (bool more = true; more;) {
    const Migration* current = nullptr;
    try {
      database_.execute(Scope::system(), [&](Transaction& tx) {
        tx.exec("set local statement_timeout = 0");  // waiting for another node, or rewriting a large table
        tx.exec("set local idle_in_transaction_session_timeout = 0");
        tx.exec(kLock);
        tx.exec(
            "create table if not exists schema_migration (number int primary key, name text not null,"
            " sha256 text not null, applied_at timestamptz not null default now())");
        current = next(applied(tx));
        if (current != nullptr) apply_one(tx, *current);
      });
    } catch (const core::Error& e) {
      if (current == nullptr) throw;
      throw failed(current->name, e);
    }
    more = current != nullptr;
    if (!more) continue;
    core::log::info("migration.applied", {{"migration", current->name}});
    out.push_back(current->name);
  }
  return out;
}

std::optional<std::string> row_security_gap(Database& database) {
  std::optional<std::string> gap;
  database.execute(Scope::system(), [&](Transaction& tx) {  // about the role, not about a tenant
    const auto row = tx.exec(
        "select rolname, rolsuper or rolbypassrls as unbound from pg_roles where rolname = current_user");
    if (!row.empty() && row[0].boolean("unbound")) {
      gap = "The database role \"" + row[0].text("rolname") +
            "\" is a superuser or has BYPASSRLS, so row-level security does not guard tenants from each "
            "other. Use a role "
            "made with: create role assistiv login nosuperuser nobypassrls; and make it the owner of the "
            "database.";
    }
  });
  return gap;
}

}  // namespace assistiv::storage
