#pragma once
// Inside storage/ only: what a libpqxx exception means to us.
#include <exception>
#include <string_view>

#include "core/error.h"

namespace assistiv::storage {

// What the fault says about the transaction and its connection.
enum class SqlFault {
  None,
  Failed,          // the statement is at fault; the connection is good after a rollback
  Contended,       // serialization failure or deadlock: the whole transaction may be run again
  StalePlan,       // a prepared statement no longer fits the schema: again, on a fresh connection
  ConnectionLost,  // nothing was committed, unless the statement was the commit
};

struct SqlError {
  SqlFault fault;
  core::Error error;
};

// Reads the exception that libpqxx threw for `sql`. Values of the statement's parameters never get into the
// detail.
SqlError read_sql_error(std::exception_ptr thrown, std::string_view sql);

core::Error database_unavailable(std::string detail);
// For what libpq said when it could not connect. It quotes a connection string that it cannot read, and that
// may hold a password, so only what comes from the network or the server gets into the detail.
core::Error cannot_connect(std::string_view what);

}  // namespace assistiv::storage
