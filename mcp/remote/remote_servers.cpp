#include "mcp/remote/remote_servers.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "core/url_text.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/remote/remote_server_store.h"
#include "mcp/remote/remote_token.h"
#include "mcp/remote/tool_definition.h"
#include "mcp/remote/tool_review.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/credential_store.h"
#include "oauth/connect/return_url.h"
#include "oauth/crypto/vault.h"

namespace assistiv::mcp {

namespace {

using storage::Transaction;

constexpr char kAppTopic[] = "app";
constexpr std::size_t kAppMax = 24;
constexpr std::size_t kServerTitleMax = 80;
constexpr std::size_t kAboutMax = 500;
constexpr std::size_t kUrlMax = 2048;
constexpr std::size_t kHeaderValueMax = 4096;
constexpr std::size_t kNamesInAudit = 30;
constexpr std::size_t kReturnUrlsOfServer = 20;
constexpr std::chrono::minutes kRefreshLease{5};
// One credential for everybody, or the platform's word for the user: there is no account to tell apart.
constexpr char kUserAccount[] = "credential";

core::Error no_server() {
  return core::not_found("This platform has no MCP server registered under this name.");
}

// Without underscores after the prefix, so that no two servers can give a tool the same name.
void check_app(const std::string& app) {
  const bool good = app.starts_with(oauth::kOwnAppPrefix) && app.size() >= oauth::kOwnAppPrefix.size() + 2 &&
                    app.size() <= kAppMax &&
                    std::all_of(app.begin() + oauth::kOwnAppPrefix.size(), app.end(),
                                [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
  if (!good) {
    throw core::bad_request(
        "The name of a server is \"own_\" and 2 to 20 of a-z and 0-9; its tools' names begin with it.",
        "/app");
  }
}

void check_words(const std::string& text, std::size_t min, std::size_t max, const char* field) {
  if (clean_text(text) != text || clip_text(text, max) != text || text.size() < min) {
    throw core::bad_request("This must be " + std::to_string(min) + " to " + std::to_string(max) +
                                " characters, all of them visible.",
                            field);
  }
}

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

// Headers that are the protocol's or HTTP's own.
void check_header_name(const std::string& name) {
  const bool good =
      !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), is_token_char);
  std::string lower = name;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  const bool taken = lower.starts_with("mcp-") || lower.starts_with("sec-") || lower.starts_with("proxy-");
  constexpr std::string_view kTaken[] = {"host",       "connection", "content-length",  "content-type",
                                         "accept",     "upgrade",    "accept-encoding", "transfer-encoding",
                                         "user-agent", "te",         "expect",          "last-event-id",
                                         "trailer",    "traceparent"};
  if (!good || taken || std::find(std::begin(kTaken), std::end(kTaken), lower) != std::end(kTaken)) {
    throw core::bad_request("This is no header that can carry a credential.", "/auth/header_name");
  }
}

void check_header_value(const core::Secret& value, const char* field) {
  const auto& text = value.reveal();
  const bool good = !text.empty() && text.size() <= kHeaderValueMax && text.front() != ' ' &&
                    text.back() != ' ' &&
                    std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!good) throw core::bad_request("This must be 1 to 4096 printable ASCII characters.", field);
}

core::Json with_origin(const RemoteServer& server) {
  return {
      {"kind", "remote"}, {"origin", core::url_origin(server.url)}, {"auth", remote_auth_name(server.auth)}};
}

RemoteServerView read_server_view(const RemoteServerStore& store, Transaction& tx, core::PlatformId platform,
                                  RemoteServer server) {
  RemoteServerView out{std::move(server), {}};
  for (const auto& row : store.tools(tx, platform, out.server.app)) out.tools.push_back(reviewed(row));
  return out;
}

// The switch is the app's.
RemoteServerRow with_switch(const oauth::Vault& vault, Transaction& tx, core::PlatformId platform,
                            RemoteServerRow row) {
  const auto app = oauth::AppStore(vault).get(tx, platform, row.server.app);
  row.server.is_active = app && app->app.is_active;
  return row;
}

RemoteServerRow locked(const oauth::Vault& vault, Transaction& tx, core::PlatformId platform,
                       const std::string& app) {
  auto row = RemoteServerStore(vault).lock(tx, platform, app);
  if (!row) throw no_server();
  return with_switch(vault, tx, platform, std::move(*row));
}

core::Json changed_members(const RemoteServerPatch& patch) {
  core::Json names = core::Json::array();
  if (patch.title) names.push_back("title");
  if (patch.description) names.push_back("description");
  if (patch.url) names.push_back("url");
  if (patch.header_value) names.push_back("header_value");
  if (patch.is_active) names.push_back("is_active");
  return {{"changed", std::move(names)}, {"kind", "remote"}};
}

void check_credential_stays(const RemoteServerRow& row, const RemoteServerPatch& patch) {
  if (patch.url && row.server.auth == RemoteAuth::Oauth && *patch.url != row.server.url) {
    throw core::bad_request(
        "The end users' tokens are for this address alone. Register the new server beside this one.", "/url");
  }
  if (!patch.url || core::url_origin(*patch.url) == core::url_origin(row.server.url)) return;
  if (row.server.auth == RemoteAuth::UserHeader) {
    throw core::bad_request(
        "The end users' credentials are not sent to another origin. Register the new server beside this one.",
        "/url");
  }
  if (!row.sealed_header.empty() && !patch.header_value) {
    throw core::bad_request(
        "Another origin needs the credential again: the stored one is not sent elsewhere.", "/header_value");
  }
}

void check_header_rules(const NewRemoteServer& input, RemoteServer& server) {
  const bool header = server.auth == RemoteAuth::SharedHeader || server.auth == RemoteAuth::UserHeader;
  if (!header && (!input.header_value.empty() || !input.header_name.empty()))
    throw core::bad_request("Without a header of its own this kind takes no value and no name.", "/auth");
  if (!header) return;
  server.header_name = input.header_name.empty() ? "Authorization" : input.header_name;
  check_header_name(server.header_name);
  if (server.auth == RemoteAuth::SharedHeader || !input.header_value.empty())
    check_header_value(input.header_value, "/auth/value");
}

void check_sign_in_rules(const NewRemoteServer& input) {
  const bool given = !input.client_id.empty() || !input.client_secret.empty() || !input.return_urls.empty();
  if (input.auth != RemoteAuth::Oauth && given)
    throw core::bad_request("Only the kind oauth has a client and return URLs.", "/auth");
  if (input.client_id.empty() && !input.client_secret.empty())
    throw core::bad_request("A secret needs its client_id.", "/auth/client_secret");
  if (input.return_urls.size() > kReturnUrlsOfServer)
    throw core::bad_request("At most 20 return URLs are allowed.", "/auth/return_urls");
  for (const auto& url : input.return_urls) {
    if (const auto fault = oauth::return_url_fault(url); !fault.empty())
      throw core::bad_request("A return URL " + fault + ".", "/auth/return_urls");
  }
}

RemoteServer checked_server(const RemoteServersParts& parts, const NewRemoteServer& input) {
  check_app(input.app);
  check_words(input.title, 1, kServerTitleMax, "/title");
  check_words(input.description, 0, kAboutMax, "/description");
  if (input.url.size() > kUrlMax) throw core::bad_request("An address has at most 2048 characters.", "/url");
  if (const auto fault = parts.url_fault(input.url))
    throw core::bad_request("This address cannot be used: it " + *fault + ".", "/url");
  RemoteServer server;
  server.app = input.app;
  server.title = input.title;
  server.description = input.description;
  server.url = input.url;
  server.auth = input.auth;
  check_header_rules(input, server);
  check_sign_in_rules(input);
  return server;
}

RemoteTarget target_of(core::PlatformId platform, const RemoteServer& server, core::Secret header) {
  RemoteTarget out;
  out.session_key = platform.str() + "/" + server.app;
  out.url = server.url;
  out.title = server.title;
  if (!header.empty()) out.header_name = server.header_name;
  out.header_value = std::move(header);
  return out;
}

// After each failure in a row longer, so that a server that is down is not asked all the time.
std::chrono::seconds refresh_wait(const RemoteServersOptions& options, int failures) {
  const auto longest = std::max<std::chrono::seconds>(options.refresh_interval, options.refresh_interval_max);
  auto wait = options.refresh_interval;
  for (int i = 0; i < failures && wait < longest; ++i) wait *= 2;
  return std::min(wait, longest);
}

void approve_seen(const RemoteServerStore& store, Transaction& tx, core::PlatformId platform,
                  const std::string& app, const std::vector<ReviewedTool>& tools, core::Time now) {
  for (const auto& tool : tools) {
    if (store.approve(tx, platform, app, tool.remote_name, tool.digest, now)) continue;
    throw core::conflict(
        "The tool \"" + clip_text(clean_text(tool.remote_name), 100) +
        "\" is not what was reviewed: its definition has changed, or it is gone. Look again.");
  }
}

std::vector<ReviewedTool> pending_tools(const std::vector<RemoteToolRow>& rows) {
  std::vector<ReviewedTool> out;
  for (const auto& row : rows) {
    if (reviewed(row).state == RemoteToolState::PendingReview)
      out.push_back({row.remote_name, row.seen->digest});
  }
  return out;
}

core::Json approved_details(const std::vector<ReviewedTool>& tools) {
  core::Json list = core::Json::array();
  for (const auto& tool : tools) {
    if (list.size() == kNamesInAudit) break;
    list.push_back({{"tool", tool.remote_name}, {"digest", tool.digest}});
  }
  return {{"count", tools.size()}, {"tools", std::move(list)}};
}

}  // namespace

