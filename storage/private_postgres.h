#pragma once
// The embedded default: with no database_url the server makes and runs its own PostgreSQL in the data
// directory. Unix socket only, in a directory that nobody else may enter; an unprivileged user when we are
// root; stopped with us. A server that was killed leaves it running, and the next one adopts it.
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "storage/child_process.h"

namespace assistiv::storage {

enum class Durability {
  Full,
  None,  // no fsync: quick, and lost when the machine fails; for tests
};

struct PrivatePostgresOptions {
  std::string directory;             // made when missing: lock, cluster in data/, postgres.log
  std::string os_user = "postgres";  // who runs it when this process is root
  std::string bin_directory;         // "": the newest of /usr/lib/postgresql/*/bin, then PATH
  Durability durability = Durability::Full;
  Lifetime lifetime = Lifetime::Independent;  // WithParent: dies with this process, for tests
  std::chrono::seconds start_timeout{60};     // crash recovery included
};

// Blocks; to be used by main, commands and tests. Errors are core::Error{Unavailable} whose message says what
// to do.
class PrivatePostgres {
 public:
  // Takes the directory's lock (a second server on it is refused), makes the cluster at first use, starts or
  // adopts it, and makes sure of role and database "assistiv". From then on a thread restarts it should it
  // die.
  explicit PrivatePostgres(PrivatePostgresOptions options);
  ~PrivatePostgres();  // stop()
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

  // libpq connection string of database "assistiv" as role "assistiv", which owns it and is no superuser, so
  // that row-level security binds. Valid as long as this object.
  const std::string& url() const;
  // As the superuser, for tests and repairs. Nothing that serves requests may use it.
  std::string superuser_url(const std::string& database = "postgres") const;
  int postmaster_pid() const;
  // Fast shutdown and wait; immediate shutdown when that takes too long.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// For commands next to a running server: the URL of the cluster that a live server runs in `directory`.
std::optional<std::string> running_private_postgres(const std::string& directory);

}  // namespace assistiv::storage
