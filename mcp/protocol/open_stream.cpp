#include "mcp/protocol/open_stream.h"

#include <utility>

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "mcp/protocol/client_meta.h"
#include "mcp/protocol/jsonrpc.h"
#include "mcp/tasks/task_store.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

using StreamPtr = std::shared_ptr<OpenStream>;
using SinkPtr = std::shared_ptr<core::EventSink>;

constexpr std::chrono::minutes kTouchEvery{10};
constexpr std::string_view kUnknownMark = "0";

struct KindName {
  unsigned kind;
  std::string_view notification;
};
constexpr KindName kKindNames[] = {{kToolsChanged, "notifications/tools/list_changed"},
                                   {kPromptsChanged, "notifications/prompts/list_changed"},
                                   {kResourcesChanged, "notifications/resources/list_changed"}};

bool is_modern_stream(const OpenStream& stream) {
  return !stream.listen_id.empty();
}

bool is_sse(const OpenStream& stream) {
  return !stream.post_url.empty();
}

std::string subscription_meta(const OpenStream& stream) {
  return "\"_meta\":{\"" + std::string(kMetaSubscription) + "\":" + stream.listen_id + "}";
}

std::string etag_mark(std::string_view etag) {
  return core::sha256_hex(etag).substr(0, 16);
}

// The present tool list in short, so that a client that comes back can be told whether it missed a change.
// Nothing is stored for it, so it holds across restarts and nodes.
core::Task<std::string> present_mark(StreamPtr stream) {
  CallContext context;
  context.principal = stream->principal;
  context.app = stream->app;
  if (stream->session) context.selection = stored_selection(stream->session->tool_selection);
  try {
    co_return etag_mark((co_await stream->services.doors.tools.list(std::move(context)))->etag);
  } catch (const core::Error& e) {
    core::log::warn("mcp.list_mark_failed", {{"error", e.what()}, {"detail", e.detail()}});
  }
  co_return std::string(kUnknownMark);
}

core::Task<bool> write_message(StreamPtr stream, SinkPtr sink, std::string message) {
  if (is_modern_stream(*stream)) co_return co_await sink->write(core::sse_event(message));
  if (is_sse(*stream)) co_return co_await sink->write(core::sse_event(message, {}, "message"));
  const std::string mark = stream->mark.value_or(std::string(kUnknownMark));
  const std::string id = stream->event_prefix + std::to_string(++stream->seq) + "." + mark;
  co_return co_await sink->write(core::sse_event(message, id));
}

core::Task<bool> write_list_change(StreamPtr stream, SinkPtr sink, std::string_view notification) {
  const std::string params =
      is_modern_stream(*stream) ? "{" + subscription_meta(*stream) + "}" : std::string();
  co_return co_await write_message(stream, sink, write_notification(notification, params));
}

// The task as tasks/get would tell it now. One that is gone is told of by nothing.
core::Task<bool> write_task(StreamPtr stream, SinkPtr sink, std::string id) {
  const EndpointServices& services = stream->services;
  std::optional<ToolTask> task;
  try {
    task = co_await services.doors.tasks->find(task_owner(stream->principal, stream->app), id);
  } catch (const core::Error& e) {
    core::log::warn("mcp.task_not_told", {{"error", e.what()}, {"detail", e.detail()}});
  }
  if (!task) co_return true;
  const std::string params = "{" + task_members(*task, TaskDetail::Full, services.options.task_poll) + "," +
                             subscription_meta(*stream) + "}";
  co_return co_await write_message(stream, sink, write_notification("notifications/tasks", params));
}

core::Task<bool> write_signals(StreamPtr stream, SinkPtr sink, Signals signals) {
  if (!is_modern_stream(*stream) && !is_sse(*stream) && (signals.kinds & kToolsChanged) != 0)
    stream->mark = co_await present_mark(stream);
  for (const auto& [kind, notification] : kKindNames) {
    if ((signals.kinds & kind) != 0 && !co_await write_list_change(stream, sink, notification))
      co_return false;
  }
  for (const auto& id : signals.tasks) {
    if (!co_await write_task(stream, sink, id)) co_return false;
  }
  for (const auto& uri : signals.updated) {
    std::string params = "{\"uri\":" + json_string(uri);
    if (is_modern_stream(*stream)) params += "," + subscription_meta(*stream);
    if (!co_await write_message(stream, sink,
                                write_notification("notifications/resources/updated", params + "}"))) {
      co_return false;
    }
  }
  co_return true;
}

