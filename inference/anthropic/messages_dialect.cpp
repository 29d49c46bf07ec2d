#include <nlohmann/json.hpp>

#include "inference/anthropic/messages.h"
#include "inference/translate/faults.h"

namespace assistiv::inference {

namespace anthropic {

Dialect::EncodedFault encode_fault(const Fault& fault) {
  const auto body = [&](const char* type) -> core::Json {
    return {{"type", "error"}, {"error", {{"type", type}, {"message", fault.message}}}};
  };
  switch (fault.kind) {
    case Fault::Kind::InvalidRequest:
      return {400, body("invalid_request_error")};
    case Fault::Kind::ModelNotFound:
      return {404, body("not_found_error")};
    case Fault::Kind::TooLarge:
      return {413, body("request_too_large")};
    case Fault::Kind::RateLimited:
      return {429, body("rate_limit_error")};
    case Fault::Kind::Overloaded:
      return {529, body("overloaded_error")};
    case Fault::Kind::Timeout:
      return {504, body("timeout_error")};
    case Fault::Kind::Internal:
      return {500, body("api_error")};
    case Fault::Kind::ProviderAuth:
    case Fault::Kind::ProviderQuota:
    case Fault::Kind::Upstream:
    case Fault::Kind::Transient:
    case Fault::Kind::Truncated:
      break;
  }
  return {502, body("api_error")};
}

}  // namespace anthropic

namespace {

class AnthropicDialect final : public Dialect {
 public:
  DialectId id() const override { return DialectId::Anthropic; }
  Request decode_request(const core::Json& body) const override { return anthropic::decode_request(body); }
  EncodedRequest encode_request(const Request& request, const EncodeOptions& options) const override {
    return anthropic::encode_request(request, options);
  }
  Reply decode_reply(const core::Json& body) const override { return anthropic::decode_reply(body); }
  core::Json encode_reply(const Reply& reply, const ReplyContext& context) const override {
    return anthropic::encode_reply(reply, context);
  }
  core::Usage decode_usage(const core::Json& body) const override { return anthropic::decode_usage(body); }
  std::unique_ptr<StreamDecoder> stream_decoder() const override { return anthropic::stream_decoder(); }
  std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) const override {
    return anthropic::stream_encoder(std::move(context));
  }
  Fault decode_fault(int status, std::string_view body) const override { return read_fault(status, body); }
  EncodedFault encode_fault(const Fault& fault) const override { return anthropic::encode_fault(fault); }
};

}  // namespace

const Dialect& anthropic_dialect() {
  static const AnthropicDialect instance;
  return instance;
}

}  // namespace assistiv::inference
