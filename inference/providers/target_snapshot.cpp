#include "inference/providers/target_snapshot.h"

#include <algorithm>

#include "inference/providers/input_checks.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kPlansMax = 1000;  // names that callers made up are not kept for ever
constexpr std::size_t kFallbackModelsMax = 5;
constexpr int kPriorityStep = 1001;  // the platform's order first, then the catalogue's (0..1000)

bool allows(const ProviderConfig& config, const std::string& slug) {
  return !config.models ||
         std::find(config.models->begin(), config.models->end(), slug) != config.models->end();
}

TargetModel target_model(const CatalogProvider& provider, const CatalogModel* model,
                         const std::string& provider_model) {
  TargetModel out;
  out.name = provider_model;
  out.flavor = provider.flavor;
  if (model == nullptr) return out;
  out.max_output_tokens = model->max_output_tokens;
  out.reasoning = model->capabilities.reasoning;
  out.effort = model->capabilities.effort;
  out.structured_output = model->capabilities.structured_output;
  out.json_schema_fields = model->capabilities.json_schema_fields;
  out.thinking = model->capabilities.thinking;
  return out;
}

}  // namespace

TargetSnapshot::TargetSnapshot(SnapshotParts parts, PriceOf price_of)
    : parts_(std::move(parts)),
      price_of_(std::move(price_of)),
      settings_(std::make_shared<const PlatformSettings>(parts_.settings)) {
  for (const auto& config : parts_.configs) {
    const auto* of = provider(config.config.provider_id);
    if (of != nullptr && of->is_active) offer_models(config, *of);
  }
  for (auto& [slug, targets] : by_slug_) {
    std::stable_sort(targets.begin(), targets.end(),
                     [](const TargetPtr& a, const TargetPtr& b) { return a->priority < b->priority; });
    offered_.push_back({slug, targets.front()->provider, {}});
  }
  for (auto& entry : offered_) {
    for (const auto& model : parts_.models) {
      if (model.slug == entry.id) entry.created_at = model.created_at;
    }
    if (entry.created_at == core::Time{}) entry.created_at = parts_.configs.front().config.created_at;
  }
  for (const auto& model : parts_.models) {
    if (!model.is_active || !by_slug_.contains(model.slug)) continue;
    for (const auto& alias : model.aliases) aliases_.emplace(alias, model.slug);
  }
}

const CatalogProvider* TargetSnapshot::provider(ProviderId id) const {
  const auto it = std::find_if(parts_.providers.begin(), parts_.providers.end(),
                               [&](const CatalogProvider& one) { return one.id == id; });
  return it == parts_.providers.end() ? nullptr : &*it;
}

TargetPtr TargetSnapshot::make_target(const SnapshotParts::OpenedConfig& config,
                                      const CatalogProvider& provider, const CatalogModel* model,
                                      const std::string& provider_model) const {
  auto out = std::make_shared<Target>();
  out->provider = provider.slug;
  out->config_id = config.config.id.str();
  out->base_url = config.config.base_url.value_or(provider.base_url.value_or(""));
  out->dialect =
      model != nullptr && model->capabilities.dialect ? *model->capabilities.dialect : provider.dialect;
  out->api_key = config.key;
  // A public name may come to mean a private address: who names the address must have been allowed to.
  out->local = config.config.local || (provider.local && !config.config.base_url);
  out->model = target_model(provider, model, provider_model);
  out->price = price_of_(provider.slug, provider_model);
  out->priority = config.config.priority * kPriorityStep + (model != nullptr ? model->priority : 0);
  out->weight = config.config.weight;
  out->is_default = config.config.is_default;
  out->accepts_stream_options = provider.stream_options;
  return out->base_url.empty() ? nullptr : std::move(out);
}

void TargetSnapshot::offer(const std::string& slug, const CatalogModel* model,
                           const CatalogProvider& provider, const SnapshotParts::OpenedConfig& config) {
  if (auto target = make_target(config, provider, model, model != nullptr ? model->provider_model : slug)) {
    by_slug_[slug].push_back(std::move(target));
  }
}

