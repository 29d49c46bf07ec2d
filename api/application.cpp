#include "api/application.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "agents/doors/mcp_door.h"
#include "agents/store/agent_service.h"
#include "api/agent_runtime.h"
#include "api/connectors.h"
#include "api/http/inference_paths.h"
#include "api/http/pipeline.h"
#include "api/models.h"
#include "api/money.h"
#include "api/openapi/document.h"
#include "api/openapi/schemas.h"
#include "api/remote_mcp.h"
#include "api/routes/agent_doors.h"
#include "api/routes/routes.h"
#include "api/version.h"
#include "billing/price_book.h"
#include "billing/rate_limit.h"
#include "billing/usage_report.h"
#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "core/url_text.h"
#include "inference/engine/inference_service.h"
#include "mcp/conformance/fixture_endpoint.h"
#include "mcp/connectors/own_app_service.h"
#include "mcp/connectors/rest_executor.h"
#include "mcp/content/completion_service.h"
#include "mcp/content/kept_result_store.h"
#include "mcp/content/prompt_service.h"
#include "mcp/content/resource_service.h"
#include "mcp/grants/approval_service.h"
#include "mcp/grants/grant_service.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/remote/remote_apps.h"
#include "mcp/sessions/pg_session_store.h"
#include "mcp/tasks/pg_task_store.h"
#include "mcp/tasks/task_runner.h"
#include "mcp/tools/executor_by_kind.h"
#include "mcp/tools/tool_access.h"
#include "mcp/tools/tool_service.h"
#include "net/io_threads.h"
#include "net/outbound_client.h"
#include "net/server.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/connect/app_service.h"
#include "oauth/connect/connect_worker.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/provider_notices.h"
#include "oauth/connect/revocation_queue.h"
#include "oauth/identity/authenticator.h"
#include "oauth/identity/identity_service.h"
#include "oauth/identity/operator_keys.h"
#include "storage/audit.h"
#include "storage/migrator.h"
#include "storage/notifier.h"
#include "storage/private_postgres.h"

