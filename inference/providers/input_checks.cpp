#include "inference/providers/input_checks.h"

#include <algorithm>

#include "core/error.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kModelNameMax = 200;
constexpr std::size_t kModelNamesMax = 500;
constexpr std::size_t kBaseUrlMax = 2048;

}  // namespace

void check_provider_slug(const std::string& slug) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  if (slug.empty() || slug.size() > 63 || slug.front() == '-' ||
      !std::all_of(slug.begin(), slug.end(), plain)) {
    throw core::bad_request("A slug is 1 to 63 of a-z, 0-9 and \"-\".", "/slug");
  }
}

bool is_model_name(const std::string& name) {
  return !name.empty() && name.size() <= kModelNameMax &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

void check_model_name(const std::string& name, const std::string& field) {
  if (!is_model_name(name))
    throw core::bad_request("A model's name is 1 to 200 visible ASCII characters.", field);
}

void check_model_names(const std::vector<std::string>& names, const std::string& field) {
  if (names.size() > kModelNamesMax) throw core::bad_request("At most 500 names are allowed.", field);
  for (std::size_t i = 0; i < names.size(); ++i) {
    check_model_name(names[i], field + "/" + std::to_string(i));
  }
}

int checked_number(std::int64_t value, std::int64_t min, std::int64_t max, const std::string& field) {
  if (value < min || value > max) {
    throw core::bad_request(
        "This must be a whole number from " + std::to_string(min) + " to " + std::to_string(max) + ".",
        field);
  }
  return static_cast<int>(value);
}

std::optional<std::string> checked_base_url(const ProviderWorld& world, const std::string& url,
                                            bool private_ok) {
  if (url.empty()) return {};
  std::string out = url;
  while (out.ends_with('/')) out.pop_back();
  if (out.size() > kBaseUrlMax || out.find_first_of("?#@ ") != std::string::npos) {
    throw core::bad_request(
        "This must be an absolute URL without query and user, e.g. "
        "\"https://models.example.com/v1\".",
        "/base_url");
  }
  if (const auto fault = world.url_fault(out, private_ok)) {
    throw core::bad_request("This address cannot be used: it " + *fault + ".", "/base_url");
  }
  return out;
}

}  // namespace assistiv::inference
