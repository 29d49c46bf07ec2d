#include "agents/runtime/run.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "agents/pregel/codec.h"
#include "agents/pregel/messages.h"
#include "agents/runtime/given.h"
#include "agents/runtime/questions.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {
namespace {

struct Ending {
  LevelEnd end = LevelEnd::Done;
  std::optional<core::Error> error;
};

// Requests the run's stop when it is cancelled, and when its time is over (max_active_s): calls under way
// end.
struct Deadline {
  std::stop_source stop;
  std::stop_source over;  // the run has ended
  bool passed = false;
};

// However it ends.
struct EndOfRun {
  Deadline& deadline;
  ~EndOfRun() { deadline.over.request_stop(); }
};

core::Task<void> wait_for_deadline(std::shared_ptr<Deadline> deadline, std::chrono::milliseconds left) {
  co_await core::sleep_for(left, deadline->over.get_token());
  if (deadline->over.stop_requested()) co_return;
  deadline->passed = true;
  deadline->stop.request_stop();
}

core::Task<std::shared_ptr<Deadline>> set_deadline(std::shared_ptr<RunState> run) {
  auto out = std::make_shared<Deadline>();
  if (const auto left = run->meter.time_left()) {
    run->world.tasks.spawn(co_await core::current_executor(), "agents.deadline",
                           [out, left = *left](std::stop_token) { return wait_for_deadline(out, left); });
  }
  co_return out;
}

void check_answer(const std::vector<pregel::Interrupt>& open, const std::string& id, const core::Json& answer,
                  const std::string& by) {
  for (const auto& one : open) {
    if (one.id != id) continue;
    if (const auto fault = answer_fault(one.value.json(), answer, by)) {
      throw core::Error(fault->forbidden ? core::ErrorKind::PermissionDenied : core::ErrorKind::Unprocessable,
                        fault->message)
          .with_code("INVALID_ANSWER");
    }
  }
}

bool may_steer(const RunSpec& spec) {
  return spec.by == "platform" || !asks_platform(*spec.graph);
}

std::string graph_id_in(const core::Json& metadata) {
  return metadata.is_object() ? metadata.value("graph_id", std::string()) : std::string();
}

// What another agent left is as its own runs were steered: its values and the nodes that come next.
void check_own_head(const RunSpec& spec, const StoredCheckpoint& head) {
  if (may_steer(spec) || graph_id_in(head.metadata) == graph_id_in(spec.metadata)) return;
  throw platform_only(
      "In a graph that asks its platform, an end user's key goes on from what the same agent has left: take "
      "a thread of its own.");
}

void record_command(RunState& run, Level& level) {
  const auto& spec = run.spec;
  if (!may_steer(spec) && !(spec.update.is_null() && spec.go_to.is_null()))
    throw platform_only("In a graph that asks its platform, an end user's key sends no update and no goto.");
  auto& rows = run.recorder.buffer().tasks;
  auto command = pregel::command_result(*level.program, spec.update, spec.go_to, run.world.random);
  // Nothing of it is kept before all of it is known to fit: an answer that was kept is given.
  (void)pregel::with_command(*level.program, level.head, command);
  if (spec.resumes) {
    const auto open = pregel::open_interrupts(pregel::plan(*level.program, level.head), level.pending);
    const auto answers = pregel::answers_of(spec.resume, open);
    for (const auto& [id, answer] : answers) check_answer(open, id, answer.json(), spec.by);
    for (const auto& [id, answer] : answers) {
      rows.push_back({level.head.id, "", Fact::Answer, id, answer.json()});
      level.pending.answers.insert_or_assign(id, answer);
    }
  }
  rows.push_back(
      {level.head.id, "", Fact::Command, "", {{"run", spec.run}, {"result", pregel::encode(command)}}});
  level.pending.commanded_by = spec.run;
  level.pending.command = std::move(command);
}

// What this run did before its process ended.
struct Earlier {
  bool stepped = false;    // the head is its own
  bool commanded = false;  // its Command is recorded beside the head
  bool any() const { return stepped || commanded; }
};

Earlier earlier_of(const RunState& run, const std::optional<StoredCheckpoint>& head) {
  if (!head) return {};
  return {head->metadata.value("run_id", std::string()) == run.spec.run,
          head->pending.commanded_by == run.spec.run};
}

// The thread's head, or the checkpoint that the run is to go on from.
core::Task<Earlier> load_base(std::shared_ptr<RunState> run, std::shared_ptr<Level> level) {
  auto head = co_await run->world.journal.load("", "");
  if (head) run->ids.seen(head->checkpoint.id);
  auto earlier = earlier_of(*run, head);
  if (head && !earlier.any()) check_own_head(run->spec, *head);
  const auto& wanted = run->spec.checkpoint;
  const bool forks = !wanted.empty() && !earlier.any() && (!head || head->checkpoint.id != wanted);
  if (forks && !may_steer(run->spec))
    throw platform_only(
        "In a graph that asks its platform, an end user's key goes on from where the thread stands.");
  if (forks) {
    head = co_await run->world.journal.load("", wanted);
    if (!head) throw core::not_found("there is no checkpoint " + wanted);
    earlier = earlier_of(*run, head);
    if (!earlier.any() && !run->spec.input && !run->spec.resumes) {
      level->stored = head->checkpoint;
      const pregel::Identity identity{run->ids.next(wanted, head->checkpoint.step + 1),
                                      run->world.clock.now()};
      record_checkpoint(*run, *level, pregel::fork(head->checkpoint, identity));
      tell_checkpoint(*run, *level);
      co_return earlier;
    }
  }
  if (!head) co_return earlier;
  level->stored = level->head = std::move(head->checkpoint);
  level->pending = std::move(head->pending);
  co_return earlier;
}

core::Task<void> prepare(std::shared_ptr<RunState> run, std::shared_ptr<Level> level) {
  auto& spec = run->spec;
  const auto earlier = co_await load_base(run, level);
  if (!earlier.any() && spec.input) {
    const auto faults = input_faults(*spec.graph, *spec.input, pregel::to_json(level->head.values));
    if (!faults.empty())
      throw core::Error(core::ErrorKind::Unprocessable, "the input: " + mcp::describe(faults))
          .with_code("INVALID_INPUT");
    level->pending = {};
    const pregel::Identity identity{run->ids.next(level->head.id, level->head.step + 1),
                                    run->world.clock.now()};
    record_checkpoint(*run, *level, pregel::begin(*level->program, level->head, *spec.input, identity));
    tell_checkpoint(*run, *level);
    co_return;
  }
  if (level->head.id.empty()) {
    throw core::Error(core::ErrorKind::Unprocessable, "the thread has nothing to go on from: give an input")
        .with_code("EMPTY_INPUT");
  }
  const bool commands = spec.resumes || !spec.update.is_null() || !spec.go_to.is_null();
  if (!earlier.any() && commands) record_command(*run, *level);
  // A breakpoint that this run has come to is not passed by taking the run up again.
  if (!earlier.stepped) pregel::pass_breakpoints(level->head);
  take_answers(*run, *level);
  run->answers = level->pending.answers;
  level->head = pregel::with_command(*level->program, level->head, level->pending.command);
}

RunStatus status_of(const Ending& ending) {
  if (!ending.error) return ending.end == LevelEnd::Done ? RunStatus::Success : RunStatus::Interrupted;
  if (ending.error->kind() == core::ErrorKind::Cancelled) return RunStatus::Interrupted;
  return ending.error->code() == "limit_active" ? RunStatus::Timeout : RunStatus::Error;
}

// A model's call of a tool without an answer makes the thread useless: no provider takes it again.
void close_open_calls(RunState& run, Level& level, const core::Error& error) {
  pregel::TaskResult answers;
  answers.edges = false;
  const bool cancelled = error.kind() == core::ErrorKind::Cancelled;
  for (const auto& key : level.program->graph().state) {
    const auto found = level.head.values.find(key.name);
    if (key.reducer != Reducer::Messages || found == level.head.values.end()) continue;
    auto messages = pregel::answers_for_open_calls(
        found->second.json(), cancelled ? "Cancelled by the user." : "The call failed.", run.world.random);
    if (!messages.empty())
      answers.writes.push_back(pregel::prepare_write(key, std::move(messages), run.world.random));
  }
  if (answers.writes.empty() || level.stored.id.empty()) return;
  auto next =
      pregel::fork(level.stored, {run.ids.next(level.head.id, level.head.step + 1), run.world.clock.now()});
  next.source = pregel::Source::Update;
  next.updated.clear();
  record_checkpoint(run, level, pregel::with_command(*level.program, next, answers));
}

// The thread goes on from where it stands, with the calls that its questions are about.
bool still_asks(const Level& level, const core::Error& error) {
  return error.kind() != core::ErrorKind::Cancelled &&
         !pregel::open_interrupts(pregel::plan(*level.program, level.head), level.pending).empty();
}

core::Json interrupts_of(const Level& level, const std::vector<pregel::PlannedTask>& tasks) {
  auto out = core::Json::object();
  for (const auto& task : tasks) {
    for (const auto& one : pregel::open_interrupts({task}, level.pending)) {
      out[task.id].push_back({{"id", one.id}, {"value", one.value.json()}});
    }
  }
  return out;
}

void tell_interrupts(RunState& run, const std::vector<pregel::Interrupt>& open) {
  auto list = core::Json::array();
  for (const auto& one : open) {
    list.push_back({{"id", one.id}, {"value", one.value.json()}});
    run.recorder.event("input.requested", one.ns, "",
                       {{"interrupt_id", one.id}, {"payload", one.value.json()}}, true);
  }
  run.recorder.event("updates", "", "", {{"__interrupt__", list}});
  run.recorder.event("values", "", "", {{"__interrupt__", list}});
}

void tell_end_of_run(RunState& run, const Ending& ending, RunStatus status) {
  core::Json life = {{"graph_name", run.spec.graph->name}};
  if (ending.error) {
    run.recorder.event("error", "", "",
                       {{"error", std::string(ending.error->code())}, {"message", ending.error->message()}},
                       true);
    life["error"] = ending.error->message();
  }
  life["event"] = status == RunStatus::Success       ? "completed"
                  : status == RunStatus::Interrupted ? "interrupted"
                                                     : "failed";
  run.recorder.event("lifecycle", "", "", std::move(life), true);
}

RunView view_of(RunState& run, Level& level, const Ending& ending) {
  RunView view;
  view.status = status_of(ending);
  if (ending.error) {
    view.error_code = ending.error->code();
    view.error_message = ending.error->message();
  }
  // A checkpoint that could not be planned from would not have been made.
  const auto tasks = pregel::plan(*level.program, level.head);
  view.values = pregel::to_json(level.head.values);
  view.next = pregel::next_of(tasks, level.pending);
  // A run that was cancelled waits for nobody; what its tasks ask stays beside the checkpoint.
  const bool cancelled = ending.error && ending.error->kind() == core::ErrorKind::Cancelled;
  view.interrupts = cancelled ? core::Json::object() : interrupts_of(level, tasks);
  view.checkpoint = level.head.id;
  if (!ending.error && ending.end == LevelEnd::Parked)
    tell_interrupts(run, pregel::open_interrupts(tasks, level.pending));
  return view;
}

core::Json output_of(const Level& level) {
  auto out = core::Json::object();
  for (const auto& key : level.program->graph().output) {
    const auto found = level.head.values.find(key);
    if (found != level.head.values.end()) out[key] = found->second.json();
  }
  return out;
}

core::Task<RunOutcome> conclude(std::shared_ptr<RunState> run, std::shared_ptr<Level> level, Ending ending) {
  RunOutcome out;
  out.drained = !ending.error && ending.end == LevelEnd::Drained;
  if (ending.error && !still_asks(*level, *ending.error)) {
    try {
      close_open_calls(*run, *level, *ending.error);
    } catch (const core::Error&) {
      // There is no room for the answers: the next call of a model brings its own.
    }
  }
  auto& buffer = run->recorder.buffer();
  out.view = view_of(*run, *level, ending);
  if (!out.drained) {
    tell_end_of_run(*run, ending, out.view.status);
    buffer.view = out.view;
    buffer.ends = true;
  }
  out.output = output_of(*level);
  out.totals = run->meter.totals();
  buffer.totals = out.totals;
  co_await run->recorder.finish();
  co_return out;
}

core::Task<RunOutcome> carry_through(std::shared_ptr<RunState> run) {
  auto level = std::make_shared<Level>();
  level->program = std::make_shared<pregel::Program>(run->spec.graph);
  const auto deadline = co_await set_deadline(run);
  const EndOfRun end{*deadline};
  const std::stop_callback forward(run->control->cancelled(),
                                   [source = deadline->stop]() mutable { source.request_stop(); });
  level->stop = deadline->stop.get_token();
  level->head = pregel::blank(*level->program, "");
  Ending ending;
  bool began = false;
  // A journal that cannot be read or written is no end of the run: whoever can goes on with it.
  const auto is_the_journals = [&](const core::Error& error) {
    return run->recorder.failed() || (!began && error.kind() == core::ErrorKind::Unavailable);
  };
  try {
    run->recorder.event(
        "lifecycle", "", "",
        {{"event", "running"}, {"graph_name", run->spec.graph->name}, {"attempt", run->spec.attempt}}, true);
    co_await prepare(run, level);
    began = true;
    ending.end = co_await run_level(run, level);
  } catch (const core::Error& error) {
    if (is_the_journals(error)) throw;
    ending.error = error;
  } catch (const std::exception& e) {
    if (run->recorder.failed()) throw;
    ending.error = core::internal(e.what());
  }
  if (ending.error && deadline->passed && !run->control->cancelled().stop_requested())
    ending.error = Meter::out_of_time();
  if (ending.error && ending.error->kind() == core::ErrorKind::Cancelled && run->control->is_revoked())
    ending.error = core::forbidden("Who asked for this run may not act any more, or not with this agent.")
                       .with_code("revoked");
  co_return co_await conclude(run, level, std::move(ending));
}

}  // namespace

core::Error platform_only(std::string message) {
  return core::forbidden(std::move(message)).with_code("platform_only");
}

core::Task<RunOutcome> execute(RunSpec spec, RunWorld world, std::shared_ptr<RunControl> control) {
  auto run = std::make_shared<RunState>(std::move(spec), world, std::move(control));
  std::exception_ptr fault;
  try {
    co_return co_await carry_through(run);
  } catch (...) {
    fault = std::current_exception();
  }
  run->control->note(run->meter.totals());
  // The journal is its caller's, who may go on with it or let it go.
  co_await run->recorder.idle();
  std::rethrow_exception(fault);
}

}  // namespace assistiv::agents