namespace assistiv::api {

namespace {

std::unique_ptr<storage::PrivatePostgres> open_private_postgres(const Config& config) {
  std::filesystem::create_directories(config.data_dir);
  if (!config.database_url.empty()) return nullptr;
  storage::PrivatePostgresOptions options;
  options.directory = config.data_dir + "/postgres";
  options.os_user = config.postgres_user;
  return std::make_unique<storage::PrivatePostgres>(options);
}

std::string database_url(const Config& config, const std::unique_ptr<storage::PrivatePostgres>& own) {
  return own ? own->url() : config.database_url;
}

void migrate(storage::Database& database) {
  storage::Migrator(database).apply();
  if (const auto gap = storage::row_security_gap(database))
    core::log::warn("database.row_security", {{"fix", *gap}});
}

mcp::ApiOverrides api_overrides(const Config& config) {
  mcp::ApiOverrides out;
  for (const auto& [app, urls] : config.connector_overrides)
    out[app] = urls.hosts.empty() ? urls.api : urls.hosts;
  return out;
}

mcp::EndpointOptions endpoint_options(const Config& config) {
  mcp::EndpointOptions options;
  options.server_version = kVersion;
  options.instructions =
      "Tools act on the accounts that this end user connected. A result with the code not_connected carries "
      "a link for "
      "the user to open.";
  options.allowed_hosts = config.allowed_hosts;
  for (const auto& url : {config.public_url, config.mcp_public_url}) {
    options.allowed_hosts.push_back(core::url_authority(url));
    options.allowed_origins.push_back(core::url_origin(url));
  }
  for (const auto& origin : config.cors_origins) options.allowed_origins.push_back(origin);
  return options;
}

// Below what MCP clients call: they trust icons of the server's own origin.
std::string icon_base(const Config& config) {
  return config.mcp_public_url + "/mcp/icons";
}

mcp::EndpointOptions tenant_endpoint_options(const Config& config) {
  auto options = endpoint_options(config);
  options.server_icons = {
      {.src = icon_base(config) + "/assistiv.svg", .mime_type = mcp::kSvgType, .sizes = {"any"}}};
  // The authorization server has both grants (docs/authorization.md).
  options.extensions = {"io.modelcontextprotocol/oauth-client-credentials",
                        "io.modelcontextprotocol/enterprise-managed-authorization"};
  return options;
}

// What the edge refuses of an inference call speaks the caller's dialect too.
std::optional<std::string> edge_refusal_body(std::string_view path, int status, const std::string& message) {
  const auto dialect = dialect_of_path(path);
  if (!dialect) return {};
  for (const auto kind :
       {core::ErrorKind::InvalidArgument, core::ErrorKind::PayloadTooLarge, core::ErrorKind::Unavailable}) {
    if (core::http_status(kind) == status)
      return inference::error_reply(*dialect, core::Error(kind, message), "").body;
  }
  return {};
}

net::ServerOptions server_options(const Config& config) {
  net::ServerOptions options;
  options.address = config.listen_address;
  options.port = config.port;
  if (!config.tls_certificate_file.empty()) {
    options.tls = net::TlsFiles{config.tls_certificate_file, config.tls_key_file};
  }
  options.header_bytes_max = config.header_bytes_max;
  options.body_bytes_max = config.body_bytes_max;
  options.connections_max = config.connections_max;
  options.connections_per_address_max = config.connections_per_address_max;
  options.header_timeout = config.header_timeout;
  options.body_timeout = config.body_timeout;
  options.keep_alive_timeout = config.keep_alive_timeout;
  options.write_timeout = config.write_timeout;
  options.trusted_proxies = config.trusted_proxies;
  options.refusal_body = edge_refusal_body;
  return options;
}

net::OutboundOptions outbound_options(const Config& config) {
  net::OutboundOptions options;
  if (config.allow_loopback_upstreams) options.reach = net::Reach::LoopbackAndPrivate;
  return options;
}

std::string default_public_url(const Config& config, std::uint16_t port) {
  const std::string host = config.listen_address == "0.0.0.0" || config.listen_address == "::" ? "localhost"
                           : config.listen_address.find(':') == std::string::npos
                               ? config.listen_address
                               : "[" + config.listen_address + "]";
  return (config.tls_certificate_file.empty() ? "http://" : "https://") + host + ":" + std::to_string(port);
}

core::Task<core::HttpReply> openapi_reply(const std::string* document) {
  co_return core::json_reply(200, *document);
}

core::Task<std::optional<core::EndUserId>> end_user_of(oauth::IdentityService* identity,
                                                       core::PlatformId platform, std::string external_id,
                                                       bool create, std::string request_id) {
  const auto found = co_await identity->find_end_user(
      platform, {.external_id = std::move(external_id), .display_name = {}, .metadata_json = {}}, create,
      {nullptr, std::move(request_id)});
  co_return found ? std::optional(found->id) : std::nullopt;
}

core::Task<> disconnect_everything(oauth::ConnectionService* connections, core::PlatformId platform,
                                   std::optional<core::EndUserId> end_user, oauth::AuditContext context) {
  co_await connections->disconnect_all(platform, {.end_user_id = end_user}, std::move(context));
}

core::Task<bool> may_use_model(inference::PlatformTargets* targets, core::PlatformId platform,
                               std::string model) {
  try {
    co_await targets->targets(platform, std::move(model));
    co_return true;
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
    co_return false;
  }
}

core::Task<bool> key_is_valid(oauth::Authenticator* authenticator, core::Secret key) {
  try {
    co_await authenticator->authenticate(key.reveal());
    co_return true;
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::Unauthenticated) throw;
    co_return false;
  }
}

core::Task<> sweep_approvals(mcp::ApprovalService* approvals, std::stop_token stop) {
  while (!stop.stop_requested()) {
    co_await approvals->sweep();
    co_await core::sleep_for(std::chrono::hours(1), stop);
  }
}

constexpr std::size_t kKeptSweepMax = 500;  // rows in one transaction
constexpr std::chrono::minutes kKeptSweepEvery{5};

core::Task<> sweep_kept_results(mcp::KeptResults* kept, mcp::PgSessionStore* sessions, std::stop_token stop) {
  while (!stop.stop_requested()) {
    bool more = false;
    try {
      more = co_await kept->sweep(kKeptSweepMax) == kKeptSweepMax;
      co_await sessions->sweep(kKeptSweepMax);
    } catch (const core::Error& e) {
      core::log::warn("mcp.kept_sweep_failed", {{"error", e.what()}, {"detail", e.detail()}});
    }
    if (!more) co_await core::sleep_for(kKeptSweepEvery, stop);
  }
}

core::Task<core::HttpReply> starting_reply(std::string request_id) {
  co_return error_reply(
      core::Error(core::ErrorKind::Unavailable, "The server is starting. Try again in a second.")
          .with_retry_after(std::chrono::seconds(1)),
      request_id);
}

// Written whole or not at all: readers wait for the file to appear.
void write_run_file(const std::string& data_dir, std::uint16_t port) {
  const std::string path = data_dir + "/run.json";
  {
    std::ofstream out(path + ".new");
    out << "{\"port\":" << port << ",\"pid\":" << getpid() << "}\n";
  }
  std::filesystem::rename(path + ".new", path);
}

}  // namespace

