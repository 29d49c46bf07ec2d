#include "agents/doors/a2a_door.h"

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/doors/a2a_stream.h"
#include "agents/doors/a2a_tasks.h"
#include "agents/store/event_log.h"
#include "agents/store/thread_store.h"
#include "core/encoding.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace a2a {

namespace {

using core::Json;

constexpr std::chrono::minutes kBlockingWait{10};
constexpr int kPageSize = 50;
constexpr int kPageMax = 100;
constexpr int kHistoryMax = 1000;

struct Rpc {
  std::shared_ptr<const Desk> desk;
  Json id;
  Json params;
  std::stop_token gone;
};

Json member(const Json& object, const char* name) {
  return object.is_object() ? object.value(name, Json()) : Json();
}

// -1: all of it.
int history_of(const Json& params) {
  const auto given = member(params, "historyLength");
  if (given.is_null()) return -1;
  if (!given.is_number_integer() || given < 0) throw Fault{kInvalidParams, "historyLength is a count."};
  return static_cast<int>(std::min<std::int64_t>(given.get<std::int64_t>(), kHistoryMax));
}

RunId task_id(const Json& params) {
  const auto given = member(params, "id");
  const auto id = given.is_string() ? RunId::parse(given.get_ref<const std::string&>()) : std::nullopt;
  if (!id) throw Fault{kTaskNotFound, "There is no such task."};
  return *id;
}

Json task_of(const Rpc& rpc, const TaskView& view, int history) {
  return task_json(*rpc.desk->agent.graph, view, history, true);
}

core::HttpReply reply_with(const Json& body) {
  return core::json_reply(200, core::dump_json(body));
}

core::Task<core::HttpReply> stream_of(const Rpc* rpc, TaskView view, std::int64_t after) {
  auto stream = std::make_shared<TaskStream>();
  stream->follower =
      co_await rpc->desk->world.events.follow(rpc->desk->caller.reach, view.first.thread, after);
  stream->desk = rpc->desk;
  stream->request_id = rpc->id;
  stream->view = std::move(view);
  stream->gone = rpc->gone;
  core::HttpReply reply;
  reply.headers.set("content-type", "text/event-stream");
  reply.headers.set("cache-control", "no-cache");
  reply.headers.set("x-accel-buffering", "no");
  reply.stream = [stream](std::shared_ptr<core::EventSink> sink) {
    return write_task(stream, std::move(sink));
  };
  co_return reply;
}

core::Task<core::HttpReply> send_message(const Rpc* rpc) {
  const auto configuration = member(rpc->params, "configuration");
  const auto history = history_of(configuration);
  if (!member(configuration, "taskPushNotificationConfig").is_null())
    throw Fault{kPushNotSupported, "Push notifications are not supported."};
  auto view = co_await send(rpc->desk.get(), read_message(rpc->params));
  if (member(configuration, "returnImmediately") != true) {
    const auto& desk = *rpc->desk;
    co_await desk.world.runs.wait(desk.caller.reach, view.last.id,
                                  std::chrono::steady_clock::now() + kBlockingWait, rpc->gone);
    view = co_await find_task(rpc->desk.get(), view.first.id, true);
  }
  co_return reply_with(result_reply(rpc->id, {{"task", task_of(*rpc, view, history)}}));
}

core::Task<core::HttpReply> send_streaming_message(const Rpc* rpc) {
  auto view = co_await send(rpc->desk.get(), read_message(rpc->params));
  const auto after = view.last.base_seq;
  co_return co_await stream_of(rpc, std::move(view), after);
}

core::Task<core::HttpReply> get_task(const Rpc* rpc) {
  const auto history = history_of(rpc->params);
  const auto view = co_await find_task(rpc->desk.get(), task_id(rpc->params), true);
  co_return reply_with(result_reply(rpc->id, task_of(*rpc, view, history)));
}

core::Task<core::HttpReply> cancel_task(const Rpc* rpc) {
  const auto view = co_await cancel(rpc->desk.get(), task_id(rpc->params), rpc->gone);
  co_return reply_with(result_reply(rpc->id, task_of(*rpc, view, 0)));
}

core::Task<core::HttpReply> subscribe(const Rpc* rpc) {
  auto view = co_await find_task(rpc->desk.get(), task_id(rpc->params), false);
  if (is_terminal(state_of(view.last, view.interrupts)))
    throw Fault{kUnsupportedOperation, "The task is over: GetTask tells how it ended."};
  auto after = view.last.base_seq;
  // What was said before it waits is in the task.
  if (view.last.is_over()) {
    after = (co_await rpc->desk->world.threads.get(rpc->desk->caller.reach, view.first.thread)).last_seq;
    auto now = co_await find_task(rpc->desk.get(), view.first.id, false);
    // It has gone on meanwhile.
    if (now.last.id != view.last.id) after = now.last.base_seq;
    view = std::move(now);
  }
  co_return co_await stream_of(rpc, std::move(view), after);
}

TaskQuery query_of(const Json& params) {
  TaskQuery out;
  const auto context = member(params, "contextId");
  if (context.is_string() && context != "") {
    out.context = ThreadId::parse(context.get_ref<const std::string&>());
    if (!out.context) throw Fault{kInvalidParams, "contextId is a UUID."};
  }
  const auto state = member(params, "status");
  if (state.is_string() && state != "TASK_STATE_UNSPECIFIED") out.state = state.get<std::string>();
  const auto size = member(params, "pageSize");
  if (!size.is_null() && (!size.is_number_integer() || size < 1 || size > kPageMax))
    throw Fault{kInvalidParams, "pageSize is 1 to " + std::to_string(kPageMax) + "."};
  out.size = size.is_null() ? kPageSize : size.get<int>();
  const auto token = member(params, "pageToken");
  if (token.is_string() && token != "") {
    const auto offset = core::try_parse_json(core::base64url_decode(token.get<std::string>()).value_or(""));
    if (!offset || !offset->is_number_unsigned() || *offset > 100000)
      throw Fault{kInvalidParams, "pageToken is not one of ours."};
    out.offset = offset->get<int>();
  }
  const auto after = member(params, "statusTimestampAfter");
  if (after.is_string()) {
    out.updated_after = core::parse_time(after.get<std::string>());
    if (!out.updated_after) throw Fault{kInvalidParams, "statusTimestampAfter is a time."};
  }
  out.with_values = member(params, "includeArtifacts") == true;
  return out;
}

core::Task<core::HttpReply> list(const Rpc* rpc) {
  auto query = query_of(rpc->params);
  const auto history = std::max(history_of(rpc->params), 0);
  query.with_values = query.with_values || history > 0;
  const bool artifacts = member(rpc->params, "includeArtifacts") == true;
  const auto page = co_await list_tasks(rpc->desk.get(), query);
  Json tasks = Json::array();
  for (const auto& view : page.tasks)
    tasks.push_back(task_json(*rpc->desk->agent.graph, view, history, artifacts));
  const int next = query.offset + query.size;
  const auto token = next < page.total ? core::base64url_encode(std::to_string(next)) : std::string();
  co_return reply_with(result_reply(rpc->id, {{"tasks", std::move(tasks)},
                                              {"nextPageToken", token},
                                              {"pageSize", query.size},
                                              {"totalSize", page.total}}));
}

using Method = core::Task<core::HttpReply> (*)(const Rpc*);

Method method_of(const std::string& name) {
  static constexpr std::pair<std::string_view, Method> kMethods[] = {
      {"SendMessage", send_message}, {"SendStreamingMessage", send_streaming_message},
      {"GetTask", get_task},         {"ListTasks", list},
      {"CancelTask", cancel_task},   {"SubscribeToTask", subscribe}};
  for (const auto& [known, method] : kMethods)
    if (known == name) return method;
  if (name.find("PushNotificationConfig") != std::string::npos)
    throw Fault{kPushNotSupported, "Push notifications are not supported."};
  if (name == "GetExtendedAgentCard") throw Fault{kUnsupportedOperation, "There is no extended card."};
  throw Fault{kMethodNotFound, "There is no method \"" + name + "\"."};
}

Fault fault_of(const core::Error& error) {
  switch (error.kind()) {
    case core::ErrorKind::InvalidArgument:
    case core::ErrorKind::Unprocessable:
    case core::ErrorKind::Conflict:
      return {kInvalidParams, error.message()};
    case core::ErrorKind::NotFound:
      return {kTaskNotFound, error.message()};
    default:
      return {kInternalError, error.message()};
  }
}

struct Request {
  Json id;
  Method method = nullptr;
  Json params;
};

Request read_request(const std::string& body, const std::string& version, Json& id) {
  const auto parsed = core::try_parse_json(body);
  if (!parsed) throw Fault{kParseError, "The body is no JSON."};
  id = member(*parsed, "id");
  if (!id.is_string() && !id.is_number()) id = nullptr;
  const auto method = member(*parsed, "method");
  if (member(*parsed, "jsonrpc") != "2.0" || !method.is_string() || id.is_null())
    throw Fault{kInvalidRequest, "The body is no request of JSON-RPC 2.0 with an id."};
  if (version != "1.0")
    throw Fault{kVersionNotSupported, "This interface speaks A2A 1.0: send the header A2A-Version: 1.0."};
  return {id, method_of(method.get<std::string>()), member(*parsed, "params")};
}

}  // namespace

}  // namespace a2a

