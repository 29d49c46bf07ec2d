#include "mcp/protocol/stream_hub.h"

#include <algorithm>
#include <set>
#include <utility>

namespace assistiv::mcp {

namespace {

void wake_list(const std::vector<std::weak_ptr<core::AsyncEvent>>& watchers) {
  for (const auto& watcher : watchers) {
    if (const auto event = watcher.lock()) event->set();
  }
}

}  // namespace

void StreamMailbox::post(unsigned kinds) {
  {
    std::lock_guard lock(mutex_);
    pending_.kinds |= kinds;
  }
  event_.set();
}

void StreamMailbox::post_update(const std::string& uri) {
  {
    std::lock_guard lock(mutex_);
    // Bounded by the number of subscribed URIs.
    auto& list = pending_.updated;
    if (std::find(list.begin(), list.end(), uri) == list.end()) list.push_back(uri);
  }
  event_.set();
}

void StreamMailbox::post_task(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    // Bounded by the number of watched tasks.
    auto& list = pending_.tasks;
    if (std::find(list.begin(), list.end(), id) == list.end()) list.push_back(id);
  }
  event_.set();
}

void StreamMailbox::recheck() {
  {
    std::lock_guard lock(mutex_);
    pending_.recheck = true;
  }
  event_.set();
}

void StreamMailbox::close() {
  {
    std::lock_guard lock(mutex_);
    pending_.close = true;
  }
  event_.set();
}

Signals StreamMailbox::take() {
  std::lock_guard lock(mutex_);
  Signals out = std::exchange(pending_, {});
  pending_.close = out.close;
  return out;
}

StreamPlace::StreamPlace(StreamHub& hub, core::EndUserId end_user, std::shared_ptr<StreamMailbox> mailbox)
    : hub_(hub), end_user_(end_user), mailbox_(std::move(mailbox)) {}

StreamPlace::~StreamPlace() {
  hub_.leave(end_user_, mailbox_.get());
}

StreamHub::StreamHub(std::size_t streams_max, std::size_t per_user_max)
    : streams_max_(streams_max), per_user_max_(per_user_max) {}

std::shared_ptr<StreamPlace> StreamHub::open(StreamInterest interest) {
  auto mailbox = std::make_shared<StreamMailbox>();
  const auto end_user = interest.end_user;
  {
    std::lock_guard lock(mutex_);
    if (closed_ || count_ >= streams_max_) return nullptr;
    auto& entries = users_[end_user];
    if (entries.size() >= per_user_max_) return nullptr;
    entries.push_back({std::move(interest), mailbox});
    ++count_;
  }
  return std::make_shared<StreamPlace>(*this, end_user, std::move(mailbox));
}

void StreamHub::leave(core::EndUserId end_user, const StreamMailbox* mailbox) {
  std::lock_guard lock(mutex_);
  const auto it = users_.find(end_user);
  if (it == users_.end()) return;
  count_ -= std::erase_if(it->second, [&](const Entry& entry) { return entry.mailbox.get() == mailbox; });
  if (it->second.empty()) users_.erase(it);
}

void StreamHub::deliver(Entries& entries, unsigned kinds) {
  std::set<std::string_view> served;
  for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
    const unsigned wanted = entry->interest.kinds & kinds;
    if (wanted == 0) continue;
    const std::string& session = entry->interest.session;
    if (session.empty() || served.insert(session).second) entry->mailbox->post(wanted);
  }
}

template <class Visit>
void StreamHub::for_user(core::EndUserId end_user, Visit visit) {
  std::lock_guard lock(mutex_);
  const auto it = users_.find(end_user);
  if (it == users_.end()) return;
  for (auto& entry : it->second) visit(entry);
}

void StreamHub::list_changed(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                             unsigned kinds) {
  std::lock_guard lock(mutex_);
  if (end_user) {
    const auto it = users_.find(*end_user);
    if (it != users_.end() && it->second.front().interest.platform == platform) deliver(it->second, kinds);
    return;
  }
  for (auto& [user, entries] : users_) {
    if (entries.front().interest.platform == platform) deliver(entries, kinds);
  }
}

void StreamHub::resource_updated(core::PlatformId platform, core::EndUserId end_user,
                                 const std::string& uri) {
  std::set<std::string_view> served;
  for_user(end_user, [&](Entry& entry) {
    const auto& interest = entry.interest;
    if (interest.platform != platform) return;
    if (std::find(interest.uris.begin(), interest.uris.end(), uri) == interest.uris.end()) return;
    if (interest.session.empty() || served.insert(interest.session).second) entry.mailbox->post_update(uri);
  });
}

