#include "support/http_imposter.h"

#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace assistiv::test {

namespace {

constexpr std::chrono::seconds kPatience{10};

// One accepted socket, plain or TLS; blocking.
class Wire {
 public:
  Wire(int fd, SSL_CTX* context) : fd_(fd) {
    if (!context) return;
    ssl_ = SSL_new(context);
    SSL_set_fd(ssl_, fd);
    ready_ = SSL_accept(ssl_) == 1;
  }
  ~Wire() {
    if (ssl_) SSL_free(ssl_);
    ::close(fd_);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  bool ready() const { return ready_; }
  std::string server_name() const {
    const char* name = ssl_ ? SSL_get_servername(ssl_, TLSEXT_NAMETYPE_host_name) : nullptr;
    return name ? name : "";
  }
  bool read(std::string& into) {
    char buffer[16384];
    const auto n = ssl_ ? SSL_read(ssl_, buffer, sizeof(buffer)) : ::recv(fd_, buffer, sizeof(buffer), 0);
    if (n <= 0) return false;
    into.append(buffer, static_cast<std::size_t>(n));
    return true;
  }
  bool write(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n =
          ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), 16384)))
               : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  // The next close() resets the connection.
  void reset_on_close() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  }

 private:
  int fd_;
  SSL* ssl_ = nullptr;
  bool ready_ = true;
};

std::size_t body_size(const core::HttpHeaders& headers) {
  const auto value = headers.get("content-length");
  return value ? std::stoul(std::string(*value)) : 0;
}

void read_head(std::string_view head, ImposterRequest& request) {
  const auto line_end = head.find("\r\n");
  const auto line = head.substr(0, line_end);
  const auto space = line.find(' ');
  request.method = line.substr(0, space);
  request.target = line.substr(space + 1, line.rfind(' ') - space - 1);
  head.remove_prefix(line_end + 2);
  while (head != "\r\n" && !head.empty()) {
    const auto end = head.find("\r\n");
    const auto field = head.substr(0, end);
    const auto colon = field.find(':');
    auto value = field.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    request.headers.add(std::string(field.substr(0, colon)), std::string(value));
    head.remove_prefix(end + 2);
  }
}

// The rest of a chunked body in `buffer` onwards.
bool read_chunks(Wire& wire, std::string& buffer, std::string& body) {
  while (true) {
    auto end = buffer.find("\r\n");
    while (end == std::string::npos) {
      if (!wire.read(buffer)) return false;
      end = buffer.find("\r\n");
    }
    const std::size_t size = std::stoul(buffer.substr(0, end), nullptr, 16);
    while (buffer.size() < end + 2 + size + 2)
      if (!wire.read(buffer)) return false;
    body.append(buffer, end + 2, size);
    buffer.erase(0, end + 2 + size + 2);
    if (size == 0) return true;
  }
}

bool read_request(Wire& wire, std::string& buffer, ImposterRequest& request) {
  auto end = buffer.find("\r\n\r\n");
  while (end == std::string::npos) {
    if (!wire.read(buffer)) return false;
    end = buffer.find("\r\n\r\n");
  }
  read_head(std::string_view(buffer).substr(0, end + 4), request);
  buffer.erase(0, end + 4);
  if (request.headers.get("transfer-encoding")) return read_chunks(wire, buffer, request.body);
  const std::size_t size = body_size(request.headers);
  while (buffer.size() < size)
    if (!wire.read(buffer)) return false;
  request.body = buffer.substr(0, size);
  buffer.erase(0, size);
  return true;
}

std::string head_of(const ImposterReply& reply) {
  std::string out = "HTTP/1.1 " + std::to_string(reply.status) + " Scripted\r\n";
  for (const auto& [name, value] : reply.headers.fields())
    out.append(name).append(": ").append(value).append("\r\n");
  if (reply.chunked) {
    out += "transfer-encoding: chunked\r\n";
  } else if (!reply.headers.get("content-length") && reply.status != 204 && reply.status != 304) {
    out += "content-length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  if (reply.close) out += "connection: close\r\n";
  return out + "\r\n";
}

std::string as_chunk(std::string_view bytes) {
  char size[20];
  std::snprintf(size, sizeof(size), "%zx\r\n", bytes.size());
  return size + std::string(bytes) + "\r\n";
}

template <class Address>
int listen_on(int family, Address address) {
  const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 || ::listen(fd, 128) != 0)
    throw std::runtime_error("the imposter cannot listen");
  return fd;
}

