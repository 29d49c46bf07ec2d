#include "inference/dialect.h"

#include <nlohmann/json.hpp>

#include "inference/openai_responses/items.h"
#include "inference/openai_responses/response_object.h"
#include "inference/openai_responses/stream_encoder.h"
#include "inference/translate/content.h"
#include "inference/translate/faults.h"
#include "inference/translate/fields.h"

namespace assistiv::inference {

namespace responses {

namespace {

core::Json echo_for(const ReplyContext& context) {
  return context.request_body ? response_echo(*context.request_body) : core::Json();
}

class OpenAiResponses final : public Dialect {
 public:
  DialectId id() const override { return DialectId::OpenAiResponses; }
  Request decode_request(const core::Json& body) const override { return responses::decode_request(body); }
  EncodedRequest encode_request(const Request& request, const EncodeOptions& options) const override {
    return responses::encode_request(request, options);
  }
  Reply decode_reply(const core::Json& body) const override { return responses::decode_reply(body); }
  core::Json encode_reply(const Reply& reply, const ReplyContext& context) const override {
    ResponseObject object(context, echo_for(context));
    object.append_turn(reply);
    return object.finished();
  }
  core::Usage decode_usage(const core::Json& body) const override {
    const core::Json* response = member_of(body, "response");
    const core::Json* usage = member_of(response == nullptr ? body : *response, "usage");
    return usage == nullptr ? core::Usage() : read_openai_usage(*usage);
  }
  std::unique_ptr<StreamDecoder> stream_decoder() const override { return responses::stream_decoder(); }
  std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) const override {
    auto echo = echo_for(context);
    return std::make_unique<ResponsesStreamEncoder>(std::move(context), std::move(echo));
  }
  Fault decode_fault(int status, std::string_view body) const override { return read_fault(status, body); }
  EncodedFault encode_fault(const Fault& fault) const override {
    return {openai_fault(fault.kind).status, openai_fault_body(fault)};
  }
};

}  // namespace

}  // namespace responses

const Dialect& openai_responses_dialect() {
  static const responses::OpenAiResponses kDialect;
  return kDialect;
}

}  // namespace assistiv::inference
