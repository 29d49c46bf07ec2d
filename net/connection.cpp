#include "net/connection.h"

#include <boost/asio/post.hpp>

namespace assistiv::net {

namespace asio = boost::asio;

namespace {

// How long the rest of what a client sends is read and dropped after the last reply: closing with unread
// bytes would reset the connection and destroy the reply on its way.
constexpr std::chrono::milliseconds kLingerTimeout{2000};
// A client must take this much within one write_timeout.
constexpr std::size_t kWriteSlice = 64 << 10;
constexpr std::size_t kBodyNotCharged = 16 << 10;
constexpr std::size_t kInputKeepBytes = 2 << 10;
constexpr std::size_t kIdSuffixHex = 12;
// A connection that never waits lets others in after this many requests.
constexpr std::uint64_t kRequestsPerTurn = 32;

Refusal slow_request() {
  return {408, "request_timeout", "The request did not arrive in time."};
}

Refusal overloaded() {
  return {503, "unavailable", "The server is busy. Try again shortly."};
}

struct ParkReader {
  std::optional<asio::async_result<asio::use_awaitable_t<>, void(bool)>::handler_type>* slot;
  template <class Handler>
  void operator()(Handler handler) {
    slot->emplace(std::move(handler));
  }
};

void advance(Parts& parts, std::size_t n) {
  for (auto& part : parts) {
    const std::size_t used = std::min(n, part.size());
    part.remove_prefix(used);
    n -= used;
  }
}

bool empty(const Parts& parts) {
  return parts[0].empty() && parts[1].empty();
}

}  // namespace

bool Connection::BodyCharge::grow_to(std::size_t bytes) {
  if (bytes <= kBodyNotCharged || bytes <= bytes_) return true;
  const std::size_t more = bytes - bytes_;
  auto& all = edge_->bodies_bytes;
  std::size_t now = all.load();
  do {
    if (now + more > edge_->options.bodies_bytes_max) return false;
  } while (!all.compare_exchange_weak(now, now + more));
  bytes_ = bytes;
  return true;
}

Connection::Connection(std::shared_ptr<Edge> edge, std::shared_ptr<Lane> lane,
                       std::unique_ptr<Transport> transport, IpAddress peer, bool tls)
    : edge_(std::move(edge)),
      lane_(std::move(lane)),
      transport_(std::move(transport)),
      peer_(peer),
      peer_text_(peer.text()),
      tls_(tls),
      trusted_(edge_->trusted.contains(peer)) {}

Connection::~Connection() = default;

core::Task<> Connection::run(std::shared_ptr<Connection> self, Purpose purpose) {
  self->lane_->add(*self);
  if (purpose == Purpose::Serve) {
    co_await self->serve();
  } else {
    co_await self->reject();
  }
  self->abort();
  self->unlink();
}

core::Task<> Connection::serve() {
  arm(edge_->options.header_timeout, Expiry::Abort);
  if (!co_await transport_->handshake()) co_return;
  while (true) {
    auto received = co_await receive();
    if (!received) break;
    if (!co_await answer(std::move(received->request), std::move(received->exchange))) break;
    if (requests_ % kRequestsPerTurn == 0) co_await asio::post(lane_->executor(), asio::use_awaitable);
  }
  if (!ended_) co_await linger();
}

core::Task<> Connection::reject() {
  edge_->metrics.rejected.add();
  if (tls_) co_return;
  co_await refuse(overloaded());
  co_await linger();
}

core::Task<std::optional<Connection::Received>> Connection::receive() {
  using State = RequestParser::State;
  RequestParser parser(edge_->limits);
  BodyCharge charge(edge_);
  activity_ = Activity::Idle;
  shrink_input(kInputKeepBytes);
  arm(requests_ == 0 ? edge_->options.header_timeout : edge_->options.keep_alive_timeout,
      Expiry::CloseSilently);
  while (true) {
    const State before = parser.state();
    if (!pending().empty()) {
      begin_request();
      consume(parser.feed(pending()));
    } else if (edge_->draining && activity_ == Activity::Idle) {
      co_return std::nullopt;
    }
    const bool fits = charge.grow_to(parser.request().body.size());
    if (parser.state() == State::Refused || !fits) {
      co_await refuse(fits ? parser.refusal() : overloaded(), parser.request().path);
      co_return std::nullopt;
    }
    if (parser.state() == State::Complete) co_return complete(parser, std::move(charge));
    if (before == State::Head && parser.state() == State::Body &&
        !co_await begin_body(parser.expects_continue()))
      co_return std::nullopt;
    if (!co_await fill()) {
      if (timed_out_) co_await refuse(slow_request(), parser.request().path);
      co_return std::nullopt;
    }
  }
}

void Connection::begin_request() {
  if (activity_ != Activity::Idle) return;
  activity_ = Activity::Reading;
  arm(edge_->options.header_timeout, Expiry::RefuseSlowRequest);
}

core::Task<bool> Connection::begin_body(bool expects_continue) {
  if (expects_continue && pending().empty() && !co_await send("HTTP/1.1 100 Continue\r\n\r\n", {}))
    co_return false;
  arm(edge_->options.body_timeout, Expiry::RefuseSlowRequest);
  co_return true;
}

Connection::Received Connection::complete(RequestParser& parser, BodyCharge charge) {
  auto& request = parser.request();
  request.request_id = request_id_for(request);
  request.client_ip = trusted_ ? client_address(peer_, request.headers, edge_->trusted).text() : peer_text_;
  request.secure =
      trusted_ && request.headers.get("x-forwarded-proto") ? forwarded_secure(request.headers) : tls_;
  request.traceparent = valid_traceparent(request.headers);
  Exchange exchange{request.request_id, parser.http11(), parser.keep_alive(), request.method == "HEAD",
                    std::move(charge)};
  return {std::move(request), std::move(exchange)};
}

std::string Connection::request_id_for(const core::HttpRequest& request) {
  if (trusted_) {
    const auto given = request.headers.get("x-request-id");
    // Calls are billed by their id, and a proxy passes on what a caller made up: never twice the same.
    if (given && valid_request_id(*given)) return std::string(*given) + "-" + lane_->random_hex(kIdSuffixHex);
  }
  return lane_->new_request_id();
}

core::Task<> Connection::refuse(Refusal refusal, std::string path) {
  activity_ = Activity::Closing;
  const std::string id = lane_->new_request_id();
  core::HttpReply reply = refusal_reply(refusal, id);
  if (const auto& body_for = edge_->options.refusal_body)
    if (auto body = body_for(path, refusal.status, refusal.message)) reply.body = *std::move(body);
  if (refusal.status == 503) reply.headers.add("retry-after", "1");
  ReplyFrame frame;
  frame.close = true;
  frame.request_id = id;
  frame.date = lane_->date();
  edge_->metrics.requests(refusal.status).add();
  co_await send(reply_head(reply, frame) + reply.body, {});
}

core::Task<> Connection::linger() {
  activity_ = Activity::Closing;
  timed_out_ = false;
  arm(kLingerTimeout, Expiry::Abort);
  co_await transport_->finish();
  do {
    input_.clear();
    consumed_ = 0;
  } while (co_await fill());
}

core::Task<bool> Connection::fill() {
  if (ended_ || timed_out_) co_return false;
  if (!reading_) {
    const IoState state = drained_ ? IoState::WouldBlock : take();
    if (state != IoState::WouldBlock) co_return state == IoState::Done;
    start_read();
  }
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(bool)>(ParkReader{&reader_},
                                                                                      asio::use_awaitable);
}

core::Task<bool> Connection::send(std::string head, std::string body) {
  Parts left{head, body};
  std::size_t taken = kWriteSlice;
  writing_ = true;
  while (!closed_ && !empty(left)) {
    IoResult result = transport_->write_now(left);
    if (result.state == IoState::WouldBlock) {
      if (taken >= kWriteSlice) arm(edge_->options.write_timeout, Expiry::Abort);
      if (taken >= kWriteSlice) taken = 0;
      result = co_await transport_->write_some(left);
    }
    if (result.state == IoState::Closed) abort();
    advance(left, result.bytes);
    taken += result.bytes;
    edge_->metrics.bytes_out.add(result.bytes);
  }
  writing_ = false;
  disarm();
  co_return !closed_;
}

void Connection::start_read() {
  if (reading_ || closed_) return;
  reading_ = true;
  transport_->when_readable(shared_from_this());
}

void Connection::on_readable(ErrorCode error) {
  reading_ = false;
  if (closed_) return;
  if (error) {
    ended_ = true;
  } else if (take() == IoState::WouldBlock) {
    return start_read();
  }
  if (reader_) return resume_reader(!ended_);
  if (activity_ != Activity::Handling && activity_ != Activity::Streaming) return;
  if (ended_) return client_gone();
  if (pending().size() < edge_->limits.header_bytes_max) start_read();
}

IoState Connection::take() {
  auto& scratch = lane_->scratch();
  const IoResult result = transport_->read_now(scratch);
  drained_ = result.bytes < scratch.size();
  if (result.state == IoState::Closed) ended_ = true;
  input_.append(scratch.data(), result.bytes);
  edge_->metrics.bytes_in.add(result.bytes);
  return result.state;
}

void Connection::resume_reader(bool more) {
  if (!reader_) return;
  auto handler = std::move(*reader_);
  reader_.reset();
  handler(more);
}

void Connection::consume(std::size_t n) {
  consumed_ += n;
  if (consumed_ == input_.size()) {
    input_.clear();
    consumed_ = 0;
  } else if (consumed_ > input_.size() / 2) {
    input_.erase(0, consumed_);
    consumed_ = 0;
  }
}

void Connection::shrink_input(std::size_t keep) {
  if (input_.empty() && input_.capacity() > keep) std::string().swap(input_);
}

// Starts to watch for the client's end once the handler has shown that it takes its time.
void Connection::watch_soon() {
  asio::post(lane_->executor(), [self = shared_from_this(), request = requests_] {
    const bool busy = self->activity_ == Activity::Handling || self->activity_ == Activity::Streaming;
    if (busy && self->requests_ == request && self->pending().size() < self->edge_->limits.header_bytes_max)
      self->start_read();
  });
}

void Connection::arm(std::chrono::milliseconds timeout, Expiry expiry) {
  deadline_ = lane_->now() + timeout + lane_->tick();
  expiry_ = expiry;
}

void Connection::expire() {
  disarm();
  if (expiry_ == Expiry::CloseSilently) return abort();
  edge_->metrics.timeouts.add();
  if (expiry_ == Expiry::Abort) return abort();
  timed_out_ = true;
  resume_reader(false);
}

void Connection::client_gone() {
  if (gone_.stop_possible()) gone_.request_stop();
}

void Connection::drain() {
  if (activity_ == Activity::Idle) return abort();
  if (activity_ == Activity::Streaming) client_gone();
}

void Connection::abort() {
  if (closed_) return;
  closed_ = ended_ = true;
  disarm();
  transport_->close();
  client_gone();
  resume_reader(false);
}

}  // namespace assistiv::net