// In the order of construction; destroyed in reverse.
struct Application::Impl {
  Config config;
  World world;
  // The socket comes first: a taken port is reported before anything is touched, and links need the port.
  // Until the pipeline is there the answer is 503.
  std::atomic<Pipeline*> ready{nullptr};
  net::IoThreads io;
  net::Server server;
  std::unique_ptr<storage::PrivatePostgres> postgres;
  storage::Database database;
  std::unique_ptr<oauth::Vault> vault;
  storage::Notifier notifier;
  storage::AuditLog audit;
  billing::PriceBook prices;
  billing::RateLimiter rates;
  billing::UsageReport usage;

  net::SystemResolver resolver;
  net::OutboundClient outbound;
  mcp::RemoteApps remote_apps;
  const mcp::OwnAppRules own_app_rules;
  mcp::OwnAppSource own_app_source;
  mcp::AppBook book;
  mcp::OwnAppService own_apps;
  CatalogRegistry registry;

  Money money;
  oauth::KeyStore keys;
  oauth::AuthorizationServer authorization;
  oauth::Authenticator authenticator;
  oauth::ConnectWorld connect_world;
  oauth::ProviderClient provider;
  oauth::RevocationQueue revocations;
  oauth::ConnectFlow connect;
  oauth::ConnectionService connections;
  oauth::ProviderNotices notices;
  oauth::AppService apps;
  oauth::TokenService tokens;
  oauth::ConnectWorker connect_worker;
  oauth::IdentityService identity;

  oauth::EndUserStore end_users;
  mcp::GrantService grants;
  mcp::ApprovalService approvals;
  mcp::ToolAccess access;
  ConnectionTokens token_source;
  FlowLinks links;
  mcp::RestExecutor rest;
  RemoteMcp remote;
  mcp::ExecutorByKind executor;
  mcp::KeptResults kept_results;
  mcp::ToolService tools;
  agents::ToolsOfEndpoint endpoint_tools;
  mcp::ResourceService resources;
  mcp::PromptService prompts;
  mcp::CompletionService completions;
  mcp::PgSessionStore sessions;
  mcp::PgTaskStore task_store;
  mcp::Endpoint endpoint;
  mcp::TaskRunner task_runner;
  std::unique_ptr<mcp::FixtureEndpoint> fixtures;

  Models models;
  agents::AgentService agents;
  AgentRuntime agent_runtime;
  agents::AgentTools agent_tools;
  Services services;
  BodySchemas schemas;
  std::string openapi;
  Pipeline pipeline;
  core::TaskGroup background{"background"};
  std::string new_admin_key_file;
  bool running = false;

  Impl(Config c, World w);
  ~Impl() { stop(); }
  core::Task<core::HttpReply> handle(core::HttpRequest request);
  std::uint16_t listen();
  RouteTable routes();
  void on_notice(std::string_view topic, std::string_view payload);
  oauth::IdentityHooks identity_hooks();
  mcp::EndpointWorld endpoint_world();
  ModelsWorld models_world();
  oauth::AuthorizeWorld authorize_world();
  void start();
  void stop();
};

