#pragma once
// Tasks in PostgreSQL (table mcp_task). What a call and its result say is sealed by the vault. The end of a
// task is in the audit trail (task.ended), and takes the request for approval with it that nobody decided.
#include <memory>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "mcp/tasks/task_store.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/vault.h"
#include "storage/audit.h"
#include "storage/database.h"

namespace assistiv::mcp {

class PgTaskStore final : public TaskStore {
 public:
  PgTaskStore(storage::Database& database, storage::AuditLog& audit, const oauth::Vault& vault,
              const core::Clock& clock);

  core::Task<bool> create(ToolTask task, std::size_t open_max) override;
  core::Task<std::optional<ToolTask>> find(TaskOwner owner, std::string id) override;
  core::Task<std::optional<ToolTask>> change(TaskOwner owner, std::string id, TaskEdit edit) override;
  core::Task<DueTasks> claim(std::string runner, core::Time lease_until, std::size_t max) override;
  core::Task<std::size_t> sweep(std::size_t max) override;

  // Makes the tasks that wait for an approval due, in the transaction that has decided it: it must hold the
  // approval's row lock, so that a task that begins to wait meanwhile sees the decision.
  static void wake_waiting(storage::Transaction& tx, core::PlatformId platform, core::ApprovalId approval,
                           core::Time now);

 private:
  ToolTask read(const storage::Row& row) const;
  std::optional<ToolTask> read_one(storage::Transaction& tx, const TaskOwner& owner, const std::string& id,
                                   bool lock) const;
  void write(storage::Transaction& tx, const ToolTask* before, ToolTask& task) const;
  void record_end(storage::Transaction& tx, const ToolTask& before, const ToolTask& after) const;

  storage::Database& database_;
  storage::AuditLog& audit_;
  const oauth::Vault& vault_;
  const core::Clock& clock_;
};

// For oauth::Reencryption.
std::vector<oauth::SealedColumn> task_sealed_columns();

}  // namespace assistiv::mcp
