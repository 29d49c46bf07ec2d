#include "api/wire/thread_protocol.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "core/http.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using agents::LoggedEvent;
using core::Json;

constexpr std::size_t kChannelsMax = 64;
constexpr std::size_t kNamespacesMax = 64;
constexpr std::size_t kSegmentsMax = 64;
constexpr std::string_view kChannels[] = {"values", "updates",     "messages", "tools", "lifecycle",
                                          "input",  "checkpoints", "tasks",    "custom"};

std::string channel_of(const ProtocolEvent& event) {
  if (event.method == "input.requested") return "input";
  return event.method;
}

core::Error bad_filter(std::string message, std::string place) {
  return core::bad_request(std::move(message), std::move(place));
}

void read_channels(const Json& given, ThreadFilter& into) {
  if (!given.is_array() || given.empty() || given.size() > kChannelsMax)
    throw bad_filter("\"channels\" is a list of 1 to 64 names.", "/channels");
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto name = given[i].is_string() ? given[i].get<std::string>() : std::string();
    const bool known = std::find(std::begin(kChannels), std::end(kChannels), name) != std::end(kChannels) ||
                       (name.starts_with("custom:") && name.size() > 7 && name.size() <= 256);
    if (!known) throw bad_filter("There is no such channel.", "/channels/" + std::to_string(i));
    into.channels.insert(name);
  }
}

void read_namespaces(const Json& given, ThreadFilter& into) {
  const auto wrong = [] {
    return bad_filter("\"namespaces\" is a list of at most 64 lists of names.", "/namespaces");
  };
  if (!given.is_array() || given.size() > kNamespacesMax) throw wrong();
  for (const auto& one : given) {
    if (!one.is_array() || one.size() > kSegmentsMax) throw wrong();
    auto& prefix = into.namespaces.emplace_back();
    for (const auto& segment : one) {
      if (!segment.is_string() || segment.get_ref<const std::string&>().size() > 512) throw wrong();
      prefix.push_back(segment.get<std::string>());
    }
  }
}

std::int64_t read_count(const Json& given, const char* name, std::int64_t max) {
  const bool fits =
      given.is_number_integer() &&
      !(given.is_number_unsigned() && given.get<std::uint64_t>() > static_cast<std::uint64_t>(max));
  if (!fits || given.get<std::int64_t>() < 0 || given.get<std::int64_t>() > max) {
    throw bad_filter("\"" + std::string(name) + "\" is a whole number from 0 to " + std::to_string(max) + ".",
                     "/" + std::string(name));
  }
  return given.get<std::int64_t>();
}

bool is_prefix(const std::vector<std::string>& prefix, const std::vector<std::string>& ns) {
  if (prefix.size() > ns.size()) return false;
  for (std::size_t i = 0; i < prefix.size(); ++i) {
    if (prefix[i] == ns[i]) continue;
    if (prefix[i].find(':') != std::string::npos) return false;
    if (ns[i].substr(0, ns[i].find(':')) != prefix[i]) return false;
  }
  return true;
}

bool passes_namespace(const ThreadFilter& filter, const std::vector<std::string>& ns) {
  const auto near_enough = [&](std::size_t prefix) {
    return !filter.depth || static_cast<std::int64_t>(ns.size() - prefix) <= *filter.depth;
  };
  if (filter.namespaces.empty()) return near_enough(0);
  return std::any_of(filter.namespaces.begin(), filter.namespaces.end(),
                     [&](const auto& prefix) { return is_prefix(prefix, ns) && near_enough(prefix.size()); });
}

bool is_terminal(const Json& lifecycle) {
  const auto event = lifecycle.value("event", "");
  return event == "completed" || event == "failed" || event == "interrupted";
}

// The next event of the kept one.
ProtocolEvent& add(const LoggedEvent& logged, std::string method, Json data,
                   std::vector<ProtocolEvent>& out) {
  const auto n = std::min(static_cast<std::int64_t>(out.size()), kEventsPerSeq - 1);
  ProtocolEvent event;
  event.id = std::to_string(logged.event.seq) + "-" + std::to_string(out.size());
  event.seq = logged.event.seq * kEventsPerSeq + n;
  event.method = std::move(method);
  event.ns = namespace_of(logged.event.ns);
  event.node = logged.event.node;
  event.at = logged.event.at;
  event.data = std::move(data);
  out.push_back(std::move(event));
  return out.back();
}

