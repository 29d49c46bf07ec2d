// The provider of the benchmark: one thread, epoll, keep-alive. Answers every POST with a chat completion of
// about 1 KB at once, or, when the body asks for a stream, with 40 chunks, one every 50 ms (20 tokens/s). It
// understands what this repository's clients send (Content-Length, no chunks) and costs a few microseconds
// per request, so that it does not take the processor away from the server that is measured.
//
// usage: upstream          prints its port and serves until it is killed
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>

namespace {

constexpr std::size_t kRequestMax = 1 << 20;
constexpr int kChunks = 40;
constexpr long kTickNanos = 50'000'000;
constexpr std::string_view kStreamMark = R"("stream":true)";

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {
    if (number < 0) throw std::system_error(errno, std::generic_category());
  }
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

struct Connection {
  Descriptor socket;
  std::string in, out;
  int chunks_left = 0;  // of the stream under way
};

std::string whole_reply() {
  const std::string body =
      R"({"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"gpt-4o-mini","choices":)"
      R"([{"index":0,"message":{"role":"assistant","content":")" +
      std::string(700, 'w') +
      R"(","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":190,)"
      R"("completion_tokens":120,"total_tokens":310,"prompt_tokens_details":{"cached_tokens":0},)"
      R"("completion_tokens_details":{"reasoning_tokens":0}}})";
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string chunked(const std::string& event) {
  std::array<char, 16> size{};
  std::snprintf(size.data(), size.size(), "%zx\r\n", event.size());
  return size.data() + event + "\r\n";
}

std::string delta(const std::string& members, const std::string& rest) {
  return R"(data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,)"
         R"("model":"gpt-4o-mini","choices":[)" +
         members + "]" + rest + "}\n\n";
}

std::string stream_head() {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
}

std::string stream_chunk(bool first) {
  return chunked(
      delta(first ? R"({"index":0,"delta":{"role":"assistant","content":"word "},"finish_reason":null})"
                  : R"({"index":0,"delta":{"content":"word "},"finish_reason":null})",
            ""));
}

std::string stream_tail() {
  return chunked(delta(R"({"index":0,"delta":{},"finish_reason":"stop"})", "")) +
         chunked(delta("", R"(,"usage":{"prompt_tokens":190,"completion_tokens":40,"total_tokens":230})")) +
         chunked("data: [DONE]\n\n") + "0\r\n\r\n";
}

std::size_t body_length(std::string_view head) {
  constexpr std::string_view kName = "\r\nContent-Length:";
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
    const auto line = head.substr(at);
    if (line.size() > kName.size() && strncasecmp(line.data(), kName.data(), kName.size()) == 0) {
      return std::strtoul(std::string(line.substr(kName.size(), 20)).c_str(), nullptr, 10);
    }
  }
  return 0;
}

// Answers every whole request of `in`. False for a request that is too big.
bool answer(Connection& connection) {
  static const std::string kWhole = whole_reply();
  std::string_view rest = connection.in;
  for (;;) {
    const auto end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) break;
    const auto length = body_length(rest.substr(0, end + 2));
    if (length > kRequestMax) return false;
    if (rest.size() < end + 4 + length) break;
    if (rest.substr(end + 4, length).find(kStreamMark) != std::string_view::npos) {
      connection.out += stream_head() + stream_chunk(true);
      connection.chunks_left = kChunks - 1;
    } else {
      connection.out += kWhole;
    }
    rest.remove_prefix(end + 4 + length);
  }
  connection.in.erase(0, connection.in.size() - rest.size());
  return connection.in.size() <= kRequestMax;
}

bool send_all(Connection& connection) {
  while (!connection.out.empty()) {
    const auto sent =
        send(connection.socket.number(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    connection.out.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

// False when the connection is to be closed.
bool serve(Connection& connection) {
  std::array<char, 65536> buffer;
  for (;;) {
    const auto size = recv(connection.socket.number(), buffer.data(), buffer.size(), 0);
    if (size == 0) return false;
    if (size < 0) {
      if (errno != EAGAIN && errno != EWOULDBLOCK) return false;
      break;
    }
    connection.in.append(buffer.data(), static_cast<std::size_t>(size));
  }
  return answer(connection) && send_all(connection);
}

// One tick of every stream. False when the connection is to be closed.
bool tick(Connection& connection) {
  if (connection.chunks_left == 0) return true;
  connection.out += --connection.chunks_left == 0 ? stream_tail() : stream_chunk(false);
  return send_all(connection);
}

void watch(const Descriptor& poll, int descriptor, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = descriptor;
  if (epoll_ctl(poll.number(), EPOLL_CTL_ADD, descriptor, &event) != 0)
    throw std::system_error(errno, std::generic_category());
}

Descriptor listen_on_loopback() {
  Descriptor listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (bind(listener.number(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      listen(listener.number(), 4096) != 0 ||
      getsockname(listener.number(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw std::system_error(errno, std::generic_category());
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return listener;
}

Descriptor ticking_timer() {
  Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  itimerspec spec{{0, kTickNanos}, {0, kTickNanos}};
  timerfd_settime(timer.number(), 0, &spec, nullptr);
  return timer;
}

}  // namespace

int main() {
  const auto listener = listen_on_loopback();
  const auto timer = ticking_timer();
  const Descriptor poll(epoll_create1(EPOLL_CLOEXEC));
  watch(poll, listener.number(), EPOLLIN);
  watch(poll, timer.number(), EPOLLIN);
  std::unordered_map<int, Connection> connections;
  std::array<epoll_event, 256> events;
  for (;;) {
    const int count = epoll_wait(poll.number(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor == listener.number()) {
        for (int next; (next = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          const int on = 1;
          setsockopt(next, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
          connections.emplace(next, Connection{Descriptor(next), {}, {}});
          watch(poll, next, EPOLLIN | EPOLLOUT | EPOLLET);
        }
      } else if (descriptor == timer.number()) {
        std::uint64_t expirations = 0;
        (void)!read(descriptor, &expirations, sizeof(expirations));
        for (auto it = connections.begin(); it != connections.end();)
          it = tick(it->second) ? std::next(it) : connections.erase(it);
      } else if (const auto it = connections.find(descriptor);
                 it != connections.end() && !serve(it->second)) {
        connections.erase(it);
      }
    }
  }
}
