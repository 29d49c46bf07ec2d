#include "mcp/remote/remote_client.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/protocol/jsonrpc.h"
#include "mcp/remote/exchange.h"
#include "mcp/remote/peer_memory.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kCursorMax = 4096;
constexpr std::size_t kServerNameMax = 100;
constexpr std::chrono::seconds kRemoteRetryDefault{30};
constexpr int kUnsupportedVersion = -32022;
constexpr std::chrono::milliseconds kNotifyTime{10'000};

std::string cleaned_member(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() || !it->is_string()
             ? std::string()
             : clip_text(clean_text(it->get<std::string>()), kServerNameMax);
}

void read_server_info(const Json& result, Peer& peer) {
  const Json* info = nullptr;
  if (const auto it = result.find("serverInfo"); it != result.end() && it->is_object()) info = &*it;
  if (const auto meta = result.find("_meta"); info == nullptr && meta != result.end() && meta->is_object()) {
    const auto it = meta->find("io.modelcontextprotocol/serverInfo");
    if (it != meta->end() && it->is_object()) info = &*it;
  }
  if (info == nullptr) return;
  peer.server_name = cleaned_member(*info, "name");
  peer.server_version = cleaned_member(*info, "version");
}

bool speaks_modern(const RpcReply& reply) {
  if (!reply.result) return false;
  const auto versions = reply.result->find("supportedVersions");
  if (versions == reply.result->end() || !versions->is_array()) return false;
  return std::any_of(versions->begin(), versions->end(),
                     [](const Json& one) { return one == version_name(Version::v2026_07_28); });
}

Failure plain_failure(FailureCode code, std::string message) {
  Failure out;
  out.code = code;
  out.message = std::move(message);
  return out;
}

std::string says(const Talk& talk, const RpcReply& reply) {
  return reply.error && !reply.error->message.empty()
             ? " " + talk.target.title + " says: " + reply.error->message
             : std::string();
}

Failure status_failure(const Talk& talk, int status) {
  const std::string& title = talk.target.title;
  if (status == 401) {
    return talk.target.personal
               ? plain_failure(FailureCode::ReauthRequired,
                               title + " no longer accepts this connection: the user must connect again.")
               : plain_failure(
                     FailureCode::Upstream,
                     title + " refuses the platform's credential. Only the platform can mend that.");
  }
  if (status == 403) {
    return plain_failure(FailureCode::Forbidden,
                         title + " does not let this account do that. Another attempt will not help.");
  }
  if (status == 429) {
    return plain_failure(FailureCode::RateLimited, title + " limits the rate of calls. Try again later.");
  }
  if (status >= 300 && status < 400) {
    return plain_failure(FailureCode::Upstream,
                         title +
                             " answers with a redirect, which is not followed: the platform must register "
                             "the address that it leads to.");
  }
  return plain_failure(FailureCode::Upstream, title + " failed with status " + std::to_string(status) + ".");
}

// Of an answer that is no result.
Failure refusal(const Talk& talk, const RpcReply& reply) {
  const std::string& title = talk.target.title;
  Failure out;
  if (reply.status == 200 || (reply.error && reply.status == 400)) {
    const int code = reply.error ? reply.error->code : 0;
    out = code == kInvalidParams
              ? plain_failure(FailureCode::Validation,
                              title + " refused the arguments. Change them before another attempt.")
              : plain_failure(FailureCode::Upstream,
                              title + " answered with the error " + std::to_string(code) + ".");
  } else {
    out = status_failure(talk, reply.status);
  }
  if (!reply.scopes_wanted.empty() && talk.target.personal) {
    out = plain_failure(FailureCode::ScopeMissing,
                        title + " wants more from this connection than the user has granted.");
    out.missing_scopes = reply.scopes_wanted;
  }
  out.status = reply.status;
  out.message += says(talk, reply);
  if (out.code == FailureCode::RateLimited) out.retry_after = reply.retry_after.value_or(kRemoteRetryDefault);
  if (reply.status == 503) out.retry_after = reply.retry_after;
  out.outcome_unknown = !talk.safe && reply.status >= 500;
  if (out.outcome_unknown)
    out.message += " The change may have been made all the same: look before another attempt.";
  return out;
}

// The server refused the request unread because what we remember of it is old: its session has ended (404 by
// the specification, 400 from some), or it speaks another revision now.
bool is_stale(const Talk& talk, const RpcReply& reply) {
  if (is_modern(talk.version)) {
    if (reply.error) return reply.error->code == kUnsupportedVersion;
    return reply.status == 400 || reply.status == 404 || reply.status == 405;
  }
  return !talk.session.empty() && (reply.status == 404 || reply.status == 400) &&
         (!reply.error || reply.error->code == kTransportRefused || reply.error->code == -32001);
}

}  // namespace

struct RemoteClient::Impl {
  Impl(core::UpstreamClient& u, RemoteClientOptions o)
      : upstream(u), options(std::move(o)), peers(options.sessions_max, options.session_time) {}

  core::UpstreamClient& upstream;
  const RemoteClientOptions options;
  PeerMemory peers;

