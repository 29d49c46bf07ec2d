#include "net/upstream_reply.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <limits>

namespace assistiv::net {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::error_code;
using core::OutboundError;
using core::OutboundFailure;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kHeadMax = 32 << 10;
constexpr int kInterimMax = 8;

}  // namespace

void PooledUpstreamReply::OnStop::operator()() const {
  boost::asio::post(executor, [weak = connection] {
    if (const auto alive = weak.lock()) alive->give_up(OutboundFailure::Cancelled);
  });
}

void PooledUpstreamReply::OnWake::operator()() const {
  boost::asio::post(executor, [weak = connection] {
    if (const auto alive = weak.lock()) alive->wake();
  });
}

PooledUpstreamReply::PooledUpstreamReply(std::shared_ptr<UpstreamPool> pool, UpstreamConnectionPtr connection,
                                         UpstreamTimes times, std::stop_token stop)
    : pool_(std::move(pool)), connection_(std::move(connection)), times_(times) {
  if (stop.stop_possible()) on_stop_.emplace(stop, OnStop{connection_, connection_->executor()});
}

PooledUpstreamReply::~PooledUpstreamReply() {
  on_stop_.reset();
  if (connection_) connection_->close();
}

void PooledUpstreamReply::fail(const std::string& why) {
  const auto reason = connection_->given_up().value_or(OutboundFailure::Broken);
  connection_->close();
  throw OutboundError(reason, connection_->key() + ": " + why);
}

void PooledUpstreamReply::begin_wait(std::chrono::milliseconds patience) {
  waiting_ = true;
  connection_->set_deadline(std::min(times_.deadline, SteadyClock::now() + patience));
}

core::Task<> PooledUpstreamReply::read_some() {
  const auto error = co_await connection_->read_more();
  if (connection_->given_up()) fail("gave up waiting");
  if (error == boost::asio::error::operation_aborted && connection_->woken()) co_return;
  waiting_ = false;
  if (error) reached_eof_ = true;
}

core::Task<bool> PooledUpstreamReply::exchange(std::string_view head, std::string_view body) {
  begin_wait(times_.first_byte);
  // A write that fails may have been answered all the same (413 and close): the reading decides.
  co_await connection_->write(head, body);
  if (connection_->given_up()) fail("gave up sending");
  co_return co_await read_head();
}

void PooledUpstreamReply::start_parser() {
  parser_.emplace();
  parser_->header_limit(kHeadMax);
  parser_->body_limit(std::numeric_limits<std::uint64_t>::max());
}

core::Task<bool> PooledUpstreamReply::read_head() {
  start_parser();
  for (int interim = 0; interim < kInterimMax;) {
    if (!connection_->arrived().empty()) parse(false);
    if (!parser_->is_header_done()) {
      if (reached_eof_ && connection_->used_before() && !parser_->got_some() && interim == 0) co_return false;
      if (reached_eof_) fail("closed before the head of a reply");
      if (connection_->buffer_full()) fail("the head of the reply is too large");
      co_await read_some();
      continue;
    }
    if (parser_->get().result_int() >= 200) {
      keep_head();
      co_return true;
    }
    start_parser();
    ++interim;
  }
  fail("too many interim replies");
}

// One step of Beast's parser, which stops after the head and after each piece of the body.
void PooledUpstreamReply::parse(bool body) {
  const auto arrived = connection_->arrived();
  error_code error;
  const std::size_t used = parser_->put(boost::asio::buffer(arrived.data(), arrived.size()), error);
  connection_->take(used);
  if (error == http::error::need_more || (body && error == http::error::need_buffer)) return;
  if (error) fail("malformed reply: " + error.message());
}

void PooledUpstreamReply::keep_head() {
  status_ = static_cast<int>(parser_->get().result_int());
  for (const auto& field : parser_->get())
    headers_.add(std::string(field.name_string()), std::string(field.value()));
  const auto encoding = headers_.get("content-encoding");
  if (encoding && !encoding->empty() && !core::equals_ignore_case(*encoding, "identity"))
    fail("the body is compressed, which was not asked for");
  if (parser_->is_done()) end();
}

bool PooledUpstreamReply::parse_body(std::string& out, std::size_t max) {
  out.resize(std::min(max, std::max<std::size_t>(connection_->arrived().size(), 1)));
  auto& body = parser_->get().body();
  while (!parser_->is_done() && !connection_->arrived().empty()) {
    const std::size_t before = connection_->arrived().size();
    body.data = out.data();
    body.size = out.size();
    parse(true);
    const std::size_t got = out.size() - body.size;
    if (got > 0) {
      out.resize(got);
      if (parser_->is_done()) end();
      return true;
    }
    if (connection_->arrived().size() == before) break;
  }
  out.clear();
  return parser_->is_done();
}

core::Task<std::string> PooledUpstreamReply::read(std::size_t max) {
  auto piece = co_await read_within(max, times_.idle + std::chrono::hours(1), {});
  co_return piece ? *std::move(piece) : std::string();
}

core::Task<std::optional<std::string>> PooledUpstreamReply::read_within(std::size_t max,
                                                                        std::chrono::milliseconds patience,
                                                                        std::stop_token wake) {
  std::string out;
  std::optional<std::stop_callback<OnWake>> on_wake;
  if (!ended_) connection_->set_wake(SteadyClock::now() + patience);
  while (!ended_) {
    if (parse_body(out, max)) {
      if (!ended_ && parser_->is_done()) end();
      break;
    }
    if (reached_eof_) {
      error_code error;
      parser_->put_eof(error);
      if (error) fail("closed before the end of the body");
      end();
      break;
    }
    if (connection_->buffer_full()) fail("a chunk's head is too large");
    if (connection_->woken() || wake.stop_requested()) co_return std::nullopt;
    // The idle time counts from the last byte, however often the wait is broken off in between.
    if (!waiting_) begin_wait(times_.idle);
    if (!on_wake && wake.stop_possible()) on_wake.emplace(wake, OnWake{connection_, pool_->executor()});
    co_await read_some();
  }
  if (!ended_) connection_->set_wake(UpstreamConnection::SteadyTime::max());
  co_return out;
}

void PooledUpstreamReply::end() {
  ended_ = true;
  on_stop_.reset();
  auto connection = std::move(connection_);
  if (parser_->keep_alive() && !reached_eof_ && connection->arrived().empty() && !connection->given_up()) {
    pool_->give_back(std::move(connection));
  } else {
    connection->close();
  }
}

}  // namespace assistiv::net
