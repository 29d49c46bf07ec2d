#include "agents/definition/declarations.h"

#include <utility>

namespace assistiv::agents {

namespace {

using cel::Type;
using core::Json;

Json closed_object(Json properties) {
  return {{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
}

const Json kTextSchema = {{"type", "string"}};
const Json kIntegerSchema = {{"type", "integer"}};
const Json kNumberSchema = {{"type", "number"}};
const Json kAnySchema = Json::object();

Json answer_schema(const Json& response_schema) {
  return response_schema.is_object() ? response_schema : kAnySchema;
}

Json state_schema(const Graph& graph) {
  Json properties = Json::object();
  for (const auto& key : graph.state) properties[key.name] = key.schema;
  return closed_object(std::move(properties));
}

}  // namespace

Json result_schema(const Node& node) {
  const Json anything = {{"type", "object"}};
  const Json list = {{"type", "array"}};
  if (const auto* llm = std::get_if<LlmNode>(&node.body)) {
    return closed_object({{"text", kTextSchema},
                          {"json", answer_schema(llm->response_schema)},
                          {"message", anything},
                          {"usage", anything},
                          {"model", kTextSchema}});
  }
  if (const auto* agent = std::get_if<AgentNode>(&node.body)) {
    return closed_object({{"text", kTextSchema},
                          {"json", answer_schema(agent->response_schema)},
                          {"messages", list},
                          {"turns", kIntegerSchema},
                          {"stop_reason", kTextSchema}});
  }
  if (std::holds_alternative<ToolNode>(node.body)) {
    return closed_object({{"text", kTextSchema},
                          {"json", kAnySchema},
                          {"content", list},
                          {"is_error", {{"type", "boolean"}}}});
  }
  if (const auto* subgraph = std::get_if<SubgraphNode>(&node.body)) {
    return subgraph->local == nullptr ? anything : subgraph->local->output_schema;
  }
  if (const auto* approval = std::get_if<ApprovalNode>(&node.body)) {
    return closed_object(
        {{"response", answer_schema(approval->response_schema)}, {"by", kTextSchema}, {"at", kTextSchema}});
  }
  if (std::holds_alternative<HttpNode>(node.body)) {
    return closed_object(
        {{"status", kIntegerSchema}, {"headers", anything}, {"json", kAnySchema}, {"text", kTextSchema}});
  }
  return nullptr;
}

Variables::Variables(const Graph& graph, std::set<std::string> mapped, std::set<std::string> handlers)
    : mapped_(std::move(mapped)), handlers_(std::move(handlers)) {
  const auto add = [this](const char* name, const Json& schema) {
    shared_.add(name, Type::from_schema(schema));
  };
  shared_.add("context", graph.context_schema.is_object()
                             ? Type::from_schema(graph.context_schema)
                             : Type::map(Type::of(cel::Kind::String), Type::dyn()));
  add("run", closed_object({{"id", kTextSchema},
                            {"thread_id", kTextSchema},
                            {"attempt", kIntegerSchema},
                            {"step", kIntegerSchema},
                            {"now", kAnySchema}}));
  add("user", closed_object({{"id", kTextSchema},
                             {"external_id", kTextSchema},
                             {"display_name", kTextSchema},
                             {"metadata", {{"type", "object"}}}}));
  add("usage", closed_object({{"cost_usd", kNumberSchema},
                              {"tokens", kIntegerSchema},
                              {"llm_calls", kIntegerSchema},
                              {"tool_calls", kIntegerSchema},
                              {"active_s", kNumberSchema}}));
  add("budget", closed_object({{"remaining_usd", kNumberSchema}}));
  base_ = shared_;
  base_.add("state", Type::from_schema(state_schema(graph)));
}

cel::Declarations Variables::of_node(const std::string& node) const {
  cel::Declarations out = base_;
  if (mapped_.contains(node)) out.add("input", Type::dyn());
  if (handlers_.contains(node)) {
    out.add("error", Type::from_schema(closed_object(
                         {{"code", kTextSchema}, {"message", kTextSchema}, {"node", kTextSchema}})));
  }
  return out;
}

cel::Declarations Variables::of_map_input(const std::string& node) const {
  cel::Declarations out = of_node(node);
  out.add("item", Type::dyn());
  out.add("index", Type::of(cel::Kind::Int));
  return out;
}

cel::Declarations Variables::of_arguments() const {
  cel::Declarations out = shared_;
  out.add("arguments", Type::dyn());
  return out;
}

cel::Declarations Variables::of_result(const Node& node) const {
  cel::Declarations out = of_node(node.id);
  const Json schema = result_schema(node);
  if (!schema.is_null()) out.add("result", Type::from_schema(schema));
  return out;
}

}  // namespace assistiv::agents