RemoteServers::RemoteServers(RemoteServersParts parts, RemoteServersOptions options)
    : parts_(std::move(parts)), options_(options) {}

void RemoteServers::announce(core::PlatformId platform, const std::string& app) const {
  if (parts_.changed) parts_.changed(kAppTopic, platform.str() + "/" + app);
}

core::Task<RemoteServerView> RemoteServers::add(core::PlatformId platform, NewRemoteServer input,
                                                oauth::AuditContext context) {
  RemoteServer server = checked_server(parts_, input);
  server.created_at = server.updated_at = parts_.clock.now();
  oauth::App app;
  app.app = server.app;
  app.client_id = "remote";
  app.return_urls = input.return_urls;
  app.created_at = app.updated_at = server.created_at;
  core::Secret secret("none");
  if (server.auth == RemoteAuth::Oauth) {
    const auto client = co_await set_up_sign_in(platform, input, &server);
    app.client_id = client.client_id;
    if (!client.client_secret.empty()) secret = client.client_secret;
  }
  co_await parts_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, server, app, secret, header = input.header_value, context](Transaction& tx) {
        const RemoteServerStore store(parts_.vault);
        if (store.all(tx, platform).size() >= options_.servers_max)
          throw core::conflict("A platform can have at most " + std::to_string(options_.servers_max) +
                               " MCP servers.");
        oauth::AppStore(parts_.vault).insert(tx, platform, app, secret);
        store.insert(tx, platform, server, header);
        parts_.audit.append(tx, platform,
                            oauth::audit_event(context, "app.created", {}, server.app, with_origin(server)));
        tx.notify(kAppTopic, platform.str() + "/" + server.app);
      });
  announce(platform, server.app);
  co_await read_tools(platform, server.app, input.approve_all, context, {});
  co_return co_await get(platform, server.app);
}

