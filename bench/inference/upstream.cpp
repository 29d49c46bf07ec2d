// The provider of the benchmark: one thread, epoll, keep-alive. Answers every POST with a chat completion of
// about 1 KB at once, or, when the body asks for a stream, with as many chunks as its "max_tokens" says, the
// first at once, then one every 50 ms (20 tokens/s), or every "seed" times 50 ms. It understands what this
// repository's clients send (Content-Length, no chunks, no spaces in the JSON) and costs a few microseconds
// per request, so that it does not take the processor away from the server that is measured.
//
// usage: upstream          prints its port and serves until it is killed
#include <strings.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <string>
#include <string_view>
#include <unordered_map>

#include "../support/sockets.h"

namespace {

using bench::Descriptor;

constexpr std::size_t kRequestMax = 1 << 20;
// A stream has its turn in one of the slots of 50 ms: providers do not send all streams' tokens at one time.
constexpr long kSlotNanos = 2'500'000;
constexpr int kSlots = 20;
constexpr std::string_view kStreamMark = R"("stream":true)";

struct Connection {
  Descriptor socket;
  std::string in, out;
  long chunks_left = 0;  // of the stream under way
  long turns = 1;        // a chunk at every one of so many
  long turns_left = 1;
  int slot = 0;
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

// The number behind `"name":`, or `otherwise`.
long number_in(std::string_view body, std::string_view name, long otherwise) {
  const auto at = body.find(name);
  if (at == std::string_view::npos) return otherwise;
  return std::strtol(std::string(body.substr(at + name.size(), 12)).c_str(), nullptr, 10);
}

void begin_stream(Connection& connection, std::string_view body) {
  static int next_slot = 0;
  connection.out += stream_head() + stream_chunk(true);
  connection.chunks_left = std::max(number_in(body, R"("max_tokens":)", 40) - 1, 1L);
  connection.turns = connection.turns_left = std::max(number_in(body, R"("seed":)", 1), 1L);
  connection.slot = ++next_slot % kSlots;
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
      begin_stream(connection, rest.substr(end + 4, length));
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

// The turn of a stream. False when the connection is to be closed.
bool tick(Connection& connection, int slot) {
  if (connection.chunks_left == 0 || connection.slot != slot || --connection.turns_left > 0) return true;
  connection.turns_left = connection.turns;
  connection.out += --connection.chunks_left == 0 ? stream_tail() : stream_chunk(false);
  return send_all(connection);
}

}  // namespace

int main() {
  const auto listener = bench::listen_on_loopback(SOCK_NONBLOCK);
  const auto timer = bench::ticking_timer(kSlotNanos);
  const Descriptor poll(epoll_create1(EPOLL_CLOEXEC));
  bench::watch(poll, listener.number(), EPOLLIN);
  bench::watch(poll, timer.number(), EPOLLIN);
  std::unordered_map<int, Connection> connections;
  std::array<epoll_event, 256> events;
  int slot = 0;
  for (;;) {
    const int count = epoll_wait(poll.number(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
      if (descriptor == listener.number()) {
        for (int next; (next = accept4(descriptor, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          bench::send_at_once(next);
          connections.emplace(next, Connection{Descriptor(next), {}, {}});
          bench::watch(poll, next, EPOLLIN | EPOLLOUT | EPOLLET);
        }
      } else if (descriptor == timer.number()) {
        std::uint64_t expirations = 0;
        (void)!read(descriptor, &expirations, sizeof(expirations));
        for (; expirations > 0; --expirations, slot = (slot + 1) % kSlots) {
          for (auto it = connections.begin(); it != connections.end();)
            it = tick(it->second, slot) ? std::next(it) : connections.erase(it);
        }
      } else if (const auto it = connections.find(descriptor);
                 it != connections.end() && !serve(it->second)) {
        connections.erase(it);
      }
    }
  }
}
