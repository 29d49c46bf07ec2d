#pragma once
// The thread protocol of LangGraph ("v2", @langchain/protocol): a run's events as its clients read them, and
// which of them a stream wants. Pure.
//
// Numbers: an event that is kept stands for up to kEventsPerSeq events here, so that seq counts by that many
// for each kept one; what is only shown has the last number after the kept one before it. Ids are the same
// each time an event is read again: "<kept seq>-<n>", or made of the message's id for what belongs to one,
// since a message is told once while it comes and once when it is whole.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/store/event_store.h"
#include "api/wire/protocol_messages.h"
#include "core/clock.h"
#include "core/json.h"

namespace assistiv::api {

inline constexpr std::int64_t kEventsPerSeq = 1024;

// The greatest number that an event up to the kept `seq` can have.
inline std::int64_t through_seq(std::int64_t kept_seq) {
  return kept_seq * kEventsPerSeq + kEventsPerSeq - 1;
}

struct ProtocolEvent {
  std::string id;
  std::int64_t seq = 0;
  std::string method;  // lifecycle, values, updates, messages, tools, tasks, checkpoints, custom,
                       // input.requested
  std::vector<std::string> ns;
  std::string node;  // or ""
  core::Time at;
  core::Json data;
};

// {"type": "event", "event_id", "seq", "method", "params": {"namespace", "timestamp", "node"?, "data"}}.
core::Json to_json(const ProtocolEvent& event);
// One server-sent event.
std::string to_sse(const ProtocolEvent& event);

// "a:1|b:2" is ["a:1", "b:2"], "" the root.
std::vector<std::string> namespace_of(const std::string& ns);
std::string joined_namespace(const std::vector<std::string>& segments);

struct ThreadFilter {
  std::set<std::string> channels;                    // "custom:<name>" among them
  std::vector<std::vector<std::string>> namespaces;  // prefixes; without any: the root's
  std::optional<std::int64_t> depth;                 // segments beyond the prefix
  std::int64_t since = 0;                            // only what comes after this number
};
// {channels, namespaces?, depth?, since?}; throws InvalidArgument for anything else.
ThreadFilter read_thread_filter(const core::Json& body);
// A prefix's segment without ":" also is the start of "segment:<task>".
bool passes(const ThreadFilter& filter, const ProtocolEvent& event);

// The events of one stream, in order. Not thread-safe.
class ThreadEncoder {
 public:
  // Of kept events up to `after` nothing is told.
  explicit ThreadEncoder(std::int64_t after) : last_(after) {}
  // `kept_through`: the number of the last kept event that was read with it; one with a greater number is
  // shown before it is written, and comes again.
  std::vector<ProtocolEvent> encode(const agents::LoggedEvent& logged, std::int64_t kept_through);

 private:
  void encode_kept(const agents::LoggedEvent& logged, std::vector<ProtocolEvent>& out);
  void lifecycle(const agents::LoggedEvent& logged, std::vector<ProtocolEvent>& out);
  void end_of_run(const agents::LoggedEvent& logged, std::vector<ProtocolEvent>& out);
  void give_up_messages(const agents::LoggedEvent& logged, std::vector<ProtocolEvent>& out);

  std::int64_t last_;
  LiveMessages messages_;
  std::optional<agents::RunId> running_;  // its beginning was told, its end was not
  std::optional<agents::RunId> ended_;    // the last run whose end was told
};

// What is left to say of a thread whose events are no longer kept.
struct StoredStanding {
  std::int64_t last_seq = 0;
  std::string status;     // of the thread: "idle", "busy", "interrupted", "error"
  std::string error;      // message, or ""
  core::Json values;      // null: none
  core::Json interrupts;  // {task id: [{"id", "value"}]}
  core::Time at;
};
std::vector<ProtocolEvent> standing_events(const StoredStanding& thread);

}  // namespace assistiv::api
