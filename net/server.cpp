#include "net/server.h"

#include <netinet/tcp.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <condition_variable>
#include <mutex>

#include "core/async.h"
#include "core/error.h"
#include "core/log.h"
#include "net/connection.h"
#include "net/edge.h"
#include "net/ip.h"
#include "net/tls_context.h"
#include "net/transport.h"

namespace assistiv::net {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

namespace {

constexpr int kListenBacklog = 4096;
constexpr std::size_t kDescriptorBlock = 256;
// Connections past connections_max that are told so; more are closed without a word.
constexpr std::size_t kRejectionsMax = 256;
constexpr std::size_t kFilesBesidesConnections = 1024;
constexpr std::chrono::seconds kStopWait{10};
constexpr std::chrono::milliseconds kAcceptPause{100};

// What a person can do about it, in the names of the settings.
std::string remedy(const boost::system::error_code& error, const ServerOptions& options) {
  if (error == boost::system::errc::address_not_available) {
    return "Set ASSISTIV_LISTEN_ADDRESS (listen_address in the file) to an address of this machine.";
  }
  const std::string other =
      error == boost::system::errc::permission_denied ? "a port from 1024 on" : "a free port";
  return "Stop what uses port " + std::to_string(options.port) +
         " or set ASSISTIV_PORT (port in the file) to " + other + "; 0 takes any.";
}

core::Error unusable(const char* option, std::string message) {
  return core::Error(core::ErrorKind::InvalidArgument, std::string(option) + ": " + std::move(message))
      .with_field(option);
}

void check(const ServerOptions& options) {
  if (!IpAddress::parse(options.address))
    throw unusable("address", "\"" + options.address + "\" is not an IP address.");
  if (options.header_bytes_max < 1024) throw unusable("header_bytes_max", "must be 1024 or more.");
  if (options.target_bytes_max > options.header_bytes_max)
    throw unusable("target_bytes_max", "must not be larger than header_bytes_max.");
  if (options.connections_max == 0) throw unusable("connections_max", "must be 1 or more.");
  for (const auto timeout :
       {options.header_timeout, options.body_timeout, options.keep_alive_timeout, options.write_timeout})
    if (timeout.count() <= 0) throw unusable("timeouts", "must be positive.");
}

// The soft limit of open files is often 1,024; the hard one is ours to use.
void raise_file_limit(std::size_t connections_max) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  const rlim_t wanted = connections_max + kFilesBesidesConnections;
  if (limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted)
    core::log::warn("server.file_limit_low", {{"limit", limit.rlim_cur}, {"wanted", wanted}});
}

void prepare(Tcp::socket& socket, std::chrono::milliseconds write_timeout) {
  ErrorCode ignored;
  socket.set_option(Tcp::no_delay(true), ignored);
  // A peer that vanished without a word is noticed when what was sent stays unacknowledged.
  const auto timeout = static_cast<unsigned>(write_timeout.count());
  setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof(timeout));
}

std::optional<IpAddress> peer_of(const Tcp::socket& socket) {
  ErrorCode error;
  auto address = socket.remote_endpoint(error).address();
  if (error) return {};
  if (address.is_v6()) {
    auto six = address.to_v6();
    six.scope_id(0);  // the zone of a link-local address
    address = six;
  }
  return IpAddress::parse(address.to_string());
}

bool out_of_files(const ErrorCode& error) {
  return error == boost::system::errc::too_many_files_open ||
         error == boost::system::errc::too_many_files_open_in_system ||
         error == boost::system::errc::no_buffer_space || error == boost::system::errc::not_enough_memory;
}

// Asio keeps its state of a descriptor for reuse and never frees it. Made one by one between the allocations
// of the connections, each would pin a page after they are gone; made in a block they share a few.
void reserve_descriptors(const core::AnyExecutor& executor, std::size_t count) {
  std::vector<Tcp::socket> sockets;
  sockets.reserve(count);
  ErrorCode error;
  while (sockets.size() < count && !error) sockets.emplace_back(executor).open(Tcp::v4(), error);
}

}  // namespace

struct Server::State : std::enable_shared_from_this<State> {
  State(std::shared_ptr<Edge> the_edge, IoThreads& io) : edge(std::move(the_edge)), acceptor(io.executor(0)) {
    for (std::size_t i = 0; i < io.size(); ++i) lanes.push_back(std::make_shared<Lane>(io.executor(i), edge));
  }

  void listen();
  const std::shared_ptr<Lane>& least_loaded();
  void take(Tcp::socket socket, const std::shared_ptr<Lane>& lane);
  void launch(std::shared_ptr<Connection> connection, std::shared_ptr<Lane> lane, Connection::Purpose purpose,
              AddressLimit::Seat seat);
  void ended_one();
  void stop_accepting();
  void each(void (Member::*action)());
  bool wait_until_idle(std::chrono::milliseconds timeout);
  std::shared_ptr<TlsContext> tls_now();

  std::shared_ptr<Edge> edge;
  std::vector<std::shared_ptr<Lane>> lanes;
  Tcp::acceptor acceptor;  // on lane 0's thread once started
  std::size_t turn = 0;    // there too
  std::uint16_t port = 0;
  core::TaskGroup accepting{"server"};

  std::mutex mutex;
  std::condition_variable idle;
  std::size_t running = 0;  // connections whose coroutine has not ended
  std::shared_ptr<TlsContext> tls;
};

