#pragma once
// Questions whose answer made their task fail: they are open again beside the answer, which stays for a run
// that only tries again (decision 86). Internal to runtime/.
#include "agents/pregel/checkpoint.h"
#include "agents/runtime/run_state.h"

namespace assistiv::agents {

// The task has failed: its questions may be answered anew, but for those by whose answer an act was done. A
// result that could not be applied is taken back.
void reopen_questions(const TaskRun& task);
// A subgraph has failed: of its questions those are open again in the task above that are in it.
void reopen_above(RunState& run, Level& inner);
// A run goes on from here with the answers there are.
void take_answers(RunState& run, Level& level);

}  // namespace assistiv::agents
