#pragma once
// Sessions in memory, for the anonymous fixture endpoint and for tests: no tenant, no restart, one node.
#include <chrono>
#include <functional>
#include <memory>

#include "core/clock.h"
#include "mcp/sessions/session_store.h"

namespace assistiv::mcp {

class MemorySessionStore final : public SessionStore {
 public:
  using Announce = std::function<void(std::string_view topic, std::string_view payload)>;

  MemorySessionStore(const core::Clock& clock, std::chrono::hours idle_max);
  ~MemorySessionStore() override;
  // Where wake-ups and publish() go: Endpoint::on_notify. Set before the first request.
  void announce_to(Announce announce);

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

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::mcp
