#include "mcp/tools/tool_search.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/schema/json_schema.h"
#include "mcp/tools/tool_result.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kQueryWordsMax = 16;
constexpr std::size_t kIndexedWordsMax = 1000;  // of one text of a tool
constexpr std::size_t kMatchesDefault = 8;
constexpr std::size_t kMatchesMax = 25;
constexpr std::size_t kSummaryBytesMax = 240;
constexpr std::size_t kToolsetsShownMax = 64;

// How much a word says by where it stands.
constexpr int kInName = 8, kInTitle = 6, kInGroup = 4, kInDescription = 2;

constexpr std::array<std::string_view, 30> kStopWords = {
    "a",  "all", "an", "and", "any", "are", "as", "at",  "be",   "by",  "can",  "for", "from", "i",    "in",
    "is", "it",  "me", "my",  "of",  "on",  "or", "our", "that", "the", "this", "to",  "want", "with", "you"};

// What people and models say, and what tools are called.
constexpr std::array<std::pair<std::string_view, std::string_view>, 22> kSynonyms = {
    {{"make", "create"},   {"new", "create"},     {"open", "create"}, {"add", "create"},
     {"write", "create"},  {"show", "get"},       {"read", "get"},    {"fetch", "get"},
     {"view", "get"},      {"find", "search"},    {"look", "search"}, {"query", "search"},
     {"edit", "update"},   {"change", "update"},  {"set", "update"},  {"modify", "update"},
     {"remove", "delete"}, {"post", "send"},      {"reply", "send"},  {"email", "mail"},
     {"pr", "pull"},       {"repo", "repository"}}};

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || static_cast<unsigned char>(c) >= 0x80;
}

// Plurals as one word with their singular: that is all the grammar that names of tools need.
std::string stem(std::string word) {
  if (word.size() > 4 && word.ends_with("ies")) return word.substr(0, word.size() - 3) + "y";
  if (word.size() > 2 && word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us"))
    word.pop_back();
  return word;
}

std::vector<std::string> words_of(std::string_view text, std::size_t max) {
  std::vector<std::string> out;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && out.size() < max &&
        std::find(kStopWords.begin(), kStopWords.end(), word) == kStopWords.end()) {
      out.push_back(stem(std::move(word)));
    }
    word.clear();
  };
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (is_word_char(lower)) {
      word.push_back(lower);
    } else {
      end_word();
    }
  }
  end_word();
  return out;
}

// A word of the query and those that mean the same, which count for less.
std::vector<std::pair<std::string, int>> with_synonyms(const std::string& word) {
  std::vector<std::pair<std::string, int>> out = {{word, 4}};
  for (const auto& [said, called] : kSynonyms) {
    if (said == word) out.emplace_back(called, 3);
    if (called == word) out.emplace_back(said, 2);
  }
  return out;
}

// How rare a word is, in whole numbers, so that the order is the same on every machine.
int rarity(std::size_t tools, std::size_t with_word) {
  int out = 1;
  for (std::size_t n = tools / std::max<std::size_t>(with_word, 1); n > 1; n /= 2) ++out;
  return out;
}

std::string summary_of(const std::string& description) {
  if (description.size() <= kSummaryBytesMax) return description;
  std::size_t end = kSummaryBytesMax;
  while (end > 0 && (static_cast<unsigned char>(description[end]) & 0xC0) == 0x80) --end;
  return description.substr(0, end) + "…";
}

core::Json match_json(const ToolView& tool) {
  core::Json out = {{"name", tool.name},
                    {"title", tool.title},
                    {"description", summary_of(tool.description)},
                    {"read_only", tool.read_only}};
  if (!tool.app.empty()) out["toolset"] = tool.group.empty() ? tool.app : tool.app + ":" + tool.group;
  return out;
}

core::Json toolsets_json(const std::vector<const ToolView*>& tools) {
  std::map<std::string, std::size_t> counts;
  for (const ToolView* tool : tools) {
    if (!tool->app.empty()) ++counts[tool->group.empty() ? tool->app : tool->app + ":" + tool->group];
  }
  core::Json out = core::Json::array();
  for (const auto& [toolset, count] : counts) {
    if (out.size() < kToolsetsShownMax) out.push_back({{"toolset", toolset}, {"tools", count}});
  }
  return out;
}

constexpr std::string_view kSearchInput = R"({
  "type": "object",
  "properties": {
    "query": {"type": "string", "maxLength": 400,
              "description": "Keywords, e.g. \"create issue\". Left out: an overview of the toolsets."},
    "toolset": {"type": "string", "maxLength": 100,
                "description": "Only tools of this app or toolset, e.g. \"github\" or \"github:issues\"."},
    "limit": {"type": "integer", "minimum": 1, "maximum": 25, "default": 8}},
  "additionalProperties": false})";

