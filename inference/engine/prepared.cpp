#include "inference/engine/prepared.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"
#include "inference/engine/admission.h"
#include "inference/engine/body_edit.h"
#include "inference/engine/meter.h"

namespace assistiv::inference {

namespace {

// What a provider adds of its own: chat templates, the system prompt of tool use.
constexpr std::int64_t kOwnTokens = 512;
constexpr std::int64_t kOwnTokensOfTools = 1024;
// Media: what the dearest model of a provider makes of one image, and what any makes of one whole document,
// recording or film. Neither follows from the bytes: a blank page and a still picture compress to nothing.
constexpr std::int64_t kImageTokens = 49'152;  // gpt-4o-mini: 2,833 and 5,667 for each of at most 8 tiles
constexpr std::int64_t kImageTokensOfAnthropic = 8'192;
constexpr std::int64_t kImageTokensOfGoogle = 16'384;
constexpr std::int64_t kDocumentTokens = 262'144;
constexpr std::int64_t kDefaultMaxTokens = 4096;
constexpr std::string_view kAnthropicVersion = "2023-06-01";

std::int64_t image_tokens(const Target& target) {
  if (target.model.flavor == "anthropic") return kImageTokensOfAnthropic;
  if (target.model.flavor == "google") return kImageTokensOfGoogle;
  return kImageTokens;
}

std::int64_t media_tokens(const MediaPart& media, const Target& target) {
  if (media.kind == MediaPart::Kind::Image) return image_tokens(target);
  const bool here = !media.data.empty() || media.url.starts_with("data:");
  // Sound has more bytes than tokens at any rate that can be heard; they are counted with the body's.
  return here && media.kind == MediaPart::Kind::Audio ? 0 : kDocumentTokens;
}

std::int64_t tokens_besides_bytes(const Request& request, const Target& target) {
  std::int64_t tokens = kOwnTokens + (request.tools.empty() ? 0 : kOwnTokensOfTools);
  for (const auto& message : request.messages) {
    for (const auto& part : message.parts) {
      if (const auto* media = std::get_if<MediaPart>(&part)) tokens += media_tokens(*media, target);
      if (const auto* result = std::get_if<ToolResultPart>(&part))
        for (const auto& inner : result->parts)
          if (const auto* shown = std::get_if<MediaPart>(&inner)) tokens += media_tokens(*shown, target);
    }
  }
  return tokens;
}

// What changes a call's price in a way that no price row says, or adds tokens that nobody here has seen:
// there would be no bound to hold. The value that changes nothing is allowed.
struct UnpricedMember {
  std::string_view path;
  std::array<std::string_view, 4> harmless;
};
constexpr UnpricedMember kUnpricedMembers[] = {
    {"/service_tier", {"auto", "default", "standard", "standard_only"}},
    {"/speed", {"standard"}},
    {"/inference_geo", {"global"}},
    {"/cachedContent", {}},
    {"/cached_content", {}},
    {"/models", {}},  // OpenRouter: another model than the one that was held for
    {"/route", {}},
    {"/web_search_options", {}},
    {"/mcp_servers", {}},
};

// Tools that the provider itself runs: each of its turns is billed by it, and none is seen here before the
// end. Those that the caller runs (bash_*, text_editor_*, custom) are none of them.
constexpr std::string_view kProvidersTools[] = {
    "web_search", "web_fetch",     "code_execution", "code_interpreter",   "file_search", "image_generation",
    "x_search",   "google_search", "googleSearch",   "googleMaps",         "google_maps", "codeExecution",
    "urlContext", "url_context",   "fileSearch",     "enterpriseWebSearch"};

bool is_providers_tool(const Extra& extra) {
  if (!extra.path.starts_with("/tools/")) return false;
  std::string name = extra.path.substr(extra.path.rfind('/') + 1);  // Gemini: /tools/0/googleSearch
  if (extra.value.is_object() && extra.value.contains("type") && extra.value["type"].is_string())
    name = extra.value["type"].get<std::string>();
  return std::ranges::any_of(kProvidersTools, [&](std::string_view one) { return name.starts_with(one); });
}

void refuse_unpriced(const Request& request) {
  for (const auto& extra : request.extras) {
    if (is_providers_tool(extra))
      throw core::bad_request(
          "What a tool that the provider runs itself costs is not known before: use one of yours.",
          extra.path)
          .with_code("unpriced_option");
    for (const auto& member : kUnpricedMembers) {
      if (extra.path != member.path || extra.value.is_null()) continue;
      const auto* word = extra.value.get_ptr<const std::string*>();
      if (word != nullptr && !word->empty() &&
          std::ranges::find(member.harmless, *word) != member.harmless.end())
        continue;
      const auto name = std::string(member.path.substr(1));
      throw core::bad_request(
          "What \"" + name + "\" makes of the price is in no price list here. Leave it out.", name)
          .with_code("unpriced_option");
    }
  }
}

void add_credential(core::HttpHeaders& headers, const Target& target) {
  if (target.api_key.empty()) return;
  switch (target.dialect) {
    case DialectId::Anthropic:
      return headers.set("x-api-key", target.api_key.reveal());
    case DialectId::Gemini:
      return headers.set("x-goog-api-key", target.api_key.reveal());
    case DialectId::OpenAiChat:
    case DialectId::OpenAiResponses:
      return headers.set("authorization", "Bearer " + target.api_key.reveal());
  }
}

void pass_header(core::HttpHeaders& headers, const InferenceCall& call, std::string_view name) {
  if (const auto value = call.headers.get(name)) headers.set(name, std::string(*value));
}

// End users share the platform's account at the provider, which would take one user's key for another's.
std::optional<std::string> idempotency_key(const InferenceCall& call) {
  const auto key = call.headers.get("idempotency-key");
  if (!key) return {};
  const auto& user = call.principal->end_user_id;
  return user ? core::sha256_hex(user->str() + "\n" + std::string(*key)) : std::string(*key);
}

void add_headers(Prepared& out, const InferenceCall& call, const Target& target) {
  out.headers.set("content-type", "application/json");
  if (target.dialect == DialectId::Anthropic && !out.headers.get("anthropic-version"))
    out.headers.set("anthropic-version", std::string(kAnthropicVersion));
  if (call.dialect == target.dialect) {
    pass_header(out.headers, call, "anthropic-version");
    pass_header(out.headers, call, "anthropic-beta");
    pass_header(out.headers, call, "openai-beta");
  }
  if (const auto key = idempotency_key(call)) out.headers.set("idempotency-key", *key);
  for (const auto& [name, value] : target.headers.fields()) out.headers.set(name, value);
  add_credential(out.headers, target);
}

std::string path_of(const Target& target, bool stream) {
  switch (target.dialect) {
    case DialectId::OpenAiChat:
      return "/chat/completions";
    case DialectId::OpenAiResponses:
      return "/responses";
    case DialectId::Anthropic:
      return "/messages";
    case DialectId::Gemini:
      return "/models/" + core::percent_encode(target.model.name) +
             (stream ? ":streamGenerateContent?alt=sse" : ":generateContent");
  }
  return "";
}

std::string quoted(const std::string& text) {
  return core::dump_json(core::Json(text));
}

// Cuts the members that exist, or adds the one that the target reads.
std::string with_output_max(std::string body, const Target& target, std::int64_t max) {
  const std::string number = std::to_string(max);
  switch (target.dialect) {
    case DialectId::Anthropic:
      return with_json_member(body, "max_tokens", number);
    case DialectId::OpenAiResponses:
      return with_json_member(body, "max_output_tokens", number);
    case DialectId::Gemini: {
      const auto name = json_member(body, "generation_config") ? "generation_config" : "generationConfig";
      const std::string config(json_member(body, name).value_or("{}"));
      const auto inner = json_member(config, "max_output_tokens") ? "max_output_tokens" : "maxOutputTokens";
      return with_json_member(body, name, with_json_member(config, inner, number));
    }
    case DialectId::OpenAiChat:
      break;
  }
  const bool older = json_member(body, "max_tokens").has_value();
  const bool newer = json_member(body, "max_completion_tokens").has_value();
  if (older) body = with_json_member(body, "max_tokens", number);
  if (newer || (!older && target.model.flavor == "openai"))
    return with_json_member(body, "max_completion_tokens", number);
  return older ? body : with_json_member(body, "max_tokens", number);
}

std::string with_usage_on_stream(const std::string& body) {
  const auto present = json_member(body, "stream_options");
  const std::string options = present && present->starts_with('{') ? std::string(*present) : "{}";
  return with_json_member(body, "stream_options", with_json_member(options, "include_usage", "true"));
}

bool may_pass_through(const InferenceCall& call, const Target& target) {
  // xAI takes OpenAI's dialect with fields left out, which only the encoder knows.
  return !call.raw.empty() && call.dialect == target.dialect && target.model.flavor != "xai" &&
         plain_member_names(call.raw);
}

void pass_through(Prepared& out, const InferenceCall& call, const Target& target,
                  std::optional<std::int64_t> output_max) {
  out.same_dialect = true;
  out.body = call.raw;
  if (call.dialect != DialectId::Gemini && call.request.model != target.model.name)
    out.body = with_json_member(out.body, "model", quoted(target.model.name));
  if (output_max) out.body = with_output_max(std::move(out.body), target, *output_max);
  if (call.dialect == DialectId::OpenAiChat && call.request.stream && !call.request.include_usage &&
      target.accepts_stream_options) {
    out.body = with_usage_on_stream(out.body);
    out.strip_usage = true;
  }
  out.url = target.base_url + path_of(target, call.request.stream);
}

Unsupported unsupported_for(const InferenceCall& call, const InferenceSettings& settings) {
  const auto wish = call.headers.get("x-aig-unsupported");
  if (!wish) return settings.unsupported;
  if (*wish == "strict") return Unsupported::Strict;
  if (*wish == "drop") return Unsupported::Drop;
  throw core::bad_request("The header x-aig-unsupported is \"strict\" or \"drop\".", "x-aig-unsupported");
}

void encode(Prepared& out, const InferenceCall& call, const Target& target, const InferenceSettings& settings,
            std::optional<std::int64_t> output_max, SignatureMemory* signatures) {
  Request request = call.request;
  if (signatures != nullptr && target.dialect == DialectId::Gemini && call.dialect != DialectId::Gemini)
    signatures->recall(signature_owner(call), request, std::chrono::steady_clock::now());
  request.model = target.model.name;
  if (output_max) request.max_output_tokens = output_max;
  EncodeOptions options;
  options.target = target.model;
  options.unsupported = unsupported_for(call, settings);
  options.keep_system_in_place = settings.keep_system_in_place;
  options.default_max_tokens = kDefaultMaxTokens;
  if (const auto beta = call.headers.get("anthropic-beta"); beta && call.dialect == DialectId::Anthropic)
    options.anthropic_beta = std::string(*beta);
  auto encoded = dialect(target.dialect).encode_request(request, options);
  if (target.dialect == DialectId::OpenAiChat) {
    if (request.stream && target.accepts_stream_options) {
      encoded.body["stream_options"]["include_usage"] = true;
    } else {
      encoded.body.erase("stream_options");
    }
  }
  // The encoder may have set a limit of its own; the hold is made on what is sent.
  if (target.dialect == DialectId::Anthropic && encoded.body.contains("max_tokens") &&
      encoded.body["max_tokens"].is_number_integer())
    out.output_bound = std::max(out.output_bound, encoded.body["max_tokens"].get<std::int64_t>());
  out.url = target.base_url + encoded.path;
  out.headers = std::move(encoded.headers);
  out.body = core::dump_json(encoded.body);
  out.dropped = std::move(encoded.dropped);
}

// The limit to put into the request, when it must carry another one than the caller wrote.
std::optional<std::int64_t> limit_to_send(const InferenceCall& call, const Target& target,
                                          const PrepareOptions& options) {
  const auto& asked = call.request.max_output_tokens;
  if (options.output_max) return std::min(asked.value_or(*options.output_max), *options.output_max);
  if (asked) return {};
  if (target.dialect == DialectId::Anthropic)
    return target.model.max_output_tokens.value_or(kDefaultMaxTokens);
  // The model's own limit bounds the output as well as one in the request would.
  if (target.model.max_output_tokens || !options.billed) return {};
  return kDefaultMaxTokens;
}

}  // namespace

Prepared prepare(const InferenceCall& call, const Target& target, const InferenceSettings& settings,
                 PrepareOptions options) {
  Prepared out;
  if (options.billed && call.dialect == target.dialect) refuse_unpriced(call.request);
  const auto limit = limit_to_send(call, target, options);
  const std::int64_t output = limit ? *limit
                                    : call.request.max_output_tokens.value_or(
                                          target.model.max_output_tokens.value_or(kDefaultMaxTokens));
  out.output_bound = std::max<std::int64_t>(output, 0);
  if (may_pass_through(call, target)) {
    pass_through(out, call, target, limit);
  } else {
    encode(out, call, target, settings, limit, options.signatures);
  }
  const std::int64_t choices = std::clamp<std::int64_t>(call.request.n.value_or(1), 1, 1024);
  out.output_bound = std::min(out.output_bound, std::numeric_limits<std::int64_t>::max() / 4096) * choices;
  add_headers(out, call, target);
  const std::int64_t besides = tokens_besides_bytes(call.request, target);
  out.input_bound = static_cast<std::int64_t>(out.body.size()) + besides;
  out.input_estimate = estimated_tokens(out.body.size());
  return out;
}

Prepared prepare_forward(const InferenceCall& call, const Target& target, const std::string& path) {
  Prepared out;
  out.same_dialect = true;
  out.body = call.raw;
  if (call.dialect != DialectId::Gemini && call.request.model != target.model.name)
    out.body = with_json_member(out.body, "model", quoted(target.model.name));
  std::string wanted = path;
  constexpr std::string_view kModel = "{model}";
  if (const auto at = wanted.find(kModel); at != std::string::npos)
    wanted.replace(at, kModel.size(), core::percent_encode(target.model.name));
  out.url = target.base_url + wanted;
  add_headers(out, call, target);
  out.input_bound = static_cast<std::int64_t>(out.body.size()) + kOwnTokens;
  out.input_estimate = estimated_tokens(out.body.size());
  return out;
}

std::string signature_owner(const InferenceCall& call) {
  const auto payer = payer_of(*call.principal);
  return payer.platform_id.str() + "/" + (payer.end_user_id ? payer.end_user_id->str() : std::string());
}

billing::PricePtr price_for(const Target& target, const InferenceSettings& settings) {
  if (target.price) return target.price;
  if (settings.unknown_price) return settings.unknown_price;
  if (target.local) return nullptr;
  throw core::Error(core::ErrorKind::Unprocessable,
                    "Nobody has said what the model \"" + target.model.name + "\" of " + target.provider +
                        " costs. Set a price for it, or a ceiling for unknown prices on the platform.")
      .with_code("unknown_price");
}

}  // namespace assistiv::inference
