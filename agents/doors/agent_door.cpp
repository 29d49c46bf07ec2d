#include "agents/doors/agent_door.h"

#include <algorithm>
#include <utility>

#include "agents/runtime/journal.h"
#include "agents/service/assistant_service.h"
#include "agents/store/agent_service.h"
#include "core/json_read.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr int kListed = 100;

std::string text_member(const Json& object, std::string_view name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

const StateKey* only_text_input(const Graph& graph) {
  if (graph.input.size() != 1) return nullptr;
  const auto* key = graph.key(graph.input.front());
  return key != nullptr && key->schema.value("type", Json()) == "string" ? key : nullptr;
}

// The link or the approval that a tool asks for.
std::string link_of(const Json& value) {
  const auto ask = value.is_object() ? value.value("ask", Json()) : Json();
  for (const auto* from : {&ask, &value}) {
    for (const char* name : {"url", "connect_url", "link"}) {
      if (auto found = text_member(*from, name); !found.empty()) return found;
    }
  }
  return {};
}

std::string call_text(const Json& value) {
  std::string out = text_member(value, "tool");
  if (const auto set = text_member(value, "toolset"); !set.empty()) out = set + "_" + out;
  if (value.contains("arguments")) out += " with " + core::dump_json(value.at("arguments"));
  return out;
}

std::string approval_text(const Json& value) {
  auto out = text_member(value, "prompt");
  if (out.empty()) out = "\"" + text_member(value, "node") + "\" asks for approval.";
  const auto payload = value.value("payload", Json());
  if (!payload.is_null())
    out += "\n" + (payload.is_string() ? payload.get<std::string>() : core::dump_json(payload));
  return out;
}

std::string waiting_text(const Waiting& waiting) {
  const auto& value = waiting.value;
  if (waiting.type == "connection_required") {
    const auto app = text_member(value, "toolset");
    return "Connect your " + (app.empty() ? "app" : app) + " account to go on" +
           (waiting.url.empty() ? "." : ": " + waiting.url);
  }
  if (waiting.type == "approval") return approval_text(value);
  if (waiting.type == "tool_approval") return "Approve the call of " + call_text(value) + "?";
  if (waiting.type == "approval_required") {
    const auto approval =
        value.is_object() ? text_member(value.value("ask", Json()), "approval_id") : std::string();
    return "The call of " + call_text(value) + " waits for an approval" +
           (approval.empty() ? "." : " (" + approval + ").");
  }
  if (waiting.type == "uncertain_effect")
    return "It is not known whether the call of " + call_text(value) +
           " was carried out. Say \"happened\", \"retry\" or \"abort\".";
  return value.is_string() ? value.get<std::string>() : core::dump_json(value);
}

const Json* last_answer(const Json& messages) {
  if (!messages.is_array()) return nullptr;
  for (auto it = messages.rbegin(); it != messages.rend(); ++it) {
    if (it->is_object() && it->value("type", Json()) == "ai") return &*it;
  }
  return nullptr;
}

core::ErrorKind kind_of(const std::string& code) {
  if (code == "limit_cost" || code.find("budget") != std::string::npos ||
      code.find("insufficient") != std::string::npos || code == "payment_required")
    return core::ErrorKind::PaymentRequired;
  return core::ErrorKind::Unprocessable;
}

}  // namespace

core::Task<DoorAgent> find_agent(DoorWorld world, Reach reach, std::string slug) {
  DoorAgent out;
  out.agent = (co_await world.assistants.resolve(reach, std::move(slug))).agent;
  out.graph = co_await world.agents.graph(reach.platform, out.agent.id, out.agent.active_version);
  co_return out;
}

core::Task<std::vector<Agent>> usable_agents(DoorWorld world, Reach reach) {
  std::vector<Agent> out;
  for (int page = 1; page <= AgentService::kAgentsMax / kListed; ++page) {
    auto some = co_await world.agents.list(reach.platform, {page, kListed});
    for (auto& agent : some.items) {
      if (agent.is_active && (!reach.end_user || may_use(agent, *reach.end_user)))
        out.push_back(std::move(agent));
    }
    if (some.total <= static_cast<std::int64_t>(page) * kListed) break;
  }
  std::sort(out.begin(), out.end(), [](const Agent& a, const Agent& b) { return a.slug < b.slug; });
  co_return out;
}

std::string messages_key(const Graph& graph) {
  for (const auto& name : graph.input) {
    const auto* key = graph.key(name);
    if (key != nullptr && key->reducer == Reducer::Messages) return name;
  }
  return {};
}

