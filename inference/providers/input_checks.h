#pragma once
// Values from outside, checked before they are stored. Faults throw Error{InvalidArgument} with the pointer.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "inference/providers/provider_world.h"

namespace assistiv::inference {

// A provider's slug: it stands before the slash of "<provider>/<model>".
void check_provider_slug(const std::string& slug);
// Names of models: visible ASCII, 1 to 200.
bool is_model_name(const std::string& name);  // 1 to 200 visible ASCII characters
void check_model_name(const std::string& name, const std::string& field);
void check_model_names(const std::vector<std::string>& names, const std::string& field);
int checked_number(std::int64_t value, std::int64_t min, std::int64_t max, const std::string& field);
// Without the slash at the end; nothing for "".
std::optional<std::string> checked_base_url(const ProviderWorld& world, const std::string& url,
                                            bool private_ok);

}  // namespace assistiv::inference
