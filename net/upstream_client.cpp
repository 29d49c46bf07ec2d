#include "net/upstream_client.h"

#include <openssl/ssl.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/post.hpp>
#include <mutex>
#include <vector>

#include "core/async.h"
#include "core/error.h"
#include "core/metrics.h"
#include "net/reply_head.h"
#include "net/rest_client.h"
#include "net/upstream_pool.h"
#include "net/upstream_reply.h"

namespace assistiv::net {

namespace asio = boost::asio;
using core::OutboundError;
using core::OutboundFailure;
using core::UpstreamRequest;
using SteadyClock = std::chrono::steady_clock;
using SteadyTime = SteadyClock::time_point;

namespace {

constexpr std::size_t kAddressesTried = 3;

std::chrono::milliseconds until(SteadyTime deadline) {
  const auto now = SteadyClock::now();
  return deadline <= now ? std::chrono::milliseconds(0)
                         : std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now);
}

bool is_ours(std::string_view name) {
  for (const std::string_view one : {"host", "connection", "content-length", "transfer-encoding",
                                     "accept-encoding", "expect", "te", "upgrade"})
    if (core::equals_ignore_case(name, one)) return true;
  return false;
}

std::string request_head(const UpstreamRequest& request, const Url& url) {
  std::string head;
  head.reserve(512);
  head.append(request.method).append(" ").append(url.target).append(" HTTP/1.1\r\nhost: ");
  head.append(url.authority()).append("\r\naccept-encoding: identity\r\n");
  for (const auto& [name, value] : request.headers.fields())
    if (!is_ours(name)) head.append(name).append(": ").append(value).append("\r\n");
  if (!request.body.empty() || request.method == "POST")
    head.append("content-length: ").append(std::to_string(request.body.size())).append("\r\n");
  head.append("\r\n");
  return head;
}

std::shared_ptr<asio::ssl::context> make_tls(const std::string& ca_file) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX* native = context->native_handle();
  const auto trust = load_trust(ca_file);
  SSL_CTX_set1_cert_store(native, trust.get());
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  context->set_verify_mode(asio::ssl::verify_peer);
  return context;
}

std::uint64_t next_serial() {
  static std::atomic<std::uint64_t> serial{0};
  return ++serial;
}

// The pools that this thread has, by the client they belong to.
struct ThreadPool {
  std::uint64_t client = 0;
  std::weak_ptr<UpstreamPool> pool;
};
thread_local std::vector<ThreadPool> t_pools;

core::metrics::Counter& connections_counter() {
  static auto& counter =
      core::metrics::counter("assistiv_upstream_connections_total", "Connections made to model providers.");
  return counter;
}

}  // namespace

struct PooledUpstreamClient::State {
  State(UpstreamOptions given, Resolver& the_resolver)
      : options(std::move(given)), resolver(the_resolver), tls(make_tls(options.ca_file)) {}

  const UpstreamOptions options;
  Resolver& resolver;
  const std::shared_ptr<asio::ssl::context> tls;
  const std::uint64_t serial = next_serial();
  std::mutex mutex;
  std::vector<std::shared_ptr<UpstreamPool>> pools;

  std::shared_ptr<UpstreamPool> pool_of(const core::AnyExecutor& executor);
  Url checked(const UpstreamRequest& request, Reach reach) const;
};

// One pool per thread and io_context; found without a lock but for the first time.
std::shared_ptr<UpstreamPool> PooledUpstreamClient::State::pool_of(const core::AnyExecutor& executor) {
  for (const auto& one : t_pools) {
    if (one.client != serial) continue;
    if (auto pool = one.pool.lock(); pool && pool->executor() == executor) return pool;
  }
  std::erase_if(t_pools, [](const ThreadPool& one) { return one.pool.expired(); });
  const UpstreamPoolLimits limits{options.idle_per_origin_max, options.idle_per_origin_max * 4,
                                  options.busy_max, options.idle_time_max};
  auto pool = std::make_shared<UpstreamPool>(executor, limits);
  t_pools.push_back({serial, pool});
  std::lock_guard lock(mutex);
  pools.push_back(pool);
  return pool;
}

