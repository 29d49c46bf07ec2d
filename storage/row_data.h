#pragma once
// Inside storage/ only: from libpqxx's result to storage::Result.
#include "storage/database.h"

namespace pqxx {
class result;
}

namespace assistiv::storage {

// Shares the fetched rows; nothing is copied.
Result wrap_result(const pqxx::result& result);

}  // namespace assistiv::storage
