// The second half of a connection's work: from a whole request to the last byte of its reply.
#include "net/connection.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <charconv>

#include "core/error.h"
#include "core/log.h"

namespace assistiv::net {

namespace asio = boost::asio;

namespace {

// Bodies up to this size go out in one piece with the head.
constexpr std::size_t kJoinedBody = 16 << 10;

core::HttpReply internal_error_reply(std::string_view request_id) {
  return refusal_reply(
      {500, "internal_error", "Something went wrong on our side. Quote the request id when you report it."},
      request_id);
}

void log_failure(std::string_view event, std::string_view request_id, std::string_view what,
                 std::string_view detail) {
  core::log::error(event, {{"request_id", request_id}, {"error", what}, {"detail", detail}});
}

std::string chunk(std::string_view bytes) {
  char size[20];
  const auto end = std::to_chars(size, size + sizeof(size), bytes.size(), 16).ptr;
  std::string out;
  out.reserve(bytes.size() + 24);
  out.append(size, end).append("\r\n").append(bytes).append("\r\n");
  return out;
}

core::Task<bool> write_on_its_thread(std::shared_ptr<Connection> connection, std::uint64_t stream,
                                     std::string bytes) {
  co_return co_await connection->write_event(stream, std::move(bytes));
}

// Does not keep the connection alive: handlers may keep a sink for longer than the stream, and are kept by
// the server.
class StreamSink final : public core::EventSink {
 public:
  StreamSink(std::weak_ptr<Connection> connection, std::uint64_t stream)
      : connection_(std::move(connection)), stream_(stream) {}

  core::Task<bool> write(std::string bytes) override {
    const auto connection = connection_.lock();
    const auto stream = stream_;
    if (!connection) co_return false;
    const core::AnyExecutor here = co_await asio::this_coro::executor;
    if (here == connection->executor()) co_return co_await connection->write_event(stream, std::move(bytes));
    co_return co_await asio::co_spawn(connection->executor(),
                                      write_on_its_thread(connection, stream, std::move(bytes)),
                                      asio::use_awaitable);
  }

 private:
  std::weak_ptr<Connection> connection_;
  std::uint64_t stream_;
};

}  // namespace

core::Task<bool> Connection::answer(core::HttpRequest request, Exchange exchange) {
  disarm();
  ++requests_;
  activity_ = Activity::Handling;
  gone_ = std::stop_source();
  if (ended_) client_gone();
  request.gone = gone_.get_token();
  watch_soon();
  core::HttpReply reply = co_await call_handler(std::move(request), exchange.request_id);
  edge_->metrics.requests(reply.status).add();
  exchange.keep_alive = exchange.keep_alive && !edge_->draining;
  if (reply.stream && !exchange.head_only)
    co_return co_await send_stream(std::move(reply), std::move(exchange));
  co_return co_await send_reply(std::move(reply), std::move(exchange));
}

core::Task<core::HttpReply> Connection::call_handler(core::HttpRequest request, std::string request_id) {
  try {
    core::HttpReply reply = co_await edge_->handler(std::move(request));
    if (reply.status >= 200 && reply.status <= 599 && sendable(reply.headers)) co_return reply;
    log_failure("http.reply_malformed", request_id, "a header field or the status cannot be sent", {});
  } catch (const core::Error& e) {
    log_failure("http.handler_failed", request_id, e.what(), e.detail());
  } catch (const std::exception& e) {
    log_failure("http.handler_failed", request_id, e.what(), {});
  }
  co_return internal_error_reply(request_id);
}

ReplyFrame Connection::frame_for(const Exchange& exchange, Framing framing) const {
  ReplyFrame frame;
  frame.framing = framing;
  frame.close = !exchange.keep_alive;
  frame.keep_alive = exchange.keep_alive && !exchange.http11;
  frame.request_id = exchange.request_id;
  frame.date = lane_->date();
  return frame;
}

core::Task<bool> Connection::send_reply(core::HttpReply reply, Exchange exchange) {
  activity_ = Activity::Replying;
  std::string head = reply_head(reply, frame_for(exchange, Framing::Length));
  std::string body = exchange.head_only || bodiless(reply.status) ? std::string() : std::move(reply.body);
  if (body.size() <= kJoinedBody) {
    head += body;
    body.clear();
  }
  co_return co_await send(std::move(head), std::move(body)) && exchange.keep_alive;
}

core::Task<bool> Connection::send_stream(core::HttpReply reply, Exchange exchange) {
  stream_chunked_ = exchange.http11;
  exchange.keep_alive = exchange.keep_alive && stream_chunked_;
  std::string head =
      reply_head(reply, frame_for(exchange, stream_chunked_ ? Framing::Chunked : Framing::UntilClose));
  if (!reply.body.empty()) head += stream_chunked_ ? chunk(reply.body) : reply.body;
  StreamBody body = std::move(reply.stream);
  reply = {};
  if (!co_await send(std::move(head), {})) co_return false;

  activity_ = Activity::Streaming;
  open_stream_ = requests_;
  shrink_input(0);
  if (ended_ || edge_->draining) client_gone();
  edge_->metrics.streams.add(1);
  const bool whole = co_await run_stream(std::move(body), open_stream_, std::move(exchange.request_id));
  edge_->metrics.streams.add(-1);
  open_stream_ = 0;
  activity_ = Activity::Replying;
  if (!whole || writing_) abort();
  if (stream_chunked_ && !co_await send("0\r\n\r\n", {})) co_return false;
  co_return !closed_ && exchange.keep_alive;
}

core::Task<bool> Connection::run_stream(StreamBody body, std::uint64_t number, std::string request_id) {
  try {
    co_await body(std::make_shared<StreamSink>(weak_from_this(), number));
    co_return true;
  } catch (const core::Error& e) {
    // Cancelled: the handler wants the client to see that there was more to come.
    if (e.kind() != core::ErrorKind::Cancelled)
      log_failure("http.stream_failed", request_id, e.what(), e.detail());
  } catch (const std::exception& e) {
    log_failure("http.stream_failed", request_id, e.what(), {});
  }
  co_return false;
}

core::Task<bool> Connection::write_event(std::uint64_t stream, std::string bytes) {
  if (stream != open_stream_ || ended_) co_return false;
  if (bytes.empty()) co_return true;
  if (writing_) {
    core::log::error("http.stream_written_twice_at_once");
    abort();
    co_return false;
  }
  co_return co_await send(stream_chunked_ ? chunk(bytes) : std::move(bytes), {});
}

}  // namespace assistiv::net
