// Any bytes as what a client or a provider of Gemini's generateContent sends; mode j is a schema.
#include "core/error.h"
#include "dialect_fuzz.h"
#include "inference/gemini/schema.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace core = assistiv::core;
  namespace inference = assistiv::inference;
  assistiv::inference::dialect_fuzz::fuzz(inference::gemini_dialect(), data, size);
  if (size == 0 || data[0] != 'j') return 0;
  const auto schema = core::try_parse_json({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!schema) return 0;
  const auto once = inference::gemini_schema(*schema);
  if (inference::gemini_schema(once) != once) __builtin_trap();
  inference::json_schema_of_gemini(*schema);
  return 0;
}
