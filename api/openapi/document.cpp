#include "api/openapi/document.h"

#include <algorithm>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/http/agent_paths.h"
#include "api/http/inference_paths.h"
#include "core/json_read.h"

namespace assistiv::api {

namespace {

using nlohmann::ordered_json;

ordered_json schema_ref(const std::string& name) {
  return {{"$ref", "#/components/schemas/" + name}};
}

ordered_json json_content(ordered_json schema) {
  return {{"application/json", {{"schema", std::move(schema)}}}};
}

ordered_json reply_schema(const Route& route) {
  if (route.paginated) {
    const ordered_json number = {{"type", "integer"}};
    return {{"type", "object"},
            {"required", {"data", "total", "page", "limit"}},
            {"properties",
             {{"data", {{"type", "array"}, {"items", schema_ref(route.reply_schema)}}},
              {"total", number},
              {"page", number},
              {"limit", number}}}};
  }
  if (!route.enveloped) return schema_ref(route.reply_schema);
  return {
      {"type", "object"}, {"required", {"data"}}, {"properties", {{"data", schema_ref(route.reply_schema)}}}};
}

ordered_json header_param(const std::string& name, const std::string& meaning, ordered_json schema,
                          bool required = false) {
  return {{"name", name},
          {"in", "header"},
          {"description", meaning},
          {"required", required},
          {"schema", std::move(schema)}};
}

// Calls that reach a model.
bool is_model_call(const Route& route) {
  return dialect_of_path(route.path).has_value() && route.method == "POST";
}

void add_header_params(ordered_json& out, const Route& route) {
  const ordered_json text = {{"type", "string"}, {"maxLength", 255}};
  if (route.idempotency != Idempotency::None) {
    out.push_back(header_param("Idempotency-Key",
                               "The same key and body give the first result back; another body is a 409.",
                               text, route.idempotency == Idempotency::Needed));
  }
  if (!is_model_call(route)) return;
  out.push_back(header_param("x-aig-tag", "Kept with the usage rows; x-tag does the same.", text));
  out.push_back(header_param("x-cache", "Whether the response cache is used.",
                             {{"type", "string"}, {"enum", {"auto", "force", "skip"}}, {"default", "auto"}}));
  out.push_back(header_param("x-aig-unsupported",
                             "What becomes of fields that the provider has no form for; else the platform's "
                             "setting decides.",
                             {{"type", "string"}, {"enum", {"drop", "strict"}}}));
}

ordered_json parameters(const Route& route) {
  ordered_json out = ordered_json::array();
  for (std::size_t at = route.path.find('{'); at != std::string::npos; at = route.path.find('{', at + 1)) {
    const std::string name = route.path.substr(at + 1, route.path.find('}', at) - at - 1);
    ordered_json schema = {{"type", "string"}};
    if (name.ends_with("_id") && name != "response_id") schema["format"] = "uuid";
    out.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", schema}});
  }
  for (const auto& param : route.query) {
    ordered_json schema = {{"type", "string"}};
    if (!param.choices.empty()) schema["enum"] = param.choices;
    out.push_back(
        {{"name", param.name}, {"in", "query"}, {"description", param.meaning}, {"schema", schema}});
  }
  if (route.paginated) {
    out.push_back({{"name", "page"},
                   {"in", "query"},
                   {"schema", {{"type", "integer"}, {"minimum", 1}, {"default", 1}}}});
    out.push_back({{"name", "limit"},
                   {"in", "query"},
                   {"schema", {{"type", "integer"}, {"minimum", 1}, {"maximum", 100}, {"default", 20}}}});
  }
  add_header_params(out, route);
  return out;
}

ordered_json key_security(Access access) {
  switch (access) {
    case Access::Public:
      return ordered_json::array();
    case Access::Operator:
      return {{{"operatorKey", ordered_json::array()}}};
    case Access::Platform:
      return {{{"platformKey", ordered_json::array()}}, {{"operatorKey", ordered_json::array()}}};
    case Access::Tenant:
      return {{{"endUserKey", ordered_json::array()}}, {{"platformKey", ordered_json::array()}}};
    case Access::EndUser:
    case Access::Own:
      return {{{"endUserKey", ordered_json::array()}}};
    case Access::AnyKey:
      break;
  }
  return {{{"endUserKey", ordered_json::array()}},
          {{"platformKey", ordered_json::array()}},
          {{"operatorKey", ordered_json::array()}}};
}

// The clients of the inference routes send keys as their vendors do.
ordered_json security(const Route& route) {
  auto out = key_security(route.access);
  if (is_agent_path(route.path) && route.access != Access::Public)
    out.push_back({{"xApiKey", ordered_json::array()}});
  if (!dialect_of_path(route.path)) return out;
  for (const auto* scheme : {"xApiKey", "xGoogApiKey"}) out.push_back({{scheme, ordered_json::array()}});
  return out;
}

std::string error_schema(const Route& route) {
  if (!route.error_schema.empty()) return route.error_schema;
  const auto dialect = dialect_of_path(route.path);
  if (!dialect) return "Error";
  switch (*dialect) {
    case inference::DialectId::Anthropic:
      return "AnthropicError";
    case inference::DialectId::Gemini:
      return "GoogleError";
    case inference::DialectId::OpenAiChat:
    case inference::DialectId::OpenAiResponses:
      break;
  }
  return "OpenAiError";
}

ordered_json header_refs(const std::vector<std::string>& names) {
  ordered_json out = ordered_json::object();
  for (const auto& name : names) out[name] = {{"$ref", "#/components/headers/" + name}};
  return out;
}

bool is_one_of(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
// Lists of the agents' API (api/wire/langgraph.h), with a total and without.
bool is_total_told(const Route& route) {
  return is_agent_path(route.path) && !route.path.ends_with("/versions") &&
         is_one_of(route.reply_schema, {"Threads", "Runs", "Crons", "Assistants", "ProtocolThreads",
                                        "ProtocolRuns", "ProtocolAgents"});
}
bool is_going_on(const Route& route) {
  return is_agent_path(route.path) &&
         is_one_of(route.reply_schema, {"ThreadStates", "StoreItems", "ProtocolThreadStates"});
}

std::vector<std::string> reply_headers(const Route& route) {
  std::vector<std::string> out = {"x-request-id"};
  if (route.idempotency != Idempotency::None) out.push_back("idempotent-replayed");
  if (is_total_told(route)) out.push_back("x-pagination-total");
  if (is_total_told(route) || is_going_on(route)) out.push_back("x-pagination-next");
  if (!is_model_call(route)) return out;
  for (const auto* name :
       {"x-aig-provider", "x-aig-model", "x-aig-attempts", "x-aig-cost-usd", "x-aig-overhead-us",
        "x-aig-dropped", "x-aig-cache", "x-aig-token-count", "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests", "x-ratelimit-limit-tokens",
        "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"}) {
    out.emplace_back(name);
  }
  return out;
}

ordered_json error_response(const Route& route, const std::string& meaning, bool may_wait = false) {
  std::vector<std::string> headers = {"x-request-id"};
  if (may_wait) headers.emplace_back("retry-after");
  return {{"description", meaning},
          {"headers", header_refs(headers)},
          {"content", json_content(schema_ref(error_schema(route)))}};
}

// The errors that are likely; "default" stands for the others.
void add_error_responses(ordered_json& responses, const Route& route) {
  const bool has_body = !route.body_schema.empty();
  if (has_body || !route.query.empty() || route.paginated) {
    const char* status = is_agent_path(route.path) ? "422" : "400";
    responses[status] = error_response(route, "The request is faulty; the field is named.");
  }
  if (route.access != Access::Public) {
    responses["401"] = error_response(route, "No key, or one that is not valid.");
    responses["403"] = error_response(route, "A key of another kind, or without the scope.");
  }
  if (is_model_call(route)) {
    responses["402"] =
        error_response(route,
                       "The wallet or the budget does not cover the call: wallet_insufficient, "
                       "budget_exceeded, budget_suspended.");
  }
  if (route.path.find('{') != std::string::npos || is_model_call(route)) {
    responses["404"] = error_response(route, "It does not exist for this key.");
  }
  if (route.idempotency != Idempotency::None) {
    responses["409"] =
        error_response(route, "The key was used with another request, or the state forbids it.");
  }
  if (has_body) {
    responses["413"] = error_response(route, "The body is too large.");
    responses["415"] = error_response(route, "The body is not application/json.");
  }
  if (is_model_call(route)) {
    responses["422"] = error_response(route, "Nobody has said what the model costs: unknown_price.");
    responses["429"] = error_response(route, "A rate limit, ours or the provider's.", true);
    responses["502"] = error_response(route, "The provider failed, and so did those after it.");
    responses["503"] = error_response(route, "No provider can be asked at the moment.", true);
    responses["504"] = error_response(route, "The provider did not answer in time.");
  }
  responses["default"] = error_response(route, "An error.", true);
}

ordered_json success_response(const Route& route) {
  ordered_json out = {{"description", route.success == 204 ? "Done; no body." : "Success."},
                      {"headers", header_refs(reply_headers(route))}};
  if (!route.reply_schema.empty()) {
    out["content"] = json_content(reply_schema(route));
  } else if (route.success != 204 && !route.reply_type.empty()) {
    out["content"] = {{route.reply_type, ordered_json::object()}};
  }
  if (!route.also_type.empty()) out["content"][route.also_type] = {{"schema", {{"type", "string"}}}};
  return out;
}

ordered_json operation(const Route& route) {
  ordered_json out;
  out["operationId"] = route.operation_id;
  out["tags"] = {route.tag};
  out["summary"] = route.summary;
  out["security"] = security(route);
  if (auto params = parameters(route); !params.empty()) out["parameters"] = std::move(params);
  if (!route.body_schema.empty()) {
    out["requestBody"] = {{"required", true}, {"content", json_content(schema_ref(route.body_schema))}};
  }
  auto& responses = out["responses"];
  const auto success = success_response(route);
  responses[std::to_string(route.success)] = success;
  if (route.also_success != 0) responses[std::to_string(route.also_success)] = success;
  add_error_responses(responses, route);
  return out;
}

ordered_json described_headers() {
  const std::vector<std::pair<const char*, const char*>> all = {
      {"x-request-id", "Names this request in logs, usage rows and the audit trail."},
      {"retry-after", "Seconds to wait."},
      {"idempotent-replayed", "\"true\": the result of an earlier request with this Idempotency-Key."},
      {"x-pagination-total", "How many there are in all."},
      {"x-pagination-next",
       "There is more: what to give as offset, of a history as before. A page may be shorter than its limit: "
       "a "
       "reply has at most 16 MiB, or one row."},
      {"x-aig-provider", "Slug of the provider that answered."},
      {"x-aig-model", "The model served, as the provider names it."},
      {"x-aig-attempts", "Upstream calls that this request took."},
      {"x-aig-cost-usd", "What it cost, decimal text. Streams tell it in a comment before their end."},
      {"x-aig-overhead-us", "Microseconds spent in the gateway."},
      {"x-aig-dropped", "Fields that the provider has no form for, separated by commas."},
      {"x-aig-cache", "hit or miss; absent when the cache was not used."},
      {"x-aig-token-count", "\"estimated\": no provider counted."},
      {"x-ratelimit-limit-requests", "Requests of the window that is nearest to its end."},
      {"x-ratelimit-remaining-requests", "Requests left in it."},
      {"x-ratelimit-reset-requests", "When it ends, e.g. 1m2s."},
      {"x-ratelimit-limit-tokens", "Tokens per minute."},
      {"x-ratelimit-remaining-tokens", "Tokens left in this minute."},
      {"x-ratelimit-reset-tokens", "When it ends."},
  };
  ordered_json out = ordered_json::object();
  for (const auto& [name, meaning] : all) {
    out[name] = {{"description", meaning}, {"schema", {{"type", "string"}}}};
  }
  return out;
}

ordered_json header_scheme(const std::string& name) {
  return {
      {"type", "apiKey"}, {"in", "header"}, {"name", name}, {"description", "A key, as in Authorization."}};
}

ordered_json key_scheme(const std::string& prefix) {
  return {{"type", "http"}, {"scheme", "bearer"}, {"description", "A key that starts with " + prefix + "."}};
}

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return text;
}

}  // namespace

std::string openapi_document(const RouteTable& table, const BodySchemas& schemas,
                             const std::string& server_url) {
  ordered_json doc;
  doc["openapi"] = "3.1.0";
  doc["info"] = {
      {"title", "Assistiv Gateway"},
      {"version", "0.1.0"},
      {"description", "Management and inference API. The MCP endpoints speak the Model Context Protocol."}};
  doc["servers"] = {{{"url", server_url}}};
  ordered_json paths = ordered_json::object();
  for (const auto& route : table) {
    if (route.method == "*") {
      paths[route.path]["post"] = operation(route);
    } else {
      paths[route.path][lower(route.method)] = operation(route);
    }
  }
  doc["paths"] = std::move(paths);
  doc["components"]["schemas"] = ordered_json::parse(core::dump_json(schemas.components()));
  doc["components"]["headers"] = described_headers();
  doc["components"]["securitySchemes"] = {{"operatorKey", key_scheme("sk-admin_")},
                                          {"platformKey", key_scheme("sk-plat_")},
                                          {"endUserKey", key_scheme("sk-eu_")},
                                          {"xApiKey", header_scheme("x-api-key")},
                                          {"xGoogApiKey", header_scheme("x-goog-api-key")}};
  return doc.dump();
}

}  // namespace assistiv::api
