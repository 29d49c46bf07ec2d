#include "oauth/connect/connect_flow.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/log.h"
#include "oauth/connect/app_store.h"
#include "oauth/connect/connect_world.h"
#include "oauth/connect/connection_store.h"
#include "oauth/connect/flow_store.h"
#include "oauth/connect/platform_facts.h"
#include "oauth/connect/provider_client.h"
#include "oauth/connect/return_url.h"
#include "oauth/crypto/pkce.h"

namespace assistiv::oauth {

namespace {

constexpr std::chrono::minutes kLinkLife{10};
constexpr std::chrono::minutes kFlowLife{10};
constexpr std::chrono::minutes kReusableLife{5};
constexpr std::size_t kSecretBytes = 32;
constexpr std::size_t kSecretLength = 43;  // of 32 bytes in base64url

bool is_browser_secret(std::string_view text) {
  return text.size() == kSecretLength && is_code_verifier(text);
}

// Ties a form to the browser and the link: another site can neither read the cookie nor make this value.
std::string csrf_of(std::string_view cookie, std::string_view token) {
  return core::base64url_encode(core::hmac_sha256(cookie, "connect " + std::string(token)));
}

// Made anew from its row, so that nothing in the database opens a link.
std::string token_of(const Vault& vault, const LinkRow& link, const std::string& nonce) {
  const auto key = vault.derive("connect_link");
  return core::base64url_encode(core::hmac_sha256(
      key.reveal(), link.platform_id.str() + "/" + link.end_user_id.str() + "/" + link.app + "/" + nonce));
}

std::optional<std::string> checked_return_url(const App& app, const std::optional<std::string>& wanted) {
  if (!wanted) return app.return_urls.empty() ? std::nullopt : std::optional(app.return_urls.front());
  const auto& urls = app.return_urls;
  if (std::find(urls.begin(), urls.end(), *wanted) == urls.end()) {
    throw core::bad_request("This is not one of the app's return_urls.", "/return_url");
  }
  return wanted;
}

std::vector<ScopeLine> scope_lines(const ConnectorSpec& spec, const App& app) {
  std::vector<ScopeLine> out;
  for (const auto& line : spec.oauth.scope.consent) out.push_back({"", line});
  for (const auto& scope : spec.scopes_to_request(app.scopes)) {
    const auto title = spec.oauth.scope.titles.find(scope);
    out.push_back({scope, title != spec.oauth.scope.titles.end() ? title->second : scope});
  }
  return out;
}

// What a link leads to, as far as it (still) leads anywhere.
struct Destination {
  std::optional<FlowReason> fault;
  LinkRow link;
  AppRow app;
  PlatformFacts facts;
  ConnectorPtr spec;    // also of a link that leads nowhere any more, as far as it is known
  bool others = false;  // the end user has connected an account of this app already
};

std::optional<FlowReason> link_fault(const std::optional<LinkRow>& link, core::Time now) {
  if (!link) return FlowReason::InvalidState;
  if (link->consumed) return FlowReason::AlreadyUsed;
  return link->expires_at <= now ? std::optional(FlowReason::Expired) : std::nullopt;
}

Destination find_destination(const ConnectWorld& world, storage::Transaction& tx,
                             std::optional<LinkRow> link) {
  Destination out;
  out.fault = link_fault(link, world.clock.now());
  if (link) {
    out.link = *link;
    out.spec = world.registry.find_in(tx, link->platform_id, link->app);
  }
  if (out.fault) return out;
  const auto app = AppStore(world.vault).get(tx, link->platform_id, link->app);
  const auto facts = platform_facts(tx, link->platform_id, link->end_user_id);
  if (!app || !app->app.is_active || !facts || out.spec == nullptr) {
    out.fault = FlowReason::Expired;
    return out;
  }
  out.app = *app;
  out.facts = *facts;
  out.others = ConnectionStore(world.clock, world.random)
                   .usable(tx, link->platform_id, link->end_user_id, link->app)
                   .has_value();
  return out;
}

}  // namespace

std::string_view flow_reason(FlowReason reason) {
  switch (reason) {
    case FlowReason::AccessDenied:
      return "access_denied";
    case FlowReason::Expired:
      return "expired";
    case FlowReason::InvalidState:
      return "invalid_state";
    case FlowReason::WrongBrowser:
      return "wrong_browser";
    case FlowReason::AlreadyUsed:
      return "already_used";
    case FlowReason::ProviderError:
      return "provider_error";
    case FlowReason::ExchangeFailed:
      return "exchange_failed";
    case FlowReason::IdentityFailed:
      return "identity_failed";
    case FlowReason::AccountMismatch:
      return "account_mismatch";
  }
  return "provider_error";
}

ConnectFlow::ConnectFlow(ConnectWorld& world, ProviderClient& provider, RevocationQueue& revocations)
    : world_(world), provider_(provider), revocations_(revocations) {}

std::string ConnectFlow::cookie_name() const {
  return world_.public_url.starts_with("https://") ? "__Host-assistiv_connect" : "assistiv_connect";
}

std::string ConnectFlow::set_cookie(std::string_view value) const {
  const bool secure = world_.public_url.starts_with("https://");
  return cookie_name() + "=" + std::string(value) + "; Path=/; Max-Age=900; HttpOnly; SameSite=Lax" +
         (secure ? "; Secure" : "");
}

namespace {

// What the link says, checked against the app as it is now.
LinkRow checked_link(const ConnectWorld& world, storage::Transaction& tx, core::PlatformId platform,
                     core::EndUserId end_user, const NewLink& input) {
  const auto spec = world.registry.find_in(tx, platform, input.app);
  const auto app = AppStore(world.vault).get(tx, platform, input.app);
  if (spec == nullptr || !app || !app->app.is_active) {
    throw core::not_found("The app \"" + input.app +
                          "\" is not active on this platform. The platform activates it with its key "
                          "(sk-plat_...): POST /v1/platforms/" +
                          platform.str() + "/mcp/apps.");
  }
  if (!platform_facts(tx, platform, end_user)) throw core::not_found("There is no such active end user.");
  LinkRow link;
  link.platform_id = platform;
  link.end_user_id = end_user;
  link.app = input.app;
  link.return_url = checked_return_url(app->app, input.return_url);
  link.vars = spec->given_vars(app->app.vars, SpecVar::Source::App);
  link.vars.merge(spec->given_vars(input.vars, SpecVar::Source::Link));
  link.connection_id = input.connection_id;
  if (input.connection_id && !owns_connection(tx, platform, end_user, input.app, *input.connection_id)) {
    throw core::not_found("There is no such connection of this end user and app.");
  }
  return link;
}

}  // namespace

core::Task<ConnectLink> ConnectFlow::create_link(core::PlatformId platform, core::EndUserId end_user,
                                                 NewLink input, AuditContext context) {
  auto fresh = core::random_token(world_.random, kSecretBytes);
  co_return co_await world_.database.run(
      storage::Scope::tenant(platform),
      [this, platform, end_user, input, context, fresh](storage::Transaction& tx) {
        const FlowStore store(world_.vault, world_.clock);
        LinkRow link = checked_link(world_, tx, platform, end_user, input);
        const auto now = world_.clock.now();
        std::string token = fresh;
        if (input.reuse) {
          if (const auto live = store.find_live_link(tx, link, now + kReusableLife)) {
            token = token_of(world_.vault, *live, *live->nonce);
            // Not after the key that it was made with has gone.
            if (store.find_link(tx, token))
              return ConnectLink{world_.public_url + "/connect/" + token, input.app, live->expires_at};
          }
          link.nonce = fresh;
          token = token_of(world_.vault, link, fresh);
        }
        if (context.actor) link.created_by = context.actor->key_id;
        link.expires_at = now + kLinkLife;
        store.insert_link(tx, link, token);
        world_.audit.append(tx, platform,
                            audit_event(context, "connect.link_created", end_user, input.app,
                                        {{"app", input.app}, {"repair", input.connection_id.has_value()}}));
        return ConnectLink{world_.public_url + "/connect/" + token, input.app, link.expires_at};
      });
}

core::Task<ConnectPage> ConnectFlow::page(std::string token, std::string cookie) {
  // The token is all that the browser brings: the row it names says which tenant this is.
  const auto found =
      co_await world_.database.run(storage::Scope::system(), [this, token](storage::Transaction& tx) {
        return find_destination(world_, tx, FlowStore(world_.vault, world_.clock).find_link(tx, token));
      });
  ConnectPage page;
  page.fault = found.fault;
  page.app = found.link.app;
  const auto& spec = found.spec;
  if (spec != nullptr) page.app_title = spec->title;
  if (found.fault) co_return page;
  page.platform_name = found.facts.platform_name;
  page.end_user_label = found.facts.end_user_label;
  page.scopes = scope_lines(*spec, found.app.app);
  for (const auto* var : spec->vars_to_ask(found.link.vars)) {
    page.asks.push_back({var->name, var->title, var->ask});
  }
  page.asks_label = found.others && !found.link.connection_id;
  page.provider_host = spec->oauth.authorize_url.host().preview(spec->with_fallbacks(found.link.vars));
  page.cookie = is_browser_secret(cookie) ? cookie : core::random_token(world_.random, kSecretBytes);
  page.csrf = csrf_of(page.cookie, token);
  co_return page;
}

namespace {

// Puts the end user's answers into `vars`; gives the name of one that is missing or refused, "" when all are
// good. Names that were not asked for are left out.
std::string take_answers(const ConnectorSpec& spec, const Values& answers, Values& vars) {
  for (const auto* var : spec.vars_to_ask(vars)) {
    const auto answer = answers.find(var->name);
    const auto accepted = answer == answers.end() ? std::nullopt : var->accept(answer->second);
    if (!accepted) return var->name;
    vars.insert(accepted->begin(), accepted->end());
  }
  return {};
}

StartedFlow not_started(FlowReason fault) {
  StartedFlow out;
  out.fault = fault;
  return out;
}

}  // namespace

core::Task<StartedFlow> ConnectFlow::start(std::string token, std::string cookie, std::string csrf,
                                           std::string request_id, Values answers,
                                           std::optional<std::string> label) {
  if (!is_browser_secret(cookie) || !core::constant_time_equal(csrf, csrf_of(cookie, token))) {
    co_return not_started(FlowReason::WrongBrowser);
  }
  const core::Secret state(core::random_token(world_.random, kSecretBytes));
  const core::Secret verifier = make_code_verifier(world_.random);
  // As page(): the token says which tenant this is.
  co_return co_await world_.database.run(
      storage::Scope::system(),
      [this, token, cookie, state, verifier, request_id, answers, label](storage::Transaction& tx) {
        const FlowStore store(world_.vault, world_.clock);
        // A wrong answer is asked for again, so the link is used up only after the answers are good.
        auto found = find_destination(world_, tx, store.find_link(tx, token));
        if (found.fault) return not_started(*found.fault);
        const ConnectorSpec& spec = *found.spec;
        StartedFlow out;
        out.refused_var = take_answers(spec, answers, found.link.vars);
        if (!out.refused_var.empty()) return out;
        if (const auto fault = link_fault(store.consume_link(tx, token), world_.clock.now())) {
          return not_started(*fault);
        }
        FlowRow flow;
        flow.platform_id = found.link.platform_id;
        flow.id = core::FlowId::make(world_.clock, world_.random);
        flow.cookie_hash = core::sha256_hex(cookie);
        flow.end_user_id = found.link.end_user_id;
        flow.app = found.link.app;
        flow.client_id = found.app.app.client_id;
        if (spec.oauth.pkce == Pkce::S256) flow.code_verifier = verifier;
        flow.redirect_uri = callback_url(world_, flow.platform_id, spec);
        flow.return_url = found.link.return_url;
        flow.vars = found.link.vars;
        flow.scopes = spec.scopes_to_request(found.app.app.scopes);
        flow.connection_id = found.link.connection_id;
        flow.created_by = found.link.created_by;
        flow.label = label;
        flow.expires_at = world_.clock.now() + kFlowLife;
        store.insert_flow(tx, flow, state.reveal());
        world_.audit.append(
            tx, flow.platform_id,
            browser_event("connect.started", flow.end_user_id, flow.id.str(), request_id,
                          with_link_maker(flow.created_by, {{"app", flow.app}, {"scopes", flow.scopes}})));
        out.provider_url =
            ProviderClient::authorize_url(spec, spec.with_fallbacks(flow.vars), flow.client_id,
                                          flow.redirect_uri, flow.scopes, state, flow.code_verifier);
        out.cookie = cookie;
        return out;
      });
}

core::Task<CancelledLink> ConnectFlow::cancel(std::string token, std::string cookie, std::string csrf,
                                              std::string request_id) {
  if (!is_browser_secret(cookie) || !core::constant_time_equal(csrf, csrf_of(cookie, token))) {
    co_return CancelledLink{FlowReason::WrongBrowser, {}, {}};
  }
  // As page(): the token says which tenant this is.
  co_return co_await world_.database.run(
      storage::Scope::system(), [this, token, request_id](storage::Transaction& tx) {
        const auto found =
            find_destination(world_, tx, FlowStore(world_.vault, world_.clock).consume_link(tx, token));
        CancelledLink out{found.fault, found.link.app, {}};
        if (found.fault) return out;
        const std::string reason(flow_reason(FlowReason::AccessDenied));
        world_.audit.append(
            tx, found.link.platform_id,
            browser_event("connect.failed", found.link.end_user_id, found.link.app, request_id,
                          with_link_maker(found.link.created_by, {{"app", out.app}, {"reason", reason}})));
        if (found.link.return_url) {
          out.return_to =
              with_query(*found.link.return_url, {{"status", "error"}, {"app", out.app}, {"reason", reason}});
        }
        return out;
      });
}

}  // namespace assistiv::oauth
