#include "net/upstream_connection.h"

#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>

namespace assistiv::net {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

// Above it, head and body are worth two TLS records; below, one copy is cheaper.
constexpr std::size_t kJoinedMax = 16 << 10;

}  // namespace

UpstreamConnection::UpstreamConnection(core::AnyExecutor executor, std::shared_ptr<asio::ssl::context> tls,
                                       std::string key)
    : executor_(std::move(executor)), tls_(std::move(tls)), key_(std::move(key)) {
  if (tls_) {
    secure_.emplace(executor_, *tls_);
  } else {
    plain_.emplace(executor_);
  }
}

UpstreamConnection::Socket& UpstreamConnection::socket() {
  return secure_ ? secure_->next_layer() : *plain_;
}

core::Task<bool> UpstreamConnection::connect(std::string address, Url url) {
  error_code error;
  const auto ip = asio::ip::make_address(address, error);
  if (error || given_up_) co_return false;
  co_await socket().async_connect({ip, url.port}, asio::redirect_error(asio::use_awaitable, error));
  if (error || given_up_) co_return false;
  socket().set_option(asio::ip::tcp::no_delay(true), error);
  if (secure_) co_return co_await handshake(std::move(url));
  co_return true;
}

core::Task<bool> UpstreamConnection::handshake(Url url) {
  SSL* ssl = secure_->native_handle();
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (url.is_address) {
    X509_VERIFY_PARAM_set1_ip_asc(parameters, url.host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(parameters, url.host.data(), url.host.size());
    SSL_set_tlsext_host_name(ssl, url.host.c_str());
  }
  error_code error;
  co_await secure_->async_handshake(asio::ssl::stream_base::client,
                                    asio::redirect_error(asio::use_awaitable, error));
  co_return !error && !given_up_;
}

core::Task<error_code> UpstreamConnection::write(std::string_view head, std::string_view body) {
  error_code error;
  if (secure_ && head.size() + body.size() <= kJoinedMax) {
    const std::string joined = std::string(head).append(body);
    co_await asio::async_write(*secure_, asio::buffer(joined),
                               asio::redirect_error(asio::use_awaitable, error));
    co_return error;
  }
  const std::array<asio::const_buffer, 2> parts{asio::buffer(head.data(), head.size()),
                                                asio::buffer(body.data(), body.size())};
  if (secure_) {
    co_await asio::async_write(*secure_, parts, asio::redirect_error(asio::use_awaitable, error));
  } else {
    co_await asio::async_write(*plain_, parts, asio::redirect_error(asio::use_awaitable, error));
  }
  co_return error;
}

void UpstreamConnection::make_room() {
  if (taken_ == filled_) taken_ = filled_ = 0;
  if (filled_ < buffer_.size()) return;
  if (taken_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + taken_, filled_ - taken_);
    filled_ -= taken_;
    taken_ = 0;
    return;
  }
  buffer_.resize(std::clamp(buffer_.size() * 2, kBufferStart, kBufferMax));
}

core::Task<error_code> UpstreamConnection::read_more() {
  make_room();
  const auto room = asio::buffer(buffer_.data() + filled_, buffer_.size() - filled_);
  error_code error;
  std::size_t got = 0;
  if (secure_) {
    got = co_await secure_->async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
  } else {
    got = co_await plain_->async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
  }
  filled_ += got;
  co_return error;
}

bool UpstreamConnection::is_quiet() {
  char byte = 0;
  return ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

void UpstreamConnection::close() {
  error_code ignored;
  socket().close(ignored);
}

void UpstreamConnection::give_up(core::OutboundFailure reason) {
  if (given_up_) return;
  given_up_ = reason;
  close();
}

void UpstreamConnection::wake() {
  if (wake_at_ == SteadyTime::max()) return;  // a message that came after its read had ended
  woken_ = true;
  wake_at_ = SteadyTime::max();
  error_code ignored;
  socket().cancel(ignored);
}

void UpstreamConnection::reuse(SteadyTime now) {
  idle_since_ = now;
  used_before_ = true;
  taken_ = filled_ = 0;
  deadline_ = wake_at_ = SteadyTime::max();
  woken_ = false;
}

}  // namespace assistiv::net
