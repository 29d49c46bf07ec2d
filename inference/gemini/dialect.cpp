#include "inference/dialect.h"

#include <nlohmann/json.hpp>

#include "inference/gemini/parts.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace gemini {

namespace {

struct Shape {
  int code;
  std::string_view status;
};

// Reference 5.10 in Google's words. The provider's refusal of our key is never a 401.
Shape shape_of(Fault::Kind kind) {
  switch (kind) {
    case Fault::Kind::InvalidRequest:
      return {400, "INVALID_ARGUMENT"};
    case Fault::Kind::ModelNotFound:
      return {404, "NOT_FOUND"};
    case Fault::Kind::TooLarge:
      return {413, "INVALID_ARGUMENT"};
    case Fault::Kind::RateLimited:
      return {429, "RESOURCE_EXHAUSTED"};
    case Fault::Kind::ProviderQuota:
    case Fault::Kind::Overloaded:
      return {503, "UNAVAILABLE"};
    case Fault::Kind::ProviderAuth:
    case Fault::Kind::Upstream:
    case Fault::Kind::Transient:
    case Fault::Kind::Truncated:
      return {502, "UNAVAILABLE"};
    case Fault::Kind::Timeout:
      return {504, "DEADLINE_EXCEEDED"};
    case Fault::Kind::Internal:
      return {500, "INTERNAL"};
  }
  return {500, "INTERNAL"};
}

class Gemini final : public Dialect {
 public:
  DialectId id() const override { return DialectId::Gemini; }
  Request decode_request(const core::Json& body) const override { return gemini::decode_request(body); }
  EncodedRequest encode_request(const Request& request, const EncodeOptions& options) const override {
    return gemini::encode_request(request, options);
  }
  Reply decode_reply(const core::Json& body) const override { return gemini::decode_reply(body); }
  core::Json encode_reply(const Reply& reply, const ReplyContext& context) const override {
    return gemini::encode_reply(reply, context);
  }
  core::Usage decode_usage(const core::Json& body) const override {
    const core::Json* usage = member_of(body, "usageMetadata");
    return usage == nullptr ? core::Usage() : read_usage(*usage);
  }
  std::unique_ptr<StreamDecoder> stream_decoder() const override { return gemini::stream_decoder(); }
  std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) const override {
    return gemini::stream_encoder(std::move(context), false);
  }
  Fault decode_fault(int status, std::string_view body) const override { return read_fault(status, body); }
  EncodedFault encode_fault(const Fault& fault) const override { return gemini::encode_fault(fault); }
};

}  // namespace

Dialect::EncodedFault encode_fault(const Fault& fault) {
  const auto shape = shape_of(fault.kind);
  return {shape.code,
          {{"error", {{"code", shape.code}, {"message", fault.message}, {"status", shape.status}}}}};
}

}  // namespace gemini

const Dialect& gemini_dialect() {
  static const gemini::Gemini kDialect;
  return kDialect;
}

}  // namespace assistiv::inference
