#pragma once
// What the commands of the thread protocol have in common. Internal to thread_commands*.cpp.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "agents/store/run.h"
#include "api/routes/thread_commands.h"
#include "core/error.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::api::thread_commands {

// The command's own failure, with a code of the protocol.
core::Error command_fault(std::string code, std::string message);

struct Answer {
  core::Json result = core::Json::object();
  std::optional<std::int64_t> applied_through;  // of the thread's kept events
};

// One command while it is answered.
struct Work {
  AgentGateway& gateway;
  const ThreadCommand& command;
  const core::Json& params;

  const agents::Reach& reach() const { return command.caller.reach; }
  agents::ThreadId thread() const { return command.thread; }
};

// Null when it is not there.
const core::Json& param(const core::Json& params, const char* name);
// {} when it is not there.
core::Json object_param(const core::Json& params, const char* name);
std::string text_param(const core::Json& params, const char* name);
// As it is stored: "" for the root.
std::string namespace_param(const core::Json& params);
agents::CheckpointId checkpoint_of(const core::Json& given);

core::Task<agents::Run> last_run(const Work* work);

core::Task<Answer> get_state(const Work* work);
core::Task<Answer> list_checkpoints(const Work* work);
core::Task<Answer> get_tree(const Work* work);

}  // namespace assistiv::api::thread_commands