core::Task<bool> open_legacy(StreamPtr stream, SinkPtr sink) {
  // What the client last saw of the list: from the event that it came back with, else from its last
  // tools/list. Who comes back and knows nothing of it is told to look.
  if (!stream->mark && !stream->session->list_etag.empty())
    stream->mark = etag_mark(stream->session->list_etag);
  bool stale = false;
  std::string primed(kUnknownMark);
  if (stream->mark || stream->resumed) {
    const std::string present = co_await present_mark(stream);
    stale = !stream->mark || present != *stream->mark;
    if (!stale) primed = present;
    stream->mark = present;
  }
  bool open = false;
  if (stream->version >= Version::v2025_11_25) {
    const std::string id = stream->event_prefix + std::to_string(++stream->seq) + "." + primed;
    open = co_await sink->write(core::sse_event("", id, {}, kRetryMs));
  } else {
    open = co_await sink->write(":\n\n");
  }
  if (open && stale) open = co_await write_list_change(stream, sink, kKindNames[0].notification);
  co_return open;
}

// The messages that calls, on whatever node, have left for the client. False when the stream is to end: the
// client reads so slowly that some are gone, or the session is.
core::Task<bool> write_messages(StreamPtr stream, SinkPtr sink) {
  if (!is_sse(*stream)) co_return true;
  const auto& session = *stream->session;
  std::optional<std::vector<StreamEvent>> events;
  try {
    events = co_await stream->services.world.sessions.read(session.owner, session.id, std::string(kSseStream),
                                                           stream->given);
  } catch (const core::Error& e) {
    core::log::warn("mcp.messages_not_read", {{"error", e.what()}, {"detail", e.detail()}});
  }
  if (!events) co_return true;
  for (const auto& event : *events) {
    if (event.seq != stream->given + 1) co_return false;
    stream->given = event.seq;
    if (event.data.empty()) continue;  // forgotten
    if (!co_await write_message(stream, sink, event.data)) co_return false;
  }
  co_return true;
}

core::Task<bool> open_sse(StreamPtr stream, SinkPtr sink) {
  co_return co_await sink->write(core::sse_event(stream->post_url, {}, "endpoint"));
}

// Without its stream a session of this transport is of no use to anybody.
core::Task<> close_sse(StreamPtr stream) {
  try {
    co_await stream->services.world.sessions.remove(stream->session->owner, stream->session->id);
  } catch (const core::Error& e) {
    core::log::warn("mcp.session_not_removed", {{"error", e.what()}, {"detail", e.detail()}});
  }
}

core::Task<bool> open_modern(StreamPtr stream, SinkPtr sink) {
  const std::string params =
      "{" + subscription_meta(*stream) + ",\"notifications\":" + stream->acknowledged_json + "}";
  co_return co_await sink->write(
      core::sse_event(write_notification("notifications/subscriptions/acknowledged", params)));
}

// A graceful end is the ordinary result of the listen request (2026-07-28 subscriptions, "Graceful Closure").
core::Task<> close_modern(StreamPtr stream, SinkPtr sink) {
  const std::string meta = "\"_meta\":{\"" + std::string(kMetaSubscription) + "\":" + stream->listen_id +
                           ",\"" + std::string(kMetaServerInfo) + "\":" + stream->services.server_info + "}";
  co_await sink->write(
      core::sse_event(write_result(stream->listen_id, "\"resultType\":\"complete\"," + meta)));
}

enum class Standing { Good, Ended, Unsure };

// Whether the key that opened the stream would still open it.
core::Task<Standing> key_standing(StreamPtr stream) {
  if (!stream->services.world.still_valid) co_return Standing::Ended;
  try {
    co_return co_await stream->services.world.still_valid(stream->bearer) ? Standing::Good : Standing::Ended;
  } catch (const core::Error& e) {
    core::log::warn("mcp.stream_check_failed", {{"error", e.what()}, {"detail", e.detail()}});
  }
  co_return Standing::Unsure;
}

