#include "api/http/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "api/http/agent_paths.h"
#include "api/http/inference_paths.h"
#include "api/openapi/schemas.h"
#include "api/wire/agent_protocol.h"
#include "core/encoding.h"
#include "core/json_read.h"
#include "core/log.h"
#include "core/metrics.h"
#include "inference/engine/inference_service.h"
#include "oauth/authorize/resources.h"
#include "oauth/identity/authenticator.h"

namespace assistiv::api {

namespace {

constexpr std::string_view kCorsMethods = "GET, POST, PUT, PATCH, DELETE, OPTIONS";
constexpr std::string_view kCorsRequestHeaders =
    "authorization, content-type, accept, mcp-session-id, mcp-protocol-version, mcp-method, mcp-name, "
    "last-event-id, x-mcp-tools, x-mcp-toolsets, x-mcp-readonly, x-mcp-max-result-tokens, "
    "idempotency-key, traceparent, tracestate, x-api-key, x-goog-api-key, anthropic-version, anthropic-beta, "
    "openai-beta, x-cache, x-aig-tag, x-tag, x-aig-unsupported, x-aig-end-user";
constexpr std::string_view kCorsReplyHeaders =
    "x-request-id, mcp-session-id, www-authenticate, retry-after, location, content-location, "
    "x-pagination-total, x-pagination-next, x-should-retry, x-aig-provider, "
    "x-aig-model, x-aig-attempts, x-aig-cost-usd, x-aig-overhead-us, x-aig-dropped, x-aig-cache, "
    "x-aig-token-count, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, "
    "x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, "
    "x-ratelimit-reset-tokens";

std::string_view kind_name(oauth::PrincipalKind kind) {
  switch (kind) {
    case oauth::PrincipalKind::Operator:
      return "operator";
    case oauth::PrincipalKind::Platform:
      return "platform";
    case oauth::PrincipalKind::EndUser:
      return "end-user";
  }
  return "";
}

bool is_json(std::string_view content_type) {
  const auto essence = content_type.substr(0, content_type.find(';'));
  const auto end = essence.find_last_not_of(" \t");
  return core::equals_ignore_case(essence.substr(0, end + 1), "application/json");
}

// The token of a connect or sign-in link is a secret until it is used.
std::string path_for_log(const std::string& path) {
  if (path.starts_with("/sign-in/")) return "/sign-in/{token}";
  return path.starts_with("/connect/") ? "/connect/{token}" : path;
}

// Errors of ours that nobody foresaw keep their detail in the log.
core::HttpReply reply_for(const core::Error& error, const core::HttpRequest& request) {
  if (core::http_status(error.kind()) >= 500) {
    core::log::error("request.failed", {{"request_id", request.request_id},
                                        {"path", path_for_log(request.path)},
                                        {"error", error.what()},
                                        {"detail", error.detail()}});
  }
  return error_reply_at(request.path, error, request.request_id);
}

core::Task<core::HttpReply> guarded(core::Task<core::HttpReply> work, const core::HttpRequest* request) {
  try {
    co_return co_await std::move(work);
  } catch (const core::Error& error) {
    co_return reply_for(error, *request);
  } catch (const std::exception& error) {
    co_return reply_for(core::internal(error.what()), *request);
  }
}

std::map<std::string, std::string> read_query(const Route& route, const core::HttpRequest& request) {
  std::map<std::string, std::string> out;
  if (request.query.empty()) return out;
  const auto fields = core::form_decode(request.query);
  if (!fields) throw core::bad_request("The query string is malformed.");
  const auto declared = [&](const std::string& name) {
    return std::find_if(route.query.begin(), route.query.end(),
                        [&](const auto& param) { return param.name == name; });
  };
  for (const auto& [name, value] : *fields) {
    const auto param = declared(name);
    const bool paging = route.paginated && (name == "page" || name == "limit");
    if (param == route.query.end() && !paging) continue;
    if (!paging && !param->choices.empty() &&
        std::find(param->choices.begin(), param->choices.end(), value) == param->choices.end()) {
      throw core::bad_request("\"" + name + "\" has a value that is not allowed here.", name);
    }
    if (value.size() > 2048 || !core::is_valid_utf8(value))
      throw core::bad_request("\"" + name + "\" is too long.", name);
    const auto [at, fresh] = out.emplace(name, value);
    if (fresh) continue;
    if (paging || !param->repeated) throw core::bad_request("\"" + name + "\" is given twice.", name);
    at->second += "," + value;
    if (at->second.size() > 2048) throw core::bad_request("\"" + name + "\" is too long.", name);
  }
  return out;
}

}  // namespace

core::HttpReply error_reply(const core::Error& error, const std::string& request_id) {
  nlohmann::ordered_json body;
  body["code"] = error.code();
  body["message"] = error.message();
  if (!error.field().empty()) body["field"] = error.field();
  body["request_id"] = request_id;
  nlohmann::ordered_json envelope;
  envelope["error"] = std::move(body);
  auto reply =
      core::json_reply(core::http_status(error.kind()),
                       envelope.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  if (error.retry_after()) reply.headers.add("retry-after", std::to_string(error.retry_after()->count()));
  if (!error.challenge().empty()) {
    reply.headers.add("www-authenticate", error.challenge());
  } else if (error.kind() == core::ErrorKind::Unauthenticated) {
    reply.headers.add("www-authenticate", "Bearer error=\"invalid_token\"");
  }
  return reply;
}

namespace {

// LangGraph's clients read "message", then "detail"; ours read the envelope beside them.
core::HttpReply langgraph_error_reply(const core::Error& error, const std::string& request_id) {
  auto reply = error_reply(error, request_id);
  if (error.kind() == core::ErrorKind::InvalidArgument) reply.status = 422;
  auto body = core::parse_json(reply.body);
  body["detail"] = body["message"] = error.message();
  reply.body = core::dump_json(body);
  return reply;
}

core::HttpReply agent_protocol_error_reply(const core::Error& error, const std::string& request_id) {
  auto reply = error_reply(error, request_id);
  if (error.kind() == core::ErrorKind::InvalidArgument) reply.status = 422;
  reply.body = core::dump_json(agent_protocol::error_view(error, request_id));
  return reply;
}

}  // namespace

core::HttpReply error_reply_at(std::string_view path, const core::Error& error,
                               const std::string& request_id) {
  if (is_langgraph_path(path)) return langgraph_error_reply(error, request_id);
  if (is_agent_protocol_path(path)) return agent_protocol_error_reply(error, request_id);
  const auto dialect = dialect_of_path(path);
  if (!dialect) return error_reply(error, request_id);
  auto reply = inference::error_reply(*dialect, error, request_id);
  if (reply.status == 401 && !reply.headers.get("www-authenticate")) {
    reply.headers.add("www-authenticate", "Bearer error=\"invalid_token\"");
  }
  return reply;
}

std::string presented_key(const core::HttpRequest& request) {
  const bool takes_other_headers = dialect_of_path(request.path) || is_agent_path(request.path);
  if (!takes_other_headers || request.headers.get("authorization")) return bearer_key(request);
  for (const auto* name : {"x-api-key", "x-goog-api-key"}) {
    const auto key = request.headers.get(name);
    if (!key || key->empty()) continue;
    if (request.headers.count(name) > 1) {
      throw core::Error(core::ErrorKind::Unauthenticated, "Send one key only.");
    }
    return std::string(*key);
  }
  return bearer_key(request);
}

std::string bearer_key(const core::HttpRequest& request) {
  const auto header = request.headers.get("authorization");
  if (!header) {
    throw core::Error(
        core::ErrorKind::Unauthenticated,
        "This needs a key: send the header \"Authorization: Bearer <key>\". An agent sends its "
        "end user's key (sk-eu_...), a platform's backend sk-plat_..., the operator sk-admin_...")
        .with_challenge("Bearer");  // RFC 6750 section 3.1: no error attribute without credentials
  }
  if (request.headers.count("authorization") > 1) {
    throw core::Error(core::ErrorKind::Unauthenticated, "Send one Authorization header only.");
  }
  if (header->size() < 8 || !core::equals_ignore_case(header->substr(0, 7), "Bearer ")) {
    throw core::Error(
        core::ErrorKind::Unauthenticated,
        "Only the Bearer scheme is accepted: \"Authorization: Bearer <key>\", with a key that starts "
        "with sk-eu_, sk-plat_ or sk-admin_.");
  }
  return std::string(header->substr(std::min(header->find_first_not_of(' ', 7), header->size())));
}

void check_access(const Route& route, const oauth::Principal& principal) {
  using oauth::PrincipalKind;
  const auto refuse = [&](std::string_view wanted) {
    throw core::forbidden("This route needs " + std::string(wanted) + " key; this one is of the kind " +
                          std::string(kind_name(principal.kind)) + ".");
  };
  switch (route.access) {
    case Access::Public:
    case Access::Own:
    case Access::AnyKey:
      break;
    case Access::Operator:
      if (principal.kind != PrincipalKind::Operator) refuse("an operator (sk-admin_)");
      break;
    case Access::Platform:
      if (principal.kind == PrincipalKind::EndUser) refuse("a platform (sk-plat_)");
      break;
    case Access::EndUser:
      if (principal.kind != PrincipalKind::EndUser) refuse("an end-user (sk-eu_)");
      break;
    case Access::Tenant:
      if (principal.kind == PrincipalKind::Operator) refuse("a platform (sk-plat_) or an end-user (sk-eu_)");
      break;
  }
  if (!route.scope.empty() && principal.kind != PrincipalKind::Operator &&
      !principal.has_scope(route.scope)) {
    throw core::forbidden("This key lacks the scope \"" + route.scope + "\".")
        .with_challenge("Bearer error=\"insufficient_scope\", scope=\"" + route.scope + "\"");
  }
}

Pipeline::Pipeline(RouteTable table, oauth::Authenticator& authenticator, const BodySchemas& schemas,
                   PipelineOptions options)
    : table_(std::move(table)),
      router_(table_),
      authenticator_(authenticator),
      schemas_(schemas),
      options_(std::move(options)),
      latencies_(table_.size()) {}

Pipeline::~Pipeline() = default;

void Pipeline::read_inputs(const Route& route, Call& call) const {
  call.query = read_query(route, call.request);
  if (route.body_schema.empty()) return;
  const auto type = call.request.headers.get("content-type");
  if (!type || !is_json(*type)) {
    throw core::Error(core::ErrorKind::UnsupportedMediaType,
                      "Send the body with \"Content-Type: application/json\".");
  }
  auto body = std::make_shared<core::Json>(core::parse_json(call.request.body));
  schemas_.check(route.body_schema, *body);
  call.body = std::move(body);
}

core::Task<core::HttpReply> Pipeline::dispatch(const Route& route, Call call, Trail* trail) {
  if (route.access != Access::Public && route.access != Access::Own) {
    const std::string key = presented_key(call.request);
    call.principal = authenticator_.cached(key);
    if (!call.principal) call.principal = co_await authenticator_.authenticate(key);
    trail->principal = call.principal;
    check_audience(*call.principal, call.request.path);
    check_access(route, *call.principal);
    // Another tenant's platform does not exist for this key.
    if (route.access == Access::Platform && call.params.contains("platform_id")) {
      const auto wanted = call.platform_id();
      if (call.principal->kind == oauth::PrincipalKind::Platform && wanted != call.principal->platform_id) {
        throw not_found_id("platform");
      }
    }
  }
  read_inputs(route, call);
  auto reply = co_await route.handle(std::move(call));
  if (route.any_origin) reply.headers.set("access-control-allow-origin", "*");
  co_return reply;
}

// An access token is good for the one address that it was made for, and for nothing of the REST API.
void Pipeline::check_audience(const oauth::Principal& principal, const std::string& path) const {
  if (principal.audience.empty()) return;
  if (options_.resources != nullptr && options_.resources->url_of_path(path) == principal.audience) return;
  throw core::Error(core::ErrorKind::Unauthenticated,
                    "This access token is for another address: " + principal.audience + ".");
}

// RFC 9728 section 5.1: a client that knows only the URL learns where its tokens come from, and which scopes
// it could ever need there.
void Pipeline::name_resource(core::HttpReply& reply, const std::string& path) const {
  if (reply.status != 401 || options_.resources == nullptr) return;
  const auto url = options_.resources->url_of_path(path);
  if (url.empty() || !options_.resources->find(url)) return;
  const std::string challenge(reply.headers.get("www-authenticate").value_or("Bearer"));
  reply.headers.set("www-authenticate", challenge + (challenge == "Bearer" ? " " : ", ") +
                                            "resource_metadata=\"" + options_.resources->metadata_url(url) +
                                            "\", scope=\"" + oauth::full_scope() + "\"");
}

core::HttpReply Pipeline::preflight(const core::HttpRequest& request) const {
  auto reply = no_content();
  const auto method = request.headers.get("access-control-request-method").value_or("");
  const auto wanted = router_.find(method, request.path);
  if (wanted.route != nullptr && wanted.route->any_origin)
    reply.headers.set("access-control-allow-origin", "*");
  return reply;
}

std::string Pipeline::nothing_at(const core::HttpRequest& request) const {
  std::string_view path = request.path;
  const bool slash = path.ends_with('/');
  if (slash) path.remove_suffix(1);
  const auto match = router_.find(request.method, path);
  if (slash && (match.route != nullptr || !match.allow.empty()))
    return "There is nothing at this address. It ends with a slash: without it there is.";
  return "There is nothing at this address. See /openapi.json.";
}

core::Task<core::HttpReply> Pipeline::answer(core::HttpRequest request, Trail* trail) {
  auto match = router_.find(request.method, request.path);
  trail->route = match.route;
  if (request.method == "OPTIONS" && (match.route == nullptr || match.route->method != "*") &&
      request.headers.get("access-control-request-method")) {
    co_return preflight(request);
  }
  if (match.route == nullptr) {
    if (match.allow.empty()) throw core::not_found(nothing_at(request));
    std::string allow;
    for (const auto& method : match.allow) allow += (allow.empty() ? "" : ", ") + method;
    auto reply = error_reply_at(
        request.path, {core::ErrorKind::MethodNotAllowed, "This address answers to: " + allow + "."},
        request.request_id);
    reply.headers.add("allow", allow);
    co_return reply;
  }
  Call call;
  call.request = std::move(request);
  call.params = std::move(match.params);
  co_return co_await dispatch(*match.route, std::move(call), trail);
}

void Pipeline::finish(core::HttpReply& reply, const core::HttpHeaders& request_headers,
                      const std::string& request_id) const {
  auto& headers = reply.headers;
  headers.set("x-request-id", request_id);
  headers.add("x-content-type-options", "nosniff");
  if (!headers.get("cache-control")) headers.add("cache-control", "no-store");
  const auto origin = request_headers.get("origin");
  const bool open = headers.get("access-control-allow-origin").has_value();
  if (!origin || (!open && options_.cors_origins.empty())) return;
  const bool any = open || options_.cors_origins.front() == "*";
  if (!any && std::find(options_.cors_origins.begin(), options_.cors_origins.end(), *origin) ==
                  options_.cors_origins.end()) {
    return;
  }
  headers.set("access-control-allow-origin", any ? "*" : std::string(*origin));
  if (!any) headers.add("vary", "origin");
  headers.add("access-control-expose-headers", std::string(kCorsReplyHeaders));
  if (request_headers.get("access-control-request-method")) {
    headers.add("access-control-allow-methods", std::string(kCorsMethods));
    headers.add("access-control-allow-headers", std::string(kCorsRequestHeaders));
    headers.add("access-control-max-age", "600");
  }
}

// Registered when a route is first used, so that the exposition holds no empty series.
core::metrics::Histogram& Pipeline::latency_of(const Route* route) {
  const auto series = [](const std::string& label) -> core::metrics::Histogram& {
    return core::metrics::histogram("assistiv_http_request_seconds",
                                    "Time to the reply's head, by route (\"\": none was found).",
                                    {{"route", label}});
  };
  if (route == nullptr) return series("");
  auto& known = latencies_[static_cast<std::size_t>(route - table_.data())];
  auto* histogram = known.load(std::memory_order_acquire);
  if (histogram == nullptr) {
    histogram = &series(route->method + " " + route->path);
    known.store(histogram, std::memory_order_release);
  }
  return *histogram;
}

// Which tenant, which step, which upstream, what it cost: enough to follow a request without its content.
void Pipeline::log_request(const core::HttpRequest& head, const core::HttpReply& reply, const Trail& trail,
                           double seconds) {
  core::log::Fields fields = {{"request_id", head.request_id},
                              {"method", head.method},
                              {"path", path_for_log(head.path)},
                              {"status", reply.status},
                              {"ms", std::round(seconds * 1e6) / 1e3}};
  if (trail.route != nullptr) fields.emplace_back("route", trail.route->path);
  if (trail.principal && trail.principal->kind != oauth::PrincipalKind::Operator) {
    fields.emplace_back("platform_id", trail.principal->platform_id.str());
    if (trail.principal->end_user_id) fields.emplace_back("end_user_id", trail.principal->end_user_id->str());
  }
  constexpr std::pair<const char*, const char*> kFacts[] = {
      {"x-aig-provider", "provider"}, {"x-aig-model", "model"}, {"x-aig-cost-usd", "cost_usd"}};
  for (const auto& [header, name] : kFacts) {
    if (const auto value = reply.headers.get(header)) fields.emplace_back(name, std::string(*value));
  }
  if (reply.stream) fields.emplace_back("stream", true);
  core::log::info("request", std::move(fields));
}

core::Task<core::HttpReply> Pipeline::handle(core::HttpRequest request) {
  const auto started = std::chrono::steady_clock::now();
  // What the reply and the log need after the request has moved on.
  core::HttpRequest head;
  head.method = request.method;
  head.path = request.path;
  head.headers = request.headers;
  head.request_id = request.request_id;
  Trail trail;
  core::HttpReply reply = co_await guarded(answer(std::move(request), &trail), &head);
  name_resource(reply, head.path);
  finish(reply, head.headers, head.request_id);
  // What Anthropic's clients call it.
  if (dialect_of_path(head.path) == inference::DialectId::Anthropic)
    reply.headers.set("request-id", head.request_id);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  latency_of(trail.route).observe(took.count());
  if (options_.log_every_request || reply.status >= 500 || took > std::chrono::seconds(1)) {
    log_request(head, reply, trail, took.count());
  }
  co_return reply;
}

}  // namespace assistiv::api
