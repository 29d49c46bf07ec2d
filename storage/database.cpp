#include "storage/database.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "storage/connection.h"

namespace assistiv::storage {

namespace {

constexpr int kAttempts = 5;
constexpr std::chrono::seconds kConnectionWait{10};
constexpr std::size_t kNotifyMax = 7900;

using Ticks = std::chrono::steady_clock;

core::metrics::Counter& failures(const char* kind) {
  return core::metrics::counter("assistiv_db_failures_total", "Database transactions that failed, by reason.",
                                {{"kind", kind}});
}

core::metrics::Gauge& open_connections() {
  static auto& gauge = core::metrics::gauge("assistiv_db_connections", "Open database connections.");
  return gauge;
}

class OpenTransaction final : public Transaction {
 public:
  explicit OpenTransaction(Connection& connection) : connection_(connection) {}

  Result exec(std::string_view sql, std::vector<Param> params) override {
    return connection_.exec(sql, params);
  }

  void notify(std::string_view topic, std::string_view payload) override {
    if (topic.empty() || topic.find(' ') != std::string_view::npos)
      throw core::internal("a topic is one word");
    if (topic.size() + payload.size() > kNotifyMax) {
      throw core::internal("the notification on " + std::string(topic) + " is too long");
    }
    std::string message(topic);
    message.append(" ").append(payload);
    exec("select pg_notify('assistiv', $1)", {std::move(message)});
  }

 private:
  Connection& connection_;
};

// Contenders wake at different times: the clock's low digits are random enough for that.
void back_off(int attempt) {
  const auto step = std::chrono::microseconds(2000) * (1 << attempt);
  std::this_thread::sleep_for(
      step / 2 + std::chrono::microseconds(Ticks::now().time_since_epoch().count() % step.count()));
}

core::Error in_doubt(const core::Error& cause) {
  return core::Error(
             core::ErrorKind::Unavailable,
             "The database did not confirm the change. It may have been saved: look before you repeat it.")
      .with_retry_after(std::chrono::seconds(1))
      .with_detail("commit in doubt: " + cause.detail());
}

}  // namespace

struct Database::Impl {
  explicit Impl(DatabaseOptions given)
      : options(std::move(given)), pool("database", options.connections, options.queue_max) {}

  ~Impl() { discard_idle(); }

  std::unique_ptr<Connection> acquire(std::chrono::steady_clock::duration patience);
  void release(std::unique_ptr<Connection> connection);
  void forget();
  void discard_idle();

  enum class Next { Done, Again };
  Next attempt(const Scope& scope, const std::function<void(Transaction&)>& work, int number,
               std::chrono::steady_clock::duration patience = kConnectionWait);
  void run_on(Connection& connection, const Scope& scope, const std::function<void(Transaction&)>& work);
  Next after_fault(Connection& connection, int number);
  bool probe(std::chrono::milliseconds timeout);

