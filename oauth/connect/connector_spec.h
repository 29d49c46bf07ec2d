#pragma once
// What the OAuth engine knows of an app: the typed form of the members `id, title, version, vars, hosts,
// oauth` and `api{base, auth_header, headers}` of a connector manifest. The shape is described, member by
// member and with the two GitHub manifests as examples, in oauth/connect/README.md. The engine knows no app
// by name.
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/ids.h"
#include "core/json.h"
#include "core/task.h"
#include "oauth/connect/notice_rules.h"
#include "oauth/connect/text_template.h"

namespace assistiv::storage {
class Transaction;
}

namespace assistiv::oauth {

// Apps that platforms bring themselves have ids that no app of the server can have, now or later. Two
// platforms may use the same one for different apps: it names an app only together with its platform.
inline constexpr std::string_view kOwnAppPrefix = "own_";
bool is_own_app(std::string_view app);
// Well-formed, too: something that could be one.
bool is_own_app_id(std::string_view text);

// A value that a connection has and a URL or header needs, from a source that is checked by pattern or table.
struct SpecVar {
  enum class Source {
    App,       // the platform gives it when it activates the app
    Link,      // given with the connect link
    Callback,  // a query parameter of the callback
    Token,     // a JSON pointer into the token response
    Lookup,    // a JSON pointer into what oauth.lookup found
    Identity,  // a JSON pointer into the identity response
  };
  std::string name, title;
  Source source = Source::App;
  std::string from;  // the parameter's name or the pointer; unused for App and Link
  // Link: what the connect page says when it asks the end user for a value that the link does not carry;
  // empty: the link must carry it.
  std::string ask;
  // Callback: further parameters and what they must be when they are there. A callback that contradicts
  // itself is refused before anything is sent anywhere.
  std::vector<std::pair<std::string, TextTemplate>> confirm;
  std::string pattern;  // an anchored ECMAScript expression; empty when `values` is the check
  // The allowed values; each may have members, readable as {name.member}.
  std::map<std::string, Values> values;
  std::optional<std::string> fallback;  // stands in until the source has spoken; without one it is required

  // The value as it goes into Values (with its members), or empty when the check refuses it.
  std::optional<Values> accept(std::string_view value) const;
};

enum class BodyEncoding { None, Form, Json };

// A fixed request member. Numbers and booleans of the manifest stay what they are in JSON bodies.
struct SpecParam {
  enum class Kind { Text, Literal };
  std::string name;
  TextTemplate value;
  Kind kind = Kind::Text;
};

enum class ClientAuth {
  Body,
  Basic,
  None,  // a public client: its id alone
};
enum class Pkce { Off, S256 };
enum class RefreshMode { None, Static, Rotating };

// A second list of scopes, for another credential than the first one's: Slack's bot beside the user. Its
// scopes begin with `prefix` everywhere but at the provider.
struct ScopeList {
  std::string param, prefix, slot;
};

struct ScopeRules {
  std::string param;  // of the authorize request; empty: the app has no scopes of its own to ask for
  std::vector<ScopeList> also;
  std::string separator = " ", response_separator = " ";
  std::vector<std::string> always;                          // asked for whatever the platform chose
  std::vector<std::string> defaults;                        // asked for when the platform chose nothing
  std::map<std::string, std::string> titles;                // the known scopes, in words for the consent page
  std::map<std::string, std::vector<std::string>> implies;  // a wide scope and the narrow ones it contains
  std::vector<std::string> consent;  // lines for the consent page that depend on no scope
};

struct TokenEndpoint {
  UrlTemplate url;
  BodyEncoding encoding = BodyEncoding::Form;
  std::vector<SpecParam> params, headers;
};

// Where a number of seconds is in a response, and what holds when it is missing.
struct Lifetime {
  std::string path;
  std::optional<std::int64_t> fallback_s;  // used only when a refresh token came along
};

// One credential of a connection. Paths are JSON pointers into the response.
struct SlotSpec {
  std::string access, refresh, scope;
  Lifetime expires_in, refresh_expires_in;
  bool required = true;
};

// What the provider takes of one OAuth client at its token endpoint.
struct RefreshLimit {
  int requests = 600;
  std::chrono::seconds period{60};
};

struct RefreshRules {
  RefreshMode mode = RefreshMode::None;
  TokenEndpoint endpoint;          // the token endpoint's, with params of its own
  std::chrono::seconds skew{300};  // refreshed this long before expiry, at most 20% of the token's life
  std::chrono::seconds min_interval{60};  // between two refreshes because of a 401
  RefreshLimit limit;
  std::map<std::string, SlotSpec> slots;  // where a refresh reply differs from the exchange's
};

// When a response is a success, whatever its HTTP status.
struct OkRule {
  std::vector<int> statuses;                                // empty: any 2xx
  std::vector<std::string> absent;                          // pointers
  std::vector<std::pair<std::string, std::string>> equals;  // pointer, JSON text
};

// What a failed token response means. Codes that are in no list are transient: only a listed code ends a
// grant.
struct ErrorRules {
  std::string code = "/error";
  std::vector<std::string> permanent, config, throttled;
  std::vector<std::pair<std::string, std::string>> throttled_equals;  // pointer, JSON text
  std::optional<std::chrono::seconds> throttled_wait;  // when a throttled response does not say how long
  // Whom a throttled response is about: every grant of the client, or the one that asked.
  bool throttles_grant = false;
};

enum class RequestAuth { None, ClientBasic, Access };

// May use {client_id}, {client_secret}, {access_token}, {refresh_token} besides the variables, and
// {any_token}: the refresh token, or the access token where there is no other (RFC 7009).
struct RevokeRequest {
  static constexpr int kPerMinuteMax = 6000;
  std::string method;
  UrlTemplate url;
  RequestAuth auth = RequestAuth::None;
  BodyEncoding encoding = BodyEncoding::None;
  std::vector<SpecParam> query, body, headers;
  std::vector<int> ok_statuses;    // also what says that the token was dead already
  OkRule ok;                       // what must hold besides; nothing for most
  std::vector<std::string> gone;   // error codes that say that the token was dead already
  std::vector<std::string> slots;  // which credentials; empty: all
  int per_minute = 60;             // how many of these the provider takes, for those who send many
  bool needs_access() const;       // it carries the access token, so that one must be alive
};

struct RevokeRules {
  std::optional<RevokeRequest> token;  // this credential only
  // The account's whole authorization of this client: every token of it, in other tenants too.
  std::optional<RevokeRequest> grant;
};

// A question to the API with a fresh token, and where the answer is in the response.
struct ProbeRules {
  std::string method = "GET";
  UrlTemplate url;
  std::vector<SpecParam> query;
  OkRule ok;
  std::string at;  // pointer to an object or a list; of a list, one item is taken
  // The first item with all of these (pointer, JSON text), or the first one.
  std::vector<std::pair<std::string, std::string>> prefer;
};

// Who the fresh tokens belong to.
struct IdentityRules {
  // Where nobody can be asked: the id of every account. Then an end user has one account at most, and the
  // rest but `slot` is empty.
  std::string fixed;
  ProbeRules probe;
  std::string slot;
  // Pointers and {variables}, joined with "/": all must be there and not null.
  std::vector<std::string> id;
  std::vector<std::string> label;  // pointers; what is there is joined with ", ", else the id stands in
};

struct OauthSpec {
  ClientAuth client_auth = ClientAuth::Body;
  Pkce pkce = Pkce::S256;
  bool shared_callback = false;  // redirect_uri is /oauth/callback without the app's id
  std::string issuer;            // what `iss` of the callback must be (RFC 9207); empty: the authorize origin
  bool issuer_required = false;  // the provider has said that `iss` is always there
  ScopeRules scope;
  UrlTemplate authorize_url;
  std::vector<SpecParam> authorize_params;
  TokenEndpoint token;
  RefreshRules refresh;
  std::map<std::string, SlotSpec> slots;
  OkRule ok;
  ErrorRules errors;
  RevokeRules revoke;
  std::optional<NoticeRules> notices;  // none: the provider tells nothing by itself
  std::optional<ProbeRules> lookup;    // asked before the identity, with its slot: variables of source Lookup
  IdentityRules identity;
};

struct ApiSpec {
  UrlTemplate base;
  TextTemplate auth_header;  // "Bearer {token}"
  std::vector<SpecParam> headers;
};

struct ConnectorSpec {
  std::string id, title, version;
  std::vector<SpecVar> vars;
  std::vector<TextTemplate> hosts;
  OauthSpec oauth;
  ApiSpec api;
  // Of an app that can go while its tokens still live: what parse() and, if it is not empty,
  // apply_host_override() make this spec of again.
  std::string source_json, moved_to;

