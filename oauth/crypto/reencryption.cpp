#include "oauth/crypto/reencryption.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::oauth {

namespace {

constexpr int kBatchRows = 100;
constexpr int kMaxPasses = 5;

struct SealedRow {
  std::string platform_id, id, sealed;
};

std::vector<SealedRow> rows_after(storage::Transaction& tx, const SealedColumn& column,
                                  const std::optional<SealedRow>& last) {
  const std::string key = "platform_id, " + column.id;
  const std::string from = last ? " and (" + key + ") > ($1::uuid, $2::" + column.id_type + ")" : "";
  std::vector<storage::Param> params;
  if (last) params = {last->platform_id, last->id};
  std::vector<SealedRow> out;
  for (const auto row :
       tx.exec("select platform_id, " + column.id + "::text row_id, " + column.column + " sealed from " +
                   column.table + " where " + column.column + " is not null" + from + " order by " + key +
                   " limit " + std::to_string(kBatchRows),
               params)) {
    out.push_back({row.text("platform_id"), row.text("row_id"), row.text("sealed")});
  }
  return out;
}

// False when the row has changed since it was read: then it stays as it is.
bool replace_sealed(storage::Transaction& tx, const SealedColumn& column, const SealedRow& row,
                    const std::string& fresh) {
  return tx.exec("update " + column.table + " set " + column.column +
                     " = $4 where platform_id = $1::uuid and " + column.id + " = $2::" + column.id_type +
                     " and " + column.column + " = $3",
                 {row.platform_id, row.id, row.sealed, fresh})
             .affected() > 0;
}

std::optional<std::string> sealed_again(const Vault& vault, const SealedColumn& column,
                                        const SealedRow& row) {
  const SecretContext context{core::PlatformId::of(row.platform_id), column.table, row.id, column.field};
  try {
    return vault.seal(context, vault.open(context, row.sealed));
  } catch (const core::Error& e) {
    core::log::error("vault.unreadable", {{"table", column.table},
                                          {"column", column.column},
                                          {"platform_id", row.platform_id},
                                          {"row", row.id},
                                          {"detail", e.detail()}});
    return std::nullopt;
  }
}

void reseal_row(storage::Transaction& tx, const Vault& vault, const SealedColumn& column,
                const SealedRow& row, SealedColumnReport& report) {
  const auto fresh = sealed_again(vault, column, row);
  const bool moved = fresh && replace_sealed(tx, column, row, *fresh);
  if (!fresh) ++report.unreadable;
  if (moved) ++report.resealed;
  ++report.kids[Vault::kid_of(moved ? *fresh : row.sealed)];
}

void add_counts(const SealedColumnReport& from, SealedColumnReport& to) {
  to.resealed += from.resealed;
  to.unreadable += from.unreadable;
  for (const auto& [kid, rows] : from.kids) to.kids[kid] += rows;
}

std::int64_t rows_not_under(const SealedColumnReport& column, const std::string& kid) {
  std::int64_t out = 0;
  for (const auto& [other, rows] : column.kids) out += other == kid ? 0 : rows;
  return out;
}

// Something that another pass could still move.
bool has_work_left(const ReencryptionReport& report) {
  return std::any_of(report.columns.begin(), report.columns.end(), [&](const SealedColumnReport& column) {
    return rows_not_under(column, report.active_kid) > column.unreadable;
  });
}

}  // namespace

bool ReencryptionReport::complete() const {
  return std::all_of(columns.begin(), columns.end(), [this](const SealedColumnReport& column) {
    return rows_not_under(column, active_kid) == 0;
  });
}

Reencryption::Reencryption(storage::Database& database, Vault& vault, std::vector<SealedColumn> columns)
    : database_(database), vault_(vault), columns_(std::move(columns)) {}

std::string Reencryption::rotate(core::Random& random) {
  const auto kid = vault_.rotate(random);
  // System scope: the keyring belongs to no tenant.
  database_.execute(storage::Scope::system(), [&](storage::Transaction& tx) { tx.notify("keyring", kid); });
  core::log::info("vault.rotated", {{"kid", kid}});
  return kid;
}

ReencryptionReport Reencryption::run() {
  vault_.reload();
  auto report = pass(Mode::Reseal);
  // A process that has not reloaded its keyring yet still seals under the old key: look again.
  for (int i = 1; i < kMaxPasses && has_work_left(report); ++i) {
    auto next = pass(Mode::Reseal);
    for (std::size_t c = 0; c < next.columns.size(); ++c)
      next.columns[c].resealed += report.columns[c].resealed;
    report = std::move(next);
  }
  return report;
}

ReencryptionReport Reencryption::count() {
  return pass(Mode::Count);
}

ReencryptionReport Reencryption::pass(Mode mode) {
  ReencryptionReport report{vault_.active_kid(), {}};
  for (const auto& column : columns_) report.columns.push_back(walk(column, report.active_kid, mode));
  return report;
}

SealedColumnReport Reencryption::walk(const SealedColumn& column, const std::string& active_kid, Mode mode) {
  SealedColumnReport report;
  report.table = column.table;
  report.column = column.column;
  std::optional<SealedRow> last;
  for (bool more = true; more;) {
    SealedColumnReport batch;
    std::vector<SealedRow> rows;
    // System scope: the rows of every tenant. A retried transaction starts its counts anew.
    database_.execute(storage::Scope::system(), [&](storage::Transaction& tx) {
      batch = {};
      rows = rows_after(tx, column, last);
      for (const auto& row : rows) {
        const auto kid = Vault::kid_of(row.sealed);
        if (mode == Mode::Reseal && kid != active_kid) {
          reseal_row(tx, vault_, column, row, batch);
        } else {
          ++batch.kids[kid];
        }
      }
    });
    add_counts(batch, report);
    more = rows.size() == kBatchRows;
    if (!rows.empty()) last = std::move(rows.back());
  }
  return report;
}

std::vector<std::string> Reencryption::drop_unused() {
  vault_.reload();
  std::set<std::string> used{vault_.active_kid()};
  for (const auto& column : count().columns) {
    for (const auto& [kid, rows] : column.kids) used.insert(kid);
  }
  std::vector<std::string> dropped;
  for (const auto& kid : vault_.kids()) {
    if (used.contains(kid)) continue;
    vault_.drop(kid);
    dropped.push_back(kid);
    core::log::info("vault.key_dropped", {{"kid", kid}});
  }
  return dropped;
}

}  // namespace assistiv::oauth