Url PooledUpstreamClient::State::checked(const UpstreamRequest& request, Reach reach) const {
  std::string why;
  auto url = parse_url(request.url, &why);
  if (!url) throw OutboundError(OutboundFailure::Refused, "malformed URL: " + why);
  if (const auto refused = vet_url(*url, reach))
    throw OutboundError(OutboundFailure::Refused, url->host + ": " + *refused);
  const bool method =
      std::all_of(request.method.begin(), request.method.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  if (request.method.empty() || !method || !sendable(request.headers))
    throw OutboundError(OutboundFailure::Refused, "the method or a header field cannot be sent");
  return *std::move(url);
}

namespace {

// Every address is vetted, not only the one that is used: a bad one among good ones is an attack.
core::Task<std::vector<std::string>> vetted_addresses(Resolver* resolver, Url url, Reach reach,
                                                      SteadyTime deadline, std::stop_token stop) {
  if (url.is_address) co_return std::vector<std::string>{url.host};
  auto found = co_await resolver->resolve(url.host, until(deadline), stop);
  if (stop.stop_requested()) throw OutboundError(OutboundFailure::Cancelled, "cancelled before connecting");
  if (found.empty()) throw OutboundError(OutboundFailure::ConnectFailed, url.host + " does not resolve");
  for (const auto& address : found)
    if (const auto why = vet_address(address, reach))
      throw OutboundError(OutboundFailure::Refused, url.host + " resolves to " + address + ": " + *why);
  std::stable_partition(found.begin(), found.end(),
                        [](const std::string& one) { return one.find(':') == std::string::npos; });
  if (found.size() > kAddressesTried) found.resize(kAddressesTried);
  co_return found;
}

// A stop that comes while connecting closes the socket.
struct GiveUpOnStop {
  std::weak_ptr<UpstreamConnection> connection;
  core::AnyExecutor executor;
  void operator()() const {
    asio::post(executor, [weak = connection] {
      if (const auto alive = weak.lock()) alive->give_up(OutboundFailure::Cancelled);
    });
  }
};

struct Dial {
  std::shared_ptr<UpstreamPool> pool;
  std::shared_ptr<asio::ssl::context> tls;
  std::string key;
  Url url;
  std::vector<std::string> addresses;
  SteadyTime deadline;
  std::stop_token stop;
};

core::Task<UpstreamConnectionPtr> dial(Dial to) {
  for (const auto& address : to.addresses) {
    auto connection = std::make_shared<UpstreamConnection>(
        to.pool->executor(), to.url.scheme == Scheme::Https ? to.tls : nullptr, to.key);
    connection->set_deadline(to.deadline);
    if (!to.pool->watch(*connection))
      throw OutboundError(OutboundFailure::Refused, "too many connections to providers");
    std::stop_callback<GiveUpOnStop> on_stop(to.stop, GiveUpOnStop{connection, to.pool->executor()});
    connections_counter().add();
    if (co_await connection->connect(address, to.url)) co_return connection;
    connection->close();
    if (connection->given_up() == OutboundFailure::Cancelled)
      throw OutboundError(OutboundFailure::Cancelled, "cancelled while connecting");
    if (SteadyClock::now() >= to.deadline) break;
  }
  throw OutboundError(OutboundFailure::ConnectFailed, to.key + ": no connection");
}

}  // namespace

PooledUpstreamClient::PooledUpstreamClient(UpstreamOptions options, Resolver& resolver)
    : state_(std::make_shared<State>(std::move(options), resolver)) {}

PooledUpstreamClient::~PooledUpstreamClient() {
  std::lock_guard lock(state_->mutex);
  // The sockets die on the threads that they belong to.
  for (auto& pool : state_->pools) {
    const auto executor = pool->executor();
    asio::post(executor, [pool = std::move(pool)] { pool->close(); });
  }
  state_->pools.clear();
}

core::Task<std::unique_ptr<core::UpstreamReply>> PooledUpstreamClient::open(UpstreamRequest request) {
  auto state = state_;
  const Reach reach = request.allow_private ? Reach::LoopbackAndPrivate : state->options.reach;
  const Url url = state->checked(request, reach);
  if (request.stop.stop_requested()) throw OutboundError(OutboundFailure::Cancelled, "cancelled");
  const auto pool = state->pool_of(co_await core::current_executor());
  // A connection that was made under a looser rule is no other's.
  const std::string key = (url.scheme == Scheme::Https ? "https://" : "http://") + url.authority() +
                          (reach == Reach::PublicOnly ? "" : " private");
  const std::string head = request_head(request, url);
  const UpstreamTimes times{request.first_byte_timeout, request.idle_timeout, request.deadline};
  for (bool fresh = false;; fresh = true) {
    UpstreamConnectionPtr connection = fresh ? nullptr : pool->take(key);
    if (connection) {
      if (!pool->watch(*connection))
        throw OutboundError(OutboundFailure::Refused, "too many connections to providers");
    } else {
      const auto connected_by = std::min(request.deadline, SteadyClock::now() + request.connect_timeout);
      auto addresses = co_await vetted_addresses(&state->resolver, url, reach, connected_by, request.stop);
      connection =
          co_await dial({pool, state->tls, key, url, std::move(addresses), connected_by, request.stop});
    }
    auto reply = std::make_unique<PooledUpstreamReply>(pool, std::move(connection), times, request.stop);
    if (co_await reply->exchange(head, request.body)) co_return reply;
  }
}

}  // namespace assistiv::net
