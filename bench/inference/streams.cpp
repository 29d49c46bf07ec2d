// Many clients of streams: one thread, epoll. Opens them one after the other, spread over a time, and
// measures for each the time from the request to its first token.
//
// usage: streams PORT COUNT SPREAD_MS BODY_FILE [KEYS_FILE]
// Prints "open" when every stream had its first token or failed, and in the end one line of JSON, times in
// microseconds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "../support/sockets.h"

namespace {

using Clock = std::chrono::steady_clock;
using bench::Descriptor;

struct Stream {
  Descriptor socket;
  Clock::time_point asked;
  std::string seen;  // the head, then the last bytes
  bool sent = false, first = false;
};

std::string read_file(const char* path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> requests_of(const std::string& body, const std::string& keys) {
  std::vector<std::string> out;
  std::istringstream lines(keys);
  for (std::string key; lines >> key;) {
    out.push_back("POST /v1/chat/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n" +
                  ("Authorization: Bearer " + key) + "\r\nContent-Length: " + std::to_string(body.size()) +
                  "\r\n\r\n" + body);
  }
  return out;
}

Descriptor connect_to(int port) {
  Descriptor out(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const sockaddr_in address = bench::loopback(port);
  if (connect(out.number(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno != EINPROGRESS)
    throw std::system_error(errno, std::generic_category());
  bench::send_at_once(out.number());
  return out;
}

class Clients {
 public:
  Clients(int port, int count, long spread_ms, std::vector<std::string> requests)
      : port_(port),
        count_(count),
        spread_(spread_ms),
        requests_(std::move(requests)),
        poll_(epoll_create1(0)) {
    streams_.reserve(static_cast<std::size_t>(count));
  }

  void run() {
    const auto timer = bench::ticking_timer(1'000'000);
    bench::watch(poll_, timer.number(), EPOLLIN);
    std::array<epoll_event, 256> events;
    const auto began = Clock::now();
    while (ended_ < count_) {
      const int number = epoll_wait(poll_.number(), events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < number; ++i) {
        const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
        if (descriptor == timer.number()) {
          std::uint64_t ticks = 0;
          (void)!read(descriptor, &ticks, sizeof(ticks));
          open_due(Clock::now() - began);
        } else {
          serve(streams_[places_.at(descriptor)]);
        }
      }
    }
  }

  void report() {
    std::sort(times_.begin(), times_.end());
    const auto at = [&](double part) {
      return times_.empty() ? 0
                            : times_[static_cast<std::size_t>(part * static_cast<double>(times_.size() - 1))];
    };
    std::printf("{\"streams\":%d,\"failed\":%d,\"p50\":%ld,\"p90\":%ld,\"p99\":%ld,\"max\":%ld}\n", count_,
                failed_, at(0.5), at(0.9), at(0.99), at(1));
  }

 private:
  void open_due(Clock::duration passed) {
    const auto due = passed >= spread_
                         ? count_
                         : static_cast<int>(count_ * (passed / std::chrono::duration<double>(spread_)));
    while (static_cast<int>(streams_.size()) < due) {
      streams_.push_back({connect_to(port_), {}, {}});
      const int descriptor = streams_.back().socket.number();
      places_.emplace(descriptor, streams_.size() - 1);
      bench::watch(poll_, descriptor, EPOLLIN | EPOLLOUT | EPOLLET);
    }
  }

  void serve(Stream& stream) {
    if (!stream.sent) {
      const auto& request = requests_[static_cast<std::size_t>(&stream - streams_.data()) % requests_.size()];
      stream.asked = Clock::now();
      stream.sent = send(stream.socket.number(), request.data(), request.size(), MSG_NOSIGNAL) > 0;
    }
    std::array<char, 16384> buffer;
    for (;;) {
      const auto size = recv(stream.socket.number(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) return end(stream, false);
      stream.seen.append(buffer.data(), static_cast<std::size_t>(size));
      if (!stream.first && stream.seen.size() > 12 && !stream.seen.starts_with("HTTP/1.1 200"))
        return end(stream, false);
      if (!stream.first && stream.seen.find("word ") != std::string::npos) begin(stream);
      if (stream.seen.find("[DONE]") != std::string::npos) return end(stream, stream.first);
      if (stream.first && stream.seen.size() > 64) stream.seen.erase(0, stream.seen.size() - 16);
    }
  }

  void begin(Stream& stream) {
    stream.first = true;
    const auto took = Clock::now() - stream.asked;
    times_.push_back(std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    tell_when_open();
  }

  void end(Stream& stream, bool good) {
    epoll_ctl(poll_.number(), EPOLL_CTL_DEL, stream.socket.number(), nullptr);
    shutdown(stream.socket.number(), SHUT_RDWR);  // its number is not used again
    ++ended_;
    if (good) return;
    ++failed_;
    std::fprintf(stderr, "stream failed: %.200s\n", stream.seen.c_str());
    if (!stream.first) {
      ++never_began_;
      tell_when_open();
    }
  }

  void tell_when_open() {
    if (static_cast<int>(times_.size()) + never_began_ != count_) return;
    std::puts("open");
    std::fflush(stdout);
  }

  const int port_, count_;
  const std::chrono::milliseconds spread_;
  const std::vector<std::string> requests_;
  const Descriptor poll_;
  std::vector<Stream> streams_;
  std::unordered_map<int, std::size_t> places_;  // in streams_, by socket
  std::vector<long> times_;
  int ended_ = 0, failed_ = 0, never_began_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  if (count < 5) return 2;
  Clients clients(std::atoi(arguments[1]), std::atoi(arguments[2]), std::atol(arguments[3]),
                  requests_of(read_file(arguments[4]), count > 5 ? read_file(arguments[5]) : "none"));
  clients.run();
  clients.report();
}
