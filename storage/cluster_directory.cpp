#include "storage/cluster_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::storage {

namespace {

namespace fs = std::filesystem;

constexpr off_t kLogMax = 10 << 20;
// sun_path holds 107 bytes; PostgreSQL appends "/.s.PGSQL.5432.lock".
constexpr std::size_t kSocketDirectoryMax = 85;

core::Error directory_error(const std::string& what) {
  return {core::ErrorKind::Unavailable,
          what + ": " + std::strerror(errno) + ". Check the data directory's place and owner."};
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; lines.size() < 16 && std::getline(file, line);) lines.push_back(line);
  return lines;
}

std::optional<int> number(const std::string& text) {
  int value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  return result.ec == std::errc() && value > 0 ? std::optional<int>(value) : std::nullopt;
}

void give_to(const std::string& path, const std::optional<ServiceUser>& user) {
  if (user && chown(path.c_str(), user->uid, user->gid) != 0)
    throw directory_error("Cannot give away " + path);
}

std::string make_temporary_directory(const std::string& parent) {
  std::string path = parent + "/assistiv-XXXXXX";
  return mkdtemp(path.data()) == nullptr ? std::string() : path;
}

// Under a root that its user can enter, and whose path is short.
std::string make_short_directory(const std::optional<ServiceUser>& user) {
  std::string path;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  if (user) {
    path = make_temporary_directory("/run");
  } else if (runtime != nullptr && std::strlen(runtime) < kSocketDirectoryMax / 2) {
    path = make_temporary_directory(runtime);
  }
  if (path.empty()) path = make_temporary_directory("/tmp");
  if (path.empty())
    throw directory_error("Cannot make a directory for the database's socket in /run or /tmp");
  return path;
}

// A directory in /tmp is trusted only when it cannot have been put there by somebody else.
bool is_private_directory(const std::string& path, uid_t owner) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == owner &&
         (info.st_mode & 0777) == 0700;
}

std::string link_target(const std::string& path) {
  std::error_code error;
  const auto target = fs::read_symlink(path, error);
  return error ? std::string() : target.string();
}

void remove_socket(const std::string& directory) {
  unlink((directory + "/.s.PGSQL.5432").c_str());
  unlink((directory + "/.s.PGSQL.5432.lock").c_str());
}

}  // namespace

ClusterDirectory::ClusterDirectory(const std::string& directory)
    : root_(fs::absolute(directory).lexically_normal().string()) {
  while (root_.size() > 1 && root_.ends_with('/')) root_.pop_back();
}

void ClusterDirectory::lock() {
  std::error_code error;
  fs::create_directories(root_, error);
  if (error) {
    errno = error.value();
    throw directory_error("Cannot make " + root_);
  }
  chmod(root_.c_str(), 0700);
  const std::string path = root_ + "/lock";
  Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) throw directory_error("Cannot open " + path);
  if (flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    std::array<char, 32> holder{};
    const auto length = pread(file.get(), holder.data(), holder.size() - 1, 0);
    const std::string pid = length > 0 ? " (process " + std::string(holder.data()) + ")" : "";
    throw core::Error(core::ErrorKind::Unavailable,
                      "Another server" + pid + " uses " + root_ +
                          ". Stop it, or choose another data directory with ASSISTIV_DATA_DIR.");
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(file.get(), 0) != 0 || pwrite(file.get(), pid.data(), pid.size(), 0) < 0) {
    throw directory_error("Cannot write " + path);
  }
  lock_ = std::move(file);
}

std::optional<int> ClusterDirectory::version() const {
  const auto lines = read_lines(data() + "/PG_VERSION");
  return lines.empty() ? std::nullopt : number(lines[0]);
}

std::optional<std::string> ClusterDirectory::system_identifier() const {
  // The first member of ControlFileData (PostgreSQL's pg_control.h), in the machine's byte order.
  std::ifstream file(data() + "/global/pg_control", std::ios::binary);
  std::uint64_t id = 0;
  if (!file.read(reinterpret_cast<char*>(&id), sizeof(id))) return std::nullopt;
  return std::to_string(id);
}

std::optional<PostmasterFile> ClusterDirectory::postmaster() const {
  const auto lines = read_lines(data() + "/postmaster.pid");
  const auto pid = lines.empty() ? std::nullopt : number(lines[0]);
  if (!pid) return std::nullopt;
  const auto line = [&](std::size_t i) { return i < lines.size() ? lines[i] : std::string(); };
  return PostmasterFile{*pid, line(3), line(4)};
}

void ClusterDirectory::require_owner(uid_t owner) const {
  struct stat info {};
  if (stat(data().c_str(), &info) != 0) throw directory_error("Cannot read " + data());
  if (info.st_uid == owner) return;
  throw core::Error(core::ErrorKind::Unavailable,
                    data() + " belongs to user id " + std::to_string(info.st_uid) +
                        ", but PostgreSQL runs as " + std::to_string(owner) +
                        ". Start the server as the user who made it, or hand the directory over: chown -R " +
                        std::to_string(owner) + " " + data());
}

void ClusterDirectory::clean_up_after(const PostmasterFile& dead) const {
  unlink((data() + "/postmaster.pid").c_str());
  if (dead.socket_directory.starts_with('/')) remove_socket(dead.socket_directory);
}

std::string ClusterDirectory::make_new_data(const std::optional<ServiceUser>& user) const {
  const std::string path = root_ + "/data.new";
  std::error_code ignored;
  fs::remove_all(path, ignored);
  if (mkdir(path.c_str(), 0700) != 0) throw directory_error("Cannot make " + path);
  give_to(path, user);
  return path;
}

void ClusterDirectory::adopt_new_data() const {
  if (rename((root_ + "/data.new").c_str(), data().c_str()) != 0)
    throw directory_error("Cannot make " + data());
}

std::string ClusterDirectory::make_socket_directory(const std::optional<ServiceUser>& user) const {
  const std::string own = root_ + "/socket";
  const std::string linked = link_target(own);
  if (!linked.empty() && is_private_directory(linked, user ? user->uid : geteuid())) return linked;
  remove_socket_directory();
  const bool reachable =
      !user && own.size() <= kSocketDirectoryMax && own.find_first_of(" '\",\\") == std::string::npos;
  if (reachable && (mkdir(own.c_str(), 0700) == 0 || errno == EEXIST)) return own;
  const auto path = make_short_directory(user);
  give_to(path, user);
  if (symlink(path.c_str(), own.c_str()) != 0) throw directory_error("Cannot make " + own);
  return path;
}

void ClusterDirectory::remove_socket_directory() const {
  const std::string own = root_ + "/socket";
  const std::string linked = link_target(own);
  const std::string& path = linked.empty() ? own : linked;
  remove_socket(path);
  rmdir(path.c_str());
  unlink(own.c_str());
}

Descriptor ClusterDirectory::open_log() const {
  if (log_size() > kLogMax) rename(log().c_str(), (log() + ".1").c_str());
  Descriptor file(open(log().c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) throw directory_error("Cannot open " + log());
  return file;
}

off_t ClusterDirectory::log_size() const {
  struct stat info {};
  return stat(log().c_str(), &info) == 0 ? info.st_size : 0;
}

std::string ClusterDirectory::log_since(off_t offset) const {
  constexpr off_t kTail = 2000;
  std::ifstream file(log());
  file.seekg(std::max(offset, log_size() - kTail));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace assistiv::storage
