#include "agents/service/run_spec.h"

#include <algorithm>
#include <map>
#include <utility>

#include "agents/definition/definition.h"
#include "agents/definition/published_schema.h"
#include "agents/pregel/ids.h"
#include "agents/runtime/given.h"
#include "agents/runtime/journal.h"
#include "agents/wire/legacy_events.h"
#include "core/error.h"
#include "core/ids.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr std::int64_t kAfterMax = 366LL * 24 * 3600;
constexpr std::size_t kWebhookMax = 65'536;
constexpr std::size_t kRunMetadataMax = 64 << 10;
constexpr std::string_view kModes[] = {"values",      "updates", "messages", "messages-tuple",
                                       "tasks",       "tools",   "debug",    "events",
                                       "checkpoints", "custom",  "lifecycle"};
// Of config.configurable: what the server itself says there.
constexpr std::string_view kOwn[] = {"thread_id", "checkpoint_id", "checkpoint_ns", "assistant_id",
                                     "graph_id",  "run_id",        "user_id"};

Json strings_or_one(const Json& body, const char* name) {
  const auto found = body.find(name);
  if (found == body.end() || found->is_null()) return Json::array();
  if (found->is_string()) return Json::array({*found});
  const core::JsonReader reader(body);
  Json out = Json::array();
  for (auto& one : reader.strings(name, 256, 128)) out.push_back(std::move(one));
  return out;
}

Json stream_modes(const Json& body) {
  if (!body.contains("stream_mode") || body["stream_mode"].is_null()) return Json::array({"values"});
  auto out = strings_or_one(body, "stream_mode");
  for (const auto& mode : out) {
    if (std::find(std::begin(kModes), std::end(kModes), mode.get_ref<const std::string&>()) ==
        std::end(kModes))
      throw core::bad_request("There is no stream mode \"" + mode.get<std::string>().substr(0, 64) + "\".",
                              "/stream_mode");
  }
  return out;
}

Json object_or_empty(const core::JsonReader& reader, std::string_view name) {
  const auto* found = reader.object(name);
  return found == nullptr ? Json::object() : *found;
}

void merge_objects(Json& into, const Json& over) {
  if (over.is_object()) into.update(over);
}

// The assistant's, then the request's over it; the members of "configurable" one by one.
Json merged_config(const Json& body, const Assistant& assistant) {
  const core::JsonReader reader(body);
  const auto own = object_or_empty(reader, "config");
  const core::JsonReader config(own, "/config");
  config.optional_integer("recursion_limit", 1, 1'000'000);
  config.object("configurable");
  Json out = assistant.config.is_object() ? assistant.config : Json::object();
  Json configurable = out.value("configurable", Json::object());
  if (!configurable.is_object()) configurable = Json::object();  // of an assistant from before it was checked
  for (const auto& [name, value] : own.items()) {
    if (name == "configurable") {
      merge_objects(configurable, value);
    } else {
      out[name] = value;
    }
  }
  configurable["assistant_id"] = assistant.id.str();
  configurable["graph_id"] = assistant.graph_id;
  out["configurable"] = std::move(configurable);
  return out;
}

// Constants of a run stand in `context`; older clients put them into config.configurable.
Json merged_context(const Json& body, const Json& config, const Assistant& assistant) {
  Json out = Json::object();
  for (const auto& [name, value] : config.at("configurable").items()) {
    const bool own = std::find(std::begin(kOwn), std::end(kOwn), name) != std::end(kOwn) ||
                     name.starts_with("__") || name.starts_with("langgraph_");
    if (!own) out[name] = value;
  }
  merge_objects(out, assistant.context);
  const core::JsonReader reader(body);
  merge_objects(out, object_or_empty(reader, "context"));
  return out;
}

// Of `checkpoint`, `checkpoint_id` or config.configurable, in this order; "" for the head.
std::string checkpoint_of(const Json& body, const Json& config) {
  const core::JsonReader reader(body);
  std::string id;
  if (const auto* checkpoint = reader.object("checkpoint")) {
    const core::JsonReader inner(*checkpoint, "/checkpoint");
    if (!inner.optional_string("checkpoint_ns").value_or("").empty())
      throw core::bad_request("A run goes on from a checkpoint of the root.", "/checkpoint/checkpoint_ns");
    id = inner.optional_string("checkpoint_id").value_or("");
  }
  if (id.empty()) id = reader.optional_string("checkpoint_id").value_or("");
  if (id.empty()) {
    const core::JsonReader inner(config.at("configurable"), "/config/configurable");
    id = inner.optional_string("checkpoint_id").value_or("");
  }
  if (!id.empty() && !CheckpointId::parse(id))
    throw core::bad_request("A checkpoint's id is a UUID.", "/checkpoint/checkpoint_id");
  return id;
}

