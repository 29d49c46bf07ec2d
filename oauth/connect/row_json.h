#pragma once
// JSON columns of this folder's tables, as text.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "oauth/connect/text_template.h"

namespace assistiv::oauth {

std::string to_json_text(const std::vector<std::string>& list);
std::string to_json_text(const Values& values);
std::vector<std::string> strings_of_json(std::string_view text);
Values values_of_json(std::string_view text);

}  // namespace assistiv::oauth
