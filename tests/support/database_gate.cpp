#include "support/database_gate.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

#include "storage/descriptor.h"

namespace assistiv::test {

namespace {

constexpr int kPollMs = 20;
constexpr const char* kSocketName = "/.s.PGSQL.5432";

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) throw std::runtime_error("socket path too long: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

storage::Descriptor make_socket() {
  return storage::Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

bool send_all(int to, const char* data, std::size_t size) {
  while (size > 0) {
    const auto sent = send(to, data, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    data += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

}  // namespace

struct DatabaseGate::State {
  std::string directory, upstream, url;
  storage::Descriptor listener;
  std::mutex mutex;  // cut_text, cut, closed, lines
  std::string cut_text;
  Cut cut = Cut::BeforeServer;
  bool closed = false;
  std::vector<std::jthread> lines;
  std::jthread acceptor;

  void accept_forever(const std::stop_token& stop);
  void carry(const std::stop_token& stop, storage::Descriptor client);
  // Copies what is there; false when the line is to end.
  bool forward(int from, int to, bool from_client);
  std::optional<Cut> take_cut(const std::string& message);
  bool is_closed() {
    const std::lock_guard lock(mutex);
    return closed;
  }
};

std::optional<Cut> DatabaseGate::State::take_cut(const std::string& message) {
  const std::lock_guard lock(mutex);
  if (cut_text.empty() || message.find(cut_text) == std::string::npos) return std::nullopt;
  cut_text.clear();
  return cut;
}

bool DatabaseGate::State::forward(int from, int to, bool from_client) {
  std::array<char, 65536> buffer;
  const auto got = recv(from, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
  const auto size = static_cast<std::size_t>(got);
  const auto wanted = from_client ? take_cut(std::string(buffer.data(), size)) : std::nullopt;
  if (wanted == Cut::BeforeServer) return false;
  if (!send_all(to, buffer.data(), size)) return false;
  if (wanted == Cut::AfterServer) {
    (void)recv(to, buffer.data(), buffer.size(), 0);  // the answer: it is done
    return false;
  }
  return true;
}

void DatabaseGate::State::carry(const std::stop_token& stop, storage::Descriptor client) {
  const auto server = make_socket();
  const auto address = address_of(upstream);
  if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return;
  while (!stop.stop_requested() && !is_closed()) {
    std::array<pollfd, 2> fds{{{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}}};
    if (poll(fds.data(), fds.size(), kPollMs) <= 0) continue;
    if (fds[0].revents != 0 && !forward(client.get(), server.get(), true)) return;
    if (fds[1].revents != 0 && !forward(server.get(), client.get(), false)) return;
  }
}

void DatabaseGate::State::accept_forever(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    pollfd fd{listener.get(), POLLIN, 0};
    if (poll(&fd, 1, kPollMs) <= 0) continue;
    storage::Descriptor client(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client || is_closed()) continue;
    const std::lock_guard lock(mutex);
    lines.emplace_back([this, fd_ = std::move(client)](const std::stop_token& line_stop) mutable {
      carry(line_stop, std::move(fd_));
    });
  }
}

DatabaseGate::DatabaseGate(const std::string& url) : state_(std::make_unique<State>()) {
  const auto begin = url.find("host=") + 5;
  const auto end = url.find(' ', begin);
  state_->upstream = url.substr(begin, end - begin) + kSocketName;
  std::string directory = (std::filesystem::temp_directory_path() / "assistiv-gate-XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr) throw std::runtime_error("mkdtemp");
  state_->directory = directory;
  state_->url = url.substr(0, begin) + directory + url.substr(end);
  state_->listener = make_socket();
  const auto address = address_of(directory + kSocketName);
  if (bind(state_->listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(state_->listener.get(), 64) != 0) {
    throw std::runtime_error("cannot listen in " + directory);
  }
  state_->acceptor =
      std::jthread([state = state_.get()](const std::stop_token& stop) { state->accept_forever(stop); });
}

DatabaseGate::~DatabaseGate() {
  state_->acceptor = {};
  state_->lines.clear();
  std::error_code ignored;
  std::filesystem::remove_all(state_->directory, ignored);
}

const std::string& DatabaseGate::url() const {
  return state_->url;
}

void DatabaseGate::cut_once(const std::string& text, Cut cut) {
  const std::lock_guard lock(state_->mutex);
  state_->cut_text = text;
  state_->cut = cut;
}

void DatabaseGate::close() {
  std::vector<std::jthread> ended;
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
    ended.swap(state_->lines);
  }
}

void DatabaseGate::open() {
  const std::lock_guard lock(state_->mutex);
  state_->closed = false;
}

}  // namespace assistiv::test
