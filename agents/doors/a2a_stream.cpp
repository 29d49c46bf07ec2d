#include "agents/doors/a2a_stream.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agents/doors/answer_stream.h"
#include "agents/store/outage.h"
#include "core/json_read.h"

namespace assistiv::agents::a2a {

namespace {

using core::Json;

constexpr std::chrono::seconds kKeepAlive{12};

// One stream's words.
class Writer {
 public:
  explicit Writer(const TaskStream& stream) : stream_(stream), text_(*stream.desk->agent.graph) {}

  std::string event(Json result) const {
    return core::sse_event(core::dump_json(result_reply(stream_.request_id, std::move(result))));
  }
  std::string status(const TaskView& view) const {
    return event({{"statusUpdate",
                   {{"taskId", view.first.id.str()},
                    {"contextId", view.first.thread.str()},
                    {"status", status_of(view)}}}});
  }
  // A piece of the answer.
  std::string piece(const RunEvent& event) {
    const auto text = text_.feed(event);
    return text.empty() ? "" : this->event(artifact_piece(stream_.view, text, !std::exchange(begun_, true)));
  }
  // The rest of the answer. The artifact of a completed task is the answer alone, so what was said on the
  // way is replaced.
  std::string answer(const TaskView& view) const {
    return event({{"artifactUpdate",
                   {{"taskId", view.first.id.str()},
                    {"contextId", view.first.thread.str()},
                    {"artifact", artifact_of(*stream_.desk->agent.graph, view)},
                    {"append", false},
                    {"lastChunk", true}}}});
  }

 private:
  const TaskStream& stream_;
  AnswerStream text_;
  bool begun_ = false;
};

// Whether the event is of the task; learns of runs that go on with it.
core::Task<bool> is_ours(TaskStream* stream, RunId run) {
  if (run == stream->view.last.id) co_return true;
  if (run < stream->view.last.id) co_return false;
  auto now = co_await find_task(stream->desk.get(), stream->view.first.id, false);
  stream->view = std::move(now);
  co_return run == stream->view.last.id;
}

// What is told of a task that is over; nothing while it is not.
core::Task<std::string> ending(TaskStream* stream, Writer* writer) {
  stream->view = co_await find_task(stream->desk.get(), stream->view.first.id, true);
  std::string out;
  if (!stream->view.last.is_over()) co_return out;
  if (stream->view.last.status == "success") out = writer->answer(stream->view);
  co_return out + writer->status(stream->view);
}

// A thread may be deleted, and a run rolled back, while somebody reads: no event tells of that. Throws the
// fault of a task that is gone. One that was waiting before may be waited for.
core::Task<bool> is_over(TaskStream* stream) {
  const auto now = co_await through_outage<TaskView>(
      [stream] { return find_task(stream->desk.get(), stream->view.first.id, false); }, kOutagePatience,
      stream->gone);
  co_return now.last.is_over() && !stream->view.last.is_over();
}

struct Told {
  std::string bytes;
  bool over = false;
};

core::Task<Told> tell(TaskStream* stream, Writer* writer, const LoggedEvent* logged) {
  Told out;
  const auto& event = logged->event;
  if (!co_await is_ours(stream, logged->run)) co_return out;
  if (event.method == "lifecycle" && event.ns.empty() && event.data.value("event", Json()) == "running" &&
      stream->view.last.status != "running") {
    stream->view.last.status = "running";
    stream->view.interrupts = Json::object();
    out.bytes = writer->status(stream->view);
  }
  out.bytes += writer->piece(event);
  if (event.method != "end") co_return out;
  const auto last = co_await ending(stream, writer);
  // It may have been taken up again already.
  out.over = !last.empty();
  out.bytes += last;
  co_return out;
}

core::Task<> follow(TaskStream* stream, std::shared_ptr<core::EventSink> sink) {
  Writer writer(*stream);
  if (!co_await sink->write(
          writer.event({{"task", task_json(*stream->desk->agent.graph, stream->view, 0, false)}})))
    co_return;
  bool ended = false;  // as its rows say
  while (!stream->gone.stop_requested()) {
    const auto events = co_await stream->follower->next(
        ended ? std::chrono::steady_clock::duration(0) : kKeepAlive, stream->gone);
    if (events.empty()) {
      auto bytes = ended ? co_await ending(stream, &writer) : std::string(": ping\n\n");
      const bool last = ended && !bytes.empty();
      if (!bytes.empty() && !co_await sink->write(std::move(bytes))) co_return;
      if (last) co_return;
      ended = co_await is_over(stream);
    }
    for (const auto& logged : events) {
      auto told = co_await tell(stream, &writer, &logged);
      if (!told.bytes.empty() && !co_await sink->write(std::move(told.bytes))) co_return;
      if (told.over) co_return;
    }
  }
}

}  // namespace

core::Task<> write_task(std::shared_ptr<TaskStream> stream, std::shared_ptr<core::EventSink> sink) {
  std::optional<Fault> fault;
  try {
    co_await follow(stream.get(), sink);
  } catch (const core::Error& error) {
    fault = Fault{kInternalError, error.message()};
  } catch (const Fault& one) {
    fault = one;
  }
  if (fault) co_await sink->write(core::sse_event(core::dump_json(error_reply(stream->request_id, *fault))));
}

}  // namespace assistiv::agents::a2a
