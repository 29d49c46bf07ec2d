#include "mcp/remote/exchange.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <nlohmann/json.hpp>

#include "core/async.h"
#include "core/encoding.h"
#include "core/json_read.h"
#include "core/sse_decoder.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/protocol/jsonrpc.h"
#include "oauth/connect/discovery.h"

namespace assistiv::mcp {

namespace {

using core::Json;
using std::chrono::milliseconds;

constexpr std::size_t kReadBytes = 64 * 1024;
constexpr std::size_t kRefusalBytesMax = 64 * 1024;  // of the body of an answer that is no success
constexpr std::size_t kNotedBytesMax = 16 * 1024;    // of the answer to a notification
constexpr std::size_t kSessionMax = 512;
constexpr std::size_t kEventIdMax = 1024;
constexpr std::size_t kWordsMax = 400;  // characters of a server's message
constexpr milliseconds kDeclineTime{5000};
constexpr milliseconds kCancelTime{2000};
constexpr std::int64_t kRetryMaxSeconds = 86'400;

using ReplyPtr = std::unique_ptr<core::UpstreamReply>;

std::string next_request_id() {
  static std::atomic<std::uint64_t> last{0};
  return std::to_string(++last);
}

Failure remote_failure(const Talk& talk, std::string message, bool maybe_done) {
  Failure out;
  out.outcome_unknown = !talk.safe && maybe_done;
  out.message = std::move(message);
  if (out.outcome_unknown)
    out.message += " The change may or may not have been made: look before another attempt.";
  return out;
}

Failure too_large(const Talk& talk) {
  return remote_failure(talk, "The answer of " + talk.target.title + " is too large. Ask for less.", true);
}

Failure not_mcp(const Talk& talk, const std::string& what) {
  return remote_failure(talk, talk.target.title + " answered with " + what + " instead of MCP.", true);
}

Failure failure_of(const Talk& talk, const core::OutboundError& error) {
  const std::string& title = talk.target.title;
  Failure out;
  switch (error.failure()) {
    case core::OutboundFailure::Refused:
      return remote_failure(talk, "This server may not connect to the address of " + title + ".", false);
    case core::OutboundFailure::ConnectFailed:
      return remote_failure(talk, title + " cannot be reached. Try again later.", false);
    case core::OutboundFailure::Timeout:
      out = remote_failure(talk, title + " did not answer in time.", true);
      out.timed_out = true;
      return out;
    case core::OutboundFailure::TooLarge:
      return too_large(talk);
    case core::OutboundFailure::Cancelled:
      out = remote_failure(talk, "The call was cancelled.", true);
      out.code = FailureCode::Cancelled;
      return out;
    case core::OutboundFailure::Broken:
      break;
  }
  return remote_failure(talk, "The connection to " + title + " broke before the answer was there.", true);
}

std::string media_type(const core::HttpHeaders& headers) {
  std::string type(headers.get("content-type").value_or(""));
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.pop_back();
  for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return type;
}

std::optional<std::chrono::seconds> retry_after_of(const core::HttpHeaders& headers) {
  const auto text = headers.get("retry-after");
  std::int64_t seconds = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), seconds).ec != std::errc())
    return {};
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kRetryMaxSeconds));
}

