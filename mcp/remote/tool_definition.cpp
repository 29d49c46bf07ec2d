#include "mcp/remote/tool_definition.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/encoding.h"
#include "core/json_read.h"
#include "mcp/connectors/clean_text.h"
#include "mcp/tools/accounts.h"

namespace assistiv::mcp {

namespace {

using core::Json;

constexpr std::size_t kRemoteNameMax = 256;  // bytes
constexpr std::size_t kToolTitleMax = 100;   // characters
constexpr std::size_t kNoteMax = 600;        // characters of a description inside a schema
constexpr std::size_t kHeaderNameMax = 64;
constexpr std::size_t kMirroredMax = 16;
constexpr std::size_t kHashDigits = 8;

// Ends the reading of one tool.
struct Refused {
  std::string why;
};

bool is_plain_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

std::string lower_ascii(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  return text;
}

// A comment is shown to a model and hidden from a person who reads the rendered text. In one pass: what is
// left around a comment may make another one, which is seen as it comes together.
std::string without_comments(const std::string& text) {
  constexpr std::string_view kOpen = "<!--", kClose = "-->";
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    out.push_back(text[i]);
    if (!out.ends_with(kOpen)) continue;
    out.resize(out.size() - kOpen.size());
    const auto end = text.find(kClose, i + 1);
    if (end == std::string::npos) break;
    i = end + kClose.size() - 1;
  }
  return out;
}

// Long blanks push text out of a person's sight.
std::string without_blanks(const std::string& text) {
  std::string out;
  std::size_t lines = 0, spaces = 0;
  for (const char c : text) {
    if (c == '\r') continue;
    lines = c == '\n' ? lines + 1 : (c == ' ' || c == '\t' ? lines : 0);
    spaces = c == ' ' || c == '\t' ? spaces + 1 : 0;
    if (lines > 2 || spaces > 8) continue;
    out.push_back(c);
  }
  return out;
}

std::string readable(const std::string& text, std::size_t characters) {
  return clip_text(without_blanks(without_comments(clean_text(text))), characters);
}

std::string text_member(const Json& object, const char* name, std::size_t characters) {
  const auto it = object.find(name);
  return it == object.end() || !it->is_string() ? std::string()
                                                : readable(it->get_ref<const std::string&>(), characters);
}

std::optional<bool> flag(const Json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() || !it->is_boolean() ? std::nullopt : std::optional(it->get<bool>());
}

bool is_note(const std::string& keyword) {
  return keyword == "description" || keyword == "title";
}

bool is_reference(const std::string& keyword) {
  return keyword == "$ref" || keyword == "$dynamicRef" || keyword == "$recursiveRef";
}

void check_visible(const std::string& text) {
  if (clean_text(text) != text) throw Refused{"its schema has hidden characters in a name or value"};
}

// Notes are cleaned; what means something to the server must be clean already.
void clean_schema(Json& value, int depth_left) {
  if (depth_left == 0) throw Refused{"its schema is nested too deeply"};
  if (value.is_string()) return check_visible(value.get_ref<const std::string&>());
  if (value.is_array()) {
    for (auto& item : value) clean_schema(item, depth_left - 1);
    return;
  }
  if (!value.is_object()) return;
  for (const char* keyword : {"$schema", "$comment"}) {
    if (const auto it = value.find(keyword); it != value.end() && it->is_string()) value.erase(it);
  }
  for (auto& [keyword, member] : value.items()) {
    check_visible(keyword);
    if (is_note(keyword) && member.is_string()) {
      member = readable(member.get_ref<const std::string&>(), kNoteMax);
      continue;
    }
    if (is_reference(keyword) && member.is_string() && !member.get_ref<const std::string&>().starts_with("#"))
      throw Refused{"its schema refers to another document (" + keyword + ")"};
    clean_schema(member, depth_left - 1);
  }
}

SchemaLimits schema_limits(const DefinitionLimits& limits) {
  SchemaLimits out;
  out.nodes_max = 2000;
  out.depth_max = static_cast<std::size_t>(limits.schema_depth_max) * 2;
  out.steps_max = 200'000;
  return out;
}

std::shared_ptr<const JsonSchema> compiled(const Json& schema, const DefinitionLimits& limits,
                                           std::string* fault) {
  auto out = JsonSchema::compile(schema, Formats::Annotate, schema_limits(limits));
  if (!out.schema && fault != nullptr) *fault = describe(out.faults);
  return out.schema;
}

Json checked_schema(const Json& given, const char* what, const DefinitionLimits& limits) {
  if (!given.is_object()) throw Refused{std::string("its ") + what + " is no object"};
  if (core::dump_json(given).size() > limits.schema_bytes_max)
    throw Refused{std::string("its ") + what + " is larger than " +
                  std::to_string(limits.schema_bytes_max / 1024) + " KiB"};
  Json out = given;
  clean_schema(out, limits.schema_depth_max);
  if (!out.contains("type") || out["type"] != "object")
    throw Refused{std::string("its ") + what + " is not of type object"};
  std::string fault;
  if (!compiled(out, limits, &fault))
    throw Refused{std::string("its ") + what + " is no usable JSON Schema: " + clip_text(fault, 300)};
  return out;
}

bool is_header_token(const std::string& text) {
  return !text.empty() && text.size() <= kHeaderNameMax && std::all_of(text.begin(), text.end(), [](char c) {
    return is_plain_name_char(c) || std::string_view("!#$%&'*+.^`|~").find(c) != std::string_view::npos;
  });
}

// x-mcp-header (2026-07-28, tools, "Custom headers from tool parameters"): a definition that breaks the rules
// makes a client drop the tool.
void take_mirrored(Json& schema, std::vector<std::string> path, std::vector<MirroredArgument>& out,
                   std::set<std::string>& seen) {
  const auto properties = schema.find("properties");
  if (properties == schema.end() || !properties->is_object()) return;
  for (auto& [name, property] : properties->items()) {
    if (!property.is_object()) continue;
    path.push_back(name);
    if (const auto mark = property.find("x-mcp-header"); mark != property.end()) {
      const auto type = property.value("type", Json());
      const bool primitive = type == "string" || type == "integer" || type == "boolean";
      const std::string header = mark->is_string() ? mark->get<std::string>() : std::string();
      if (!primitive || !is_header_token(header) || !seen.insert(lower_ascii(header)).second ||
          out.size() == kMirroredMax)
        throw Refused{"its x-mcp-header breaks the protocol's rules"};
      out.push_back({path, header});
      property.erase(mark);
    }
    take_mirrored(property, path, out, seen);
    path.pop_back();
  }
}

// Hints are the server's word. A tool that says nothing is taken for the worst (the protocol's defaults).
void read_hints(const Json& tool, RemoteToolDefinition& out) {
  const auto it = tool.find("annotations");
  const Json none = Json::object();
  const Json& given = it != tool.end() && it->is_object() ? *it : none;
  const bool reads = flag(given, "readOnlyHint").value_or(false);
  const auto destroys = flag(given, "destructiveHint");
  out.hints.read_only = reads && !destroys.value_or(false);
  out.hints.destructive = !out.hints.read_only && destroys.value_or(true);
  out.hints.idempotent = out.hints.read_only || flag(given, "idempotentHint").value_or(false);
  out.hints.open_world = flag(given, "openWorldHint").value_or(true);
  out.risk = out.hints.read_only     ? Risk::Read
             : out.hints.destructive ? Risk::Destructive
             : out.hints.open_world  ? Risk::Outbound
                                     : Risk::Write;
  out.title = text_member(tool, "title", kToolTitleMax);
  if (out.title.empty()) out.title = text_member(given, "title", kToolTitleMax);
  if (out.title.empty()) out.title = clip_text(out.remote_name, kToolTitleMax);
}

// SVG can carry scripts. An image that is elsewhere can become another one after the review, and tells its
// server who looks at it.
std::optional<Icon> read_remote_icon(const Json& given) {
  const auto src = given.is_object() ? given.find("src") : given.end();
  if (src == given.end() || !src->is_string() || src->get_ref<const std::string&>().size() > kIconsBytesMax)
    return {};
  Icon out{.src = src->get<std::string>()};
  const auto image = icon_image(out.src);
  if (!image || image->type == kSvgType) return {};
  out.mime_type = image->type;
  const auto theme = given.value("theme", Json());
  if (theme == "light" || theme == "dark") out.theme = theme.get<std::string>();
  for (const auto& size : given.value("sizes", Json::array())) {
    if (out.sizes.size() < kIconSizesMax && size.is_string() &&
        is_icon_size(size.get_ref<const std::string&>()))
      out.sizes.push_back(size.get<std::string>());
  }
  return out;
}

// Those that can be shown; the others are no reason to refuse the tool.
std::vector<Icon> read_remote_icons(const Json& tool) {
  std::vector<Icon> out;
  const auto given = tool.find("icons");
  if (given == tool.end() || !given->is_array()) return out;
  std::size_t bytes = 0;
  for (const auto& one : *given) {
    if (out.size() == kIconsMax) break;
    auto icon = read_remote_icon(one);
    if (!icon || bytes + icon->src.size() > kIconsBytesMax) continue;
    bytes += icon->src.size();
    out.push_back(std::move(*icon));
  }
  return out;
}

std::vector<Icon> stored_icons(const Json& stored) {
  std::vector<Icon> out;
  for (const auto& one : stored.value("icons", Json::array())) {
    out.push_back({.src = one.at("src").get<std::string>(),
                   .mime_type = one.value("mimeType", ""),
                   .sizes = one.value("sizes", std::vector<std::string>()),
                   .theme = one.value("theme", "")});
  }
  return out;
}

Json without_digest(Json stored) {
  stored.erase("digest");
  return stored;
}

RemoteToolDefinition read_definition(const std::string& app, const Json& tool, const std::string& remote_name,
                                     const DefinitionLimits& limits) {
  if (remote_name.empty() || remote_name.size() > kRemoteNameMax)
    throw Refused{"its name is empty or longer than " + std::to_string(kRemoteNameMax) + " bytes"};
  if (clean_text(remote_name) != remote_name) throw Refused{"its name has hidden characters"};
  RemoteToolDefinition out;
  out.remote_name = remote_name;
  out.name = public_tool_name(app, remote_name, limits.name_bytes_max);
  read_hints(tool, out);
  out.description = text_member(tool, "description", limits.description_max);
  if (out.description.empty()) out.description = out.title;
  Json input = checked_schema(tool.value("inputSchema", Json()), "inputSchema", limits);
  out.icons = read_remote_icons(tool);
  std::set<std::string> headers;
  take_mirrored(input, {}, out.mirrored, headers);
  out.input = std::make_shared<const Json>(std::move(input));
  // Without its output schema a tool is as usable; its results are then text to us.
  if (const auto output = tool.find("outputSchema"); output != tool.end() && !output->is_null()) {
    try {
      out.output = std::make_shared<const Json>(checked_schema(*output, "outputSchema", limits));
    } catch (const Refused&) {
      out.output = nullptr;
    }
  }
  out.digest = core::sha256_hex(core::dump_json(without_digest(to_json(out))));
  return out;
}

std::string name_of(const Json& tool) {
  if (!tool.is_object()) return {};
  const auto it = tool.find("name");
  return it != tool.end() && it->is_string() ? it->get<std::string>() : std::string();
}

ReadTool read_one(const std::string& app, const Json& tool, const DefinitionLimits& limits) {
  const std::string name = name_of(tool);
  ReadTool out;
  // Never the name of another tool, which this one only looks like.
  out.remote_name = clip_text(clean_text(name.substr(0, kRemoteNameMax)), kToolTitleMax);
  if (out.remote_name != name) out.remote_name = "?" + out.remote_name;
  try {
    if (!tool.is_object()) throw Refused{"it is no object"};
    out.definition = read_definition(app, tool, name, limits);
    out.remote_name = name;
  } catch (const Refused& refused) {
    out.refused = refused.why;
  }
  return out;
}

// Keywords at the root that model APIs refuse. The arguments are checked against them all the same.
Json shown_input(Json schema) {
  for (const char* keyword : {"oneOf", "anyOf", "allOf", "not", "if", "then", "else"}) schema.erase(keyword);
  return schema;
}

}  // namespace