  // Reads and lints: every placeholder declared, every URL's host in `hosts`, pointers and patterns
  // well-formed. Throws Error{InvalidArgument} with the JSON pointer into the manifest as field.
  static ConnectorSpec parse(const core::Json& manifest);

  const SpecVar* var(std::string_view name) const;
  // The outbound allow-list for these values, as core::OutboundRequest wants it.
  std::vector<std::string> allowed_hosts(const Values& values) const;
  // Values of the variables that the platform or the link gives. Throws Error{InvalidArgument} with the field
  // "/vars/<name>" for one that is unknown, refused, or missing.
  Values given_vars(const Values& given, SpecVar::Source source) const;
  // Variables that the end user is still to be asked for.
  std::vector<const SpecVar*> vars_to_ask(const Values& known) const;
  // Every variable that has not spoken yet gets its fallback.
  Values with_fallbacks(Values values) const;

  // True when `granted` contains `wanted` or a scope that implies it.
  bool covers(const std::vector<std::string>& granted, std::string_view wanted) const;
  // What to ask for: the platform's choice or the defaults, and what is always asked for.
  std::vector<std::string> scopes_to_request(const std::optional<std::vector<std::string>>& chosen) const;
};

// Points a connector at other hosts: GitHub Enterprise, a stand-in, a test. `authorize`, `token` and
// `refresh` move to `web`; every other URL moves to `api` when its origin is that of `api.base`, else to
// `web`. `hosts` becomes the two. Both are absolute http or https URLs without query; throws
// Error{InvalidArgument} otherwise.
void apply_override(ConnectorSpec& spec, const std::string& web, const std::string& api);

// The same for an app with many hosts (data centres, subdomains): every URL moves to `pattern`, an absolute
// URL in whose path {host} stands for the host that it would have had.
void apply_host_override(ConnectorSpec& spec, const std::string& pattern);
// `url` at the origin `at`, where {host} is the host that `url` has.
UrlTemplate moved_url(const UrlTemplate& url, std::string at);

using ConnectorPtr = std::shared_ptr<const ConnectorSpec>;

// The connectors that a platform can use: those of the server and its own. Null for an app that it cannot
// use. Implemented in api/. Thread-safe.
class ConnectorRegistry {
 public:
  virtual ~ConnectorRegistry() = default;
  virtual core::Task<ConnectorPtr> find(core::PlatformId platform, std::string app) const = 0;
  // The same inside a transaction whose scope has the platform's rows.
  virtual ConnectorPtr find_in(storage::Transaction& tx, core::PlatformId platform,
                               std::string_view app) const = 0;
};

}  // namespace assistiv::oauth
