#include "agents/runtime/recorder.h"

#include <chrono>
#include <utility>

namespace assistiv::agents {
namespace {

// Steps that may wait for their write before the run waits for it.
constexpr std::uint64_t kBehindMax = 32;
// And bytes of them.
constexpr std::size_t kPendingMax = 8 << 20;
// A run that writes at its end only keeps all of it until then.
constexpr std::size_t kBufferMax = 64 << 20;

}  // namespace

Recorder::Recorder(const RunSpec& spec, RunWorld world)
    : world_(world),
      durability_(spec.durability),
      modes_(spec.modes),
      next_seq_(spec.next_seq),
      shared_(std::make_shared<Shared>()) {
  buffer_.totals = spec.totals;
}

void Recorder::event(std::string method, std::string ns, std::string node, core::Json data, bool always) {
  if (!always && !modes_.contains(method)) return;
  RunEvent event{next_seq_++,     std::move(method),  std::move(ns),
                 std::move(node), world_.clock.now(), std::move(data)};
  // Nothing is written before the end: those who watch see it now, with the number that it will have.
  if (durability_ == Durability::Exit) world_.journal.show(event);
  bytes_ += bytes_of(event.data);
  buffer_.events.push_back(std::move(event));
}

void Recorder::checkpoint(CheckpointRow row) {
  bytes_ += bytes_of(row.body);
  buffer_.checkpoints.push_back(std::move(row));
}

void Recorder::show(std::string method, std::string ns, std::string node, core::Json data) {
  world_.journal.show(
      {0, std::move(method), std::move(ns), std::move(node), world_.clock.now(), std::move(data)});
}

core::Task<void> Recorder::flush(bool must) {
  if (shared_->error) std::rethrow_exception(shared_->error);
  if (bytes_ > kBufferMax) {
    co_await idle();
    if (!shared_->error) shared_->error = std::make_exception_ptr(write_too_large(bytes_));
    std::rethrow_exception(shared_->error);
  }
  if (durability_ == Durability::Exit || buffer_.empty()) co_return;
  co_await write_out(must || durability_ == Durability::Sync ||
                     shared_->queued - shared_->durable >= kBehindMax);
}

core::Task<void> Recorder::settle() {
  if (durability_ == Durability::Exit) co_return;
  // Events alone tell nothing that an act rests on: they may follow.
  if (!buffer_.checkpoints.empty() || !buffer_.tasks.empty()) co_return co_await flush(true);
  const auto shared = shared_;
  const auto upto = shared->queued;
  while (shared->durable < upto && !shared->error) co_await shared->moved.wait_for(std::chrono::seconds(1));
  if (shared->error) std::rethrow_exception(shared->error);
}

core::Task<void> Recorder::idle() {
  const auto shared = shared_;
  while (shared->writing) co_await shared->moved.wait_for(std::chrono::seconds(1));
}

core::Task<void> Recorder::finish() {
  co_await write_out(true);
}

core::Task<void> Recorder::write_out(bool wait) {
  const auto shared = shared_;
  // What waits is written together.
  while (shared->writing && shared->bytes > 0 && shared->bytes + bytes_ > kPendingMax && !shared->error)
    co_await shared->moved.wait_for(std::chrono::seconds(1));
  const auto ticket = ++shared->queued;
  auto totals = buffer_.totals;
  merge(shared->pending, std::exchange(buffer_, {}));
  buffer_.totals = std::move(totals);
  shared->bytes += std::exchange(bytes_, 0);
  if (!shared->writing) {
    shared->writing = true;
    if (wait) {
      co_await drain(shared, &world_.journal);
    } else {
      auto* journal = &world_.journal;
      world_.tasks.spawn(co_await core::current_executor(), "agents.journal",
                         [shared, journal](std::stop_token) { return drain(shared, journal); });
    }
  }
  while (wait && shared->durable < ticket && !shared->error) {
    co_await shared->moved.wait_for(std::chrono::seconds(1));
  }
  if (shared->error) std::rethrow_exception(shared->error);
}

core::Task<void> Recorder::drain(std::shared_ptr<Shared> shared, Journal* journal) {
  while (shared->durable < shared->queued && !shared->error) {
    const auto upto = shared->queued;
    shared->bytes = 0;
    try {
      co_await journal->commit(std::exchange(shared->pending, {}));
    } catch (...) {
      shared->error = std::current_exception();
    }
    shared->durable = upto;
    shared->moved.set();
  }
  shared->writing = false;
}

}  // namespace assistiv::agents
