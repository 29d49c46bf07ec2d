#include "mcp/connectors/draft/draft_tool.h"

#include <algorithm>

#include "core/error.h"
#include "mcp/connectors/draft/draft_text.h"
#include "mcp/connectors/template.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kToolNameMax = 48, kArgumentNameMax = 60, kParametersMax = 60;

// A tool on its way.
struct ToolDraft {
  DraftBook& book;
  const DraftOperation& operation;
  DraftJson properties = DraftJson::object();
  DraftJson required = DraftJson::array();
  DraftJson request = DraftJson::object();
  std::string path{};
  std::string paginate{};
  bool reads() const { return operation.method == "GET" || operation.method == "HEAD"; }
};

std::string placeholder(const std::string& name) {
  return "{" + name + "}";
}

// The argument's name: snake case, not one of the engine's, not taken.
std::string argument_name(const ToolDraft& draft, const std::string& name) {
  auto out = snake_name(name, kArgumentNameMax);
  if (out.empty()) out = "value";
  if (out == "limit" || out == "cursor" || out == "fields" || out == "call_id") out += "_value";
  for (int i = 2; draft.properties.contains(out); ++i)
    out = snake_name(name, kArgumentNameMax - 4) + "_" + std::to_string(i);
  return out;
}

std::string add_argument(ToolDraft& draft, const std::string& name, const Json& schema,
                         const std::string& about, bool required) {
  const auto argument = argument_name(draft, name);
  const auto where = draft.operation.where() + ", " + name;
  auto form = draft.book.schemas.input(schema, where);
  auto words = plain_line(about, 400);
  if (words.empty()) words = text_member(Json::parse(form.dump()), "description");
  if (words.size() < 5) {
    draft.book.schemas.note(where, "has no description for the agent");
    words = "The " + words_of_name(argument) + " of the request.";
  }
  form["description"] = words;
  draft.properties[argument] = std::move(form);
  if (required) draft.required.push_back(argument);
  return argument;
}

const Json* find_parameter(const std::vector<const Json*>& list, const std::string& name,
                           const std::string& in) {
  const auto it = std::find_if(list.begin(), list.end(), [&](const Json* parameter) {
    return text_member(*parameter, "name") == name && text_member(*parameter, "in") == in;
  });
  return it == list.end() ? nullptr : *it;
}

// Of the operation, and of its path where the operation says nothing else.
std::vector<const Json*> parameters_of(const ToolDraft& draft) {
  std::vector<const Json*> out;
  for (const Json* owner : {draft.operation.operation, draft.operation.item}) {
    const auto& list = structured_member(*owner, "parameters");
    for (std::size_t i = 0; list.is_array() && i < list.size() && out.size() < kParametersMax; ++i) {
      const auto& parameter = draft.book.schemas.resolve(list[i]);
      const auto name = text_member(parameter, "name");
      if (!name.empty() && find_parameter(out, name, text_member(parameter, "in")) == nullptr)
        out.push_back(&parameter);
    }
  }
  return out;
}

bool is_required(const Json& parameter) {
  const auto it = parameter.find("required");
  return it != parameter.end() && it->is_boolean() && it->get<bool>();
}

// The path with its placeholders named as arguments.
void draft_path(ToolDraft& draft, const std::vector<const Json*>& parameters) {
  static const Json text = {{"type", "string"}, {"minLength", 1}, {"maxLength", 200}};
  const auto& path = draft.operation.path;
  for (std::size_t at = 0; at < path.size();) {
    const auto open = path.find('{', at);
    const auto close = open == std::string::npos ? open : path.find('}', open);
    draft.path += path.substr(at, open == std::string::npos ? open : open - at);
    if (close == std::string::npos) break;
    const auto name = path.substr(open + 1, close - open - 1);
    const Json* parameter = find_parameter(parameters, name, "path");
    const auto& schema =
        parameter != nullptr && parameter->contains("schema") ? (*parameter)["schema"] : text;
    const auto about = parameter != nullptr ? text_member(*parameter, "description") : std::string();
    draft.path += placeholder(add_argument(draft, name, schema, about, true));
    at = close + 1;
  }
}

