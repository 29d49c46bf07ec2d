#pragma once
// Columns of this folder's tables as values, and back.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/json.h"
#include "inference/providers/values.h"
#include "storage/database.h"

namespace assistiv::inference {

std::string text_of(const std::vector<std::string>& list);
std::vector<std::string> strings_of(std::string_view json_text);

// {"reasoning", "effort", "structured_output", "json_schema_fields", "thinking", "dialect"?}; unknown members
// are ignored, absent ones take their defaults.
core::Json to_json(const Capabilities& capabilities);
Capabilities capabilities_of(const core::Json& json);

std::string ms_param(core::Time time);
std::string bool_param(bool value);
storage::Param integer_param(const std::optional<std::int64_t>& value);

}  // namespace assistiv::inference
