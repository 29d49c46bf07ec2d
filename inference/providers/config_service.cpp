#include "inference/providers/config_service.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/url_text.h"
#include "inference/providers/catalogue_store.h"
#include "inference/providers/input_checks.h"

namespace assistiv::inference {

namespace {

using storage::Scope;
using storage::Transaction;

constexpr char kConfigTopic[] = "llm_config";
constexpr std::int64_t kConfigsMax = 200;  // per platform: each call looks through them
constexpr std::size_t kApiKeyMax = 4096;
constexpr std::size_t kHintLength = 4;

core::Error no_config() {
  return core::not_found("No such LLM configuration.");
}

void check_key(const core::Secret& key) {
  const auto& text = key.reveal();
  const bool plain = text.size() <= kApiKeyMax &&
                     std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!plain) throw core::bad_request("A key is visible ASCII, at most 4096 characters.", "/api_key");
}

// A short key's end would be too much of it.
std::optional<std::string> hint_of(const core::Secret& key) {
  const auto& text = key.reveal();
  if (text.size() < 4 * kHintLength) return {};
  return text.substr(text.size() - kHintLength);
}

// A stored key is never told; sending it to another server would be telling it.
void check_key_stays(const ConfigRow& row, const CatalogProvider& provider, const std::string& address_before,
                     const ProviderConfigInput& input) {
  if (row.sealed_key.empty() || input.api_key) return;
  const auto address = row.config.base_url.value_or(provider.base_url.value_or(""));
  if (core::url_origin(address) == core::url_origin(address_before)) return;
  throw core::bad_request("Another address needs the key again: the stored one is not sent elsewhere.",
                          "/api_key");
}

core::Json changed_members(const ProviderConfigInput& input) {
  core::Json names = core::Json::array();
  const auto add = [&names](const char* name, bool changed) {
    if (changed) names.push_back(name);
  };
  add("name", input.name.has_value());
  add("api_key", input.api_key.has_value());
  add("base_url", input.base_url.has_value());
  add("local", input.local.has_value());
  add("priority", input.priority.has_value());
  add("weight", input.weight.has_value());
  add("is_default", input.is_default.has_value());
  add("is_active", input.is_active.has_value());
  add("models", input.models.has_value() || input.all_models);
  return {{"changed", std::move(names)}};
}

}  // namespace

void ConfigService::announce(core::PlatformId platform) const {
  if (world_.changed) world_.changed(kConfigTopic, platform.str());
}

CatalogProvider ConfigService::wanted_provider(Transaction& tx, const ProviderConfigInput& input) const {
  const CatalogueStore store;
  std::optional<CatalogProvider> found;
  std::string field = "/provider";
  if (input.provider_id) {
    found = store.provider(tx, *input.provider_id);
    field = "/provider_id";
  } else if (input.provider) {
    found = store.provider_by_slug(tx, *input.provider);
  }
  if (!found || !found->is_active) {
    std::string known;
    for (const auto& one : store.providers(tx)) {
      if (one.is_active) known += (known.empty() ? "" : ", ") + one.slug;
    }
    throw core::bad_request("There is no such provider on this server. It knows: " + known + ".", field);
  }
  return std::move(*found);
}

void ConfigService::apply(ProviderConfig& out, const CatalogProvider& provider,
                          const ProviderConfigInput& input, const oauth::AuditContext& context) const {
  const bool trusted = world_.platforms_may_use_private ||
                       (context.actor && context.actor->kind == oauth::PrincipalKind::Operator);
  if ((input.local || (input.base_url && out.local)) && !trusted) {
    throw core::forbidden(
        "Only the operator of this server can say that a model server is local, or move one that is.");
  }
  if (input.name) out.name = input.name->empty() ? std::nullopt : input.name;
  if (input.api_key) {
    check_key(*input.api_key);
    out.key_hint = hint_of(*input.api_key);
  }
  out.local = input.local.value_or(out.local);
  if (input.base_url) out.base_url = checked_base_url(world_, *input.base_url, trusted);
  if (!out.base_url && !provider.base_url) {
    throw core::bad_request("This provider has no address of its own: name your server's.", "/base_url");
  }
  if (input.priority) out.priority = checked_number(*input.priority, 0, 1000, "/priority");
  if (input.weight) out.weight = checked_number(*input.weight, 0, 1000, "/weight");
  out.is_default = input.is_default.value_or(out.is_default);
  out.is_active = input.is_active.value_or(out.is_active);
  if (input.all_models) out.models.reset();
  if (input.models) {
    check_model_names(*input.models, "/models");
    out.models = *input.models;
  }
  out.updated_at = world_.clock.now();
}

