#pragma once
// Replies that go on while a run does: its events (agents/wire/legacy_events.h), and answers that are waited
// for and kept alive meanwhile.
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <stop_token>
#include <string>

#include "agents/service/run_service.h"
#include "agents/wire/legacy_events.h"
#include "api/agent_gateway.h"
#include "core/error.h"
#include "core/http.h"
#include "core/task.h"

namespace assistiv::api {

// What a client wants of a run that is kept.
struct RunWatch {
  AgentGateway* gateway = nullptr;
  agents::Reach reach;
  agents::Run run;
  std::set<std::string> modes;
  bool subgraphs = false;
  agents::StreamCursor cursor;
  bool cancel_on_disconnect = false;
  std::stop_token gone;
  std::function<void()> lost;  // the client left without its answer, and the run goes on
  // Of another protocol; empty: as the LangGraph Server API has them.
  std::string path;  // of the run
  std::function<std::string(const agents::RunResult&)> answer;
  std::function<std::string(const core::Error&)> failure;
};

// What a request that waits is answered with: the state, or LangGraph's __error__.
std::string run_answer(const agents::RunResult& result);
// The path of a run below the API's base, as Content-Location has it.
std::string run_path(const agents::Run& run);

// The run's events from the cursor on, to its end. A client that comes to know the run by this reply finds
// out where it can come back to.
core::HttpReply stream_run(RunWatch watch);
// Its result when it is over.
core::Task<core::HttpReply> await_run(RunWatch watch);

// The runs of a thread, those to come, too, until the client goes.
struct ThreadWatch {
  AgentGateway* gateway = nullptr;
  agents::Reach reach;
  agents::ThreadId thread;
  bool runs = false;       // all that they tell
  bool lifecycle = false;  // that they begin and end
  agents::StreamCursor cursor;
  std::stop_token gone;
};
core::HttpReply stream_thread(ThreadWatch watch);

// A run of which nothing is kept. Throws what run_here() throws before it begins.
struct RunHere {
  AgentGateway* gateway = nullptr;
  agents::RunCaller caller;
  agents::RunRequest request;  // with an id
  std::set<std::string> modes;
  bool subgraphs = false;
  std::stop_token gone;
};
core::Task<core::HttpReply> stream_here(RunHere here);
core::Task<core::HttpReply> await_here(RunHere here);

}  // namespace assistiv::api
