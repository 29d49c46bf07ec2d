#pragma once
// Inside storage/ only: which PostgreSQL programs this machine has.
#include <optional>
#include <string>

namespace assistiv::storage {

struct PostgresInstall {
  std::string bin_directory;
  int major;
  std::string program(const std::string& name) const { return bin_directory + "/" + name; }
};

// The install of major version `wanted` (an existing cluster's), or the newest one. `bin_directory` ""
// searches /usr/lib/postgresql/*/bin and PATH. Throws Unavailable with the fix when there is none that fits.
PostgresInstall find_postgres(const std::string& bin_directory, std::optional<int> wanted);

// "postgres (PostgreSQL) 15.14 (Debian ...)" -> 15.
std::optional<int> parse_postgres_version(const std::string& text);

}  // namespace assistiv::storage