// What is discovered and registered goes into `server`; who we are there is the result.
core::Task<oauth::ObtainedClient> RemoteServers::set_up_sign_in(core::PlatformId platform,
                                                                NewRemoteServer input, RemoteServer* server) {
  // Before anything is left behind at the authorization server.
  const bool taken = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, app = server->app](Transaction& tx) {
        return oauth::AppStore(parts_.vault).get(tx, platform, app).has_value();
      });
  if (taken) throw core::conflict("The app \"" + server->app + "\" is there already.");
  const std::string path = "/" + server->app + "/" + platform.str();
  oauth::WantedClient wanted;
  wanted.redirect_uri = parts_.public_url + "/oauth/callback" + path;
  if (parts_.documents) wanted.document_url = parts_.public_url + "/oauth/clients" + path;
  wanted.client_id = input.client_id;
  wanted.client_secret = input.client_secret;
  const auto found = co_await oauth::discover(&parts_.http, {parts_.url_fault}, server->url);
  // The engine must be able to work with it before we become a client there.
  server->oauth = make_remote_oauth(found, {});
  try {
    static_cast<void>(remote_connector(*server));
  } catch (const core::Error& error) {
    throw core::bad_request("Sign-in at this address cannot be set up: " + error.message() + ".", "/url");
  }
  auto client = co_await oauth::obtain_client(&parts_.http, found, std::move(wanted));
  server->oauth = make_remote_oauth(found, client);
  co_return client;
}

