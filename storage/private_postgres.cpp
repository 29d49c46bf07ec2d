#include "storage/private_postgres.h"

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <stop_token>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "storage/cluster_directory.h"
#include "storage/connection.h"
#include "storage/postgres_install.h"

namespace assistiv::storage {

namespace {

using PgClock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{10};
constexpr std::chrono::milliseconds kWatchInterval{500};
constexpr std::chrono::seconds kFastShutdown{20};
constexpr std::chrono::seconds kImmediateShutdown{8};  // PostgreSQL kills its own children after 5 s
constexpr std::chrono::milliseconds kRestartPause{500}, kRestartPauseMax{30000};
constexpr const char* kPort = "5432";
constexpr const char* kSuperuser = "postgres";

std::string socket_url(const std::string& directory, const std::string& user, const std::string& database) {
  return "host=" + directory + " port=" + kPort + " user=" + user + " dbname=" + database;
}

core::Error postgres_error(std::string message) {
  return {core::ErrorKind::Unavailable, std::move(message)};
}

std::optional<ServiceUser> service_user(const std::string& name) {
  if (geteuid() != 0) return std::nullopt;
  struct passwd entry {};
  struct passwd* found = nullptr;
  std::array<char, 4096> buffer{};
  if (getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr) {
    throw postgres_error(
        "PostgreSQL does not run as root, and there is no user \"" + name +
        "\" to run it. Install the PostgreSQL package, or start this server as another user.");
  }
  if (entry.pw_uid == 0) throw postgres_error("PostgreSQL does not run as root; \"" + name + "\" is root.");
  return ServiceUser{entry.pw_uid, entry.pw_gid};
}

DatabaseOptions single(std::string url) {
  DatabaseOptions options;
  options.url = std::move(url);
  options.connect_timeout = std::chrono::seconds(2);
  return options;
}

// Whether the cluster behind `socket_directory` is the one with this identity.
bool answers_as(const std::string& socket_directory, const std::optional<std::string>& identity) {
  try {
    Connection connection(single(socket_url(socket_directory, kSuperuser, "postgres")));
    connection.begin(Scope::system());
    const auto rows = connection.exec("select system_identifier::text as id from pg_control_system()", {});
    connection.commit();
    return !rows.empty() && rows[0].text("id") == identity;
  } catch (const core::Error&) {
    return false;
  }
}

// A pid file may be stale and its number taken by another process, or the directory may be a copy of a live
// one.
bool postmaster_lives(const ClusterDirectory& directory, const PostmasterFile& file) {
  return process_is(file.pid, "postgres") && process_works_in(file.pid, directory.data()).value_or(true);
}

std::vector<std::string> server_arguments(const PostgresInstall& install, const std::string& data,
                                          const std::string& socket_directory, Durability durability) {
  std::vector<std::string> settings = {
      "listen_addresses=",  // the socket is the only way in
      "unix_socket_directories=" + socket_directory,
      "unix_socket_permissions=0700",
      "port=" + std::string(kPort),
      "max_connections=50",
      "shared_buffers=64MB",
      "wal_level=minimal",
      "max_wal_senders=0",
      "min_wal_size=32MB",
      "max_wal_size=256MB",
      "jit=off",
      "max_parallel_workers_per_gather=0",
      // Plans of a young database are bad until its tables were looked at for the first time.
      "autovacuum_naptime=10s",
      // Errors come back to us as exceptions; here they would fill the log, statements and values with them.
      "log_min_messages=log",
      "log_min_error_statement=panic",
      "log_error_verbosity=terse",
      "log_checkpoints=off",
      "log_line_prefix=%m [%p] ",
      "logging_collector=off",
  };
  if (durability == Durability::None) {
    settings.insert(settings.end(), {"fsync=off", "full_page_writes=off", "autovacuum=off"});
  }
  std::vector<std::string> out = {install.program("postgres"), "-D", data};
  for (auto& setting : settings) {
    out.emplace_back("-c");
    out.push_back(std::move(setting));
  }
  return out;
}

std::string last_line(const std::string& text) {
  auto end = text.find_last_not_of('\n');
  if (end == std::string::npos) return "it wrote nothing";
  const auto begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1,
                     end - (begin == std::string::npos ? -1 : begin));
}

}  // namespace

struct PrivatePostgres::Impl {
  explicit Impl(PrivatePostgresOptions given)
      : options(std::move(given)), directory(options.directory), user(service_user(options.os_user)) {}

  void open();
  void watch(std::stop_token stop);
  void stop();

