#include "agents/definition/toolset.h"

#include <algorithm>
#include <string>
#include <vector>

namespace assistiv::agents {

namespace {

bool any_fits(const std::vector<std::string>& patterns, std::string_view tool) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [tool](const std::string& pattern) { return fits_pattern(pattern, tool); });
}

}  // namespace

bool fits_pattern(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0;
  std::size_t star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool toolset_allows(const Toolset& toolset, std::string_view tool) {
  return any_fits(toolset.allow, tool) && !any_fits(toolset.deny, tool) &&
         (!toolset.only || any_fits(*toolset.only, tool));
}

const ApprovalRule* approval_rule(const Toolset& toolset, std::string_view tool) {
  const auto found = std::find_if(toolset.approval.begin(), toolset.approval.end(),
                                  [tool](const auto& rule) { return fits_pattern(rule.pattern, tool); });
  return found == toolset.approval.end() ? nullptr : &*found;
}

std::optional<SideEffect> declared_side_effect(const Toolset& toolset, std::string_view tool) {
  for (const auto& [pattern, effect] : toolset.side_effects) {
    if (fits_pattern(pattern, tool)) return effect;
  }
  return {};
}

}  // namespace assistiv::agents
