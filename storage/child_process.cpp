#include "storage/child_process.h"

#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.h"

namespace assistiv::storage {

namespace {

constexpr int kDirectoryDescriptor = 3;
constexpr int kExecFailed = 127;

// From here to execve only async-signal-safe calls: other threads of ours may hold any lock.

bool become(const ServiceUser& user) {
  return setgroups(1, &user.gid) == 0 && setgid(user.gid) == 0 && setuid(user.uid) == 0;
}

void close_descriptors_from(unsigned first) {
  if (syscall(SYS_close_range, first, ~0U, 0U) == 0) return;
  const long limit = sysconf(_SC_OPEN_MAX);  // kernels before 5.9
  for (int fd = static_cast<int>(first); fd < limit; ++fd) ::close(fd);
}

void reset_signals() {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD, SIGQUIT, SIGUSR1, SIGUSR2}) {
    signal(number, SIG_DFL);
  }
}

[[noreturn]] void run_in_child(const ChildProgram& program, char* const* argv, char* const* environment) {
  reset_signals();
  setsid();
  umask(077);
  const int null = open("/dev/null", O_RDWR);
  const int output = program.output >= 0 ? program.output : null;
  // Above the numbers that dup2 is about to overwrite.
  const int high_output = fcntl(output, F_DUPFD, 10);
  const int high_directory = program.directory >= 0 ? fcntl(program.directory, F_DUPFD, 10) : -1;
  dup2(null, 0);
  dup2(high_output, 1);
  dup2(high_output, 2);
  const bool with_directory = high_directory >= 0;
  if (with_directory) dup2(high_directory, kDirectoryDescriptor);
  close_descriptors_from(with_directory ? kDirectoryDescriptor + 1 : kDirectoryDescriptor);
  if (program.user && !become(*program.user)) _exit(kExecFailed);
  if (program.lifetime == Lifetime::WithParent) prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (chdir("/") == 0) execve(argv[0], argv, environment);
  _exit(kExecFailed);
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (auto& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

pid_t start_child(const ChildProgram& program) {
  auto arguments = program.arguments;
  std::vector<std::string> environment = {"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC"};
  const auto argv = pointers(arguments);
  const auto envp = pointers(environment);
  const pid_t pid = fork();
  if (pid == 0) run_in_child(program, argv.data(), envp.data());
  if (pid < 0) {
    throw core::Error(core::ErrorKind::Unavailable,
                      "The system refused to start PostgreSQL: " + std::string(std::strerror(errno)) +
                          ". Look at its limits on processes and memory.");
  }
  return pid;
}

std::optional<int> reap_child(pid_t pid) {
  int status = 0;
  const pid_t got = waitpid(pid, &status, WNOHANG);
  if (got == pid) return status;
  if (got < 0 && errno == ECHILD) return 0;
  return std::nullopt;
}

bool process_is(pid_t pid, const std::string& name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string stat(std::istreambuf_iterator<char>(file), {});
  // proc(5): pid (comm) state ...; the name may hold anything, so its end is the last parenthesis.
  const auto open = stat.find('(');
  const auto close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) return false;
  const char state = stat[close + 2];
  return stat.substr(open + 1, close - open - 1) == name && state != 'Z' && state != 'X';
}

std::optional<bool> process_works_in(pid_t pid, const std::string& directory) {
  struct stat working {};
  struct stat wanted {};
  if (stat(("/proc/" + std::to_string(pid) + "/cwd").c_str(), &working) != 0) return std::nullopt;
  if (stat(directory.c_str(), &wanted) != 0) return std::nullopt;
  return working.st_dev == wanted.st_dev && working.st_ino == wanted.st_ino;
}

}  // namespace assistiv::storage
