#include "mcp/connectors/request_builder.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/app_tools.h"
#include "mcp/connectors/paging.h"

namespace assistiv::mcp {

namespace {

using core::Json;

// One word, or one for each item when a placeholder stands for a list.
void add_words(const TextPattern& pattern, const Bindings& bindings, std::string& words) {
  for (const auto& name : pattern.names()) {
    const auto list = bindings.find(name);
    if (list == bindings.end() || !list->is_array()) continue;
    for (const auto& item : *list) {
      Bindings one = bindings;
      one[name] = item;
      if (!item.is_array()) add_words(pattern, one, words);
    }
    return;
  }
  const auto word = pattern.render(bindings);
  if (word && !word->empty()) words += (words.empty() ? "" : " ") + *word;
}

std::string replace_parts(std::string text, const std::vector<std::pair<std::string, std::string>>& parts) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto part = std::find_if(parts.begin(), parts.end(), [&](const auto& candidate) {
      return text.compare(at, candidate.first.size(), candidate.first) == 0;
    });
    out += part == parts.end() ? text.substr(at, 1) : part->second;
    at += part == parts.end() ? 1 : part->first.size();
  }
  return out;
}

std::string joined_text(const Json& list) {
  std::string out;
  for (const auto& item : list) {
    if (item.is_string()) out += (out.empty() ? "" : ",") + item.get<std::string>();
  }
  return out;
}

void derive_value(const Derivation& derivation, Bindings& bindings) {
  if (derivation.kind == Derivation::Kind::Words) {
    std::string words;
    for (const auto& pattern : derivation.words) add_words(pattern, bindings, words);
    bindings[derivation.name] = words;
    return;
  }
  const auto from = bindings.find(derivation.from);
  if (from == bindings.end()) return;
  if (derivation.kind == Derivation::Kind::Given) {
    bindings[derivation.name] = Json::parse(derivation.value_json);
  } else if (derivation.kind == Derivation::Kind::Objects) {
    Json objects = Json::array();
    for (const auto& item : *from) objects.push_back({{derivation.member, item}});
    bindings[derivation.name] = std::move(objects);
  } else if (derivation.kind == Derivation::Kind::Joined) {
    bindings[derivation.name] = joined_text(*from);
  } else if (from->is_string()) {
    const auto text = from->get<std::string>();
    bindings[derivation.name] = derivation.kind == Derivation::Kind::Base64
                                    ? core::base64_encode(text)
                                    : replace_parts(text, derivation.replacements);
  }
}

// Parameters of the page replace those of the same name.
std::string query_text(core::FormFields fields, const core::FormFields& of_page) {
  for (const auto& [name, value] : of_page) {
    std::erase_if(fields, [&name = name](const auto& field) { return field.first == name; });
    fields.emplace_back(name, value);
  }
  return fields.empty() ? "" : "?" + core::form_encode(fields);
}

void add_body(const ToolPlan& plan, const RequestPlan& request, const Bindings& bindings,
              const PageState* page, core::OutboundRequest& out) {
  const bool paged = page != nullptr && plan.paginator->place == Paginator::Place::Body;
  if (!request.body && !paged) return;
  Json body = Json::object();
  if (request.body && !request.body->render(bindings, body)) body = Json::object();
  if (paged) add_page_to_body(*plan.paginator, *page, body);
  const bool form = request.encoding == Encoding::Form;
  out.body = form ? form_body(body) : core::dump_json(body);
  out.headers.set("Content-Type",
                  form ? "application/x-www-form-urlencoded" : "application/json; charset=utf-8");
}

void add_headers(const ApiPlan& api, const RequestPlan& request, const Bindings& bindings,
                 const AccessToken& token, const oauth::Values& vars, core::OutboundRequest& out) {
  for (const auto& header : api.spec.api.headers) {
    out.headers.set(header.name, header.value.expand(vars, oauth::Escape::None));
  }
  for (auto& [name, value] : render_headers(request.headers, bindings))
    out.headers.set(name, std::move(value));
  oauth::Values with_token = vars;
  with_token["token"] = token.value.reveal();
  out.headers.set("Authorization", api.spec.api.auth_header.expand(with_token, oauth::Escape::None));
}

core::OutboundRequest render_request(const ToolPlan& plan, const RequestPlan& request,
                                     const Bindings& bindings, const PageState* page,
                                     const AccessToken& token) {
  const ApiPlan& api = *plan.api;
  const oauth::Values vars(token.vars.begin(), token.vars.end());
  const bool in_query = page != nullptr && plan.paginator->place == Paginator::Place::Query;
  core::OutboundRequest out;
  out.method = request.method;
  out.url = api.spec.api.base.expand(vars) + request.path.render(bindings) +
            query_text(render_fields(request.query, bindings),
                       in_query ? page_query(*plan.paginator, *page) : core::FormFields());
  add_body(plan, request, bindings, page, out);
  add_headers(api, request, bindings, token, vars, out);
  out.allowed_hosts = api.override_hosts.empty() ? api.spec.allowed_hosts(vars) : api.override_hosts;
  out.timeout = api.timeout;
  out.response_bytes_max = api.response_bytes_max;
  return out;
}

}  // namespace

Bindings bind_arguments(const ToolPlan& plan, const Json& arguments, const std::string& call_id) {
  Bindings out = Json::object();
  for (const auto& [name, text] : plan.default_values) out[name] = Json::parse(text);
  out.update(arguments);
  for (const char* own : {kLimitArgument, kCursorArgument, kFieldsArgument}) out.erase(own);
  out["call_id"] = call_id;
  for (const auto& derivation : plan.derive) derive_value(derivation, out);
  return out;
}

std::variant<core::OutboundRequest, Failure> build_request(const ToolPlan& plan, const RequestPlan& request,
                                                           const Bindings& arguments, const PageState* page,
                                                           const AccessToken& token) {
  Bindings bindings = arguments;
  for (const auto& [name, value] : token.vars) bindings[name] = value;
  try {
    return render_request(plan, request, bindings, page, token);
  } catch (const core::Error& error) {
    if (error.kind() != core::ErrorKind::InvalidArgument) throw;
    return invalid_arguments(error.message());
  }
}

}  // namespace assistiv::mcp