Json without_interrupts(Json values) {
  if (values.is_object()) values.erase("__interrupt__");
  return values;
}

Json picked(const Json& from, std::initializer_list<const char*> names) {
  auto out = Json::object();
  for (const char* name : names) {
    const auto found = from.find(name);
    if (found != from.end() && !found->is_null()) out[name] = *found;
  }
  return out;
}

std::string place_of(const agents::RunEvent& event) {
  return event.ns + "\n" + event.node;
}

Json custom_data(const Json& told) {
  if (told.is_object() && told.contains("payload")) return picked(told, {"name", "payload"});
  return {{"payload", told}};
}

}  // namespace

Json to_json(const ProtocolEvent& event) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(event.at.time_since_epoch()).count();
  Json params = {{"namespace", event.ns}, {"timestamp", ms}, {"data", event.data}};
  if (!event.node.empty()) params["node"] = event.node;
  return {{"type", "event"},
          {"event_id", event.id},
          {"seq", event.seq},
          {"method", event.method},
          {"params", std::move(params)}};
}

std::string to_sse(const ProtocolEvent& event) {
  return core::sse_event(core::dump_json(to_json(event)), event.id, event.method);
}

std::vector<std::string> namespace_of(const std::string& ns) {
  std::vector<std::string> out;
  std::size_t from = 0;
  while (!ns.empty() && from != std::string::npos) {
    const auto bar = ns.find('|', from);
    out.push_back(ns.substr(from, bar == std::string::npos ? bar : bar - from));
    from = bar == std::string::npos ? bar : bar + 1;
  }
  return out;
}

std::string joined_namespace(const std::vector<std::string>& segments) {
  std::string out;
  for (const auto& segment : segments) out += (out.empty() ? "" : "|") + segment;
  return out;
}

ThreadFilter read_thread_filter(const Json& body) {
  if (!body.is_object()) throw bad_filter("The body is an object.", "");
  ThreadFilter out;
  bool has_channels = false;
  for (const auto& [name, value] : body.items()) {
    if (name == "channels") {
      read_channels(value, out);
      has_channels = true;
    } else if (name == "namespaces") {
      read_namespaces(value, out);
    } else if (name == "depth") {
      out.depth = read_count(value, "depth", 1'000'000);
    } else if (name == "since") {
      out.since = read_count(value, "since", (std::int64_t{1} << 53) - 1);
    } else {
      throw bad_filter("A filter has no member of this name.", "/" + name.substr(0, 64));
    }
  }
  if (!has_channels) throw bad_filter("\"channels\" is missing.", "/channels");
  return out;
}

bool passes(const ThreadFilter& filter, const ProtocolEvent& event) {
  auto channel = channel_of(event);
  if (!filter.channels.contains(channel)) {
    if (channel != "custom" || !event.data.contains("name") || !event.data["name"].is_string()) return false;
    if (!filter.channels.contains("custom:" + event.data["name"].get<std::string>())) return false;
  }
  return passes_namespace(filter, event.ns);
}

std::vector<ProtocolEvent> ThreadEncoder::encode(const LoggedEvent& logged, std::int64_t kept_through) {
  std::vector<ProtocolEvent> out;
  const auto& event = logged.event;
  if (event.seq > 0) {
    if (event.seq <= last_ || (event.seq > kept_through && event.seq != last_ + 1)) return out;
    last_ = event.seq;
    encode_kept(logged, out);
    return out;
  }
  if (event.method != "messages") return out;
  for (auto& one : messages_.piece(place_of(event), event.data, logged.run.str())) {
    auto& added = add(logged, "messages", std::move(one.data), out);
    added.id = std::move(one.id);
    added.seq = through_seq(last_);
  }
  return out;
}

