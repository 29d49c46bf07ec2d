#include "api/routes/langgraph_run_streams.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <utility>

#include "agents/store/event_log.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "api/wire/langgraph.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using agents::LegacyEvents;
using core::Json;
using SinkPtr = std::shared_ptr<core::EventSink>;
using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kHeartbeat{5};
// A comment without an empty line after it: an empty line would end an event.
constexpr std::string_view kHeartbeatLine = ": heartbeat\n";
constexpr std::chrono::seconds kAnswerBeat{1};  // between the newlines before an answer
constexpr std::size_t kWriteAt = 64 << 10;

core::HttpReply event_reply(const std::string& run, bool can_come_back) {
  core::HttpReply reply;
  reply.headers.add("content-type", "text/event-stream");
  reply.headers.add("cache-control", "no-cache, no-transform");
  reply.headers.add("x-accel-buffering", "no");
  if (!run.empty()) reply.headers.add("content-location", run);
  if (can_come_back) reply.headers.add("location", run + "/stream");
  return reply;
}

agents::StreamedRun named(const agents::Run& run) {
  const auto graph = run.metadata.is_object() ? run.metadata.value("graph_id", Json()) : Json();
  return {run.id.str(), run.thread.str(), run.assistant.str(),
          graph.is_string() ? graph.get<std::string>() : ""};
}

// The connection was closed by the client, or the server is stopping and the client is still there.
core::Task<bool> is_gone(SinkPtr sink) {
  co_return !co_await sink->write(std::string(kHeartbeatLine));
}

// Ends a stream so that the client sees that it was cut, and comes back.
[[noreturn]] void cut() {
  throw core::Error(core::ErrorKind::Cancelled, "The server is stopping.");
}

// The run as it is now; nothing when it was deleted or rolled back.
core::Task<std::optional<agents::Run>> present(AgentGateway* gateway, agents::Reach reach, agents::RunId id,
                                               std::stop_token gone) {
  try {
    co_return co_await gateway->run_rows.await_row(reach, id, std::move(gone));
  } catch (const core::Error& error) {
    if (error.kind() == core::ErrorKind::NotFound) co_return std::nullopt;
    throw;
  }
}

