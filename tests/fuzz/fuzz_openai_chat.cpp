// Any bytes as what a client or a provider of chat completions sends.
#include "core/error.h"
#include "dialect_fuzz.h"
#include "inference/dialect.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assistiv::inference::dialect_fuzz::fuzz(assistiv::inference::openai_chat_dialect(), data, size);
  return 0;
}