Application::Impl::Impl(Config c, World w)
    : config(std::move(c)),
      world(w),
      io(config.io_threads),
      server(server_options(config), io, world.clock, world.random,
             [this](core::HttpRequest request) { return handle(std::move(request)); }),
      postgres((listen(), open_private_postgres(config))),
      database({.url = database_url(config, postgres), .connections = config.database_connections}),
      vault((migrate(database), oauth::Vault::open_file(config.master_keys_file, world.random))),
      notifier(database_url(config, postgres)),
      audit(database, world.clock),
      prices(database, world.clock, world.random),
      rates(database, audit, world.clock, world.random),
      usage(database),
      outbound(outbound_options(config), resolver),
      remote_apps(*vault),
      own_app_rules{.loopback = config.allow_loopback_upstreams},
      own_app_source(own_app_rules, &audit),
      book(database,
           mcp::Catalog::load(mcp::manifest_files(config.manifests_dir), api_overrides(config),
                              mcp::ManifestOwner::Server, icon_base(config)),
           {&own_app_source, &remote_apps}),
      own_apps({database, audit, book, world.clock, world.random, own_app_rules,
                [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }}),
      registry(book, config.connector_overrides),
      money({database, audit, *vault, outbound, world.clock, world.random, outbound_options(config).reach,
             [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }}),
      keys(world.clock, world.random),
      authorization(authorize_world()),
      authenticator(database, keys, world.clock),
      connect_world{database,
                    audit,
                    *vault,
                    outbound,
                    registry,
                    world.clock,
                    world.random,
                    config.public_url,
                    [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }},
      provider(outbound),
      revocations(connect_world, provider),
      connect(connect_world, provider, revocations),
      connections(connect_world, revocations),
      notices(connect_world),
      apps(connect_world, connections),
      tokens(connect_world, provider, revocations),
      connect_worker(connect_world, tokens, revocations, connections),
      identity(database, audit, world.clock, world.random, identity_hooks()),
      end_users(world.clock, world.random),
      grants({database, audit, book, end_users, keys,
              [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }}),
      approvals(database, audit, *vault, world.clock, world.random),
      access(database, book),
      token_source(tokens, connections),
      links(connect),
      rest({outbound, token_source, world.clock}, vault->derive("cursor")),
      remote({config, database, audit, *vault, resolver, outbound, token_source, world.clock, world.random,
              [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }}),
      executor({{mcp::AppKind::Manifest, &rest}, {mcp::AppKind::Remote, &remote.executor()}}),
      kept_results(database, *vault, world.clock, world.random),
      tools({access, executor, links, approvals, audit, &kept_results}),
      endpoint_tools(tools),
      resources(access, kept_results),
      prompts(access),
      completions(access),
      sessions(database, world.clock),
      task_store(database, audit, *vault, world.clock),
      endpoint(tenant_endpoint_options(config),
               {.tools = endpoint_tools,
                .resources = &resources,
                .prompts = &prompts,
                .completions = &completions,
                .logging = mcp::LogSupport::Yes,
                .tasks = &task_store},
               endpoint_world()),
      task_runner({task_store, endpoint_tools, world.clock, world.random,
                   [this](mcp::TaskOwner owner) {
                     return authenticator.standing(owner.platform, owner.end_user, owner.key);
                   }}),
      models(models_world()),
      agents({database, audit, book, world.clock, world.random,
              [this](core::PlatformId platform, std::string model) {
                return may_use_model(&models.gateway().targets, platform, std::move(model));
              },
              [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); },
              config.allow_loopback_upstreams}),
      agent_runtime(
          {config, io, database, audit, authenticator, identity, agents, models.gateway().service, tools,
           outbound, money.webhooks(), money.webhook_events(), world.clock, world.random,
           [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }}),
      agent_tools(door_world(agent_runtime.gateway())),
      services{config,      world.clock, database,  audit, identity, apps,    registry,         connect,
               connections, grants,      approvals, book,  endpoint, nullptr, &models.gateway()},
      pipeline(routes(), authenticator, schemas,
               {config.cors_origins, config.access_log == "all", &authorization.world().resources}) {
  authenticator.accept(authorization.tokens());
  endpoint_tools.use(agent_tools);
  openapi = openapi_document(pipeline.table(), schemas, config.public_url);
  notifier.subscribe([this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); });
  prices.load();
  new_admin_key_file =
      oauth::OperatorKeys(database, world.clock, world.random).ensure(config.data_dir).value_or("");
}

