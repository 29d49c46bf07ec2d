#include "agents/doors/a2a_tasks.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/pregel/codec.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"

namespace assistiv::agents::a2a {

namespace {

using core::Json;

constexpr int kRunsMax = 200;    // of one thread, that are looked at for a task
constexpr int kTasksMax = 1000;  // that a list looks at
constexpr int kTasksAtOnce = 100;
constexpr std::size_t kGivenUpMax = 100;
constexpr const char* kMark = "a2a";               // in the metadata of a task's first run: the agent's slug
constexpr const char* kCanceled = "a2a_canceled";  // in a thread's: runs that wait for nobody any more

bool resumes(const Run& run) {
  const auto command = run.kwargs.is_object() ? run.kwargs.value("command", Json()) : Json();
  return command.is_object() && command.contains("resume");
}

// Nothing else of what a run was given is asked for, and it may be megabytes.
void forget_input(Run& run) {
  run.kwargs = resumes(run) ? Json{{"command", {{"resume", nullptr}}}} : Json::object();
}

Fault no_task() {
  return {kTaskNotFound, "There is no such task."};
}

bool is_given_up(const Thread& thread, const Run& run) {
  const auto ids = thread.metadata.is_object() ? thread.metadata.value(kCanceled, Json()) : Json();
  return ids.is_array() && std::find(ids.begin(), ids.end(), Json(run.id.str())) != ids.end();
}

// The runs that went on with `first`; sets whether the last of them is the thread's newest.
core::Task<bool> follow_chain(const Desk* desk, TaskView* view) {
  std::vector<Run> later;  // oldest last
  bool found = false;
  RunSearch query{.thread = view->first.thread, .limit = kRunsMax};
  while (!found && query.offset < kRunsMax) {
    auto runs = co_await desk->world.run_rows.list(desk->caller.reach, query);
    if (runs.empty()) break;
    query.offset += static_cast<int>(runs.size());
    for (auto& run : runs) {
      found = run.id == view->first.id;
      if (found) break;
      forget_input(run);
      later.push_back(std::move(run));
    }
  }
  if (!found) co_return false;
  while (!later.empty() && resumes(later.back())) {
    view->last = std::move(later.back());
    later.pop_back();
  }
  co_return later.empty();
}

// What the thread's state was when the run ended.
core::Task<> read_values(const Desk* desk, TaskView* view) {
  HistoryQuery query;
  query.metadata = {{"run_id", view->last.id.str()}};
  query.limit = 1;
  const auto found = co_await desk->world.threads.history(desk->caller.reach, view->first.thread, query);
  if (found.states.empty()) co_return;
  view->values = pregel::to_json(found.states.front().checkpoint.values);
  view->output = Json::object();
  for (const auto& key : desk->agent.graph->output) {
    if (view->values.contains(key)) view->output[key] = view->values.at(key);
  }
}

core::Task<TaskView> view_of(const Desk* desk, Run first, bool with_values) {
  TaskView view;
  view.first = view.last = std::move(first);
  view.interrupts = Json::object();
  if (view.last.status == "interrupted") {
    const bool newest = co_await follow_chain(desk, &view);
    if (newest && view.last.status == "interrupted") {
      const auto thread = co_await desk->world.threads.get(desk->caller.reach, view.first.thread);
      if (!is_given_up(thread, view.last)) view.interrupts = thread.interrupts;
    }
  }
  if (with_values) co_await read_values(desk, &view);
  co_return view;
}

core::Task<Run> start(const Desk* desk, std::optional<ThreadId> thread, Json body) {
  RunRequest request;
  request.thread = thread;
  request.body = std::move(body);
  request.body["assistant_id"] = desk->agent.agent.slug;
  request.body["if_not_exists"] = "create";
  request.body["on_completion"] = "keep";
  request.body["stream_mode"] = {"messages"};
  co_return (co_await desk->world.runs.create(desk->caller, std::move(request))).run;
}

core::Task<TaskView> go_on(const Desk* desk, Incoming incoming) {
  auto view = co_await find_task(desk, *incoming.task, false);
  if (incoming.context && *incoming.context != view.first.thread)
    throw Fault{kInvalidParams, "The task is not of this contextId."};
  const auto state = state_of(view.last, view.interrupts);
  if (is_terminal(state)) throw Fault{kUnsupportedOperation, "The task is over: start another one."};
  const auto waiting = waiting_of(view.interrupts);
  if (waiting.empty()) throw Fault{kUnsupportedOperation, "The task is at work and waits for nothing."};
  Json body = {{"command", {{"resume", answer_of(waiting, incoming)}}}, {"metadata", {{"door", "a2a"}}}};
  view.last = co_await start(desk, view.first.thread, std::move(body));
  view.interrupts = Json::object();
  co_return view;
}

}  // namespace

core::Task<TaskView> find_task(const Desk* desk, RunId id, bool with_values) {
  std::optional<Run> first;
  try {
    first = co_await desk->world.run_rows.get(desk->caller.reach, id);
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::NotFound) throw;
  }
  if (!first || first->agent != desk->agent.agent.id.uuid) throw no_task();
  co_return co_await view_of(desk, std::move(*first), with_values);
}

