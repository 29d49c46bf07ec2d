#pragma once
// What a run is given, against what its graph asks for: inputs and answers to interrupts. Pure.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/definition/graph.h"
#include "core/json.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::agents {

// What is wrong in an input, with JSON pointers into it. Messages may have any form that clients send, a list
// that is added to may be given as its one element, and {"__overwrite__": v} is v. Required keys that
// `values`, the thread's state, has need not be given again.
std::vector<mcp::SchemaFault> input_faults(const Graph& graph, const core::Json& input,
                                           const core::Json& values);

struct AnswerFault {
  bool forbidden = false;  // somebody else must answer
  std::string pointer;     // into the answer
  std::string message;
};
// Whether `answer` may be given to an open interrupt of this value (an approval's `who` and
// `response_schema`) by "end_user" or "platform".
std::optional<AnswerFault> answer_fault(const core::Json& asked, const core::Json& answer,
                                        const std::string& by);

// {"__expired__": true}: what nobody may say, the clock says it.
bool is_expiry(const core::Json& answer);

}  // namespace assistiv::agents
