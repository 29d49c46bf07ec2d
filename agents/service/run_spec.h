#pragma once
// What the request of a run says: read and checked when the run is made, kept with it ("kwargs"), and turned
// into the executor's RunSpec when it is carried out. Pure.
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "agents/definition/graph.h"
#include "agents/runtime/run.h"
#include "agents/service/assistant_service.h"
#include "core/json.h"
#include "mcp/schema/json_schema.h"

namespace assistiv::agents {

// A request (LangGraph's RunCreate) on an assistant, with its defaults.
struct RunOrder {
  core::Json kwargs;  // what the run needs, the assistant's config and context merged in
  core::Json metadata = core::Json::object();
  std::string multitask_strategy = "enqueue";
  bool resumes = false;        // it answers interrupts
  bool keep_thread = false;    // of a run without a thread: on_completion "keep"
  bool create_thread = false;  // if_not_exists "create"
  std::chrono::seconds after{0};
  std::optional<std::string> webhook;
};

// Both throw InvalidArgument with the JSON pointer of the fault. `body` may have members that are the door's
// own affair (on_disconnect, ...): they are passed over.
RunOrder read_run_order(const core::Json& body, const Assistant& assistant);
// What only the graph can tell: that the nodes exist and the input is one.
void check_run_order(const core::Json& kwargs, const Graph& graph);
// The input against the graph's input_schema, with what the thread has (`values`), and the context against
// the graph's own schema. Pointers are into the request.
std::vector<mcp::SchemaFault> given_faults(const core::Json& kwargs, const Graph& graph,
                                           const core::Json& values);
// The answers of a command against the open interrupts {task id: [{id, value}]}: who may answer and
// response_schema. Throws InvalidArgument with the pointer of the fault, or PermissionDenied.
void check_resume(const core::Json& kwargs, const core::Json& interrupts);

// All of a RunSpec but who runs (run, thread, user, attempt) and what was before (totals, next_seq).
RunSpec run_spec_of(const core::Json& kwargs, GraphPtr graph);
// The slug that the run's kwargs name.
std::string graph_id_of(const core::Json& kwargs);

// The graph's output keys of a state.
core::Json output_of(const Graph& graph, const core::Json& values);

}  // namespace assistiv::agents
