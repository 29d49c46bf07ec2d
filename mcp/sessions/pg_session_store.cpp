#include "mcp/sessions/pg_session_store.h"

#include <list>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/error.h"

namespace assistiv::mcp {

namespace {

using storage::Param;
using storage::Scope;
using storage::Transaction;

constexpr std::chrono::minutes kSweepEvery{10};
constexpr std::size_t kSweepMax = 1000;

// Subscriptions come back as lines: no URI has a line break (subscribe() sees to it).
constexpr std::string_view kSessionColumns =
    "end_user_id, endpoint, protocol_version, client, capabilities, tool_selection, log_level, "
    "list_etag, array_to_string(subscriptions, E'\\n') as subscriptions";

std::vector<std::string> split_lines(const std::string& text) {
  std::vector<std::string> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string ms(core::Time time) {
  return std::to_string(core::to_epoch_ms(time));
}

Session session_of(const storage::Row& row, core::PlatformId platform, std::string id) {
  Session out;
  out.owner = {platform, row.id<core::EndUserId>("end_user_id"), row.text("endpoint")};
  out.id = std::move(id);
  out.protocol_version = row.text("protocol_version");
  out.client_json = row.text("client");
  out.capabilities_json = row.text("capabilities");
  out.tool_selection = row.text("tool_selection");
  out.log_level = row.text("log_level");
  out.list_etag = row.text("list_etag");
  out.subscriptions = split_lines(row.text("subscriptions"));
  return out;
}

// Makes room for one more session of the end user.
void evict(Transaction& tx, const SessionOwner& owner, std::size_t per_user_max) {
  tx.exec(
      "delete from mcp_session where platform_id = $1::uuid and session_id in ("
      "  select session_id from mcp_session where platform_id = $1::uuid and end_user_id = $2::uuid"
      "  order by used_at desc offset $3::bigint)",
      {owner.platform.str(), owner.end_user.str(), std::to_string(per_user_max - 1)});
}

void insert(Transaction& tx, const Session& session, core::Time now) {
  tx.exec(
      "insert into mcp_session (platform_id, session_id, end_user_id, endpoint, protocol_version, client, "
      "capabilities, created_at, used_at, tool_selection) values ($1::uuid, $2, $3::uuid, $4, $5, $6, $7, "
      "assistiv_time($8::bigint), assistiv_time($8::bigint), $9)",
      {session.owner.platform.str(), session.id, session.owner.end_user.str(), session.owner.endpoint,
       session.protocol_version, session.client_json, session.capabilities_json, ms(now),
       session.tool_selection});
}

// Keeps what is stored for resumption within its bounds: everything up to the newest event that is too much
// goes.
void trim_events(Transaction& tx, const std::string& platform, const std::string& session) {
  tx.exec(
      "delete from mcp_stream_event where platform_id = $1::uuid and session_id = $2 and position <= ("
      "  select max(position) from ("
      "    select position, row_number() over w as n, sum(octet_length(data)) over w as bytes"
      "    from mcp_stream_event where platform_id = $1::uuid and session_id = $2"
      "    window w as (order by position desc)) e"
      "  where n > $3::bigint or (n > 1 and bytes > $4::bigint))",
      {platform, session, std::to_string(kStoredEventsMax), std::to_string(kStoredBytesMax)});
}

}  // namespace

struct PgSessionStore::Impl {
  storage::Database& database;
  const core::Clock& clock;
  PgSessionOptions options;

  struct Cached {
    SessionPtr session;
    core::Time touched;
    std::list<std::string>::iterator age;
  };
  std::mutex mutex;
  std::unordered_map<std::string, Cached> cache;
  std::list<std::string> by_age;  // least recently used first
  core::Time swept{};

  struct Hit {
    SessionPtr session;
    bool fresh = false;  // its use is on record
  };

  Hit lookup(const std::string& id) {
    std::lock_guard lock(mutex);
    const auto it = cache.find(id);
    if (it == cache.end()) return {};
    by_age.splice(by_age.end(), by_age, it->second.age);
    return {it->second.session, clock.now() - it->second.touched < options.touch_every};
  }

