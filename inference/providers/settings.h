#pragma once
// The members "inference" and "unknown_price_ceiling" of a platform's settings. The shape is checked where
// settings are written (components.json, Settings); what cannot be read here takes its default.
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inference/routing/target.h"

namespace assistiv::inference {

struct PlatformSettings {
  std::shared_ptr<const InferenceSettings> inference;
  std::map<std::string, std::string, std::less<>> aliases;  // name -> slug
  std::map<std::string, std::vector<std::string>, std::less<>>
      fallbacks;  // slug -> slugs, before the catalogue's
  std::chrono::hours response_retention{24 * 30};
};

PlatformSettings read_settings(std::string_view settings_json);

}  // namespace assistiv::inference