core::Task<std::vector<RemoteServer>> RemoteServers::list(core::PlatformId platform) {
  co_return co_await parts_.database.run(storage::Scope::tenant(platform), [this, platform](Transaction& tx) {
    std::vector<RemoteServer> out;
    for (auto& row : RemoteServerStore(parts_.vault).all(tx, platform))
      out.push_back(with_switch(parts_.vault, tx, platform, std::move(row)).server);
    return out;
  });
}

core::Task<RemoteServerView> RemoteServers::get(core::PlatformId platform, std::string app) {
  co_return co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, app](Transaction& tx) {
        const RemoteServerStore store(parts_.vault);
        auto row = store.get(tx, platform, app);
        if (!row) throw no_server();
        return read_server_view(store, tx, platform,
                                with_switch(parts_.vault, tx, platform, std::move(*row)).server);
      });
}

core::Task<RemoteServerView> RemoteServers::update(core::PlatformId platform, std::string app,
                                                   RemoteServerPatch patch, oauth::AuditContext context) {
  if (patch.title) check_words(*patch.title, 1, kServerTitleMax, "/title");
  if (patch.description) check_words(*patch.description, 0, kAboutMax, "/description");
  if (patch.header_value) check_header_value(*patch.header_value, "/header_value");
  if (patch.url) {
    if (patch.url->size() > kUrlMax)
      throw core::bad_request("An address has at most 2048 characters.", "/url");
    if (const auto fault = parts_.url_fault(*patch.url))
      throw core::bad_request("This address cannot be used: it " + *fault + ".", "/url");
  }
  auto view = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, app, patch, context](Transaction& tx) {
        auto row = locked(parts_.vault, tx, platform, app);
        check_credential_stays(row, patch);
        auto& server = row.server;
        if (patch.header_value && server.header_name.empty())
          throw core::bad_request("This server has no credential of the platform.", "/header_value");
        if (patch.title) server.title = *patch.title;
        if (patch.description) server.description = *patch.description;
        if (patch.url) server.url = *patch.url;
        server.updated_at = parts_.clock.now();
        const RemoteServerStore store(parts_.vault);
        store.update(tx, platform, server, patch.header_value);
        if (patch.is_active) {
          const oauth::AppStore apps(parts_.vault);
          auto switched = apps.lock(tx, platform, app);
          if (!switched) throw no_server();
          switched->app.is_active = server.is_active = *patch.is_active;
          switched->app.updated_at = server.updated_at;
          apps.update(tx, platform, switched->app, {});
        }
        auto out = read_server_view(store, tx, platform, server);
        parts_.audit.append(tx, platform,
                            oauth::audit_event(context, "app.updated", {}, app, changed_members(patch)));
        tx.notify(kAppTopic, platform.str() + "/" + app);
        return out;
      });
  announce(platform, app);
  if (!patch.url && !patch.header_value) co_return view;
  co_await read_tools(platform, app, false, context, {});
  co_return co_await get(platform, app);
}

core::Task<RemoteServerView> RemoteServers::refresh(core::PlatformId platform, std::string app,
                                                    oauth::AuditContext context, std::stop_token stop) {
  co_await read_tools(platform, app, false, context, stop);
  co_return co_await get(platform, app);
}

// What one reading of a server's list gave. With a failure there is no list.
struct RemoteServers::Reading {
  core::PlatformId platform;
  std::string app, url;
  std::optional<Failure> failure;
  RemoteListing listing;
  std::vector<ReadTool> found;
  bool approve_all = false;
  oauth::AuditContext context;
};

