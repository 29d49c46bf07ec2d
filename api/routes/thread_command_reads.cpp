// Commands that read: the state, the checkpoints, the tree of namespaces; and how parameters are read.
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "agents/service/assistant_service.h"
#include "agents/service/thread_state.h"
#include "agents/store/event_log.h"
#include "agents/store/run_store.h"
#include "agents/store/thread_store.h"
#include "api/routes/thread_command_work.h"
#include "api/wire/thread_protocol.h"

namespace assistiv::api::thread_commands {

using core::Json;

namespace {

constexpr std::size_t kTreePages = 40;
constexpr std::size_t kTreePage = 256;
constexpr int kCheckpointsMax = 1000;

}  // namespace

core::Error command_fault(std::string code, std::string message) {
  return core::Error(core::ErrorKind::InvalidArgument, std::move(message)).with_code(std::move(code));
}

const Json& param(const Json& params, const char* name) {
  static const Json none;
  const auto found = params.find(name);
  return found == params.end() ? none : *found;
}

Json object_param(const Json& params, const char* name) {
  const auto& given = param(params, name);
  if (given.is_null()) return Json::object();
  if (!given.is_object())
    throw command_fault("invalid_argument", "\"" + std::string(name) + "\" is an object.");
  return given;
}

std::string text_param(const Json& params, const char* name) {
  const auto& given = param(params, name);
  if (!given.is_string() || given.get_ref<const std::string&>().empty() ||
      given.get_ref<const std::string&>().size() > 512)
    throw command_fault("invalid_argument", "\"" + std::string(name) + "\" is missing.");
  return given.get<std::string>();
}

std::string namespace_param(const Json& params) {
  const auto& given = param(params, "namespace");
  if (given.is_null()) return "";
  std::vector<std::string> segments;
  if (!given.is_array() || given.size() > 64)
    throw command_fault("invalid_argument", "\"namespace\" is a list of names.");
  for (const auto& one : given) {
    if (!one.is_string()) throw command_fault("invalid_argument", "\"namespace\" is a list of names.");
    segments.push_back(one.get<std::string>());
  }
  return joined_namespace(segments);
}

agents::CheckpointId checkpoint_of(const Json& given) {
  const auto id =
      given.is_string() ? agents::CheckpointId::parse(given.get_ref<const std::string&>()) : std::nullopt;
  if (!id) throw command_fault("no_such_checkpoint", "There is no such checkpoint.");
  return *id;
}

core::Task<agents::Run> last_run(const Work* work) {
  agents::RunSearch query;
  query.thread = work->thread();
  query.limit = 1;
  auto runs = co_await work->gateway.run_rows.list(work->reach(), std::move(query));
  if (runs.empty()) throw command_fault("no_such_run", "The thread has no run yet.");
  co_return std::move(runs[0]);
}

namespace {

Json checkpoint_ref(const Json& state, const std::string& ns) {
  const auto checkpoint = state.value("checkpoint", Json());
  const auto id = checkpoint.is_object() ? checkpoint.value("checkpoint_id", Json()) : Json();
  return id.is_string() ? Json{{"id", id}, {"ns", ns}} : Json();
}

}  // namespace

core::Task<Answer> get_state(const Work* work) {
  agents::StateQuery query;
  query.ns = namespace_param(work->params);
  const auto ns = query.ns;
  const auto thread = co_await work->gateway.threads.get(work->reach(), work->thread());
  const auto state = co_await work->gateway.states.get(work->reach(), work->thread(), std::move(query));
  auto checkpoint = checkpoint_ref(state, ns);
  if (checkpoint.is_null() && !ns.empty())
    throw command_fault("no_such_namespace", "There is no state under this namespace.");
  auto values = state.value("values", Json::object());
  const auto& keys = param(work->params, "keys");
  if (keys.is_array() && values.is_object()) {
    auto some = Json::object();
    for (const auto& key : keys) {
      if (key.is_string() && values.contains(key.get_ref<const std::string&>()))
        some[key.get<std::string>()] = values[key.get<std::string>()];
    }
    values = std::move(some);
  }
  Answer out;
  out.applied_through = thread.last_seq;
  out.result = {{"values", std::move(values)}};
  if (!checkpoint.is_null()) out.result["checkpoint"] = std::move(checkpoint);
  co_return out;
}

core::Task<Answer> list_checkpoints(const Work* work) {
  agents::HistoryQuery query;
  query.ns = namespace_param(work->params);
  const auto& limit = param(work->params, "limit");
  if (limit.is_number_integer())
    query.limit = static_cast<int>(std::clamp<std::int64_t>(limit.get<std::int64_t>(), 1, kCheckpointsMax));
  if (const auto& before = param(work->params, "before"); !before.is_null())
    query.before = checkpoint_of(before);
  const auto page = co_await work->gateway.states.history(work->reach(), work->thread(), std::move(query));
  auto rows = Json::array();
  for (const auto& state : page.states) {
    const auto metadata = state.value("metadata", Json::object());
    Json row = {{"id", checkpoint_ref(state, "").value("id", Json())},
                {"timestamp", state.value("created_at", Json())},
                {"step", metadata.is_object() ? metadata.value("step", Json(0)) : Json(0)},
                {"metadata", metadata}};
    const auto next = state.value("next", Json::array());
    if (next.is_array() && next.size() == 1) row["node_name"] = next[0];
    rows.push_back(std::move(row));
  }
  Answer out;
  out.result = {{"checkpoints", std::move(rows)}};
  co_return out;
}

namespace {

std::string standing_of(const std::string& status) {
  if (status == "pending") return "started";
  if (status == "running" || status == "interrupted") return status;
  return status == "success" ? "completed" : "failed";
}

using Namespaces = std::map<std::vector<std::string>, Json>;  // a namespace's parents stand before it

void note_lifecycle(const agents::RunEvent& event, Namespaces& into) {
  if (event.method != "lifecycle") return;
  auto ns = namespace_of(event.ns);
  auto& node = into[ns];
  if (node.is_null()) node = {{"namespace", ns}};
  node["status"] = event.data.value("event", "started");
  node["graph_name"] = event.data.value("graph_name", "");
}

// From the deepest up: each goes into its nearest parent that is there.
Json tree_of(Namespaces nodes) {
  while (nodes.size() > 1) {
    auto deepest = std::max_element(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
      return a.first.size() < b.first.size();
    });
    auto parent = deepest->first;
    auto node = std::move(deepest->second);
    nodes.erase(deepest);
    do {
      parent.pop_back();
    } while (!parent.empty() && !nodes.contains(parent));
    auto& children = nodes[parent]["children"];
    if (children.is_null()) children = Json::array();
    children.insert(children.begin(), std::move(node));
  }
  return std::move(nodes.begin()->second);
}

core::Task<agents::Run> run_asked_for(const Work* work) {
  const auto& given = param(work->params, "run_id");
  if (given.is_null()) co_return co_await last_run(work);
  const auto id =
      given.is_string() ? agents::RunId::parse(given.get_ref<const std::string&>()) : std::nullopt;
  std::optional<agents::Run> run;
  if (id) {
    try {
      run = co_await work->gateway.run_rows.get(work->reach(), *id);
    } catch (const core::Error& error) {
      if (error.kind() != core::ErrorKind::NotFound) throw;
    }
  }
  if (!run || run->thread != work->thread())
    throw command_fault("no_such_run", "There is no such run of this thread.");
  co_return std::move(*run);
}

}  // namespace

core::Task<Answer> get_tree(const Work* work) {
  const auto thread = co_await work->gateway.threads.get(work->reach(), work->thread());
  const auto run = co_await run_asked_for(work);
  Namespaces nodes;
  auto after = run.base_seq;
  for (std::size_t page = 0; page < kTreePages; ++page) {
    const auto events =
        co_await work->gateway.events.read(work->reach(), work->thread(), after, kTreePage, run.id);
    for (const auto& one : events) note_lifecycle(one.event, nodes);
    if (events.empty()) break;
    after = events.back().event.seq;
  }
  auto& root = nodes[{}];
  if (root.is_null()) {
    root = {{"namespace", Json::array()}, {"graph_name", ""}};
    const auto known = co_await work->gateway.assistants.resolve(work->reach(), run.assistant.str());
    root["graph_name"] = known.assistant.graph_id;
  }
  root["status"] = standing_of(run.status);
  Answer out;
  out.applied_through = thread.last_seq;
  out.result = {{"tree", tree_of(std::move(nodes))}};
  co_return out;
}

}  // namespace assistiv::api::thread_commands
