#pragma once
// What one model call used, in the one form that the client's reply, the bill and the usage log are made of.
#include <cstdint>
#include <optional>

namespace assistiv::core {

// Inclusive counts, converted at the provider's edge: `input` holds every prompt token (cached, written to
// the cache, audio, image), `output` every completion token (reasoning and audio too). An absent field means
// that the provider did not say; an explicit zero is a zero.
struct Usage {
  std::optional<std::int64_t> input;
  std::optional<std::int64_t> output;
  // Parts of input.
  std::optional<std::int64_t> cache_read;
  std::optional<std::int64_t> cache_write_5m;
  std::optional<std::int64_t> cache_write_1h;
  std::optional<std::int64_t> input_audio;
  std::optional<std::int64_t> input_image;
  // Parts of output.
  std::optional<std::int64_t> reasoning;
  std::optional<std::int64_t> output_audio;
  std::optional<std::int64_t> output_image;

  bool operator==(const Usage&) const = default;
};

// Streams report usage several times; a field that is present overwrites (a later message may correct an
// earlier one, also downwards), an absent one leaves what was there.
void merge_usage(Usage& into, const Usage& later);

// input + output; 0 when both are absent.
std::int64_t total_tokens(const Usage& usage);

}  // namespace assistiv::core