  bool adopt();
  void make_cluster();
  void start(std::stop_token stop);
  bool start_once(std::stop_token stop, PgClock::time_point deadline);
  void ensure_database();
  bool alive();
  bool wait_for_end(std::chrono::milliseconds patience);
  void spawn_program(std::vector<std::string> arguments, const std::string& data, Lifetime lifetime);
  std::string visible(const std::string& path) const { return user ? kChildDirectory : path; }

  PrivatePostgresOptions options;
  ClusterDirectory directory;
  std::optional<ServiceUser> user;
  std::optional<PostgresInstall> install;
  std::string socket_directory, url;

  std::mutex mutex;  // pid, child
  std::condition_variable_any stopping;
  pid_t pid = 0;
  bool child = false;  // ours to reap; an adopted one is not
  std::jthread watcher;
};

void PrivatePostgres::Impl::open() {
  directory.lock();
  install = find_postgres(options.bin_directory, directory.version());
  if (!directory.version()) make_cluster();
  directory.require_owner(user ? user->uid : geteuid());
  if (!adopt()) {
    socket_directory = directory.make_socket_directory(user);
    start({});
  }
  url = socket_url(socket_directory, "assistiv", "assistiv");
  ensure_database();
  watcher = std::jthread([this](std::stop_token stop) { watch(std::move(stop)); });
}

// A postmaster that outlived its server: waits until it answers. False when there is none (left).
bool PrivatePostgres::Impl::adopt() {
  const auto file = directory.postmaster();
  if (!file) return false;
  const auto identity = directory.system_identifier();
  const auto deadline = PgClock::now() + options.start_timeout;
  while (postmaster_lives(directory, *file)) {
    if (!file->socket_directory.empty() && answers_as(file->socket_directory, identity)) {
      pid = file->pid;
      child = false;
      socket_directory = file->socket_directory;
      core::log::info("postgres.adopted", {{"pid", pid}});
      return true;
    }
    if (PgClock::now() > deadline) {
      throw postgres_error("PostgreSQL process " + std::to_string(file->pid) + " holds " + directory.data() +
                           " but does not answer. See " + directory.log() + ", or end the process.");
    }
    std::this_thread::sleep_for(kPoll);
  }
  directory.clean_up_after(*file);
  return false;
}

