#pragma once
// A task as it goes on, as events. Internal to the door.
#include <memory>

#include "agents/doors/a2a_tasks.h"
#include "agents/store/event_log.h"
#include "core/http.h"

namespace assistiv::agents::a2a {

struct TaskStream {
  std::shared_ptr<const Desk> desk;
  core::Json request_id;
  TaskView view;
  std::shared_ptr<EventFollower> follower;  // of the thread
  std::stop_token gone;
};

// The task, then what becomes of it, until it is over or waits.
core::Task<> write_task(std::shared_ptr<TaskStream> stream, std::shared_ptr<core::EventSink> sink);

}  // namespace assistiv::agents::a2a
