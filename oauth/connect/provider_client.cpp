#include "oauth/connect/provider_client.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/json_read.h"
#include "core/log.h"
#include "oauth/connect/json_pointer.h"
#include "oauth/connect/return_url.h"
#include "oauth/crypto/pkce.h"

namespace assistiv::oauth {

namespace {

using core::Json;

constexpr std::size_t kResponseMax = 256 * 1024;
constexpr std::chrono::milliseconds kExchangeTimeout{10000};

// Members of a request body, in order; literals stay numbers and booleans in JSON.
struct BodyMember {
  std::string name, value;
  SpecParam::Kind kind = SpecParam::Kind::Text;
};

std::vector<BodyMember> expand_params(const std::vector<SpecParam>& params, const Values& values) {
  std::vector<BodyMember> out;
  for (const auto& param : params)
    out.push_back({param.name, param.value.expand(values, Escape::None), param.kind});
  return out;
}

void set_body(core::OutboundRequest& request, BodyEncoding encoding, const std::vector<BodyMember>& members) {
  if (encoding == BodyEncoding::None) return;
  if (encoding == BodyEncoding::Json) {
    Json body = Json::object();
    for (const auto& member : members) {
      body[member.name] =
          member.kind == SpecParam::Kind::Literal ? Json::parse(member.value) : Json(member.value);
    }
    request.headers.set("Content-Type", "application/json");
    request.body = core::dump_json(body);
    return;
  }
  core::FormFields fields;
  for (const auto& member : members) fields.emplace_back(member.name, member.value);
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  request.body = core::form_encode(fields);
}

bool is_known(const TextTemplate& text, const Values& values) {
  const auto names = text.names();
  return std::all_of(names.begin(), names.end(), [&](const auto& name) { return values.contains(name); });
}

// Headers whose variables have not spoken yet (an organization that only the identity tells) are left out.
void set_headers(core::OutboundRequest& request, const std::vector<SpecParam>& headers,
                 const Values& values) {
  for (const auto& header : headers) {
    if (is_known(header.value, values)) {
      request.headers.set(header.name, header.value.expand(values, Escape::None));
    }
  }
}

core::OutboundRequest new_request(const ConnectorSpec& spec, std::string method, const UrlTemplate& url,
                                  const Values& values) {
  core::OutboundRequest request;
  request.method = std::move(method);
  request.url = url.expand(values);
  request.allowed_hosts = spec.allowed_hosts(values);
  request.timeout = kExchangeTimeout;
  request.response_bytes_max = kResponseMax;
  request.headers.set("Accept", "application/json");
  request.headers.set("User-Agent", "assistiv");
  return request;
}

// RFC 6749 section 2.3.1: both parts form-encoded before base64.
std::string basic_credentials(const ClientCredentials& client) {
  return "Basic " + core::base64_encode(core::percent_encode(client.client_id) + ":" +
                                        core::percent_encode(client.client_secret.reveal()));
}

core::OutboundRequest token_request(const ConnectorSpec& spec, const TokenEndpoint& endpoint,
                                    const Values& values, const ClientCredentials& client,
                                    std::vector<BodyMember> members) {
  auto request = new_request(spec, "POST", endpoint.url, values);
  if (spec.oauth.client_auth == ClientAuth::Basic) {
    request.headers.set("Authorization", basic_credentials(client));
  } else {
    members.push_back({"client_id", client.client_id});
    if (spec.oauth.client_auth == ClientAuth::Body)
      members.push_back({"client_secret", client.client_secret.reveal()});
  }
  for (auto& member : expand_params(endpoint.params, values)) members.push_back(std::move(member));
  set_body(request, endpoint.encoding, members);
  set_headers(request, endpoint.headers, values);
  return request;
}

TokenReply no_reply(const core::OutboundError& error) {
  TokenReply reply;
  reply.kind = error.maybe_executed() ? TokenReplyKind::Unknown : TokenReplyKind::Transient;
  reply.code = error.failure() == core::OutboundFailure::Timeout ? "timeout" : "no_response";
  return reply;
}

core::Task<TokenReply> ask_for_tokens(core::HttpClient* http, const ConnectorSpec* spec,
                                      std::map<std::string, SlotSpec> slots, core::OutboundRequest request) {
  try {
    const auto response = co_await http->send(std::move(request));
    co_return read_token_reply(*spec, slots, response);
  } catch (const core::OutboundError& error) {
    core::log::warn("connect.provider_failed", {{"app", spec->id}, {"error", error.what()}});
    co_return no_reply(error);
  }
}

// One part of an account's id: of the response, or a variable of the connection.
std::optional<std::string> id_part(const Json& body, const Values& vars, const std::string& rule) {
  if (rule.front() != '{') return text_at(body, rule);
  const auto value = vars.find(rule.substr(1, rule.size() - 2));
  return value == vars.end() ? std::nullopt : std::optional(value->second);
}

// The variables of one source in an answer; empty when one that is needed is not there or not allowed.
std::optional<Values> vars_of(const ConnectorSpec& spec, SpecVar::Source source, const Json& answer) {
  Values out;
  for (const auto& var : spec.vars) {
    if (var.source != source) continue;
    const auto text = text_at(answer, var.from);
    const auto accepted = text ? var.accept(*text) : std::nullopt;
    if (accepted) out.insert(accepted->begin(), accepted->end());
    if (!accepted && !var.fallback) return {};
  }
  return out;
}

Identity read_identity_answer(const ConnectorSpec& spec, const Values& known, const Json& answer) {
  Identity identity;
  const auto& rules = spec.oauth.identity;
  for (const auto& pointer : rules.id) {
    const auto part = id_part(answer, known, pointer);
    if (!part || part->size() > 200) return identity;
    identity.id += (identity.id.empty() ? "" : "/") + *part;
  }
  for (const auto& pointer : rules.label) {
    if (const auto part = text_at(answer, pointer); part && !part->empty()) {
      identity.label += (identity.label.empty() ? "" : ", ") + *part;
    }
  }
  if (identity.label.empty()) identity.label = identity.id;
  identity.label = identity.label.substr(0, 200);
  if (!core::is_valid_utf8(identity.id) || identity.id.find('\0') != std::string::npos) return identity;
  if (!core::is_valid_utf8(identity.label) || identity.label.find('\0') != std::string::npos) {
    identity.label = identity.id;
  }
  const auto vars = vars_of(spec, SpecVar::Source::Identity, answer);
  identity.ok = vars.has_value();
  if (vars) identity.vars = *vars;
  return identity;
}

// The part of the response that answers, or nothing. Headers and tokens are the API's.
core::Task<std::optional<Json>> ask_api(core::HttpClient* http, const ConnectorSpec* spec,
                                        const ProbeRules* probe, Values vars, core::Secret access) {
  auto request = new_request(*spec, probe->method, probe->url, vars);
  std::vector<std::pair<std::string, std::string>> query;
  for (const auto& member : expand_params(probe->query, vars)) query.emplace_back(member.name, member.value);
  if (!query.empty()) request.url = with_query(request.url, query);
  set_headers(request, spec->api.headers, vars);
  vars["token"] = access.reveal();
  request.headers.set("Authorization", spec->api.auth_header.expand(vars, Escape::None));
  try {
    const auto response = co_await http->send(std::move(request));
    const auto body = core::try_parse_json(response.body, 32);
    if (!body || !matches(probe->ok, response.status, *body)) co_return std::nullopt;
    const Json* answer = find_answer(*probe, *body);
    co_return answer == nullptr ? std::nullopt : std::optional(*answer);
  } catch (const core::OutboundError& error) {
    core::log::warn("connect.identity_failed", {{"app", spec->id}, {"error", error.what()}});
    co_return std::nullopt;
  }
}

// The parameters of an authorize request that carry scopes: each list gets its own, without its prefix.
std::vector<std::pair<std::string, std::string>> scope_params(const ScopeRules& rules,
                                                              const std::vector<std::string>& scopes) {
  std::vector<std::pair<std::string, std::string>> out;
  if (rules.param.empty()) return out;
  const auto add = [&](const std::string& param, std::string_view scope) {
    auto it = std::find_if(out.begin(), out.end(), [&](const auto& entry) { return entry.first == param; });
    if (it == out.end()) it = out.insert(out.end(), {param, ""});
    it->second += (it->second.empty() ? "" : rules.separator) + std::string(scope);
  };
  for (const auto& scope : scopes) {
    const auto list = std::find_if(rules.also.begin(), rules.also.end(), [&](const ScopeList& candidate) {
      return scope.starts_with(candidate.prefix);
    });
    if (list == rules.also.end()) {
      add(rules.param, scope);
    } else {
      add(list->param, std::string_view(scope).substr(list->prefix.size()));
    }
  }
  return out;
}

// What a listed status does not say by itself.
RevokeOutcome read_revoke_reply(const ConnectorSpec& spec, const RevokeRequest& rule,
                                const core::OutboundResponse& response) {
  if (rule.ok.absent.empty() && rule.ok.equals.empty()) return RevokeOutcome::Done;
  const auto body = core::try_parse_json(response.body, 16);
  if (!body) return RevokeOutcome::Away;
  OkRule ok = rule.ok;
  ok.statuses = rule.ok_statuses;
  if (matches(ok, response.status, *body)) return RevokeOutcome::Done;
  const auto lists = [](const std::vector<std::string>& codes, const std::string& code) {
    return std::find(codes.begin(), codes.end(), code) != codes.end();
  };
  const auto code = text_at(*body, spec.oauth.errors.code).value_or("");
  if (lists(rule.gone, code)) return RevokeOutcome::Done;
  return lists(spec.oauth.errors.config, code) ? RevokeOutcome::Refused : RevokeOutcome::Away;
}

}  // namespace

std::string ProviderClient::authorize_url(const ConnectorSpec& spec, const Values& vars,
                                          const std::string& client_id, const std::string& redirect_uri,
                                          const std::vector<std::string>& scopes, const core::Secret& state,
                                          const core::Secret& verifier) {
  const auto& oauth = spec.oauth;
  std::vector<std::pair<std::string, std::string>> query{
      {"response_type", "code"}, {"client_id", client_id}, {"redirect_uri", redirect_uri}};
  for (auto& param : scope_params(oauth.scope, scopes)) query.push_back(std::move(param));
  query.emplace_back("state", state.reveal());
  if (!verifier.empty()) {
    query.emplace_back("code_challenge", code_challenge_s256(verifier.reveal()));
    query.emplace_back("code_challenge_method", "S256");
  }
  for (const auto& param : oauth.authorize_params) {
    query.emplace_back(param.name, param.value.expand(vars, Escape::None));
  }
  return with_query(oauth.authorize_url.expand(vars), query);
}

core::Task<TokenReply> ProviderClient::exchange(const ConnectorSpec* spec, Values vars,
                                                ClientCredentials client, core::Secret code,
                                                std::string redirect_uri, core::Secret verifier) {
  std::vector<BodyMember> members{
      {"grant_type", "authorization_code"}, {"code", code.reveal()}, {"redirect_uri", redirect_uri}};
  if (!verifier.empty()) members.push_back({"code_verifier", verifier.reveal()});
  auto request = token_request(*spec, spec->oauth.token, vars, client, std::move(members));
  co_return co_await ask_for_tokens(&http_, spec, spec->oauth.slots, std::move(request));
}

core::Task<TokenReply> ProviderClient::refresh(const ConnectorSpec* spec, Values vars,
                                               ClientCredentials client, std::string slot,
                                               core::Secret refresh_token, std::chrono::milliseconds timeout,
                                               std::stop_token stop) {
  const auto& rules = spec->oauth.refresh;
  std::vector<BodyMember> members{{"grant_type", "refresh_token"}, {"refresh_token", refresh_token.reveal()}};
  auto request = token_request(*spec, rules.endpoint, vars, client, std::move(members));
  request.timeout = timeout;
  request.stop = std::move(stop);
  const auto other = rules.slots.find(slot);
  SlotSpec mapping = other != rules.slots.end() ? other->second : spec->oauth.slots.at(slot);
  mapping.required = true;
  co_return co_await ask_for_tokens(&http_, spec, {{slot, mapping}}, std::move(request));
}

core::Task<std::optional<Values>> ProviderClient::look_up(const ConnectorSpec* spec, Values vars,
                                                          core::Secret access) {
  const auto answer = co_await ask_api(&http_, spec, &*spec->oauth.lookup, std::move(vars), access);
  co_return answer ? vars_of(*spec, SpecVar::Source::Lookup, *answer) : std::nullopt;
}

core::Task<Identity> ProviderClient::identify(const ConnectorSpec* spec, Values vars, core::Secret access) {
  if (const auto& fixed = spec->oauth.identity.fixed; !fixed.empty()) {
    Identity identity;
    identity.ok = true;
    identity.id = identity.label = fixed;
    co_return identity;
  }
  const auto answer = co_await ask_api(&http_, spec, &spec->oauth.identity.probe, vars, access);
  co_return answer ? read_identity_answer(*spec, vars, *answer) : Identity();
}

core::Task<RevokeReply> ProviderClient::revoke(const ConnectorSpec* spec, const RevokeRequest* rule,
                                               Values vars, ClientCredentials client, core::Secret access,
                                               core::Secret refresh) {
  Values values = vars;
  values["client_id"] = client.client_id;
  values["client_secret"] = client.client_secret.reveal();
  values["access_token"] = access.reveal();
  values["refresh_token"] = refresh.reveal();
  values["any_token"] = refresh.empty() ? access.reveal() : refresh.reveal();
  auto request = new_request(*spec, rule->method, rule->url, values);
  std::vector<std::pair<std::string, std::string>> query;
  for (const auto& member : expand_params(rule->query, values)) query.emplace_back(member.name, member.value);
  if (!query.empty()) request.url = with_query(request.url, query);
  set_body(request, rule->encoding, expand_params(rule->body, values));
  if (rule->auth == RequestAuth::ClientBasic) request.headers.set("Authorization", basic_credentials(client));
  if (rule->auth == RequestAuth::Access) {
    values["token"] = access.reveal();
    request.headers.set("Authorization", spec->api.auth_header.expand(values, Escape::None));
  }
  set_headers(request, rule->headers, values);
  try {
    const auto response = co_await http_.send(std::move(request));
    const auto& ok = rule->ok_statuses;
    const bool away = response.status == 429 || response.status >= 500;
    RevokeReply reply{away ? RevokeOutcome::Away : RevokeOutcome::Refused, {}};
    if (std::find(ok.begin(), ok.end(), response.status) != ok.end()) {
      reply.outcome = read_revoke_reply(*spec, *rule, response);
    }
    if (reply.outcome == RevokeOutcome::Away) reply.retry_after = read_retry_after(response.headers);
    co_return reply;
  } catch (const core::OutboundError& error) {
    core::log::warn("connect.revoke_failed", {{"app", spec->id}, {"error", error.what()}});
    co_return RevokeReply{RevokeOutcome::Away, {}};
  }
}

}  // namespace assistiv::oauth