bool is_one_of(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Names by which APIs page: the engine does that, so they are no arguments.
struct PageParameters {
  std::string size, page, offset, cursor;
  bool owns(const std::string& name) const {
    return name == size || name == page || name == offset || name == cursor;
  }
};

PageParameters page_parameters(const std::vector<const Json*>& parameters) {
  PageParameters out;
  for (const Json* parameter : parameters) {
    if (text_member(*parameter, "in") != "query") continue;
    const auto name = text_member(*parameter, "name");
    const auto plain = snake_name(name, kArgumentNameMax);
    if (is_one_of(plain, {"per_page", "page_size", "limit", "max_results", "count"}) && out.size.empty())
      out.size = name;
    if (is_one_of(plain, {"page", "page_number"})) out.page = name;
    if (is_one_of(plain, {"offset", "start"})) out.offset = name;
    if (is_one_of(plain, {"cursor", "page_token", "next_token", "starting_after", "after"}))
      out.cursor = name;
  }
  return out;
}

void draft_paginator(ToolDraft& draft, const PageParameters& page, bool lists) {
  const auto where = draft.operation.where();
  if (page.size.empty() && page.page.empty() && page.offset.empty() && page.cursor.empty()) {
    if (lists && draft.reads())
      draft.book.schemas.note(where, "gives a list: say how it goes on (paginate), if it does");
    return;
  }
  const bool known =
      lists && draft.reads() && page.cursor.empty() && (!page.page.empty() || !page.offset.empty());
  if (!known) {
    draft.book.schemas.note(where, "its page parameters were left out: name a paginator");
    return;
  }
  const bool by_page = !page.page.empty();
  DraftJson send = {{by_page ? page.page : page.offset, by_page ? "{page}" : "{offset}"}};
  if (!page.size.empty()) send[page.size] = "{limit}";
  const DraftJson paginator = {{"type", by_page ? "page" : "offset"}, {"send", send}};
  for (const auto& [name, same] : draft.book.paginators.items()) {
    if (same == paginator) draft.paginate = name;
  }
  if (!draft.paginate.empty()) return;
  draft.paginate = (by_page ? "pages_" : "offsets_") + std::to_string(draft.book.paginators.size() + 1);
  draft.book.paginators[draft.paginate] = paginator;
  draft.book.schemas.note("paginator " + draft.paginate, "check how long a page may be (page_size_max)");
}

void draft_query(ToolDraft& draft, const std::vector<const Json*>& parameters, const PageParameters& page) {
  DraftJson query = DraftJson::object(), headers = DraftJson::object();
  auto& schemas = draft.book.schemas;
  for (const Json* parameter : parameters) {
    const auto name = text_member(*parameter, "name"), in = text_member(*parameter, "in");
    const auto where = draft.operation.where() + ", " + name;
    if (in == "path" || (in == "query" && page.owns(name))) continue;
    const bool plain_header = in == "header" && is_required(*parameter) &&
                              !is_one_of(snake_name(name, 60), {"authorization", "accept", "content_type"});
    const auto& schema = schemas.resolve(structured_member(*parameter, "schema"));
    if ((in != "query" && !plain_header) || schemas.type_of(schema) == "object") {
      schemas.note(where, "this parameter of the " + plain_line(in, 20) + " was left out");
      continue;
    }
    const auto argument =
        add_argument(draft, name, schema, text_member(*parameter, "description"), is_required(*parameter));
    (in == "query" ? query : headers)[name] = placeholder(argument);
  }
  if (!query.empty()) draft.request["query"] = query;
  if (!headers.empty()) draft.request["headers"] = headers;
}

// False when the body is of a kind that no request of a manifest has.
bool draft_body(ToolDraft& draft) {
  auto& schemas = draft.book.schemas;
  const auto& body = schemas.resolve(structured_member(*draft.operation.operation, "requestBody"));
  const auto& content = structured_member(body, "content");
  if (content.empty() || !content.is_object()) return true;
  const bool json = content.contains("application/json");
  const bool form = !json && content.contains("application/x-www-form-urlencoded");
  if ((!json && !form) || draft.reads()) {
    schemas.note(draft.operation.where(), "left out: its body is neither JSON nor a form");
    return false;
  }
  const auto& media = content[json ? "application/json" : "application/x-www-form-urlencoded"];
  const auto& schema = schemas.resolve(structured_member(media, "schema"));
  if (form) draft.request["encoding"] = "form";
  const auto found = schemas.members(schema, true);
  if (found.list.empty()) {
    schemas.note(draft.operation.where(), "its body has no known members: say what it is made of");
    draft.request["body"] =
        placeholder(add_argument(draft, "body", schema, "The body of the request.", true));
    return true;
  }
  DraftJson members = DraftJson::object();
  for (const auto& [name, member] : found.list) {
    const bool required =
        std::find(found.required.begin(), found.required.end(), name) != found.required.end();
    members[name] =
        placeholder(add_argument(draft, name, *member, text_member(*member, "description"), required));
  }
  draft.request["body"] = members;
  return true;
}

const Json& success_schema(const ToolDraft& draft) {
  static const Json none = Json::object();
  const auto& responses = structured_member(*draft.operation.operation, "responses");
  if (!responses.is_object()) return none;
  for (const char* status : {"200", "201", "202", "2XX", "203", "default"}) {
    const auto& response = draft.book.schemas.resolve(structured_member(responses, status));
    const auto& content = structured_member(response, "content");
    if (!content.is_object()) continue;
    for (const auto& [type, media] : content.items()) {
      const bool json =
          type.find("json") != std::string::npos && media.is_object() && media.contains("schema");
      if (json) return draft.book.schemas.resolve(media["schema"]);
    }
  }
  return none;
}

// Where the result is and what it looks like; sets `lists`.
DraftJson draft_result(ToolDraft& draft, bool& lists) {
  auto& schemas = draft.book.schemas;
  const auto where = draft.operation.where();
  const auto& schema = success_schema(draft);
  const DraftJson nothing = {{"done", {{"type", "boolean"}, {"value", true}}}};
  if (schema.empty()) {
    schemas.note(where, "says nothing of its response: the result is only \"done\"");
    return {{"item", ""}, {"shape", nothing}};
  }
  const Json* items = schemas.type_of(schema) == "array" ? &structured_member(schema, "items") : nullptr;
  std::string at;
  if (items == nullptr) {
    for (const auto& [name, member] : schemas.members(schema, false).list) {
      const auto& element = schemas.resolve(structured_member(*member, "items"));
      const bool list = schemas.type_of(*member) == "array" && schemas.type_of(element) == "object";
      const bool plain = name.find_first_of("~/") == std::string::npos;
      if (!list || !plain) continue;
      if (items != nullptr) {
        items = nullptr;  // two lists: then it is one thing that has both
        break;
      }
      items = &structured_member(*member, "items");
      at = "/" + name;
    }
    // Not every object with a list is a list of things.
    if (items != nullptr && !draft.reads()) items = nullptr;
  }
  auto shape = schemas.shape(items != nullptr ? *items : schema, where + ", result");
  if (shape.empty()) {
    schemas.note(where, "no fields are known of its result: say what an agent needs");
    return {{"item", ""}, {"shape", nothing}};
  }
  lists = items != nullptr;
  return {{lists ? "items" : "item", lists ? at : ""}, {"shape", shape}};
}

std::string tool_name(const ToolDraft& draft) {
  const auto& op = draft.operation;
  auto base = snake_name(text_member(*op.operation, "operationId"), 100);
  if (base.empty()) {
    const bool one = op.path.ends_with("}");
    const std::string verb = op.method == "GET"      ? (one ? "get" : "list")
                             : op.method == "POST"   ? "create"
                             : op.method == "DELETE" ? "delete"
                                                     : "update";
    base = verb + "_" + snake_name(op.path, 100);
  }
  if (base.starts_with(draft.book.id + "_")) base.erase(0, draft.book.id.size() + 1);
  const auto name = snake_name(draft.book.id + "_" + base, kToolNameMax);
  auto out = name;
  for (int i = 2; draft.book.names.contains(out); ++i)
    out = snake_name(name, kToolNameMax - 4) + "_" + std::to_string(i);
  return out;
}

void draft_words(const ToolDraft& draft, DraftJson& tool) {
  const auto& operation = *draft.operation.operation;
  const auto summary = plain_line(text_member(operation, "summary"), 80);
  const auto name = tool["name"].get<std::string>().substr(draft.book.id.size() + 1);
  tool["title"] = summary.empty() ? words_of_name(name) : summary;
  auto words = plain_line(text_member(operation, "description"), 1000);
  if (words.empty()) words = summary;
  if (words.size() < 20) {
    draft.book.schemas.note(draft.operation.where(), "has no description for the agent");
    words = plain_line((words.empty() ? words_of_name(name) : words) + " (" + draft.operation.where() + ").",
                       1000);
    if (words.size() < 20) words += " Describe it here.";
  }
  tool["description"] = words;
  const auto& tags = structured_member(operation, "tags");
  const auto tag = tags.is_array() && !tags.empty() && tags[0].is_string()
                       ? snake_name(tags[0].get<std::string>(), 40)
                       : "";
  tool["group"] = tag.empty() ? "general" : tag;
}

void draft_risk(const ToolDraft& draft, DraftJson& tool) {
  const auto& method = draft.operation.method;
  const bool reads = draft.reads(), deletes = method == "DELETE";
  tool["risk"] = reads ? "read" : deletes ? "destructive" : "write";
  if (!reads && !deletes) {
    draft.book.schemas.note(
        draft.operation.where(),
        "risk: \"outbound\" if other people see it, \"destructive\" if it cannot be taken back");
  }
  tool["hints"] = {{"readOnly", reads},
                   {"destructive", deletes},
                   {"idempotent", reads || deletes || method == "PUT"},
                   {"openWorld", true}};
}

void draft_scopes(const ToolDraft& draft, DraftJson& tool) {
  const auto& own = *draft.operation.operation;
  const auto& security = structured_member(own.contains("security") ? own : draft.book.document, "security");
  DraftJson any = DraftJson::array();
  for (std::size_t i = 0; security.is_array() && i < security.size() && i < 16; ++i) {
    const auto& scopes = structured_member(security[i], draft.book.oauth_scheme.c_str());
    DraftJson set = DraftJson::array();
    for (std::size_t k = 0; scopes.is_array() && k < scopes.size() && k < 32; ++k) {
      if (scopes[k].is_string() && draft.book.scopes.contains(scopes[k].get<std::string>()))
        set.push_back(scopes[k].get<std::string>());
    }
    if (!set.empty()) any.push_back(set);
  }
  if (!any.empty()) tool["scopes"] = {{"any", any}};
}

}  // namespace

