#include "net/exchange.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>

namespace assistiv::net {

namespace {

std::uint64_t socket_cookie(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  return getsockopt(socket, SOL_SOCKET, SO_COOKIE, &cookie, &size) == 0 ? cookie : 0;
}

// linux/tcp.h knows more of the kernel's struct than glibc's header, but the two cannot be included together.
struct TcpInfo {
  tcp_info known;
  std::uint64_t pacing_rate;
  std::uint64_t max_pacing_rate;
  std::uint64_t bytes_acked;
  std::uint64_t bytes_received;
};
static_assert(sizeof(tcp_info) == 104 && offsetof(TcpInfo, bytes_received) == 128);

std::uint64_t received_on(int socket) {
  TcpInfo info{};
  socklen_t size = sizeof(info);
  return getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.bytes_received : 0;
}

}  // namespace

void CappedBody::append(const std::uint8_t* bytes, std::size_t count) {
  if (count > bytes_max_ - bytes_.size()) overflowed_ = true;
  if (!overflowed_) bytes_.append(reinterpret_cast<const char*>(bytes), count);
}

void ReceivedBytes::watch(int socket) {
  base_ = received_on(socket);
  cookie_ = socket_cookie(socket);
  socket_ = socket;
}

std::uint64_t ReceivedBytes::count() const {
  const int socket = socket_;
  if (socket < 0 || cookie_ == 0 || socket_cookie(socket) != cookie_) return 0;
  const std::uint64_t base = base_;
  return std::max(received_on(socket), base) - base;
}

void Exchange::finish(End end, std::string detail) {
  {
    std::lock_guard lock(mutex_);
    if (end_ != End::None) return;
    end_ = end;
    detail_ = std::move(detail);
  }
  changed.set();
}

void Exchange::set_sent(int socket) {
  if (sent_) return;
  received.watch(socket);
  sent_ = true;
}

Exchange::End Exchange::end() const {
  std::lock_guard lock(mutex_);
  return end_;
}

std::string Exchange::detail() const {
  std::lock_guard lock(mutex_);
  return detail_;
}

}  // namespace assistiv::net
