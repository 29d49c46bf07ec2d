// Reading a manifest into a ConnectorSpec. What the members mean together is checked in connector_lint.cpp.
#include <re2/re2.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "oauth/connect/connector_lint.h"
#include "oauth/connect/connector_spec.h"
#include "oauth/connect/json_pointer.h"

namespace assistiv::oauth {

namespace {

using core::Json;
using core::JsonReader;

const Json& required_object(const JsonReader& reader, std::string_view name) {
  const Json* value = reader.object(name);
  if (value == nullptr) throw core::bad_request("This object is required.", reader.pointer(name));
  return *value;
}

bool is_identifier(std::string_view text) {
  return !text.empty() && text.size() <= 40 && text.front() >= 'a' && text.front() <= 'z' &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

// JsonReader::array refuses other types; some members here may be an array or something else.
bool holds_array(const Json& object, std::string_view name) {
  const auto it = object.find(name);
  return it != object.end() && it->is_array();
}

std::string pointer_member(const JsonReader& reader, std::string_view name) {
  const auto text = reader.optional_string(name, 0, 200);
  if (!text) return {};
  if (!is_json_pointer(*text)) throw core::bad_request("This must be a JSON pointer.", reader.pointer(name));
  return *text;
}

std::vector<std::string> pointer_list(const JsonReader& reader, std::string_view name) {
  auto list = reader.strings(name, 16, 200);
  for (const auto& text : list) {
    if (!is_json_pointer(text)) throw core::bad_request("These must be JSON pointers.", reader.pointer(name));
  }
  return list;
}

UrlTemplate url_member(const JsonReader& reader, std::string_view name) {
  return UrlTemplate::parse(reader.string(name, 1, 500), reader.pointer(name));
}

std::vector<SpecParam> params_member(const JsonReader& reader, std::string_view name) {
  std::vector<SpecParam> out;
  const Json* object = reader.object(name);
  if (object == nullptr) return out;
  const JsonReader members(*object, reader.pointer(name));
  for (const auto& [key, value] : object->items()) {
    const auto where = members.pointer(key);
    if (value.is_string()) {
      out.push_back(
          {key, TextTemplate::parse(value.get_ref<const std::string&>(), where), SpecParam::Kind::Text});
    } else if (value.is_number_integer() || value.is_boolean()) {
      out.push_back({key, TextTemplate::parse(value.dump(), where), SpecParam::Kind::Literal});
    } else {
      throw core::bad_request("This must be a string, an integer, true or false.", where);
    }
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> equals_member(const JsonReader& reader,
                                                               std::string_view name) {
  std::vector<std::pair<std::string, std::string>> out;
  const Json* object = reader.object(name);
  if (object == nullptr) return out;
  const JsonReader members(*object, reader.pointer(name));
  for (const auto& [pointer, value] : object->items()) {
    if (!is_json_pointer(pointer)) {
      throw core::bad_request("The names here are JSON pointers.", members.pointer(pointer));
    }
    out.emplace_back(pointer, core::dump_json(value));
  }
  return out;
}

std::vector<int> status_list(const JsonReader& reader, std::string_view name) {
  std::vector<int> out;
  const Json* list = reader.array(name);
  if (list == nullptr) return out;
  for (const auto& item : *list) {
    const bool valid =
        item.is_number_integer() && item.get<std::int64_t>() >= 100 && item.get<std::int64_t>() <= 599;
    if (!valid) throw core::bad_request("These must be HTTP status codes.", reader.pointer(name));
    out.push_back(item.get<int>());
  }
  return out;
}

std::string choice_or(const JsonReader& reader, std::string_view name, std::string_view fallback,
                      std::initializer_list<std::string_view> allowed) {
  return reader.has(name) ? reader.choice(name, allowed) : std::string(fallback);
}

BodyEncoding read_encoding(const JsonReader& reader, BodyEncoding fallback) {
  if (!reader.has("encoding")) return fallback;
  return reader.choice("encoding", {"form", "json"}) == "json" ? BodyEncoding::Json : BodyEncoding::Form;
}

OkRule read_ok(const JsonReader& parent, std::string_view name) {
  OkRule rule;
  const Json* object = parent.object(name);
  if (object == nullptr) return rule;
  const JsonReader reader(*object, parent.pointer(name));
  reader.only({"status", "absent", "equals"});
  rule.statuses = status_list(reader, "status");
  rule.absent = pointer_list(reader, "absent");
  rule.equals = equals_member(reader, "equals");
  return rule;
}

SpecVar::Source read_source(const JsonReader& reader) {
  const auto text = reader.choice("source", {"app", "link", "callback", "token", "lookup", "identity"});
  if (text == "app") return SpecVar::Source::App;
  if (text == "link") return SpecVar::Source::Link;
  if (text == "callback") return SpecVar::Source::Callback;
  if (text == "lookup") return SpecVar::Source::Lookup;
  return text == "token" ? SpecVar::Source::Token : SpecVar::Source::Identity;
}

void read_values(SpecVar& var, const Json& object, const JsonReader& reader) {
  if (holds_array(object, "values")) {
    for (auto& value : reader.strings("values", 256, 256)) var.values[std::move(value)];
    return;
  }
  const auto where = reader.pointer("values");
  const JsonReader entries(required_object(reader, "values"), where);
  for (const auto& [value, members] : reader.object("values")->items()) {
    const JsonReader entry(required_object(entries, value), entries.pointer(value));
    for (const auto& [member, text] : members.items()) {
      if (!is_identifier(member))
        throw core::bad_request("This is not a member name.", entry.pointer(member));
      var.values[value][member] = entry.string(member, 1, 256);
    }
  }
}

void read_pattern(SpecVar& var, const JsonReader& reader) {
  var.pattern = reader.string("pattern", 2, 200);
  const auto where = reader.pointer("pattern");
  if (var.pattern.front() != '^' || var.pattern.back() != '$') {
    throw core::bad_request("A pattern begins with ^ and ends with $.", where);
  }
  if (!re2::RE2(var.pattern, re2::RE2::Quiet).ok()) {
    throw core::bad_request("This is not a regular expression (RE2 syntax).", where);
  }
}

void read_confirm(SpecVar& var, const JsonReader& reader) {
  const Json* object = reader.object("confirm");
  if (object == nullptr) return;
  const JsonReader members(*object, reader.pointer("confirm"));
  if (var.source != SpecVar::Source::Callback) {
    throw core::bad_request("Only a variable of the callback can be confirmed.", reader.pointer("confirm"));
  }
  for (const auto& [param, text] : object->items()) {
    var.confirm.emplace_back(param,
                             TextTemplate::parse(members.string(param, 1, 256), members.pointer(param)));
  }
}

SpecVar read_var(const std::string& name, const Json& object, const std::string& where) {
  if (!is_identifier(name)) throw core::bad_request("This is not a variable's name.", where);
  const JsonReader reader(object, where);
  reader.only({"source", "from", "confirm", "title", "ask", "pattern", "values", "default"});
  SpecVar var;
  var.name = name;
  var.title = reader.optional_string("title", 1, 100).value_or(name);
  var.source = read_source(reader);
  var.ask = reader.optional_string("ask", 1, 200).value_or("");
  if (!var.ask.empty() && (var.source != SpecVar::Source::Link || reader.has("default"))) {
    throw core::bad_request("Only a variable of the source \"link\" without a default is asked for.",
                            reader.pointer("ask"));
  }
  if (var.source == SpecVar::Source::Callback) var.from = reader.string("from", 1, 100);
  read_confirm(var, reader);
  const bool of_response = var.source == SpecVar::Source::Token || var.source == SpecVar::Source::Lookup ||
                           var.source == SpecVar::Source::Identity;
  if (of_response) {
    var.from = pointer_member(reader, "from");
    if (var.from.empty()) throw core::bad_request("A JSON pointer is required.", reader.pointer("from"));
  }
  if (reader.has("values") == reader.has("pattern")) {
    throw core::bad_request("A variable needs either \"pattern\" or \"values\".", where);
  }
  if (reader.has("values")) {
    read_values(var, object, reader);
  } else {
    read_pattern(var, reader);
  }
  var.fallback = reader.optional_string("default", 1, 256);
  if (var.fallback && !var.accept(*var.fallback)) {
    throw core::bad_request("The default is not an allowed value.", reader.pointer("default"));
  }
  return var;
}

std::vector<ScopeList> read_scope_lists(const JsonReader& parent) {
  std::vector<ScopeList> out;
  const Json* list = parent.array("also");
  if (list == nullptr) return out;
  for (std::size_t i = 0; i < list->size() && i < 8; ++i) {
    const auto where = parent.pointer("also") + "/" + std::to_string(i);
    if (!(*list)[i].is_object()) throw core::bad_request("This must be an object.", where);
    const JsonReader reader((*list)[i], where);
    reader.only({"param", "prefix", "slot"});
    out.push_back(
        {reader.string("param", 1, 40), reader.string("prefix", 1, 20), reader.string("slot", 1, 40)});
  }
  return out;
}

ScopeRules read_scope(const JsonReader& parent) {
  ScopeRules rules;
  const Json* object = parent.object("scope");
  if (object == nullptr) return rules;
  const JsonReader reader(*object, parent.pointer("scope"));
  reader.only({"param", "also", "separator", "response_separator", "always", "default", "titles", "implies",
               "consent"});
  rules.param = reader.optional_string("param", 1, 40).value_or("");
  rules.also = read_scope_lists(reader);
  rules.separator = reader.optional_string("separator", 1, 3).value_or(" ");
  rules.response_separator = reader.optional_string("response_separator", 1, 3).value_or(rules.separator);
  rules.always = reader.strings("always", 100, 200);
  rules.defaults = reader.strings("default", 100, 200);
  rules.consent = reader.strings("consent", 20, 200);
  if (const Json* titles = reader.object("titles")) {
    const JsonReader entries(*titles, reader.pointer("titles"));
    for (const auto& [scope, title] : titles->items()) rules.titles[scope] = entries.string(scope, 1, 200);
  }
  if (const Json* implies = reader.object("implies")) {
    const JsonReader entries(*implies, reader.pointer("implies"));
    for (const auto& [scope, narrow] : implies->items())
      rules.implies[scope] = entries.strings(scope, 100, 200);
  }
  return rules;
}

// The members of `reader` over those of `base`.
TokenEndpoint read_endpoint(const JsonReader& reader, TokenEndpoint base) {
  if (reader.has("url")) base.url = url_member(reader, "url");
  base.encoding = read_encoding(reader, base.encoding);
  base.params = params_member(reader, "params");
  if (reader.has("headers")) base.headers = params_member(reader, "headers");
  return base;
}

Lifetime read_lifetime(const JsonReader& parent, std::string_view name) {
  Lifetime out;
  const Json* object = parent.object(name);
  if (object == nullptr) return out;
  const JsonReader reader(*object, parent.pointer(name));
  reader.only({"path", "default"});
  out.path = pointer_member(reader, "path");
  out.fallback_s = reader.optional_integer("default", 1, 400LL * 86400);
  return out;
}

std::map<std::string, SlotSpec> read_slots(const JsonReader& parent) {
  std::map<std::string, SlotSpec> out;
  const Json* object = parent.object("slots");
  if (object == nullptr) return out;
  const JsonReader slots(*object, parent.pointer("slots"));
  for (const auto& [name, value] : object->items()) {
    if (!is_identifier(name)) throw core::bad_request("This is not a slot's name.", slots.pointer(name));
    const JsonReader reader(required_object(slots, name), slots.pointer(name));
    reader.only({"access", "refresh", "scope", "expires_in", "refresh_expires_in", "required"});
    SlotSpec slot;
    slot.access = pointer_member(reader, "access");
    if (slot.access.empty()) throw core::bad_request("A JSON pointer is required.", reader.pointer("access"));
    slot.refresh = pointer_member(reader, "refresh");
    slot.scope = pointer_member(reader, "scope");
    slot.expires_in = read_lifetime(reader, "expires_in");
    slot.refresh_expires_in = read_lifetime(reader, "refresh_expires_in");
    slot.required = reader.optional_bool("required").value_or(true);
    out[name] = std::move(slot);
  }
  return out;
}

RefreshLimit read_limit(const JsonReader& parent) {
  RefreshLimit limit;
  const Json* object = parent.object("limit");
  if (object == nullptr) return limit;
  const JsonReader reader(*object, parent.pointer("limit"));
  reader.only({"requests", "seconds"});
  const auto requests = reader.optional_integer("requests", 1, 1'000'000);
  const auto seconds = reader.optional_integer("seconds", 1, 86400);
  if (!requests) throw core::bad_request("This number is required.", reader.pointer("requests"));
  if (!seconds) throw core::bad_request("This number is required.", reader.pointer("seconds"));
  limit.requests = static_cast<int>(*requests);
  limit.period = std::chrono::seconds(*seconds);
  return limit;
}

RefreshRules read_refresh(const JsonReader& parent, const TokenEndpoint& token) {
  RefreshRules rules;
  const JsonReader reader(required_object(parent, "refresh"), parent.pointer("refresh"));
  reader.only({"mode", "url", "encoding", "params", "headers", "skew_s", "min_interval_s", "limit", "slots"});
  const auto mode = reader.choice("mode", {"none", "static", "rotating"});
  if (mode == "none") return rules;
  rules.mode = mode == "static" ? RefreshMode::Static : RefreshMode::Rotating;
  rules.endpoint = read_endpoint(reader, token);
  rules.skew = std::chrono::seconds(reader.optional_integer("skew_s", 0, 86400).value_or(300));
  rules.min_interval = std::chrono::seconds(reader.optional_integer("min_interval_s", 1, 3600).value_or(60));
  rules.limit = read_limit(reader);
  rules.slots = read_slots(reader);
  return rules;
}

ErrorRules read_errors(const JsonReader& parent) {
  ErrorRules rules;
  const Json* object = parent.object("errors");
  if (object == nullptr) return rules;
  const JsonReader reader(*object, parent.pointer("errors"));
  reader.only(
      {"code", "permanent", "config", "throttled", "throttled_equals", "throttled_wait_s", "throttled_per"});
  if (reader.has("code")) rules.code = pointer_member(reader, "code");
  rules.permanent = reader.strings("permanent", 64, 100);
  rules.config = reader.strings("config", 64, 100);
  rules.throttled = reader.strings("throttled", 64, 100);
  rules.throttled_equals = equals_member(reader, "throttled_equals");
  if (const auto wait = reader.optional_integer("throttled_wait_s", 1, 3600)) {
    rules.throttled_wait = std::chrono::seconds(*wait);
  }
  rules.throttles_grant = choice_or(reader, "throttled_per", "client", {"client", "grant"}) == "grant";
  return rules;
}

std::optional<RevokeRequest> read_revoke(const JsonReader& parent, std::string_view name) {
  const Json* object = parent.object(name);
  if (object == nullptr) return {};
  const JsonReader reader(*object, parent.pointer(name));
  reader.only({"method", "url", "auth", "encoding", "query", "body", "headers", "ok_status", "ok", "gone",
               "slots", "per_minute"});
  RevokeRequest request;
  request.ok = read_ok(reader, "ok");
  request.gone = reader.strings("gone", 64, 100);
  request.method = reader.choice("method", {"POST", "DELETE", "PUT", "GET"});
  request.url = url_member(reader, "url");
  const auto auth = reader.choice("auth", {"client_basic", "access", "none"});
  request.auth = auth == "client_basic" ? RequestAuth::ClientBasic
                 : auth == "access"     ? RequestAuth::Access
                                        : RequestAuth::None;
  request.query = params_member(reader, "query");
  request.body = params_member(reader, "body");
  request.headers = params_member(reader, "headers");
  request.encoding = read_encoding(reader, request.body.empty() ? BodyEncoding::None : BodyEncoding::Form);
  request.ok_statuses = status_list(reader, "ok_status");
  if (request.ok_statuses.empty())
    throw core::bad_request("A status is required.", reader.pointer("ok_status"));
  request.slots = reader.strings("slots", 8, 40);
  request.per_minute = static_cast<int>(
      reader.optional_integer("per_minute", 1, RevokeRequest::kPerMinuteMax).value_or(request.per_minute));
  return request;
}

bool is_variable(std::string_view text) {
  return text.size() > 2 && text.front() == '{' && text.back() == '}' &&
         is_identifier(text.substr(1, text.size() - 2));
}

ProbeRules read_probe(const JsonReader& reader, const ConnectorSpec& spec) {
  ProbeRules rules;
  const JsonReader request(required_object(reader, "request"), reader.pointer("request"));
  request.only({"method", "url", "path", "query"});
  rules.method = choice_or(request, "method", "GET", {"GET", "POST"});
  if (request.has("url") == request.has("path")) {
    throw core::bad_request("Give either \"url\" or \"path\".", reader.pointer("request"));
  }
  if (request.has("url")) {
    rules.url = url_member(request, "url");
  } else {
    const auto base = spec.api.base.origin() + spec.api.base.path().text();
    const auto path = request.string("path", 1, 300);
    if (path.front() != '/') throw core::bad_request("A path begins with \"/\".", request.pointer("path"));
    rules.url = UrlTemplate::parse(base + path, request.pointer("path"));
  }
  rules.query = params_member(request, "query");
  rules.ok = read_ok(reader, "ok");
  rules.at = pointer_member(reader, "at");
  rules.prefer = equals_member(reader, "prefer");
  return rules;
}

IdentityRules read_identity(const JsonReader& parent, const ConnectorSpec& spec) {
  IdentityRules rules;
  const Json& object = required_object(parent, "identity");
  const JsonReader reader(object, parent.pointer("identity"));
  reader.only({"fixed", "request", "at", "prefer", "slot", "id", "label", "ok"});
  rules.slot = reader.optional_string("slot", 1, 40).value_or(spec.oauth.slots.begin()->first);
  if (reader.has("fixed")) {
    reader.only({"fixed", "slot"});
    rules.fixed = reader.string("fixed", 1, 100);
    return rules;
  }
  rules.probe = read_probe(reader, spec);
  rules.id = holds_array(object, "id") ? reader.strings("id", 8, 200)
                                       : std::vector<std::string>{pointer_member(reader, "id")};
  const auto is_part = [](const std::string& text) {
    return is_variable(text) || (!text.empty() && is_json_pointer(text));
  };
  const bool asks =
      std::any_of(rules.id.begin(), rules.id.end(), [](const auto& text) { return !is_variable(text); });
  if (!asks || !std::all_of(rules.id.begin(), rules.id.end(), is_part)) {
    throw core::bad_request("JSON pointers are required, and {variables} where those alone are not unique.",
                            reader.pointer("id"));
  }
  if (holds_array(object, "label")) {
    rules.label = pointer_list(reader, "label");
  } else if (reader.has("label")) {
    rules.label = {pointer_member(reader, "label")};
  }
  return rules;
}

void read_oauth(ConnectorSpec& spec, const JsonReader& root) {
  const JsonReader reader(required_object(root, "oauth"), root.pointer("oauth"));
  reader.only({"client", "pkce", "callback", "issuer", "issuer_required", "scope", "authorize", "token",
               "refresh", "slots", "ok", "errors", "revoke", "notices", "lookup", "identity"});
  auto& oauth = spec.oauth;
  const JsonReader client(required_object(reader, "client"), reader.pointer("client"));
  client.only({"auth"});
  const auto auth = client.choice("auth", {"body", "basic", "none"});
  oauth.client_auth = auth == "basic"  ? ClientAuth::Basic
                      : auth == "none" ? ClientAuth::None
                                       : ClientAuth::Body;
  oauth.pkce = reader.choice("pkce", {"S256", "off"}) == "off" ? Pkce::Off : Pkce::S256;
  oauth.shared_callback = choice_or(reader, "callback", "app", {"app", "shared"}) == "shared";
  oauth.issuer = reader.optional_string("issuer", 1, 500).value_or("");
  oauth.issuer_required = reader.optional_bool("issuer_required").value_or(false);
  oauth.scope = read_scope(reader);

  const JsonReader authorize(required_object(reader, "authorize"), reader.pointer("authorize"));
  authorize.only({"url", "params"});
  oauth.authorize_url = url_member(authorize, "url");
  oauth.authorize_params = params_member(authorize, "params");

  const JsonReader token(required_object(reader, "token"), reader.pointer("token"));
  token.only({"url", "encoding", "params", "headers"});
  if (!token.has("url")) throw core::bad_request("This URL is required.", token.pointer("url"));
  oauth.token = read_endpoint(token, {});
  oauth.refresh = read_refresh(reader, oauth.token);
  oauth.slots = read_slots(reader);
  if (oauth.slots.empty()) throw core::bad_request("At least one slot is required.", reader.pointer("slots"));
  oauth.ok = read_ok(reader, "ok");
  oauth.errors = read_errors(reader);
  if (const Json* revoke = reader.object("revoke")) {
    const JsonReader levels(*revoke, reader.pointer("revoke"));
    levels.only({"token", "grant"});
    oauth.revoke.token = read_revoke(levels, "token");
    oauth.revoke.grant = read_revoke(levels, "grant");
  }
  oauth.notices = read_notice_rules(reader);
  if (const Json* lookup = reader.object("lookup")) {
    const JsonReader rules(*lookup, reader.pointer("lookup"));
    rules.only({"request", "at", "prefer", "ok"});
    oauth.lookup = read_probe(rules, spec);
  }
  oauth.identity = read_identity(reader, spec);
}

void read_api(ConnectorSpec& spec, const JsonReader& root) {
  const JsonReader reader(required_object(root, "api"), root.pointer("api"));
  spec.api.base = url_member(reader, "base");
  spec.api.auth_header =
      TextTemplate::parse(reader.string("auth_header", 1, 200), reader.pointer("auth_header"));
  spec.api.headers = params_member(reader, "headers");
}

}  // namespace

ConnectorSpec ConnectorSpec::parse(const Json& manifest) {
  const JsonReader root(manifest);
  ConnectorSpec spec;
  spec.id = root.string("id", 2, 40);
  if (!is_identifier(spec.id)) {
    throw core::bad_request("An id has lowercase letters, digits and \"_\".", root.pointer("id"));
  }
  spec.title = root.string("title", 1, 100);
  spec.version = root.string("version", 1, 40);
  if (const Json* vars = root.object("vars")) {
    const JsonReader reader(*vars, root.pointer("vars"));
    for (const auto& [name, value] : vars->items()) {
      spec.vars.push_back(read_var(name, value, reader.pointer(name)));
    }
  }
  for (const auto& host : root.strings("hosts", 64, 253)) {
    spec.hosts.push_back(TextTemplate::parse(host, root.pointer("hosts")));
  }
  read_api(spec, root);
  read_oauth(spec, root);
  lint(spec);
  return spec;
}

}  // namespace assistiv::oauth
