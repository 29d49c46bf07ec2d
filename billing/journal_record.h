#pragma once
// Puts the records of a dead process's journal together: a settlement finds its hold.
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "billing/journal.h"

namespace assistiv::billing {

class JournalReplay {
 public:
  // False when the record is none of ours.
  bool read(std::string_view record);
  // In the order of admission. A settlement without its hold is left out: its hold's segment went because the
  // database has the call.
  std::vector<SettledCall> calls();

 private:
  using Key = std::pair<std::int64_t, std::int64_t>;  // epoch, seq
  std::map<Key, HoldRecord> holds_;
  std::map<Key, SettledCall> settled_;
};

}  // namespace assistiv::billing