core::Task<core::HttpReply> Application::Impl::handle(core::HttpRequest request) {
  Pipeline* target = ready.load(std::memory_order_acquire);
  return target == nullptr ? starting_reply(request.request_id) : target->handle(std::move(request));
}

std::uint16_t Application::Impl::listen() {
  server.start();
  if (config.public_url.empty()) config.public_url = default_public_url(config, server.port());
  if (config.mcp_public_url.empty()) config.mcp_public_url = config.public_url;
  return server.port();
}

RouteTable Application::Impl::routes() {
  services.prices = &prices;
  services.rates = &rates;
  services.usage = &usage;
  services.wallets = &money.wallets();
  services.budgets = &money.budgets();
  services.webhooks = &money.webhooks();
  services.authorization = &authorization;
  services.authenticator = &authenticator;
  services.access = &access;
  services.own_apps = &own_apps;
  services.remotes = &remote.servers();
  services.notices = &notices;
  services.agents = &agents;
  services.agent_gateway = &agent_runtime.gateway();
  if (config.conformance_fixtures) {
    fixtures = std::make_unique<mcp::FixtureEndpoint>(endpoint_options(config), endpoint_world());
    services.conformance = &fixtures->endpoint();
  }
  RouteTable table = make_routes(services);
  table.push_back({.method = "GET",
                   .path = "/openapi.json",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "openapi",
                   .tag = "Operations",
                   .summary = "This document.",
                   .handle = [this](Call) { return openapi_reply(&openapi); }});
  return table;
}

// Caches first, then the streams that make clients ask again.
void Application::Impl::on_notice(std::string_view topic, std::string_view payload) {
  if (topic == "keyring") vault->reload();
  authorization.on_notify(topic);
  authenticator.on_notify(topic, payload);
  prices.on_notify(topic, payload);
  rates.on_notify(topic, payload);
  book.on_notify(topic, payload);
  tokens.on_notify(topic, payload);
  access.on_notify(topic, payload);
  money.on_notify(topic, payload);
  endpoint.on_notify(topic, payload);
  // Agents are tools of /mcp/agents; the payload is <platform>/<slug>.
  if (const auto platform = core::PlatformId::parse(payload.substr(0, payload.find('/')));
      topic == "agent" && platform)
    endpoint.on_list_changed(*platform, std::nullopt, mcp::ListKind::Tools);
  task_runner.on_notify(topic, payload);
  models.on_notify(topic, payload);
  agent_runtime.on_notify(topic, payload);
  if (fixtures) fixtures->endpoint().on_notify(topic, payload);
}

mcp::EndpointWorld Application::Impl::endpoint_world() {
  return {sessions, *vault, world.clock, world.random,
          [this](core::Secret key) { return key_is_valid(&authenticator, std::move(key)); }};
}

oauth::AuthorizeWorld Application::Impl::authorize_world() {
  return {database,
          audit,
          *vault,
          outbound,
          world.clock,
          world.random,
          config.public_url,
          oauth::Resources(config.mcp_public_url,
                           [this](std::string_view app) {
                             return oauth::is_own_app_id(app) || book.built_in()->find_app(app) != nullptr;
                           }),
          config.allow_loopback_upstreams,
          [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); },
          [this](core::PlatformId platform, std::string external_id, bool create, std::string request_id) {
            return end_user_of(&identity, platform, std::move(external_id), create, std::move(request_id));
          }};
}

