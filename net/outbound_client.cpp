#include "net/outbound_client.h"

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <vector>

#include "core/async.h"
#include "core/error.h"
#include "core/metrics.h"
#include "net/exchange.h"
#include "net/reply_head.h"
#include "net/rest_client.h"

namespace assistiv::net {

using core::OutboundError;
using core::OutboundFailure;
using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

namespace {

// How often the size of what arrives is looked at; between two looks an upstream can send this long.
constexpr std::chrono::milliseconds kLook{25};
// Status line, fields and chunk heads around a body of the allowed size.
constexpr std::uint64_t kAroundBody = 128 << 10;
constexpr std::size_t kAddressesTried = 3;
// Pooled connections found closed before a request is given a fresh client.
constexpr int kStaleMax = 3;
constexpr std::chrono::milliseconds kTimeoutMax{10 * 60 * 1000};

std::chrono::milliseconds until(SteadyTime deadline) {
  return std::max(std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()),
                  std::chrono::milliseconds(0));
}

bool is_method(std::string_view method) {
  return !method.empty() && method.size() <= 16 &&
         std::all_of(method.begin(), method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

Url checked_url(const core::OutboundRequest& request, Reach reach) {
  std::string why;
  const auto url = parse_url(request.url, &why);
  if (!url) throw OutboundError(OutboundFailure::Refused, "malformed URL: " + why);
  if (const auto refused = vet_url(*url, reach))
    throw OutboundError(OutboundFailure::Refused, url->host + ": " + *refused);
  const auto& allowed = request.allowed_hosts;
  if (std::none_of(allowed.begin(), allowed.end(),
                   [&](const std::string& one) { return host_allowed(*url, one); }))
    throw OutboundError(OutboundFailure::Refused, url->authority() + " is not one of the allowed hosts");
  if (!is_method(request.method) || !sendable(request.headers))
    throw OutboundError(OutboundFailure::Refused, "the method or a header field cannot be sent");
  return *url;
}

std::string_view name_of(OutboundFailure failure) {
  switch (failure) {
    case OutboundFailure::Refused:
      return "refused";
    case OutboundFailure::ConnectFailed:
      return "connect_failed";
    case OutboundFailure::Timeout:
      return "timeout";
    case OutboundFailure::Cancelled:
      return "cancelled";
    case OutboundFailure::TooLarge:
      return "too_large";
    case OutboundFailure::Broken:
      return "broken";
  }
  return "broken";
}

core::metrics::Counter& counter_of(std::string_view result) {
  return core::metrics::counter("assistiv_outbound_exchanges_total", "Outbound HTTP exchanges by result.",
                                {{"result", std::string(result)}});
}

// Looked up once: the registry has a lock and builds the labels anew.
core::metrics::Counter& failure_counter(OutboundFailure failure) {
  static const auto counters = [] {
    std::array<core::metrics::Counter*, 6> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = &counter_of(name_of(OutboundFailure(i)));
    return out;
  }();
  static_assert(static_cast<std::size_t>(OutboundFailure::Broken) == 5);
  return *counters[static_cast<std::size_t>(failure)];
}

core::metrics::Counter& response_counter() {
  static auto& counter = counter_of("response");
  return counter;
}

struct IdleClient {
  std::shared_ptr<RestClient> client;
  SteadyTime since;
};

// Clients between two exchanges, newest last. Thread-safe.
class IdleClients {
 public:
  IdleClients(std::size_t count_max, std::chrono::seconds idle_max)
      : count_max_(count_max), idle_max_(idle_max) {}

  std::shared_ptr<RestClient> take(const std::string& key) {
    std::lock_guard lock(mutex_);
    drop_expired();
    const auto it = clients_.find(key);
    if (it == clients_.end()) return nullptr;
    auto client = std::move(it->second.back().client);
    it->second.pop_back();
    --count_;
    if (it->second.empty()) clients_.erase(it);
    return client;
  }

  void put(const std::string& key, std::shared_ptr<RestClient> client) {
    std::lock_guard lock(mutex_);
    drop_expired();
    if (count_ >= count_max_) return;
    clients_[key].push_back({std::move(client), SteadyClock::now()});
    ++count_;
  }

 private:
  // Looks through all at most once a second.
  void drop_expired() {
    const auto now = SteadyClock::now();
    if (now - swept_ < std::chrono::seconds(1)) return;
    swept_ = now;
    for (auto it = clients_.begin(); it != clients_.end();) {
      count_ -= std::erase_if(it->second, [&](const IdleClient& one) { return now - one.since > idle_max_; });
      it = it->second.empty() ? clients_.erase(it) : std::next(it);
    }
  }

  const std::size_t count_max_;
  const std::chrono::seconds idle_max_;
  std::mutex mutex_;
  std::map<std::string, std::vector<IdleClient>> clients_;
  std::size_t count_ = 0;
  SteadyTime swept_{};
};

// How many exchanges run per host, and who waits for one of them to end. Thread-safe.
class InFlight {
 public:
  struct Waiter {
    core::AsyncEvent called;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;

  InFlight(std::size_t per_host_max, std::size_t line_max)
      : per_host_max_(per_host_max), line_max_(line_max) {}

  // Null when the caller is in; nullopt when the line is full.
  std::optional<WaiterPtr> enter(const std::string& host) {
    std::lock_guard lock(mutex_);
    auto& at = hosts_[host];
    if (at.running < per_host_max_) {
      ++at.running;
      return WaiterPtr();
    }
    if (at.line.size() >= line_max_) return {};
    at.line.push_back(std::make_shared<Waiter>());
    return at.line.back();
  }
  // The place of one that left goes to the first in line.
  void leave(const std::string& host) {
    WaiterPtr next;
    {
      std::lock_guard lock(mutex_);
      const auto it = hosts_.find(host);
      auto& at = it->second;
      if (!at.line.empty()) {
        next = std::move(at.line.front());
        at.line.pop_front();
      } else if (--at.running == 0) {
        hosts_.erase(it);
      }
    }
    if (next) next->called.set();
  }
  // True when it still stood in line; else it has a place by now.
  bool give_up(const std::string& host, const WaiterPtr& waiter) {
    std::lock_guard lock(mutex_);
    const auto it = hosts_.find(host);
    return it != hosts_.end() && std::erase(it->second.line, waiter) > 0;
  }

 private:
  struct Host {
    std::size_t running = 0;
    std::deque<WaiterPtr> line;  // only while `running` is the most there may be
  };
  const std::size_t per_host_max_, line_max_;
  std::mutex mutex_;
  std::map<std::string, Host> hosts_;
};

// A place among a host's exchanges, or in its line.
class Turn {
 public:
  Turn(InFlight& in_flight, std::string host) : in_flight_(in_flight), host_(std::move(host)) {
    auto entered = in_flight_.enter(host_);
    if (!entered) throw too_many(host_);
    waiter_ = std::move(*entered);
  }
  ~Turn() {
    if (!waiter_ || !in_flight_.give_up(host_, waiter_)) in_flight_.leave(host_);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  InFlight::WaiterPtr waiter() const { return waiter_; }  // null: no need to wait
  static OutboundError too_many(const std::string& host) {
    return {OutboundFailure::ConnectFailed, host + " has too many calls in flight"};
  }

 private:
  InFlight& in_flight_;
  const std::string host_;
  InFlight::WaiterPtr waiter_;
};

struct Times {
  SteadyTime whole;
  std::chrono::milliseconds connect;
};

// Why the exchange must be given up now, if it must.
std::optional<OutboundFailure> verdict(const Exchange& exchange, const core::OutboundRequest& request,
                                       SteadyTime whole, SteadyTime connected_by) {
  if (request.stop.stop_requested()) return OutboundFailure::Cancelled;
  if (exchange.body.overflowed() || exchange.received.count() > request.response_bytes_max + kAroundBody)
    return OutboundFailure::TooLarge;
  const auto now = SteadyClock::now();
  if (!exchange.sent() && now >= connected_by) return OutboundFailure::ConnectFailed;
  if (now >= whole) return exchange.sent() ? OutboundFailure::Timeout : OutboundFailure::ConnectFailed;
  return {};
}

// Waits for the exchange to end, or ends it.
core::Task<std::optional<OutboundFailure>> watch(std::shared_ptr<Exchange> exchange,
                                                 std::shared_ptr<core::OutboundRequest> request,
                                                 Times times) {
  const auto connected_by = SteadyClock::now() + times.connect;
  while (exchange->end() == Exchange::End::None) {
    if (const auto failure = verdict(*exchange, *request, times.whole, connected_by)) co_return failure;
    const auto next = std::min(times.whole, exchange->sent() ? times.whole : connected_by);
    co_await exchange->changed.wait_for(std::min(until(next) + std::chrono::milliseconds(1), kLook),
                                        request->stop);
  }
  if (exchange->body.overflowed()) co_return OutboundFailure::TooLarge;
  if (exchange->end() == Exchange::End::Response) {
    // An interim response that cpprestsdk took for the final one; the real one is still to come on that
    // connection.
    if (exchange->response.status < 200) co_return OutboundFailure::Broken;
    co_return std::nullopt;
  }
  co_return exchange->sent() ? OutboundFailure::Broken : OutboundFailure::ConnectFailed;
}

}  // namespace

struct OutboundClient::State {
  State(OutboundOptions given, Resolver& the_resolver)
      : options(std::move(given)),
        resolver(the_resolver),
        trust(load_trust(options.ca_file)),
        idle(options.clients_max, options.client_idle_max),
        in_flight(options.in_flight_per_host_max, options.line_per_host_max) {}

  const OutboundOptions options;
  Resolver& resolver;
  const std::shared_ptr<X509_STORE> trust;
  IdleClients idle;
  InFlight in_flight;

  static core::Task<std::vector<std::string>> addresses(std::shared_ptr<State> state, Url url,
                                                        SteadyTime whole, std::stop_token stop);
  static core::Task<core::OutboundResponse> exchange(std::shared_ptr<State> state, Url url,
                                                     std::string address,
                                                     std::shared_ptr<core::OutboundRequest> request,
                                                     SteadyTime whole);
  static core::Task<core::OutboundResponse> send(std::shared_ptr<State> state,
                                                 std::shared_ptr<core::OutboundRequest> request);
};

// The addresses to try, every one of them vetted: one bad address among good ones is an attack, not an
// accident.
core::Task<std::vector<std::string>> OutboundClient::State::addresses(std::shared_ptr<State> state, Url url,
                                                                      SteadyTime whole,
                                                                      std::stop_token stop) {
  if (url.is_address) co_return std::vector<std::string>{url.host};
  auto found = co_await state->resolver.resolve(url.host, until(whole), stop);
  if (stop.stop_requested())
    throw OutboundError(OutboundFailure::Cancelled, "cancelled before a connection was made");
  if (found.empty()) throw OutboundError(OutboundFailure::ConnectFailed, url.host + " does not resolve");
  for (const auto& address : found)
    if (const auto why = vet_address(address, state->options.reach))
      throw OutboundError(OutboundFailure::Refused, url.host + " resolves to " + address + ": " + *why);
  // IPv4 first: where IPv6 is advertised but goes nowhere, it would cost a connect timeout on each call.
  std::stable_partition(found.begin(), found.end(),
                        [](const std::string& address) { return address.find(':') == std::string::npos; });
  if (found.size() > kAddressesTried) found.resize(kAddressesTried);
  co_return found;
}

core::Task<core::OutboundResponse> OutboundClient::State::exchange(
    std::shared_ptr<State> state, Url url, std::string address,
    std::shared_ptr<core::OutboundRequest> request, SteadyTime whole) {
  const std::string key =
      (url.scheme == Scheme::Https ? "https " : "http ") + url.authority() + " " + address;
  for (int stale = 0;; ++stale) {
    auto client = stale < kStaleMax ? state->idle.take(key) : nullptr;
    if (!client) client = std::make_shared<RestClient>(url, address, state->trust);
    auto exchange = std::make_shared<Exchange>(request->response_bytes_max);
    client->start(request, url, exchange);
    const auto failure = co_await watch(exchange, request, Times{whole, state->options.connect_timeout});
    if (!failure) {
      state->idle.put(key, std::move(client));
      exchange->response.body = exchange->body.take();
      co_return std::move(exchange->response);
    }
    client->cancel();
    if (exchange->end() == Exchange::End::StaleConnection) continue;
    throw OutboundError(*failure, url.authority() + " (" + address + "): " + std::string(name_of(*failure)) +
                                      " " + exchange->detail());
  }
}

core::Task<core::OutboundResponse> OutboundClient::State::send(
    std::shared_ptr<State> state, std::shared_ptr<core::OutboundRequest> request) {
  const Url url = checked_url(*request, state->options.reach);
  const auto whole = SteadyClock::now() + std::min(request->timeout, kTimeoutMax);
  const Turn turn(state->in_flight, url.authority());
  if (const auto waiter = turn.waiter()) {
    const bool called = co_await waiter->called.wait_for(
        std::min(request->timeout, state->options.line_time_max), request->stop);
    if (request->stop.stop_requested())
      throw OutboundError(OutboundFailure::Cancelled, "cancelled before a connection was made");
    if (!called) throw Turn::too_many(url.authority());
  }
  const auto addresses = co_await State::addresses(state, url, whole, request->stop);
  for (std::size_t i = 0;; ++i) {
    try {
      co_return co_await exchange(state, url, addresses[i], request, whole);
    } catch (const OutboundError& e) {
      const bool next = e.failure() == OutboundFailure::ConnectFailed && i + 1 < addresses.size() &&
                        SteadyClock::now() < whole;
      if (!next) throw;
    }
  }
}

OutboundClient::OutboundClient(OutboundOptions options, Resolver& resolver)
    : state_(std::make_shared<State>(std::move(options), resolver)) {}

OutboundClient::~OutboundClient() = default;

core::Task<core::OutboundResponse> OutboundClient::send(core::OutboundRequest request) {
  auto state = state_;
  try {
    auto response = co_await State::send(state, std::make_shared<core::OutboundRequest>(std::move(request)));
    response_counter().add();
    co_return response;
  } catch (const OutboundError& e) {
    failure_counter(e.failure()).add();
    throw;
  }
}

}  // namespace assistiv::net
