#pragma once
// JSON Schema and Google's Schema object, a subset of it.
#include "core/json.h"

namespace assistiv::inference {

// The subset that `parameters` and `responseSchema` take. References are inlined, allOf merged, unions with
// null made nullable. Idempotent; never throws; bounded in depth and in size.
core::Json gemini_schema(const core::Json& json_schema);

// The way back, for a Gemini client's request to another provider: lower-case types, nullable as a union.
core::Json json_schema_of_gemini(const core::Json& schema);

}  // namespace assistiv::inference