// Whether anything about the tools has changed.
bool RemoteServers::keep(Transaction& tx, const Reading& reading) const {
  const auto platform = reading.platform;
  const auto& app = reading.app;
  auto server = locked(parts_.vault, tx, platform, app).server;
  // Another address by now: what was read is somebody else's.
  if (server.url != reading.url) return false;
  const RemoteServerStore store(parts_.vault);
  const auto now = parts_.clock.now();
  server.refresh_error = reading.failure ? reading.failure->message : "";
  server.failures = reading.failure ? server.failures + 1 : 0;
  if (!reading.failure) {
    server.protocol = reading.listing.protocol;
    server.server_name = reading.listing.server_name;
    server.server_version = reading.listing.server_version;
    server.refreshed_at = now;
  }
  store.set_refreshed(tx, platform, server, now + refresh_wait(options_, server.failures));
  if (reading.failure) return false;
  const auto changes = compare_tools(store.tools(tx, platform, app), reading.found, now);
  for (const auto& tool : changes.put) store.put_seen(tx, platform, app, tool);
  for (const auto& name : changes.removed) store.remove_tool(tx, platform, app, name);
  if (changes.empty()) return false;
  const auto write = [&](const char* event, const core::Json& details) {
    parts_.audit.append(tx, platform, oauth::audit_event(reading.context, event, {}, app, details));
  };
  write("app.tools_changed", {{"added", changes.added},
                              {"changed", changes.changed},
                              {"refused", changes.refused},
                              {"gone", changes.gone}});
  if (reading.approve_all) {
    const auto pending = pending_tools(store.tools(tx, platform, app));
    approve_seen(store, tx, platform, app, pending, now);
    write("app.tools_approved", approved_details(pending));
  }
  tx.notify(kAppTopic, platform.str() + "/" + app);
  return true;
}

// As whom the tools are read.
struct RemoteServers::Target {
  RemoteTarget remote;
  bool signs_in = false;
  std::optional<CredentialRef> reader;  // with `signs_in`: an end user who is connected, if there is one
};

namespace {

// The newest connection that works. Reading a list changes nothing, and no other user sees the token.
std::optional<CredentialRef> find_reader(const RemoteServersParts& parts, Transaction& tx,
                                         core::PlatformId platform, const std::string& app) {
  const oauth::ConnectionFilter filter{{}, app, oauth::ConnectionStatus::Active};
  oauth::PageRequest first;
  first.limit = 1;
  const auto found = oauth::ConnectionStore(parts.clock, parts.random).list(tx, platform, filter, first);
  if (found.items.empty()) return {};
  return CredentialRef{platform, found.items.front().end_user_id, found.items.front().id, "main"};
}

Failure nobody_connected() {
  Failure out;
  out.code = FailureCode::ReauthRequired;
  out.message =
      "Nobody has connected this server yet. Its tools are read as a user who has: connect one, then "
      "refresh.";
  return out;
}

}  // namespace

core::Task<std::variant<RemoteListing, Failure>> RemoteServers::list_tools(Target target,
                                                                           std::stop_token stop) {
  if (!target.signs_in) co_return co_await parts_.client.list_tools(target.remote, stop);
  if (!target.reader) co_return nobody_connected();
  target.remote.personal = true;
  auto token = co_await parts_.tokens.token(*target.reader);
  for (bool again = false;; again = true) {
    if (auto fault = token_fault(target.remote.title, token)) co_return std::move(*fault);
    set_bearer(target.remote, token);
    auto outcome = co_await parts_.client.list_tools(target.remote, stop);
    const auto* failure = std::get_if<Failure>(&outcome);
    if (again || failure == nullptr || failure->code != FailureCode::ReauthRequired) co_return outcome;
    token = co_await parts_.tokens.after_401(*target.reader, token.version);
  }
}

core::Task<> RemoteServers::read_tools(core::PlatformId platform, std::string app, bool approve_all,
                                       oauth::AuditContext context, std::stop_token stop) {
  const auto target =
      co_await parts_.database.run(storage::Scope::tenant(platform), [this, platform, app](Transaction& tx) {
        const RemoteServerStore store(parts_.vault);
        const auto row = store.get(tx, platform, app);
        if (!row) throw no_server();
        Target out{target_of(platform, row->server, store.open(platform, *row)), false, {}};
        out.signs_in = row->server.auth == RemoteAuth::Oauth;
        if (out.signs_in) out.reader = find_reader(parts_, tx, platform, app);
        return out;
      });
  auto outcome = co_await list_tools(target, stop);
  const auto reading = std::make_shared<Reading>();
  reading->platform = platform;
  reading->app = app;
  reading->url = target.remote.url;
  reading->approve_all = approve_all;
  reading->context = std::move(context);
  if (auto* failure = std::get_if<Failure>(&outcome)) {
    if (failure->code == FailureCode::Cancelled) co_return;
    core::log::warn("remote_server.not_read", {{"platform_id", platform.str()},
                                               {"app", app},
                                               {"code", failure_code(failure->code)},
                                               {"error", failure->message}});
    reading->failure = std::move(*failure);
  } else {
    reading->listing = std::get<RemoteListing>(std::move(outcome));
    reading->found = read_definitions(app, reading->listing.tools);
  }
  const bool changed = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, reading](Transaction& tx) { return keep(tx, *reading); });
  if (changed) announce(platform, app);
}