  DatabaseOptions options;
  std::mutex mutex;
  std::condition_variable freed;
  std::vector<std::unique_ptr<Connection>> idle;  // the last one is the one used last
  std::size_t open = 0;                           // idle and lent
  core::metrics::Histogram& wait_seconds = core::metrics::histogram(
      "assistiv_db_wait_seconds", "Time a transaction waited for a database thread.");
  core::BlockingPool pool;  // last: its threads end before what they use
};

std::unique_ptr<Connection> Database::Impl::acquire(std::chrono::steady_clock::duration patience) {
  {
    std::unique_lock lock(mutex);
    const auto available = [this] { return !idle.empty() || open < options.connections; };
    if (!freed.wait_for(lock, patience, available)) throw database_unavailable("no free connection");
    if (!idle.empty()) {
      auto connection = std::move(idle.back());
      idle.pop_back();
      return connection;
    }
    ++open;
  }
  open_connections().add(1);
  try {
    return std::make_unique<Connection>(options);
  } catch (...) {
    forget();
    throw;
  }
}

void Database::Impl::release(std::unique_ptr<Connection> connection) {
  if (!connection->reusable()) {
    connection.reset();
    return forget();
  }
  {
    std::lock_guard lock(mutex);
    idle.push_back(std::move(connection));
  }
  freed.notify_one();
}

void Database::Impl::forget() {
  {
    std::lock_guard lock(mutex);
    --open;
  }
  open_connections().add(-1);
  freed.notify_one();
}

// After one connection was lost the others most likely are too.
void Database::Impl::discard_idle() {
  std::vector<std::unique_ptr<Connection>> dropped;
  {
    std::lock_guard lock(mutex);
    dropped.swap(idle);
    open -= dropped.size();
  }
  open_connections().add(-static_cast<std::int64_t>(dropped.size()));
  freed.notify_all();
}

void Database::Impl::run_on(Connection& connection, const Scope& scope,
                            const std::function<void(Transaction&)>& work) {
  connection.begin(scope);
  OpenTransaction transaction(connection);
  work(transaction);
  // PostgreSQL answers the COMMIT of a failed transaction with a silent rollback.
  if (connection.fault() != SqlFault::None) throw connection.error();
  try {
    connection.commit();
  } catch (const core::Error& e) {
    if (connection.fault() != SqlFault::ConnectionLost) throw;
    failures("commit_in_doubt").add();
    throw in_doubt(e);
  }
}

Database::Impl::Next Database::Impl::after_fault(Connection& connection, int number) {
  const bool more = number < kAttempts;
  switch (connection.fault()) {
    case SqlFault::None:
      return Next::Done;
    case SqlFault::Failed:
      failures("statement").add();
      return Next::Done;
    case SqlFault::Contended:
      failures("contention").add();
      return more ? Next::Again : Next::Done;
    case SqlFault::StalePlan:
      discard_idle();
      return more ? Next::Again : Next::Done;
    case SqlFault::ConnectionLost:
      failures("connection").add();
      discard_idle();
      return Next::Done;
  }
  return Next::Done;
}

Database::Impl::Next Database::Impl::attempt(const Scope& scope,
                                             const std::function<void(Transaction&)>& work, int number,
                                             std::chrono::steady_clock::duration patience) {
  auto connection = acquire(patience);
  bool started = false;
  std::exception_ptr thrown;
  try {
    run_on(*connection, scope, [&](Transaction& tx) {
      started = true;
      work(tx);
    });
  } catch (...) {
    thrown = std::current_exception();
  }
  if (!thrown) {
    release(std::move(connection));
    return Next::Done;
  }
  auto next = after_fault(*connection, number);
  // An idle connection that died meanwhile (a restarted database) costs the caller nothing.
  if (!started && !connection->fresh() && number < kAttempts) next = Next::Again;
  connection->rollback();
  release(std::move(connection));
  if (next == Next::Done) std::rethrow_exception(thrown);
  return next;
}

bool Database::Impl::probe(std::chrono::milliseconds timeout) {
  const auto deadline = Ticks::now() + timeout;
  const auto nothing = [](Transaction&) {};
  try {
    for (int number = 1; attempt(Scope::system(), nothing, number, timeout) == Next::Again; ++number)
      back_off(number);
  } catch (const core::Error& e) {
    core::log::warn("database.unreachable", {{"detail", e.detail()}});
    return false;
  }
  return Ticks::now() <= deadline;
}

Database::Database(DatabaseOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Database::~Database() = default;

core::BlockingPool& Database::pool() {
  return impl_->pool;
}

void Database::observe_wait(Stopwatch::time_point queued) {
  impl_->wait_seconds.observe(std::chrono::duration<double>(Stopwatch::now() - queued).count());
}

void Database::execute(const Scope& scope, const std::function<void(Transaction&)>& work) {
  if (core::on_io_thread()) throw core::internal("a database call on an I/O thread");
  for (int number = 1; impl_->attempt(scope, work, number) == Impl::Next::Again; ++number) back_off(number);
}

bool Database::ping(std::chrono::milliseconds timeout) {
  if (core::on_io_thread()) throw core::internal("a database call on an I/O thread");
  return impl_->probe(timeout);
}

core::Task<bool> Database::ready(std::chrono::milliseconds timeout) {
  try {
    co_return co_await impl_->pool.run([this, timeout] { return impl_->probe(timeout); });
  } catch (const core::Error&) {  // the queue is full
    co_return false;
  }
}

}  // namespace assistiv::storage
