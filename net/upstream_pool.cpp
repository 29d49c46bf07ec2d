#include "net/upstream_pool.h"

#include <vector>

namespace assistiv::net {

using SteadyClock = std::chrono::steady_clock;

namespace {

// How late a deadline may be noticed; one timer serves all connections of the thread.
constexpr std::chrono::milliseconds kBusyTick{25};
constexpr std::chrono::milliseconds kIdleTick{1000};

}  // namespace

UpstreamPool::UpstreamPool(core::AnyExecutor executor, UpstreamPoolLimits limits)
    : executor_(std::move(executor)), limits_(limits), timer_(executor_) {}

UpstreamConnectionPtr UpstreamPool::take(const std::string& key) {
  const auto found = idle_.find(key);
  if (found == idle_.end()) return nullptr;
  auto& line = found->second;
  while (!line.empty()) {
    auto connection = std::move(line.back());
    line.pop_back();
    --idle_count_;
    if (connection->is_quiet()) return connection;
  }
  idle_.erase(found);
  return nullptr;
}

bool UpstreamPool::watch(UpstreamConnection& connection) {
  // Those that ended since the last sweep are still counted, so the limit is a little early, never late.
  if (busy_at_sweep_ + watched_since_ >= limits_.busy_max) {
    busy_at_sweep_ = busy_.size();
    watched_since_ = 0;
    if (busy_at_sweep_ >= limits_.busy_max) return false;
  }
  ++watched_since_;
  busy_.push_back(connection);
  tick();
  return true;
}

void UpstreamPool::give_back(UpstreamConnectionPtr connection) {
  connection->unlink();
  auto& line = idle_[connection->key()];
  if (closed_ || idle_count_ >= limits_.idle_max || line.size() >= limits_.idle_per_origin_max) return;
  connection->reuse(SteadyClock::now());
  line.push_back(std::move(connection));
  ++idle_count_;
  tick();
}

void UpstreamPool::close() {
  closed_ = true;
  timer_.cancel();
  idle_.clear();
  idle_count_ = 0;
  std::vector<UpstreamConnectionPtr> all;
  for (auto& one : busy_) all.push_back(one.shared_from_this());
  for (auto& one : all) one->give_up(core::OutboundFailure::Cancelled);
}

void UpstreamPool::tick() {
  if (ticking_ || closed_) return;
  ticking_ = true;
  timer_.expires_after(busy_.empty() ? kIdleTick : kBusyTick);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code) {
    if (const auto self = weak.lock()) self->sweep();
  });
}

void UpstreamPool::sweep() {
  ticking_ = false;
  const auto now = SteadyClock::now();
  std::vector<UpstreamConnectionPtr> late;
  busy_at_sweep_ = 0;
  watched_since_ = 0;
  for (auto& one : busy_) {
    ++busy_at_sweep_;
    if (one.deadline() <= now || one.wake_at() <= now) late.push_back(one.shared_from_this());
  }
  for (auto& one : late) {
    if (one->deadline() <= now) {
      one->give_up(core::OutboundFailure::Timeout);
    } else {
      one->wake();
    }
  }
  drop_old(now);
  if (!busy_.empty() || idle_count_ > 0) tick();
}

void UpstreamPool::drop_old(SteadyTime now) {
  for (auto line = idle_.begin(); line != idle_.end();) {
    auto& waiting = line->second;
    while (!waiting.empty() && now - waiting.front()->idle_since() > limits_.idle_time_max) {
      waiting.pop_front();
      --idle_count_;
    }
    line = waiting.empty() ? idle_.erase(line) : std::next(line);
  }
}

}  // namespace assistiv::net
