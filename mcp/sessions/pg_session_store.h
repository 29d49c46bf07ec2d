#pragma once
// Sessions in PostgreSQL (tables mcp_session and mcp_stream_event), with a cache in front: a request of a
// known session costs no statement. Changes reach the caches of other nodes by the topic "mcp_session".
#include <chrono>
#include <cstddef>
#include <memory>

#include "core/clock.h"
#include "mcp/sessions/session_store.h"
#include "storage/database.h"

namespace assistiv::mcp {

struct PgSessionOptions {
  std::chrono::hours idle_max{24};
  std::chrono::minutes touch_every{10};  // how often the use of a session goes to the database
  std::size_t cached_max = 20000;
};

class PgSessionStore final : public SessionStore {
 public:
  PgSessionStore(storage::Database& database, const core::Clock& clock, PgSessionOptions options = {});
  ~PgSessionStore() override;

  core::Task<> create(Session session, std::size_t per_user_max) override;
  core::Task<SessionPtr> find(SessionOwner owner, std::string id) override;
  core::Task<> set_client(SessionOwner owner, std::string id, std::string protocol_version,
                          std::string client_json, std::string capabilities_json) override;
  core::Task<> set_log_level(SessionOwner owner, std::string id, std::string level) override;
  core::Task<> set_list_etag(SessionOwner owner, std::string id, std::string etag) override;
  core::Task<bool> subscribe(SessionOwner owner, std::string id, std::string uri, Subscribing what) override;
  core::Task<> mark_read(SessionOwner owner, std::string id, core::Time until) override;
  core::Task<bool> is_read(SessionOwner owner, std::string id) override;
  core::Task<bool> remove(SessionOwner owner, std::string id) override;
  core::Task<> append(SessionOwner owner, std::string session, std::string stream,
                      StreamEvent event) override;
  core::Task<> append_next(SessionOwner owner, std::string session, std::string stream,
                           std::string data) override;
  core::Task<std::optional<std::vector<StreamEvent>>> read(SessionOwner owner, std::string session,
                                                           std::string stream, std::int64_t after) override;
  core::Task<> publish(SessionOwner owner, std::string topic, std::string payload) override;
  void on_notify(std::string_view topic, std::string_view payload) override;

  // Removes sessions of all platforms that have been unused for too long, and forgets what events older than
  // kStoredEventLife said; at most `max` of each. Also done by create(), now and then.
  core::Task<std::size_t> sweep(std::size_t max);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
