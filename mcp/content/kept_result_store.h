#pragma once
// Results of tools that were too large for a reply, whole, in PostgreSQL (table kept_result), so that any
// node can give them out; sealed by the vault. Each belongs to one end user and one key or authorization, and
// to the connection that it was read through: it goes with any of them, with its hour, or when newer ones
// need the room.
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/random.h"
#include "core/task.h"
#include "mcp/tools/result_keeper.h"
#include "oauth/crypto/reencryption.h"
#include "oauth/crypto/vault.h"
#include "storage/database.h"

namespace assistiv::mcp {

struct KeptResultOptions {
  std::size_t per_end_user_max = 20;
  std::size_t bytes_per_end_user_max = 8 << 20;
  std::chrono::seconds life{3600};
};

struct KeptResult {
  core::ConnectionId connection;
  std::string tool;
  std::string text;
};

// How much of a kept result one read gives, in bytes; a character is not cut in two.
inline constexpr std::size_t kKeptPartBytes = 32'000;
std::size_t kept_parts(std::size_t bytes);
// Part `number` from 1; empty past the end.
std::optional<std::string> kept_part(const std::string& text, std::size_t number);

// Thread-safe.
class KeptResults final : public ResultKeeper {
 public:
  // All must outlive it.
  KeptResults(storage::Database& database, const oauth::Vault& vault, const core::Clock& clock,
              core::Random& random, KeptResultOptions options = {});

  core::Task<std::optional<KeptLink>> keep(ResultToKeep result) override;
  // Nothing when there is none, its time is over, or it is somebody else's.
  core::Task<std::optional<KeptResult>> find(oauth::PrincipalPtr who, std::string id);
  // Deletes at most `max` whose time is over.
  core::Task<std::size_t> sweep(std::size_t max);

 private:
  bool insert(storage::Transaction& tx, const ResultToKeep& result, const std::string& id) const;

  storage::Database& database_;
  const oauth::Vault& vault_;
  const core::Clock& clock_;
  core::Random& random_;
  const KeptResultOptions options_;
};

// For oauth::Reencryption.
std::vector<oauth::SealedColumn> kept_sealed_columns();

}  // namespace assistiv::mcp
