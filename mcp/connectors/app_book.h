#pragma once
// Which apps each platform can use: those of the server and the platform's own. Platforms without apps of
// their own share one catalogue; the others' are kept in memory until something changes.
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/task.h"
#include "mcp/connectors/catalog.h"
#include "storage/database.h"

namespace assistiv::mcp {

// Apps that should be in service and are not, with the reason.
using LeftOut = std::map<std::string, std::string>;

// Where a kind of platforms' own apps comes from. Thread-safe.
class AppSource {
 public:
  virtual ~AppSource() = default;
  // The apps of this platform that are in service, on a database thread. One that cannot be read is logged,
  // added to `left_out` and left out, so that the others stay. Ids begin with oauth::kOwnAppPrefix.
  virtual std::vector<AppPtr> load(storage::Transaction& tx, core::PlatformId platform,
                                   LeftOut& left_out) const = 0;
  // After each load: all of this source's apps that were left out, also because of another source's.
  virtual void note(storage::Transaction&, core::PlatformId, const LeftOut&) const {}
};

struct AppBookOptions {
  std::size_t platforms_max = 10'000;  // past these bounds the least recently used one goes
  std::size_t bytes_max = 64 << 20;    // of own apps, estimated
  // How long a catalogue may be used without a reload, should a notice get lost.
  std::chrono::milliseconds ttl{60'000};
};

// Thread-safe.
class AppBook {
 public:
  // All must outlive the book.
  AppBook(storage::Database& database, Catalog built_in, std::vector<const AppSource*> sources = {},
          AppBookOptions options = {});
  ~AppBook();

  // The server's apps: what everybody can use.
  const CatalogPtr& built_in() const;
  // From memory, or loaded in one transaction; callers that miss together share one load.
  core::Task<CatalogPtr> get(core::PlatformId platform);
  // The same on a database thread, inside a transaction whose scope has the platform's rows.
  CatalogPtr get_in(storage::Transaction& tx, core::PlatformId platform);
  // Notifier callback: drops what the topics app, platform and resync make stale. To be told before whoever
  // asks the book.
  void on_notify(std::string_view topic, std::string_view payload);
  std::size_t size() const;  // catalogues in memory

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
