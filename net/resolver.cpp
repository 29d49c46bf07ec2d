#include "net/resolver.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/async.h"
#include "core/error.h"
#include "core/log.h"

namespace assistiv::net {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr std::size_t kResolverThreads = 4;
constexpr std::size_t kResolverQueueMax = 256;
constexpr std::size_t kAnswersMax = 1024;
constexpr std::chrono::seconds kAnswerLife{30};
constexpr std::chrono::seconds kFailureLife{1};

struct Answer {
  std::vector<std::string> addresses;
  SteadyTime expires{};
  bool looking = false;
  std::vector<std::shared_ptr<core::AsyncEvent>> waiting;
};

std::vector<std::string> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  std::vector<std::string> addresses;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &list); error != 0) {
    core::log::debug("resolver.failed", {{"host", host}, {"error", gai_strerror(error)}});
    return addresses;
  }
  for (const addrinfo* one = list; one; one = one->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0 &&
        std::find(addresses.begin(), addresses.end(), text) == addresses.end())
      addresses.emplace_back(text);
  }
  freeaddrinfo(list);
  return addresses;
}

// Shared with the lookups, which may outlast the resolver's callers.
struct AnswerCache {
  std::mutex mutex;
  std::unordered_map<std::string, Answer> answers;

  // Under the lock.
  void make_room() {
    if (answers.size() < kAnswersMax) return;
    const auto now = std::chrono::steady_clock::now();
    std::erase_if(answers, [&](const auto& one) { return !one.second.looking && one.second.expires <= now; });
    for (auto it = answers.begin(); answers.size() >= kAnswersMax && it != answers.end();)
      it = it->second.looking ? std::next(it) : answers.erase(it);
  }

  void store(const std::string& host, std::vector<std::string> addresses) {
    std::vector<std::shared_ptr<core::AsyncEvent>> waiting;
    {
      std::lock_guard lock(mutex);
      auto& answer = answers[host];
      answer.expires = std::chrono::steady_clock::now() + (addresses.empty() ? kFailureLife : kAnswerLife);
      answer.addresses = std::move(addresses);
      answer.looking = false;
      waiting.swap(answer.waiting);
    }
    for (const auto& event : waiting) event->set();
  }
};

}  // namespace

struct SystemResolver::State {
  std::shared_ptr<AnswerCache> cache = std::make_shared<AnswerCache>();
  core::BlockingPool pool{"resolver", kResolverThreads, kResolverQueueMax};

  void start(const std::string& host) {
    try {
      pool.post([cache_copy = cache, host] { cache_copy->store(host, look_up(host)); });
    } catch (const core::Error&) {
      cache->store(host, {});
    }
  }
};

SystemResolver::SystemResolver() : state_(std::make_shared<State>()) {}
SystemResolver::~SystemResolver() = default;

core::Task<std::vector<std::string>> SystemResolver::resolve(std::string host,
                                                             std::chrono::milliseconds timeout,
                                                             std::stop_token stop) {
  auto state = state_;
  auto cache = state->cache;
  auto event = std::make_shared<core::AsyncEvent>();
  bool first = false;
  {
    std::lock_guard lock(cache->mutex);
    cache->make_room();
    auto& answer = cache->answers[host];
    if (!answer.looking && std::chrono::steady_clock::now() < answer.expires) co_return answer.addresses;
    first = !std::exchange(answer.looking, true);
    answer.waiting.push_back(event);
  }
  if (first) state->start(host);
  const bool answered = co_await event->wait_for(timeout, stop);
  std::lock_guard lock(cache->mutex);
  auto& answer = cache->answers[host];
  std::erase(answer.waiting, event);
  co_return answered ? answer.addresses : std::vector<std::string>{};
}

}  // namespace assistiv::net
