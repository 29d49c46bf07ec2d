#include "agents/doors/a2a_shapes.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "core/json_read.h"

namespace assistiv::agents::a2a {

namespace {

using core::Json;

constexpr std::size_t kPartsMax = 64;
constexpr std::size_t kHistoryText = 64 << 10;

std::string member_text(const Json& object, const char* name) {
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// An id of ours in a member that may be absent or "".
template <class AnyId>
std::optional<AnyId> id_member(const Json& message, const char* name, const Fault& unknown) {
  const auto text = member_text(message, name);
  if (text.empty()) return std::nullopt;
  const auto id = AnyId::parse(text);
  if (!id) throw unknown;
  return id;
}

Json image_block(const Json& part) {
  const auto type = member_text(part, "mediaType");
  if (!type.starts_with("image/"))
    throw Fault{kContentTypeNotSupported, "The agent takes text, data and images, not \"" + type + "\"."};
  const auto url = part.contains("url") ? member_text(part, "url")
                                        : "data:" + type + ";base64," + member_text(part, "raw");
  return {{"type", "image_url"}, {"image_url", {{"url", url}}}};
}

void read_part(const Json& part, Incoming& into) {
  if (!part.is_object()) throw Fault{kInvalidParams, "message.parts holds objects."};
  if (part.contains("text")) {
    const auto text = member_text(part, "text");
    into.text += (into.text.empty() ? "" : "\n") + text;
    into.blocks.push_back({{"type", "text"}, {"text", text}});
  } else if (part.contains("data")) {
    into.data = part.at("data");
    into.blocks.push_back({{"type", "text"}, {"text", core::dump_json(into.data)}});
  } else if (part.contains("url") || part.contains("raw")) {
    into.blocks.push_back(image_block(part));
  } else {
    throw Fault{kInvalidParams, "A part has text, data, url or raw."};
  }
}

Json text_part(const std::string& text) {
  return {{"text", text}, {"mediaType", "text/plain"}};
}

Json agent_message(const TaskView& view, std::string id, Json parts) {
  return {{"messageId", std::move(id)},
          {"contextId", view.first.thread.str()},
          {"taskId", view.first.id.str()},
          {"role", "ROLE_AGENT"},
          {"parts", std::move(parts)}};
}

// What a client is told of a task that waits: for people, and for programs.
Json waiting_parts(const std::vector<Waiting>& waiting) {
  Json parts = Json::array({text_part(text_of_waiting(waiting))});
  for (const auto& one : waiting) {
    Json data = {{"interrupt_id", one.id}, {"type", one.type}, {"value", one.value}};
    if (!one.url.empty()) data["url"] = one.url;
    parts.push_back({{"data", std::move(data)}, {"mediaType", "application/json"}});
  }
  return parts;
}

Json history_message(const TaskView& view, const Json& message) {
  const bool agent = message.value("type", Json()) == "ai";
  auto text = text_of_content(message.value("content", Json()));
  if (text.size() > kHistoryText) text.resize(kHistoryText);
  auto out = agent_message(view, member_text(message, "id"), Json::array({text_part(text)}));
  if (!agent) out["role"] = "ROLE_USER";
  return out;
}

Json history_of(const Graph& graph, const TaskView& view, int max) {
  Json out = Json::array();
  const auto key = messages_key(graph);
  if (max == 0 || key.empty() || !view.values.is_object() || !view.values.contains(key)) return out;
  std::vector<const Json*> shown;
  for (const auto& message : view.values.at(key)) {
    const auto type = message.is_object() ? message.value("type", Json()) : Json();
    const bool spoken =
        type == "human" || (type == "ai" && !text_of_content(message.value("content", Json())).empty());
    if (spoken) shown.push_back(&message);
  }
  const auto from = max < 0 || shown.size() <= static_cast<std::size_t>(max) ? 0 : shown.size() - max;
  for (auto i = from; i < shown.size(); ++i) out.push_back(history_message(view, *shown[i]));
  return out;
}

Json skill_of(const Agent& agent) {
  return {{"id", agent.slug},
          {"name", agent.name},
          {"description", agent.description.empty() ? agent.name : agent.description},
          {"tags", {"agent"}}};
}

}  // namespace

core::Json error_reply(const core::Json& id, const Fault& fault) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", fault.code}, {"message", fault.message}}}};
}

core::Json result_reply(const core::Json& id, core::Json result) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(result)}};
}

core::Json agent_card(const Agent& agent, const Graph& graph, const std::string& url) {
  const bool talks = !messages_key(graph).empty();
  const Json bearer = {{"httpAuthSecurityScheme",
                        {{"scheme", "Bearer"}, {"description", "An end user's or the platform's API key."}}}};
  return {{"name", agent.name},
          {"description", agent.description.empty() ? agent.name : agent.description},
          {"version", std::to_string(agent.active_version)},
          {"supportedInterfaces",
           Json::array({{{"url", url}, {"protocolBinding", "JSONRPC"}, {"protocolVersion", "1.0"}}})},
          {"capabilities", {{"streaming", true}, {"pushNotifications", false}, {"extendedAgentCard", false}}},
          {"securitySchemes", {{"key", bearer}}},
          {"securityRequirements", Json::array({{{"schemes", {{"key", {{"list", Json::array()}}}}}}})},
          {"defaultInputModes", talks ? Json{"text/plain", "application/json"} : Json{"application/json"}},
          {"defaultOutputModes", {"text/plain", "application/json"}},
          {"skills", Json::array({skill_of(agent)})}};
}

