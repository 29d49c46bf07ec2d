#pragma once
// The catalogue (providers, models) and a platform's configurations, as stored.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/secret.h"
#include "inference/dialect.h"

namespace assistiv::inference {

using ProviderId = core::Id<struct LlmProviderTag>;
using ModelId = core::Id<struct LlmModelTag>;
using ConfigId = core::Id<struct LlmConfigTag>;

// Rows of the program's own are written again at every start; what an operator made or changed is left alone.
enum class Source { Builtin, Operator };

struct CatalogProvider {
  ProviderId id;
  std::string slug;  // "openai"; also names the provider in prices and usage rows
  std::string title;
  DialectId dialect = DialectId::OpenAiChat;
  std::string flavor;                   // TargetModel::flavor
  std::optional<std::string> base_url;  // without a slash at the end; none: each configuration names its own
  bool local = false;                   // on the premises: its address may be private
  bool open_models = false;             // passes any model name through
  bool stream_options = true;           // accepts OpenAI's stream_options
  bool is_active = true;
  Source source = Source::Operator;
  core::Time created_at, updated_at;
};

// What TargetModel wants to know besides names and limits.
struct Capabilities {
  bool reasoning = false;
  bool effort = false;
  bool structured_output = true;
  bool json_schema_fields = true;
  std::string thinking;              // "", "level", "budget", "adaptive"
  std::optional<DialectId> dialect;  // where the model is served in another form than its provider's
};

struct CatalogModel {
  ModelId id;
  ProviderId provider_id;
  std::string slug;
  std::string provider_model;
  std::optional<std::int64_t> context_tokens;
  std::optional<std::int64_t> max_output_tokens;
  Capabilities capabilities;
  std::vector<std::string> aliases;
  std::vector<std::string> fallbacks;  // slugs, in order
  int priority = 0;                    // among the providers of one slug; the lower number goes first
  bool is_active = true;
  Source source = Source::Operator;
  core::Time created_at, updated_at;
};

// A platform's credential at one provider. The key itself stays sealed.
struct ProviderConfig {
  ConfigId id;
  ProviderId provider_id;
  std::string provider;  // slug
  std::optional<std::string> name;
  std::optional<std::string> key_hint;  // the last four characters; none without a key
  std::optional<std::string> base_url;
  bool local = false;
  int priority = 0;
  int weight = 1;
  bool is_default = false;  // goes first among the platform's configurations of this provider
  bool is_active = true;
  std::optional<std::vector<std::string>> models;  // none: every model of the provider
  core::Time created_at, updated_at;
};

// Absent members stay as they are; at creation they take their defaults.
struct ProviderInput {
  std::optional<std::string> slug;  // at creation only
  std::optional<std::string> title;
  std::optional<DialectId> dialect;
  std::optional<std::string> flavor;
  std::optional<std::string> base_url;  // "" takes it away
  std::optional<bool> local, open_models, stream_options, is_active;
};

struct ModelInput {
  std::optional<std::string> slug;        // at creation only
  std::optional<ProviderId> provider_id;  // at creation only
  std::optional<std::string> provider_model;
  std::optional<std::int64_t> context_tokens, max_output_tokens;
  std::optional<Capabilities> capabilities;
  std::optional<std::vector<std::string>> aliases, fallbacks;
  std::optional<std::int64_t> priority;
  std::optional<bool> is_active;
};

struct ProviderConfigInput {
  std::optional<std::string> provider;  // slug, at creation only; or
  std::optional<ProviderId> provider_id;
  std::optional<std::string> name;
  std::optional<core::Secret> api_key;  // an empty one takes the stored one away
  std::optional<std::string> base_url;  // "" takes it away
  std::optional<bool> local;
  std::optional<std::int64_t> priority, weight;
  std::optional<bool> is_default, is_active;
  std::optional<std::vector<std::string>> models;
  bool all_models = false;  // "models": null
};

std::optional<DialectId> dialect_of(std::string_view name);  // the inverse of to_string
std::string_view to_string(Source source);

}  // namespace assistiv::inference