  TalkPtr begin(RemoteTarget target, std::chrono::milliseconds time, std::stop_token stop) const {
    auto talk = std::make_shared<Talk>();
    talk->upstream = &upstream;
    talk->options = &options;
    talk->target = std::move(target);
    talk->deadline = SteadyClock::now() + time;
    talk->stop = std::move(stop);
    talk->bytes_left = options.bytes_max;
    return talk;
  }

  // Which revision a server speaks is the same for all; sessions are each caller's own.
  static std::string era_key(const Talk& talk) { return "era " + talk.target.url; }
  static std::string session_key(const Talk& talk) {
    return "session " + talk.target.session_key + " " + talk.target.url;
  }

  static void adopt(Talk& talk, const Peer& peer) {
    talk.version = peer.version;
    talk.session = peer.session;
  }

  void forget(const Talk& talk) {
    const Peer peer{talk.version, talk.session, {}, {}};
    peers.forget(session_key(talk), peer);
    peers.forget(era_key(talk), Peer{talk.version, {}, {}, {}});
  }

  core::Task<std::optional<Failure>> greet(TalkPtr talk);
  core::Task<std::variant<Peer, Failure>> discover_or_initialize(TalkPtr talk, bool known_legacy);
  core::Task<std::variant<Peer, Failure>> initialize(TalkPtr talk);
  core::Task<std::variant<Json, Failure>> ask(TalkPtr talk, RpcRequest rpc);
};

// The talk knows how to speak when this returns nothing.
core::Task<std::optional<Failure>> RemoteClient::Impl::greet(TalkPtr talk) {
  const auto now = SteadyClock::now();
  const auto era = peers.find(era_key(*talk), now);
  const auto session = peers.find(session_key(*talk), now);
  if (era && is_modern(era->version)) {
    adopt(*talk, *era);
    co_return std::nullopt;
  }
  if (session) {
    adopt(*talk, *session);
    co_return std::nullopt;
  }
  // Neither the caller's progress nor its stake in the outcome belongs to the greeting.
  const auto greeting = std::make_shared<Talk>(*talk);
  greeting->progress = nullptr;
  greeting->safe = true;
  greeting->session.clear();
  auto outcome = co_await discover_or_initialize(greeting, era.has_value());
  talk->bytes_left = greeting->bytes_left;
  if (auto* failure = std::get_if<Failure>(&outcome)) co_return std::move(*failure);
  const Peer& peer = std::get<Peer>(outcome);
  adopt(*talk, peer);
  Peer shared = peer;
  shared.session.clear();
  peers.keep(era_key(*talk), std::move(shared), now);
  if (!is_modern(peer.version)) peers.keep(session_key(*talk), peer, now);
  co_return std::nullopt;
}

core::Task<std::variant<Peer, Failure>> RemoteClient::Impl::discover_or_initialize(TalkPtr talk,
                                                                                   bool known_legacy) {
  if (!known_legacy) {
    talk->version = Version::v2026_07_28;
    auto outcome = co_await exchange(talk, {.method = "server/discover"});
    if (auto* failure = std::get_if<Failure>(&outcome)) {
      // No HTTP answer: asking in another way would not get one either.
      if (!failure->status) co_return std::move(*failure);
    } else {
      const auto& reply = std::get<RpcReply>(outcome);
      if (speaks_modern(reply)) {
        Peer peer;
        read_server_info(*reply.result, peer);
        co_return peer;
      }
      const int status = reply.status;
      if (status == 401 || status == 403 || status == 429 || (status >= 300 && status < 400))
        co_return refusal(*talk, reply);
    }
  }
  co_return co_await initialize(talk);
}

core::Task<std::variant<Peer, Failure>> RemoteClient::Impl::initialize(TalkPtr talk) {
  talk->version = kNewestLegacy;
  RpcRequest rpc{
      .method = "initialize",
      .params = {{"protocolVersion", version_name(kNewestLegacy)},
                 {"capabilities", Json::object()},
                 {"clientInfo", {{"name", "assistiv-gateway"}, {"version", options.client_version}}}},
      .headers = {},
      .modern = false};
  auto outcome = co_await exchange(talk, std::move(rpc));
  if (auto* failure = std::get_if<Failure>(&outcome)) co_return std::move(*failure);
  const auto& reply = std::get<RpcReply>(outcome);
  if (!reply.result) co_return refusal(*talk, reply);
  const auto said = reply.result->find("protocolVersion");
  const auto version = said != reply.result->end() && said->is_string()
                           ? parse_version(said->get<std::string>())
                           : std::nullopt;
  if (!version || is_modern(*version)) {
    co_return plain_failure(FailureCode::Upstream,
                            talk->target.title + " speaks no version of MCP that this server knows.");
  }
  Peer peer;
  peer.version = *version;
  peer.session = reply.session;
  read_server_info(*reply.result, peer);
  adopt(*talk, peer);
  co_await notify_server(talk, write_notification("notifications/initialized", ""), kNotifyTime);
  co_return peer;
}

