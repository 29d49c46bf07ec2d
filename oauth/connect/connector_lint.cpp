#include "oauth/connect/connector_lint.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>

#include "core/error.h"
#include "core/http.h"
#include "oauth/connect/connector_spec.h"

namespace assistiv::oauth {

namespace {

using Names = std::set<std::string, std::less<>>;

constexpr int kAllKnown = 4;
constexpr std::array<std::string_view, 10> kHttpHeaders = {
    "host", "content-length", "transfer-encoding", "connection", "keep-alive",
    "te",   "trailer",        "upgrade",           "expect",     "accept-encoding"};

// The order in which a connection comes to know things; a template may use what is known by its time.
int step_of(SpecVar::Source source) {
  switch (source) {
    case SpecVar::Source::App:
    case SpecVar::Source::Link:
      return 0;
    case SpecVar::Source::Callback:
      return 1;
    case SpecVar::Source::Token:
      return 2;
    case SpecVar::Source::Lookup:
      return 3;
    case SpecVar::Source::Identity:
      return 4;
  }
  return kAllKnown;
}

Names known_at(const ConnectorSpec& spec, int step) {
  Names out;
  for (const auto& var : spec.vars) {
    if (!var.fallback && step_of(var.source) > step) continue;
    out.insert(var.name);
    if (var.values.empty()) continue;
    // A member counts when every value has it.
    for (const auto& [member, text] : var.values.begin()->second) {
      const bool everywhere = std::all_of(var.values.begin(), var.values.end(),
                                          [&](const auto& entry) { return entry.second.contains(member); });
      if (everywhere) out.insert(var.name + "." + member);
    }
  }
  return out;
}

void require_known(const std::vector<std::string>& names, const Names& known, const std::string& pointer) {
  for (const auto& name : names) {
    if (!known.contains(name)) {
      throw core::bad_request("The placeholder {" + name + "} is not declared, or not known yet here.",
                              pointer);
    }
  }
}

void check_params(const std::vector<SpecParam>& params, const Names& known, const std::string& pointer) {
  for (const auto& param : params) require_known(param.value.names(), known, pointer + "/" + param.name);
}

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

void check_headers(const std::vector<SpecParam>& headers, const Names& known, const std::string& pointer) {
  check_params(headers, known, pointer);
  for (const auto& header : headers) {
    if (!is_manifest_header(header.name) || !is_printable(header.value.text())) {
      throw core::bad_request("A header has a plain name, none of HTTP's own, and printable ASCII.",
                              pointer + "/" + header.name);
    }
  }
}

void check_url(const ConnectorSpec& spec, const UrlTemplate& url, const Names& known,
               const std::string& pointer) {
  require_known(url.names(), known, pointer);
  const auto& host = url.host().text();
  const bool listed = std::any_of(spec.hosts.begin(), spec.hosts.end(),
                                  [&](const auto& entry) { return entry.text() == host; });
  if (!listed) throw core::bad_request("The host \"" + host + "\" is not one of \"hosts\".", pointer);
}

// A host may hold what the platform or the link gives (checked by pattern) and what is looked up in a table;
// a value from a browser or a response only by table.
void check_hosts(const ConnectorSpec& spec) {
  if (spec.hosts.empty()) throw core::bad_request("At least one host is required.", "/hosts");
  const Names declared = known_at(spec, kAllKnown);
  for (const auto& host : spec.hosts) {
    const auto names = host.names();
    require_known(names, declared, "/hosts");
    if (names.empty() && !is_host(host.text())) {
      throw core::bad_request("\"" + host.text() + "\" is not a host name in lowercase.", "/hosts");
    }
    for (const auto& name : names) {
      const SpecVar* var = spec.var(name.substr(0, name.find('.')));
      if (step_of(var->source) > 0 && var->values.empty()) {
        throw core::bad_request(
            "{" + name + "} comes from outside and needs a table of values to be in a host.", "/hosts");
      }
    }
  }
}

void check_authorize(const ConnectorSpec& spec) {
  const auto& oauth = spec.oauth;
  const Names known = known_at(spec, 0);
  check_url(spec, oauth.authorize_url, known, "/oauth/authorize/url");
  check_params(oauth.authorize_params, known, "/oauth/authorize/params");
  for (const auto& param : oauth.authorize_params) {
    for (const auto reserved :
         {"client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method"}) {
      const auto& also = oauth.scope.also;
      const bool of_scopes = std::any_of(also.begin(), also.end(),
                                         [&](const ScopeList& list) { return list.param == param.name; });
      if (param.name == reserved || of_scopes ||
          (!oauth.scope.param.empty() && param.name == oauth.scope.param)) {
        throw core::bad_request("The engine sends this parameter itself.",
                                "/oauth/authorize/params/" + param.name);
      }
    }
  }
  for (const auto& scopes : {oauth.scope.always, oauth.scope.defaults}) {
    for (const auto& scope : scopes) {
      if (oauth.scope.param.empty() || !oauth.scope.titles.contains(scope)) {
        throw core::bad_request("The scope \"" + scope + "\" has no title, or there is no \"param\".",
                                "/oauth/scope");
      }
    }
  }
}

void check_slots(const ConnectorSpec& spec) {
  const auto& oauth = spec.oauth;
  const auto require_slot = [&](const std::string& name, const std::string& pointer) {
    if (!oauth.slots.contains(name)) throw core::bad_request("There is no slot \"" + name + "\".", pointer);
  };
  require_slot(oauth.identity.slot, "/oauth/identity/slot");
  for (std::size_t i = 0; i < oauth.scope.also.size(); ++i) {
    const auto& list = oauth.scope.also[i];
    const auto where = "/oauth/scope/also/" + std::to_string(i);
    require_slot(list.slot, where + "/slot");
    if (oauth.scope.param.empty() || list.param == oauth.scope.param) {
      throw core::bad_request("This needs a \"param\" in \"scope\", and another one here.", where + "/param");
    }
  }
  for (const auto& [name, slot] : oauth.refresh.slots) require_slot(name, "/oauth/refresh/slots/" + name);
  if (oauth.revoke.token) {
    for (const auto& name : oauth.revoke.token->slots) require_slot(name, "/oauth/revoke/token/slots");
  }
  if (oauth.revoke.grant) {
    for (const auto& name : oauth.revoke.grant->slots) require_slot(name, "/oauth/revoke/grant/slots");
  }
  const bool any_refresh = std::any_of(oauth.slots.begin(), oauth.slots.end(),
                                       [](const auto& slot) { return !slot.second.refresh.empty(); });
  if (oauth.refresh.mode != RefreshMode::None && !any_refresh) {
    throw core::bad_request("A refresh mode needs a slot with a \"refresh\" pointer.", "/oauth/slots");
  }
}

void check_token_endpoints(const ConnectorSpec& spec) {
  const auto& oauth = spec.oauth;
  const Names known = known_at(spec, 1);
  check_url(spec, oauth.token.url, known, "/oauth/token/url");
  check_params(oauth.token.params, known, "/oauth/token/params");
  check_headers(oauth.token.headers, known, "/oauth/token/headers");
  if (oauth.refresh.mode == RefreshMode::None) return;
  const Names later = known_at(spec, kAllKnown);
  check_url(spec, oauth.refresh.endpoint.url, later, "/oauth/refresh/url");
  check_params(oauth.refresh.endpoint.params, later, "/oauth/refresh/params");
  check_headers(oauth.refresh.endpoint.headers, later, "/oauth/refresh/headers");
}

void check_revoke(const ConnectorSpec& spec, const std::optional<RevokeRequest>& request,
                  const std::string& pointer) {
  if (!request) return;
  Names in_path = known_at(spec, kAllKnown);
  in_path.insert("client_id");
  check_url(spec, request->url, in_path, pointer + "/url");
  Names anywhere = in_path;
  anywhere.insert({"client_secret", "access_token", "refresh_token", "any_token"});
  check_params(request->query, anywhere, pointer + "/query");
  check_params(request->body, anywhere, pointer + "/body");
  check_headers(request->headers, in_path, pointer + "/headers");
}

void check_probe(const ConnectorSpec& spec, const ProbeRules& probe, const Names& known,
                 const std::string& pointer) {
  check_url(spec, probe.url, known, pointer);
  check_params(probe.query, known, pointer + "/query");
}

void check_vars(const ConnectorSpec& spec) {
  const Names known = known_at(spec, 1);
  for (const auto& var : spec.vars) {
    const auto pointer = "/vars/" + var.name;
    if (var.source == SpecVar::Source::Lookup && !spec.oauth.lookup) {
      throw core::bad_request("The source \"lookup\" needs oauth.lookup.", pointer);
    }
    for (const auto& [param, text] : var.confirm) {
      require_known(text.names(), known, pointer + "/confirm/" + param);
    }
  }
}

void check_api(const ConnectorSpec& spec) {
  Names known = known_at(spec, kAllKnown);
  check_url(spec, spec.api.base, known, "/api/base");
  check_headers(spec.api.headers, known, "/api/headers");
  if (spec.oauth.identity.fixed.empty())
    check_probe(spec, spec.oauth.identity.probe, known_at(spec, 3), "/oauth/identity/request");
  if (spec.oauth.lookup) check_probe(spec, *spec.oauth.lookup, known_at(spec, 2), "/oauth/lookup/request");
  for (const auto& part : spec.oauth.identity.id) {
    if (part.front() == '{') {
      require_known({part.substr(1, part.size() - 2)}, known_at(spec, 3), "/oauth/identity/id");
    }
  }
  known.insert("token");
  require_known(spec.api.auth_header.names(), known, "/api/auth_header");
  const auto names = spec.api.auth_header.names();
  if (std::count(names.begin(), names.end(), "token") != 1) {
    throw core::bad_request("This must contain {token} once.", "/api/auth_header");
  }
  if (!is_printable(spec.api.auth_header.text()))
    throw core::bad_request("A header's value is printable ASCII.", "/api/auth_header");
}

}  // namespace

bool is_manifest_header(std::string_view name) {
  constexpr std::string_view kTokenMarks = "!#$%&'*+-.^_`|~";
  const auto is_token = [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           kTokenMarks.find(c) != std::string_view::npos;
  };
  if (name.empty() || !std::all_of(name.begin(), name.end(), is_token)) return false;
  const auto is_name = [name](std::string_view taken) { return core::equals_ignore_case(name, taken); };
  return std::none_of(kHttpHeaders.begin(), kHttpHeaders.end(), is_name);
}

void lint(const ConnectorSpec& spec) {
  check_vars(spec);
  check_hosts(spec);
  check_authorize(spec);
  check_token_endpoints(spec);
  check_slots(spec);
  check_revoke(spec, spec.oauth.revoke.token, "/oauth/revoke/token");
  check_revoke(spec, spec.oauth.revoke.grant, "/oauth/revoke/grant");
  check_api(spec);
}

}  // namespace assistiv::oauth
