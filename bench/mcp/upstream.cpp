// The vendor's API of the benchmark: one thread, epoll, keep-alive. A POST is answered with its own body,
// anything else with the account. It understands what HTTP clients of this repository send (Content-Length,
// no chunks) and costs a few microseconds per request, so that it does not take the processor away from the
// server that is measured.
//
// usage: upstream          prints its port and serves until it is killed
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <unordered_map>

#include "../support/sockets.h"

namespace {

using bench::Descriptor;

constexpr std::size_t kRequestMax = 1 << 20;
constexpr std::string_view kAccount = R"({"id":"1","name":"bench"})";

struct Connection {
  Descriptor socket;
  std::string in, out;
};

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
  std::string_view rest = connection.in;
  for (;;) {
    const auto end = rest.find("\r\n\r\n");
    if (end == std::string_view::npos) break;
    const auto length = body_length(rest.substr(0, end + 2));
    if (length > kRequestMax) return false;
    if (rest.size() < end + 4 + length) break;
    const auto body = rest.starts_with("POST ") ? rest.substr(end + 4, length) : kAccount;
    connection.out += "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ";
    connection.out += std::to_string(body.size());
    connection.out += "\r\n\r\n";
    connection.out += body;
    rest.remove_prefix(end + 4 + length);
  }
  connection.in.erase(0, connection.in.size() - rest.size());
  return connection.in.size() <= kRequestMax;
}

// False when the connection is over.
bool serve(Connection& connection) {
  std::array<char, 16384> buffer;
  const auto got = recv(connection.socket.number(), buffer.data(), buffer.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  connection.in.append(buffer.data(), static_cast<std::size_t>(got));
  if (!answer(connection)) return false;
  while (!connection.out.empty()) {
    const auto sent =
        send(connection.socket.number(), connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
    if (sent < 0) return false;  // a client that does not read small answers is of no use here
    connection.out.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

int main() {
  const Descriptor listener = bench::listen_on_loopback(0);
  const Descriptor poll(epoll_create1(EPOLL_CLOEXEC));
  bench::watch(poll, listener.number(), EPOLLIN);
  std::unordered_map<int, Connection> connections;
  for (std::array<epoll_event, 256> events;;) {
    const int count = epoll_wait(poll.number(), events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < count; ++i) {
      const int ready = events[static_cast<std::size_t>(i)].data.fd;
      if (ready != listener.number()) {
        if (const auto found = connections.find(ready); !serve(found->second)) connections.erase(found);
        continue;
      }
      Descriptor socket(accept4(listener.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      bench::send_at_once(socket.number());
      bench::watch(poll, socket.number(), EPOLLIN);
      const int number = socket.number();
      connections.emplace(number, Connection{std::move(socket), {}, {}});
    }
  }
}
