#pragma once
// The connections of one I/O thread to all providers: idle ones by origin, busy ones with their deadlines.
// Internal; used on its thread only, so it has no locks.
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "core/task.h"
#include "net/upstream_connection.h"

namespace assistiv::net {

struct UpstreamPoolLimits {
  std::size_t idle_per_origin_max = 128;
  std::size_t idle_max = 512;
  std::size_t busy_max = 8192;
  std::chrono::milliseconds idle_time_max{50'000};
};

class UpstreamPool : public std::enable_shared_from_this<UpstreamPool> {
 public:
  UpstreamPool(core::AnyExecutor executor, UpstreamPoolLimits limits);

  // The idle connection that was used last, quiet; null when there is none.
  UpstreamConnectionPtr take(const std::string& key);
  // From here on its deadline is watched, until it dies or is given back. False: too many are busy.
  bool watch(UpstreamConnection& connection);
  void give_back(UpstreamConnectionPtr connection);
  void close();

  const core::AnyExecutor& executor() const { return executor_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  void tick();
  void sweep();
  void drop_old(SteadyTime now);

  const core::AnyExecutor executor_;
  const UpstreamPoolLimits limits_;
  boost::asio::steady_timer timer_;
  boost::intrusive::list<UpstreamConnection, boost::intrusive::base_hook<BusyHook>,
                         boost::intrusive::constant_time_size<false>>
      busy_;
  std::unordered_map<std::string, std::deque<UpstreamConnectionPtr>> idle_;
  std::size_t idle_count_ = 0;
  std::size_t busy_at_sweep_ = 0;
  std::size_t watched_since_ = 0;
  bool ticking_ = false;
  bool closed_ = false;
};

}  // namespace assistiv::net
