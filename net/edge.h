#pragma once
// What the connections of one server share. Internal to the edge.
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/http.h"
#include "core/metrics.h"
#include "core/random.h"
#include "core/task.h"
#include "net/address_limit.h"
#include "net/peer.h"
#include "net/request_parser.h"
#include "net/server.h"

namespace assistiv::net {

struct EdgeMetrics {
  EdgeMetrics();
  core::metrics::Gauge& connections;
  core::metrics::Gauge& streams;
  core::metrics::Counter& accepted;
  core::metrics::Counter& rejected;
  core::metrics::Counter& timeouts;
  core::metrics::Counter& bytes_in;
  core::metrics::Counter& bytes_out;
  core::metrics::Counter& requests(int status) const { return *by_class[status / 100 % 6]; }
  core::metrics::Counter* by_class[6];
};

// Thread-safe: constant but for the atomics.
struct Edge {
  Edge(ServerOptions given, core::Clock& the_clock, core::Random& the_random, core::HttpHandler the_handler);

  const ServerOptions options;
  const RequestLimits limits;
  const TrustedProxies trusted;
  AddressLimit addresses;
  const core::HttpHandler handler;
  core::Clock& clock;
  core::Random& random;
  EdgeMetrics metrics;
  std::atomic<std::size_t> bodies_bytes{0};
  std::atomic<std::size_t> connections{0};
  std::atomic<std::size_t> peak{0};
  std::atomic<std::size_t> open_at_last_sweep{0};
  std::atomic<bool> draining{false};

  void opened();
  void closed();
  // Gives memory back to the system once many connections have gone: glibc keeps what they freed.
  void trim_after_peak();
};

using LaneHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

// A connection as its lane sees it. All calls come on the lane's thread.
class Member : public LaneHook {
 public:
  virtual ~Member() = default;
  // Past `now` the sweep calls expire().
  virtual bool overdue(std::chrono::steady_clock::time_point now) const = 0;
  virtual void expire() = 0;
  // The server drains: close when idle, end streams.
  virtual void drain() = 0;
  // The server stops: close in any case.
  virtual void abort() = 0;
  virtual std::shared_ptr<Member> shared() = 0;
};

// The part of the server that lives on one I/O thread: its connections, one timer for all their deadlines,
// and what they may use in turn. Only for that thread.
class Lane : public std::enable_shared_from_this<Lane> {
 public:
  Lane(core::AnyExecutor executor, std::shared_ptr<Edge> edge);

  void add(Member& member);
  // For deadlines: up to one tick behind.
  std::chrono::steady_clock::time_point now() const { return now_; }
  std::chrono::steady_clock::duration tick() const { return tick_; }
  const core::AnyExecutor& executor() const { return executor_; }
  std::vector<char>& scratch() { return scratch_; }
  std::string_view date() const { return date_; }
  std::string new_request_id();
  std::string random_hex(std::size_t digits);  // at most 24
  void for_each(const std::function<void(Member&)>& visit);

  // Connections given to this lane; any thread.
  std::atomic<std::size_t> load{0};
  std::size_t descriptors = 0;  // reserved ones; the accepting thread's

 private:
  void schedule();
  void sweep();
  void refresh();

  core::AnyExecutor executor_;
  std::shared_ptr<Edge> edge_;
  boost::asio::steady_timer timer_;
  std::chrono::steady_clock::duration tick_;
  std::chrono::steady_clock::time_point now_;
  bool ticking_ = false;
  boost::intrusive::list<Member, boost::intrusive::constant_time_size<false>> members_;
  std::vector<char> scratch_;
  std::string random_;
  std::string date_;
};

}  // namespace assistiv::net
