#pragma once
// PostgreSQL for the rest of the program. Statements run on a bounded pool of threads with one connection
// each, never on an I/O thread; coroutines await them.
#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/async.h"
#include "core/ids.h"
#include "core/task.h"

namespace assistiv::storage {

// A statement's argument, sent as text; PostgreSQL infers or the statement casts ($1::uuid). nullopt is NULL.
using Param = std::optional<std::string>;

// Reads by column name. A column that is not in the result throws Internal; so does a value that is not of
// the type asked.
class Row {
 public:
  bool is_null(std::string_view column) const;
  std::string text(std::string_view column) const;  // "" for NULL
  std::optional<std::string> optional_text(std::string_view column) const;
  std::int64_t integer(std::string_view column) const;
  bool boolean(std::string_view column) const;
  // From epoch milliseconds: timestamptz columns are selected as assistiv_ms(column) (migration 0001).
  core::Time time(std::string_view column) const;
  std::optional<core::Time> optional_time(std::string_view column) const;
  template <class AnyId>
  AnyId id(std::string_view column) const {
    return AnyId::of(text(column));
  }
  template <class AnyId>
  std::optional<AnyId> optional_id(std::string_view column) const {
    return is_null(column) ? std::nullopt : std::optional<AnyId>(AnyId::of(text(column)));
  }

  struct Data;  // one fetched result, shared by its rows
  Row(std::shared_ptr<const Data> data, std::size_t index) : data_(std::move(data)), index_(index) {}

 private:
  std::shared_ptr<const Data> data_;
  std::size_t index_;
};

class Result {
 public:
  explicit Result(std::shared_ptr<const Row::Data> data) : data_(std::move(data)) {}
  std::size_t size() const;
  bool empty() const { return size() == 0; }
  Row operator[](std::size_t index) const { return {data_, index}; }
  std::size_t affected() const;

  class Iterator {
   public:
    Iterator(const Result* result, std::size_t index) : result_(result), index_(index) {}
    Row operator*() const { return (*result_)[index_]; }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const Result* result_;
    std::size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, size()}; }

 private:
  std::shared_ptr<const Row::Data> data_;
};

// What the rows of a transaction may be. Row-level security enforces it in the database as a second wall:
// every tenant table's policy compares platform_id with the scope.
class Scope {
 public:
  static Scope tenant(core::PlatformId platform) { return Scope(platform); }
  // Every tenant: key lookup, background work, the operator. Say why at the call site.
  static Scope system() { return Scope({}); }
  // Prepared statements are planned once, whatever their parameters. For statements over arrays: PostgreSQL
  // takes a plan for the length at hand to be so much better that it makes one at every execution.
  Scope with_generic_plans() const {
    auto out = *this;
    out.generic_plans_ = true;
    return out;
  }
  const std::optional<core::PlatformId>& platform() const { return platform_; }
  bool generic_plans() const { return generic_plans_; }

 private:
  explicit Scope(std::optional<core::PlatformId> platform) : platform_(platform) {}
  std::optional<core::PlatformId> platform_;
  bool generic_plans_ = false;
};

// One open transaction on one pool thread. Not thread-safe, not to be kept.
class Transaction {
 public:
  virtual ~Transaction() = default;
  // Throws core::Error: Conflict on a unique violation, NotFound on a foreign-key violation, InvalidArgument
  // on a parameter that is not UTF-8 or holds a NUL, DeadlineExceeded at the statement timeout, Unavailable
  // when the database is gone; anything else is Internal with the SQL state in the detail. After an error the
  // transaction is lost: it is rolled back even when the work swallows the exception (use "on conflict" where
  // a conflict is expected). Several statements in one text are allowed without parameters only.
  virtual Result exec(std::string_view sql, std::vector<Param> params = {}) = 0;
  // Sends NOTIFY at commit on the program's one channel; every node's Notifier sees it (storage/notifier.h).
  // `topic` has no spaces; topic and payload together are at most 7,900 bytes (PostgreSQL: under 8,000), else
  // Internal. Commits that notify wait for each other in PostgreSQL, so it is for changes, not for the path
  // of every request.
  virtual void notify(std::string_view topic, std::string_view payload) = 0;
};

struct DatabaseOptions {
  std::string url;  // libpq URI or key=value string
  std::size_t connections = 8;
  std::size_t queue_max = 1000;
  std::chrono::milliseconds statement_timeout{10000};
  std::chrono::seconds connect_timeout{5};
  // Per connection. 0 turns them off, for a pooler in transaction mode that does not know them.
  std::size_t prepared_statements_max = 256;
};

// Thread-safe. A connection is held while the work runs: work calls no upstream, waits for nothing but
// statements.
class Database {
 public:
  explicit Database(DatabaseOptions options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Runs `work(Transaction&)` on a pool thread and commits. Serialization failures and deadlocks are retried
  // a few times (the work runs again, so it must be free of other side effects); an exception rolls back. A
  // full queue throws Unavailable with a Retry-After. A commit whose outcome is unknown throws Unavailable:
  // read before you repeat it.
  template <class F>
  core::Task<std::invoke_result_t<F, Transaction&>> run(Scope scope, F work) {
    using T = std::invoke_result_t<F, Transaction&>;
    if constexpr (std::is_void_v<T>) {
      co_await pool().run([this, scope, queued = Stopwatch::now(), job = std::move(work)]() mutable {
        observe_wait(queued);
        execute(scope, [&job](Transaction& tx) { job(tx); });
      });
    } else {
      co_return co_await pool().run(
          [this, scope, queued = Stopwatch::now(), job = std::move(work)]() mutable {
            observe_wait(queued);
            std::optional<T> out;
            execute(scope, [&](Transaction& tx) { out.emplace(job(tx)); });
            return std::move(*out);
          });
    }
  }

  // The same on the calling thread, which must not be an I/O thread: Internal there (commands, migrations,
  // tests).
  void execute(const Scope& scope, const std::function<void(Transaction&)>& work);
  // True when a connection is free and answers within the time. Blocks; not for I/O threads.
  bool ping(std::chrono::milliseconds timeout);
  // The same for coroutines, for /readyz. Never throws.
  core::Task<bool> ready(std::chrono::milliseconds timeout);

 private:
  using Stopwatch = std::chrono::steady_clock;
  core::BlockingPool& pool();
  void observe_wait(Stopwatch::time_point queued);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::storage