void Server::State::listen() {
  const auto& options = edge->options;
  const Tcp::endpoint endpoint(asio::ip::make_address(options.address), options.port);
  try {
    acceptor.open(endpoint.protocol());
    acceptor.set_option(Tcp::acceptor::reuse_address(true));
    if (endpoint.address().is_v6()) acceptor.set_option(asio::ip::v6_only(false));
    acceptor.bind(endpoint);
    acceptor.listen(kListenBacklog);
    port = acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& e) {
    throw core::Error(core::ErrorKind::Unavailable,
                      "Cannot listen on " + options.address + " port " + std::to_string(options.port) + ": " +
                          e.code().message() + ". " + remedy(e.code(), options));
  }
}

// Few long-lived connections spread evenly this way; SO_REUSEPORT spreads them by hash and leaves threads
// idle.
const std::shared_ptr<Lane>& Server::State::least_loaded() {
  ++turn;
  std::size_t best = turn % lanes.size();
  for (std::size_t i = 1; i < lanes.size(); ++i) {
    const std::size_t other = (turn + i) % lanes.size();
    if (lanes[other]->load < lanes[best]->load) best = other;
  }
  return lanes[best];
}

void Server::State::take(Tcp::socket socket, const std::shared_ptr<Lane>& lane) {
  const auto peer = peer_of(socket);
  if (!peer) return;
  // Closed without a word: answering would give the one address what it was refused.
  auto seat =
      edge->trusted.contains(*peer) ? std::optional(AddressLimit::Seat()) : edge->addresses.enter(*peer);
  if (!seat) return edge->metrics.rejected.add();
  const std::size_t open = edge->connections;
  if (open >= edge->options.connections_max + kRejectionsMax) return edge->metrics.rejected.add();
  const auto purpose =
      open >= edge->options.connections_max ? Connection::Purpose::Reject : Connection::Purpose::Serve;
  prepare(socket, edge->options.write_timeout);
  const auto context = tls_now();
  auto transport =
      context ? make_tls_transport(std::move(socket), context) : make_plain_transport(std::move(socket));
  launch(std::make_shared<Connection>(edge, lane, std::move(transport), *peer, context != nullptr), lane,
         purpose, *std::move(seat));
}

void Server::State::launch(std::shared_ptr<Connection> connection, std::shared_ptr<Lane> lane,
                           Connection::Purpose purpose, AddressLimit::Seat seat) {
  edge->opened();
  edge->metrics.accepted.add();
  if (++lane->load >= lane->descriptors) {
    reserve_descriptors(lane->executor(), kDescriptorBlock);
    lane->descriptors += kDescriptorBlock;
  }
  {
    std::lock_guard lock(mutex);
    ++running;
  }
  const auto executor = lane->executor();
  asio::co_spawn(
      executor, Connection::run(std::move(connection), purpose),
      [self = shared_from_this(), lane = std::move(lane), seat = std::move(seat)](std::exception_ptr error) {
        if (error) core::log::error("http.connection_failed");
        --lane->load;
        self->ended_one();
      });
}

void Server::State::ended_one() {
  edge->closed();
  std::lock_guard lock(mutex);
  if (--running == 0) idle.notify_all();
}

void Server::State::stop_accepting() {
  edge->draining = true;
  asio::post(lanes[0]->executor(), [self = shared_from_this()] {
    ErrorCode ignored;
    self->acceptor.close(ignored);
  });
  accepting.stop();
}

void Server::State::each(void (Member::*action)()) {
  for (const auto& lane : lanes)
    asio::post(lane->executor(),
               [lane, action] { lane->for_each([action](Member& member) { (member.*action)(); }); });
}

bool Server::State::wait_until_idle(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex);
  return idle.wait_for(lock, timeout, [this] { return running == 0; });
}

std::shared_ptr<TlsContext> Server::State::tls_now() {
  std::lock_guard lock(mutex);
  return tls;
}

core::Task<> Server::accept_connections(std::shared_ptr<State> state) {
  while (state->acceptor.is_open()) {
    const auto lane = state->least_loaded();
    ErrorCode error;
    Tcp::socket socket = co_await state->acceptor.async_accept(
        lane->executor(), asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      state->take(std::move(socket), lane);
    } else if (out_of_files(error)) {
      core::log::warn("server.accept_failed", {{"error", error.message()}});
      co_await core::sleep_for(kAcceptPause);
    }
  }
}

Server::Server(ServerOptions options, IoThreads& io, core::Clock& clock, core::Random& random,
               core::HttpHandler handler) {
  check(options);
  state_ = std::make_shared<State>(
      std::make_shared<Edge>(std::move(options), clock, random, std::move(handler)), io);
  reload_tls();
}

Server::~Server() {
  stop();
}

void Server::start() {
  raise_file_limit(state_->edge->options.connections_max);
  state_->listen();
  state_->accepting.spawn(state_->lanes[0]->executor(), "server.accept",
                          [state = state_](std::stop_token) { return accept_connections(state); });
}

std::uint16_t Server::port() const {
  return state_->port;
}

void Server::reload_tls() {
  if (!state_->edge->options.tls) return;
  auto fresh = load_tls(*state_->edge->options.tls);
  std::lock_guard lock(state_->mutex);
  state_->tls = std::move(fresh);
}

bool Server::drain(std::chrono::milliseconds timeout) {
  state_->stop_accepting();
  state_->each(&Member::drain);
  return state_->wait_until_idle(timeout);
}

void Server::stop() {
  if (core::on_io_thread()) throw core::internal("Server::stop() was called on an I/O thread");
  state_->stop_accepting();
  state_->each(&Member::abort);
  if (!state_->wait_until_idle(kStopWait)) core::log::error("server.handlers_do_not_end");
}

std::size_t Server::connections() const {
  return state_->edge->connections;
}

}  // namespace assistiv::net