bool expired(const OpenStream& stream) {
  return stream.principal && stream.principal->expires_at &&
         *stream.principal->expires_at <= stream.services.world.clock.now();
}

// That its messages are still read, should this process vanish without a word.
core::Task<> say_still_read(StreamPtr stream) {
  const auto& session = *stream->session;
  auto& world = stream->services.world;
  try {
    co_await world.sessions.mark_read(session.owner, session.id, world.clock.now() + kSseReaderLife);
  } catch (const core::Error& e) {
    core::log::warn("mcp.reader_not_marked", {{"error", e.what()}, {"detail", e.detail()}});
  }
}

// An open stream is a use of its session.
core::Task<bool> touch_session(StreamPtr stream) {
  if (!stream->session) co_return true;
  try {
    co_return co_await stream->services.world.sessions.find(stream->session->owner, stream->session->id) !=
        nullptr;
  } catch (const core::Error& e) {
    core::log::warn("mcp.session_touch_failed", {{"error", e.what()}, {"detail", e.detail()}});
  }
  co_return true;
}

// Until the server has a reason to end the stream; false when the client is gone.
core::Task<bool> tell_changes(StreamPtr stream, std::stop_token gone, SinkPtr sink) {
  auto touched = std::chrono::steady_clock::now(), marked = touched;
  bool recheck = false;
  while (!gone.stop_requested()) {
    const bool woken =
        co_await stream->place->mailbox().event().wait_for(stream->services.options.heartbeat, gone);
    Signals signals = stream->place->mailbox().take();
    recheck |= signals.recheck;
    const bool close = signals.close;
    if (recheck) {
      const auto standing = co_await key_standing(stream);
      if (standing == Standing::Ended) co_return true;
      recheck = standing == Standing::Unsure;
    }
    if (!co_await write_signals(stream, sink, std::move(signals))) co_return false;
    if (!co_await write_messages(stream, sink)) co_return true;
    if (close || expired(*stream)) co_return true;
    if (is_sse(*stream) && std::chrono::steady_clock::now() - marked >= kSseReaderLife / 3) {
      marked = std::chrono::steady_clock::now();
      co_await say_still_read(stream);
    }
    if (woken) continue;
    if (!co_await sink->write(":\n\n")) co_return false;
    if (std::chrono::steady_clock::now() - touched < kTouchEvery) continue;
    touched = std::chrono::steady_clock::now();
    if (!co_await touch_session(stream)) co_return true;
  }
  co_return true;
}

}  // namespace

unsigned offered_kinds(const Doors& doors) {
  return kToolsChanged | (doors.prompts != nullptr ? kPromptsChanged : 0u) |
         (doors.resources != nullptr ? kResourcesChanged : 0u);
}

core::Secret bearer_of(const core::HttpHeaders& headers) {
  const auto value = headers.get("authorization");
  constexpr std::string_view kScheme = "bearer ";
  if (!value || value->size() < kScheme.size() ||
      !core::equals_ignore_case(value->substr(0, kScheme.size()), kScheme)) {
    return {};
  }
  return core::Secret(std::string(value->substr(kScheme.size())));
}

std::string standing_stream(const std::string& session_id) {
  return core::base64url_encode(core::sha256("standing\n" + session_id)).substr(0, 16);
}

core::Task<> pump_open_stream(std::shared_ptr<OpenStream> stream, std::stop_token gone,
                              std::shared_ptr<core::EventSink> sink) {
  const bool open = co_await (is_modern_stream(*stream) ? open_modern(stream, sink)
                              : is_sse(*stream)         ? open_sse(stream, sink)
                                                        : open_legacy(stream, sink));
  const bool reached = open && co_await tell_changes(stream, gone, sink);
  if (is_sse(*stream)) co_await close_sse(stream);
  if (reached && is_modern_stream(*stream)) co_await close_modern(stream, sink);
}

}  // namespace assistiv::mcp
