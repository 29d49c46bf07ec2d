#include "support/raw_client.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace assistiv::test {

namespace {

constexpr int kPatienceMs = 10'000;

void parse_head(std::string_view head, RawReply& reply) {
  const auto line = head.substr(0, head.find("\r\n"));
  reply.status = line.size() > 12 ? std::stoi(std::string(line.substr(9, 3))) : 0;
  head.remove_prefix(line.size() + 2);
  while (head.size() > 2) {
    const auto field = head.substr(0, head.find("\r\n"));
    const auto colon = field.find(": ");
    reply.headers.add(std::string(field.substr(0, colon)), std::string(field.substr(colon + 2)));
    head.remove_prefix(field.size() + 2);
  }
}

}  // namespace

RawClient::RawClient(std::uint16_t port, int receive_buffer_bytes) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
  if (receive_buffer_bytes > 0)
    setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(receive_buffer_bytes));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    throw std::runtime_error("cannot connect to the server under test");
}

RawClient::RawClient(std::uint16_t port, const std::string& ca_file, const std::string& name)
    : RawClient(port) {
  ::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_load_verify_file(context, ca_file.c_str());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  tls_ = SSL_new(context);
  SSL_CTX_free(context);
  SSL_set1_host(tls_, name.c_str());
  SSL_set_fd(tls_, fd_);
  if (SSL_connect(tls_) != 1) throw std::runtime_error("the TLS handshake failed");
}

RawClient::~RawClient() {
  if (tls_) SSL_free(tls_);
  if (fd_ >= 0) ::close(fd_);
}

RawClient::RawClient(RawClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      tls_(std::exchange(other.tls_, nullptr)),
      buffer_(std::move(other.buffer_)) {}

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = tls_ ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                        : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

bool RawClient::more() {
  pollfd wait{fd_, POLLIN, 0};
  const bool buffered = tls_ && SSL_pending(tls_) > 0;
  if (!buffered && ::poll(&wait, 1, kPatienceMs) <= 0)
    throw std::runtime_error("the server said nothing for ten seconds");
  char bytes[65536];
  const auto n = tls_ ? SSL_read(tls_, bytes, sizeof(bytes)) : ::recv(fd_, bytes, sizeof(bytes), 0);
  if (n <= 0) return false;
  buffer_.append(bytes, static_cast<std::size_t>(n));
  return true;
}

std::string RawClient::read_until(std::string_view mark) {
  std::size_t at = buffer_.find(mark);
  while (at == std::string::npos) {
    if (!more()) return {};
    at = buffer_.find(mark);
  }
  std::string out = buffer_.substr(0, at + mark.size());
  buffer_.erase(0, at + mark.size());
  return out;
}

std::optional<RawReply> RawClient::read_head() {
  const std::string head = read_until("\r\n\r\n");
  if (head.empty()) return {};
  RawReply reply;
  parse_head(head, reply);
  return reply;
}

std::optional<RawReply> RawClient::read_reply(bool head_only) {
  auto reply = read_head();
  if (!reply || head_only || reply->status == 204 || reply->status == 304 || reply->status < 200)
    return reply;
  if (reply->headers.get("transfer-encoding")) {
    while (true) {
      const std::string size = read_until("\r\n");
      if (size.empty()) return {};
      const std::size_t n = std::stoul(size, nullptr, 16);
      while (buffer_.size() < n + 2)
        if (!more()) return {};
      reply->body.append(buffer_, 0, n);
      buffer_.erase(0, n + 2);
      if (n == 0) return reply;
    }
  }
  const std::size_t n = std::stoul(std::string(reply->headers.get("content-length").value_or("0")));
  while (buffer_.size() < n)
    if (!more()) return {};
  reply->body = buffer_.substr(0, n);
  buffer_.erase(0, n);
  return reply;
}

std::optional<std::string> RawClient::read_to_end() {
  try {
    while (more()) {
    }
  } catch (const std::runtime_error&) {
    return {};
  }
  return std::exchange(buffer_, {});
}

bool RawClient::closed() {
  return buffer_.empty() && !more();
}

bool RawClient::readable() const {
  pollfd wait{fd_, POLLIN, 0};
  return !buffer_.empty() || ::poll(&wait, 1, 0) > 0;
}

void RawClient::finish() {
  ::shutdown(fd_, SHUT_WR);
}

void RawClient::reset() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  ::close(std::exchange(fd_, -1));
}

}  // namespace assistiv::test