// Visible ASCII (2025-03-26 transports, "Session Management"); anything else would break our own header.
std::string session_in(const core::HttpHeaders& headers) {
  const std::string id(headers.get("mcp-session-id").value_or(""));
  const bool good = id.size() <= kSessionMax &&
                    std::all_of(id.begin(), id.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return good ? id : std::string();
}

core::UpstreamRequest base_request(const Talk& talk, const RpcRequest* rpc, std::string body) {
  core::UpstreamRequest out;
  out.url = talk.target.url;
  out.body = std::move(body);
  out.headers.set("content-type", "application/json");
  out.headers.set("accept", "application/json, text/event-stream");
  out.headers.set("user-agent", "assistiv-gateway/" + talk.options->client_version);
  const bool initializing = rpc != nullptr && rpc->method == "initialize";
  if (!initializing) out.headers.set("mcp-protocol-version", std::string(version_name(talk.version)));
  if (!talk.session.empty() && !initializing) out.headers.set("mcp-session-id", talk.session);
  if (rpc != nullptr && rpc->modern) {
    out.headers.set("mcp-method", rpc->method);
    for (const auto& [name, value] : rpc->headers) out.headers.set(name, value);
  }
  if (!talk.traceparent.empty()) out.headers.set("traceparent", talk.traceparent);
  // Last, so that nothing above can take its place.
  if (!talk.target.header_name.empty())
    out.headers.set(talk.target.header_name, talk.target.header_value.reveal());
  out.deadline = talk.deadline;
  out.stop = talk.stop;
  return out;
}

std::string body_of(const Talk& talk, const RpcRequest& rpc, const std::string& id) {
  Json params = rpc.params;
  if (rpc.modern) {
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = version_name(talk.version);
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = Json::object();
    params["_meta"]["io.modelcontextprotocol/clientInfo"] = {{"name", "assistiv-gateway"},
                                                             {"version", talk.options->client_version}};
  }
  if (talk.progress) params["_meta"]["progressToken"] = "p" + id;
  return write_request(id, rpc.method, core::dump_json(params));
}

// The answer to our request, or nothing when this message is another one.
std::optional<RpcReply> answer_in(const Json& message, const std::string& id) {
  if (!message.is_object() || message.contains("method")) return {};
  const auto given = message.find("id");
  if (given == message.end()) return {};
  // Some servers give the number back as text.
  const bool same = *given == id || (given->is_number_integer() && core::dump_json(*given) == id);
  if (!same) return {};
  RpcReply out;
  if (const auto result = message.find("result"); result != message.end() && result->is_object()) {
    out.result = *result;
    return out;
  }
  const auto error = message.find("error");
  if (error == message.end() || !error->is_object()) return {};
  RpcError fault;
  if (const auto code = error->find("code"); code != error->end() && code->is_number_integer())
    fault.code = static_cast<int>(std::clamp<std::int64_t>(code->get<std::int64_t>(), -1'000'000, 1'000'000));
  if (const auto text = error->find("message"); text != error->end() && text->is_string())
    fault.message = clip_text(clean_text(text->get<std::string>()), kWordsMax);
  out.error = std::move(fault);
  return out;
}

// The error of a refusal, whose id may be missing: the server could not read ours.
std::optional<RpcError> refusal_in(std::string_view body) {
  const auto message = core::try_parse_json(body, kJsonDepthMax);
  if (!message || !message->is_object() || !message->contains("error")) return {};
  Json with_id = *message;
  with_id["id"] = "x";
  auto answer = answer_in(with_id, "x");
  return answer ? std::move(answer->error) : std::nullopt;
}

core::Task<> pass_progress(TalkPtr talk, Json message) {
  const auto params = message.find("params");
  if (!talk->progress || params == message.end() || !params->is_object()) co_return;
  const auto done = params->find("progress");
  if (done == params->end() || !done->is_number()) co_return;
  std::optional<double> total;
  if (const auto it = params->find("total"); it != params->end() && it->is_number())
    total = it->get<double>();
  std::string words;
  if (const auto it = params->find("message"); it != params->end() && it->is_string())
    words = clip_text(clean_text(it->get<std::string>()), kWordsMax);
  co_await talk->progress(done->get<double>(), total, std::move(words));
}

// A server may ask its client to sample, to list roots, to ask the user. This client declared none of it.
core::Task<> decline(TalkPtr talk, Json message) {
  if (is_modern(talk->version) || ++talk->declined > talk->options->declined_max) co_return;
  const std::string id = core::dump_json(message.at("id"));
  std::string body = message.at("method") == "ping"
                         ? write_result(id, "")
                         : write_error(id, {kMethodNotFound, "This client offers no such thing.", 200, {}});
  co_await notify_server(talk, std::move(body), kDeclineTime);
}

core::Task<std::optional<RpcReply>> take_message(TalkPtr talk, Json message, std::string id) {
  if (auto answer = answer_in(message, id)) co_return answer;
  if (!message.is_object() || !message.contains("method") || !message.at("method").is_string())
    co_return std::nullopt;
  if (message.contains("id")) {
    co_await decline(talk, std::move(message));
  } else if (message.at("method") == "notifications/progress") {
    co_await pass_progress(talk, std::move(message));
  }
  co_return std::nullopt;
}

// A body or an event: one message, or a batch (2025-03-26).
core::Task<std::optional<RpcReply>> take_messages(TalkPtr talk, Json messages, std::string id) {
  if (!messages.is_array()) co_return co_await take_message(talk, std::move(messages), id);
  std::size_t taken = 0;
  for (auto& message : messages) {
    if (++taken > kBatchMax) break;
    if (auto answer = co_await take_message(talk, std::move(message), id)) co_return answer;
  }
  co_return std::nullopt;
}

// Where a stream can be taken up again (2025-11-25 transports, "Resumability and Redelivery").
struct StreamPlace {
  std::string last_id;
  milliseconds wait{0};
  std::size_t events = 0;
  int tries = 0;
};
using PlacePtr = std::shared_ptr<StreamPlace>;

// It goes into a header of ours.
bool is_resumable_id(const std::string& id) {
  return !id.empty() && id.size() <= kEventIdMax &&
         std::all_of(id.begin(), id.end(), [](char c) { return c >= 0x20 && c < 0x7f; }) &&
         id.front() != ' ' && id.back() != ' ';
}

void keep_place(StreamPlace& place, const core::SseEvent& event) {
  if (!event.id.empty()) place.last_id = is_resumable_id(event.id) ? event.id : std::string();
}

// Until the answer, a failure, or (nothing) the end of the bytes.
core::Task<std::optional<RpcOutcome>> read_stream(TalkPtr talk, core::UpstreamReply* reply, std::string id,
                                                  PlacePtr place) {
  core::SseDecoder decoder(talk->bytes_left);
  for (;;) {
    const std::string piece = co_await reply->read(kReadBytes);
    if (piece.size() > talk->bytes_left) co_return too_large(*talk);
    talk->bytes_left -= piece.size();
    const auto found = piece.empty() ? decoder.finish() : decoder.feed(piece);
    if (decoder.retry_ms()) place->wait = milliseconds(*decoder.retry_ms());
    for (const auto& event : found) {
      if (++place->events > talk->options->events_max)
        co_return remote_failure(*talk, talk->target.title + " sends events without an end.", true);
      keep_place(*place, event);
      if (event.data.empty()) continue;
      auto message = core::try_parse_json(event.data, kJsonDepthMax);
      if (!message) co_return not_mcp(*talk, "an event that is no JSON");
      if (auto answer = co_await take_messages(talk, std::move(*message), id)) co_return std::move(*answer);
    }
    if (decoder.failed()) co_return too_large(*talk);
    if (piece.empty()) co_return std::nullopt;
  }
}

bool can_break(core::OutboundFailure failure) {
  return failure == core::OutboundFailure::Broken || failure == core::OutboundFailure::ConnectFailed;
}

// A legacy stream that ended too early, from where it was. Null when the server does not do that, or not any
// more.
core::Task<ReplyPtr> resume(TalkPtr talk, PlacePtr place) {
  while (!is_modern(talk->version) && !place->last_id.empty() &&
         place->tries++ < talk->options->resumptions_max) {
    co_await core::sleep_for(std::min(place->wait, talk->options->resume_wait_max), talk->stop);
    auto request = base_request(*talk, nullptr, "");
    request.method = "GET";
    request.headers.remove("content-type");
    request.headers.set("accept", "text/event-stream");
    request.headers.set("last-event-id", place->last_id);
    try {
      auto reply = co_await talk->upstream->open(std::move(request));
      const bool goes_on = reply->status() == 200 && media_type(reply->headers()) == "text/event-stream";
      co_return goes_on ? std::move(reply) : nullptr;
    } catch (const core::OutboundError& error) {
      if (!can_break(error.failure())) throw;
    }
  }
  co_return nullptr;
}

core::Task<RpcOutcome> read_events(TalkPtr talk, ReplyPtr reply, std::string id) {
  const auto place = std::make_shared<StreamPlace>();
  place->wait = talk->options->resume_wait;
  std::optional<core::OutboundError> broken;
  while (reply) {
    broken.reset();
    try {
      if (auto outcome = co_await read_stream(talk, reply.get(), id, place)) co_return std::move(*outcome);
    } catch (const core::OutboundError& error) {
      if (!can_break(error.failure())) throw;
      broken = error;
    }
    reply = co_await resume(talk, place);
  }
  if (broken) co_return failure_of(*talk, *broken);
  co_return remote_failure(*talk, talk->target.title + " ended its stream without an answer.", true);
}

core::Task<RpcOutcome> read_json(TalkPtr talk, ReplyPtr reply, std::string id) {
  const std::string body = co_await core::read_all(reply.get(), talk->bytes_left);
  talk->bytes_left -= std::min(talk->bytes_left, body.size());
  auto message = core::try_parse_json(body, kJsonDepthMax);
  if (!message) co_return not_mcp(*talk, "a body that is no JSON");
  auto answer = co_await take_messages(talk, std::move(*message), id);
  if (!answer) co_return not_mcp(*talk, "a message that is no answer to the request");
  co_return std::move(*answer);
}

core::Task<RpcOutcome> read_refusal(ReplyPtr reply) {
  RpcReply out;
  out.retry_after = retry_after_of(reply->headers());
  if (reply->status() == 403) {
    const auto challenge = oauth::read_challenge(reply->headers());
    if (challenge && challenge->error == "insufficient_scope")
      out.scopes_wanted = oauth::read_scopes(challenge->scope);
  }
  if (media_type(reply->headers()) == "application/json")
    out.error = refusal_in(co_await core::read_all(reply.get(), kRefusalBytesMax));
  co_return out;
}

core::Task<RpcOutcome> read_reply(TalkPtr talk, ReplyPtr reply, std::string id) {
  const int status = reply->status();
  const std::string session = session_in(reply->headers());
  const std::string type = media_type(reply->headers());
  RpcOutcome out = Failure();
  if (status != 200 && (status < 201 || status > 299)) {
    out = co_await read_refusal(std::move(reply));
  } else if (status != 200) {
    out = not_mcp(*talk, "status " + std::to_string(status));
  } else if (type == "text/event-stream") {
    out = co_await read_events(talk, std::move(reply), std::move(id));
  } else if (type == "application/json") {
    out = co_await read_json(talk, std::move(reply), std::move(id));
  } else {
    out = not_mcp(*talk, type.empty() ? "a body without a type" : clip_text(clean_text(type), 60));
  }
  if (auto* answer = std::get_if<RpcReply>(&out)) {
    answer->status = status;
    answer->session = session;
  } else {
    std::get<Failure>(out).status = status;
  }
  co_return out;
}

}  // namespace