int listen_v4(std::uint16_t& port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = listen_on(AF_INET, address);
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return fd;
}

int listen_v6(std::uint16_t& port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const int fd = listen_on(AF_INET6, address);
  socklen_t size = sizeof(address);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin6_port);
  return fd;
}

}  // namespace

struct HttpImposter::State {
  mutable std::mutex mutex;
  mutable std::condition_variable_any changed;
  std::deque<ImposterReply> scripted;
  std::function<ImposterReply(const ImposterRequest&)> handler;
  std::vector<ImposterRequest> seen;
  std::string server_name;
  std::size_t accepted = 0;
  std::size_t open = 0;
  int listener = -1;
  ImposterFamily family = ImposterFamily::V4;
  std::uint16_t port = 0;
  SSL_CTX* tls = nullptr;
  std::list<int> sockets;
  std::list<std::jthread> threads;
  std::jthread acceptor;

  void accept_loop(std::stop_token stop);
  void serve(std::stop_token stop, int fd, std::size_t number);
  ImposterReply choose(const ImposterRequest& request);
  void pause(std::stop_token stop, std::chrono::milliseconds time) const;
  bool send(std::stop_token stop, Wire& wire, const ImposterReply& reply, const ImposterRequest& request);
  bool send_pieces(std::stop_token stop, Wire& wire, const ImposterReply& reply);
};

void HttpImposter::State::accept_loop(std::stop_token stop) {
  // OpenSSL writes without MSG_NOSIGNAL; the threads made here inherit the mask.
  sigset_t broken_pipe;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, nullptr);
  while (!stop.stop_requested()) {
    const int fd = ::accept(listener, nullptr, nullptr);
    if (fd < 0) return;
    std::lock_guard lock(mutex);
    sockets.push_back(fd);
    ++open;
    const std::size_t number = ++accepted;
    threads.emplace_back([this, fd, number](std::stop_token token) { serve(token, fd, number); });
  }
}

void HttpImposter::State::serve(std::stop_token stop, int fd, std::size_t number) {
  {
    Wire wire(fd, tls);
    std::string buffer;
    while (wire.ready() && !stop.stop_requested()) {
      ImposterRequest request;
      request.connection = number;
      if (!read_request(wire, buffer, request)) break;
      {
        std::lock_guard lock(mutex);
        seen.push_back(request);
        server_name = wire.server_name();
        changed.notify_all();
      }
      if (!send(stop, wire, choose(request), request)) break;
    }
    std::lock_guard lock(mutex);
    sockets.remove(fd);
  }
  std::lock_guard lock(mutex);
  --open;
  changed.notify_all();
}

ImposterReply HttpImposter::State::choose(const ImposterRequest& request) {
  std::unique_lock lock(mutex);
  if (!scripted.empty()) {
    ImposterReply reply = std::move(scripted.front());
    scripted.pop_front();
    return reply;
  }
  const auto decide = handler;
  lock.unlock();
  return decide ? decide(request) : ImposterReply::json("{}");
}

void HttpImposter::State::pause(std::stop_token stop, std::chrono::milliseconds time) const {
  if (time.count() == 0) return;
  std::unique_lock lock(mutex);
  changed.wait_for(lock, stop, time, [] { return false; });
}

bool HttpImposter::State::send(std::stop_token stop, Wire& wire, const ImposterReply& reply,
                               const ImposterRequest& request) {
  pause(stop, reply.delay);
  if (reply.raw) {
    wire.write(*reply.raw);
    std::string rest;
    while (reply.hold && wire.read(rest)) rest.clear();
    return false;
  }
  ImposterReply sent = reply;
  if (request.method == "HEAD") {
    if (!sent.headers.get("content-length"))
      sent.headers.add("content-length", std::to_string(sent.body.size()));
    sent.body.clear();
  }
  if (sent.cut_after) {
    wire.write((head_of(sent) + sent.body).substr(0, *sent.cut_after));
    pause(stop, std::chrono::milliseconds(20));  // so that the bytes arrive before the reset
    wire.reset_on_close();
    return false;
  }
  return wire.write(head_of(sent)) && send_pieces(stop, wire, sent) && !sent.close;
}

