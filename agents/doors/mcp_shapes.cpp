#include "agents/doors/mcp_shapes.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/tools/tool_result.h"

namespace assistiv::agents {

namespace {

using core::Json;

constexpr const char* kThread = "thread_id";
constexpr const char* kAnswer = "answer";
constexpr const char* kMessage = "message";

Json thread_property() {
  return {{"type", "string"},
          {"format", "uuid"},
          {"description", "Goes on with the conversation of an earlier result."}};
}

// Keys of the graph's input as arguments, but for the messages.
Json input_properties(const Graph& graph) {
  Json out = Json::object();
  const auto messages = messages_key(graph);
  for (const auto& name : graph.input) {
    const auto* key = graph.key(name);
    if (key != nullptr && name != messages)
      out[name] = key->schema.is_object() ? key->schema : Json::object();
  }
  return out;
}

// What a call without a conversation must say. With one the thread may have it, but no model minds saying it
// again, and not all clients take a schema that could tell the two apart.
Json required_arguments(const Graph& graph, const Json& properties) {
  Json out = Json::array();
  if (properties.contains(kMessage) && !messages_key(graph).empty()) out.push_back(kMessage);
  for (const auto& name :
       graph.input_schema.is_object() ? graph.input_schema.value("required", Json::array()) : Json::array()) {
    if (name.is_string() && properties.contains(name.get_ref<const std::string&>()) && name != kMessage)
      out.push_back(name);
  }
  return out;
}

bool is_plain(const Json& schema) {
  const auto type = schema.is_object() ? schema.value("type", Json()) : Json();
  return type == "string" || type == "number" || type == "integer" || type == "boolean";
}

Json output_schema() {
  return {{"type", "object"},
          {"properties",
           {{"answer", {{"type", "string"}}},
            {"output", {{"type", "object"}}},
            {"status", {{"type", "string"}, {"enum", {"success", "waiting"}}}},
            {"waiting_for", {{"type", "array"}, {"items", {{"type", "object"}}}}},
            {"run_id", {{"type", "string"}}},
            {"thread_id", {{"type", "string"}}}}},
          {"required", {"answer", "status", "run_id", "thread_id"}}};
}

// A flat object of plain values: all that a form can ask for.
bool is_form(const Json& schema) {
  if (!schema.is_object() || schema.value("type", Json()) != "object") return false;
  const auto properties = schema.find("properties");
  if (properties == schema.end() || !properties->is_object() || properties->empty()) return false;
  return std::all_of(properties->begin(), properties->end(), is_plain);
}

Json form_of(const Waiting& waiting) {
  const auto own = waiting.value.is_object() ? waiting.value.value("response_schema", Json()) : Json();
  if (is_form(own)) return own;
  if (is_plain(own)) return {{"type", "object"}, {"properties", {{"answer", own}}}, {"required", {"answer"}}};
  if (waiting.type == "uncertain_effect") {
    const Json action = {{"type", "string"}, {"enum", {"happened", "retry", "abort"}}};
    return {{"type", "object"}, {"properties", {{"action", action}}}, {"required", {"action"}}};
  }
  if (waiting.type == "approval" || waiting.type == "tool_approval" || waiting.type == "approval_required") {
    const Json properties = {{"approved", {{"type", "boolean"}, {"title", "Approve"}}},
                             {"reason", {{"type", "string"}, {"title", "Reason"}}}};
    return {{"type", "object"}, {"properties", properties}, {"required", {"approved"}}};
  }
  return {{"type", "object"}, {"properties", {{"answer", {{"type", "string"}}}}}, {"required", {"answer"}}};
}

// A form of one member that we made up: its value is the answer.
bool is_plain_answer(const Waiting& waiting) {
  const auto form = form_of(waiting);
  return form.at("properties").size() == 1 && form.at("properties").contains("answer") &&
         !is_form(waiting.value.is_object() ? waiting.value.value("response_schema", Json()) : Json());
}

Json shown(const std::vector<Waiting>& waiting) {
  Json out = Json::array();
  for (const auto& one : waiting) {
    Json shape = {{"id", one.id}, {"text", one.text}, {"value", one.value}};
    if (!one.url.empty()) shape["url"] = one.url;
    out.push_back(std::move(shape));
  }
  return out;
}

}  // namespace

core::Json tool_definition(const Agent& agent, const Graph& graph) {
  Json properties = input_properties(graph);
  if (!messages_key(graph).empty()) {
    properties[kMessage] = {{"type", "string"},
                            {"description", "What to say to the agent, or the answer to what it waits for."}};
  } else if (!properties.contains(kAnswer)) {
    properties[kAnswer] = {{"description", "With thread_id: the answer to what the agent waits for."}};
  }
  if (!properties.contains(kThread)) properties[kThread] = thread_property();
  Json input = {{"type", "object"}};
  if (auto required = required_arguments(graph, properties); !required.empty())
    input["required"] = std::move(required);
  input["properties"] = std::move(properties);
  return {
      {"name", agent.slug},
      {"title", agent.name},
      {"description", agent.description.empty() ? "The agent \"" + agent.name + "\"." : agent.description},
      {"inputSchema", std::move(input)},
      {"outputSchema", output_schema()},
      {"annotations", {{"readOnlyHint", false}, {"openWorldHint", true}}}};
}

core::Json input_of_arguments(const Graph& graph, const core::Json& arguments) {
  Json input = Json::object();
  const Json properties = input_properties(graph);
  for (const auto& [name, schema] : properties.items()) {
    if (arguments.contains(name)) input[name] = arguments.at(name);
  }
  const auto key = messages_key(graph);
  if (key.empty()) return input;
  const auto said = arguments.value(kMessage, Json());
  if (!said.is_string() || said.get_ref<const std::string&>().empty())
    throw core::bad_request("Say something to the agent in \"message\".", "message");
  input[key] = Json::array({{{"type", "human"}, {"content", said}}});
  return input;
}

core::Json answer_of_arguments(const std::vector<Waiting>& waiting, const core::Json& arguments) {
  const auto& given = arguments.contains(kAnswer) ? arguments.at(kAnswer) : arguments.value(kMessage, Json());
  if (given.is_null())
    throw core::bad_request("The agent waits for an answer: " + text_of_waiting(waiting), kAnswer);
  return given.is_string() ? answer_of_text(waiting, given.get<std::string>()) : given;
}

bool says_answer(const Graph& graph, const core::Json& arguments) {
  return arguments.contains(kAnswer) && !input_properties(graph).contains(kAnswer);
}

std::string done_result(const Graph& graph, const DoorAnswer& answer, const Run& run) {
  Json structured = {{"answer", answer.text},
                     {"status", "success"},
                     {"run_id", run.id.str()},
                     {"thread_id", run.thread.str()}};
  auto output = answer.output;
  if (output.is_object()) {
    output.erase(messages_key(graph));
    if (!output.empty()) structured["output"] = std::move(output);
  }
  return mcp::structured_result(structured, answer.text);
}

std::string waiting_result(const DoorAnswer& answer, const Run& run) {
  const Json structured = {{"answer", answer.text},
                           {"status", "waiting"},
                           {"waiting_for", shown(answer.waiting)},
                           {"run_id", run.id.str()},
                           {"thread_id", run.thread.str()}};
  return mcp::structured_result(structured, answer.text +
                                                "\n\nTo go on, call this tool again with thread_id " +
                                                run.thread.str() + " and the answer.");
}

std::optional<core::Json> input_requests(const std::vector<Waiting>& waiting,
                                         const mcp::ClientAbilities& client) {
  Json out = Json::object();
  for (const auto& one : waiting) {
    const bool link = one.is_sign_in();
    if (link ? !client.elicitation_url || one.url.empty() : !client.elicitation_form) return std::nullopt;
    Json params = {{"message", one.text}};
    if (link) {
      params["mode"] = "url";
      params["url"] = one.url;
      params["elicitationId"] = one.id;
    } else {
      params["mode"] = "form";
      params["requestedSchema"] = form_of(one);
    }
    out[one.id] = {{"method", "elicitation/create"}, {"params", std::move(params)}};
  }
  return out;
}

bool declined_sign_in(const std::vector<Waiting>& waiting, const core::Json& responses) {
  return std::any_of(waiting.begin(), waiting.end(), [&](const Waiting& one) {
    const auto given = responses.find(one.id);
    return one.is_sign_in() && given != responses.end() && given->is_object() &&
           given->value("action", Json()) != "accept";
  });
}

core::Json answers_of_responses(const std::vector<Waiting>& waiting, const core::Json& responses) {
  Json out = Json::object();
  for (const auto& one : waiting) {
    const auto given = responses.find(one.id);
    if (given == responses.end() || !given->is_object()) continue;
    const auto content = given->value("content", Json());
    if (given->value("action", Json()) != "accept") {
      // A link that was not opened answers nothing.
      if (!one.is_sign_in()) out[one.id] = {{"approved", false}, {"action", "abort"}, {"reason", "declined"}};
    } else if (one.is_sign_in()) {
      out[one.id] = true;
    } else if (is_plain_answer(one) && content.is_object()) {
      out[one.id] = content.value("answer", Json());
    } else {
      out[one.id] = content;
    }
  }
  return out;
}

}  // namespace assistiv::agents
