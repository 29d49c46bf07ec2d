#include "mcp/protocol/selection.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/encoding.h"
#include "mcp/protocol/services.h"
#include "mcp/tools/tool_executor.h"

namespace assistiv::mcp {

namespace {

constexpr std::size_t kNameBytesMax = 128;
constexpr std::size_t kTokensMax = 1'000'000;
constexpr std::string_view kSearchWord = "search";

struct Wish {
  std::string_view parameter, header;
  std::optional<std::string_view> RequestHead::*slot;
};
constexpr Wish kTools{"tools", "X-MCP-Tools", &RequestHead::tools};
constexpr Wish kToolsets{"toolsets", "X-MCP-Toolsets", &RequestHead::toolsets};
constexpr Wish kReadonly{"readonly", "X-MCP-Readonly", &RequestHead::readonly};
constexpr Wish kTokens{"max_result_tokens", "X-MCP-Max-Result-Tokens", &RequestHead::max_result_tokens};

std::string both_names(const Wish& wish) {
  return std::string(wish.parameter) + " (or the header " + std::string(wish.header) + ")";
}

// The text of a wish, "" for none; false when it is said twice and differently.
bool read_text(const Wish& wish, const RequestHead& head, const core::FormFields& query, std::string& out) {
  std::optional<std::string> found;
  if (head.*wish.slot) found = std::string(*(head.*wish.slot));
  for (const auto& [name, value] : query) {
    if (name != wish.parameter) continue;
    if (found && *found != value) return false;
    found = value;
  }
  out = found.value_or("");
  return true;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Sorted and without duplicates; false when there are too many, or one is no name.
bool read_names(std::string_view text, std::vector<std::string>& out) {
  while (!text.empty()) {
    const auto comma = std::min(text.find(','), text.size());
    const auto name = trimmed(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (name.empty()) continue;
    const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
    if (!printable || name.size() > kNameBytesMax || out.size() >= kSelectedNamesMax) return false;
    out.emplace_back(name);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return true;
}

std::optional<bool> read_switch(std::string_view text) {
  if (text.empty() || text == "false" || text == "0") return false;
  if (text == "true" || text == "1") return true;
  return {};
}

std::optional<std::size_t> read_count(std::string_view text) {
  std::size_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return out >= kResultTokensMin && out <= kTokensMax ? std::optional(out) : std::nullopt;
}

// Reads the four wishes; a sentence when one cannot be read.
std::string read_wishes(const RequestHead& head, const core::FormFields& query, ToolSelection& out) {
  std::string tools, toolsets, readonly, tokens;
  for (const auto& [wish, text] : {std::pair{&kTools, &tools}, std::pair{&kToolsets, &toolsets},
                                   std::pair{&kReadonly, &readonly}, std::pair{&kTokens, &tokens}}) {
    if (!read_text(*wish, head, query, *text))
      return "The parameter and the header differ, or one occurs twice: " + both_names(*wish) + ".";
  }
  for (const auto& [wish, text, names] :
       {std::tuple{&kTools, &tools, &out.tools}, std::tuple{&kToolsets, &toolsets, &out.toolsets}}) {
    if (!read_names(*text, *names))
      return both_names(*wish) +
             " must be at most 256 names of at most 128 characters, with commas between them.";
  }
  out.search = std::erase(out.tools, kSearchWord) != 0;
  const auto read_only = read_switch(readonly);
  if (!read_only) return both_names(kReadonly) + " must be true or false.";
  out.read_only = *read_only;
  if (tokens.empty()) return {};
  const auto count = read_count(tokens);
  if (!count)
    return both_names(kTokens) + " must be a number from " + std::to_string(kResultTokensMin) + " on.";
  out.result_tokens_max = *count;
  return {};
}

Fault bad_selection(std::string message) {
  return {kInvalidParams, std::move(message), 400, {}};
}

}  // namespace

SelectionReading read_selection(const RequestHead& head, std::string_view query) {
  const bool asked = head.tools || head.toolsets || head.readonly || head.max_result_tokens;
  if (!asked && query.empty()) return {};
  const auto fields = core::form_decode(query);
  if (!fields) return {nullptr, "The query of the URL is not well encoded."};
  ToolSelection selection;
  if (auto fault = read_wishes(head, *fields, selection); !fault.empty()) return {nullptr, std::move(fault)};
  if (selection == ToolSelection{}) return {};
  return {std::make_shared<const ToolSelection>(std::move(selection)), {}};
}

core::Task<std::optional<Fault>> check_selection(EndpointServices& services, IncomingPtr incoming) {
  if (!incoming->selection_fault.empty()) co_return bad_selection(incoming->selection_fault);
  if (!incoming->selection) co_return std::nullopt;
  CallContext context;
  context.principal = incoming->principal;
  context.app = incoming->app;
  context.selection = incoming->selection;
  const auto unknown = co_await services.doors.tools.unknown_names(std::move(context));
  if (unknown.empty()) co_return std::nullopt;
  std::string names;
  for (const auto& name : unknown) names += (names.empty() ? "\"" : ", \"") + name + "\"";
  co_return bad_selection(
      "This server has no tool or toolset of this name: " + names +
      ". GET /v1/mcp/catalog lists what there is; a toolset is an app, a group, or app:group.");
}

}  // namespace assistiv::mcp
