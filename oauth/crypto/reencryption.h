#pragma once
// Moves sealed columns to the vault's active key while the server runs. Modules list their sealed columns;
// api/ joins the lists. All calls block: for commands, not for I/O threads.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/random.h"
#include "oauth/crypto/vault.h"
#include "storage/database.h"

namespace assistiv::oauth {

// A column of type text that holds sealed texts (or NULL) in a table with platform_id. Names come from our
// own code.
struct SealedColumn {
  std::string table;  // also SecretContext::table
  std::string id;     // the column that, with platform_id, identifies the row; its text is SecretContext::row
  std::string id_type;  // its SQL type: "uuid" or "text"
  std::string column;   // "client_secret"
  std::string field;    // SecretContext::field
};

struct SealedColumnReport {
  std::string table, column;
  std::int64_t resealed = 0;
  std::int64_t unreadable = 0;               // no key opens them: named in the log by table and row
  std::map<std::string, std::int64_t> kids;  // how many rows are under which key; "" is not a sealed text
};

struct ReencryptionReport {
  std::string active_kid;
  std::vector<SealedColumnReport> columns;
  bool complete() const;  // every row is under the active key
};

class Reencryption {
 public:
  Reencryption(storage::Database& database, Vault& vault, std::vector<SealedColumn> columns);

  // Makes a new active key and tells every process (topic "keyring": their vaults reload).
  std::string rotate(core::Random& random);
  // Seals again what is not under the active key, in small transactions. A row that somebody else changes
  // meanwhile is left to them and looked at again in the next of a few passes.
  ReencryptionReport run();
  ReencryptionReport count();
  // Forgets the keys that no row is under; gives their kids. Every process must have reloaded its keyring
  // since the rotation (a second is enough), or what it seals meanwhile is lost.
  std::vector<std::string> drop_unused();

 private:
  enum class Mode { Count, Reseal };
  ReencryptionReport pass(Mode mode);
  SealedColumnReport walk(const SealedColumn& column, const std::string& active_kid, Mode mode);

  storage::Database& database_;
  Vault& vault_;
  std::vector<SealedColumn> columns_;
};

}  // namespace assistiv::oauth
