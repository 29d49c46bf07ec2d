#include "mcp/sessions/memory_session_store.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <utility>

namespace assistiv::mcp {

namespace {

struct KeptEvent {
  std::string stream;
  StreamEvent event;
};

struct KeptSession {
  SessionPtr session;
  core::Time used;
  std::optional<core::Time> read_until;
  std::deque<KeptEvent> events;
  std::size_t bytes = 0;
};

}  // namespace

struct MemorySessionStore::Impl {
  const core::Clock& clock;
  std::chrono::hours idle_max;
  Announce announce;
  std::mutex mutex;
  std::map<std::string, KeptSession> sessions;

  KeptSession* get(const SessionOwner& owner, const std::string& id) {
    const auto it = sessions.find(id);
    if (it == sessions.end() || it->second.session->owner != owner) return nullptr;
    return &it->second;
  }

  // The oldest events go first.
  static void keep(KeptSession& kept, KeptEvent event) {
    kept.bytes += event.event.data.size();
    kept.events.push_back(std::move(event));
    while (kept.events.size() > kStoredEventsMax ||
           (kept.bytes > kStoredBytesMax && kept.events.size() > 1)) {
      kept.bytes -= kept.events.front().event.data.size();
      kept.events.pop_front();
    }
  }

  // The longest unused session of the owner's end user.
  std::map<std::string, KeptSession>::iterator oldest(const SessionOwner& owner, std::size_t& count) {
    auto found = sessions.end();
    count = 0;
    for (auto it = sessions.begin(); it != sessions.end(); ++it) {
      const auto& other = it->second.session->owner;
      if (other.platform != owner.platform || other.end_user != owner.end_user) continue;
      ++count;
      if (found == sessions.end() || it->second.used < found->second.used) found = it;
    }
    return found;
  }

  template <class Change>
  void change(const SessionOwner& owner, const std::string& id, Change apply) {
    std::lock_guard lock(mutex);
    KeptSession* kept = get(owner, id);
    if (kept == nullptr) return;
    auto copy = std::make_shared<Session>(*kept->session);
    apply(*copy);
    kept->session = std::move(copy);
  }
};

MemorySessionStore::MemorySessionStore(const core::Clock& clock, std::chrono::hours idle_max)
    : impl_(new Impl{clock, idle_max, {}, {}, {}}) {}
MemorySessionStore::~MemorySessionStore() = default;

void MemorySessionStore::announce_to(Announce announce) {
  impl_->announce = std::move(announce);
}

core::Task<> MemorySessionStore::create(Session session, std::size_t per_user_max) {
  std::lock_guard lock(impl_->mutex);
  std::size_t count = 0;
  for (auto it = impl_->oldest(session.owner, count); count >= per_user_max && it != impl_->sessions.end();
       it = impl_->oldest(session.owner, count)) {
    impl_->sessions.erase(it);
  }
  std::string id = session.id;
  impl_->sessions[std::move(id)] = {
      std::make_shared<Session>(std::move(session)), impl_->clock.now(), {}, {}, 0};
  co_return;
}

core::Task<SessionPtr> MemorySessionStore::find(SessionOwner owner, std::string id) {
  std::lock_guard lock(impl_->mutex);
  KeptSession* kept = impl_->get(owner, id);
  if (kept == nullptr) co_return nullptr;
  const auto now = impl_->clock.now();
  if (now - kept->used > impl_->idle_max) {
    impl_->sessions.erase(id);
    co_return nullptr;
  }
  kept->used = now;
  co_return kept->session;
}

core::Task<> MemorySessionStore::set_client(SessionOwner owner, std::string id, std::string protocol_version,
                                            std::string client_json, std::string capabilities_json) {
  impl_->change(owner, id, [&](Session& session) {
    session.protocol_version = std::move(protocol_version);
    session.client_json = std::move(client_json);
    session.capabilities_json = std::move(capabilities_json);
  });
  co_return;
}

core::Task<> MemorySessionStore::set_log_level(SessionOwner owner, std::string id, std::string level) {
  impl_->change(owner, id, [&](Session& session) { session.log_level = std::move(level); });
  co_return;
}

core::Task<> MemorySessionStore::set_list_etag(SessionOwner owner, std::string id, std::string etag) {
  impl_->change(owner, id, [&](Session& session) { session.list_etag = std::move(etag); });
  co_return;
}

core::Task<bool> MemorySessionStore::subscribe(SessionOwner owner, std::string id, std::string uri,
                                               Subscribing what) {
  bool room = true;
  impl_->change(owner, id, [&](Session& session) {
    auto& list = session.subscriptions;
    std::erase(list, uri);
    if (what == Subscribing::Remove) return;
    room = list.size() < kSubscriptionsMax;
    if (room) list.push_back(uri);
  });
  co_return room;
}

core::Task<> MemorySessionStore::mark_read(SessionOwner owner, std::string id, core::Time until) {
  std::lock_guard lock(impl_->mutex);
  if (KeptSession* kept = impl_->get(owner, id)) {
    kept->used = impl_->clock.now();
    kept->read_until = until;
  }
  co_return;
}

core::Task<bool> MemorySessionStore::is_read(SessionOwner owner, std::string id) {
  std::lock_guard lock(impl_->mutex);
  const KeptSession* kept = impl_->get(owner, id);
  co_return kept != nullptr && (!kept->read_until || *kept->read_until > impl_->clock.now());
}

core::Task<bool> MemorySessionStore::remove(SessionOwner owner, std::string id) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->get(owner, id) == nullptr) co_return false;
  co_return impl_->sessions.erase(id) == 1;
}

core::Task<> MemorySessionStore::append(SessionOwner owner, std::string session, std::string stream,
                                        StreamEvent event) {
  {
    std::lock_guard lock(impl_->mutex);
    KeptSession* kept = impl_->get(owner, session);
    if (kept == nullptr) co_return;
    impl_->keep(*kept, {stream, std::move(event)});
  }
  if (impl_->announce) impl_->announce("mcp_stream", session + "/" + stream);
}

core::Task<> MemorySessionStore::append_next(SessionOwner owner, std::string session, std::string stream,
                                             std::string data) {
  {
    std::lock_guard lock(impl_->mutex);
    KeptSession* kept = impl_->get(owner, session);
    if (kept == nullptr) co_return;
    std::int64_t last = 0;
    for (const auto& item : kept->events) last = item.stream == stream ? item.event.seq : last;
    impl_->keep(*kept, {stream, {last + 1, std::move(data), false}});
  }
  if (impl_->announce) impl_->announce("mcp_stream", session + "/" + stream);
}

core::Task<std::optional<std::vector<StreamEvent>>> MemorySessionStore::read(SessionOwner owner,
                                                                             std::string session,
                                                                             std::string stream,
                                                                             std::int64_t after) {
  std::lock_guard lock(impl_->mutex);
  KeptSession* kept = impl_->get(owner, session);
  std::optional<std::vector<StreamEvent>> out;
  if (kept == nullptr) co_return out;
  for (const auto& item : kept->events) {
    if (item.stream != stream) continue;
    if (!out) out.emplace();
    if (item.event.seq > after) out->push_back(item.event);
  }
  co_return out;
}

core::Task<> MemorySessionStore::publish(SessionOwner, std::string topic, std::string payload) {
  if (impl_->announce) impl_->announce(topic, payload);
  co_return;
}

void MemorySessionStore::on_notify(std::string_view, std::string_view) {}

}  // namespace assistiv::mcp