constexpr std::string_view kSearchOutput = R"({
  "type": "object",
  "required": ["tools", "total"],
  "properties": {
    "tools": {"type": "array", "items": {"type": "object", "required": ["name", "title", "description", "read_only"],
      "properties": {"name": {"type": "string"}, "title": {"type": "string"}, "description": {"type": "string"},
                     "read_only": {"type": "boolean"}, "toolset": {"type": "string"}}}},
    "total": {"type": "integer", "description": "How many tools match."},
    "toolsets": {"type": "array", "description": "Where tools are, when none or all of them match.",
      "items": {"type": "object", "required": ["toolset", "tools"],
                "properties": {"toolset": {"type": "string"}, "tools": {"type": "integer"}}}}}})";

constexpr std::string_view kGetInput = R"({
  "type": "object", "required": ["name"],
  "properties": {"name": {"type": "string", "maxLength": 128, "description": "A name that search_tools gave."}},
  "additionalProperties": false})";

constexpr std::string_view kGetOutput = R"({
  "type": "object", "required": ["tool"],
  "properties": {"tool": {"type": "object", "description": "The definition, as tools/list would show it."}}})";

constexpr std::string_view kCallInput = R"({
  "type": "object", "required": ["name"],
  "properties": {
    "name": {"type": "string", "maxLength": 128, "description": "The tool to call."},
    "arguments": {"type": "object", "description": "Its arguments, as the inputSchema that get_tool gives asks for."}},
  "additionalProperties": false})";

ToolView make_tool(std::string name, std::string title, std::string description, std::string_view input,
                   std::string_view output, core::Json hints) {
  hints["title"] = title;
  core::Json definition = {{"name", name},
                           {"title", title},
                           {"description", description},
                           {"inputSchema", core::parse_json(input)},
                           {"annotations", std::move(hints)}};
  if (!output.empty()) definition["outputSchema"] = core::parse_json(output);
  ToolView out;
  out.definition_json = core::dump_json(definition);
  out.name = std::move(name);
  out.title = std::move(title);
  out.description = std::move(description);
  return out;
}

core::Json reading_hints() {
  return {
      {"readOnlyHint", true}, {"destructiveHint", false}, {"idempotentHint", true}, {"openWorldHint", false}};
}

core::Json calling_hints(const std::vector<const ToolView*>& admitted) {
  // A tool of no app is listed beside this one, and changes nothing at an app.
  const auto all = [&](auto has) {
    return std::all_of(admitted.begin(), admitted.end(),
                       [&](const ToolView* tool) { return tool->app.empty() || has(tool); });
  };
  return {{"readOnlyHint", all([](const ToolView* t) { return t->read_only; })},
          {"destructiveHint", !all([](const ToolView* t) { return !t->destructive; })},
          {"idempotentHint", all([](const ToolView* t) { return t->idempotent; })},
          {"openWorldHint", true}};
}

const JsonSchema& compiled(std::string_view name) {
  const auto make = [](std::string_view text) {
    auto schema = JsonSchema::compile(core::parse_json(text)).schema;
    if (!schema) throw core::internal("a schema of the search tools does not compile");
    return schema;
  };
  static const auto search = make(kSearchInput), get = make(kGetInput), call = make(kCallInput);
  return name == kSearchTool ? *search : name == kGetTool ? *get : *call;
}

std::string faults_of(std::string_view name, const core::Json& arguments) {
  const auto faults = compiled(name).check(arguments);
  return faults.empty()
             ? ""
             : "The arguments of " + std::string(name) + " are not valid: " + describe(faults) + ".";
}

ToolCallResult refused(std::string code, std::string message) {
  ToolCallResult out;
  out.outcome = ToolOutcome::ToolError;
  out.result_json = error_result(code, message, core::Json::object());
  out.code = std::move(code);
  out.message = std::move(message);
  return out;
}

ToolCallResult answered(const core::Json& structured) {
  ToolCallResult out;
  const std::string text = core::dump_json(structured);
  out.result_json = structured_result_of(text, text);
  return out;
}

