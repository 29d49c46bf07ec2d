#pragma once
// Rows of agent_item: what agents remember across threads, by namespace and key. Each end user has items of
// their own; a reach without one means the platform's own items, not everybody's.
#include <cstddef>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/store/owner_count_store.h"
#include "agents/store/reach.h"
#include "core/clock.h"
#include "core/json.h"
#include "core/task.h"
#include "storage/database.h"

namespace assistiv::agents {

// 1 to 16 labels of 1 to 128 bytes, without "." and control characters.
using Namespace = std::vector<std::string>;

struct Item {
  Namespace space;
  std::string key;
  core::Json value;
  core::Time created_at, updated_at;
};

struct NewItem {
  Namespace space;
  std::string key;   // 1 to 512 bytes
  core::Json value;  // an object of at most 1 MiB
  std::optional<int> ttl_minutes;
};

struct ItemSearch {
  Namespace prefix;  // may be empty
  // {"key": value} or {"key": {"$eq" | "$ne" | "$gt" | "$gte" | "$lt" | "$lte": value}}: all must hold.
  core::Json filter = core::Json::object();
  int limit = 10;
  int offset = 0;
  bool refresh_ttl = true;
};

struct ItemPage {
  std::vector<Item> items;
  bool more = false;  // after them
};

struct NamespaceSearch {
  Namespace prefix, suffix;
  std::optional<int> max_depth;  // what is deeper is cut to it
  int limit = 100;
  int offset = 0;
};

// Thread-safe. Times to live are the database's; what has outlived its own is not found any more.
class ItemStore {
 public:
  static constexpr std::size_t kValueMax = 1 << 20;

  explicit ItemStore(storage::Database& database, OwnerCounts* counts = nullptr)
      : database_(database), counts_(counts) {}

  // In place of the one that is there. Throws InvalidArgument for what the comments above do not allow,
  // Conflict ("too_many_items") for one more than the owner may have.
  core::Task<> put(Reach reach, NewItem item);
  core::Task<std::optional<Item>> get(Reach reach, Namespace space, std::string key, bool refresh_ttl);
  core::Task<> remove(Reach reach, Namespace space, std::string key);
  // By path, then by key. Fewer than the limit when more do not fit into a reply (reply_page_store.h).
  core::Task<ItemPage> search(Reach reach, ItemSearch query);
  core::Task<std::vector<Namespace>> namespaces(Reach reach, NamespaceSearch query);
  // Deletes at most `max` items whose time is over; for any node's background work.
  core::Task<std::size_t> sweep(std::size_t max);

 private:
  storage::Database& database_;
  OwnerCounts* counts_;
};

}  // namespace assistiv::agents
