#include "agents/service/thread_state.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agents/pregel/step.h"
#include "agents/runtime/run.h"
#include "agents/service/state_step.h"
#include "agents/service/state_view.h"
#include "agents/store/reply_page_store.h"
#include "core/error.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr int kShownDepthMax = 16;  // of subgraphs in one view
constexpr int kTriesMax = 16;       // of an update beside others

// What was made from the newest state is made anew from the one that came before it was written.
bool has_moved(const core::Error& error) {
  return error.code() == "state_moved";
}

core::Error no_such_checkpoint() {
  return core::not_found("There is no such checkpoint.");
}

core::Error no_graph() {
  return core::Error(core::ErrorKind::Unprocessable,
                     "This thread has no graph yet: name it in the thread's metadata (graph_id), or run it.")
      .with_code("no_graph");
}

std::string text_in(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Which version of which agent made a state.
struct Origin {
  std::optional<AgentId> agent;
  int version = 0;
  Json context = Json::object();
};

class StateService : public ThreadStates {
 public:
  StateService(ThreadStore& threads, RunStore& runs, AgentService& agents, AssistantService& assistants,
               const core::Clock& clock, core::Random& random)
      : threads_(threads),
        runs_(runs),
        agents_(agents),
        assistants_(assistants),
        clock_(clock),
        random_(random),
        ids_(clock, random) {}

  core::Task<Json> get(Reach reach, ThreadId id, StateQuery query) override {
    const auto thread = co_await threads_.get(reach, id);
    auto stored = co_await threads_.state(reach, id, query.ns, query.checkpoint);
    if (!stored && (query.checkpoint || !query.ns.empty())) throw no_such_checkpoint();
    if (!stored) co_return no_state_json(core::format_time(thread.created_at));
    const bool is_head = !query.checkpoint;
    if (is_head && !query.ns.empty()) {
      // Answers are kept beside the root.
      if (auto root = co_await threads_.state(reach, id, "", {}))
        stored->pending.answers = std::move(root->pending.answers);
    }
    const auto origin = co_await origin_of(reach, thread, *stored);
    const auto graph = graph_in(co_await graph_of(reach, origin), query.ns);
    std::size_t room = kReplyBytesMax;
    co_return co_await described(reach, id, std::move(*stored), graph, is_head,
                                 query.subgraphs ? kShownDepthMax : 0, query.subgraphs ? &room : nullptr);
  }

  core::Task<StatePage> history(Reach reach, ThreadId id, HistoryQuery query) override {
    const auto thread = co_await threads_.get(reach, id);
    auto page = co_await threads_.history(reach, id, query);
    StatePage out;
    out.more = page.more;
    std::map<std::string, GraphPtr> graphs;  // by run
    for (auto& stored : page.states) {
      const auto run = text_in(stored.metadata, "run_id");
      if (run.empty() || !graphs.contains(run)) {
        const auto origin = co_await origin_of(reach, thread, stored);
        graphs[run] = graph_in(co_await graph_of(reach, origin), query.ns);
      }
      out.states.push_back(co_await described(reach, id, std::move(stored), graphs[run], false, 0, nullptr));
    }
    co_return out;
  }

  core::Task<Json> update(Reach reach, ThreadId id, StateChange change) override {
    for (int i = 1;; ++i) {
      try {
        co_return co_await update_once(reach, id, change);
      } catch (const core::Error& error) {
        if (!has_moved(error) || i == kTriesMax) throw;
      }
    }
  }

  core::Task<> replay(Reach reach, ThreadId id, std::vector<Superstep> steps, bool own) override {
    for (int i = 1;; ++i) {
      try {
        co_return co_await replay_once(reach, id, steps, own);
      } catch (const core::Error& error) {
        if (!has_moved(error) || i == kTriesMax) throw;
      }
    }
  }

  core::Task<> check_own(Reach reach, ThreadId id) override {
    const auto thread = co_await threads_.get(reach, id);
    const auto origin = co_await origin_of(reach, thread, co_await threads_.state(reach, id, "", {}));
    co_await check_origin(reach, origin);
  }

 private:
  struct Base {
    StepFrom from;
    Json metadata;  // of what is made on top
  };

  core::Task<Json> update_once(Reach reach, ThreadId id, StateChange change) {
    if (change.own) co_await check_own(reach, id);
    auto base = co_await base_of(reach, id, change.ns, change.checkpoint, change.own);
    StateUpdate update;
    if (!change.checkpoint) update.made_from.push_back({change.ns, base.from.base.id});
    if (!change.ns.empty()) co_await add_child_fact(reach, id, change.ns, &update);
    StateWrite write;
    write.values = std::move(change.values);
    write.as_node = std::move(change.as_node);
    const auto next = co_await add_step(&base, &update, {std::move(write)});
    if (change.ns.empty()) {
      update.view = view_of(*base.from.program, next);
    } else {
      update.tasks.back().value = next.id;
    }
    co_await threads_.update_state(reach, id, std::move(update));
    co_return checkpoint_json(id.str(), next.ns, next.id, base.metadata["parents"]);
  }

  core::Task<> replay_once(Reach reach, ThreadId id, std::vector<Superstep> steps, bool own) {
    if (steps.empty()) co_return;
    auto base = co_await base_of(reach, id, "", {}, own);
    StateUpdate update;
    update.made_from.push_back({"", base.from.base.id});
    for (auto& step : steps) co_await add_step(&base, &update, std::move(step));
    update.view = view_of(*base.from.program, base.from.base);
    co_await threads_.update_state(reach, id, std::move(update));
  }

  core::Task<Origin> origin_of(Reach reach, Thread thread, std::optional<StoredCheckpoint> stored) {
    Origin out;
    const Json none = Json::object();
    const auto& metadata = stored ? stored->metadata : none;
    if (const auto run = RunId::parse(text_in(metadata, "run_id"))) {
      try {
        const auto found = co_await runs_.get(reach, *run);
        if (found.kwargs.is_object()) out.context = found.kwargs.value("context", Json::object());
        out.agent = AgentId{found.agent};
        out.version = found.agent_version;
        co_return out;
      } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::NotFound) throw;  // else the run was deleted
      }
    }
    out.agent = AgentId::parse(text_in(metadata, "agent_id"));
    out.version = metadata.value("agent_version", 0);
    if (out.agent && out.version > 0) co_return out;
    out.agent.reset();
    for (const char* member : {"assistant_id", "graph_id"}) {
      const auto name = text_in(thread.metadata, member);
      if (name.empty()) continue;
      try {
        const auto resolved = co_await assistants_.resolve(reach, name);
        out.agent = resolved.agent.id;
        out.version = resolved.agent.active_version;
        out.context = resolved.assistant.context;
        co_return out;
      } catch (const core::Error& error) {
        if (error.kind() != core::ErrorKind::NotFound) throw;
      }
    }
    co_return out;
  }

  // Null: the agent or its version is not there any more.
  core::Task<GraphPtr> graph_of(Reach reach, Origin origin) {
    if (!origin.agent) co_return nullptr;
    try {
      co_return co_await agents_.graph(reach.platform, *origin.agent, origin.version);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound && error.kind() != core::ErrorKind::InvalidArgument)
        throw;
    }
    co_return nullptr;
  }

  // The version that made the state, and the one that goes on from it.
  core::Task<> check_origin(Reach reach, Origin origin) {
    if (!origin.agent) co_return;
    auto graph = co_await graph_of(reach, origin);
    bool asks = graph && asks_platform(*graph);
    try {
      if (!asks) {
        origin.version = (co_await agents_.get(reach.platform, origin.agent->str())).agent.active_version;
        graph = co_await graph_of(reach, origin);
        asks = graph && asks_platform(*graph);
      }
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound) throw;  // else nothing of it goes on
    }
    if (asks)
      throw platform_only(
          "In a graph that asks its platform, an end user's key neither writes nor copies a state.");
  }

  core::Task<Json> described(Reach reach, ThreadId id, StoredCheckpoint stored, GraphPtr graph, bool is_head,
                             int depth, std::size_t* room) {
    StateOf state{id.str(), stored, nullptr, is_head};
    if (graph) state.program = std::make_shared<pregel::Program>(graph);
    auto out = state_json(state);
    if (room != nullptr) *room -= std::min(*room, bytes_of(out));
    for (auto& task : out["tasks"]) {
      if (depth == 0 || room == nullptr || *room == 0 || task["checkpoint"].is_null()) continue;
      const auto& place = task["checkpoint"];
      auto inner = co_await threads_.state(reach, id, place["checkpoint_ns"].get<std::string>(),
                                           CheckpointId::parse(place["checkpoint_id"].get<std::string>()));
      if (!inner) continue;
      inner->pending.answers = stored.pending.answers;
      task["state"] = co_await described(reach, id, std::move(*inner),
                                         graph_in(graph, task["name"].get<std::string>() + ":"), is_head,
                                         depth - 1, room);
      task["checkpoint"] = nullptr;
    }
    co_return out;
  }

  core::Task<Base> base_of(Reach reach, ThreadId id, std::string ns, std::optional<CheckpointId> checkpoint,
                           bool own) {
    const auto thread = co_await threads_.get(reach, id);
    if (thread.head) ids_.seen(thread.head->str());
    auto stored = co_await threads_.state(reach, id, ns, checkpoint);
    if (!stored && (checkpoint || !ns.empty())) throw no_such_checkpoint();
    const auto origin = co_await origin_of(reach, thread, stored);
    if (own) co_await check_origin(reach, origin);
    const auto graph = graph_in(co_await graph_of(reach, origin), ns);
    if (!graph) throw no_graph();
    Base out;
    out.from.program = std::make_shared<pregel::Program>(graph);
    out.from.thread = id.str();
    out.from.context = origin.context.is_object() ? origin.context : Json::object();
    out.from.user = {{"id", reach.end_user ? Json(reach.end_user->str()) : Json(nullptr)}};
    const auto agent = co_await agents_.get(reach.platform, origin.agent->str());
    out.metadata = {{"agent_id", origin.agent->str()},
                    {"agent_version", origin.version},
                    {"graph_id", agent.agent.slug},
                    {"parents", Json::object()}};
    if (!stored) {
      out.from.base = pregel::blank(*out.from.program, ns);
      co_return out;
    }
    out.metadata["parents"] = stored->metadata.value("parents", Json::object());
    out.from.base = std::move(stored->checkpoint);
    out.from.pending = std::move(stored->pending);
    co_return out;
  }

  // One more checkpoint, from which the next goes on.
  core::Task<pregel::Checkpoint> add_step(Base* base, StateUpdate* update, Superstep writes) {
    auto next = co_await make_step(base->from, std::move(writes), {clock_, random_, ids_});
    update->checkpoints.push_back(
        checkpoint_row(base->from.base, next, base->from.program->untracked(), base->metadata));
    base->from.base = next;
    base->from.pending = {};
    co_return next;
  }

  static RunView view_of(const pregel::Program& program, const pregel::Checkpoint& head) {
    RunView view;
    view.values = pregel::to_json(head.values);
    view.next = pregel::next_of(pregel::plan(program, head), {});
    view.interrupts = Json::object();
    view.checkpoint = head.id;
    return view;
  }

  // Where the task above notes the head of the subgraph in `ns`; its value is not set yet.
  core::Task<> add_child_fact(Reach reach, ThreadId id, std::string ns, StateUpdate* update) {
    const auto above = parent_namespace(ns);
    const auto thread = co_await threads_.get(reach, id);
    const auto stored = co_await threads_.state(reach, id, above, {});
    if (!stored) throw no_such_checkpoint();
    const auto origin = co_await origin_of(reach, thread, stored);
    const auto graph = graph_in(co_await graph_of(reach, origin), above);
    if (!graph) throw no_graph();
    const StateOf state{id.str(), *stored, std::make_shared<pregel::Program>(graph), true};
    for (const auto& task : tasks_of(state)) {
      if (task.child_ns != ns) continue;
      update->made_from.push_back({above, stored->checkpoint.id});
      update->tasks.push_back({stored->checkpoint.id, task.id, Fact::Child, "", nullptr});
      co_return;
    }
    throw core::Error(core::ErrorKind::Unprocessable, "no subgraph is open in this namespace")
        .with_code("INVALID_GRAPH_UPDATE");
  }

  ThreadStore& threads_;
  RunStore& runs_;
  AgentService& agents_;
  AssistantService& assistants_;
  const core::Clock& clock_;
  core::Random& random_;
  pregel::CheckpointIds ids_;
};

}  // namespace

std::unique_ptr<ThreadStates> make_thread_states(ThreadStore& threads, RunStore& runs, AgentService& agents,
                                                 AssistantService& assistants, const core::Clock& clock,
                                                 core::Random& random) {
  return std::make_unique<StateService>(threads, runs, agents, assistants, clock, random);
}

}  // namespace assistiv::agents
