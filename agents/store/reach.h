#pragma once
// Whose threads, runs and items a caller reaches. It comes from the credential, never from an argument.
#include <optional>

#include "core/ids.h"

namespace assistiv::agents {

using ThreadId = core::Id<struct ThreadTag>;
using RunId = core::Id<struct RunTag>;
using CronId = core::Id<struct CronTag>;
// Version 6 (docs/agents.md): the order of the text is the order in time.
using CheckpointId = core::Id<struct CheckpointTag>;

// With an end user only what is theirs; without one all of the platform. Everything else does not exist.
struct Reach {
  core::PlatformId platform;
  std::optional<core::EndUserId> end_user;
};

}  // namespace assistiv::agents
