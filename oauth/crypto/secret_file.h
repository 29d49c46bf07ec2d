#pragma once
// Files that hold secrets: mode 0600, owned by us, replaced whole or not at all. Calls block on the disk.
#include <optional>
#include <string>

#include "core/secret.h"

namespace assistiv::oauth {

// Empty when there is no such file. Throws Error{InvalidArgument} that names the path and the fix when others
// could read it, when it is not a regular file of this user (or root), or when it is larger than 1 MiB.
std::optional<core::Secret> read_secret_file(const std::string& path);
// Writes a new file beside it, syncs it, and renames it over `path`; syncs the folder.
void write_secret_file(const std::string& path, const core::Secret& content);

// Holds an exclusive lock on `<path>.lock` against other processes (flock), for read-change-write. Waits for
// it.
class FileLock {
 public:
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int fd_;
};

}  // namespace assistiv::oauth
