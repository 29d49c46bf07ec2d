#pragma once
// A run's events as LangGraph's first streaming protocol sends them: server-sent events named by the stream
// modes of the request. Pure; one encoder for each stream, used by one coroutine.
//
// Every durable event ends with an id, so that any stream can be taken up again. A piece of a message is not
// durable; the id after it says how much of the message was told, and the rest is told once the message is
// whole.
#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "agents/runtime/journal.h"
#include "core/json.h"

namespace assistiv::agents {

// Names of `stream_mode`: one, a list, or null for ["values"]. Throws InvalidArgument for what is none.
std::set<std::string> stream_modes_of(const core::Json& value);
// What a run has to record so that the modes can be sent (RunSpec::modes).
std::set<std::string> recorded_modes(const std::set<std::string>& stream_modes);

// How much of a message a client has.
struct ToldMessage {
  std::size_t content = 0, args = 0;  // bytes
  bool tools = false;                 // calls of tools were told
  bool usage = false;
  std::size_t pieces = 0;
};

// What a client has seen: Last-Event-ID.
struct StreamCursor {
  std::int64_t after = 0;                                // 0: nothing
  std::map<std::string, ToldMessage, std::less<>> told;  // by a hash of the message's id
};
// Absent, "-1" and what is no id of ours are the beginning.
StreamCursor stream_cursor(std::optional<std::string_view> last_event_id);

// What events are told with.
struct StreamedRun {
  std::string run, thread, assistant;
  std::string graph;  // or ""
};

struct LegacyOptions {
  std::set<std::string> modes;
  bool subgraphs = false;
  bool ids = true;  // false for a run that nobody can come back to
};

class LegacyEvents {
 public:
  LegacyEvents(StreamedRun run, LegacyOptions options, StreamCursor cursor = {});

  // "metadata", the first of every stream that begins at the beginning.
  std::string begin(int attempt);
  // The frames, "" for none, that follow from the next event of the run.
  std::string encode(const RunEvent& event);
  // For a run that is over although its events do not say so (they are forgotten).
  std::string close(const core::Json& error);
  bool ended() const { return ended_; }

 private:
  using Json = core::Json;
  bool wants(std::string_view mode) const { return options_.modes.contains(std::string(mode)); }
  bool in_reach(const RunEvent& event) const { return event.ns.empty() || options_.subgraphs; }
  void add(std::string_view name, const RunEvent& event, const Json& data);
  void add_frame(std::string_view name, const Json& data);
  std::string take(const RunEvent& event);
  std::string cursor_text() const;

  void on_lifecycle(const RunEvent& event);
  void on_values(const RunEvent& event);
  void on_updates(const RunEvent& event);
  void on_tasks(const RunEvent& event);
  void on_checkpoint(const RunEvent& event);
  void on_message(const RunEvent& event);
  void on_end(const RunEvent& event);
  void add_debug(const RunEvent& event, std::string_view type, const Json& step, Json payload);
  void add_chain_event(const RunEvent& event, std::string_view what, std::string_view name, Json data);

  Json metadata_of(const RunEvent& event) const;
  bool is_told(const Json& piece, const Json& place) const;
  bool count_next(const Json& piece, const Json& place);
  void tell_whole(const RunEvent& event, const Json& message);
  void tell_partial(const RunEvent& event, const Json& piece, const Json& place);
  void tell_model_event(const RunEvent& event, const Json& message, bool whole);

  const StreamedRun run_;
  const LegacyOptions options_;
  std::map<std::string, ToldMessage, std::less<>> told_;
  std::set<std::string> whole_;                       // messages told to their end (messages-tuple)
  std::map<std::string, Json, std::less<>> partial_;  // as far as they were told (messages)
  std::set<std::string> introduced_;                  // of which messages/metadata was sent
  std::set<std::string> complete_;                    // of which messages/complete was sent
  std::int64_t seq_ = 0;
  int attempt_ = 1;
  bool ended_ = false;
  std::string frames_;
};

}  // namespace assistiv::agents