Incoming read_message(const core::Json& params) {
  const auto message = params.is_object() ? params.value("message", Json()) : Json();
  const auto parts = message.is_object() ? message.value("parts", Json()) : Json();
  Incoming out;
  out.message_id = member_text(message, "messageId");
  if (out.message_id.empty()) throw Fault{kInvalidParams, "message.messageId is needed."};
  if (!parts.is_array() || parts.empty() || parts.size() > kPartsMax)
    throw Fault{kInvalidParams, "message.parts has 1 to " + std::to_string(kPartsMax) + " parts."};
  if (message.value("role", Json("ROLE_USER")) != "ROLE_USER")
    throw Fault{kInvalidParams, "message.role is ROLE_USER."};
  out.task = id_member<RunId>(message, "taskId", {kTaskNotFound, "There is no such task."});
  out.context = id_member<ThreadId>(
      message, "contextId", {kInvalidParams, "message.contextId is a UUID: leave it out to get one."});
  out.blocks = Json::array();
  for (const auto& part : parts) read_part(part, out);
  return out;
}

core::Json input_of(const Graph& graph, const Incoming& incoming) {
  if (messages_key(graph).empty() && incoming.data.is_object()) return incoming.data;
  Json content = incoming.blocks;
  if (content.size() == 1 && content[0]["type"] == "text") content = Json(content[0]["text"]);
  const Json message = {{"type", "human"}, {"content", std::move(content)}, {"id", incoming.message_id}};
  try {
    return input_of_messages(graph, Json::array({message}));
  } catch (const core::Error& error) {
    throw Fault{kInvalidParams, error.message()};
  }
}

core::Json answer_of(const std::vector<Waiting>& waiting, const Incoming& incoming) {
  if (incoming.data.is_null()) return answer_of_text(waiting, incoming.text);
  if (waiting.size() < 2) return incoming.data;
  return answer_of_text(waiting, core::dump_json(incoming.data));
}

std::string state_of(const Run& run, const core::Json& interrupts) {
  if (run.status == "pending") return "TASK_STATE_SUBMITTED";
  if (run.status == "running") return "TASK_STATE_WORKING";
  if (run.status == "success") return "TASK_STATE_COMPLETED";
  if (run.status != "interrupted") return "TASK_STATE_FAILED";
  const auto waiting = waiting_of(interrupts);
  if (waiting.empty()) return "TASK_STATE_CANCELED";
  const bool signs_in =
      std::all_of(waiting.begin(), waiting.end(), [](const auto& one) { return one.is_sign_in(); });
  return signs_in ? "TASK_STATE_AUTH_REQUIRED" : "TASK_STATE_INPUT_REQUIRED";
}

bool is_terminal(std::string_view state) {
  return state == "TASK_STATE_COMPLETED" || state == "TASK_STATE_FAILED" || state == "TASK_STATE_CANCELED" ||
         state == "TASK_STATE_REJECTED";
}

core::Json status_of(const TaskView& view) {
  const auto state = state_of(view.last, view.interrupts);
  Json out = {{"state", state}, {"timestamp", core::format_time(view.last.updated_at)}};
  const auto id = view.last.id.str();
  if (state == "TASK_STATE_INPUT_REQUIRED" || state == "TASK_STATE_AUTH_REQUIRED")
    out["message"] = agent_message(view, id, waiting_parts(waiting_of(view.interrupts)));
  if (const auto error = error_of_run(view.last, view.interrupts); error && state == "TASK_STATE_FAILED")
    out["message"] = agent_message(view, id, Json::array({text_part(error->message())}));
  return out;
}

core::Json artifact_of(const Graph& graph, const TaskView& view) {
  const auto answer = agents::answer_of(graph, {view.last, view.values, view.output, Json::object()});
  Json parts = Json::array();
  if (!answer.text.empty()) parts.push_back(text_part(answer.text));
  auto data = view.output;
  if (data.is_object()) data.erase(messages_key(graph));
  if (data.is_object() && !data.empty())
    parts.push_back({{"data", std::move(data)}, {"mediaType", "application/json"}});
  if (parts.empty()) parts.push_back(text_part(""));
  return {{"artifactId", view.last.id.str()}, {"name", "answer"}, {"parts", std::move(parts)}};
}

core::Json artifact_piece(const TaskView& view, const std::string& text, bool first) {
  return {
      {"artifactUpdate",
       {{"taskId", view.first.id.str()},
        {"contextId", view.first.thread.str()},
        {"artifact",
         {{"artifactId", view.last.id.str()}, {"name", "answer"}, {"parts", Json::array({text_part(text)})}}},
        {"append", !first},
        {"lastChunk", false}}}};
}

core::Json task_json(const Graph& graph, const TaskView& view, int history, bool with_artifacts) {
  Json out = {{"id", view.first.id.str()},
              {"contextId", view.first.thread.str()},
              {"status", status_of(view)},
              {"metadata", {{"run_id", view.last.id.str()}}}};
  if (with_artifacts && view.last.status == "success" && !view.values.is_null())
    out["artifacts"] = Json::array({artifact_of(graph, view)});
  if (auto said = history_of(graph, view, history); !said.empty()) out["history"] = std::move(said);
  return out;
}

}  // namespace assistiv::agents::a2a