std::optional<DraftJson> draft_tool(DraftBook& book, const DraftOperation& operation) {
  ToolDraft draft{book, operation};
  const auto parameters = parameters_of(draft);
  const auto page = page_parameters(parameters);
  draft_path(draft, parameters);
  try {
    static_cast<void>(PathPattern::parse(draft.path));
  } catch (const core::Error& error) {
    book.schemas.note(operation.where(), std::string("left out: ") + error.what());
    return {};
  }
  draft.request["method"] = operation.method;
  draft.request["path"] = draft.path;
  draft_query(draft, parameters, page);
  if (!draft_body(draft)) return {};
  DraftJson tool = DraftJson::object();
  tool["name"] = tool_name(draft);
  book.names.insert(tool["name"].get<std::string>());
  draft_words(draft, tool);
  draft_risk(draft, tool);
  draft_scopes(draft, tool);
  tool["input"] = {{"type", "object"}, {"additionalProperties", false}};
  if (!draft.required.empty()) tool["input"]["required"] = draft.required;
  tool["input"]["properties"] = draft.properties;
  tool["request"] = draft.request;
  bool lists = false;
  auto result = draft_result(draft, lists);
  draft_paginator(draft, page, lists);
  if (!draft.paginate.empty()) tool["paginate"] = draft.paginate;
  tool["result"] = std::move(result);
  return tool;
}

}  // namespace assistiv::mcp
