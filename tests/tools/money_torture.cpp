// bench/money_torture: worker processes on one private PostgreSQL with durable settings, killed and paused at
// random, against budgets of a few cents. Exits non-zero when an invariant breaks.
//   money_torture run DIR [seconds] [processes] [callers]
//   money_torture speed DIR
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "core/log.h"
#include "storage/database.h"
#include "storage/migrator.h"
#include "storage/private_postgres.h"
#include "support/ledger_worker.h"

namespace {

namespace storage = assistiv::storage;
namespace test = assistiv::test;

int spawn(const std::vector<std::string>& words) {
  std::vector<char*> arguments = {const_cast<char*>("money_torture"), const_cast<char*>("worker")};
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const int pid = ::vfork();
  if (pid == 0) {
    ::execv("/proc/self/exe", arguments.data());
    ::_exit(127);
  }
  return pid;
}

std::string argument(int argc, char** argv, int index, const char* otherwise) {
  return index < argc ? argv[index] : otherwise;
}

int run(const std::string& url, const std::string& directory, int argc, char** argv) {
  test::TortureOptions options;
  options.seconds = std::atoi(argument(argc, argv, 3, "60").c_str());
  options.processes = std::atoi(argument(argc, argv, 4, "4").c_str());
  options.callers = std::atoi(argument(argc, argv, 5, "500").c_str());
  std::printf("%d processes, %d callers each, %d s, %d end users of USD 0.05\n", options.processes,
              options.callers, options.seconds, options.end_users);
  const auto report = test::torture(url, directory + "/run", options, spawn);
  test::print(report);
  return report.broken.empty() ? 0 : 1;
}

int speed(const std::string& url, const std::string& directory) {
  std::printf("hold + settle, everything committed, 64 callers, one process\n");
  std::printf("%-16s %8.0f pairs/s\n", "one hot wallet",
              test::ledger_throughput(url, directory + "/one", 1, 64, 100'000));
  std::printf("%-16s %8.0f pairs/s\n", "1,000 wallets",
              test::ledger_throughput(url, directory + "/many", 1000, 64, 100'000));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: money_torture run DIR [SECONDS] [PROCESSES] [CALLERS] | speed DIR\n");
    return 2;
  }
  if (std::strcmp(argv[1], "worker") == 0) return test::torture_worker({argv + 2, argv + argc});
  assistiv::core::log::set_level(assistiv::core::log::Level::Error);
  ::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string directory = argv[2];
  storage::PrivatePostgresOptions options;
  options.directory = directory + "/postgres";
  storage::PrivatePostgres postgres(options);
  {
    storage::Database database({.url = postgres.url()});
    storage::Migrator(database).apply();
  }
  return std::strcmp(argv[1], "run") == 0 ? run(postgres.url(), directory, argc, argv)
                                          : speed(postgres.url(), directory);
}