std::string encode_header_value(const std::string& value) {
  const auto edge = [](char c) { return c == ' ' || c == '\t'; };
  const bool plain =
      std::all_of(value.begin(), value.end(), [](unsigned char c) { return c >= 0x20 && c <= 0x7e; });
  const bool kept = plain && !value.empty() && !edge(value.front()) && !edge(value.back()) &&
                    !(value.starts_with("=?base64?") && value.ends_with("?="));
  return kept ? value : "=?base64?" + core::base64_encode(value) + "?=";
}

core::Task<> notify_server(TalkPtr talk, std::string body, milliseconds time) {
  try {
    auto request = base_request(*talk, nullptr, std::move(body));
    request.deadline = std::min(request.deadline, std::chrono::steady_clock::now() + time);
    request.first_byte_timeout = time;
    const ReplyPtr reply = co_await talk->upstream->open(std::move(request));
    // Read to its end the connection can be used again; an endless body is dropped.
    co_await core::read_all(reply.get(), kNotedBytesMax);
  } catch (const core::OutboundError&) {
    co_return;  // the answer to the request itself will say what is wrong
  }
}

core::Task<RpcOutcome> exchange(TalkPtr talk, RpcRequest rpc) {
  const std::string id = next_request_id();
  std::optional<core::OutboundError> error;
  try {
    auto reply = co_await talk->upstream->open(base_request(*talk, &rpc, body_of(*talk, rpc, id)));
    co_return co_await read_reply(talk, std::move(reply), id);
  } catch (const core::OutboundError& e) {
    error = e;
  }
  // Closing the stream is the cancellation of a modern call. A legacy server goes on until it is told.
  const bool over = error->failure() == core::OutboundFailure::Cancelled ||
                    error->failure() == core::OutboundFailure::Timeout;
  if (over && !rpc.modern && rpc.method == "tools/call") {
    const auto parting = std::make_shared<Talk>(*talk);
    parting->stop = {};
    parting->deadline = std::chrono::steady_clock::now() + kCancelTime;
    co_await notify_server(
        parting, write_notification("notifications/cancelled", R"({"requestId":)" + id + "}"), kCancelTime);
  }
  co_return failure_of(*talk, *error);
}

}  // namespace assistiv::mcp