core::Task<oauth::Page<ProviderConfig>> ConfigService::list(core::PlatformId platform,
                                                            oauth::PageRequest page) {
  page.check();
  co_return co_await world_.database.run(Scope::tenant(platform), [this, platform, page](Transaction& tx) {
    return ConfigStore(world_.vault).list(tx, platform, page);
  });
}

core::Task<ProviderConfig> ConfigService::get(core::PlatformId platform, ConfigId id) {
  auto row = co_await world_.database.run(Scope::tenant(platform), [this, platform, id](Transaction& tx) {
    return ConfigStore(world_.vault).get(tx, platform, id);
  });
  if (!row) throw no_config();
  co_return std::move(row->config);
}

core::Task<ProviderConfig> ConfigService::create(core::PlatformId platform, ProviderConfigInput input,
                                                 oauth::AuditContext context) {
  auto made = co_await world_.database.run(
      Scope::tenant(platform), [this, platform, input, context](Transaction& tx) {
        const ConfigStore store(world_.vault);
        const auto provider = wanted_provider(tx, input);
        if (store.count(tx, platform) >= kConfigsMax) {
          throw core::conflict("A platform has at most 200 LLM configurations.");
        }
        ProviderConfig config;
        config.id = ConfigId::make(world_.clock, world_.random);
        config.provider_id = provider.id;
        config.provider = provider.slug;
        config.created_at = world_.clock.now();
        apply(config, provider, input, context);
        if (config.is_default) store.clear_default(tx, platform, provider.id);
        store.insert(tx, platform, config, input.api_key.value_or(core::Secret()));
        world_.audit.append(tx, platform,
                            oauth::audit_event(context, "llm_config.created", {}, config.id.str(),
                                               {{"provider", provider.slug}}));
        tx.notify(kConfigTopic, platform.str());
        return config;
      });
  announce(platform);
  co_return made;
}

core::Task<ProviderConfig> ConfigService::update(core::PlatformId platform, ConfigId id,
                                                 ProviderConfigInput input, oauth::AuditContext context) {
  auto changed = co_await world_.database.run(
      Scope::tenant(platform), [this, platform, id, input, context](Transaction& tx) {
        const ConfigStore store(world_.vault);
        auto row = store.lock(tx, platform, id);
        if (!row) throw no_config();
        const auto provider = CatalogueStore().provider(tx, row->config.provider_id);
        if (!provider) throw core::internal("a configuration without its provider");
        const auto before = row->config.base_url.value_or(provider->base_url.value_or(""));
        apply(row->config, *provider, input, context);
        check_key_stays(*row, *provider, before, input);
        if (row->config.is_default) store.clear_default(tx, platform, provider->id);
        store.update(tx, platform, row->config, input.api_key);
        world_.audit.append(
            tx, platform,
            oauth::audit_event(context, "llm_config.updated", {}, id.str(), changed_members(input)));
        tx.notify(kConfigTopic, platform.str());
        return std::move(row->config);
      });
  announce(platform);
  co_return changed;
}

core::Task<> ConfigService::remove(core::PlatformId platform, ConfigId id, oauth::AuditContext context) {
  co_await world_.database.run(Scope::tenant(platform), [this, platform, id, context](Transaction& tx) {
    if (!ConfigStore(world_.vault).remove(tx, platform, id)) throw no_config();
    world_.audit.append(
        tx, platform, oauth::audit_event(context, "llm_config.removed", {}, id.str(), core::Json::object()));
    tx.notify(kConfigTopic, platform.str());
  });
  announce(platform);
}

}  // namespace assistiv::inference