core::Task<std::variant<Json, Failure>> RemoteClient::Impl::ask(TalkPtr talk, RpcRequest rpc) {
  std::optional<RpcReply> stale;
  for (;;) {
    if (auto failure = co_await greet(talk)) co_return std::move(*failure);
    // It still speaks the modern revision: what it refused was this request, not our idea of the server.
    if (stale && rpc.modern && is_modern(talk->version)) co_return refusal(*talk, *stale);
    rpc.modern = is_modern(talk->version);
    auto outcome = co_await exchange(talk, rpc);
    if (auto* failure = std::get_if<Failure>(&outcome)) co_return std::move(*failure);
    auto& reply = std::get<RpcReply>(outcome);
    if (reply.result) co_return std::move(*reply.result);
    if (!stale && is_stale(*talk, reply)) {
      stale = std::move(reply);
      forget(*talk);
      continue;
    }
    co_return refusal(*talk, reply);
  }
}

RemoteClient::RemoteClient(core::UpstreamClient& upstream, RemoteClientOptions options)
    : impl_(std::make_shared<Impl>(upstream, std::move(options))) {}
RemoteClient::~RemoteClient() = default;

void RemoteClient::forget_all() {
  impl_->peers.clear();
}

core::Task<std::variant<RemoteListing, Failure>> RemoteClient::list_tools(RemoteTarget target,
                                                                          std::stop_token stop) {
  const auto impl = impl_;
  const auto talk = impl->begin(std::move(target), impl->options.list_time, std::move(stop));
  RemoteListing out;
  std::set<std::string> cursors;
  RpcRequest rpc{.method = "tools/list"};
  for (std::size_t page = 0; page < impl->options.pages_max; ++page) {
    auto outcome = co_await impl->ask(talk, rpc);
    if (auto* failure = std::get_if<Failure>(&outcome)) co_return std::move(*failure);
    Json& result = std::get<Json>(outcome);
    const auto tools = result.find("tools");
    if (tools == result.end() || !tools->is_array())
      co_return plain_failure(FailureCode::Upstream, talk->target.title + " gave a list without tools.");
    for (auto& tool : *tools) out.tools.push_back(std::move(tool));
    if (out.tools.size() > impl->options.tools_max) {
      co_return plain_failure(FailureCode::Upstream, talk->target.title + " lists more than " +
                                                         std::to_string(impl->options.tools_max) + " tools.");
    }
    const auto next = result.find("nextCursor");
    if (next == result.end() || !next->is_string() || next->get_ref<const std::string&>().empty()) {
      const auto peer = impl->peers.find(impl->era_key(*talk), SteadyClock::now()).value_or(Peer());
      out.protocol = version_name(talk->version);
      out.server_name = peer.server_name;
      out.server_version = peer.server_version;
      co_return out;
    }
    const std::string cursor = next->get<std::string>();
    if (cursor.size() > kCursorMax || !cursors.insert(cursor).second) break;
    rpc.params = {{"cursor", cursor}};
  }
  co_return plain_failure(FailureCode::Upstream, "The list of " + talk->target.title + " has no end.");
}

namespace {

std::string header_text(const Json& value) {
  return value.is_string() ? value.get<std::string>() : core::dump_json(value);
}

// Mcp-Param-*: what the definition wants repeated of the arguments that are there.
void add_mirrored(const RemoteCall& call, RpcRequest& rpc) {
  for (const auto& argument : call.mirrored) {
    const Json* at = call.arguments.get();
    for (const auto& name : argument.path) {
      const auto it = at->is_object() ? at->find(name) : at->end();
      at = at->is_object() && it != at->end() ? &*it : nullptr;
      if (at == nullptr) break;
    }
    if (at == nullptr || at->is_null() || at->is_structured()) continue;
    rpc.headers.emplace_back("mcp-param-" + argument.header, encode_header_value(header_text(*at)));
  }
}

std::optional<Failure> unfinished(const Talk& talk, const Json& result) {
  const auto type = result.find("resultType");
  if (type == result.end() || *type == "complete") return {};
  return plain_failure(FailureCode::Upstream,
                       *type == "input_required"
                           ? talk.target.title +
                                 " wants to ask the user something, which this server does not "
                                 "pass on. Give everything it needs in the arguments."
                           : talk.target.title + " gave an answer of a kind that was not asked for.");
}

}  // namespace

core::Task<std::variant<Json, Failure>> RemoteClient::call_tool(RemoteTarget target, RemoteCall call) {
  const auto impl = impl_;
  const auto talk = impl->begin(std::move(target), impl->options.call_time, call.stop);
  talk->safe = call.safe;
  talk->traceparent = call.traceparent;
  talk->progress = call.progress;
  RpcRequest rpc{.method = "tools/call",
                 .params = {{"name", call.tool}, {"arguments", *call.arguments}},
                 .headers = {{"mcp-name", encode_header_value(call.tool)}}};
  add_mirrored(call, rpc);
  auto outcome = co_await impl->ask(talk, std::move(rpc));
  if (const auto* result = std::get_if<Json>(&outcome)) {
    if (auto failure = unfinished(*talk, *result)) co_return std::move(*failure);
  }
  co_return outcome;
}

}  // namespace assistiv::mcp
