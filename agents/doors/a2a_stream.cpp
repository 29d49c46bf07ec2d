#include "agents/doors/a2a_stream.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agents/doors/answer_stream.h"
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
  stream->view = co_await find_task(stream->desk.get(), stream->view.first.id, true);
  // It may have been taken up again already.
  if (!stream->view.last.is_over()) co_return out;
  if (stream->view.last.status == "success") out.bytes += writer->answer(stream->view);
  out.bytes += writer->status(stream->view);
  out.over = true;
  co_return out;
}

core::Task<> follow(TaskStream* stream, std::shared_ptr<core::EventSink> sink) {
  Writer writer(*stream);
  if (!co_await sink->write(
          writer.event({{"task", task_json(*stream->desk->agent.graph, stream->view, 0, false)}})))
    co_return;
  while (!stream->gone.stop_requested()) {
    const auto events = co_await stream->follower->next(kKeepAlive, stream->gone);
    if (events.empty() && !co_await sink->write(": ping\n\n")) co_return;
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
