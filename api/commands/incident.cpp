#include "api/commands/incident.h"

#include <charconv>
#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <vector>

#include "api/commands/command_world.h"
#include "api/connectors.h"
#include "core/error.h"
#include "mcp/connectors/app_book.h"
#include "mcp/connectors/own_app_service.h"
#include "mcp/remote/remote_apps.h"
#include "net/outbound_client.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/incident.h"
#include "oauth/connect/provider_client.h"
#include "storage/audit.h"

namespace assistiv::api {

namespace {

constexpr std::size_t kWaitingShown = 1000;
constexpr std::chrono::seconds kPatience{60};

oauth::IncidentScope read_scope(const Arguments& arguments) {
  oauth::IncidentScope scope;
  scope.app = arguments.flag("app");
  if (scope.app.empty()) {
    throw core::bad_request(
        "usage: assistiv admin revoke --app APP [--platform ID] [--end-user ID] [--dry-run]");
  }
  if (arguments.flags.contains("platform")) {
    scope.platform_id = core::PlatformId::parse(arguments.flag("platform"));
    if (!scope.platform_id) throw core::bad_request("--platform takes an id.");
  }
  if (arguments.flags.contains("end_user")) {
    scope.end_user_id = core::EndUserId::parse(arguments.flag("end_user"));
    if (!scope.end_user_id) throw core::bad_request("--end-user takes an id.");
  }
  return scope;
}

std::chrono::seconds read_patience(const Arguments& arguments) {
  const auto text = arguments.flag("wait");
  if (!arguments.flags.contains("wait")) return kPatience;
  int seconds = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || seconds < 0 || seconds > 86400) {
    throw core::bad_request("--wait takes a number of seconds, at most 86400.");
  }
  return std::chrono::seconds(seconds);
}

// Whoever can run this needs no key.
oauth::PrincipalPtr operator_at_hand() {
  return std::make_shared<const oauth::Principal>(oauth::Principal{.kind = oauth::PrincipalKind::Operator,
                                                                   .key_id = {},
                                                                   .platform_id = {},
                                                                   .end_user_id = {},
                                                                   .scopes = {},
                                                                   .expires_at = {}});
}

void print_shares(const std::vector<oauth::IncidentShare>& shares) {
  for (const auto& share : shares) {
    std::cout << share.platform_id.str() << "  " << share.platform << ": " << share.connections
              << " connections";
    for (const auto& [slot, count] : share.tokens) std::cout << ", " << count << " tokens (" << slot << ")";
    if (share.waiting > 0) std::cout << ", " << share.waiting << " consents that wait for confirmation";
    std::cout << "\n";
  }
}

// The engine of connections without a server around it.
struct IncidentWorld {
  CommandWorld tools;
  storage::AuditLog audit;
  std::unique_ptr<oauth::Vault> vault;
  net::SystemResolver resolver;
  net::OutboundClient outbound;
  mcp::OwnAppSource own_apps;
  mcp::RemoteApps remote_apps;
  mcp::AppBook book;
  CatalogRegistry registry;
  oauth::ConnectWorld world;
  oauth::ProviderClient provider;
  oauth::RevocationQueue revocations;
  oauth::ConnectionService connections;
  oauth::IncidentResponse incident;

  explicit IncidentWorld(const Config& config)
      : tools(config),
        audit(*tools.database, tools.clock),
        vault(oauth::Vault::open_file(config.master_keys_file, tools.random)),
        outbound(outbound_options(config), resolver),
        own_apps(mcp::OwnAppRules{.loopback = config.allow_loopback_upstreams}),
        remote_apps(*vault),
        book(*tools.database, mcp::Catalog::load(mcp::manifest_files(config.manifests_dir)),
             {&own_apps, &remote_apps}),
        registry(book, config.connector_overrides),
        world{*tools.database,   audit, *vault, outbound, registry, tools.clock, tools.random,
              config.public_url, {}},
        provider(outbound),
        revocations(world, provider),
        connections(world, revocations),
        incident(world, connections, revocations) {}