core::Task<> leave(std::shared_ptr<RunWatch> watch) {
  if (!watch->cancel_on_disconnect) {
    if (watch->lost) watch->lost();
    co_return;
  }
  try {
    co_await watch->gateway->runs.cancel(watch->reach, watch->run.id, agents::CancelAction::Interrupt, false,
                                         {});
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
}

// ---- a run that is kept ----

// Writes what the events give. False: the client is gone.
core::Task<bool> write_events(std::shared_ptr<LegacyEvents> out, std::vector<agents::LoggedEvent> events,
                              SinkPtr sink) {
  std::string text;
  for (const auto& one : events) {
    text += out->encode(one.event);
    if (text.size() < kWriteAt) continue;
    if (!co_await sink->write(std::exchange(text, {}))) co_return false;
  }
  co_return text.empty() || co_await sink->write(std::move(text));
}

// Nothing has come for a while. False: the client is gone.
core::Task<bool> look_after(std::shared_ptr<RunWatch> watch, std::shared_ptr<LegacyEvents> out,
                            std::shared_ptr<agents::EventFollower> follower, SinkPtr sink) {
  const auto run = co_await present(watch->gateway, watch->reach, watch->run.id, watch->gone);
  if (run && !run->is_over()) co_return co_await sink->write(std::string(kHeartbeatLine));
  // What was written before it was over.
  auto last = co_await follower->next(std::chrono::seconds(0));
  while (!last.empty()) {
    if (!co_await write_events(out, std::move(last), sink)) co_return false;
    last = co_await follower->next(std::chrono::seconds(0));
  }
  if (out->ended()) co_return true;
  co_return co_await sink->write(out->close(run ? run->error : Json()));
}

core::Task<bool> follow_run(std::shared_ptr<RunWatch> watch, SinkPtr sink) {
  const auto& run = watch->run;
  const auto out = std::make_shared<LegacyEvents>(
      named(run), agents::LegacyOptions{watch->modes, watch->subgraphs, true}, watch->cursor);
  if (watch->cursor.after <= run.base_seq && !co_await sink->write(out->begin(run.attempt))) co_return false;
  const std::shared_ptr<agents::EventFollower> follower = co_await watch->gateway->events.follow(
      watch->reach, run.thread, std::max(watch->cursor.after, run.base_seq), run.id);
  const auto patience = run.is_over() ? std::chrono::seconds(0) : kHeartbeat;
  while (!out->ended()) {
    auto events = co_await follower->next(patience, watch->gone);
    const bool silent = events.empty();
    if (!co_await write_events(out, std::move(events), sink)) co_return false;
    if (out->ended()) break;
    if (watch->gone.stop_requested()) {
      if (co_await is_gone(sink)) co_return false;
      cut();
    }
    if (silent && !co_await look_after(watch, out, follower, sink)) co_return false;
  }
  co_return true;
}

core::Task<> pump_run(std::shared_ptr<RunWatch> watch, SinkPtr sink) {
  if (!co_await follow_run(watch, std::move(sink))) co_await leave(watch);
}

// ---- answers ----

std::string failure_of(const core::Error& error) {
  return core::dump_json({{"__error__", {{"error", error.code()}, {"message", error.message()}}}});
}

std::string path_of_watch(const RunWatch& watch) {
  return watch.path.empty() ? run_path(watch.run) : watch.path;
}

std::string answer_of_watch(const RunWatch& watch, const agents::RunResult& result) {
  return watch.answer ? watch.answer(result) : run_answer(result);
}

core::HttpReply answer_reply(const std::string& path, std::string body) {
  auto reply = core::json_reply(200, std::move(body));
  reply.headers.add("content-location", path);
  return reply;
}

// Newlines until the answer is there.
core::Task<> pump_answer(std::shared_ptr<RunWatch> watch, SinkPtr sink) {
  std::string answer;
  while (answer.empty()) {
    if (!co_await sink->write("\n")) {
      co_await leave(watch);
      co_return;
    }
    if (watch->gone.stop_requested()) cut();
    try {
      const auto result = co_await watch->gateway->runs.wait(watch->reach, watch->run.id,
                                                             Steady::now() + kAnswerBeat, watch->gone);
      if (result) answer = answer_of_watch(*watch, *result);
    } catch (const core::Error& error) {
      answer = watch->failure ? watch->failure(error) : failure_of(error);
    }
  }
  co_await sink->write(std::move(answer));
}

// ---- threads ----

struct ThreadStream {
  ThreadWatch watch;
  std::map<agents::RunId, std::shared_ptr<LegacyEvents>> runs;  // those that are not over
};

// What a run was made to tell.
std::shared_ptr<LegacyEvents> encoder_for(const ThreadStream& stream, const agents::Run& run) {
  agents::LegacyOptions options;
  if (stream.watch.runs) {
    for (const auto& mode : run.kwargs.value("stream_mode", Json::array()))
      if (mode.is_string() && mode != "tools" && mode != "lifecycle") options.modes.insert(mode);
    options.subgraphs = run.kwargs.value("stream_subgraphs", false);
  }
  return std::make_shared<LegacyEvents>(named(run), std::move(options), stream.watch.cursor);
}

std::string run_is_done(const agents::LoggedEvent& event) {
  const Json data = {{"status", "run_done"}, {"run_id", event.run.str()}};
  return "event: metadata\ndata: " + core::dump_json(data) + "\nid: " + std::to_string(event.event.seq) +
         "\n\n";
}

core::Task<std::string> thread_frames(std::shared_ptr<ThreadStream> stream, agents::LoggedEvent event) {
  const auto& watch = stream->watch;
  std::string text;
  auto found = stream->runs.find(event.run);
  if (found == stream->runs.end()) {
    const auto run = co_await present(watch.gateway, watch.reach, event.run, watch.gone);
    if (!run) co_return text;
    found = stream->runs.emplace(event.run, encoder_for(*stream, *run)).first;
    text = found->second->begin(run->attempt);
  }
  const bool is_end = event.event.method == "end";
  auto frames = found->second->encode(event.event);
  if (watch.runs) text += frames;
  if (is_end && watch.lifecycle) text += run_is_done(event);
  if (is_end) stream->runs.erase(found);
  co_return text;
}

core::Task<> pump_thread(std::shared_ptr<ThreadStream> stream, SinkPtr sink) {
  const auto& watch = stream->watch;
  const auto follower = co_await watch.gateway->events.follow(watch.reach, watch.thread, watch.cursor.after);
  while (true) {
    const auto events = co_await follower->next(kHeartbeat, watch.gone);
    for (const auto& one : events) {
      auto text = co_await thread_frames(stream, one);
      if (!text.empty() && !co_await sink->write(std::move(text))) co_return;
    }
    if (watch.gone.stop_requested()) {
      if (co_await is_gone(sink)) co_return;
      cut();
    }
    if (!events.empty()) continue;
    if (!co_await watch.gateway->threads.find(watch.reach, watch.thread)) co_return;
    if (!co_await sink->write(std::string(kHeartbeatLine))) co_return;
  }
}

}  // namespace

std::string run_answer(const agents::RunResult& result) {
  if (result.run.error.is_object()) return core::dump_json({{"__error__", result.run.error}});
  Json out = result.values.is_null() ? Json::object() : result.values;
  const auto interrupts = langgraph::open_interrupts(result.interrupts);
  if (!interrupts.empty() && out.is_object()) out["__interrupt__"] = interrupts;
  return core::dump_json(out);
}

std::string run_path(const agents::Run& run) {
  if (run.thread_is_temporary) return "/runs/" + run.id.str();
  return "/threads/" + run.thread.str() + "/runs/" + run.id.str();
}

core::HttpReply stream_run(RunWatch watch) {
  auto reply = event_reply(path_of_watch(watch), true);
  reply.stream = [watch = std::make_shared<RunWatch>(std::move(watch))](SinkPtr sink) {
    return pump_run(watch, std::move(sink));
  };
  return reply;
}

core::Task<core::HttpReply> await_run(RunWatch watch) {
  const auto path = path_of_watch(watch);
  const auto result =
      co_await watch.gateway->runs.wait(watch.reach, watch.run.id, Steady::now() + kAnswerBeat, watch.gone);
  if (result) co_return answer_reply(path, answer_of_watch(watch, *result));
  const auto shared = std::make_shared<RunWatch>(std::move(watch));
  if (shared->gone.stop_requested()) co_await leave(shared);
  auto reply = answer_reply(path, "");
  reply.headers.add("x-accel-buffering", "no");
  reply.stream = [shared](SinkPtr sink) { return pump_answer(shared, std::move(sink)); };
  co_return reply;
}

core::HttpReply stream_thread(ThreadWatch watch) {
  auto reply = event_reply("", false);
  reply.headers.add("location", "/threads/" + watch.thread.str() + "/stream");
  const auto stream = std::make_shared<ThreadStream>();
  stream->watch = std::move(watch);
  reply.stream = [stream](SinkPtr sink) { return pump_thread(stream, std::move(sink)); };
  return reply;
}

}  // namespace assistiv::api
