// What the end user's browser sees when an MCP client asks for access: signing in, deciding, going back.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "api/config.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/web/authorize_pages.h"
#include "api/web/forms.h"
#include "api/web/pages.h"
#include "core/encoding.h"
#include "core/json_read.h"
#include "core/url_text.h"
#include "mcp/connectors/catalog.h"
#include "mcp/tools/tool_access.h"
#include "oauth/authorize/authorization_server.h"
#include "oauth/authorize/form_ticket.h"
#include "oauth/authorize/oauth_error.h"
#include "oauth/identity/api_key.h"
#include "oauth/identity/authenticator.h"

namespace assistiv::api {

namespace {

constexpr std::chrono::minutes kFormLife{30};

core::HttpReply refused_page(const std::string& explanation) {
  return problem_page(
      400, "This request is not valid", explanation,
      "Go back to the application that sent you here and start again. If it stays, tell its makers.");
}

core::HttpReply see_other(const std::string& url) {
  core::HttpReply reply;
  reply.status = 303;
  reply.headers.add("location", url);
  reply.headers.add("referrer-policy", "no-referrer");
  return reply;
}

// An authorization request whose client and parameters are good, in the browser that brought it.
struct Visit {
  oauth::OAuthClient client;
  oauth::AuthorizeRequest request;
  std::string query, cookie;
  bool new_cookie = false;
  std::optional<oauth::SignedIn> who;
};

// Ends the request early with a page or a redirect.
struct Early {
  core::HttpReply reply;
};

ClientCard card_of(const Visit& visit) {
  ClientCard card;
  card.name = visit.client.metadata.name;
  if (visit.client.kind == oauth::ClientKind::Document)
    card.site = core::url_authority(visit.client.client_id);
  card.answer_goes_to = oauth::redirect_host(visit.request.redirect_uri);
  card.on_this_computer = oauth::is_loopback_redirect(visit.request.redirect_uri);
  return card;
}

// Anybody can register a client: only who has signed in here is sent to its address without a page of ours in
// between.
core::HttpReply fault_reply_of(Services* s, Visit visit, const oauth::AuthorizeFault& fault) {
  if (!fault.redirect_uri) return refused_page(fault.description);
  const auto url = oauth::answer_url(*fault.redirect_uri, fault.state, s->config.public_url,
                                     {{"error", fault.code}, {"error_description", fault.description}});
  visit.request.redirect_uri = *fault.redirect_uri;
  if (!visit.who) return client_fault_page(fault.description, card_of(visit), url);
  auto reply = see_other(url);
  reply.status = 302;
  return reply;
}

core::Task<std::variant<Visit, Early>> read_visit(Services* s, core::HttpRequest request) {
  const auto fields = core::form_decode(request.query);
  const auto client_id = fields ? oauth::one_param(*fields, "client_id") : std::nullopt;
  if (!client_id) co_return Early{refused_page("It does not say which application asks.")};
  std::optional<oauth::OAuthClient> client;
  std::string why = "The application is not known here, or its registration has expired.";
  try {
    client = co_await s->authorization->clients().find(*client_id, request.client_ip);
  } catch (const oauth::OAuthError& e) {
    why = e.description() + ".";
  }
  if (!client) co_return Early{refused_page(why)};
  auto checked =
      oauth::read_authorize_request(*fields, client->metadata, s->authorization->world().resources);
  Visit visit;
  visit.client = std::move(*client);
  visit.query = request.query;
  auto& sign_ins = s->authorization->sign_ins();
  visit.cookie = core::cookie(request.headers, sign_ins.cookie_name());
  visit.new_cookie = !oauth::SignInService::is_browser_secret(visit.cookie);
  if (visit.new_cookie) visit.cookie = sign_ins.new_browser_secret();
  if (!visit.new_cookie) visit.who = co_await sign_ins.session(visit.cookie);
  if (const auto* fault = std::get_if<oauth::AuthorizeFault>(&checked))
    co_return Early{fault_reply_of(s, std::move(visit), *fault)};
  visit.request = std::get<oauth::AuthorizeRequest>(std::move(checked));
  co_return visit;
}

core::Secret ticket_key(Services* s) {
  return s->authorization->world().vault.derive("authorize_form");
}

// A form is good in this browser, for this request, for whom it was shown to, and for the client that it
// showed: a metadata document may say something else by the time it is sent.
std::string binding_of(const Visit& visit) {
  return visit.cookie + "\n" + (visit.who ? visit.who->end_user_id.str() : "") + "\n" + visit.query + "\n" +
         visit.request.redirect_uri + "\n" + visit.client.metadata.name +
         (visit.client.metadata.refreshes ? "\nrefreshes" : "");
}

std::string ticket_of(Services* s, const Visit& visit) {
  auto& world = s->authorization->world();
  return oauth::make_form_ticket(ticket_key(s), binding_of(visit),
                                 core::KeyId::make(world.clock, world.random), world.clock.now() + kFormLife);
}

core::HttpReply with_cookie(Services* s, const Visit& visit, core::HttpReply reply) {
  if (visit.new_cookie)
    reply.headers.add("set-cookie", s->authorization->sign_ins().set_cookie(visit.cookie));
  return reply;
}

core::Task<core::HttpReply> ask_to_sign_in(Services* s, Visit visit, std::string problem) {
  const auto offer = co_await s->authorization->providers().offer();
  SignInForm form{card_of(visit), "/authorize?" + visit.query, ticket_of(s, visit), {}, std::move(problem)};
  form.providers = {offer.any, offer.only_slug.value_or(""), offer.only_name};
  co_return with_cookie(s, visit, sign_in_page(form));
}

bool wants(const oauth::AuthorizeRequest& request, std::string_view scope) {
  return std::find(request.scopes.begin(), request.scopes.end(), scope) != request.scopes.end();
}

// What the end user could use now, by the rules that bind its key (or itself).
core::Task<std::vector<OfferedApp>> offered_apps(Services* s, oauth::SignedIn who,
                                                 std::optional<std::string> app) {
  const auto principal =
      std::make_shared<const oauth::Principal>(oauth::Principal{.kind = oauth::PrincipalKind::EndUser,
                                                                .key_id = who.key_id.value_or(core::KeyId{}),
                                                                .platform_id = who.platform_id,
                                                                .end_user_id = who.end_user_id,
                                                                .scopes = {},
                                                                .expires_at = {}});
  const auto access = co_await s->access->get(principal);
  std::vector<OfferedApp> out;
  for (const auto& found : access->apps) {
    if (!found.usable() || (app && found.app->id != *app)) continue;
    OfferedApp offer{found.app->id, found.app->title, found.state == mcp::ConnectionState::Active, {}};
    for (std::size_t i = 0; i < found.decisions.size(); ++i) {
      const auto& tool = found.app->tools[i];
      if (found.decisions[i].verdict == mcp::Verdict::Deny) continue;
      offer.tools.push_back({tool.name, tool.title, tool.hints.read_only});
    }
    out.push_back(std::move(offer));
  }
  co_return out;
}

core::Task<core::HttpReply> ask_to_allow(Services* s, Visit visit) {
  AllowForm form;
  form.client = card_of(visit);
  form.platform_name = visit.who->platform_name;
  form.end_user_label = visit.who->end_user_label;
  form.action = "/authorize?" + visit.query;
  form.ticket = ticket_of(s, visit);
  form.may_write = wants(visit.request, oauth::kScopeWrite);
  form.stays = visit.client.metadata.refreshes || wants(visit.request, oauth::kScopeOffline);
  form.other_apps = !visit.request.resource.app;
  form.apps = co_await offered_apps(s, *visit.who, visit.request.resource.app);
  co_return allow_page(form);
}

core::Task<core::HttpReply> show_authorize(Services* s, Call call) {
  auto read = co_await read_visit(s, std::move(call.request));
  if (auto* early = std::get_if<Early>(&read)) co_return std::move(early->reply);
  auto visit = std::get<Visit>(std::move(read));
  if (!visit.who) co_return co_await ask_to_sign_in(s, visit, "");
  co_return co_await ask_to_allow(s, std::move(visit));
}

// The form of either page.
struct PostedForm {
  std::string ticket, decision, key, platform;
  bool read_only = false, other_apps = false;
  std::set<std::string> apps, tools;
};

PostedForm read_posted(const std::string& body) {
  PostedForm out;
  const auto fields = core::form_decode(body);
  if (!fields) return out;
  for (const auto& [name, value] : *fields) {
    if (name == "ticket") out.ticket = value;
    if (name == "decision") out.decision = value;
    if (name == "key") out.key = value;
    if (name == "platform") out.platform = value;
    if (name == "level") out.read_only = value == "read";
    if (name == "other_apps") out.other_apps = true;
    if (name == "app") out.apps.insert(value);
    if (name == "tool") out.tools.insert(value);
  }
  return out;
}

// The policy of one app: what was offered and is still ticked.
core::Json allowed_of(const OfferedApp& app, const PostedForm& form) {
  if (!form.apps.contains(app.id)) return {{"mode", "none"}};
  core::Json names = core::Json::array();
  for (const auto& tool : app.tools) {
    if (form.tools.contains(tool.name)) names.push_back(tool.name);
  }
  if (names.size() == app.tools.size()) return {{"mode", "all"}};
  return {{"mode", "list"}, {"tools", std::move(names)}};
}

std::string allowed_tools(const std::vector<OfferedApp>& apps, const oauth::Resource& resource,
                          const PostedForm& form) {
  core::Json out = core::Json::object();
  for (const auto& app : apps) out[app.id] = allowed_of(app, form);
  if (!resource.app && form.other_apps) out["*"] = {{"mode", "all"}};
  return core::dump_json(out);
}

core::Task<core::HttpReply> sign_in_with_key(Services* s, Visit visit, PostedForm form,
                                             core::HttpRequest request) {
  if (!s->authorization->pasted_keys().take(oauth::address_block(request.client_ip)))
    co_return co_await ask_to_sign_in(s, visit, "Too many tries. Wait a minute, then try again.");
  const auto first = form.key.find_first_not_of(" \t\r\n");
  std::string key = first == std::string::npos
                        ? std::string()
                        : form.key.substr(first, form.key.find_last_not_of(" \t\r\n") - first + 1);
  oauth::PrincipalPtr principal;
  try {
    if (oauth::kind_of_raw_key(key)) principal = co_await s->authenticator->authenticate(std::move(key));
  } catch (const core::Error& e) {
    if (e.kind() != core::ErrorKind::Unauthenticated) throw;
  }
  const bool good = principal && principal->kind == oauth::PrincipalKind::EndUser &&
                    principal->audience.empty() && principal->has_scope(oauth::kScopeMcp);
  if (!good) {
    const bool platforms = principal && principal->kind == oauth::PrincipalKind::Platform;
    co_return co_await ask_to_sign_in(
        s, visit,
        platforms ? "This is the platform's key (sk-plat_...), not a key of an end user (sk-eu_...)."
                  : "This is not a key of an end user that may use tools.");
  }
  const auto session = co_await s->authorization->sign_ins().use_key(principal, request.request_id);
  auto reply = see_other("/authorize?" + visit.query);
  reply.headers.add("set-cookie", s->authorization->sign_ins().set_cookie(session));
  co_return reply;
}

// A page of its own and not a redirect: browsers apply the form's policy to every redirect that follows it.
core::HttpReply go_back(const Visit& visit, const std::string& url) {
  return forward_page(url, card_of(visit).answer_goes_to);
}

const char* words_of(oauth::ProviderFault fault) {
  using enum oauth::ProviderFault;
  switch (fault) {
    case UnknownPlatform:
      return "There is no product of this name whose users sign in here.";
    case TooMany:
      return "Too many tries. Wait a minute, then try again.";
    case Unknown:
      return "This sign-in is not under way in this browser. It is good for ten minutes and one use.";
    case Denied:
      return "The product's own sign-in says no.";
    case Failed:
      return "The product's own sign-in gave no answer that can be used.";
    case NoEndUser:
      break;
  }
  return "You are signed in at the product, but it has no account for you here.";
}

core::Task<core::HttpReply> sign_in_with_provider(Services* s, Visit visit, PostedForm form,
                                                  core::HttpRequest request) {
  const auto started = co_await s->authorization->providers().start(form.platform, visit.cookie, visit.query,
                                                                    request.client_ip);
  if (started.fault) co_return co_await ask_to_sign_in(s, std::move(visit), words_of(*started.fault));
  co_return forward_page(started.url, core::url_authority(started.url));
}

std::string query_text(const core::HttpRequest& request, std::string_view name) {
  const auto fields = core::form_decode(request.query);
  return fields ? oauth::one_param(*fields, name).value_or("") : std::string();
}

core::Task<core::HttpReply> come_back_from_provider(Services* s, Call call) {
  auto& sign_ins = s->authorization->sign_ins();
  const auto& request = call.request;
  const auto done = co_await s->authorization->providers().finish(
      {query_text(request, "state"), query_text(request, "code"), query_text(request, "error"),
       query_text(request, "iss")},
      core::cookie(request.headers, sign_ins.cookie_name()), request.request_id);
  const std::string back = done.query.empty() ? std::string() : "/authorize?" + done.query;
  if (done.fault) co_return provider_fault_page(400, words_of(*done.fault), back);
  auto reply = see_other(back);
  reply.headers.add("set-cookie", sign_ins.set_cookie(done.cookie));
  co_return reply;
}

core::Task<core::HttpReply> allow(Services* s, Visit visit, PostedForm form, core::KeyId id,
                                  std::string request_id) {
  oauth::Consent consent{id, *visit.who, visit.client, visit.request, visit.request.scopes, {}};
  if (form.read_only) std::erase(consent.scopes, oauth::kScopeWrite);
  const auto apps = co_await offered_apps(s, *visit.who, visit.request.resource.app);
  consent.tools_json = allowed_tools(apps, visit.request.resource, form);
  const auto url =
      co_await s->authorization->authorizations().grant(std::move(consent), std::move(request_id));
  if (!url) co_return refused_page("This form was sent before.");
  co_return go_back(visit, *url);
}

core::Task<core::HttpReply> decide(Services* s, Call call) {
  if (!from_our_page(call.request, s->config.public_url))
    co_return refused_page("The form came from another site.");
  auto read = co_await read_visit(s, call.request);
  if (auto* early = std::get_if<Early>(&read)) co_return std::move(early->reply);
  auto visit = std::get<Visit>(std::move(read));
  auto form = read_posted(call.request.body);
  const auto id = oauth::read_form_ticket(ticket_key(s), binding_of(visit), form.ticket, s->clock.now());
  if (visit.new_cookie || !id)
    co_return refused_page("The form is too old, or was made for another browser or another request.");
  if (form.decision == "sign_in" && !visit.who)
    co_return co_await sign_in_with_key(s, std::move(visit), std::move(form), std::move(call.request));
  if (form.decision == "provider" && !visit.who)
    co_return co_await sign_in_with_provider(s, std::move(visit), std::move(form), std::move(call.request));
  if (form.decision == "sign_out") {
    co_await s->authorization->sign_ins().sign_out(visit.cookie);
    co_return see_other("/authorize?" + visit.query);
  }
  if (form.decision == "deny") {
    co_return go_back(visit, oauth::answer_url(visit.request.redirect_uri, visit.request.state,
                                               s->config.public_url, {{"error", "access_denied"}}));
  }
  if (form.decision == "allow" && visit.who)
    co_return co_await allow(s, std::move(visit), std::move(form), *id, call.request.request_id);
  co_return refused_page("The form does not say what was decided.");
}

core::HttpReply link_fault_page(oauth::SignInFault fault) {
  using enum oauth::SignInFault;
  constexpr const char* again = "Go back to the product that gave you the link and ask for a new one.";
  switch (fault) {
    case Expired:
      return problem_page(410, "This link has expired", "A sign-in link is good for ten minutes.", again);
    case Used:
      return problem_page(410, "This link was used before", "A sign-in link works once.", again);
    case WrongBrowser:
      return problem_page(403, "Another browser opened this", "The form was made for another browser.",
                          again);
    case Unknown:
      break;
  }
  return problem_page(404, "This link is not valid", "It is incomplete, or it was never made here.", again);
}

core::Task<core::HttpReply> show_sign_in_link(Services* s, Call call) {
  const auto token = call.params.at("token");
  auto& sign_ins = s->authorization->sign_ins();
  const auto page = co_await sign_ins.page(token, core::cookie(call.request.headers, sign_ins.cookie_name()));
  if (page.fault) co_return link_fault_page(*page.fault);
  auto reply =
      sign_in_link_page({page.who.platform_name, page.who.end_user_label, "/sign-in/" + token, page.csrf});
  reply.headers.add("set-cookie", sign_ins.set_cookie(page.cookie));
  co_return reply;
}

core::Task<core::HttpReply> use_sign_in_link(Services* s, Call call) {
  if (!from_our_page(call.request, s->config.public_url))
    co_return link_fault_page(oauth::SignInFault::WrongBrowser);
  auto& sign_ins = s->authorization->sign_ins();
  std::string csrf;
  if (const auto fields = core::form_decode(call.request.body))
    csrf = oauth::one_param(*fields, "csrf").value_or("");
  const auto page = co_await sign_ins.use_link(call.params.at("token"),
                                               core::cookie(call.request.headers, sign_ins.cookie_name()),
                                               csrf, call.request.request_id);
  if (page.fault) co_return link_fault_page(*page.fault);
  auto reply = signed_in_page(page.who.platform_name, page.who.end_user_label);
  reply.headers.add("set-cookie", sign_ins.set_cookie(page.cookie));
  co_return reply;
}

void add_page(RouteTable& table, Services& services, std::string method, std::string path, std::string id,
              std::string summary, ServiceHandler handler) {
  table.push_back({.method = std::move(method),
                   .path = std::move(path),
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = std::move(id),
                   .tag = "Authorization server",
                   .summary = std::move(summary),
                   .reply_type = "text/html",
                   .handle = with_services(services, handler)});
}

}  // namespace

void add_authorize_pages(RouteTable& table, Services& services) {
  add_page(table, services, "GET", "/authorize", "authorizeClient",
           "Where an MCP client sends its user (RFC 6749): sign-in, then consent.", show_authorize);
  add_page(table, services, "POST", "/authorize", "decideClient", "The forms of these pages.", decide);
  add_page(table, services, "GET", "/oauth/sign-in/callback", "providerCallback",
           "Where a platform's own provider sends a browser back to.", come_back_from_provider);
  add_page(table, services, "GET", "/sign-in/{token}", "signInPage",
           "What a sign-in link opens; changes nothing.", show_sign_in_link);
  add_page(table, services, "POST", "/sign-in/{token}", "useSignInLink",
           "Use the link up: this browser is signed in.", use_sign_in_link);
}

}  // namespace assistiv::api