  static net::OutboundOptions outbound_options(const Config& config) {
    net::OutboundOptions options;
    if (config.allow_loopback_upstreams) options.reach = net::Reach::LoopbackAndPrivate;
    return options;
  }
};

core::Task<bool> revoked_upstream(oauth::IncidentResponse* incident, oauth::IncidentScope scope,
                                  std::chrono::seconds patience,
                                  std::function<void(const oauth::RevocationTry&)> report) {
  co_await incident->revoke_upstream(std::move(scope), patience, std::move(report));
  co_return true;
}

struct UpstreamCount {
  std::size_t revoked = 0, failed = 0;
};

UpstreamCount revoke_at_provider(IncidentWorld& world, const oauth::IncidentScope& scope,
                                 std::chrono::seconds patience) {
  UpstreamCount count;
  const auto report = [&count](const oauth::RevocationTry& tried) {
    ++(tried.result.revoked ? count.revoked : count.failed);
    if (tried.result.revoked) return;
    std::cout << "NOT REVOKED at the provider: platform " << tried.platform_id.str() << ", account "
              << (tried.account_id.empty() ? "(unknown)" : tried.account_id)
              << (tried.slot.empty() ? "" : ", " + tried.slot) << ": "
              << tried.result.reason.value_or("refused") << "\n";
  };
  world.tools.waiter.wait<bool>([&] { return revoked_upstream(&world.incident, scope, patience, report); });
  return count;
}

std::size_t print_waiting(IncidentWorld& world, const oauth::IncidentScope& scope) {
  const auto waiting = world.tools.waiter.wait<std::vector<oauth::WaitingRevocation>>(
      [&] { return world.revocations.waiting(scope, kWaitingShown); });
  for (const auto& row : waiting) {
    std::cout << "NOT YET REVOKED at the provider: platform " << row.platform_id.str() << ", account "
              << (row.account_id.empty() ? "(unknown)" : row.account_id) << ": " << row.attempts
              << " tries, next one at " << core::format_time(row.due_at) << "\n";
  }
  const auto all =
      world.tools.waiter.wait<std::size_t>([&] { return world.revocations.count_waiting(scope); });
  if (all > waiting.size()) std::cout << "... and " << all - waiting.size() << " more\n";
  return all;
}

}  // namespace

int revoke_app(const Config& config, const Arguments& arguments) {
  const auto scope = read_scope(arguments);
  const auto patience = read_patience(arguments);
  IncidentWorld world(config);
  if (world.registry.built_in(scope.app) == nullptr && !oauth::is_own_app_id(scope.app)) {
    throw core::bad_request("This server has no app \"" + scope.app + "\".");
  }
  const auto shares = world.tools.waiter.wait<std::vector<oauth::IncidentShare>>(
      [&] { return world.incident.shares(scope); });
  print_shares(shares);
  const auto beyond = world.tools.waiter.wait<std::map<std::string, std::size_t>>(
      [&] { return world.incident.out_of_reach(scope, shares); });
  for (const auto& [slot, count] : beyond) {
    std::cout << "OUT OF REACH: " << count << " tokens (" << slot
              << "): this app gives no way to revoke them; take the app away at its provider\n";
  }
  if (arguments.flags.contains("dry_run")) {
    std::cout << "Nothing was changed.\n";
    return 0;
  }
  const auto ended = world.tools.waiter.wait<std::size_t>([&] {
    return world.incident.end_ours(scope, shares, oauth::AuditContext{operator_at_hand(), "cli"});
  });
  std::cout << "ended here: " << ended << " connections; their tokens are used no more" << std::endl;
  const auto count = revoke_at_provider(world, scope, patience);
  const auto waiting = print_waiting(world, scope);
  std::cout << "revoked at the provider: " << count.revoked << ", failed: " << count.failed
            << ", not yet: " << waiting << "\n";
  if (waiting > 0)
    std::cout << "Run this again to go on; a running server goes on by itself within an hour.\n";
  return count.failed == 0 && waiting == 0 && beyond.empty() ? 0 : 1;
}

}  // namespace assistiv::api