core::Json input_of_messages(const Graph& graph, const core::Json& messages) {
  if (const auto key = messages_key(graph); !key.empty()) return {{key, messages}};
  const auto text =
      messages.empty() ? std::string() : text_of_content(messages.back().value("content", Json()));
  if (const auto* key = only_text_input(graph)) return {{key->name, text}};
  const auto parsed = core::try_parse_json(text);
  if (parsed && parsed->is_object()) return *parsed;
  throw core::Error(
      core::ErrorKind::InvalidArgument,
      "This agent takes no messages: send its input as one message whose text is a JSON object of "
      "this schema: " +
          core::dump_json(graph.input_schema))
      .with_code("input_not_an_object");
}

std::string text_of_content(const core::Json& content) {
  if (content.is_string()) return content.get<std::string>();
  std::string out;
  for (const auto& block : content.is_array() ? content : Json::array()) {
    if (block.is_string()) out += block.get<std::string>();
    if (block.is_object() && block.value("type", Json()) == "text") out += text_member(block, "text");
  }
  return out;
}

std::vector<Waiting> waiting_of(const core::Json& interrupts) {
  std::vector<Waiting> out;
  for (const auto& list : interrupts.is_object() ? interrupts : Json::object()) {
    for (const auto& one : list.is_array() ? list : Json::array()) {
      Waiting waiting;
      waiting.id = text_member(one, "id");
      waiting.value = one.is_object() ? one.value("value", Json()) : Json();
      waiting.type = text_member(waiting.value, "type");
      waiting.url = link_of(waiting.value);
      waiting.text = waiting_text(waiting);
      out.push_back(std::move(waiting));
    }
  }
  return out;
}

std::string text_of_waiting(const std::vector<Waiting>& waiting) {
  std::string out;
  for (const auto& one : waiting) {
    if (!out.empty()) out += "\n\n";
    if (waiting.size() > 1) out += "[" + one.id + "] ";
    out += one.text;
  }
  return out;
}

core::Json answer_of_text(const std::vector<Waiting>& waiting, const std::string& text) {
  auto parsed = core::try_parse_json(text);
  if (waiting.size() < 2) return parsed ? std::move(*parsed) : Json(text);
  const bool by_id = parsed && parsed->is_object() && !parsed->empty() &&
                     std::all_of(parsed->items().begin(), parsed->items().end(), [&](const auto& member) {
                       return std::any_of(waiting.begin(), waiting.end(),
                                          [&](const Waiting& one) { return one.id == member.key(); });
                     });
  if (by_id) return std::move(*parsed);
  throw core::Error(
      core::ErrorKind::InvalidArgument,
      "The agent waits for several answers: send a JSON object with one for each of these ids.\n" +
          text_of_waiting(waiting))
      .with_code("answers_by_id");
}

DoorAnswer answer_of(const Graph& graph, const RunResult& result) {
  if (const auto error = error_of_run(result.run, result.interrupts)) throw *error;
  DoorAnswer out;
  out.waiting = waiting_of(result.interrupts);
  out.totals = result.run.usage.is_object() ? totals_of(result.run.usage) : RunTotals();
  if (!out.waiting.empty()) {
    out.text = text_of_waiting(out.waiting);
    return out;
  }
  out.output = result.output;
  const auto key = messages_key(graph);
  const auto found =
      result.values.is_object() && !key.empty() ? result.values.find(key) : result.values.end();
  const auto* said = found != result.values.end() ? last_answer(*found) : nullptr;
  if (said != nullptr) {
    out.message = *said;
    out.text = text_of_content(said->value("content", Json()));
  } else if (out.output.is_object() && out.output.size() == 1 && out.output.begin()->is_string()) {
    out.text = out.output.begin()->get<std::string>();
  } else if (!out.output.is_null()) {
    out.text = core::dump_json(out.output);
  }
  return out;
}

std::optional<core::Error> error_of_run(const Run& run, const core::Json& interrupts) {
  if (run.status == "success" || !run.is_over()) return std::nullopt;
  if (run.status == "interrupted") {
    if (interrupts.is_object() && !interrupts.empty()) return std::nullopt;
    return core::Error(core::ErrorKind::Unprocessable, "The run was cancelled.").with_code("cancelled");
  }
  auto message = text_member(run.error, "message");
  if (message.empty()) message = run.status == "timeout" ? "It took too long." : "It did not say why.";
  const auto code = text_member(run.error, "error");
  return core::Error(kind_of(code), "The agent failed: " + message)
      .with_code(code.empty() ? "agent_failed" : code);
}

}  // namespace assistiv::agents
