#pragma once
// Google's groundingMetadata and citationMetadata of a candidate, which count in bytes.
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "inference/canonical.h"

namespace assistiv::inference::gemini {

// What the candidate says that the text of its part `index` rests on. Sources that are tied to no segment are
// given to part 0, for all of it.
std::vector<Citation> read_citations(const core::Json& candidate, std::string_view text, std::size_t index);
// Members of the candidate that have no canonical form, for Reply::left_out.
std::vector<std::string> unread_members(const core::Json& candidate);

// groundingMetadata, put together text by text.
class Grounding {
 public:
  void add(const Citation& citation, std::string_view text, std::size_t part);
  bool empty() const { return sources_.empty(); }
  core::Json take();

 private:
  std::vector<std::string> urls_;
  std::vector<core::Json> sources_;
  std::vector<core::Json> supports_;
};

}  // namespace assistiv::inference::gemini
