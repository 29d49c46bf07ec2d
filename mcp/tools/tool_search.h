#pragma once
// Finding tools instead of listing them: search_tools, get_tool and call_tool, which stand for the list in
// search mode (ToolSelection::search). The first two look only at the tools that they are given; the third is
// turned into a call of the tool it names before anything is decided or recorded. Pure.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/json.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

struct SelectedTools;

inline constexpr char kSearchTool[] = "search_tools";
inline constexpr char kGetTool[] = "get_tool";
inline constexpr char kCallTool[] = "call_tool";

bool is_search_mode_tool(std::string_view name);

// An inverted index over names, titles, groups and descriptions.
class ToolIndex {
 public:
  // The tools must outlive it.
  explicit ToolIndex(const std::vector<const ToolView*>& tools);

  // Best first; equal ones in the order of the list. Only tools in which at least one word of the query
  // occurs; no words: none.
  std::vector<const ToolView*> search(std::string_view query) const;

 private:
  struct Posting {
    std::uint32_t tool = 0;
    int weight = 0;  // of the best place in which the word occurs
  };
  std::vector<const ToolView*> tools_;
  std::unordered_map<std::string, std::vector<Posting>> postings_;
};

// The definitions of the three, as tools/list shows them; the hints of call_tool say what may happen through
// it.
std::vector<ToolView> search_mode_tools(const std::vector<const ToolView*>& admitted);

// What call_tool is asked to call. `fault` is set when the arguments cannot be read.
struct ForwardedCall {
  std::string name;
  core::Json arguments;
  std::string fault;
};
ForwardedCall forwarded_call(const core::Json& arguments);

// The result of search_tools or get_tool.
ToolCallResult run_search_tool(const SelectedTools& tools, std::string_view name,
                               const core::Json& arguments);

}  // namespace assistiv::mcp
