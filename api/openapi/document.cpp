#include "api/openapi/document.h"

#include <nlohmann/json.hpp>

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

ordered_json parameters(const Route& route) {
  ordered_json out = ordered_json::array();
  for (std::size_t at = route.path.find('{'); at != std::string::npos; at = route.path.find('{', at + 1)) {
    const std::string name = route.path.substr(at + 1, route.path.find('}', at) - at - 1);
    ordered_json schema = {{"type", "string"}};
    if (name.ends_with("_id")) schema["format"] = "uuid";
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
  return out;
}

ordered_json security(Access access) {
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

ordered_json operation(const Route& route) {
  ordered_json out;
  out["operationId"] = route.operation_id;
  out["tags"] = {route.tag};
  out["summary"] = route.summary;
  out["security"] = security(route.access);
  if (auto params = parameters(route); !params.empty()) out["parameters"] = std::move(params);
  if (!route.body_schema.empty()) {
    out["requestBody"] = {{"required", true}, {"content", json_content(schema_ref(route.body_schema))}};
  }
  ordered_json success = {{"description", route.success == 204 ? "Done; no body." : "Success."}};
  if (!route.reply_schema.empty()) {
    success["content"] = json_content(reply_schema(route));
  } else if (route.success != 204 && !route.reply_type.empty()) {
    success["content"] = {{route.reply_type, ordered_json::object()}};
  }
  auto& responses = out["responses"];
  responses[std::to_string(route.success)] = success;
  if (route.also_success != 0) responses[std::to_string(route.also_success)] = success;
  responses["default"] = {{"description", "An error."}, {"content", json_content(schema_ref("Error"))}};
  return out;
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
  doc["info"] = {{"title", "Assistiv Gateway"},
                 {"version", "0.1.0"},
                 {"description", "Management API. The MCP endpoints speak the Model Context Protocol."}};
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
  doc["components"]["securitySchemes"] = {{"operatorKey", key_scheme("sk-admin_")},
                                          {"platformKey", key_scheme("sk-plat_")},
                                          {"endUserKey", key_scheme("sk-eu_")}};
  return doc.dump();
}

}  // namespace assistiv::api
