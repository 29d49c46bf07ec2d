#include "agents/wire/legacy_events.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "agents/wire/message_chunks.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::array<std::string_view, 9> kStreamModes = {
    "values", "messages", "updates", "events", "debug", "tasks", "checkpoints", "custom", "messages-tuple"};

std::string checked_mode(const Json& value) {
  if (value.is_string()) {
    for (const auto mode : kStreamModes)
      if (value == mode) return std::string(mode);
  }
  throw core::bad_request(
      "\"stream_mode\" is one or several of values, messages, messages-tuple, updates, events, debug, tasks, "
      "checkpoints and custom.",
      "/stream_mode");
}

Json checkpoint_name(const StreamedRun& run, const std::string& ns, const Json& id) {
  return {{"thread_id", run.thread}, {"checkpoint_ns", ns}, {"checkpoint_id", id}};
}

Json without(Json object, const char* name) {
  if (object.is_object()) object.erase(name);
  return object;
}

// "12" or "12~<message>.<content>.<args>.<flags>.<pieces>,...": how much of each open message is told.
std::optional<ToldMessage> told_of(std::string_view text) {
  std::array<std::size_t, 4> numbers{};
  std::size_t count = 0;
  for (bool more = true; more; ++count) {
    const auto end = text.find('.');
    const auto part = text.substr(0, end);
    if (count == numbers.size()) return {};
    const auto [rest, fault] = std::from_chars(part.data(), part.data() + part.size(), numbers[count]);
    if (fault != std::errc() || rest != part.data() + part.size()) return {};
    more = end != std::string_view::npos;
    text.remove_prefix(more ? end + 1 : text.size());
  }
  if (count < 3) return {};  // the fourth came later
  return ToldMessage{numbers[0], numbers[1], (numbers[2] & 1U) != 0, (numbers[2] & 2U) != 0, numbers[3]};
}

constexpr std::size_t kToldMax = 64;  // messages in an id

}  // namespace

std::set<std::string> stream_modes_of(const Json& value) {
  if (value.is_null()) return {"values"};
  std::set<std::string> out;
  if (!value.is_array()) return {checked_mode(value)};
  for (const auto& one : value) out.insert(checked_mode(one));
  if (out.empty()) return {"values"};
  return out;
}

std::set<std::string> recorded_modes(const std::set<std::string>& stream_modes) {
  std::set<std::string> out;
  for (const auto& mode : stream_modes) {
    if (mode == "messages-tuple") {
      out.insert({"messages", "updates"});
    } else if (mode == "messages") {
      out.insert({"messages", "values"});
    } else if (mode == "debug") {
      out.insert({"tasks", "checkpoints"});
    } else if (mode == "events") {
      out.insert({"tasks", "messages", "updates", "values"});
    } else {
      out.insert(mode);
    }
  }
  return out;
}