bool says_expired(const Json& resume) {
  if (!resume.is_object()) return false;
  return is_expiry(resume) || std::any_of(resume.begin(), resume.end(), is_expiry);
}

Json command_of(const core::JsonReader& reader) {
  const auto* given = reader.object("command");
  if (given == nullptr) return nullptr;
  Json out = Json::object();
  for (const char* name : {"resume", "update", "goto"}) {
    const auto found = given->find(name);
    if (found != given->end() && !found->is_null()) out[name] = *found;
  }
  if (says_expired(out.value("resume", Json())))
    throw core::bad_request("\"__expired__\" is not for clients to say.", "/command/resume");
  if (out.empty()) throw core::bad_request("A command has \"resume\", \"update\" or \"goto\".", "/command");
  return out;
}

// checkpoint_during is what durability was called before.
std::string durability_of(const core::JsonReader& reader) {
  if (reader.has("durability")) return reader.choice("durability", {"sync", "async", "exit"});
  return reader.optional_bool("checkpoint_during").value_or(true) ? "async" : "exit";
}

Json limits_of(const core::JsonReader& reader) {
  const auto* limits = reader.object("limits");
  if (limits == nullptr) return nullptr;
  const auto faults = schema_faults(*limits, "limits");
  if (!faults.empty())
    throw core::bad_request("limits" + faults.front().pointer + ": " + faults.front().message,
                            "/limits" + faults.front().pointer);
  return *limits;
}

std::chrono::seconds after_of(const Json& body) {
  const auto found = body.find("after_seconds");
  if (found == body.end() || found->is_null()) return std::chrono::seconds(0);
  if (!found->is_number() || found->get<double>() < 0 || found->get<double>() > kAfterMax)
    throw core::bad_request("\"after_seconds\" is a number of seconds from 0 to " + std::to_string(kAfterMax),
                            "/after_seconds");
  return std::chrono::seconds(static_cast<std::int64_t>(found->get<double>()));
}

Json kwargs_of(const Json& body, const Assistant& assistant) {
  const core::JsonReader reader(body);
  Json out;
  out["config"] = merged_config(body, assistant);
  out["context"] = merged_context(body, out["config"], assistant);
  out["input"] = body.value("input", Json());
  out["command"] = command_of(reader);
  if (!out["command"].is_null() && !out["input"].is_null())
    throw core::bad_request("A run has an input or a command, not both.", "/command");
  out["checkpoint_id"] = checkpoint_of(body, out["config"]);
  out["stream_mode"] = stream_modes(body);
  out["stream_subgraphs"] = reader.optional_bool("stream_subgraphs").value_or(false);
  out["interrupt_before"] = strings_or_one(body, "interrupt_before");
  out["interrupt_after"] = strings_or_one(body, "interrupt_after");
  out["durability"] = durability_of(reader);
  if (auto limits = limits_of(reader); !limits.is_null()) out["limits"] = std::move(limits);
  return out;
}

std::string choice_or(const core::JsonReader& reader, std::string_view name,
                      std::initializer_list<std::string_view> allowed, std::string_view standard) {
  return reader.has(name) ? reader.choice(name, allowed) : std::string(standard);
}

std::vector<std::string> nodes_of(const Json& names, const Graph& graph) {
  std::vector<std::string> out;
  for (const auto& name : names) {
    if (name == "*") {
      for (const auto& node : graph.nodes) out.push_back(node.id);
    } else {
      out.push_back(name.get<std::string>());
    }
  }
  return out;
}

Limits limits_for(const Json& kwargs, const Graph& graph) {
  Limits out = graph.limits;
  if (kwargs.contains("limits")) out = tighter(out, read_limits(kwargs["limits"], no_limits()));
  const auto& config = kwargs.at("config");
  if (config.contains("recursion_limit") && config["recursion_limit"].is_number_integer())
    out.max_supersteps = static_cast<int>(
        std::min<std::int64_t>(out.max_supersteps, config["recursion_limit"].get<std::int64_t>()));
  return out;
}

}  // namespace

RunOrder read_run_order(const Json& body, const Assistant& assistant) {
  if (!body.is_object()) throw core::bad_request("The request is an object.");
  const core::JsonReader reader(body);
  RunOrder out;
  out.kwargs = kwargs_of(body, assistant);
  out.resumes = out.kwargs["command"].contains("resume");
  out.metadata = object_or_empty(reader, "metadata");
  if (bytes_of(out.metadata) > kRunMetadataMax)
    throw core::Error(core::ErrorKind::PayloadTooLarge, "A run's metadata has at most 64 KiB.")
        .with_field("/metadata");
  out.multitask_strategy =
      choice_or(reader, "multitask_strategy", {"reject", "enqueue", "interrupt", "rollback"}, "enqueue");
  out.keep_thread = choice_or(reader, "on_completion", {"delete", "keep"}, "delete") == "keep";
  out.create_thread = choice_or(reader, "if_not_exists", {"reject", "create"}, "reject") == "create";
  out.after = after_of(body);
  out.webhook = reader.optional_string("webhook", 1, kWebhookMax);
  return out;
}

