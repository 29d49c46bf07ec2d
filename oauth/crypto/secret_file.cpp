#include "oauth/crypto/secret_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "core/error.h"

namespace assistiv::oauth {

namespace {

constexpr off_t kMaxSecretFile = 1024 * 1024;

core::Error file_error(const std::string& path, const std::string& what) {
  return core::Error(core::ErrorKind::InvalidArgument, path + ": " + what);
}

core::Error system_fault(const std::string& path, const std::string& doing) {
  const int code = errno;
  return file_error(path, "cannot " + doing + ": " + std::generic_category().message(code) +
                              ". Check that the data directory exists and belongs to the server's user.");
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Not yet renamed: removed again when anything fails.
struct UnfinishedFile {
  explicit UnfinishedFile(std::string p) : path(std::move(p)) {}
  ~UnfinishedFile() {
    if (!path.empty()) ::unlink(path.c_str());
  }
  UnfinishedFile(const UnfinishedFile&) = delete;
  UnfinishedFile& operator=(const UnfinishedFile&) = delete;
  std::string path;
};

void check_private(const std::string& path, const struct stat& info) {
  if (!S_ISREG(info.st_mode)) throw file_error(path, "must be a regular file.");
  if (info.st_uid != ::geteuid() && info.st_uid != 0) {
    throw file_error(path, "belongs to another user. Change its owner to the server's user.");
  }
  if ((info.st_mode & 077) != 0) throw file_error(path, "can be read by others. Run: chmod 600 " + path);
  if (info.st_size > kMaxSecretFile) throw file_error(path, "is too large for a file of secrets.");
}

void write_all(int fd, const std::string& path, const std::string& content) {
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_fault(path, "write");
    done += static_cast<std::size_t>(n);
  }
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

void sync_folder(const std::string& path) {
  const FileDescriptor folder(::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.get() < 0 || ::fsync(folder.get()) != 0) throw system_fault(path, "sync the folder of");
}

}  // namespace

std::optional<core::Secret> read_secret_file(const std::string& path) {
  // O_NONBLOCK: a FIFO in the file's place must not hang the start.
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0 && errno == ENOENT) return std::nullopt;
  if (file.get() < 0 && errno == ELOOP) throw file_error(path, "must be a regular file, not a link.");
  struct stat info {};
  if (file.get() < 0 || ::fstat(file.get(), &info) != 0) throw system_fault(path, "open");
  check_private(path, info);
  std::string content(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const ssize_t n = ::read(file.get(), content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw system_fault(path, "read");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  content.resize(done);
  return core::Secret(std::move(content));
}

void write_secret_file(const std::string& path, const core::Secret& content) {
  std::string pattern = path + ".XXXXXX";
  const FileDescriptor file(::mkostemp(pattern.data(), O_CLOEXEC));  // mode 0600
  if (file.get() < 0) throw system_fault(path, "create");
  UnfinishedFile unfinished(pattern);
  write_all(file.get(), path, content.reveal());
  if (::fsync(file.get()) != 0) throw system_fault(path, "sync");
  if (::rename(pattern.c_str(), path.c_str()) != 0) throw system_fault(path, "replace");
  unfinished.path.clear();
  sync_folder(path);
}

FileLock::FileLock(const std::string& path)
    : fd_(::open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600)) {
  if (fd_ < 0) throw system_fault(path, "lock");
  while (::flock(fd_, LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    const auto fault = system_fault(path, "lock");
    ::close(fd_);
    throw fault;
  }
}

FileLock::~FileLock() {
  ::close(fd_);
}

}  // namespace assistiv::oauth
