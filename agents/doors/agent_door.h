#pragma once
// What the doors share that are not LangGraph's (models named "agent/<slug>", MCP tools, A2A, Agent
// Protocol): which agents a caller may use, what a message is to a graph, and how a run's end reads as an
// answer. Every agent that a caller may use is at every door.
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/definition/graph.h"
#include "agents/service/run_service.h"
#include "agents/store/agent.h"
#include "agents/store/reach.h"
#include "core/error.h"
#include "core/json.h"
#include "core/task.h"

namespace assistiv::agents {

class AgentService;
class AssistantService;
class EventLog;
class RunStore;
class ThreadStore;

// Everything outlives the doors.
struct DoorWorld {
  AgentService& agents;
  AssistantService& assistants;
  RunService& runs;
  RunStore& run_rows;
  ThreadStore& threads;
  EventLog& events;
};

struct DoorAgent {
  Agent agent;
  GraphPtr graph;  // of the active version
};

// NotFound: none of this slug, switched off, or not for this end user.
core::Task<DoorAgent> find_agent(DoorWorld world, Reach reach, std::string slug);
// Sorted by slug.
core::Task<std::vector<Agent>> usable_agents(DoorWorld world, Reach reach);

// The key of the graph's input that takes messages; "": none.
std::string messages_key(const Graph& graph);

// What a run is given of a conversation. A graph whose input has a key with the reducer "messages" gets them
// there; one whose only input is a text gets the last message's text; any other takes a JSON object as the
// last message's text. Throws InvalidArgument that says what the agent takes.
core::Json input_of_messages(const Graph& graph, const core::Json& messages);

// The text of a message's content, or of a list of content blocks.
std::string text_of_content(const core::Json& content);

// What somebody must do before a parked run can go on.
struct Waiting {
  std::string id;  // of the interrupt
  core::Json value;
  std::string type;  // "approval", "tool_approval", "approval_required", "connection_required",
                     // "uncertain_effect", ... or "" for a breakpoint
  std::string text;  // for people
  std::string url;   // to open; or ""
  // "connection_required": everything else is answered with a value.
  bool is_sign_in() const { return type == "connection_required"; }
};
// From the {task id: [{id, value}]} of a run or thread.
std::vector<Waiting> waiting_of(const core::Json& interrupts);
std::string text_of_waiting(const std::vector<Waiting>& waiting);

// What is said while a thread waits is the answer to it: JSON where it is some, else the text. With several
// interrupts it must be an object by their ids: InvalidArgument.
core::Json answer_of_text(const std::vector<Waiting>& waiting, const std::string& text);

struct DoorAnswer {
  std::string text;    // the last message of the agent, or its output as JSON
  core::Json output;   // the graph's output; null: none
  core::Json message;  // the last message of the agent; null: none
  std::vector<Waiting> waiting;
  RunTotals totals;
};
// Of a run that succeeded or waits. What else became of it is thrown (see error_of_run).
DoorAnswer answer_of(const Graph& graph, const RunResult& result);

// Why a run has no answer. Never a kind that clients repeat by themselves: what the agent did stays done.
std::optional<core::Error> error_of_run(const Run& run, const core::Json& interrupts);

}  // namespace assistiv::agents
