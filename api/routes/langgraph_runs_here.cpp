// Runs of which nothing is kept: carried out beside the reply, which is fed from memory.
#include <mutex>
#include <string>
#include <utility>

#include "api/routes/langgraph_run_streams.h"
#include "core/async.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using core::Json;
using SinkPtr = std::shared_ptr<core::EventSink>;

constexpr std::chrono::seconds kStreamBeat{5};
constexpr std::chrono::seconds kNewlineBeat{1};
constexpr std::size_t kWaitingMax = 8 << 20;  // bytes that the client has not taken yet

agents::LegacyEvents encoder_of(const RunHere& here) {
  agents::StreamedRun run;
  run.run = here.request.id->str();
  run.thread = run.run;
  run.assistant = run.graph = here.request.body.value("assistant_id", std::string());
  return agents::LegacyEvents(run, {here.modes, here.subgraphs, false});
}

// Between the run and its reply.
struct Errand {
  explicit Errand(RunHere what) : here(std::move(what)), out(encoder_of(here)), text(out.begin(1)) {}

  RunHere here;
  std::stop_source stop;
  core::AsyncEvent news;

  std::mutex mutex;
  agents::LegacyEvents out;
  std::string text;  // of events that are not taken yet
  bool begun = false;
  bool done = false;
  std::optional<agents::RunResult> result;
  std::optional<core::Error> error;

  void add(const agents::RunEvent& event) {
    bool full = false;
    {
      const std::lock_guard lock(mutex);
      begun = true;
      full = text.size() > kWaitingMax;
      if (!full) text += out.encode(event);
    }
    // Who reads so slowly loses the run: there is nothing to come back to.
    if (full) stop.request_stop();
    news.set();
  }
  void finish(std::optional<agents::RunResult> with, std::optional<core::Error> fault) {
    {
      const std::lock_guard lock(mutex);
      result = std::move(with);
      error = std::move(fault);
      done = true;
    }
    news.set();
  }
  // With the stream's end, once the run is over.
  std::string take() {
    const std::lock_guard lock(mutex);
    if (done && !out.ended())
      text += out.close(error ? Json{{"error", error->code()}, {"message", error->message()}}
                              : result->run.error);
    return std::exchange(text, {});
  }
  bool is_done() {
    const std::lock_guard lock(mutex);
    return done;
  }
  bool has_begun() {
    const std::lock_guard lock(mutex);
    return begun || done;
  }
};
using ErrandPtr = std::shared_ptr<Errand>;

core::Task<> carry_out_here(ErrandPtr errand, bool watched, std::stop_token stopping) {
  const std::stop_callback forward(stopping, [errand] { errand->stop.request_stop(); });
  std::function<void(const agents::RunEvent&)> watch;
  if (watched) watch = [errand](const agents::RunEvent& event) { errand->add(event); };
  try {
    auto result = co_await errand->here.gateway->runs.run_here(errand->here.caller, errand->here.request,
                                                               std::move(watch), errand->stop.get_token());
    errand->finish(std::move(result), {});
  } catch (const core::Error& error) {
    errand->finish({}, error);
  } catch (const std::exception& error) {
    errand->finish({}, core::internal(error.what()));
  }
}

core::Task<ErrandPtr> set_out(RunHere here, bool watched) {
  auto errand = std::make_shared<Errand>(std::move(here));
  const auto executor = co_await core::current_executor();
  errand->here.gateway->background->spawn(
      executor, "agents.here",
      [errand, watched](std::stop_token stopping) { return carry_out_here(errand, watched, stopping); });
  co_return errand;
}

std::string path_of(const Errand& errand) {
  return "/runs/" + errand.here.request.id->str();
}

std::string here_answer(Errand& errand) {
  const std::lock_guard lock(errand.mutex);
  if (errand.error) {
    return core::dump_json(
        {{"__error__", {{"error", errand.error->code()}, {"message", errand.error->message()}}}});
  }
  return run_answer(*errand.result);
}

core::HttpReply here_reply(const Errand& errand, std::string body) {
  auto reply = core::json_reply(200, std::move(body));
  reply.headers.add("content-location", path_of(errand));
  return reply;
}

core::Task<> pump_here_answer(ErrandPtr errand, SinkPtr sink) {
  while (!errand->is_done()) {
    if (!co_await sink->write("\n")) {
      errand->stop.request_stop();
      co_return;
    }
    co_await errand->news.wait_for(kNewlineBeat);
  }
  co_await sink->write(here_answer(*errand));
}

core::Task<> pump_here_events(ErrandPtr errand, SinkPtr sink) {
  std::string text;
  while (true) {
    const bool last = errand->is_done();
    text += errand->take();
    if (!text.empty() && !co_await sink->write(std::exchange(text, {}))) break;
    if (last) co_return;
    // Also while the server is stopping: it waits for replies for a while, and this one has no other end.
    if (!co_await errand->news.wait_for(kStreamBeat)) text = ": heartbeat\n";
  }
  errand->stop.request_stop();
}

}  // namespace

core::Task<core::HttpReply> await_here(RunHere here) {
  const auto gone = here.gone;
  const auto errand = co_await set_out(std::move(here), false);
  const auto until = std::chrono::steady_clock::now() + kNewlineBeat;
  while (!errand->is_done() && !gone.stop_requested() && std::chrono::steady_clock::now() < until) {
    co_await errand->news.wait_for(until - std::chrono::steady_clock::now(), gone);
  }
  if (gone.stop_requested()) errand->stop.request_stop();
  if (errand->is_done()) {
    if (errand->error) throw core::Error(*errand->error);
    co_return here_reply(*errand, run_answer(*errand->result));
  }
  auto reply = here_reply(*errand, "");
  reply.headers.add("x-accel-buffering", "no");
  reply.stream = [errand](SinkPtr sink) { return pump_here_answer(errand, std::move(sink)); };
  co_return reply;
}

core::Task<core::HttpReply> stream_here(RunHere here) {
  const auto gone = here.gone;
  const auto errand = co_await set_out(std::move(here), true);
  while (!errand->has_begun() && !gone.stop_requested()) co_await errand->news.wait_for(kStreamBeat, gone);
  if (gone.stop_requested()) errand->stop.request_stop();
  if (errand->is_done() && errand->error) {
    const std::lock_guard lock(errand->mutex);
    if (!errand->begun) throw core::Error(*errand->error);
  }
  core::HttpReply reply;
  reply.headers.add("content-type", "text/event-stream");
  reply.headers.add("cache-control", "no-cache, no-transform");
  reply.headers.add("x-accel-buffering", "no");
  reply.headers.add("content-location", path_of(*errand));
  reply.stream = [errand](SinkPtr sink) { return pump_here_events(errand, std::move(sink)); };
  co_return reply;
}

}  // namespace assistiv::api
