#pragma once
// One accepted connection: reads requests, calls the handler, writes replies and streams, watches for the
// client's end. Internal to the edge. Everything runs on the lane's thread; only run() is called from
// elsewhere.
#include <utility>  // boost/asio/awaitable.hpp uses std::exchange without it

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "core/http.h"
#include "net/edge.h"
#include "net/ip.h"
#include "net/reply_head.h"
#include "net/request_parser.h"
#include "net/transport.h"

namespace assistiv::net {

class Connection final : public Member, public ReadListener, public std::enable_shared_from_this<Connection> {
 public:
  // Reject: answer 503 without reading and close.
  enum class Purpose { Serve, Reject };

  Connection(std::shared_ptr<Edge> edge, std::shared_ptr<Lane> lane, std::unique_ptr<Transport> transport,
             IpAddress peer, bool tls);
  ~Connection() override;

  // The connection's whole life; to be spawned on the lane's executor.
  static core::Task<> run(std::shared_ptr<Connection> self, Purpose purpose);

  // One event of the stream `stream`, framed. False when that stream is over or the client is gone.
  core::Task<bool> write_event(std::uint64_t stream, std::string bytes);
  const core::AnyExecutor& executor() const { return lane_->executor(); }

  bool overdue(std::chrono::steady_clock::time_point now) const override {
    return deadline_ && now > *deadline_;
  }
  void expire() override;
  void drain() override;
  void abort() override;
  std::shared_ptr<Member> shared() override { return shared_from_this(); }
  void on_readable(ErrorCode error) override;

 private:
  // What a missed deadline means.
  enum class Expiry { CloseSilently, RefuseSlowRequest, Abort };
  enum class Activity { Idle, Reading, Handling, Streaming, Replying, Closing };

  // The share of Edge::bodies_bytes that one request's body takes.
  class BodyCharge {
   public:
    explicit BodyCharge(std::shared_ptr<Edge> edge) : edge_(std::move(edge)) {}
    BodyCharge(BodyCharge&& other) noexcept
        : edge_(std::move(other.edge_)), bytes_(std::exchange(other.bytes_, 0)) {}
    BodyCharge& operator=(BodyCharge&&) = delete;
    ~BodyCharge() {
      if (bytes_ > 0) edge_->bodies_bytes.fetch_sub(bytes_);
    }
    // False when all bodies together are too large.
    bool grow_to(std::size_t bytes);

   private:
    std::shared_ptr<Edge> edge_;
    std::size_t bytes_ = 0;
  };

  // What the reply must know of its request.
  struct Exchange {
    std::string request_id;
    bool http11 = true;
    bool keep_alive = true;
    bool head_only = false;
    BodyCharge charge;
  };

  struct Received {
    core::HttpRequest request;
    Exchange exchange;
  };

  using Resume = boost::asio::async_result<boost::asio::use_awaitable_t<>, void(bool)>::handler_type;
  using StreamBody = std::function<core::Task<>(std::shared_ptr<core::EventSink>)>;

  core::Task<> serve();
  core::Task<> reject();

  // The next request; empty when there is none and the connection ends (a refusal has been sent).
  core::Task<std::optional<Received>> receive();
  void begin_request();
  core::Task<bool> begin_body(bool expects_continue);
  Received complete(RequestParser& parser, BodyCharge charge);
  std::string request_id_for(const core::HttpRequest& request);
  core::Task<> refuse(Refusal refusal, std::string path = {});

  // These return whether the connection goes on.
  core::Task<bool> answer(core::HttpRequest request, Exchange exchange);
  core::Task<bool> send_reply(core::HttpReply reply, Exchange exchange);
  core::Task<bool> send_stream(core::HttpReply reply, Exchange exchange);
  core::Task<core::HttpReply> call_handler(core::HttpRequest request, std::string request_id);
  core::Task<bool> run_stream(StreamBody body, std::uint64_t number, std::string request_id);
  ReplyFrame frame_for(const Exchange& exchange, Framing framing) const;

  // Waits for more bytes in `input_`; false when there will be none or the deadline has passed.
  core::Task<bool> fill();
  core::Task<bool> send(std::string head, std::string body);
  core::Task<> linger();
  void watch_soon();
  void start_read();
  IoState take();
  void resume_reader(bool more);
  std::string_view pending() const { return std::string_view(input_).substr(consumed_); }
  void consume(std::size_t n);
  void shrink_input(std::size_t keep);
  void arm(std::chrono::milliseconds timeout, Expiry expiry);
  void disarm() { deadline_.reset(); }
  void client_gone();

  std::shared_ptr<Edge> edge_;
  std::shared_ptr<Lane> lane_;
  std::unique_ptr<Transport> transport_;
  const IpAddress peer_;
  const std::string peer_text_;
  const bool tls_;
  const bool trusted_;

  Activity activity_ = Activity::Idle;
  Expiry expiry_ = Expiry::Abort;
  std::optional<std::chrono::steady_clock::time_point> deadline_;
  bool timed_out_ = false;

  std::string input_;
  std::size_t consumed_ = 0;
  bool drained_ = true;   // the last read left nothing behind
  bool reading_ = false;  // on_readable() will be called
  bool ended_ = false;    // nothing more will come
  bool closed_ = false;
  bool writing_ = false;
  bool stream_chunked_ = false;
  std::optional<Resume> reader_;

  std::stop_source gone_{std::nostopstate};
  std::uint64_t requests_ = 0;
  std::uint64_t open_stream_ = 0;  // the request whose stream is open; 0: none
};

}  // namespace assistiv::net
