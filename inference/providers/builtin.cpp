#include "inference/providers/builtin.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "core/embedded.h"
#include "core/json_read.h"
#include "inference/providers/row_values.h"

namespace assistiv::inference {

namespace {

core::Json embedded_file() {
  for (const auto& file : embedded_catalogue()) {
    if (file.path == "builtin.json") return core::parse_json(file.content);
  }
  throw std::logic_error("builtin.json is not part of the binary");
}

CatalogProvider provider_of(const core::Json& json) {
  const core::JsonReader read(json);
  CatalogProvider out;
  out.slug = read.string("slug", 1);
  out.title = read.string("title", 1);
  out.dialect = dialect_of(read.string("dialect")).value();
  out.flavor = read.string("flavor", 1);
  out.base_url = read.optional_string("base_url");
  out.local = read.optional_bool("local").value_or(false);
  out.open_models = read.optional_bool("open_models").value_or(false);
  out.source = Source::Builtin;
  return out;
}

std::optional<std::int64_t> token_limit(const core::JsonReader& read, std::string_view name) {
  return read.optional_integer(name, 1, 1'000'000'000);
}

CatalogModel model_of(const core::Json& json) {
  const core::JsonReader read(json);
  CatalogModel out;
  out.slug = read.string("slug", 1);
  out.provider_model = read.optional_string("provider_model").value_or(out.slug);
  out.context_tokens = token_limit(read, "context_tokens");
  out.max_output_tokens = token_limit(read, "max_output_tokens");
  out.capabilities = capabilities_of(json);
  out.aliases = read.strings("aliases");
  out.source = Source::Builtin;
  return out;
}

}  // namespace

BuiltinCatalogue builtin_catalogue(const core::Clock& clock, core::Random& random) {
  const core::Json file = embedded_file();
  BuiltinCatalogue out;
  for (const auto& entry : file.at("providers")) {
    auto provider = provider_of(entry);
    provider.id = ProviderId::make(clock, random);
    provider.created_at = provider.updated_at = clock.now();
    if (const auto models = entry.find("models"); models != entry.end()) {
      for (const auto& item : *models) {
        auto model = model_of(item);
        model.id = ModelId::make(clock, random);
        model.provider_id = provider.id;
        model.created_at = model.updated_at = provider.created_at;
        out.models.push_back(std::move(model));
      }
    }
    out.providers.push_back(std::move(provider));
  }
  return out;
}

}  // namespace assistiv::inference
