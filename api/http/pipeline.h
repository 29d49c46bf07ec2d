#pragma once
// What happens to every request, in order: route, CORS, key, parameters, body, handler, error envelope, log,
// metrics.
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/http/route.h"
#include "api/http/router.h"
#include "core/error.h"

namespace assistiv::core::metrics {
class Histogram;
}

namespace assistiv::oauth {
class Authenticator;
class Resources;
}  // namespace assistiv::oauth

namespace assistiv::api {

class BodySchemas;

struct PipelineOptions {
  std::vector<std::string> cors_origins;
  bool log_every_request = true;
  // Whose addresses take access tokens; null: none do.
  const oauth::Resources* resources = nullptr;
};

// Thread-safe. `authenticator` and `schemas` outlive it.
class Pipeline {
 public:
  Pipeline(RouteTable table, oauth::Authenticator& authenticator, const BodySchemas& schemas,
           PipelineOptions options);
  ~Pipeline();

  // Never throws.
  core::Task<core::HttpReply> handle(core::HttpRequest request);
  const RouteTable& table() const { return table_; }

 private:
  // What the log needs of a request that its handler has consumed.
  struct Trail {
    const Route* route = nullptr;
    std::shared_ptr<const oauth::Principal> principal;
  };
  core::Task<core::HttpReply> answer(core::HttpRequest request, Trail* trail);
  std::string nothing_at(const core::HttpRequest& request) const;
  core::Task<core::HttpReply> dispatch(const Route& route, Call call, Trail* trail);
  core::metrics::Histogram& latency_of(const Route* route);
  static void log_request(const core::HttpRequest& head, const core::HttpReply& reply, const Trail& trail,
                          double seconds);
  void finish(core::HttpReply& reply, const core::HttpHeaders& request_headers,
              const std::string& request_id) const;
  void read_inputs(const Route& route, Call& call) const;
  void check_audience(const oauth::Principal& principal, const std::string& path) const;
  void name_resource(core::HttpReply& reply, const std::string& path) const;
  core::HttpReply preflight(const core::HttpRequest& request) const;

  RouteTable table_;
  Router router_;
  oauth::Authenticator& authenticator_;
  const BodySchemas& schemas_;
  PipelineOptions options_;
  std::vector<std::atomic<core::metrics::Histogram*>> latencies_;  // as table_; null: not used yet
};

// The error envelope of the management API: {"error":{"code","message","field"?,"request_id"}}.
core::HttpReply error_reply(const core::Error& error, const std::string& request_id);
// The envelope that callers of `path` expect: the dialect's on inference routes, ours everywhere else.
core::HttpReply error_reply_at(std::string_view path, const core::Error& error,
                               const std::string& request_id);

// The bearer key of a request; throws Error{Unauthenticated} when it is missing or malformed. A key in the
// query string is refused (RFC 6750 section 2.3 is not supported).
std::string bearer_key(const core::HttpRequest& request);
// The same on inference routes, where clients of Anthropic and Google send it as x-api-key or x-goog-api-key.
std::string presented_key(const core::HttpRequest& request);
// Throws Error{PermissionDenied} when the principal's kind or scopes do not fit the route.
void check_access(const Route& route, const oauth::Principal& principal);

}  // namespace assistiv::api
