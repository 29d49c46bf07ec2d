#pragma once
// One explicit table of routes: it makes the router, checks each request's key, parameters and body, and
// writes the OpenAPI document, so that the three cannot drift apart.
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/http.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::api {

// Who may call a route. A valid key of another kind gets 403.
enum class Access {
  Public,    // no key
  AnyKey,    // any kind
  Operator,  // sk-admin_
  Platform,  // sk-plat_ of the platform in the path, or sk-admin_
  EndUser,   // sk-eu_
  Tenant,    // sk-plat_ or sk-eu_: whoever has a platform that pays
  Own,       // the handler authenticates by itself (/mcp)
};

// One request on its way through a handler.
struct Call {
  core::HttpRequest request;
  oauth::PrincipalPtr principal;              // null on public routes
  std::map<std::string, std::string> params;  // path parameters, decoded
  std::map<std::string, std::string> query;   // declared query parameters that were given
  std::shared_ptr<const core::Json> body;     // parsed and valid against the route's schema; null without one

  core::PlatformId platform_id() const;
  // A path parameter as an id; one that is no UUID is a 404 with this noun.
  template <class AnyId>
  AnyId id(const std::string& name, const std::string& noun) const;
  std::string query_or(const std::string& name, std::string standard) const;
  int page() const;
  int limit() const;
};

// Whether a write takes an Idempotency-Key.
enum class Idempotency { None, Taken, Needed };

struct QueryParam {
  std::string name;
  std::string meaning;
  std::vector<std::string> choices;  // empty: any text up to 255 bytes
  bool repeated = false;             // may come several times: one text then, with commas
};

struct Route {
  std::string method;  // "*" for every method (the handler answers 405 itself)
  std::string path;    // "/v1/platforms/{platform_id}"; "{model}:countTokens" is a parameter with an end
  Access access;
  std::string scope;  // needed of the key, e.g. "management"; empty for none
  std::string operation_id;
  std::string tag;
  std::string summary;
  std::vector<QueryParam> query;
  bool paginated = false;   // page and limit; the reply is a list of `reply_schema`
  std::string body_schema;  // name in components.json; empty: no body is read
  int success = 200;
  int also_success = 0;      // another status with the same reply; 0 for none
  std::string reply_schema;  // "" for an empty or non-JSON reply; see `reply_type`
  std::string reply_type = "application/json";
  std::string error_schema;  // "" for the envelope that the path's clients expect
  bool enveloped = true;     // the reply is {"data": reply_schema}
  std::string also_type;     // another content type of the reply, as the request asks: "text/event-stream"
  Idempotency idempotency = Idempotency::None;
  bool any_origin = false;  // pages of every origin may call it (CORS): it knows no cookies
  std::function<core::Task<core::HttpReply>(Call)> handle;
};

using RouteTable = std::vector<Route>;

// Replies of the management API.
core::HttpReply data_reply(int status, const core::Json& data);
core::HttpReply list_reply(const core::Json& rows, std::int64_t total, const Call& call);
core::HttpReply no_content();

core::Error not_found_id(const std::string& noun);

template <class AnyId>
AnyId Call::id(const std::string& name, const std::string& noun) const {
  const auto it = params.find(name);
  const auto id = it == params.end() ? std::nullopt : AnyId::parse(it->second);
  if (!id) throw not_found_id(noun);
  return *id;
}

}  // namespace assistiv::api