void check_run_order(const Json& kwargs, const Graph& graph) {
  for (const char* name : {"interrupt_before", "interrupt_after"}) {
    for (const auto& node : kwargs.at(name)) {
      if (node != "*" && graph.node(node.get_ref<const std::string&>()) == nullptr)
        throw core::bad_request("There is no node \"" + node.get<std::string>() + "\".",
                                std::string("/") + name);
    }
  }
  const auto& input = kwargs.at("input");
  if (!input.is_null() && !input.is_object())
    throw core::bad_request("The input is an object of the graph's state keys.", "/input");
}

std::vector<mcp::SchemaFault> given_faults(const Json& kwargs, const Graph& graph, const Json& values) {
  std::vector<mcp::SchemaFault> out;
  const auto& input = kwargs.at("input");
  if (!input.is_null()) {
    for (auto& fault : input_faults(graph, input, values))
      out.push_back({"/input" + fault.pointer, std::move(fault.message)});
  }
  // Who goes on with a run need not know what it was started with.
  if (graph.context_check && !input.is_null()) {
    for (auto& fault : graph.context_check->check(kwargs.at("context")))
      out.push_back({"/context" + fault.pointer, std::move(fault.message)});
  }
  return out;
}

void check_resume(const Json& kwargs, const Json& interrupts) {
  const auto& resume = kwargs.at("command").at("resume");
  std::map<std::string, Json> open;
  // Of another checkpoint only the executor knows what it asks.
  if (interrupts.is_object() && kwargs.at("checkpoint_id") == "") {
    for (const auto& [task, list] : interrupts.items())
      for (const auto& one : list) open.emplace(one.value("id", ""), one.value("value", Json()));
  }
  const bool by_id = resume.is_object() && !resume.empty() &&
                     std::all_of(resume.items().begin(), resume.items().end(), [](const auto& member) {
                       return pregel::looks_like_interrupt_id(member.key());
                     });
  const auto check = [&](const Json* asked, const Json& answer, const std::string& at) {
    if (is_expiry(answer)) throw core::bad_request("\"__expired__\" is not for clients to say.", at);
    if (asked == nullptr) return;
    const auto fault = answer_fault(*asked, answer, kwargs.value("by", ""));
    if (!fault) return;
    if (fault->forbidden) throw core::forbidden(fault->message);
    throw core::bad_request(fault->message, at + fault->pointer);
  };
  if (!by_id) return check(open.size() == 1 ? &open.begin()->second : nullptr, resume, "/command/resume");
  const bool is_known = interrupts.is_object() && kwargs.at("checkpoint_id") == "";
  if (is_known && std::none_of(resume.items().begin(), resume.items().end(),
                               [&](const auto& member) { return open.contains(member.key()); }))
    throw core::Error(core::ErrorKind::Unprocessable, "None of these interrupts is open.")
        .with_code("NO_SUCH_INTERRUPT");
  for (const auto& [id, answer] : resume.items()) {
    const auto found = open.find(id);
    check(found == open.end() ? nullptr : &found->second, answer, "/command/resume/" + id);
  }
}

RunSpec run_spec_of(const Json& kwargs, GraphPtr graph) {
  RunSpec out;
  out.limits = limits_for(kwargs, *graph);
  if (!kwargs.at("input").is_null()) out.input = kwargs["input"];
  out.by = kwargs.value("by", "");
  const auto& command = kwargs.at("command");
  if (command.is_object()) {
    out.resumes = command.contains("resume");
    out.resume = command.value("resume", Json());
    out.update = command.value("update", Json());
    out.go_to = command.value("goto", Json());
  }
  out.checkpoint = kwargs.at("checkpoint_id").get<std::string>();
  out.interrupt_before = nodes_of(kwargs.at("interrupt_before"), *graph);
  out.interrupt_after = nodes_of(kwargs.at("interrupt_after"), *graph);
  const auto durability = kwargs.at("durability").get<std::string>();
  out.durability = durability == "sync"   ? Durability::Sync
                   : durability == "exit" ? Durability::Exit
                                          : Durability::Async;
  out.modes = recorded_modes(kwargs.at("stream_mode").get<std::set<std::string>>());
  out.context = kwargs.at("context");
  out.graph = std::move(graph);
  return out;
}

std::string graph_id_of(const Json& kwargs) {
  return kwargs.at("config").at("configurable").at("graph_id").get<std::string>();
}

Json output_of(const Graph& graph, const Json& values) {
  Json out = Json::object();
  if (!values.is_object()) return out;
  for (const auto& key : graph.output) {
    const auto found = values.find(key);
    if (found != values.end()) out[key] = *found;
  }
  return out;
}

}  // namespace assistiv::agents