void TargetSnapshot::offer_models(const SnapshotParts::OpenedConfig& config,
                                  const CatalogProvider& provider) {
  std::vector<std::string> known;
  for (const auto& model : parts_.models) {
    if (model.provider_id != provider.id) continue;
    known.push_back(model.slug);
    if (model.is_active && allows(config.config, model.slug)) offer(model.slug, &model, provider, config);
  }
  if (!config.config.models) return;
  // Named by the platform: offered although the catalogue does not know it.
  for (const auto& slug : *config.config.models) {
    if (std::find(known.begin(), known.end(), slug) == known.end()) offer(slug, nullptr, provider, config);
  }
}

std::string TargetSnapshot::canonical_name(const std::string& name) const {
  if (const auto own = settings_->aliases.find(name); own != settings_->aliases.end()) return own->second;
  if (by_slug_.contains(name)) return name;
  const auto alias = aliases_.find(name);
  return alias == aliases_.end() ? name : alias->second;
}

TargetSnapshot::Targets TargetSnapshot::open_targets(std::string_view provider_slug,
                                                     const std::string& model) const {
  Targets out;
  if (!is_model_name(model)) return out;
  for (const auto& config : parts_.configs) {
    const auto* of = provider(config.config.provider_id);
    if (of == nullptr || !of->is_active || !of->open_models || config.config.models) continue;
    if (!provider_slug.empty() && of->slug != provider_slug) continue;
    if (auto target = make_target(config, *of, nullptr, model)) out.push_back(std::move(target));
  }
  return out;
}

TargetPlan::Model TargetSnapshot::resolve(const std::string& name) const {
  const std::string slug = canonical_name(name);
  if (const auto it = by_slug_.find(slug); it != by_slug_.end()) return {slug, it->second};
  const auto slash = slug.find('/');
  if (slash != std::string::npos) {
    const std::string provider_slug = slug.substr(0, slash);
    const std::string rest = canonical_name(slug.substr(slash + 1));
    Targets of_provider;
    if (const auto it = by_slug_.find(rest); it != by_slug_.end()) {
      std::copy_if(it->second.begin(), it->second.end(), std::back_inserter(of_provider),
                   [&](const TargetPtr& target) { return target->provider == provider_slug; });
    }
    if (of_provider.empty()) of_provider = open_targets(provider_slug, rest);
    if (!of_provider.empty()) return {slug, std::move(of_provider)};
  }
  return {slug, open_targets({}, slug)};
}

TargetPlanPtr TargetSnapshot::make_plan(const std::string& name) const {
  auto first = resolve(name);
  if (first.targets.empty()) return nullptr;
  auto out = std::make_shared<TargetPlan>();
  out->settings = settings_->inference;
  std::vector<std::string> fallbacks;
  if (const auto own = settings_->fallbacks.find(first.name); own != settings_->fallbacks.end()) {
    fallbacks = own->second;
  } else {
    for (const auto& model : parts_.models) {
      if (model.slug == first.name && fallbacks.empty()) fallbacks = model.fallbacks;
    }
  }
  out->models.push_back(std::move(first));
  for (const auto& fallback : fallbacks) {
    if (out->models.size() > kFallbackModelsMax) break;
    auto next = resolve(fallback);
    const bool twice = std::any_of(out->models.begin(), out->models.end(),
                                   [&](const TargetPlan::Model& model) { return model.name == next.name; });
    if (!next.targets.empty() && !twice) out->models.push_back(std::move(next));
  }
  return out;
}

TargetPlanPtr TargetSnapshot::plan(const std::string& model) const {
  {
    std::lock_guard lock(mutex_);
    if (const auto it = plans_.find(model); it != plans_.end()) return it->second;
  }
  auto made = make_plan(model);
  if (!made) return nullptr;
  std::lock_guard lock(mutex_);
  if (plans_.size() >= kPlansMax) plans_.clear();
  return plans_.emplace(model, std::move(made)).first->second;
}

}  // namespace assistiv::inference
