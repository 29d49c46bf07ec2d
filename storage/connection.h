#pragma once
// Inside storage/ only: one connection to PostgreSQL and the transaction on it. Used by one thread at a time.
#include <memory>
#include <string>
#include <string_view>

#include "storage/database.h"
#include "storage/sql_error.h"

namespace assistiv::storage {

class Connection {
 public:
  // Connects; throws Unavailable.
  explicit Connection(const DatabaseOptions& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // One round trip: BEGIN and the scope's settings, which end with the transaction.
  void begin(const Scope& scope);
  Result exec(std::string_view sql, const std::vector<Param>& params);
  void commit();
  // Afterwards the connection is ready for begin(), or reusable() is false.
  void rollback() noexcept;

  // The first fault since begin(), and the error that went with it.
  SqlFault fault() const { return fault_; }
  const core::Error& error() const { return *error_; }
  bool reusable() const { return reusable_; }
  bool fresh() const { return transactions_ <= 1; }

  // Outside a transaction: for statements that PostgreSQL refuses inside one.
  void exec_alone(std::string_view sql);

 private:
  struct Impl;
  [[noreturn]] void fail(std::exception_ptr thrown, std::string_view sql);

  std::unique_ptr<Impl> impl_;
  std::optional<core::Error> error_;
  SqlFault fault_ = SqlFault::None;
  bool reusable_ = true;
  std::size_t transactions_ = 0;
};

}  // namespace assistiv::storage
