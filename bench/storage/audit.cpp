// How many audit entries a second get from record() into PostgreSQL, with concurrent callers on one I/O
// thread; and how fast a chain is verified. Durable settings: a private cluster as the server runs it.
#include "core/async.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "core/clock.h"
#include "core/log.h"
#include "core/random.h"
#include "storage/audit.h"
#include "storage/database.h"
#include "storage/migrator.h"
#include "storage/private_postgres.h"

namespace {

namespace core = assistiv::core;
namespace storage = assistiv::storage;

constexpr int kCallers = 64;
constexpr int kPlatforms = 10;

core::SystemClock clock_of_bench;
core::SystemRandom random_of_bench;

core::Task<> call_tools(storage::AuditLog* audit, std::vector<core::PlatformId> platforms, int count) {
  storage::AuditEvent event;
  event.event = "tool.called";
  event.actor_kind = "end_user";
  event.key_id = core::KeyId::make(clock_of_bench, random_of_bench);
  event.end_user_id = core::EndUserId::make(clock_of_bench, random_of_bench);
  event.subject = "github_create_issue";
  event.details_json =
      R"({"app":"github","arguments_sha256":"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae","duration_ms":182,"outcome":"done"})";
  event.request_id = "019a9f3e-7c1e-7f00-b6f0-3f1b1c8d2e4a";
  for (int i = 0; i < count; ++i)
    co_await audit->record(platforms[static_cast<std::size_t>(i % kPlatforms)], event);
}

core::Task<> run(storage::AuditLog* audit, std::vector<core::PlatformId> platforms, int entries,
                 boost::asio::io_context* io) {
  const auto begin = std::chrono::steady_clock::now();
  core::TaskGroup callers("callers");
  for (int i = 0; i < kCallers; ++i) {
    callers.spawn(io->get_executor(), "caller",
                  [=](std::stop_token) { return call_tools(audit, platforms, entries / kCallers); });
  }
  while (callers.size() > 0) co_await core::sleep_for(std::chrono::milliseconds(1));
  co_await audit->flush();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const int written = entries / kCallers * kCallers;
  std::printf("record + flush: %d entries in %.2f s: %.0f entries/s\n", written, took.count(),
              written / took.count());

  const auto check = std::chrono::steady_clock::now();
  const auto verdict = co_await audit->verify(platforms[0]);
  const std::chrono::duration<double> checked = std::chrono::steady_clock::now() - check;
  std::printf("verify: %s, %ld entries: %.0f entries/s\n", verdict.valid ? "valid" : "BROKEN",
              static_cast<long>(verdict.entries), static_cast<double>(verdict.entries) / checked.count());
  io->stop();
}

void delete_platform(storage::Database& database, core::PlatformId platform) {
  const auto begin = std::chrono::steady_clock::now();
  database.execute(storage::Scope::tenant(platform), [&](storage::Transaction& tx) {
    tx.exec("delete from platform where platform_id = $1::uuid", {platform.str()});
  });
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("delete of that platform with its trail: %.2f s\n", took.count());
}

}  // namespace

int main(int argc, char** argv) {
  const int entries = argc > 1 ? std::atoi(argv[1]) : 300000;
  core::log::set_level(core::log::Level::Warn);
  std::string directory = (std::filesystem::temp_directory_path() / "assistiv-bench-audit-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) return 1;
  storage::PrivatePostgresOptions options;
  options.directory = directory;
  {
    storage::PrivatePostgres postgres(options);
    storage::DatabaseOptions pool;
    pool.url = postgres.url();
    storage::Database database(pool);
    storage::Migrator(database).apply();
    std::vector<core::PlatformId> platforms;
    for (int i = 0; i < kPlatforms; ++i) {
      platforms.push_back(core::PlatformId::make(clock_of_bench, random_of_bench));
      database.execute(storage::Scope::system(), [&](storage::Transaction& tx) {
        tx.exec(
            "insert into platform (platform_id, name, slug, created_at, updated_at) values ($1::uuid, 'p', "
            "$1, now(), now())",
            {platforms.back().str()});
      });
    }
    boost::asio::io_context io;
    storage::AuditLog audit(database, clock_of_bench);
    audit.start(io.get_executor());
    boost::asio::co_spawn(io, run(&audit, platforms, entries, &io), boost::asio::detached);
    std::jthread thread([&io] {
      core::mark_io_thread();
      io.run();
    });
    thread.join();
    io.restart();
    std::jthread rest([&io] { io.run(); });
    audit.stop();
    delete_platform(database, platforms[0]);
  }
  std::filesystem::remove_all(directory);
}
