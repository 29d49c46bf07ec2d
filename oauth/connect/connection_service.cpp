#include "oauth/connect/connection_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/flow_store.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/connect/revocation_queue.h"
#include "oauth/identity/input.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kConnectionLabelMax = 80;
constexpr std::size_t kConnectionsPerRound = 200;
constexpr std::size_t kUsesMax = 100000;
constexpr std::size_t kUsesPerStatement = 1000;

core::Error connection_not_found() {
  return core::not_found("There is no such connection.");
}

void end_connection(const ConnectWorld& world, storage::Transaction& tx, const Connection& connection,
                    const AuditContext& context) {
  ConnectionStore(world.clock, world.random)
      .set_status(tx, connection.platform_id, connection.id, ConnectionStatus::Revoked, "disconnected");
  world.audit.append(tx, connection.platform_id,
                     audit_event(context, "connection.revoked", connection.end_user_id, connection.id.str(),
                                 {{"app", connection.app}, {"account", connection.account_label}}));
  tx.notify("connection", connection.platform_id.str() + "/" + connection.end_user_id.str());
}

struct Wanted {
  core::PlatformId platform;
  std::optional<core::EndUserId> end_user;
  core::ConnectionId id;
};

Connection apply_change(const ConnectWorld& world, storage::Transaction& tx, const Wanted& wanted,
                        const ConnectionChange& change, const AuditContext& context) {
  const ConnectionStore store(world.clock, world.random);
  const auto found = store.lock(tx, wanted.platform, wanted.id);
  const bool own = found && (!wanted.end_user || found->end_user_id == *wanted.end_user);
  if (!own || found->status == ConnectionStatus::Revoked) throw connection_not_found();
  core::Json details = {{"app", found->app}};
  if (change.label) {
    if (*change.label && store.label_taken(tx, *found, **change.label))
      throw core::conflict("Another account of this app has this label.").with_code("label_taken");
    store.set_label(tx, *found, *change.label);
    details["label"] = *change.label ? core::Json(**change.label) : core::Json();
  }
  if (change.make_default) {
    store.make_default(tx, *found);
    details["is_default"] = true;
  }
  world.audit.append(
      tx, wanted.platform,
      audit_event(context, "connection.updated", found->end_user_id, wanted.id.str(), details));
  tx.notify("connection", wanted.platform.str() + "/" + found->end_user_id.str());
  return *store.get(tx, wanted.platform, wanted.id);
}

}  // namespace

const std::string& shown_label(const Connection& connection) {
  return connection.label ? *connection.label : connection.account_label;
}

core::Task<Page<Connection>> ConnectionService::list(core::PlatformId platform, ConnectionFilter filter,
                                                     PageRequest page) {
  page.check();
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, filter, page](storage::Transaction& tx) {
        return ConnectionStore(world_.clock, world_.random).list(tx, platform, filter, page);
      });
}

core::Task<Connection> ConnectionService::get(core::PlatformId platform, core::ConnectionId id) {
  const auto connection = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, id](storage::Transaction& tx) {
        return ConnectionStore(world_.clock, world_.random).get(tx, platform, id);
      });
  if (!connection) throw connection_not_found();
  co_return *connection;
}

core::Task<Connection> ConnectionService::change(core::PlatformId platform,
                                                 std::optional<core::EndUserId> end_user,
                                                 core::ConnectionId id, ConnectionChange change,
                                                 AuditContext context) {
  if (change.label && *change.label)
    change.label = checked_text(**change.label, 1, kConnectionLabelMax, "/label");
  auto changed = co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, end_user, id, change, context](storage::Transaction& tx) {
        return apply_change(world_, tx, {platform, end_user, id}, change, context);
      });
  announce_connection(world_, platform, changed.end_user_id);
  co_return changed;
}

core::Task<std::optional<Connection>> ConnectionService::usable(core::PlatformId platform,
                                                                core::EndUserId end_user, std::string app) {
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, end_user, app](storage::Transaction& tx) {
        return ConnectionStore(world_.clock, world_.random).usable(tx, platform, end_user, app);
      });
}

