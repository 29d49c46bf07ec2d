#pragma once
// For storage/: starting PostgreSQL's programs as another user, and watching processes.
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace assistiv::storage {

struct ServiceUser {
  uid_t uid;
  gid_t gid;
};

// What becomes of a child when this process is killed.
enum class Lifetime { Independent, WithParent };

struct ChildProgram {
  std::vector<std::string> arguments;  // the first is the program's path
  std::optional<ServiceUser> user;     // whom to become; empty: stay
  // Opened directory that the program gets as kChildDirectory, or -1. This way it reaches a directory of its
  // own that lies below one which its user may not enter (root's home, for one).
  int directory = -1;
  int output = -1;  // standard output and error
  Lifetime lifetime = Lifetime::Independent;
};

// Where the child finds ChildProgram::directory.
inline constexpr const char* kChildDirectory = "/proc/self/fd/3";

// Starts it in a session of its own (Ctrl-C in our terminal is not for it), with no other descriptor of ours
// and a clean environment. Throws Unavailable when the system refuses.
pid_t start_child(const ChildProgram& program);

// The exit status as of waitpid(2) once our child has ended. Reaps it.
std::optional<int> reap_child(pid_t pid);

// True when `pid` is a live process with this name (/proc/<pid>/stat), not a zombie.
bool process_is(pid_t pid, const std::string& name);
// Whether its working directory is `directory`; empty when the system does not tell us.
std::optional<bool> process_works_in(pid_t pid, const std::string& directory);

}  // namespace assistiv::storage
