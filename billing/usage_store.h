#pragma once
// SQL that reads usage_row. Who writes it: settle_store.h.
#include <optional>
#include <string>
#include <vector>

#include "billing/usage_report.h"
#include "storage/database.h"

namespace assistiv::billing {

class UsageStore {
 public:
  UsagePage<UsageEntry> list(storage::Transaction& tx, core::PlatformId platform, const UsageFilter& filter,
                             int page, int limit) const;
  UsagePage<UsageSum> sums(storage::Transaction& tx, core::PlatformId platform, const UsageFilter& filter,
                           UsageGrouping grouping, int page, int limit) const;
  // What comes after `last` in the order of list(); from the start without it.
  std::vector<UsageEntry> after(storage::Transaction& tx, core::PlatformId platform,
                                const UsageFilter& filter, const std::optional<UsageEntry>& last,
                                int limit) const;
};

}  // namespace assistiv::billing
