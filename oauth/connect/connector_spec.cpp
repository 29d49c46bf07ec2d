#include "oauth/connect/connector_spec.h"

#include <re2/re2.h>

#include <algorithm>

#include "core/error.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kValueMax = 256;

// Values go into hosts, paths and headers: nothing but visible ASCII ever gets that far.
bool is_plain_value(std::string_view value) {
  return !value.empty() && value.size() <= kValueMax &&
         std::all_of(value.begin(), value.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

bool lists(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

}  // namespace

bool is_own_app(std::string_view app) {
  return app.starts_with(kOwnAppPrefix);
}

bool is_own_app_id(std::string_view text) {
  return is_own_app(text) && text.size() > kOwnAppPrefix.size() + 1 && text.size() <= 40 &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

std::optional<Values> SpecVar::accept(std::string_view value) const {
  if (!is_plain_value(value)) return {};
  Values out;
  if (!values.empty()) {
    const auto entry = values.find(std::string(value));
    if (entry == values.end()) return {};
    for (const auto& [member, text] : entry->second) out[name + "." + member] = text;
  } else if (!re2::RE2::FullMatch(re2::StringPiece(value.data(), value.size()),
                                  re2::RE2(pattern, re2::RE2::Quiet))) {
    return {};
  }
  out[name] = value;
  return out;
}

bool RevokeRequest::needs_access() const {
  const auto uses = [](const std::vector<SpecParam>& params) {
    return std::any_of(params.begin(), params.end(),
                       [](const SpecParam& param) { return lists(param.value.names(), "access_token"); });
  };
  return auth == RequestAuth::Access || uses(query) || uses(body) || uses(headers);
}

const SpecVar* ConnectorSpec::var(std::string_view name) const {
  const auto it =
      std::find_if(vars.begin(), vars.end(), [&](const SpecVar& var) { return var.name == name; });
  return it == vars.end() ? nullptr : &*it;
}

std::vector<std::string> ConnectorSpec::allowed_hosts(const Values& values) const {
  std::vector<std::string> out;
  for (const auto& host : hosts) {
    const auto names = host.names();
    // A host whose variable has not spoken yet cannot be called yet.
    if (std::all_of(names.begin(), names.end(), [&](const auto& name) { return values.contains(name); })) {
      out.push_back(host.expand(values, Escape::None));
    }
  }
  return out;
}

Values ConnectorSpec::given_vars(const Values& given, SpecVar::Source source) const {
  for (const auto& [name, value] : given) {
    const SpecVar* known = var(name);
    if (known == nullptr || known->source != source) {
      throw core::bad_request("The app \"" + id + "\" takes no variable of this name here.", "/vars/" + name);
    }
  }
  Values out;
  for (const auto& spec : vars) {
    if (spec.source != source) continue;
    const auto value = given.find(spec.name);
    if (value == given.end()) {
      if (spec.fallback || !spec.ask.empty()) continue;
      throw core::bad_request("\"" + spec.name + "\" (" + spec.title + ") is required by this app.",
                              "/vars/" + spec.name);
    }
    const auto accepted = spec.accept(value->second);
    if (!accepted) {
      throw core::bad_request("This is not a valid value of \"" + spec.name + "\" (" + spec.title + ").",
                              "/vars/" + spec.name);
    }
    out.insert(accepted->begin(), accepted->end());
  }
  return out;
}

std::vector<const SpecVar*> ConnectorSpec::vars_to_ask(const Values& known) const {
  std::vector<const SpecVar*> out;
  for (const auto& var : vars) {
    if (!var.ask.empty() && !known.contains(var.name)) out.push_back(&var);
  }
  return out;
}

Values ConnectorSpec::with_fallbacks(Values values) const {
  for (const auto& spec : vars) {
    if (!spec.fallback || values.contains(spec.name)) continue;
    const auto accepted = spec.accept(*spec.fallback);
    if (accepted) values.insert(accepted->begin(), accepted->end());
  }
  return values;
}

bool ConnectorSpec::covers(const std::vector<std::string>& granted, std::string_view wanted) const {
  return std::any_of(granted.begin(), granted.end(), [&](const std::string& scope) {
    if (scope == wanted) return true;
    const auto wide = oauth.scope.implies.find(scope);
    return wide != oauth.scope.implies.end() && lists(wide->second, wanted);
  });
}

std::vector<std::string> ConnectorSpec::scopes_to_request(
    const std::optional<std::vector<std::string>>& chosen) const {
  std::vector<std::string> out;
  const auto add = [&](const std::vector<std::string>& scopes) {
    for (const auto& scope : scopes) {
      if (!lists(out, scope)) out.push_back(scope);
    }
  };
  add(oauth.scope.always);
  add(chosen ? *chosen : oauth.scope.defaults);
  return out;
}

void apply_override(ConnectorSpec& spec, const std::string& web, const std::string& api) {
  const std::string api_origin = spec.api.base.origin();
  const std::string web_origin = spec.oauth.authorize_url.origin();
  const auto move = [&](UrlTemplate& url) {
    if (!url.empty()) url = url.at_origin(url.origin() == api_origin ? api : web);
  };
  auto& oauth = spec.oauth;
  if (oauth.revoke.token) move(oauth.revoke.token->url);
  if (oauth.revoke.grant) move(oauth.revoke.grant->url);
  move(oauth.identity.probe.url);
  if (oauth.lookup) move(oauth.lookup->url);
  spec.api.base = spec.api.base.at_origin(api);
  oauth.authorize_url = oauth.authorize_url.at_origin(web);
  oauth.token.url = oauth.token.url.at_origin(web);
  if (!oauth.refresh.endpoint.url.empty())
    oauth.refresh.endpoint.url = oauth.refresh.endpoint.url.at_origin(web);
  if (oauth.issuer.starts_with(web_origin)) {
    oauth.issuer = oauth.authorize_url.origin() + oauth.issuer.substr(web_origin.size());
  }
  spec.hosts = {oauth.authorize_url.host()};
  if (spec.api.base.host().text() != spec.hosts.front().text()) spec.hosts.push_back(spec.api.base.host());
}

UrlTemplate moved_url(const UrlTemplate& url, std::string at) {
  constexpr std::string_view kHost = "{host}";
  const auto place = at.find(kHost);
  if (place != std::string::npos) at.replace(place, kHost.size(), url.host().text());
  return url.at_origin(at);
}

void apply_host_override(ConnectorSpec& spec, const std::string& pattern) {
  const std::string web_origin = spec.oauth.authorize_url.origin();
  const auto move = [&](UrlTemplate& url) {
    if (!url.empty()) url = moved_url(url, pattern);
  };
  auto& oauth = spec.oauth;
  for (UrlTemplate* url : {&oauth.authorize_url, &oauth.token.url, &oauth.refresh.endpoint.url,
                           &oauth.identity.probe.url, &spec.api.base}) {
    move(*url);
  }
  if (oauth.lookup) move(oauth.lookup->url);
  if (oauth.revoke.token) move(oauth.revoke.token->url);
  if (oauth.revoke.grant) move(oauth.revoke.grant->url);
  if (oauth.issuer.starts_with(web_origin)) {
    oauth.issuer = oauth.authorize_url.origin() + oauth.issuer.substr(web_origin.size());
  }
  spec.hosts = {spec.api.base.host()};
}

}  // namespace assistiv::oauth
