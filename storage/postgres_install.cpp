#include "storage/postgres_install.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <vector>

#include "core/error.h"

namespace assistiv::storage {

namespace {

bool has_programs(const std::string& directory) {
  return access((directory + "/postgres").c_str(), X_OK) == 0 &&
         access((directory + "/initdb").c_str(), X_OK) == 0;
}

std::optional<int> version_of(const std::string& directory) {
  if (directory.find('\'') != std::string::npos) return std::nullopt;
  const std::string command = "'" + directory + "/postgres' --version 2>/dev/null";
  const auto close = [](FILE* file) { pclose(file); };
  const std::unique_ptr<FILE, decltype(close)> pipe(popen(command.c_str(), "re"), close);
  std::array<char, 256> line{};
  if (!pipe || fgets(line.data(), line.size(), pipe.get()) == nullptr) return std::nullopt;
  return parse_postgres_version(line.data());
}

std::vector<std::string> packaged_directories() {
  std::vector<std::string> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/usr/lib/postgresql", ignored)) {
    out.push_back((entry.path() / "bin").string());
  }
  return out;
}

std::vector<std::string> path_directories() {
  std::vector<std::string> out;
  const char* path = std::getenv("PATH");
  std::istringstream words(path == nullptr ? "" : path);
  for (std::string word; std::getline(words, word, ':');) {
    if (word.starts_with('/')) out.push_back(word);
  }
  return out;
}

std::vector<PostgresInstall> installs(const std::string& bin_directory) {
  std::vector<std::string> directories = {bin_directory};
  if (bin_directory.empty()) {
    directories = packaged_directories();
    for (auto& directory : path_directories()) directories.push_back(std::move(directory));
  }
  std::vector<PostgresInstall> out;
  for (const auto& directory : directories) {
    if (!has_programs(directory)) continue;
    if (const auto major = version_of(directory)) out.push_back({directory, *major});
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.major > b.major; });
  return out;
}

[[noreturn]] void none_found(const std::string& bin_directory) {
  const std::string where = bin_directory.empty() ? "/usr/lib/postgresql/*/bin or PATH" : bin_directory;
  throw core::Error(
      core::ErrorKind::Unavailable,
      "No PostgreSQL found in " + where +
          ". Install it (Debian: apt-get install postgresql), or set database_url to a server.");
}

}  // namespace

std::optional<int> parse_postgres_version(const std::string& text) {
  constexpr std::string_view kMark = "(PostgreSQL) ";
  const auto at = text.find(kMark);
  if (at == std::string::npos) return std::nullopt;
  int major = 0;
  const char* begin = text.data() + at + kMark.size();
  const auto result = std::from_chars(begin, text.data() + text.size(), major);
  return result.ec == std::errc() ? std::optional<int>(major) : std::nullopt;
}

PostgresInstall find_postgres(const std::string& bin_directory, std::optional<int> wanted) {
  const auto found = installs(bin_directory);
  if (found.empty()) none_found(bin_directory);
  if (!wanted) return found.front();
  const auto fitting =
      std::find_if(found.begin(), found.end(), [&](const auto& i) { return i.major == *wanted; });
  if (fitting != found.end()) return *fitting;
  const auto version = std::to_string(*wanted);
  throw core::Error(core::ErrorKind::Unavailable,
                    "The data directory was made by PostgreSQL " + version + ", but this machine has " +
                        std::to_string(found.front().major) + ". Install PostgreSQL " + version +
                        ", or carry the data over with pg_upgrade.");
}

}  // namespace assistiv::storage
