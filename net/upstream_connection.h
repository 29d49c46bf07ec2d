#pragma once
// One connection to a model provider, plain or TLS. Internal; used on its I/O thread only.
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/http_client.h"
#include "core/task.h"
#include "net/url_guard.h"

namespace assistiv::net {

// Links the connection into its shard's list while an exchange runs on it.
using BusyHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

class UpstreamConnection : public BusyHook, public std::enable_shared_from_this<UpstreamConnection> {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // `tls` is null for plain.
  UpstreamConnection(core::AnyExecutor executor, std::shared_ptr<boost::asio::ssl::context> tls,
                     std::string key);

  // TCP, then TLS with the certificate checked for the URL's host. False when it did not come about.
  core::Task<bool> connect(std::string address, Url url);
  core::Task<boost::system::error_code> write(std::string_view head, std::string_view body);
  // Appends what arrives to the buffer, which must have room; 0 bytes with an error or at the end.
  core::Task<boost::system::error_code> read_more();

  // What has arrived and was not taken yet.
  std::string_view arrived() const { return {buffer_.data() + taken_, filled_ - taken_}; }
  void take(std::size_t bytes) { taken_ += bytes; }
  // Nothing of a line or head that is larger than this can be waited for.
  bool buffer_full() const { return filled_ - taken_ >= kBufferMax; }

  // Nothing to read and not closed: fit for another request.
  bool is_quiet();
  void close();

  // Past `deadline` the shard's sweep calls give_up(Timeout).
  void set_deadline(SteadyTime deadline) { deadline_ = deadline; }
  SteadyTime deadline() const { return deadline_; }
  // Ends the pending operation; the first reason stays.
  void give_up(core::OutboundFailure reason);
  // Ends a pending read without closing; the bytes stay for the next one. Called by the shard past `wake_at`.
  void wake();
  void set_wake(SteadyTime at) {
    wake_at_ = at;
    woken_ = false;
  }
  SteadyTime wake_at() const { return wake_at_; }
  bool woken() const { return woken_; }
  // Why it was given up.
  std::optional<core::OutboundFailure> given_up() const { return given_up_; }
  void reuse(SteadyTime now);

  const core::AnyExecutor& executor() const { return executor_; }
  const std::string& key() const { return key_; }
  SteadyTime idle_since() const { return idle_since_; }
  bool used_before() const { return used_before_; }

 private:
  using Socket = boost::asio::ip::tcp::socket;
  static constexpr std::size_t kBufferStart = 8 << 10;
  static constexpr std::size_t kBufferMax = 64 << 10;

  core::Task<bool> handshake(Url url);
  Socket& socket();
  void make_room();

  core::AnyExecutor executor_;
  const std::shared_ptr<boost::asio::ssl::context> tls_;
  const std::string key_;
  std::optional<Socket> plain_;
  std::optional<boost::asio::ssl::stream<Socket>> secure_;
  std::vector<char> buffer_;
  std::size_t taken_ = 0;
  std::size_t filled_ = 0;
  SteadyTime deadline_ = SteadyTime::max();
  SteadyTime wake_at_ = SteadyTime::max();
  SteadyTime idle_since_{};
  bool woken_ = false;
  std::optional<core::OutboundFailure> given_up_;
  bool used_before_ = false;
};

using UpstreamConnectionPtr = std::shared_ptr<UpstreamConnection>;

}  // namespace assistiv::net