core::Task<RemoteServerView> RemoteServers::approve(core::PlatformId platform, std::string app,
                                                    std::vector<ReviewedTool> tools,
                                                    oauth::AuditContext context) {
  auto view = co_await parts_.database.run(storage::Scope::tenant(platform), [this, platform, app, tools,
                                                                              context](Transaction& tx) {
    const auto row = locked(parts_.vault, tx, platform, app);
    const RemoteServerStore store(parts_.vault);
    const auto chosen = tools.empty() ? pending_tools(store.tools(tx, platform, app)) : tools;
    approve_seen(store, tx, platform, app, chosen, parts_.clock.now());
    auto out = read_server_view(store, tx, platform, row.server);
    if (chosen.empty()) return out;
    parts_.audit.append(tx, platform,
                        oauth::audit_event(context, "app.tools_approved", {}, app, approved_details(chosen)));
    tx.notify(kAppTopic, platform.str() + "/" + app);
    return out;
  });
  announce(platform, app);
  co_return view;
}

core::Task<core::ConnectionId> RemoteServers::set_user_header(core::PlatformId platform,
                                                              core::EndUserId end_user, std::string app,
                                                              core::Secret value,
                                                              oauth::AuditContext context) {
  check_header_value(value, "/value");
  const auto id = co_await parts_.database.run(
      storage::Scope::tenant(platform), [this, platform, end_user, app, value, context](Transaction& tx) {
        const auto row = locked(parts_.vault, tx, platform, app);
        if (row.server.auth != RemoteAuth::UserHeader)
          throw core::conflict("This server does not take a credential of each end user.");
        oauth::GrantRecord grant;
        grant.app = app;
        grant.client_id = "remote";
        grant.account_id = kUserAccount;
        grant.account_label = "Credential from the platform";
        grant.slots["main"].access = value;
        const auto saved =
            oauth::ConnectionStore(parts_.clock, parts_.random).save(tx, platform, end_user, grant);
        oauth::CredentialStore(parts_.vault, parts_.clock, parts_.random)
            .replace(tx, platform, saved.id, grant.slots);
        parts_.audit.append(
            tx, platform,
            oauth::audit_event(context, saved.created ? "connection.created" : "connection.reconnected",
                               end_user, saved.id.str(), {{"app", app}}));
        tx.notify("connection", platform.str() + "/" + end_user.str());
        return saved.id;
      });
  if (parts_.changed) parts_.changed("connection", platform.str() + "/" + end_user.str());
  co_return id;
}

core::Task<> RemoteServers::refresh_due(std::stop_token stop) {
  for (std::size_t read = 0; read < options_.refreshes_per_round && !stop.stop_requested(); ++read) {
    const auto now = parts_.clock.now();
    // All tenants: background work. One at a time: what is claimed here is delayed by nobody else.
    const auto due = co_await parts_.database.run(storage::Scope::system(), [this, now](Transaction& tx) {
      return RemoteServerStore(parts_.vault).claim_due(tx, now, now + kRefreshLease, 1);
    });
    if (due.empty()) co_return;
    const auto& [platform, app] = due.front();
    try {
      co_await read_tools(platform, app, false, {}, stop);
    } catch (const core::Error& error) {
      core::log::warn("remote_server.refresh_failed", {{"platform_id", platform.str()},
                                                       {"app", app},
                                                       {"error", error.what()},
                                                       {"detail", error.detail()}});
    }
  }
}

core::Task<> RemoteServers::round(std::stop_token stop) {
  while (!stop.stop_requested()) {
    co_await core::sleep_for(options_.round_interval, stop);
    if (stop.stop_requested()) co_return;
    try {
      co_await refresh_due(stop);
    } catch (const core::Error& error) {
      core::log::warn("remote_server.round_failed", {{"error", error.what()}, {"detail", error.detail()}});
    }
  }
}

void RemoteServers::start(core::AnyExecutor executor) {
  for (std::size_t i = 0; i < options_.readers; ++i)
    group_.spawn(executor, "remote servers", [this](std::stop_token stop) { return round(stop); });
}

void RemoteServers::stop() {
  group_.stop();
}

}  // namespace assistiv::mcp