ToolCallResult search(const SelectedTools& tools, const core::Json& arguments) {
  const std::string query = arguments.value("query", "");
  const std::string toolset = arguments.value("toolset", "");
  const std::size_t limit = std::min(arguments.value("limit", kMatchesDefault), kMatchesMax);
  const bool browsing = words_of(query, kQueryWordsMax).empty();
  auto found = browsing ? tools.admitted : tools.index->search(query);
  if (!toolset.empty()) {
    const ToolSelection only{.toolsets = {toolset}};
    std::erase_if(found,
                  [&](const ToolView* tool) { return tool->app.empty() || !only.admits(traits_of(*tool)); });
  }
  core::Json out = {{"tools", core::Json::array()}, {"total", found.size()}};
  const bool overview = found.empty() || (browsing && toolset.empty());
  if (overview) out["toolsets"] = toolsets_json(tools.admitted);
  for (std::size_t i = 0; i < found.size() && i < limit && !(browsing && toolset.empty()); ++i) {
    out["tools"].push_back(match_json(*found[i]));
  }
  return answered(out);
}

ToolCallResult get(const SelectedTools& tools, const core::Json& arguments) {
  const auto name = arguments.at("name").get<std::string>();
  const ToolView* tool = tools.find(name);
  if (tool == nullptr) {
    return refused("not_found",
                   "There is no tool \"" + name + "\" for this caller. Find one with search_tools.");
  }
  return answered({{"tool", core::parse_json(tool->definition_json)}});
}

}  // namespace

bool is_search_mode_tool(std::string_view name) {
  return name == kSearchTool || name == kGetTool || name == kCallTool;
}

ToolIndex::ToolIndex(const std::vector<const ToolView*>& tools) : tools_(tools) {
  for (std::uint32_t i = 0; i < tools_.size(); ++i) {
    std::map<std::string, int> weights;
    const auto add = [&](std::string_view text, int weight) {
      for (const auto& word : words_of(text, kIndexedWordsMax)) {
        int& known = weights[word];
        known = std::max(known, weight);
      }
    };
    const ToolView& tool = *tools_[i];
    add(tool.name, kInName);
    add(tool.title, kInTitle);
    add(tool.group, kInGroup);
    add(tool.app, kInGroup);
    add(tool.description, kInDescription);
    for (const auto& [word, weight] : weights) postings_[word].push_back({i, weight});
  }
}

std::vector<const ToolView*> ToolIndex::search(std::string_view query) const {
  std::vector<int> scores(tools_.size(), 0), matched(tools_.size(), 0);
  for (const auto& word : words_of(query, kQueryWordsMax)) {
    std::vector<int> best(tools_.size(), 0);
    for (const auto& [form, share] : with_synonyms(word)) {
      const auto it = postings_.find(form);
      if (it == postings_.end()) continue;
      const int worth = share * rarity(tools_.size(), it->second.size());
      for (const auto& posting : it->second) {
        best[posting.tool] = std::max(best[posting.tool], worth * posting.weight);
      }
    }
    for (std::size_t i = 0; i < best.size(); ++i) {
      scores[i] += best[i];
      matched[i] += best[i] > 0 ? 1 : 0;
    }
  }
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    scores[i] *= matched[i];  // a tool with every word before one with a single rare one
    if (scores[i] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<const ToolView*> out;
  for (const auto i : order) out.push_back(tools_[i]);
  return out;
}

std::vector<ToolView> search_mode_tools(const std::vector<const ToolView*>& admitted) {
  return {
      make_tool(kSearchTool, "Search tools",
                "Finds tools by keywords. " +
                    (admitted.size() == 1
                         ? std::string("There is 1 tool that is not listed.")
                         : "There are " + std::to_string(admitted.size()) + " tools that are not listed.") +
                    " Then read the definition of one with get_tool and call it "
                    "with call_tool.",
                kSearchInput, kSearchOutput, reading_hints()),
      make_tool(
          kGetTool, "Get a tool",
          "Gives the full definition of a tool: what it does, which arguments it takes and what it returns.",
          kGetInput, kGetOutput, reading_hints()),
      make_tool(kCallTool, "Call a tool",
                "Calls a tool that search_tools found. It is the same as calling that tool itself: the same "
                "permissions, approvals and results.",
                kCallInput, "", calling_hints(admitted))};
}

ForwardedCall forwarded_call(const core::Json& arguments) {
  ForwardedCall out;
  out.fault = faults_of(kCallTool, arguments);
  if (!out.fault.empty()) return out;
  out.name = arguments.at("name").get<std::string>();
  out.arguments = arguments.value("arguments", core::Json::object());
  return out;
}

ToolCallResult run_search_tool(const SelectedTools& tools, std::string_view name,
                               const core::Json& arguments) {
  if (auto fault = faults_of(name, arguments); !fault.empty()) return refused("validation", std::move(fault));
  return name == kSearchTool ? search(tools, arguments) : get(tools, arguments);
}

}  // namespace assistiv::mcp