core::Task<Disconnected> ConnectionService::disconnect(core::PlatformId platform,
                                                       std::optional<core::EndUserId> end_user,
                                                       core::ConnectionId id, AuditContext context) {
  struct Ended {
    Connection connection;
    std::vector<core::Uuid> rows;
  };
  const auto ended = co_await world_.database.run(
      storage::Scope::tenant(platform), [this, platform, end_user, id, context](storage::Transaction& tx) {
        auto connection = ConnectionStore(world_.clock, world_.random).lock(tx, platform, id);
        if (!connection || (end_user && connection->end_user_id != *end_user)) throw connection_not_found();
        auto rows = revocations_.put_connection(tx, *connection, RevocationQueue::Due::AfterCaller);
        if (connection->status != ConnectionStatus::Revoked) end_connection(world_, tx, *connection, context);
        return Ended{std::move(*connection), std::move(rows)};
      });
  announce_connection(world_, platform, ended.connection.end_user_id);
  Disconnected out{id, !ended.rows.empty(), {}};
  const auto spec = co_await world_.registry.find(platform, ended.connection.app);
  if (ended.rows.empty())
    out.reason = RevocationQueue::supports(spec.get()) ? "no_credentials" : "not_supported";
  for (const auto& row : ended.rows) {
    const auto result = co_await revocations_.run(platform, row);
    if (result.revoked) continue;
    out.revoked_upstream = false;
    out.reason = result.reason;
  }
  co_return out;
}

std::vector<core::EndUserId> ConnectionService::end_round(storage::Transaction& tx, core::PlatformId platform,
                                                          const ConnectionFilter& filter,
                                                          const AuditContext& context,
                                                          RevocationDue due) const {
  std::vector<core::EndUserId> affected;
  const FlowStore flows(world_.vault, world_.clock);
  for (const auto& flow : flows.lock_waiting_of(tx, platform, filter.end_user_id, filter.app)) {
    revocations_.put_grant(tx, platform, flows.open_outcome(flow), flow.end_user_id, due);
    if (flows.finish(tx, platform, flow.id))
      world_.audit.append(tx, platform, flow_failed(context, flow, "expired"));
  }
  const auto connections =
      ConnectionStore(world_.clock, world_.random).lock_live(tx, platform, filter, kConnectionsPerRound);
  for (const auto& connection : connections) {
    revocations_.put_connection(tx, connection, due);
    end_connection(world_, tx, connection, context);
    affected.push_back(connection.end_user_id);
  }
  return affected;
}

core::Task<std::size_t> ConnectionService::disconnect_all(core::PlatformId platform, ConnectionFilter filter,
                                                          AuditContext context, RevocationDue due) {
  std::size_t total = 0;
  for (;;) {
    const auto affected = co_await world_.database.run(
        storage::Scope::tenant(platform), [this, platform, filter, context, due](storage::Transaction& tx) {
          return end_round(tx, platform, filter, context, due);
        });
    for (const auto& end_user : affected) announce_connection(world_, platform, end_user);
    total += affected.size();
    if (affected.size() < kConnectionsPerRound) co_return total;
  }
}

void ConnectionService::touch(core::PlatformId platform, core::ConnectionId id) {
  const auto now = world_.clock.now();
  std::lock_guard lock(mutex_);
  // Uses are for people to look at; past the bound the oldest knowledge is good enough.
  if (uses_.size() < kUsesMax) uses_[{platform, id}] = now;
}

core::Task<> ConnectionService::flush_uses() {
  std::map<std::pair<core::PlatformId, core::ConnectionId>, core::Time> uses;
  {
    std::lock_guard lock(mutex_);
    uses.swap(uses_);
  }
  std::vector<ConnectionUse> batch;
  for (auto it = uses.begin(); it != uses.end();) {
    batch.push_back({it->first.first, it->first.second, it->second});
    ++it;
    if (batch.size() < kUsesPerStatement && it != uses.end()) continue;
    // All tenants in one statement: background work.
    co_await world_.database.run(storage::Scope::system(), [this, batch](storage::Transaction& tx) {
      ConnectionStore(world_.clock, world_.random).set_last_used(tx, batch);
    });
    batch.clear();
  }
}

}  // namespace assistiv::oauth
