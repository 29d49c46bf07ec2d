#include "inference/providers/catalogue_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "inference/providers/row_values.h"

namespace assistiv::inference {

namespace {

constexpr char kProviderColumns[] =
    "provider_id, slug, title, dialect, flavor, base_url, local, open_models, stream_options, is_active, "
    "source,"
    " assistiv_ms(created_at) as created_at, assistiv_ms(updated_at) as updated_at";
constexpr char kModelColumns[] =
    "model_id, provider_id, slug, provider_model, context_tokens, max_output_tokens,"
    " capabilities::text as capabilities, aliases::text as aliases, fallbacks::text as fallbacks, priority,"
    " is_active, source, assistiv_ms(created_at) as created_at, assistiv_ms(updated_at) as updated_at";

Source source_of(const std::string& text) {
  return text == "builtin" ? Source::Builtin : Source::Operator;
}

CatalogProvider read_provider(const storage::Row& row) {
  CatalogProvider out;
  out.id = row.id<ProviderId>("provider_id");
  out.slug = row.text("slug");
  out.title = row.text("title");
  out.dialect = dialect_of(row.text("dialect")).value();
  out.flavor = row.text("flavor");
  out.base_url = row.optional_text("base_url");
  out.local = row.boolean("local");
  out.open_models = row.boolean("open_models");
  out.stream_options = row.boolean("stream_options");
  out.is_active = row.boolean("is_active");
  out.source = source_of(row.text("source"));
  out.created_at = row.time("created_at");
  out.updated_at = row.time("updated_at");
  return out;
}

std::optional<std::int64_t> nullable_integer(const storage::Row& row, std::string_view column) {
  return row.is_null(column) ? std::nullopt : std::optional(row.integer(column));
}

CatalogModel read_model(const storage::Row& row) {
  CatalogModel out;
  out.id = row.id<ModelId>("model_id");
  out.provider_id = row.id<ProviderId>("provider_id");
  out.slug = row.text("slug");
  out.provider_model = row.text("provider_model");
  out.context_tokens = nullable_integer(row, "context_tokens");
  out.max_output_tokens = nullable_integer(row, "max_output_tokens");
  out.capabilities = capabilities_of(core::Json::parse(row.text("capabilities")));
  out.aliases = strings_of(row.text("aliases"));
  out.fallbacks = strings_of(row.text("fallbacks"));
  out.priority = static_cast<int>(row.integer("priority"));
  out.is_active = row.boolean("is_active");
  out.source = source_of(row.text("source"));
  out.created_at = row.time("created_at");
  out.updated_at = row.time("updated_at");
  return out;
}

std::vector<storage::Param> params_of(const CatalogProvider& p) {
  return {p.id.str(),
          p.slug,
          p.title,
          std::string(to_string(p.dialect)),
          p.flavor,
          p.base_url,
          bool_param(p.local),
          bool_param(p.open_models),
          bool_param(p.stream_options),
          bool_param(p.is_active),
          std::string(to_string(p.source)),
          ms_param(p.created_at),
          ms_param(p.updated_at)};
}

std::vector<storage::Param> params_of(const CatalogModel& m) {
  return {m.id.str(),
          m.provider_id.str(),
          m.slug,
          m.provider_model,
          integer_param(m.context_tokens),
          integer_param(m.max_output_tokens),
          core::dump_json(to_json(m.capabilities)),
          text_of(m.aliases),
          text_of(m.fallbacks),
          std::to_string(m.priority),
          bool_param(m.is_active),
          std::string(to_string(m.source)),
          ms_param(m.created_at),
          ms_param(m.updated_at)};
}

bool same(const CatalogProvider& a, const CatalogProvider& b) {
  return a.title == b.title && a.dialect == b.dialect && a.flavor == b.flavor && a.base_url == b.base_url &&
         a.local == b.local && a.open_models == b.open_models && a.stream_options == b.stream_options;
}

bool same(const CatalogModel& a, const CatalogModel& b) {
  return a.provider_model == b.provider_model && a.context_tokens == b.context_tokens &&
         a.max_output_tokens == b.max_output_tokens && to_json(a.capabilities) == to_json(b.capabilities) &&
         a.aliases == b.aliases && a.fallbacks == b.fallbacks && a.priority == b.priority;
}

}  // namespace

std::vector<CatalogProvider> CatalogueStore::providers(storage::Transaction& tx) const {
  std::vector<CatalogProvider> out;
  for (const auto& row :
       tx.exec(std::string("select ") + kProviderColumns + " from llm_provider order by slug")) {
    out.push_back(read_provider(row));
  }
  return out;
}

std::vector<CatalogModel> CatalogueStore::models(storage::Transaction& tx) const {
  std::vector<CatalogModel> out;
  for (const auto& row : tx.exec(std::string("select ") + kModelColumns +
                                 " from llm_model order by slug, priority, model_id")) {
    out.push_back(read_model(row));
  }
  return out;
}

std::optional<CatalogProvider> CatalogueStore::provider(storage::Transaction& tx, ProviderId id) const {
  const auto rows =
      tx.exec(std::string("select ") + kProviderColumns + " from llm_provider where provider_id = $1::uuid",
              {id.str()});
  return rows.empty() ? std::nullopt : std::optional(read_provider(rows[0]));
}

std::optional<CatalogProvider> CatalogueStore::provider_by_slug(storage::Transaction& tx,
                                                                const std::string& slug) const {
  const auto rows =
      tx.exec(std::string("select ") + kProviderColumns + " from llm_provider where slug = $1", {slug});
  return rows.empty() ? std::nullopt : std::optional(read_provider(rows[0]));
}

std::optional<CatalogModel> CatalogueStore::model(storage::Transaction& tx, ModelId id) const {
  const auto rows = tx.exec(
      std::string("select ") + kModelColumns + " from llm_model where model_id = $1::uuid", {id.str()});
  return rows.empty() ? std::nullopt : std::optional(read_model(rows[0]));
}

void CatalogueStore::insert(storage::Transaction& tx, const CatalogProvider& provider) const {
  const auto made = tx.exec(
      "insert into llm_provider (provider_id, slug, title, dialect, flavor, base_url, local, open_models,"
      " stream_options, is_active, source, created_at, updated_at) values ($1::uuid, $2, $3, $4, $5, $6,"
      " $7::boolean, $8::boolean, $9::boolean, $10::boolean, $11, assistiv_time($12::bigint),"
      " assistiv_time($13::bigint)) on conflict (slug) do nothing",
      params_of(provider));
  if (made.affected() == 0) throw core::conflict("There is a provider \"" + provider.slug + "\" already.");
}

void CatalogueStore::insert(storage::Transaction& tx, const CatalogModel& model) const {
  const auto made = tx.exec(
      "insert into llm_model (model_id, provider_id, slug, provider_model, context_tokens, max_output_tokens,"
      " capabilities, aliases, fallbacks, priority, is_active, source, created_at, updated_at) values"
      " ($1::uuid, $2::uuid, $3, $4, $5::bigint, $6::bigint, $7::jsonb, $8::jsonb, $9::jsonb, $10::integer,"
      " $11::boolean, $12, assistiv_time($13::bigint), assistiv_time($14::bigint))"
      " on conflict (slug, provider_id) do nothing",
      params_of(model));
  if (made.affected() == 0) {
    throw core::conflict("This provider has a model \"" + model.slug + "\" already.");
  }
}

void CatalogueStore::update(storage::Transaction& tx, const CatalogProvider& provider) const {
  auto params = params_of(provider);
  params.erase(params.begin() + 11);  // created_at stays
  params.erase(params.begin() + 1);   // and the slug
  tx.exec(
      "update llm_provider set title = $2, dialect = $3, flavor = $4, base_url = $5, local = $6::boolean,"
      " open_models = $7::boolean, stream_options = $8::boolean, is_active = $9::boolean, source = $10,"
      " updated_at = assistiv_time($11::bigint) where provider_id = $1::uuid",
      std::move(params));
}

void CatalogueStore::update(storage::Transaction& tx, const CatalogModel& model) const {
  auto params = params_of(model);
  params.erase(params.begin() + 12);                     // created_at,
  params.erase(params.begin() + 1, params.begin() + 3);  // provider and slug stay
  tx.exec(
      "update llm_model set provider_model = $2, context_tokens = $3::bigint, max_output_tokens = $4::bigint,"
      " capabilities = $5::jsonb, aliases = $6::jsonb, fallbacks = $7::jsonb, priority = $8::integer,"
      " is_active = $9::boolean, source = $10, updated_at = assistiv_time($11::bigint)"
      " where model_id = $1::uuid",
      std::move(params));
}

bool CatalogueStore::remove(storage::Transaction& tx, ProviderId id) const {
  // The wall between tenants stands in the way of a tenant's transaction: this runs in the system's scope.
  const auto used =
      tx.exec("select count(*) as n from llm_config where provider_id = $1::uuid", {id.str()})[0].integer(
          "n");
  if (used > 0) {
    throw core::conflict("Platforms have configurations of this provider. Set is_active to false instead.");
  }
  return tx.exec("delete from llm_provider where provider_id = $1::uuid", {id.str()}).affected() > 0;
}

bool CatalogueStore::remove(storage::Transaction& tx, ModelId id) const {
  return tx.exec("delete from llm_model where model_id = $1::uuid", {id.str()}).affected() > 0;
}

bool CatalogueStore::seed(storage::Transaction& tx, const std::vector<CatalogProvider>& wanted_providers,
                          const std::vector<CatalogModel>& wanted_models) const {
  tx.exec("lock table llm_provider in share row exclusive mode");
  bool changed = false;
  std::vector<std::pair<ProviderId, ProviderId>> ids;  // of the caller -> of the table
  for (auto provider : wanted_providers) {
    const auto present = provider_by_slug(tx, provider.slug);
    ids.emplace_back(provider.id, present ? present->id : provider.id);
    if (present && (present->source == Source::Operator || same(*present, provider))) continue;
    changed = true;
    if (!present) {
      insert(tx, provider);
      continue;
    }
    provider.id = present->id;
    provider.is_active = present->is_active;
    update(tx, provider);
  }
  std::vector<ModelId> kept;
  const auto stored = models(tx);
  for (auto model : wanted_models) {
    const auto id = std::find_if(ids.begin(), ids.end(),
                                 [&](const auto& pair) { return pair.first == model.provider_id; });
    if (id == ids.end()) throw core::internal("a model of the catalogue names no provider: " + model.slug);
    model.provider_id = id->second;
    const auto present = std::find_if(stored.begin(), stored.end(), [&](const CatalogModel& other) {
      return other.slug == model.slug && other.provider_id == model.provider_id;
    });
    if (present != stored.end()) kept.push_back(present->id);
    if (present != stored.end() && (present->source == Source::Operator || same(*present, model))) continue;
    changed = true;
    if (present == stored.end()) {
      insert(tx, model);
      continue;
    }
    model.id = present->id;
    model.is_active = present->is_active;
    update(tx, model);
  }
  for (const auto& model : stored) {
    if (model.source == Source::Operator || std::find(kept.begin(), kept.end(), model.id) != kept.end()) {
      continue;
    }
    remove(tx, model.id);
    changed = true;
  }
  return changed;
}

}  // namespace assistiv::inference
