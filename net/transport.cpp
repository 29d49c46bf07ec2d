#include "net/transport.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <vector>

namespace assistiv::net {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kTlsReadBytes = 4096;

IoResult result_of(ssize_t n) {
  if (n > 0) return {IoState::Done, static_cast<std::size_t>(n)};
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return {IoState::WouldBlock, 0};
  return {IoState::Closed, 0};
}

class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(Socket socket) : socket_(std::move(socket)) {}

  core::Task<bool> handshake() override { co_return true; }

  void when_readable(std::shared_ptr<ReadListener> listener) override {
    socket_.async_wait(Socket::wait_read,
                       [listener = std::move(listener)](ErrorCode error) { listener->on_readable(error); });
  }

  IoResult read_now(std::span<char> into) override {
    return result_of(::recv(socket_.native_handle(), into.data(), into.size(), MSG_DONTWAIT));
  }

  IoResult write_now(Parts parts) override {
    iovec pieces[std::tuple_size_v<Parts>];
    for (std::size_t i = 0; i < parts.size(); ++i)
      pieces[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = parts.size();
    return result_of(::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT));
  }

  core::Task<IoResult> write_some(Parts parts) override {
    while (true) {
      ErrorCode error;
      co_await socket_.async_wait(Socket::wait_write, asio::redirect_error(asio::use_awaitable, error));
      if (error || !socket_.is_open()) co_return IoResult{IoState::Closed, 0};
      const IoResult result = write_now(parts);
      if (result.state != IoState::WouldBlock) co_return result;
    }
  }

  core::Task<> finish() override {
    ErrorCode ignored;
    socket_.shutdown(Socket::shutdown_send, ignored);
    co_return;
  }

  void close() override {
    ErrorCode ignored;
    socket_.close(ignored);
  }

 private:
  Socket socket_;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(Socket socket, std::shared_ptr<TlsContext> context)
      : context_(std::move(context)), stream_(std::move(socket), *context_) {}

  core::Task<bool> handshake() override {
    ErrorCode error;
    co_await stream_.async_handshake(asio::ssl::stream_base::server,
                                     asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  void when_readable(std::shared_ptr<ReadListener> listener) override {
    if (arrived_ > taken_)
      return asio::post(stream_.get_executor(), [listener] { listener->on_readable({}); });
    buffer_.resize(kTlsReadBytes);
    arrived_ = taken_ = 0;
    reading_ = true;
    stream_.async_read_some(asio::buffer(buffer_), [this, listener](ErrorCode error, std::size_t n) {
      reading_ = false;
      arrived_ = n;
      listener->on_readable(error);
    });
  }

  IoResult read_now(std::span<char> into) override {
    if (taken_ == arrived_) return {IoState::WouldBlock, 0};
    const std::size_t n = std::min(into.size(), arrived_ - taken_);
    std::memcpy(into.data(), buffer_.data() + taken_, n);
    taken_ += n;
    return {IoState::Done, n};
  }

  IoResult write_now(Parts) override { return {IoState::WouldBlock, 0}; }

  core::Task<IoResult> write_some(Parts parts) override {
    const auto part = parts[0].empty() ? parts[1] : parts[0];
    ErrorCode error;
    const std::size_t n = co_await stream_.async_write_some(asio::buffer(part.data(), part.size()),
                                                            asio::redirect_error(asio::use_awaitable, error));
    co_return IoResult{error ? IoState::Closed : IoState::Done, n};
  }

  core::Task<> finish() override {
    if (reading_) co_return;  // a pending read and a shutdown would both read
    ErrorCode ignored;
    co_await stream_.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
  }

  void close() override {
    ErrorCode ignored;
    stream_.lowest_layer().close(ignored);
  }

 private:
  std::shared_ptr<TlsContext> context_;
  asio::ssl::stream<Socket> stream_;
  std::vector<char> buffer_;
  std::size_t arrived_ = 0;
  std::size_t taken_ = 0;
  bool reading_ = false;
};

}  // namespace

std::unique_ptr<Transport> make_plain_transport(Socket socket) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

std::unique_ptr<Transport> make_tls_transport(Socket socket, std::shared_ptr<TlsContext> context) {
  return std::make_unique<TlsTransport>(std::move(socket), std::move(context));
}

}  // namespace assistiv::net
