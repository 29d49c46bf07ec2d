#include "oauth/authorize/key_sets.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "core/metrics.h"
#include "oauth/authorize/client_registry.h"
#include "oauth/authorize/outbound.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kKeySetBytesMax = 128 * 1024;
constexpr std::chrono::minutes kKeptMin{5};
constexpr std::chrono::hours kUsedWithoutAnswer{
    24};  // an issuer that is down for a while does not shut its users out
constexpr std::chrono::seconds kFlightWaitMax{15};

void count_key_set(const char* result) {
  core::metrics::counter("assistiv_oauth_key_sets_total", "Fetches of issuers' key sets by outcome.",
                         {{"result", result}})
      .add();
}

}  // namespace

// The end of a flight, also when its coroutine is destroyed while it waits.
struct KeySets::Landing {
  KeySets* sets;
  std::string url;
  Flight flight;
  ~Landing() {
    {
      std::lock_guard lock(sets->mutex_);
      const auto found = sets->entries_.find(url);
      if (found != sets->entries_.end() && found->second.flight == flight) found->second.flight = nullptr;
    }
    flight->set();
  }
};

void KeySets::make_room() {
  while (entries_.size() > kSetsMax) {
    entries_.erase(std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
      return a.second.used_at < b.second.used_at;
    }));
  }
}

std::pair<bool, KeySets::Flight> KeySets::board(const std::string& url, const std::string& jws) {
  const auto now = world_.clock.now();
  std::lock_guard lock(mutex_);
  auto& entry = entries_[url];
  entry.used_at = now;
  const bool wanted = !entry.keys || entry.good_until <= now || names_another_key(*entry.keys, jws);
  if (!wanted) return {false, nullptr};
  if (entry.flight) return {false, entry.flight};
  if (entry.asked_at && now - *entry.asked_at < kAskAgainAfter && now >= *entry.asked_at)
    return {false, nullptr};
  entry.asked_at = now;
  entry.flight = std::make_shared<core::AsyncEvent>();
  const auto flight = entry.flight;
  make_room();
  return {true, flight};
}

core::Task<> KeySets::fetch(std::string url, Flight flight) {
  const Landing landing{this, url, flight};
  const auto response = co_await get_json(world_.http, url, kKeySetBytesMax);
  auto keys = response ? read_key_set(response->body) : std::vector<ForeignKey>();
  count_key_set(keys.empty() ? "failed" : "fetched");
  if (keys.empty()) co_return;
  const auto now = world_.clock.now();
  std::lock_guard lock(mutex_);
  auto& entry = entries_[url];
  entry.keys = std::make_shared<const std::vector<ForeignKey>>(std::move(keys));
  entry.read_at = now;
  entry.good_until = now + std::max<std::chrono::seconds>(document_lifetime(response->headers), kKeptMin);
}

KeySets::Set KeySets::usable(const std::string& url) {
  std::lock_guard lock(mutex_);
  const auto found = entries_.find(url);
  const bool there = found != entries_.end() && found->second.keys &&
                     world_.clock.now() - found->second.read_at < kUsedWithoutAnswer;
  return there ? found->second.keys : nullptr;
}

core::Task<KeySets::Set> KeySets::keys_for(std::string url, std::string jws) {
  const auto [leads, flight] = board(url, jws);
  if (leads) {
    co_await fetch(url, flight);
  } else if (flight) {
    co_await flight->wait_for(kFlightWaitMax);
    flight->set();  // it releases one late comer at a time: hand it on
  }
  auto keys = usable(url);
  if (!keys) {
    throw core::Error(core::ErrorKind::Unavailable,
                      "The keys of the token's issuer cannot be read right now. Try again shortly.")
        .with_retry_after(kAskAgainAfter);
  }
  co_return keys;
}

core::Task<std::optional<std::string>> KeySets::verify(std::string url, std::string jws) {
  const auto keys = co_await keys_for(std::move(url), jws);
  co_return foreign_jws_verify(*keys, jws);
}

}  // namespace assistiv::oauth
