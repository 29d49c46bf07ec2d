#pragma once
// Tasks of A2A over runs and threads. A task is named by its first run; a run that resumes it is part of it,
// whichever door it came through. Internal to the door.
#include <optional>
#include <string>
#include <vector>

#include "agents/doors/a2a_shapes.h"
#include "agents/doors/agent_door.h"
#include "core/clock.h"

namespace assistiv::agents::a2a {

// One caller at one agent.
struct Desk {
  DoorWorld world;
  RunCaller caller;
  DoorAgent agent;
};

// Throws Fault: there is none for this caller at this agent. Without `with_values` only its state.
core::Task<TaskView> find_task(const Desk* desk, RunId id, bool with_values);

// Starts a task, or goes on with the one that the message names. Throws Fault, core::Error.
core::Task<TaskView> send(const Desk* desk, Incoming incoming);

// Asks the run to stop, or gives up what it waits for.
core::Task<TaskView> cancel(const Desk* desk, RunId id, std::stop_token stop);

struct TaskQuery {
  std::optional<ThreadId> context;
  std::string state;  // "": any
  std::optional<core::Time> updated_after;
  int size = 50;
  int offset = 0;
  bool with_values = false;
};
struct TaskPage {
  std::vector<TaskView> tasks;  // newest first
  int total = 0;
};
// Of the newest 1,000 tasks of this agent.
core::Task<TaskPage> list_tasks(const Desk* desk, TaskQuery query);

}  // namespace assistiv::agents::a2a
