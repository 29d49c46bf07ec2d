#pragma once
// The catalogue that the program carries (catalogue/builtin.json).
#include <vector>

#include "core/clock.h"
#include "core/random.h"
#include "inference/providers/values.h"

namespace assistiv::inference {

struct BuiltinCatalogue {
  std::vector<CatalogProvider> providers;
  std::vector<CatalogModel> models;
};

// With fresh ids. Throws std::logic_error when the file is faulty.
BuiltinCatalogue builtin_catalogue(const core::Clock& clock, core::Random& random);

}  // namespace assistiv::inference
