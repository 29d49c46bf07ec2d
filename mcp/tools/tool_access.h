#pragma once
// Access snapshots in memory: one per (platform, end user, key), until something that it was made of changes.
#include <chrono>
#include <cstddef>
#include <memory>
#include <string_view>

#include "core/task.h"
#include "mcp/tools/access_snapshot.h"
#include "oauth/principal.h"
#include "storage/database.h"

namespace assistiv::mcp {

class AppBook;

struct ToolAccessOptions {
  // Past these bounds the least recently used one goes. Of a list that several snapshots share, the later
  // ones count a part.
  std::size_t snapshots_max = 10'000;
  std::size_t bytes_max = 256 << 20;
  // How long a snapshot may be used without a reload, should a notice get lost.
  std::chrono::milliseconds ttl{60'000};
};

// Thread-safe.
class ToolAccess {
 public:
  // Both must outlive it.
  ToolAccess(storage::Database& database, AppBook& book, ToolAccessOptions options = {});
  ~ToolAccess();

  // From memory, or loaded in one database transaction (and the platform's catalogue before it); callers that
  // miss together share one load. `principal` is an end user's; another kind throws PermissionDenied.
  core::Task<std::shared_ptr<const AccessSnapshot>> get(oauth::PrincipalPtr principal);
  // Notifier callback: drops what the topics app, connection, grant, platform, end_user and resync make
  // stale.
  void on_notify(std::string_view topic, std::string_view payload);
  std::size_t size() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
