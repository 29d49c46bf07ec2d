#pragma once
// Rows of `llm_provider` and `llm_model`. The catalogue is small: lists are whole.
#include <optional>
#include <string>
#include <vector>

#include "inference/providers/values.h"
#include "storage/database.h"

namespace assistiv::inference {

class CatalogueStore {
 public:
  std::vector<CatalogProvider> providers(storage::Transaction& tx) const;  // by slug
  std::vector<CatalogModel> models(storage::Transaction& tx) const;        // by slug, then priority
  std::optional<CatalogProvider> provider(storage::Transaction& tx, ProviderId id) const;
  std::optional<CatalogProvider> provider_by_slug(storage::Transaction& tx, const std::string& slug) const;
  std::optional<CatalogModel> model(storage::Transaction& tx, ModelId id) const;

  // Throw Error{Conflict} when the slug is taken (a model's: at its provider).
  void insert(storage::Transaction& tx, const CatalogProvider& provider) const;
  void insert(storage::Transaction& tx, const CatalogModel& model) const;
  void update(storage::Transaction& tx, const CatalogProvider& provider) const;
  void update(storage::Transaction& tx, const CatalogModel& model) const;
  // Throws Error{Conflict} while a platform has a configuration of the provider.
  bool remove(storage::Transaction& tx, ProviderId id) const;
  bool remove(storage::Transaction& tx, ModelId id) const;

  // The program's own rows: new ones are added, those that no operator touched are brought up to date, and
  // those that the program has no longer are removed. Rows of an operator stay. Gives whether anything
  // changed. Several starting processes wait for each other here.
  bool seed(storage::Transaction& tx, const std::vector<CatalogProvider>& providers,
            const std::vector<CatalogModel>& models) const;
};

}  // namespace assistiv::inference