core::Task<core::HttpReply> answer_a2a(DoorWorld world, A2aCall call) {
  auto agent = co_await find_agent(world, call.caller.reach, call.slug);
  core::Json id;
  std::optional<a2a::Fault> fault;
  try {
    const auto request = a2a::read_request(call.body, call.version, id);
    a2a::Rpc rpc;
    rpc.desk = std::make_shared<const a2a::Desk>(a2a::Desk{world, std::move(call.caller), std::move(agent)});
    rpc.id = id;
    rpc.params = request.params;
    rpc.gone = call.gone;
    co_return co_await request.method(&rpc);
  } catch (const a2a::Fault& one) {
    fault = one;
  } catch (const core::Error& error) {
    if (error.kind() == core::ErrorKind::Internal) throw;
    fault = a2a::fault_of(error);
  }
  co_return core::json_reply(200, core::dump_json(a2a::error_reply(id, *fault)));
}

core::Task<core::HttpReply> a2a_card(DoorWorld world, Reach reach, std::string slug, std::string url) {
  const auto agent = co_await find_agent(world, reach, std::move(slug));
  auto reply = core::json_reply(200, core::dump_json(a2a::agent_card(agent.agent, *agent.graph, url)));
  reply.headers.set("cache-control", "private, max-age=60");
  reply.headers.set("etag", "\"" + core::sha256_hex(reply.body).substr(0, 32) + "\"");
  co_return reply;
}

}  // namespace assistiv::agents