ModelsWorld Application::Impl::models_world() {
  return {config,
          io,
          database,
          notifier,
          audit,
          *vault,
          resolver,
          outbound,
          tools,
          authenticator,
          world.clock,
          world.random,
          &money.events(),
          [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); }};
}

oauth::IdentityHooks Application::Impl::identity_hooks() {
  oauth::IdentityHooks hooks;
  hooks.before_remove = [this](core::PlatformId platform, std::optional<core::EndUserId> end_user,
                               oauth::AuditContext context) {
    return disconnect_everything(&connections, platform, end_user, std::move(context));
  };
  hooks.end_user_created = [this](storage::Transaction& tx, const oauth::EndUser& user,
                                  const std::string& settings, const oauth::AuditContext& context) {
    money.end_user_created(tx, user, settings, context);
  };
  hooks.changed = [this](std::string_view topic, std::string_view payload) { on_notice(topic, payload); };
  return hooks;
}

void Application::Impl::start() {
  running = true;
  notifier.start();
  audit.start(io.next());
  authenticator.start(io.next());
  prices.start(io.next());
  rates.start(io.next());
  models.start(config.has_role("worker"));
  agent_runtime.start(config.has_role("worker"));
  if (fixtures) fixtures->start(io.next());
  if (config.has_role("worker")) {
    task_runner.start(io.next());
    connect_worker.start(io.next());
    money.start(io.next());
    authorization.start(io.next());
    remote.servers().start(io.next());
    background.spawn(io.next(), "sweep approvals",
                     [this](std::stop_token stop) { return sweep_approvals(&approvals, stop); });
    background.spawn(io.next(), "sweep kept results", [this](std::stop_token stop) {
      return sweep_kept_results(&kept_results, &sessions, stop);
    });
  }
  ready.store(&pipeline, std::memory_order_release);
  write_run_file(config.data_dir, server.port());
  core::log::info(
      "server.ready",
      {{"url", config.public_url}, {"mcp_url", config.mcp_public_url + "/mcp"}, {"version", kVersion}});
}

void Application::Impl::stop() {
  if (!std::exchange(running, false)) return;
  core::log::info("server.draining");
  std::error_code ignored;
  std::filesystem::remove(config.data_dir + "/run.json", ignored);
  agent_tools.drain();
  endpoint.drain();
  if (fixtures) fixtures->endpoint().drain();
  agent_runtime.drain();
  if (!server.drain(config.drain_timeout)) core::log::warn("server.drain_timeout");
  task_runner.stop();
  endpoint.stop();
  if (fixtures) fixtures->stop();
  server.stop();
  background.stop();
  rates.stop();
  prices.stop();
  agent_runtime.stop();
  models.stop();
  remote.servers().stop();
  connect_worker.stop();
  tokens.stop();
  money.stop();
  authorization.stop();
  authenticator.stop();
  notifier.stop();
  audit.stop();
  core::log::info("server.stopped");
}

void check_files(const Config& config) {
  core::SystemClock clock;
  core::SystemRandom random;
  net::IoThreads io(1);
  // Not started: no port is taken.
  const net::Server checked(server_options(config), io, clock, random, {});
  mcp::Catalog::load(mcp::manifest_files(config.manifests_dir), api_overrides(config));
}

Application::Application(Config config, World world)
    : impl_(std::make_unique<Impl>(std::move(config), world)) {}
Application::~Application() = default;
void Application::start() {
  impl_->start();
}
void Application::stop() {
  impl_->stop();
}
std::uint16_t Application::port() const {
  return impl_->server.port();
}
const Config& Application::config() const {
  return impl_->config;
}
core::Task<core::HttpReply> Application::handle(core::HttpRequest request) {
  return impl_->handle(std::move(request));
}
const RouteTable& Application::routes() const {
  return impl_->pipeline.table();
}
const std::string& Application::new_admin_key_file() const {
  return impl_->new_admin_key_file;
}

void Application::reload() {
  if (impl_->config.tls_certificate_file.empty()) {
    core::log::info("server.reload");
  } else {
    impl_->server.reload_tls();
  }
  impl_->vault->reload();
}

}  // namespace assistiv::api
