#pragma once
// Reads price catalogues of others into rows of ours. Pure; nothing is stored here.
//
// What is not carried is said per row: units that no call of ours reports (seconds, characters, pages,
// searches), and match rules that are neither a name nor a beginning of one (their literal beginning is
// taken).
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "billing/price.h"
#include "billing/price_text.h"
#include "core/json.h"

namespace assistiv::billing {

struct ImportFault {
  std::string row;  // the catalogue's own name of it: "openai/gpt-4o"
  std::string message;
};

struct ImportedPrices {
  std::vector<NewPrice> prices;
  std::vector<ImportFault> faults;  // the first 100
  std::size_t faults_total = 0;
  void fault(std::string row, std::string message);
};

enum class CatalogueFormat { LiteLlm, GenaiPrices, ModelsDev };
// "litellm", "genai-prices", "models.dev": also the source of the rows.
std::string_view to_string(CatalogueFormat format);
std::optional<CatalogueFormat> parse_catalogue_format(std::string_view text);

// `catalogue` as parse_catalogue (price_text.h) made it. Throws Error{InvalidArgument} when the whole has not
// the shape of the format, or more than 20,000 rows.
ImportedPrices import_prices(CatalogueFormat format, const core::Json& catalogue);

// The slug we know a provider by: "x-ai" is "xai", "gemini" is "google".
std::string provider_slug(std::string_view theirs);

}  // namespace assistiv::billing