bool HttpImposter::State::send_pieces(std::stop_token stop, Wire& wire, const ImposterReply& reply) {
  std::string_view rest = reply.body;
  const std::size_t piece = reply.drip_bytes == 0 ? std::max<std::size_t>(rest.size(), 1) : reply.drip_bytes;
  while (!rest.empty() && !stop.stop_requested()) {
    const auto bytes = rest.substr(0, piece);
    if (!wire.write(reply.chunked ? as_chunk(bytes) : std::string(bytes))) return false;
    rest.remove_prefix(bytes.size());
    if (!rest.empty()) pause(stop, reply.drip_interval);
  }
  return !reply.chunked || wire.write("0\r\n\r\n");
}

ImposterReply ImposterReply::json(std::string body, int status) {
  ImposterReply reply;
  reply.status = status;
  reply.headers.add("content-type", "application/json");
  reply.body = std::move(body);
  return reply;
}

ImposterReply ImposterReply::garbage(std::string bytes) {
  ImposterReply reply;
  reply.raw = std::move(bytes);
  return reply;
}

HttpImposter::HttpImposter(ImposterTls tls, ImposterFamily family) : state_(std::make_shared<State>()) {
  if (!tls.certificate.empty()) {
    state_->tls = SSL_CTX_new(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(state_->tls, tls.certificate.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(state_->tls, tls.private_key.c_str(), SSL_FILETYPE_PEM) != 1)
      throw std::runtime_error("the imposter cannot use its certificate");
  }
  state_->family = family;
  state_->listener = family == ImposterFamily::V4 ? listen_v4(state_->port) : listen_v6(state_->port);
  state_->acceptor = std::jthread([state = state_.get()](std::stop_token stop) { state->accept_loop(stop); });
}

HttpImposter::~HttpImposter() {
  state_->acceptor.request_stop();
  ::shutdown(state_->listener, SHUT_RDWR);
  state_->acceptor.join();
  ::close(state_->listener);
  {
    std::lock_guard lock(state_->mutex);
    for (auto& thread : state_->threads) thread.request_stop();
    for (const int fd : state_->sockets) ::shutdown(fd, SHUT_RDWR);
  }
  state_->threads.clear();
  if (state_->tls) SSL_CTX_free(state_->tls);
}

std::uint16_t HttpImposter::port() const {
  return state_->port;
}
std::string HttpImposter::host() const {
  return (state_->family == ImposterFamily::V4 ? "127.0.0.1:" : "[::1]:") + std::to_string(state_->port);
}
std::string HttpImposter::url(std::string_view target) const {
  return "http://" + host() + std::string(target);
}

void HttpImposter::next(ImposterReply reply) {
  std::lock_guard lock(state_->mutex);
  state_->scripted.push_back(std::move(reply));
}

void HttpImposter::always(ImposterReply reply) {
  handle([reply = std::move(reply)](const ImposterRequest&) { return reply; });
}

void HttpImposter::handle(std::function<ImposterReply(const ImposterRequest&)> handler) {
  std::lock_guard lock(state_->mutex);
  state_->handler = std::move(handler);
}

std::vector<ImposterRequest> HttpImposter::requests() const {
  std::lock_guard lock(state_->mutex);
  return state_->seen;
}

bool HttpImposter::wait_for_requests(std::size_t count) const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, kPatience, [&] { return state_->seen.size() >= count; });
}

std::size_t HttpImposter::connections() const {
  std::lock_guard lock(state_->mutex);
  return state_->accepted;
}

bool HttpImposter::wait_until_closed() const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, kPatience, [&] { return state_->open == 0; });
}

std::string HttpImposter::last_server_name() const {
  std::lock_guard lock(state_->mutex);
  return state_->server_name;
}

}  // namespace assistiv::test