std::string public_tool_name(const std::string& app, std::string_view remote_name, std::size_t bytes_max) {
  std::string name = app + "_";
  for (const char c : remote_name) name.push_back(is_plain_name_char(c) ? c : '_');
  if (name.size() <= bytes_max) return name;
  name.resize(bytes_max - kHashDigits - 1);
  return name + "_" + core::sha256_hex(remote_name).substr(0, kHashDigits);
}

std::vector<ReadTool> read_definitions(const std::string& app, const std::vector<Json>& tools,
                                       const DefinitionLimits& limits) {
  std::vector<ReadTool> out;
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (const auto& tool : tools) {
    out.push_back(read_one(app, tool, limits));
    // Without case: some clients compare so.
    if (const std::string name = name_of(tool); !name.empty())
      by_name[lower_ascii(public_tool_name(app, name, limits.name_bytes_max))].push_back(out.size() - 1);
  }
  for (const auto& [name, places] : by_name) {
    if (places.size() < 2) continue;
    for (const auto place : places) {
      const auto other = places[place == places.front() ? 1 : 0];
      out[place].definition.reset();
      out[place].refused =
          "it would have the same name as the server's tool \"" + out[other].remote_name + "\"";
    }
  }
  return out;
}

Json to_json(const RemoteToolDefinition& definition) {
  Json mirrored = Json::array();
  for (const auto& argument : definition.mirrored)
    mirrored.push_back({{"path", argument.path}, {"header", argument.header}});
  Json out = {{"name", definition.remote_name},
              {"title", definition.title},
              {"description", definition.description},
              {"input", *definition.input},
              {"output", definition.output ? *definition.output : Json()},
              {"read_only", definition.hints.read_only},
              {"destructive", definition.hints.destructive},
              {"idempotent", definition.hints.idempotent},
              {"open_world", definition.hints.open_world},
              {"risk", risk_name(definition.risk)},
              {"mirrored", std::move(mirrored)},
              {"digest", definition.digest}};
  // Only where there are any: digests of definitions without icons are as they were before there were icons.
  if (!definition.icons.empty()) out["icons"] = icon_list(definition.icons);
  return out;
}

