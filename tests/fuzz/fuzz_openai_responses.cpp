// Any bytes as what a client or a provider of the Responses API sends.
#include "core/error.h"
#include "dialect_fuzz.h"
#include "inference/openai_responses/response_object.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  namespace core = assistiv::core;
  assistiv::inference::dialect_fuzz::fuzz(assistiv::inference::openai_responses_dialect(), data, size);
  if (size == 0 || data[0] != 'q') return 0;
  const auto body = core::try_parse_json({reinterpret_cast<const char*>(data) + 1, size - 1});
  if (body) core::dump_json(assistiv::inference::response_echo(*body));
  return 0;
}
