#include "oauth/connect/token_cache.h"

#include <utility>

namespace assistiv::oauth {

namespace {

// "platform/end user" or "platform/app"; the second part may be missing.
std::pair<std::string_view, std::string_view> split_payload(std::string_view payload) {
  const auto slash = payload.find('/');
  if (slash == std::string_view::npos) return {payload, {}};
  return {payload.substr(0, slash), payload.substr(slash + 1)};
}

}  // namespace

std::string TokenCache::key_of(core::ConnectionId connection, const std::string& slot) {
  return connection.str() + "/" + slot;
}

std::optional<TokenAnswer> TokenCache::get(core::PlatformId platform, core::ConnectionId connection,
                                           const std::string& slot, core::Time now) const {
  std::lock_guard lock(mutex_);
  const auto it = entries_.find(key_of(connection, slot));
  if (it == entries_.end() || it->second.platform_id != platform) return {};
  const auto& entry = it->second;
  if (entry.fresh_until && *entry.fresh_until <= now) return {};
  return entry.answer;
}

std::uint64_t TokenCache::epoch() const {
  std::lock_guard lock(mutex_);
  return epoch_;
}

void TokenCache::put(core::ConnectionId connection, const std::string& slot, Entry entry,
                     std::uint64_t epoch) {
  std::lock_guard lock(mutex_);
  if (epoch != epoch_) return;
  // At the bound any entry may go: it costs one look-up to bring it back.
  if (entries_.size() >= max_) entries_.erase(entries_.begin());
  entries_.insert_or_assign(key_of(connection, slot), std::move(entry));
}

void TokenCache::drop(core::ConnectionId connection, const std::string& slot) {
  std::lock_guard lock(mutex_);
  ++epoch_;
  entries_.erase(key_of(connection, slot));
}

void TokenCache::on_notify(std::string_view topic, std::string_view payload) {
  const bool known = topic == "connection" || topic == "app" || topic == "end_user" || topic == "platform" ||
                     topic == "resync";
  if (!known) return;
  const auto [platform, rest] = split_payload(payload);
  std::lock_guard lock(mutex_);
  ++epoch_;
  if (topic == "resync") {
    entries_.clear();
    return;
  }
  const auto platform_id = core::PlatformId::parse(platform);
  const auto end_user_id = core::EndUserId::parse(rest);
  std::erase_if(entries_, [&, part = rest](const auto& item) {
    const Entry& entry = item.second;
    if (entry.platform_id != platform_id) return false;
    if (topic == "platform") return true;
    return topic == "app" ? entry.app == part : entry.end_user_id == end_user_id;
  });
}

std::size_t TokenCache::size() const {
  std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace assistiv::oauth