StreamCursor stream_cursor(std::optional<std::string_view> last_event_id) {
  StreamCursor out;
  if (!last_event_id) return out;
  auto text = *last_event_id;
  const auto tilde = text.find('~');
  const auto number = text.substr(0, tilde);
  const auto [end, fault] = std::from_chars(number.data(), number.data() + number.size(), out.after);
  if (fault != std::errc() || end != number.data() + number.size() || out.after < 0) return {};
  if (tilde == std::string_view::npos) return out;
  text.remove_prefix(tilde + 1);
  while (!text.empty() && out.told.size() < kToldMax) {
    const auto comma = text.find(',');
    const auto one = text.substr(0, comma);
    const auto dot = one.find('.');
    const auto told = dot == std::string_view::npos ? std::nullopt : told_of(one.substr(dot + 1));
    if (!told) return {};
    out.told.emplace(one.substr(0, dot), *told);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return out;
}

LegacyEvents::LegacyEvents(StreamedRun run, LegacyOptions options, StreamCursor cursor)
    : run_(std::move(run)), options_(std::move(options)), told_(std::move(cursor.told)), seq_(cursor.after) {}

std::string LegacyEvents::cursor_text() const {
  auto out = std::to_string(seq_);
  char before = '~';
  for (const auto& [message, told] : told_) {
    out += before + message + "." + std::to_string(told.content) + "." + std::to_string(told.args) + "." +
           std::to_string((told.tools ? 1 : 0) + (told.usage ? 2 : 0)) + "." + std::to_string(told.pieces);
    before = ',';
  }
  return out;
}

void LegacyEvents::add_frame(std::string_view name, const Json& data) {
  if (!frames_.empty()) frames_ += '\n';
  frames_.append("event: ").append(name).append("\ndata: ").append(core::dump_json(data)).append("\n");
}

void LegacyEvents::add(std::string_view name, const RunEvent& event, const Json& data) {
  add_frame(event.ns.empty() ? std::string(name) : std::string(name) + "|" + event.ns, data);
}

// Of several frames the last one has the id: who has missed it is told all of them again.
std::string LegacyEvents::take(const RunEvent& event) {
  if (event.seq > 0) seq_ = event.seq;
  auto out = std::exchange(frames_, {});
  if (out.empty()) return out;
  if (options_.ids) out += "id: " + cursor_text() + "\n";
  return out + "\n";
}

std::string LegacyEvents::begin(int attempt) {
  attempt_ = std::max(attempt, 1);
  add_frame("metadata", {{"run_id", run_.run}, {"thread_id", run_.thread}, {"attempt", attempt_}});
  return std::exchange(frames_, {}) + "\n";
}

std::string LegacyEvents::encode(const RunEvent& event) {
  if (ended_) return {};
  if (event.method == "lifecycle") {
    on_lifecycle(event);
  } else if (event.method == "error") {
    add_frame("error", event.data);
    ended_ = true;
  } else if (event.method == "end") {
    on_end(event);
  } else if (in_reach(event)) {
    if (event.method == "values") on_values(event);
    if (event.method == "updates") on_updates(event);
    if (event.method == "tasks") on_tasks(event);
    if (event.method == "checkpoints") on_checkpoint(event);
    if (event.method == "messages") on_message(event);
    if (event.method == "custom" && wants("custom")) add("custom", event, event.data);
  }
  return take(event);
}

std::string LegacyEvents::close(const Json& error) {
  if (ended_) return {};
  ended_ = true;
  add_frame(error.is_object() ? "error" : "end", error.is_object() ? error : Json());
  return std::exchange(frames_, {}) + "\n";
}

void LegacyEvents::on_end(const RunEvent& event) {
  ended_ = true;
  const bool failed = event.data.is_object() && event.data.contains("error");
  add_frame(failed ? "error" : "end", failed ? event.data["error"] : Json());
}

void LegacyEvents::on_lifecycle(const RunEvent& event) {
  if (!event.ns.empty() || !event.data.is_object()) return;
  const auto what = event.data.value("event", std::string());
  const int attempt = event.data.value("attempt", 1);
  if (what == "running" && attempt > attempt_) {
    attempt_ = attempt;
    add_frame("metadata", {{"run_id", run_.run}, {"thread_id", run_.thread}, {"attempt", attempt}});
  }
  const auto graph = event.data.value("graph_name", std::string());
  if (what == "running") add_chain_event(event, "on_chain_start", graph, Json::object());
  if (what == "completed") add_chain_event(event, "on_chain_end", graph, Json::object());
}

void LegacyEvents::on_values(const RunEvent& event) {
  if (wants("values")) add("values", event, event.data);
  if (!wants("messages") || !event.ns.empty() || !event.data.is_object()) return;
  const auto found = event.data.find("messages");
  if (found == event.data.end() || !found->is_array()) return;
  auto fresh = Json::array();
  for (const auto& message : *found) {
    const auto id = message_id(message);
    if (!id.empty() && complete_.insert(id).second) fresh.push_back(message);
  }
  if (!fresh.empty()) add("messages/complete", event, fresh);
}

// Messages that a node wrote without a model: nobody was told of them before.
void LegacyEvents::on_updates(const RunEvent& event) {
  if (wants("updates")) add("updates", event, event.data);
  add_chain_event(event, "on_chain_stream", event.node, {{"chunk", event.data}});
  if (!wants("messages-tuple") || event.node.empty() || !event.data.is_object()) return;
  for (const auto& [node, writes] : event.data.items()) {
    if (!writes.is_object()) continue;
    for (const auto& [key, value] : writes.items()) {
      if (!value.is_array()) continue;
      for (const auto& message : value) {
        if (written_by_hand(message) && !whole_.contains(message_id(message))) tell_whole(event, message);
      }
    }
  }
}

void LegacyEvents::on_tasks(const RunEvent& event) {
  const auto task = without(event.data, "step");
  const bool starts = task.contains("input");
  if (wants("tasks")) add("tasks", event, task);
  if (wants("debug"))
    add_debug(event, starts ? "task" : "task_result", event.data.value("step", Json()), task);
  if (starts) {
    add_chain_event(event, "on_chain_start", event.node, {{"input", task["input"]}});
  } else if (task.contains("result")) {
    add_chain_event(event, "on_chain_end", event.node, {{"output", task["result"]}});
  }
}

void LegacyEvents::on_checkpoint(const RunEvent& event) {
  if (!wants("checkpoints") && !wants("debug")) return;
  const auto& from = event.data;
  const auto own = checkpoint_name(run_, event.ns, from.value("id", Json()));
  const auto parent_id = from.value("parent_id", std::string());
  const auto parent = parent_id.empty() ? Json() : checkpoint_name(run_, event.ns, parent_id);
  Json data = {{"config", {{"configurable", own}}},
               {"checkpoint", own},
               {"parent_config", parent.is_null() ? Json() : Json{{"configurable", parent}}},
               {"parent_checkpoint", parent}};
  for (const char* name : {"values", "metadata", "next", "tasks"}) data[name] = from.value(name, Json());
  if (wants("checkpoints")) add("checkpoints", event, data);
  if (wants("debug")) add_debug(event, "checkpoint", from.value("step", Json()), std::move(data));
}

void LegacyEvents::add_debug(const RunEvent& event, std::string_view type, const Json& step, Json payload) {
  add("debug", event,
      {{"step", step},
       {"timestamp", core::format_time(event.at)},
       {"type", type},
       {"payload", std::move(payload)}});
}

void LegacyEvents::add_chain_event(const RunEvent& event, std::string_view what, std::string_view name,
                                   Json data) {
  if (!wants("events")) return;
  add("events", event,
      {{"event", what},
       {"name", name},
       {"run_id", run_.run},
       {"tags", Json::array()},
       {"metadata", metadata_of(event)},
       {"parent_ids", Json::array()},
       {"data", std::move(data)}});
}

// ---- messages ----

Json LegacyEvents::metadata_of(const RunEvent& event) const {
  Json out = {{"run_id", run_.run},
              {"thread_id", run_.thread},
              {"assistant_id", run_.assistant},
              {"graph_id", run_.graph},
              {"tags", Json::array()}};
  if (event.node.empty()) return out;
  out["langgraph_node"] = event.node;
  out["langgraph_path"] = {"__pregel_pull", event.node};
  out["ls_model_type"] = "chat";
  if (!event.data.is_object()) return out;
  const auto place = event.data.value("langgraph", Json());
  auto ns = event.ns;
  if (place.is_object()) {
    out["langgraph_step"] = place.value("step", Json());
    out["langgraph_triggers"] = place.value("triggers", Json::array());
    if (!ns.empty()) ns += "|";
    ns += event.node + ":" + place.value("task", std::string());
  }
  out["langgraph_checkpoint_ns"] = out["checkpoint_ns"] = ns;
  const auto more = event.data.value("response_metadata", Json());
  if (more.is_object() && more.contains("model_name")) out["ls_model_name"] = more["model_name"];
  return out;
}

void LegacyEvents::on_message(const RunEvent& event) {
  if (!is_message(event.data)) return;
  const auto message = without(event.data, "langgraph");
  const auto place = event.data.value("langgraph", Json::object());
  const bool whole = event.seq > 0 || !place.contains("content");
  const bool by_model = message["type"] != "tool";
  if (whole) {
    if (wants("messages-tuple")) tell_whole(event, message);
    told_.erase(message_hash(message_id(message)));
  }
  const bool old = !whole && is_told(message, place);
  const bool next = !whole && !old && count_next(message, place);
  if (next && wants("messages-tuple")) add("messages", event, Json::array({message, metadata_of(event)}));
  if (wants("messages") && by_model) tell_partial(event, message, whole ? Json() : place);
  if (wants("events") && by_model && !old) tell_model_event(event, message, whole);
}

// A client that has come back has had it before.
bool LegacyEvents::is_told(const Json& piece, const Json& place) const {
  const auto found = told_.find(message_hash(message_id(piece)));
  return found != told_.end() && place.value("piece", found->second.pieces) < found->second.pieces;
}

// False when one was missed: the rest comes with the whole.
bool LegacyEvents::count_next(const Json& piece, const Json& place) {
  if (!wants("messages-tuple") && !wants("events")) return false;
  auto& told = told_[message_hash(message_id(piece))];
  if (place.value("piece", told.pieces) != told.pieces) return false;
  if (place.value("content", 0U) != told.content || place.value("args", 0U) != told.args) return false;
  count_piece(told, piece);
  return true;
}

void LegacyEvents::tell_whole(const RunEvent& event, const Json& message) {
  whole_.insert(message_id(message));
  const auto known = told_.extract(message_hash(message_id(message)));
  if (known.empty()) return add("messages", event, Json::array({message, metadata_of(event)}));
  const auto rest = rest_of(message, known.mapped());
  if (!rest.is_null()) add("messages", event, Json::array({rest, metadata_of(event)}));
}

// `place` is null for a whole message.
void LegacyEvents::tell_partial(const RunEvent& event, const Json& piece, const Json& place) {
  const auto id = message_id(piece);
  auto& so_far = partial_[id];
  if (place.is_null()) {
    so_far = piece;
  } else if (!append_piece(so_far, piece, place)) {
    return;
  }
  if (introduced_.insert(id).second)
    add("messages/metadata", event, {{id, {{"metadata", metadata_of(event)}}}});
  add("messages/partial", event, Json::array({so_far}));
  if (place.is_null()) partial_.erase(id);
}

void LegacyEvents::tell_model_event(const RunEvent& event, const Json& message, bool whole) {
  add_chain_event(event, whole ? "on_chat_model_end" : "on_chat_model_stream", "chat_model",
                  {{whole ? "output" : "chunk", message}});
}

}  // namespace assistiv::agents
