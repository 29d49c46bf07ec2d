#pragma once
// The ledger's hot path: admission of a call over both levels at once, and its settlement exactly once.
// How it stays exact over several processes and crashes: docs/decisions/0014-leased-allowances.md.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "billing/price.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/money.h"
#include "core/task.h"
#include "core/usage.h"
#include "storage/database.h"
#include "storage/notifier.h"

namespace assistiv::billing {

// Who pays: the platform's wallet always, and the end user's budget when there is an end user who has one.
struct Payer {
  core::PlatformId platform_id;
  std::optional<core::EndUserId> end_user_id;
};

// How a call ended, as it stands on the usage row. Each has one rule of what is billed (docs/billing.md).
enum class CallOutcome {
  Success,
  UpstreamError,  // refused or failed before the first byte: nothing is billed unless usage was reported
  StreamError,    // failed in mid-stream: reported usage, else input bound share + counted output
  Truncated,      // ended without proof of completion: as StreamError
  ClientGone,
  Timeout,
  Blocked,   // a guardrail or a budget stop in mid-stream
  CacheHit,  // free
  Lost,      // the process died between hold and settlement: the input's cost
};
std::string_view to_string(CallOutcome outcome);

// The facts of one upstream call, fixed at admission. One usage row comes of it, unique on (request_id,
// attempt).
struct CallFacts {
  std::string request_id;
  int attempt = 1;
  std::string request_type;  // "chat.completion", "response", "message", "generate_content", "embedding",
                             // "agent", "mcp_tool"
  std::string provider;      // slug
  std::string model;         // as the caller asked
  std::string provider_model;
  std::string tag;  // of x-aig-tag / x-tag
  std::string key_id;
  std::string run_id;  // of an agent run, else empty
  bool stream = false;
};

struct AdmissionRequest {
  Payer payer;
  CallFacts facts;
  PricePtr price;           // null: free (a local provider without a price and the platform's consent)
  core::NanoUsd bound;      // provable upper bound of the call's cost
  core::NanoUsd lost_cost;  // what is billed when the process dies before the settlement; at most bound
  std::int64_t token_bound = 0;
};

struct Settlement {
  CallOutcome outcome = CallOutcome::Success;
  core::Usage usage;
  core::NanoUsd cost;  // at most the hold's bound; more is cut to it, counted and logged
  bool usage_estimated = false;
  int status = 200;   // HTTP status that the upstream gave, 0 for none
  std::string error;  // public words, at most 500 bytes
  std::string upstream_request_id;
  std::chrono::milliseconds latency{0};
  std::optional<std::chrono::milliseconds> first_token;
};

// A live reservation. Settled exactly once; destroyed unsettled it settles as Lost.
class Hold {
 public:
  virtual ~Hold() = default;
  // Never throws, never waits: appended to the node's journal, committed in a batch. A second call is a no-op
  // that is counted.
  virtual void settle(Settlement settlement) = 0;
  virtual core::NanoUsd bound() const = 0;
};
using HoldPtr = std::unique_ptr<Hold>;

// Why a call may not run now. The numbers are those that the admission compared.
struct Refusal {
  enum class Level { Wallet, Budget, TokenBudget };
  Level level;
  std::string code;  // "wallet_insufficient", "wallet_suspended", "budget_exceeded", "budget_suspended"
  std::string message;
  std::int64_t limit = 0;      // nano-USD, or tokens for TokenBudget
  std::int64_t spent = 0;      // settled
  std::int64_t held = 0;       // by calls under way
  std::int64_t requested = 0;  // the bound
  std::optional<core::Time> resets_at;
};
using Admission = std::variant<HoldPtr, Refusal>;

// Thread-safe.
class Ledger {
 public:
  virtual ~Ledger() = default;
  // All levels or none. Waits a short bounded time near exhaustion, then refuses. Throws Error{Unavailable}
  // when the journal or the database cannot take a hold.
  virtual core::Task<Admission> admit(AdmissionRequest request) = 0;
  // What could still be held for this payer at this moment, the least of its levels; for clamping max_tokens.
  // Nothing when no level limits it.
  virtual core::Task<std::optional<core::NanoUsd>> available(Payer payer) = 0;
  // After the commit of a change to an account (AccountStore), so that this node does not wait for its
  // notice. Other nodes learn of it within the notice's moment.
  virtual void account_changed(core::PlatformId /*platform*/, std::optional<core::EndUserId> /*end_user*/) {}
};

struct LedgerOptions {
  // Journals of this machine's processes: a process finishes those of dead ones, so they share it.
  std::string journal_directory;
  // How long after its last heartbeat a node admits, and when its leases may be taken from it. The second
  // must leave the first room: what a node that was paused still had under way is then written off.
  std::chrono::milliseconds admit_for{10'000};
  std::chrono::milliseconds lease_expiry{60'000};
  // The most of what is left of an account that one lease takes.
  int slice_percent = 5;
  std::chrono::milliseconds refuse_after{200};     // a request that does not fit at once waits so long
  std::chrono::milliseconds return_idle{2'000};    // an unused lease is given back
  std::chrono::milliseconds settle_interval{100};  // between the starts of two batches under load
  std::size_t batch_max = 2'000;
  std::size_t unsettled_max = 50'000;                      // calls that wait for the database
  std::size_t journal_bytes_max = std::size_t{256} << 20;  // more: admission stops
  std::size_t segment_bytes = std::size_t{8} << 20;
  // A hold waits until it is on the disk: for those who want to survive a power cut. Zero: the page cache is
  // enough, it outlives the process.
  std::chrono::milliseconds fsync_interval{0};
};

class BudgetEventSink;

// All of it outlives the ledger.
struct LedgerWorld {
  storage::Database& database;
  storage::Notifier* notifier;  // may be null: then notices of other nodes come late
  const core::Clock& clock;
  core::Random& random;
  core::AnyExecutor executor;  // of background work
  BudgetEventSink* events;     // may be null
  LedgerOptions options;
};

// A ledger with its life. One per process.
class LedgerNode : public Ledger {
 public:
  // Registers the node, finishes the journals of dead processes, starts the background work. Blocks; not for
  // I/O threads. Until then admit() throws Unavailable.
  virtual void start() = 0;
  // Ends in order: nothing is admitted, everything that ended is committed, leases go back. Blocks; not for
  // I/O threads. A node that is destroyed without it leaves everything as a killed process does.
  virtual void stop() = 0;
  // True when everything that was settled before the call is committed.
  virtual core::Task<bool> flush(std::chrono::milliseconds timeout) = 0;
};

// Subscribes to the notifier: call it before Notifier::start().
std::unique_ptr<LedgerNode> make_ledger(LedgerWorld world);

// The books of one platform against each other. Calls under way are in none of the sums.
struct AccountReport {
  std::string account_id;
  std::string kind;           // "wallet", "budget"
  bool limit_ok = false;      // limit = what the entries say
  bool settled_ok = false;    // settled of this period = what the entries say
  bool leased_ok = false;     // leased = sum of the leases of this period
  bool usage_ok = false;      // usage entries, write-offs included = usage rows
  bool within_limit = false;  // settled + leased <= limit, unless the limit was lowered
  std::int64_t limit = 0, settled = 0, leased = 0, entries = 0, usage = 0, written_off = 0;  // nano-USD
};
struct LedgerReport {
  std::vector<AccountReport> accounts;
  bool balanced = true;  // all of all
};
core::Task<LedgerReport> verify_ledger(storage::Database* database, core::PlatformId platform);
// The platforms that have books.
core::Task<std::vector<core::PlatformId>> ledger_platforms(storage::Database* database);

// 402 with the code and the numbers, as every door throws it.
[[noreturn]] void throw_refusal(const Refusal& refusal);

}  // namespace assistiv::billing