  void remember(SessionPtr session) {
    std::lock_guard lock(mutex);
    drop(session->id);
    while (cache.size() >= options.cached_max) drop(std::string(by_age.front()));
    by_age.push_back(session->id);
    cache[session->id] = {session, clock.now(), std::prev(by_age.end())};
  }

  void drop(const std::string& id) {
    const auto it = cache.find(id);
    if (it == cache.end()) return;
    by_age.erase(it->second.age);
    cache.erase(it);
  }

  void forget(const std::string& id) {
    std::lock_guard lock(mutex);
    drop(id);
  }

  bool sweep_due() {
    std::lock_guard lock(mutex);
    const auto now = clock.now();
    if (now - swept < kSweepEvery) return false;
    swept = now;
    return true;
  }

  // Runs one statement on a session's row and tells the other nodes.
  core::Task<std::size_t> change(SessionOwner owner, std::string id, std::string sql,
                                 std::vector<Param> params) {
    const std::size_t changed = co_await database.run(Scope::tenant(owner.platform), [=](Transaction& tx) {
      const std::size_t rows = tx.exec(sql, params).affected();
      if (rows != 0) tx.notify("mcp_session", id);
      return rows;
    });
    forget(id);
    co_return changed;
  }
};

PgSessionStore::PgSessionStore(storage::Database& database, const core::Clock& clock,
                               PgSessionOptions options)
    : impl_(new Impl{database, clock, options, {}, {}, {}, {}}) {}
PgSessionStore::~PgSessionStore() = default;

core::Task<> PgSessionStore::create(Session session, std::size_t per_user_max) {
  const auto shared = std::make_shared<const Session>(std::move(session));
  const auto now = impl_->clock.now();
  co_await impl_->database.run(Scope::tenant(shared->owner.platform), [=](Transaction& tx) {
    evict(tx, shared->owner, std::max<std::size_t>(per_user_max, 1));
    insert(tx, *shared, now);
  });
  impl_->remember(shared);
  if (impl_->sweep_due()) co_await sweep(kSweepMax);
}

core::Task<SessionPtr> PgSessionStore::find(SessionOwner owner, std::string id) {
  const auto hit = impl_->lookup(id);
  if (hit.session && hit.session->owner != owner) co_return nullptr;
  if (hit.fresh) co_return hit.session;
  const auto now = impl_->clock.now();
  const auto used_after = ms(now - impl_->options.idle_max);
  auto found =
      co_await impl_->database.run(Scope::tenant(owner.platform), [=](Transaction& tx) -> SessionPtr {
        const auto rows = tx.exec(
            "update mcp_session set used_at = greatest(used_at, assistiv_time($3::bigint)) where platform_id "
            "= $1::uuid "
            "and session_id = $2 and end_user_id = $4::uuid and endpoint = $5 and used_at > "
            "assistiv_time($6::bigint) "
            "returning " +
                std::string(kSessionColumns),
            {owner.platform.str(), id, ms(now), owner.end_user.str(), owner.endpoint, used_after});
        if (rows.empty()) return nullptr;
        return std::make_shared<const Session>(session_of(rows[0], owner.platform, id));
      });
  if (found) {
    impl_->remember(found);
  } else {
    impl_->forget(id);
  }
  co_return found;
}

core::Task<> PgSessionStore::set_client(SessionOwner owner, std::string id, std::string protocol_version,
                                        std::string client_json, std::string capabilities_json) {
  co_await impl_->change(
      owner, id,
      "update mcp_session set protocol_version = $3, client = $5, capabilities = $6 where platform_id = "
      "$1::uuid "
      "and session_id = $2 and end_user_id = $4::uuid",
      {owner.platform.str(), id, protocol_version, owner.end_user.str(), client_json, capabilities_json});
}

core::Task<> PgSessionStore::set_log_level(SessionOwner owner, std::string id, std::string level) {
  co_await impl_->change(
      owner, id,
      "update mcp_session set log_level = $3 where platform_id = $1::uuid and session_id = $2 "
      "and end_user_id = $4::uuid",
      {owner.platform.str(), id, level, owner.end_user.str()});
}

core::Task<> PgSessionStore::set_list_etag(SessionOwner owner, std::string id, std::string etag) {
  co_await impl_->change(
      owner, id,
      "update mcp_session set list_etag = $3 where platform_id = $1::uuid and session_id = $2 "
      "and end_user_id = $4::uuid",
      {owner.platform.str(), id, etag, owner.end_user.str()});
}

core::Task<bool> PgSessionStore::subscribe(SessionOwner owner, std::string id, std::string uri,
                                           Subscribing what) {
  if (uri.find('\n') != std::string::npos) co_return false;
  const std::string change = what == Subscribing::Add ? "array_append(array_remove(subscriptions, $3), $3)"
                                                      : "array_remove(subscriptions, $3)";
  const std::size_t rows = co_await impl_->change(
      owner, id,
      "update mcp_session set subscriptions = " + change +
          " where platform_id = $1::uuid and session_id = $2 and end_user_id = $4::uuid"
          " and cardinality(array_remove(subscriptions, $3)) < $5::int",
      {owner.platform.str(), id, uri, owner.end_user.str(),
       std::to_string(what == Subscribing::Add ? kSubscriptionsMax : kSubscriptionsMax + 1)});
  co_return rows != 0;
}

core::Task<> PgSessionStore::mark_read(SessionOwner owner, std::string id, core::Time until) {
  const std::string now = ms(impl_->clock.now());
  co_await impl_->database.run(Scope::tenant(owner.platform), [=](Transaction& tx) {
    tx.exec(
        "update mcp_session set read_until = assistiv_time($4::bigint),"
        " used_at = greatest(used_at, assistiv_time($5::bigint))"
        " where platform_id = $1::uuid and session_id = $2 and end_user_id = $3::uuid",
        {owner.platform.str(), id, owner.end_user.str(), ms(until), now});
  });
}

core::Task<bool> PgSessionStore::is_read(SessionOwner owner, std::string id) {
  const std::string now = ms(impl_->clock.now());
  co_return co_await impl_->database.run(Scope::tenant(owner.platform), [=](Transaction& tx) {
    return !tx.exec(
                  "select 1 from mcp_session where platform_id = $1::uuid and session_id = $2"
                  " and end_user_id = $3::uuid"
                  " and (read_until is null or read_until > assistiv_time($4::bigint))",
                  {owner.platform.str(), id, owner.end_user.str(), now})
                .empty();
  });
}

core::Task<bool> PgSessionStore::remove(SessionOwner owner, std::string id) {
  const bool removed = co_await impl_->database.run(Scope::tenant(owner.platform), [=](Transaction& tx) {
    const auto rows = tx.exec(
        "delete from mcp_session where platform_id = $1::uuid and session_id = $2 "
        "and end_user_id = $3::uuid and endpoint = $4",
        {owner.platform.str(), id, owner.end_user.str(), owner.endpoint});
    if (rows.affected() != 0) tx.notify("mcp_end", owner.end_user.str() + "/" + id);
    return rows.affected() != 0;
  });
  impl_->forget(id);
  co_return removed;
}

core::Task<> PgSessionStore::append(SessionOwner owner, std::string session, std::string stream,
                                    StreamEvent event) {
  const std::string now = ms(impl_->clock.now());
  co_await impl_->database.run(Scope::tenant(owner.platform), [=](Transaction& tx) {
    const std::string platform = owner.platform.str();
    // The session may have ended meanwhile: then nobody can come back for the event.
    tx.exec(
        "insert into mcp_stream_event (platform_id, session_id, stream_id, seq, data, is_last, created_at) "
        "select platform_id, session_id, $3, $4::bigint, $5, $6::boolean, assistiv_time($8::bigint) from "
        "mcp_session "
        "where platform_id = $1::uuid and session_id = $2 and end_user_id = $7::uuid on conflict do nothing",
        {platform, session, stream, std::to_string(event.seq), event.data, event.last ? "true" : "false",
         owner.end_user.str(), now});
    trim_events(tx, platform, session);
    tx.notify("mcp_stream", session + "/" + stream);
  });
}

core::Task<> PgSessionStore::append_next(SessionOwner owner, std::string session, std::string stream,
                                         std::string data) {
  const std::string now = ms(impl_->clock.now());
  co_await impl_->database.run(Scope::tenant(owner.platform), [=](Transaction& tx) {
    const std::string platform = owner.platform.str();
    // Writers of one session take turns, so that numbers have no gaps and are seen in order.
    const auto rows = tx.exec(
        "select 1 from mcp_session where platform_id = $1::uuid and session_id = $2 and end_user_id = "
        "$3::uuid for "
        "update",
        {platform, session, owner.end_user.str()});
    if (rows.empty()) return;
    tx.exec(
        "insert into mcp_stream_event (platform_id, session_id, stream_id, seq, data, is_last, created_at) "
        "values "
        "($1::uuid, $2, "
        "$3, (select coalesce(max(seq), 0) + 1 from mcp_stream_event where platform_id = $1::uuid and "
        "session_id = "
        "$2 and stream_id = $3), $4, false, assistiv_time($5::bigint))",
        {platform, session, stream, data, now});
    trim_events(tx, platform, session);
    tx.notify("mcp_stream", session + "/" + stream);
  });
}

core::Task<std::optional<std::vector<StreamEvent>>> PgSessionStore::read(SessionOwner owner,
                                                                         std::string session,
                                                                         std::string stream,
                                                                         std::int64_t after) {
  const std::string kept_since = ms(impl_->clock.now() - kStoredEventLife);
  co_return co_await impl_->database.run(
      Scope::tenant(owner.platform), [=](Transaction& tx) -> std::optional<std::vector<StreamEvent>> {
        const auto rows = tx.exec(
            "select e.seq, case when e.seq > $4::bigint and e.created_at > assistiv_time($6::bigint) then "
            "e.data else '' end as data, e.is_last "
            "from mcp_stream_event e join mcp_session s using (platform_id, session_id) "
            "where e.platform_id = $1::uuid and e.session_id = $2 and e.stream_id = $3 "
            "and s.end_user_id = $5::uuid order by e.seq",
            {owner.platform.str(), session, stream, std::to_string(after), owner.end_user.str(), kept_since});
        if (rows.empty()) return {};
        std::vector<StreamEvent> out;
        for (const auto row : rows) {
          StreamEvent event{row.integer("seq"), row.text("data"), row.boolean("is_last")};
          if (event.seq <= after) continue;
          if (event.last && event.data.empty()) return {};  // the answer was forgotten
          out.push_back(std::move(event));
        }
        return out;
      });
}

core::Task<> PgSessionStore::publish(SessionOwner owner, std::string topic, std::string payload) {
  co_await impl_->database.run(Scope::tenant(owner.platform),
                               [=](Transaction& tx) { tx.notify(topic, payload); });
}

void PgSessionStore::on_notify(std::string_view topic, std::string_view payload) {
  std::lock_guard lock(impl_->mutex);
  if (topic == "mcp_session") {
    impl_->drop(std::string(payload));
  } else if (topic == "resync") {
    impl_->cache.clear();
    impl_->by_age.clear();
  }
}

core::Task<std::size_t> PgSessionStore::sweep(std::size_t max) {
  const auto used_before = ms(impl_->clock.now() - impl_->options.idle_max);
  const auto kept_since = ms(impl_->clock.now() - kStoredEventLife);
  // System scope: idle sessions and old events of every platform.
  co_return co_await impl_->database.run(Scope::system(), [=](Transaction& tx) {
    tx.exec(
        "update mcp_stream_event set data = '' where (platform_id, session_id, stream_id, seq) in ("
        "  select platform_id, session_id, stream_id, seq from mcp_stream_event"
        "  where created_at <= assistiv_time($1::bigint) and data <> ''"
        "  order by created_at limit $2::bigint for update skip locked)",
        {kept_since, std::to_string(max)});
    return tx
        .exec(
            "delete from mcp_session where (platform_id, session_id) in ("
            "  select platform_id, session_id from mcp_session where used_at <= assistiv_time($1::bigint)"
            "  order by used_at limit $2::bigint for update skip locked)",
            {used_before, std::to_string(max)})
        .affected();
  });
}

}  // namespace assistiv::mcp