void PrivatePostgres::Impl::spawn_program(std::vector<std::string> arguments, const std::string& data,
                                          Lifetime lifetime) {
  const Descriptor log = directory.open_log();
  const Descriptor opened(::open(data.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ChildProgram program;
  program.arguments = std::move(arguments);
  program.user = user;
  program.directory = opened.get();
  program.output = log.get();
  program.lifetime = lifetime;
  const std::lock_guard lock(mutex);
  pid = start_child(program);
  child = true;
}

void PrivatePostgres::Impl::make_cluster() {
  const auto data = directory.make_new_data(user);
  const auto offset = directory.log_size();
  std::vector<std::string> arguments = {install->program("initdb"),
                                        "-D",
                                        visible(data),
                                        "--username=postgres",
                                        "--auth=trust",
                                        "--encoding=UTF8",
                                        "--locale=C.UTF-8",
                                        "--data-checksums",
                                        "--no-instructions"};
  if (options.durability == Durability::None) arguments.emplace_back("--no-sync");
  spawn_program(std::move(arguments), data, Lifetime::WithParent);
  std::optional<int> status;
  while (!(status = reap_child(pid))) std::this_thread::sleep_for(kPoll);
  if (!WIFEXITED(*status) || WEXITSTATUS(*status) != 0) {
    throw postgres_error("Making the private PostgreSQL cluster failed: " +
                         last_line(directory.log_since(offset)) + ". See " + directory.log() + ".");
  }
  // Whoever reaches the socket (its directory is closed to others) may come in; nobody else, and not by
  // network.
  std::ofstream(data + "/pg_hba.conf", std::ios::trunc) << "local all all trust\n";
  directory.adopt_new_data();
  core::log::info("postgres.cluster_made", {{"version", install->major}, {"directory", directory.data()}});
}

bool PrivatePostgres::Impl::alive() {
  const std::lock_guard lock(mutex);
  if (pid == 0) return false;
  const bool ended = child ? reap_child(pid).has_value() : !process_is(pid, "postgres");
  if (ended) pid = 0;
  return !ended;
}

// True when it answers; false when it ended because processes of a dead postmaster still hold the cluster's
// memory.
bool PrivatePostgres::Impl::start_once(std::stop_token stop, PgClock::time_point deadline) {
  const auto offset = directory.log_size();
  spawn_program(server_arguments(*install, visible(directory.data()), socket_directory, options.durability),
                directory.data(), options.lifetime);
  const auto identity = directory.system_identifier();
  while (alive()) {
    if (answers_as(socket_directory, identity)) return true;
    if (stop.stop_requested()) return true;
    if (PgClock::now() > deadline) {
      throw postgres_error("The private PostgreSQL started but does not answer: " +
                           last_line(directory.log_since(offset)) + ". See " + directory.log() + ".");
    }
    std::this_thread::sleep_for(kPoll);
  }
  const auto written = directory.log_since(offset);
  if (written.find("still in use") != std::string::npos) return false;
  throw postgres_error("The private PostgreSQL did not start: " + last_line(written) + ". See " +
                       directory.log() + ".");
}

void PrivatePostgres::Impl::start(std::stop_token stop) {
  const auto began = PgClock::now();
  const auto deadline = began + options.start_timeout;
  while (!start_once(stop, deadline)) {
    if (PgClock::now() > deadline || stop.stop_requested()) {
      throw postgres_error("Processes of an earlier PostgreSQL still use " + directory.data() +
                           ". End them.");
    }
    std::this_thread::sleep_for(20 * kPoll);
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(PgClock::now() - began);
  core::log::info("postgres.started", {{"pid", pid}, {"ms", took.count()}});
}

void PrivatePostgres::Impl::ensure_database() {
  Connection connection(single(socket_url(socket_directory, kSuperuser, "postgres")));
  connection.begin(Scope::system());
  const auto found = connection.exec(
      "select exists(select from pg_roles where rolname = 'assistiv') as role,"
      " exists(select from pg_database where datname = 'assistiv') as database",
      {});
  connection.commit();
  if (!found[0].boolean("role")) {
    connection.exec_alone("create role assistiv login nosuperuser nocreatedb nocreaterole nobypassrls");
  }
  if (!found[0].boolean("database")) connection.exec_alone("create database assistiv owner assistiv");
}

void PrivatePostgres::Impl::watch(std::stop_token stop) {
  auto pause = kRestartPause;
  std::mutex idle;
  const auto wait = [&](std::chrono::milliseconds time) {
    std::unique_lock lock(idle);
    stopping.wait_for(lock, stop, time, [] { return false; });
    return !stop.stop_requested();
  };
  while (wait(kWatchInterval)) {
    if (alive()) continue;
    core::log::error("postgres.died", {{"log", directory.log()}});
    try {
      start(stop);
      pause = kRestartPause;
    } catch (const core::Error& e) {
      core::log::error("postgres.restart_failed", {{"error", e.message()}});
      wait(pause);
      pause = std::min(pause * 2, kRestartPauseMax);
    }
  }
}

bool PrivatePostgres::Impl::wait_for_end(std::chrono::milliseconds patience) {
  for (const auto deadline = PgClock::now() + patience; PgClock::now() < deadline;) {
    if (!alive()) return true;
    std::this_thread::sleep_for(kPoll);
  }
  return false;
}

void PrivatePostgres::Impl::stop() {
  if (watcher.joinable()) {
    watcher.request_stop();
    watcher.join();
  }
  if (alive()) {
    kill(pid, options.lifetime == Lifetime::WithParent ? SIGQUIT : SIGINT);
    if (!wait_for_end(kFastShutdown)) {
      core::log::warn("postgres.slow_shutdown", {{"pid", pid}});
      kill(pid, SIGQUIT);
      if (!wait_for_end(kImmediateShutdown)) core::log::error("postgres.still_running", {{"pid", pid}});
    }
  }
  if (!socket_directory.empty() && pid == 0) directory.remove_socket_directory();
}

PrivatePostgres::PrivatePostgres(PrivatePostgresOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {
  try {
    impl_->open();
  } catch (...) {
    impl_->stop();
    throw;
  }
}

PrivatePostgres::~PrivatePostgres() {
  stop();
}

const std::string& PrivatePostgres::url() const {
  return impl_->url;
}

std::string PrivatePostgres::superuser_url(const std::string& database) const {
  return socket_url(impl_->socket_directory, kSuperuser, database);
}

int PrivatePostgres::postmaster_pid() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->pid;
}

void PrivatePostgres::stop() {
  impl_->stop();
}

std::optional<std::string> running_private_postgres(const std::string& directory) {
  const ClusterDirectory cluster(directory);
  const auto file = cluster.postmaster();
  if (!file || !postmaster_lives(cluster, *file) ||
      !answers_as(file->socket_directory, cluster.system_identifier())) {
    return std::nullopt;
  }
  return socket_url(file->socket_directory, "assistiv", "assistiv");
}

}  // namespace assistiv::storage
