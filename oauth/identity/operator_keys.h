#pragma once
// Operator keys (`sk-admin_`): rows of `operator_key`, and the file that hands the first one to the operator.
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/random.h"
#include "storage/database.h"

namespace assistiv::oauth {

// All calls block: for start-up and commands, not for I/O threads.
class OperatorKeys {
 public:
  OperatorKeys(storage::Database& database, const core::Clock& clock, core::Random& random)
      : database_(database), clock_(clock), random_(random) {}

  // Makes the first operator key and writes it to `<data_dir>/admin.key` (0600) when the database has none.
  // Any number of processes may call it at once: one makes the key. Gives the file's path when this call
  // wrote it.
  std::optional<std::string> ensure(const std::string& data_dir);
  // A fresh key in `<data_dir>/admin.key`; all earlier operator keys stop working. Gives the file's path.
  std::string rotate(const std::string& data_dir);

 private:
  storage::Database& database_;
  const core::Clock& clock_;
  core::Random& random_;
};

}  // namespace assistiv::oauth