core::Task<TaskView> send(const Desk* desk, Incoming incoming) {
  if (incoming.task) co_return co_await go_on(desk, std::move(incoming));
  Json body = {{"input", input_of(*desk->agent.graph, incoming)},
               {"metadata", {{"door", "a2a"}, {kMark, desk->agent.agent.slug}}}};
  TaskView view;
  view.first = view.last = co_await start(desk, incoming.context, std::move(body));
  view.interrupts = Json::object();
  co_return view;
}

core::Task<TaskView> cancel(const Desk* desk, RunId id, std::stop_token stop) {
  auto view = co_await find_task(desk, id, false);
  if (is_terminal(state_of(view.last, view.interrupts)))
    throw Fault{kTaskNotCancelable, "The task is over already."};
  if (!view.last.is_over()) {
    co_await desk->world.runs.cancel(desk->caller.reach, view.last.id, CancelAction::Interrupt, true, stop);
    co_return co_await find_task(desk, id, false);
  }
  const auto thread = co_await desk->world.threads.get(desk->caller.reach, view.first.thread);
  auto ids = thread.metadata.is_object() ? thread.metadata.value(kCanceled, Json::array()) : Json::array();
  ids.push_back(view.last.id.str());
  // Only the newest run of a thread is asked about; a few more in case that one is deleted.
  if (ids.size() > kGivenUpMax) ids.erase(0);
  ThreadPatch patch;
  patch.metadata = {{kCanceled, std::move(ids)}};
  co_await desk->world.threads.update(desk->caller.reach, view.first.thread, std::move(patch));
  // Nor does what it waited for wake it: a connection, an approval, its time.
  co_await desk->world.threads.forget_waits(desk->caller.reach, view.first.thread);
  view.interrupts = Json::object();
  co_return view;
}

core::Task<TaskPage> list_tasks(const Desk* desk, TaskQuery query) {
  RunSearch search;
  search.thread = query.context;
  search.metadata = {{kMark, desk->agent.agent.slug}};
  search.limit = kTasksAtOnce;
  std::vector<TaskView> all;
  while (search.offset < kTasksMax) {
    auto runs = co_await desk->world.run_rows.list(desk->caller.reach, search);
    if (runs.empty()) break;
    search.offset += static_cast<int>(runs.size());
    for (auto& run : runs) {
      forget_input(run);
      auto view = co_await view_of(desk, std::move(run), false);
      if (!query.state.empty() && state_of(view.last, view.interrupts) != query.state) continue;
      if (query.updated_after && view.last.updated_at <= *query.updated_after) continue;
      all.push_back(std::move(view));
    }
  }
  std::stable_sort(all.begin(), all.end(), [](const TaskView& a, const TaskView& b) {
    return a.last.updated_at > b.last.updated_at;
  });
  TaskPage out;
  out.total = static_cast<int>(all.size());
  for (int i = query.offset; i < out.total && i < query.offset + query.size; ++i) {
    if (query.with_values) co_await read_values(desk, &all[static_cast<std::size_t>(i)]);
    out.tasks.push_back(std::move(all[static_cast<std::size_t>(i)]));
  }
  co_return out;
}

}  // namespace assistiv::agents::a2a