RemoteToolDefinition definition_of(const std::string& app, const Json& stored) {
  RemoteToolDefinition out;
  out.remote_name = stored.at("name").get<std::string>();
  out.name = public_tool_name(app, out.remote_name, DefinitionLimits().name_bytes_max);
  out.title = stored.at("title").get<std::string>();
  out.description = stored.at("description").get<std::string>();
  out.input = std::make_shared<const Json>(stored.at("input"));
  if (!stored.at("output").is_null()) out.output = std::make_shared<const Json>(stored.at("output"));
  out.hints = {stored.at("read_only").get<bool>(), stored.at("destructive").get<bool>(),
               stored.at("idempotent").get<bool>(), stored.at("open_world").get<bool>()};
  out.risk = parse_risk(stored.at("risk").get<std::string>()).value_or(Risk::Destructive);
  for (const auto& item : stored.at("mirrored"))
    out.mirrored.push_back(
        {item.at("path").get<std::vector<std::string>>(), item.at("header").get<std::string>()});
  out.icons = stored_icons(stored);
  out.digest = stored.at("digest").get<std::string>();
  return out;
}

std::optional<Tool> make_tool(const std::string& app, const RemoteToolDefinition& definition) {
  const DefinitionLimits limits;
  Tool out;
  out.app = app;
  out.name = definition.name;
  out.title = definition.title;
  out.description = definition.description;
  out.group = "remote";
  out.risk = definition.risk;
  out.hints = definition.hints;
  out.token_scopes = false;
  out.input = compiled(*definition.input, limits, nullptr);
  if (!out.input) return {};
  out.account_argument = free_account_argument(*definition.input);
  Json shown = {{"name", out.name},
                {"title", out.title},
                {"description", out.description},
                {"inputSchema", shown_input(*definition.input)},
                {"annotations",
                 {{"title", out.title},
                  {"readOnlyHint", out.hints.read_only},
                  {"destructiveHint", out.hints.destructive},
                  {"idempotentHint", out.hints.idempotent},
                  {"openWorldHint", out.hints.open_world}}}};
  if (definition.output) {
    out.output = compiled(*definition.output, limits, nullptr);
    if (out.output) shown["outputSchema"] = *definition.output;
  }
  out.definition_json = core::dump_json(shown);
  out.icons_json = icons_text(definition.icons);
  return out;
}

}  // namespace assistiv::mcp
