#include "inference/providers/catalogue_service.h"

#include <algorithm>

#include "core/error.h"
#include "core/log.h"
#include "inference/providers/builtin.h"
#include "inference/providers/catalogue_store.h"
#include "inference/providers/input_checks.h"

namespace assistiv::inference {

namespace {

using storage::Scope;
using storage::Transaction;

constexpr char kCatalogueTopic[] = "llm_catalogue";
constexpr std::int64_t kTokensMax = 1'000'000'000;

core::Error no_provider() {
  return core::not_found("No such provider.");
}
core::Error no_model() {
  return core::not_found("No such model.");
}

void check_builtin(Source source) {
  if (source == Source::Builtin) {
    throw core::conflict("This comes with the program and would come back. Set is_active to false instead.");
  }
}

void apply(const ProviderWorld& world, CatalogProvider& out, const ProviderInput& input) {
  static const std::vector<std::string> flavors = {"openai", "xai", "anthropic", "google", "compatible"};
  if (input.title) out.title = *input.title;
  if (input.dialect) out.dialect = *input.dialect;
  if (input.flavor) {
    if (std::find(flavors.begin(), flavors.end(), *input.flavor) == flavors.end()) {
      throw core::bad_request("This must be one of openai, xai, anthropic, google, compatible.", "/flavor");
    }
    out.flavor = *input.flavor;
  }
  if (input.base_url) out.base_url = checked_base_url(world, *input.base_url, true);
  out.local = input.local.value_or(out.local);
  out.open_models = input.open_models.value_or(out.open_models);
  out.stream_options = input.stream_options.value_or(out.stream_options);
  out.is_active = input.is_active.value_or(out.is_active);
  out.source = Source::Operator;
  out.updated_at = world.clock.now();
}

void apply(const ProviderWorld& world, CatalogModel& out, const ModelInput& input) {
  if (input.provider_model) {
    check_model_name(*input.provider_model, "/provider_model");
    out.provider_model = *input.provider_model;
  }
  if (input.context_tokens) {
    out.context_tokens = checked_number(*input.context_tokens, 1, kTokensMax, "/context_tokens");
  }
  if (input.max_output_tokens) {
    out.max_output_tokens = checked_number(*input.max_output_tokens, 1, kTokensMax, "/max_output_tokens");
  }
  if (input.capabilities) out.capabilities = *input.capabilities;
  if (input.aliases) {
    check_model_names(*input.aliases, "/aliases");
    out.aliases = *input.aliases;
  }
  if (input.fallbacks) {
    check_model_names(*input.fallbacks, "/fallbacks");
    out.fallbacks = *input.fallbacks;
  }
  if (input.priority) out.priority = checked_number(*input.priority, 0, 1000, "/priority");
  out.is_active = input.is_active.value_or(out.is_active);
  out.source = Source::Operator;
  out.updated_at = world.clock.now();
}

}  // namespace

void CatalogueService::announce(const std::string& change, const std::string& slug) const {
  core::log::info("llm_catalogue.changed", {{"change", change}, {"slug", slug}});
  if (world_.changed) world_.changed(kCatalogueTopic, "");
}

// The catalogue belongs to no tenant: every transaction here is the system's.
void CatalogueService::seed() {
  const auto builtin = builtin_catalogue(world_.clock, world_.random);
  world_.database.execute(Scope::system(), [&](Transaction& tx) {
    if (CatalogueStore().seed(tx, builtin.providers, builtin.models)) tx.notify(kCatalogueTopic, "");
  });
}

core::Task<std::vector<CatalogProvider>> CatalogueService::providers() {
  co_return co_await world_.database.run(Scope::system(),
                                         [](Transaction& tx) { return CatalogueStore().providers(tx); });
}

core::Task<CatalogProvider> CatalogueService::provider(ProviderId id) {
  auto found = co_await world_.database.run(
      Scope::system(), [id](Transaction& tx) { return CatalogueStore().provider(tx, id); });
  if (!found) throw no_provider();
  co_return std::move(*found);
}

core::Task<CatalogProvider> CatalogueService::create(ProviderInput input) {
  check_provider_slug(input.slug.value_or(""));
  CatalogProvider made;
  made.id = ProviderId::make(world_.clock, world_.random);
  made.slug = *input.slug;
  made.title = made.slug;
  made.flavor = "compatible";
  made.open_models = true;
  made.created_at = world_.clock.now();
  apply(world_, made, input);
  co_await world_.database.run(Scope::system(), [made](Transaction& tx) {
    CatalogueStore().insert(tx, made);
    tx.notify(kCatalogueTopic, "");
  });
  announce("provider.created", made.slug);
  co_return made;
}

core::Task<CatalogProvider> CatalogueService::update(ProviderId id, ProviderInput input) {
  auto changed = co_await world_.database.run(Scope::system(), [this, id, input](Transaction& tx) {
    auto row = CatalogueStore().provider(tx, id);
    if (!row) throw no_provider();
    apply(world_, *row, input);
    CatalogueStore().update(tx, *row);
    tx.notify(kCatalogueTopic, "");
    return std::move(*row);
  });
  announce("provider.updated", changed.slug);
  co_return changed;
}

core::Task<> CatalogueService::remove(ProviderId id) {
  const auto slug = co_await world_.database.run(Scope::system(), [id](Transaction& tx) {
    const auto row = CatalogueStore().provider(tx, id);
    if (!row) throw no_provider();
    check_builtin(row->source);
    CatalogueStore().remove(tx, id);
    tx.notify(kCatalogueTopic, "");
    return row->slug;
  });
  announce("provider.removed", slug);
}

core::Task<std::vector<CatalogModel>> CatalogueService::models() {
  co_return co_await world_.database.run(Scope::system(),
                                         [](Transaction& tx) { return CatalogueStore().models(tx); });
}

core::Task<CatalogModel> CatalogueService::model(ModelId id) {
  auto found = co_await world_.database.run(Scope::system(),
                                            [id](Transaction& tx) { return CatalogueStore().model(tx, id); });
  if (!found) throw no_model();
  co_return std::move(*found);
}

core::Task<CatalogModel> CatalogueService::create(ModelInput input) {
  check_model_name(input.slug.value_or(""), "/slug");
  CatalogModel made;
  made.id = ModelId::make(world_.clock, world_.random);
  made.slug = made.provider_model = *input.slug;
  made.provider_id = input.provider_id.value_or(ProviderId{});
  made.created_at = world_.clock.now();
  apply(world_, made, input);
  co_await world_.database.run(Scope::system(), [made](Transaction& tx) {
    if (!CatalogueStore().provider(tx, made.provider_id)) {
      throw core::bad_request("There is no such provider.", "/provider_id");
    }
    CatalogueStore().insert(tx, made);
    tx.notify(kCatalogueTopic, "");
  });
  announce("model.created", made.slug);
  co_return made;
}

core::Task<CatalogModel> CatalogueService::update(ModelId id, ModelInput input) {
  auto changed = co_await world_.database.run(Scope::system(), [this, id, input](Transaction& tx) {
    auto row = CatalogueStore().model(tx, id);
    if (!row) throw no_model();
    apply(world_, *row, input);
    CatalogueStore().update(tx, *row);
    tx.notify(kCatalogueTopic, "");
    return std::move(*row);
  });
  announce("model.updated", changed.slug);
  co_return changed;
}

core::Task<> CatalogueService::remove(ModelId id) {
  const auto slug = co_await world_.database.run(Scope::system(), [id](Transaction& tx) {
    const auto row = CatalogueStore().model(tx, id);
    if (!row) throw no_model();
    check_builtin(row->source);
    CatalogueStore().remove(tx, id);
    tx.notify(kCatalogueTopic, "");
    return row->slug;
  });
  announce("model.removed", slug);
}

}  // namespace assistiv::inference
