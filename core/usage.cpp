#include "core/usage.h"

namespace assistiv::core {

namespace {
void overwrite(std::optional<std::int64_t>& into, const std::optional<std::int64_t>& later) {
  if (later) into = later;
}
}  // namespace

void merge_usage(Usage& into, const Usage& later) {
  overwrite(into.input, later.input);
  overwrite(into.output, later.output);
  overwrite(into.cache_read, later.cache_read);
  overwrite(into.cache_write_5m, later.cache_write_5m);
  overwrite(into.cache_write_1h, later.cache_write_1h);
  overwrite(into.input_audio, later.input_audio);
  overwrite(into.input_image, later.input_image);
  overwrite(into.reasoning, later.reasoning);
  overwrite(into.output_audio, later.output_audio);
  overwrite(into.output_image, later.output_image);
}

std::int64_t total_tokens(const Usage& usage) {
  return usage.input.value_or(0) + usage.output.value_or(0);
}

}  // namespace assistiv::core
