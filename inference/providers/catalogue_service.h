#pragma once
// The operator's catalogue of providers and models.
#include <vector>

#include "core/task.h"
#include "inference/providers/provider_world.h"
#include "inference/providers/values.h"

namespace assistiv::inference {

// Thread-safe. Faulty values throw Error{InvalidArgument} with a JSON pointer, what does not exist NotFound,
// a slug that is taken Conflict. A change is logged and leaves a notice on the topic "llm_catalogue".
class CatalogueService {
 public:
  explicit CatalogueService(ProviderWorld& world) : world_(world) {}

  // Writes the program's own rows. Blocks; at start.
  void seed();

  core::Task<std::vector<CatalogProvider>> providers();
  core::Task<CatalogProvider> provider(ProviderId id);
  core::Task<CatalogProvider> create(ProviderInput input);
  core::Task<CatalogProvider> update(ProviderId id, ProviderInput input);
  // Conflict for the program's own rows (set is_active to false instead) and while platforms use it.
  core::Task<> remove(ProviderId id);

  core::Task<std::vector<CatalogModel>> models();
  core::Task<CatalogModel> model(ModelId id);
  core::Task<CatalogModel> create(ModelInput input);
  core::Task<CatalogModel> update(ModelId id, ModelInput input);
  core::Task<> remove(ModelId id);

 private:
  void announce(const std::string& change, const std::string& slug) const;
  ProviderWorld& world_;
};

}  // namespace assistiv::inference
