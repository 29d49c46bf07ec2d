#pragma once
// Inside storage/ only: the files of a private cluster. <directory>/lock, data/ (PostgreSQL's own),
// postgres.log, and the socket's directory, which is elsewhere when the path would be too long for a socket
// address or out of reach.
#include <sys/types.h>

#include <optional>
#include <string>

#include "storage/child_process.h"
#include "storage/descriptor.h"

namespace assistiv::storage {

// postmaster.pid, as PostgreSQL's pidfile.h lays it out.
struct PostmasterFile {
  pid_t pid;
  std::string port;
  std::string socket_directory;
};

class ClusterDirectory {
 public:
  // An absolute path of `directory`. Touches nothing.
  explicit ClusterDirectory(const std::string& directory);

  std::string data() const { return root_ + "/data"; }
  std::string log() const { return root_ + "/postgres.log"; }

  // Makes the directory, and takes its lock until this object dies. Throws Unavailable when another process
  // has it.
  void lock();
  // The major version that made the cluster; empty when there is none yet.
  std::optional<int> version() const;
  // The cluster's identity from its control file.
  std::optional<std::string> system_identifier() const;
  std::optional<PostmasterFile> postmaster() const;
  // Throws Unavailable when the cluster belongs to another user than the one who is to run it.
  void require_owner(uid_t owner) const;
  // Removes what a dead postmaster left: its pid file and its socket.
  void clean_up_after(const PostmasterFile& dead) const;

  // An empty directory for initdb, owned by `user`; adopt_new_data() makes it the cluster.
  std::string make_new_data(const std::optional<ServiceUser>& user) const;
  void adopt_new_data() const;
  // A short path of mode 0700 that `user` can reach: <directory>/socket, or what the link of that name leads
  // to.
  std::string make_socket_directory(const std::optional<ServiceUser>& user) const;
  void remove_socket_directory() const;

  // Opened for appending; an old log that has grown is put aside.
  Descriptor open_log() const;
  // The last lines of the log that came after `offset`.
  std::string log_since(off_t offset) const;
  off_t log_size() const;

 private:
  std::string root_;
  Descriptor lock_;
};

}  // namespace assistiv::storage
