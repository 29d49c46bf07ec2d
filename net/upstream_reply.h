#pragma once
// The reading side of one exchange with a provider. Internal.
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

#include "core/upstream.h"
#include "net/upstream_connection.h"
#include "net/upstream_pool.h"

namespace assistiv::net {

struct UpstreamTimes {
  std::chrono::milliseconds first_byte;
  std::chrono::milliseconds idle;
  std::chrono::steady_clock::time_point deadline;
};

class PooledUpstreamReply final : public core::UpstreamReply {
 public:
  PooledUpstreamReply(std::shared_ptr<UpstreamPool> pool, UpstreamConnectionPtr connection,
                      UpstreamTimes times, std::stop_token stop);
  ~PooledUpstreamReply() override;

  // Writes and reads the head. False: a pooled connection was closed before a byte of the reply came. Throws
  // OutboundError.
  core::Task<bool> exchange(std::string_view head, std::string_view body);

  int status() const override { return status_; }
  const core::HttpHeaders& headers() const override { return headers_; }
  core::Task<std::string> read(std::size_t max) override;
  core::Task<std::optional<std::string>> read_within(std::size_t max, std::chrono::milliseconds patience,
                                                     std::stop_token wake) override;

 private:
  using Parser = boost::beast::http::response_parser<boost::beast::http::buffer_body>;
  struct OnStop {
    std::weak_ptr<UpstreamConnection> connection;
    core::AnyExecutor executor;
    void operator()() const;
  };

  struct OnWake {
    std::weak_ptr<UpstreamConnection> connection;
    core::AnyExecutor executor;
    void operator()() const;
  };

  core::Task<bool> read_head();
  void start_parser();
  void keep_head();
  // Parses body bytes that are here into `out`; false when more must arrive.
  bool parse_body(std::string& out, std::size_t max);
  // Forgets the idle time that has passed: a new wait begins.
  void begin_wait(std::chrono::milliseconds patience);
  core::Task<> read_some();
  void parse(bool body);
  void end();
  [[noreturn]] void fail(const std::string& why);

  std::shared_ptr<UpstreamPool> pool_;
  UpstreamConnectionPtr connection_;  // null after the end
  const UpstreamTimes times_;
  std::optional<std::stop_callback<OnStop>> on_stop_;
  std::optional<Parser> parser_;
  int status_ = 0;
  core::HttpHeaders headers_;
  bool ended_ = false;
  bool waiting_ = false;  // the deadline stands for a wait that has begun
  bool reached_eof_ = false;
};

}  // namespace assistiv::net
