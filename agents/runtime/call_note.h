#pragma once
// What a run's page tells of one call of a model, a tool or a URL: the event "calls", {kind, name, act, task,
// state, took_ms, tokens?, cost_nano_usd?, arguments?, result?, error?}. It is shown with the state
// "started", and always recorded with "done" or "failed"; no client of LangGraph is sent it. Internal to
// runtime/.
#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "agents/runtime/run_state.h"
#include "core/json.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace call_note {

// Of arguments and results: a page shows their beginning, the whole is in the state.
inline constexpr std::size_t kShownMax = 4000;

inline std::string beginning_of(std::string text) {
  if (text.size() <= kShownMax) return text;
  std::size_t end = kShownMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  text.resize(end);
  return text + "...";
}

// Of a graph that hides parts of its state nothing is told that may have been made of them.
inline bool hides_state(const Graph& graph) {
  return std::any_of(graph.state.begin(), graph.state.end(), [](const auto& key) { return key.redact; });
}

inline core::Json told(core::Json facts, bool hide) {
  for (const char* name : {"arguments", "result", "error"}) {
    const auto found = facts.find(name);
    if (found == facts.end()) continue;
    if (hide) {
      *found = "[redacted]";
    } else if (found->is_string()) {
      *found = beginning_of(found->get<std::string>());
    } else if (auto text = core::dump_json(*found); text.size() > kShownMax) {
      *found = beginning_of(std::move(text));
    }
  }
  return facts;
}

}  // namespace call_note

// Of a call that is being placed. Those who watch now are told that it begins; its end is an event that is
// kept, whatever the modes of the run.
class CallNote {
 public:
  // `facts`: {kind: "model", "tool" or "http", name, arguments?}.
  CallNote(const TaskRun& task, std::string key, core::Json facts);
  // `facts`: {tokens?, cost_nano_usd?, result?}.
  void done(core::Json facts) { end("done", std::move(facts)); }
  void failed(const std::string& error) { end("failed", {{"error", error}}); }
  // The tool answered, with an error.
  void refused(core::Json facts) { end("failed", std::move(facts)); }

 private:
  void end(const char* state, core::Json facts);

  TaskRun task_;
  core::Json data_;
  std::chrono::steady_clock::time_point began_;
};

inline CallNote::CallNote(const TaskRun& task, std::string key, core::Json facts)
    : task_(task),
      data_(call_note::told(std::move(facts), call_note::hides_state(task.level->program->graph()))),
      began_(std::chrono::steady_clock::now()) {
  data_["act"] = std::move(key);
  data_["task"] = task_.task->id;
  auto begins = data_;
  begins["state"] = "started";
  task_.run->recorder.show("calls", task_.level->head.ns, task_.node->id, std::move(begins));
}

inline void CallNote::end(const char* state, core::Json facts) {
  data_["state"] = state;
  data_["took_ms"] =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began_)
          .count();
  data_.update(call_note::told(std::move(facts), call_note::hides_state(task_.level->program->graph())));
  task_.run->recorder.event("calls", task_.level->head.ns, task_.node->id, std::move(data_), true);
}

}  // namespace assistiv::agents
