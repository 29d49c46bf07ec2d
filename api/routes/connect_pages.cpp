// What the end user's browser sees on the way from "connect" to "connected" (oauth/connect/connect_flow.h).
#include <nlohmann/json.hpp>

#include "api/config.h"
#include "api/connectors.h"
#include "api/routes/requests.h"
#include "api/routes/routes.h"
#include "api/web/forms.h"
#include "api/web/html.h"
#include "api/web/pages.h"
#include "core/encoding.h"
#include "core/url_text.h"
#include "oauth/connect/connect_flow.h"

namespace assistiv::api {

namespace {

struct Explanation {
  int status;
  std::string_view title, text, next;
};

Explanation explain(oauth::FlowReason reason) {
  using enum oauth::FlowReason;
  constexpr std::string_view again = "Go back to the product that sent you here and start again.";
  switch (reason) {
    case AccessDenied:
      return {200, "Not connected", "You did not give access, so nothing was connected.",
              "You can close this page."};
    case Expired:
      return {410, "This link has expired", "A connect link is good for ten minutes.", again};
    case InvalidState:
      return {400, "This link is not valid", "It is incomplete, or it was never made here.", again};
    case WrongBrowser:
      return {403, "Another browser started this",
              "For your protection an account can only be connected in the browser in which it was started. "
              "If somebody "
              "sent you this link, do not go on.",
              again};
    case AlreadyUsed:
      return {410, "This link was used before", "A connect link works once.", again};
    case ProviderError:
      return {502, "The app reported a problem", "It did not finish the sign-in.", "Try again in a moment."};
    case ExchangeFailed:
      return {502, "The app did not accept the sign-in", "It gave no access, so nothing was connected.",
              "Try again; if it stays, tell the product that sent you here."};
    case IdentityFailed:
      return {502, "The app did not say who you are", "Nothing was connected.",
              "Try again; if it stays, tell the product that sent you here."};
    case AccountMismatch:
      return {409, "This is another account", "The connection belongs to a different account at the app.",
              "Sign in there with the account that was connected before, and start again."};
  }
  return {400, "Not connected", "Something was not as expected.", again};
}

core::HttpReply fault_page(oauth::FlowReason reason) {
  const auto e = explain(reason);
  return problem_page(e.status, std::string(e.title), std::string(e.text), std::string(e.next));
}

core::HttpReply redirect(const std::string& url) {
  core::HttpReply reply;
  reply.status = 302;
  reply.headers.add("location", url);
  reply.headers.add("referrer-policy", "no-referrer");
  return reply;
}

core::Task<core::HttpReply> authorize(Services* s, Call call) {
  oauth::NewLink input;
  input.app = call.query_or("app", "");
  if (input.app.empty()) throw core::bad_request("\"app\" is required, e.g. ?app=github.", "app");
  input.reuse = true;
  if (call.query.contains("return_url")) input.return_url = call.query.at("return_url");
  const auto link = co_await s->connect.create_link(call.principal->platform_id, *call.principal->end_user_id,
                                                    std::move(input), audit_context(call));
  co_return redirect(link.url);
}

constexpr std::string_view kAnswerPrefix = "var_";
constexpr std::string_view kLabelField = "label";
constexpr std::size_t kAnswerMax = 256;
constexpr std::size_t kLabelCharactersMax = 80;

// What people paste has spaces around it.
std::string clean_answer(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  return std::string(text.substr(0, kAnswerMax));
}

// A name for people, without what they could not see; too long, it ends early.
std::string clean_label(std::string_view text) {
  std::string out = without_controls(clean_answer(text));
  if (!core::is_valid_utf8(out)) return {};
  std::size_t characters = 0, end = 0;
  for (; end < out.size(); ++end) {
    const bool starts = (static_cast<unsigned char>(out[end]) & 0xC0) != 0x80;
    if (starts && ++characters > kLabelCharactersMax) break;
  }
  return out.substr(0, end);
}

// The page of a link; with `answers` once more, because `refused` is not good.
core::Task<core::HttpReply> consent_of(Services* s, std::string token, std::string cookie,
                                       oauth::Values answers, std::string label, std::string refused) {
  const auto page = co_await s->connect.page(token, cookie);
  if (page.fault) co_return fault_page(*page.fault);
  ConsentPage view;
  view.platform_name = page.platform_name;
  view.end_user_label = page.end_user_label;
  view.app_title = page.app_title;
  view.provider_host = page.provider_host;
  for (const auto& ask : page.asks) {
    view.fields.push_back(
        {std::string(kAnswerPrefix) + ask.name, ask.title, ask.hint, answers[ask.name], ask.name == refused});
  }
  if (page.asks_label) {
    view.fields.push_back({.name = std::string(kLabelField),
                           .title = "Name for this account (optional)",
                           .hint = "You have connected one already. A name tells your agents which is which.",
                           .value = label,
                           .optional = true});
  }
  for (const auto& scope : page.scopes)
    view.permissions.push_back(scope.title.empty() ? scope.scope : scope.title);
  view.action = "/connect/" + token;
  view.csrf = page.csrf;
  auto reply = consent_page(view);
  reply.headers.add("set-cookie", s->connect.set_cookie(page.cookie));
  co_return reply;
}

core::Task<core::HttpReply> show_consent(Services* s, Call call) {
  co_return co_await consent_of(s, call.params.at("token"),
                                core::cookie(call.request.headers, s->connect.cookie_name()), {}, {}, {});
}

struct ConsentForm {
  std::string csrf;
  bool cancelled = false;
  oauth::Values answers;
  std::string label;
};

ConsentForm read_consent(const std::string& body) {
  ConsentForm out;
  const auto fields = core::form_decode(body);
  if (!fields) return out;
  for (const auto& [name, value] : *fields) {
    if (name == "csrf") out.csrf = value;
    if (name == "decision") out.cancelled = value == "cancel";
    if (name == kLabelField) out.label = clean_label(value);
    if (name.starts_with(kAnswerPrefix)) {
      out.answers[name.substr(kAnswerPrefix.size())] = clean_answer(value);
    }
  }
  return out;
}

core::Task<core::HttpReply> start_flow(Services* s, Call call) {
  if (!from_our_page(call.request, s->config.public_url))
    co_return fault_page(oauth::FlowReason::WrongBrowser);
  const auto cookie = core::cookie(call.request.headers, s->connect.cookie_name());
  const auto form = read_consent(call.request.body);
  if (form.cancelled) {
    const auto end =
        co_await s->connect.cancel(call.params.at("token"), cookie, form.csrf, call.request.request_id);
    if (end.return_to) co_return forward_page(*end.return_to, core::url_authority(*end.return_to));
    co_return fault_page(end.fault.value_or(oauth::FlowReason::AccessDenied));
  }
  const auto flow =
      co_await s->connect.start(call.params.at("token"), cookie, form.csrf, call.request.request_id,
                                form.answers, form.label.empty() ? std::nullopt : std::optional(form.label));
  if (flow.fault) co_return fault_page(*flow.fault);
  if (!flow.refused_var.empty()) {
    co_return co_await consent_of(s, call.params.at("token"), cookie, form.answers, form.label,
                                  flow.refused_var);
  }
  auto reply = forward_page(flow.provider_url, core::url_authority(flow.provider_url));
  reply.headers.add("set-cookie", s->connect.set_cookie(flow.cookie));
  co_return reply;
}

core::Task<core::HttpReply> callback(Services* s, Call call) {
  oauth::CallbackRequest request;
  if (call.params.contains("app")) request.app = call.params.at("app");
  if (call.params.contains("platform")) *request.app += "/" + call.params.at("platform");
  const auto fields = core::form_decode(call.request.query);
  if (!fields) co_return fault_page(oauth::FlowReason::InvalidState);
  request.query = *fields;
  request.cookie = core::cookie(call.request.headers, s->connect.cookie_name());
  request.request_id = call.request.request_id;
  const auto outcome = co_await s->connect.finish(std::move(request));
  if (outcome.redirect_to) co_return redirect(*outcome.redirect_to);
  if (outcome.fault) co_return fault_page(*outcome.fault);
  // A page of its own: the callback's address carries the code, and loading it again would be a replay.
  co_return redirect("/connected/" + outcome.app);
}

core::Task<core::HttpReply> show_connected(Services* s, Call call) {
  // Nobody says whose app it is, so a platform's own has no name here.
  if (oauth::is_own_app_id(call.params.at("app"))) co_return connected_page("Your account");
  const auto spec = s->registry.built_in(call.params.at("app"));
  if (spec == nullptr) co_return fault_page(oauth::FlowReason::InvalidState);
  co_return connected_page(spec->title);
}

}  // namespace

void add_connect_pages(RouteTable& table, Services& services) {
  table.push_back(
      {.method = "GET",
       .path = "/oauth/authorize",
       .access = Access::EndUser,
       .scope = "connections",
       .operation_id = "authorize",
       .tag = "Connect",
       .summary = "302 to a fresh connect page for ?app=.",
       .query = {{"app", "The app's id.", {}}, {"return_url", "One of the app's return URLs.", {}}},
       .success = 302,
       .reply_type = "",
       .handle = with_services(services, authorize)});
  table.push_back({.method = "GET",
                   .path = "/connect/{token}",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "connectPage",
                   .tag = "Connect",
                   .summary = "The consent page; changes nothing.",
                   .reply_type = "text/html",
                   .handle = with_services(services, show_consent)});
  table.push_back(
      {.method = "POST",
       .path = "/connect/{token}",
       .access = Access::Public,
       .scope = "",
       .operation_id = "connectStart",
       .tag = "Connect",
       .summary = "Use the link up: on to the provider, or with decision=cancel back to the platform.",
       .reply_type = "text/html",
       .handle = with_services(services, start_flow)});
  const std::pair<std::string, std::string> callbacks[] = {
      {"/oauth/callback", "oauthCallback"},
      {"/oauth/callback/{app}", "oauthCallbackOfApp"},
      {"/oauth/callback/{app}/{platform}", "oauthCallbackOfOwnApp"}};
  for (const auto& [path, id] : callbacks) {
    table.push_back({.method = "GET",
                     .path = path,
                     .access = Access::Public,
                     .scope = "",
                     .operation_id = id,
                     .tag = "Connect",
                     .summary = "Where providers send the browser back to.",
                     .reply_type = "text/html",
                     .handle = with_services(services, callback)});
  }
  table.push_back({.method = "GET",
                   .path = "/connected/{app}",
                   .access = Access::Public,
                   .scope = "",
                   .operation_id = "connectedPage",
                   .tag = "Connect",
                   .summary = "Where a connect flow without a return URL ends.",
                   .reply_type = "text/html",
                   .handle = with_services(services, show_connected)});
}

}  // namespace assistiv::api