void ThreadEncoder::give_up_messages(const LoggedEvent& logged, std::vector<ProtocolEvent>& out) {
  for (auto& one : messages_.give_up()) {
    auto& added = add(logged, "messages", std::move(one.event.data), out);
    const auto line = one.place.find('\n');
    added.ns = namespace_of(one.place.substr(0, line));
    added.node = one.place.substr(line + 1);
    added.id = std::move(one.event.id);
  }
}

void ThreadEncoder::lifecycle(const LoggedEvent& logged, std::vector<ProtocolEvent>& out) {
  if (logged.event.ns.empty()) {
    // Another attempt says everything anew, and after the end nothing more comes.
    give_up_messages(logged, out);
    running_ = logged.run;
    ended_.reset();
    if (is_terminal(logged.event.data)) {
      running_.reset();
      ended_ = logged.run;
    }
  }
  add(logged, "lifecycle", picked(logged.event.data, {"event", "graph_name", "cause", "error", "checkpoint"}),
      out);
}

// Runs that never came to their own end (cancelled before they began, lost too often) have only this one.
void ThreadEncoder::end_of_run(const LoggedEvent& logged, std::vector<ProtocolEvent>& out) {
  if (ended_ == logged.run) return;
  // Clients know one run at a time: what was taken out of the queue behind it is not its end.
  if (running_ && running_ != logged.run) return;
  running_.reset();
  ended_ = logged.run;
  give_up_messages(logged, out);
  const auto status = logged.event.data.value("status", "");
  Json data = {{"event", status == "success"       ? "completed"
                         : status == "interrupted" ? "interrupted"
                                                   : "failed"}};
  const auto error = logged.event.data.value("error", Json());
  if (error.is_object()) data["error"] = error.value("message", "The run failed.");
  add(logged, "lifecycle", std::move(data), out);
}

void ThreadEncoder::encode_kept(const LoggedEvent& logged, std::vector<ProtocolEvent>& out) {
  const auto& event = logged.event;
  const auto& data = event.data;
  if (event.method == "lifecycle") return lifecycle(logged, out);
  if (event.method == "end") return end_of_run(logged, out);
  if (event.method == "messages") {
    for (auto& one : messages_.whole(place_of(event), data, logged.run.str())) {
      auto& added = add(logged, "messages", std::move(one.data), out);
      added.id = std::move(one.id);
    }
  } else if (event.method == "values") {
    auto values = without_interrupts(data);
    if (!values.empty() || data.empty()) add(logged, "values", std::move(values), out);
  } else if (event.method == "updates" && data.is_object()) {
    for (const auto& [node, written] : data.items()) {
      if (node != "__interrupt__") add(logged, "updates", written, out).node = node;
    }
  } else if (event.method == "checkpoints") {
    auto light = picked(data, {"id", "parent_id", "step", "source"});
    if (light.value("parent_id", "") == "") light.erase("parent_id");
    add(logged, "checkpoints", std::move(light), out);
  } else if (event.method == "custom") {
    add(logged, "custom", custom_data(data), out);
  } else if (event.method == "tools" || event.method == "tasks" || event.method == "input.requested") {
    add(logged, event.method, data, out);
  }
}

std::vector<ProtocolEvent> standing_events(const StoredStanding& thread) {
  std::vector<ProtocolEvent> out;
  LoggedEvent logged;
  logged.event.seq = thread.last_seq;
  logged.event.at = thread.at;
  if (thread.values.is_object()) add(logged, "values", thread.values, out);
  if (thread.interrupts.is_object()) {
    for (const auto& [task, list] : thread.interrupts.items()) {
      for (const auto& one : list) {
        add(logged, "input.requested",
            {{"interrupt_id", one.value("id", Json())}, {"payload", one.value("value", Json())}}, out);
      }
    }
  }
  Json life = {{"event", thread.status == "busy"          ? "running"
                         : thread.status == "interrupted" ? "interrupted"
                         : thread.status == "error"       ? "failed"
                                                          : "completed"}};
  if (!thread.error.empty()) life["error"] = thread.error;
  add(logged, "lifecycle", std::move(life), out);
  for (auto& event : out) event.id = "stored-" + event.id;
  return out;
}

}  // namespace assistiv::api
