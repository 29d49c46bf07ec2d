#include "inference/providers/config_store.h"

#include "inference/providers/row_values.h"
#include "oauth/crypto/vault.h"

namespace assistiv::inference {

namespace {

constexpr char kConfigColumns[] =
    "c.config_id, c.provider_id, p.slug, c.name, c.api_key, c.key_hint, c.base_url, c.local, c.priority, "
    "c.weight,"
    " c.is_default, c.is_active, c.models::text as models, assistiv_ms(c.created_at) as created_at,"
    " assistiv_ms(c.updated_at) as updated_at"
    " from llm_config c join llm_provider p on p.provider_id = c.provider_id where c.platform_id = $1::uuid";

oauth::SecretContext key_context(core::PlatformId platform, ConfigId id) {
  return {platform, "llm_config", id.str(), "api_key"};
}

ConfigRow read_config(const storage::Row& row) {
  ConfigRow out;
  auto& config = out.config;
  config.id = row.id<ConfigId>("config_id");
  config.provider_id = row.id<ProviderId>("provider_id");
  config.provider = row.text("slug");
  config.name = row.optional_text("name");
  config.key_hint = row.optional_text("key_hint");
  config.base_url = row.optional_text("base_url");
  config.local = row.boolean("local");
  config.priority = static_cast<int>(row.integer("priority"));
  config.weight = static_cast<int>(row.integer("weight"));
  config.is_default = row.boolean("is_default");
  config.is_active = row.boolean("is_active");
  if (!row.is_null("models")) config.models = strings_of(row.text("models"));
  config.created_at = row.time("created_at");
  config.updated_at = row.time("updated_at");
  out.sealed_key = row.text("api_key");
  return out;
}

storage::Param models_param(const ProviderConfig& config) {
  return config.models ? storage::Param(text_of(*config.models)) : std::nullopt;
}

}  // namespace

void ConfigStore::insert(storage::Transaction& tx, core::PlatformId platform, const ProviderConfig& config,
                         const core::Secret& key) const {
  storage::Param sealed;
  if (!key.empty()) sealed = vault_.seal(key_context(platform, config.id), key);
  tx.exec(
      "insert into llm_config (platform_id, config_id, provider_id, name, api_key, key_hint, base_url, local,"
      " priority, weight, is_default, is_active, models, created_at, updated_at) values ($1::uuid, $2::uuid,"
      " $3::uuid, $4, $5, $6, $7, $8::boolean, $9::integer, $10::integer, $11::boolean, $12::boolean,"
      " $13::jsonb, assistiv_time($14::bigint), assistiv_time($14::bigint))",
      {platform.str(), config.id.str(), config.provider_id.str(), config.name, sealed, config.key_hint,
       config.base_url, bool_param(config.local), std::to_string(config.priority),
       std::to_string(config.weight), bool_param(config.is_default), bool_param(config.is_active),
       models_param(config), ms_param(config.created_at)});
}

void ConfigStore::update(storage::Transaction& tx, core::PlatformId platform, const ProviderConfig& config,
                         const std::optional<core::Secret>& key) const {
  storage::Param sealed;
  if (key && !key->empty()) sealed = vault_.seal(key_context(platform, config.id), *key);
  tx.exec(
      "update llm_config set name = $3, api_key = case when $4::boolean then $5 else api_key end, key_hint = "
      "$6,"
      " base_url = $7, local = $8::boolean, priority = $9::integer, weight = $10::integer,"
      " is_default = $11::boolean, is_active = $12::boolean, models = $13::jsonb,"
      " updated_at = assistiv_time($14::bigint) where platform_id = $1::uuid and config_id = $2::uuid",
      {platform.str(), config.id.str(), config.name, bool_param(key.has_value()), sealed, config.key_hint,
       config.base_url, bool_param(config.local), std::to_string(config.priority),
       std::to_string(config.weight), bool_param(config.is_default), bool_param(config.is_active),
       models_param(config), ms_param(config.updated_at)});
}

std::optional<ConfigRow> ConfigStore::lock(storage::Transaction& tx, core::PlatformId platform,
                                           ConfigId id) const {
  const auto rows =
      tx.exec(std::string("select ") + kConfigColumns + " and c.config_id = $2::uuid for update of c",
              {platform.str(), id.str()});
  return rows.empty() ? std::nullopt : std::optional(read_config(rows[0]));
}

std::optional<ConfigRow> ConfigStore::get(storage::Transaction& tx, core::PlatformId platform,
                                          ConfigId id) const {
  const auto rows = tx.exec(std::string("select ") + kConfigColumns + " and c.config_id = $2::uuid",
                            {platform.str(), id.str()});
  return rows.empty() ? std::nullopt : std::optional(read_config(rows[0]));
}

oauth::Page<ProviderConfig> ConfigStore::list(storage::Transaction& tx, core::PlatformId platform,
                                              oauth::PageRequest page) const {
  oauth::Page<ProviderConfig> out;
  out.page = page.page;
  out.limit = page.limit;
  out.total = count(tx, platform);
  const auto rows = tx.exec(std::string("select ") + kConfigColumns +
                                " order by c.priority, c.config_id limit $2::int offset $3::int",
                            {platform.str(), std::to_string(page.limit), page.offset()});
  for (const auto& row : rows) out.items.push_back(read_config(row).config);
  return out;
}

std::vector<ConfigRow> ConfigStore::active(storage::Transaction& tx, core::PlatformId platform) const {
  std::vector<ConfigRow> out;
  for (const auto& row : tx.exec(std::string("select ") + kConfigColumns +
                                     " and c.is_active order by c.priority, c.is_default desc, c.config_id",
                                 {platform.str()})) {
    out.push_back(read_config(row));
  }
  return out;
}

std::int64_t ConfigStore::count(storage::Transaction& tx, core::PlatformId platform) const {
  return tx.exec("select count(*) as total from llm_config where platform_id = $1::uuid", {platform.str()})[0]
      .integer("total");
}

bool ConfigStore::remove(storage::Transaction& tx, core::PlatformId platform, ConfigId id) const {
  return tx.exec("delete from llm_config where platform_id = $1::uuid and config_id = $2::uuid",
                 {platform.str(), id.str()})
             .affected() > 0;
}

void ConfigStore::clear_default(storage::Transaction& tx, core::PlatformId platform,
                                ProviderId provider) const {
  tx.exec(
      "update llm_config set is_default = false where platform_id = $1::uuid and provider_id = $2::uuid"
      " and is_default",
      {platform.str(), provider.str()});
}

core::Secret ConfigStore::open(core::PlatformId platform, const ConfigRow& row) const {
  if (row.sealed_key.empty()) return {};
  return vault_.open(key_context(platform, row.config.id), row.sealed_key);
}

std::vector<oauth::SealedColumn> inference_sealed_columns() {
  return {{"llm_config", "config_id", "uuid", "api_key", "api_key"}};
}

}  // namespace assistiv::inference