void StreamHub::resources_under_updated(core::PlatformId platform, std::optional<core::EndUserId> end_user,
                                        std::string_view prefix) {
  std::lock_guard lock(mutex_);
  const auto tell = [&](Entries& entries) {
    // Each subscribed URI once per session: on its newest stream, as in deliver().
    std::set<std::pair<std::string_view, std::string_view>> served;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      const auto& interest = entry->interest;
      if (interest.platform != platform) continue;
      for (const auto& uri : interest.uris) {
        if (!uri.starts_with(prefix)) continue;
        if (interest.session.empty() || served.emplace(interest.session, uri).second)
          entry->mailbox->post_update(uri);
      }
    }
  };
  if (end_user) {
    const auto it = users_.find(*end_user);
    if (it != users_.end()) tell(it->second);
    return;
  }
  for (auto& [user, entries] : users_) tell(entries);
}

void StreamHub::task_changed(core::EndUserId end_user, const std::string& id) {
  for_user(end_user, [&](Entry& entry) {
    const auto& tasks = entry.interest.tasks;
    if (std::find(tasks.begin(), tasks.end(), id) != tasks.end()) entry.mailbox->post_task(id);
  });
}

void StreamHub::add_uri(std::string_view session, core::EndUserId end_user, const std::string& uri) {
  for_user(end_user, [&](Entry& entry) {
    if (entry.interest.session != session) return;
    auto& uris = entry.interest.uris;
    if (std::find(uris.begin(), uris.end(), uri) == uris.end()) uris.push_back(uri);
  });
}

void StreamHub::remove_uri(std::string_view session, core::EndUserId end_user, const std::string& uri) {
  for_user(end_user, [&](Entry& entry) {
    if (entry.interest.session == session) std::erase(entry.interest.uris, uri);
  });
}

void StreamHub::close_session(core::EndUserId end_user, std::string_view session) {
  for_user(end_user, [&](Entry& entry) {
    if (entry.interest.session == session) entry.mailbox->close();
  });
}

void StreamHub::recheck_key(std::string_view key_hash) {
  std::lock_guard lock(mutex_);
  for (auto& [user, entries] : users_) {
    for (auto& entry : entries) {
      if (entry.interest.key_hash == key_hash) entry.mailbox->recheck();
    }
  }
}

void StreamHub::recheck_user(core::EndUserId end_user) {
  for_user(end_user, [](Entry& entry) { entry.mailbox->recheck(); });
}

void StreamHub::recheck_platform(core::PlatformId platform) {
  std::lock_guard lock(mutex_);
  for (auto& [user, entries] : users_) {
    for (auto& entry : entries) {
      if (entry.interest.platform == platform) entry.mailbox->recheck();
    }
  }
}

void StreamHub::close_all() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  for (auto& [user, entries] : users_) {
    for (auto& entry : entries) entry.mailbox->close();
  }
  for (auto& [key, list] : watchers_) wake_list(list);
}

bool StreamHub::closed() const {
  std::lock_guard lock(mutex_);
  return closed_;
}

std::size_t StreamHub::size() const {
  std::lock_guard lock(mutex_);
  return count_;
}

std::shared_ptr<core::AsyncEvent> StreamHub::watch(const std::string& key) {
  auto event = std::make_shared<core::AsyncEvent>();
  watch(key, event);
  return event;
}

void StreamHub::watch(const std::string& key, const std::shared_ptr<core::AsyncEvent>& event) {
  std::lock_guard lock(mutex_);
  auto& list = watchers_[key];
  std::erase_if(list, [](const auto& watcher) { return watcher.expired(); });
  list.push_back(event);
  // Keys whose watchers are gone are swept now and then, so that the map stays as small as what is watched.
  if (watchers_.size() % 64 == 0) {
    std::erase_if(watchers_, [](const auto& item) {
      return std::all_of(item.second.begin(), item.second.end(), [](const auto& w) { return w.expired(); });
    });
  }
}

void StreamHub::wake(std::string_view key) {
  std::lock_guard lock(mutex_);
  const auto it = watchers_.find(std::string(key));
  if (it != watchers_.end()) wake_list(it->second);
}

void StreamHub::resync() {
  std::lock_guard lock(mutex_);
  for (auto& [user, entries] : users_) {
    deliver(entries, kToolsChanged | kPromptsChanged | kResourcesChanged);
    for (auto& entry : entries) {
      for (const auto& id : entry.interest.tasks) entry.mailbox->post_task(id);
      entry.mailbox->recheck();
    }
  }
  for (auto& [key, list] : watchers_) wake_list(list);
}

}  // namespace assistiv::mcp
