// The short form of bench/money_torture: real processes, killed and paused.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/random.h"
#include "support/ledger_worker.h"
#include "support/test_database.h"

namespace assistiv::test {
namespace {

constexpr char kWorkerVariable[] = "ASSISTIV_LEDGER_WORKER";

// The workers are this binary again, with their words in a file that the environment names.
const bool worker_ran = [] {
  const char* file = std::getenv(kWorkerVariable);
  if (!file) return false;
  std::ifstream in(file);
  std::vector<std::string> words;
  for (std::string word; std::getline(in, word);) words.push_back(word);
  int code = 1;
  try {
    code = torture_worker(words);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "worker: %s\n", error.what());
  }
  ::_exit(code);
}();

TEST(LedgerTorture, kills_and_pauses_cost_nobody_a_nano_dollar) {
  ASSERT_FALSE(worker_ran);
  TestDatabase database;
  core::SystemRandom random;
  const auto directory = std::filesystem::temp_directory_path() / ("torture-" + core::random_hex(random, 8));
  std::filesystem::create_directories(directory);
  const auto spawn = [&](const std::vector<std::string>& words) {
    const auto file = (directory / "words").string();
    if (!std::filesystem::exists(file)) {
      std::ofstream out(file);
      for (const auto& word : words) out << word << "\n";
    }
    std::string name = "worker";
    std::string variable = std::string(kWorkerVariable) + "=" + file;
    char* arguments[] = {name.data(), nullptr};
    char* environment[] = {variable.data(), nullptr};
    const int pid = ::vfork();
    if (pid == 0) {
      ::execve("/proc/self/exe", arguments, environment);
      ::_exit(127);
    }
    return pid;
  };
  TortureOptions options;
  options.processes = 2;
  options.callers = 50;
  options.seconds = 4;
  options.calls_per_budget = 10;  // so that a slow machine too comes to the end of them
  const auto report = torture(database.url(), (directory / "run").string(), options, spawn);
  EXPECT_GT(report.calls, 0);
  EXPECT_GT(report.logged, 0);
  for (const auto& fault : report.broken) ADD_FAILURE() << fault;
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace assistiv::test
