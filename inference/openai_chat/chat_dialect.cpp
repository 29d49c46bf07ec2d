#include <nlohmann/json.hpp>

#include "inference/openai_chat/chat.h"
#include "inference/translate/faults.h"

namespace assistiv::inference {

namespace {

class OpenAiChatDialect final : public Dialect {
 public:
  DialectId id() const override { return DialectId::OpenAiChat; }
  Request decode_request(const core::Json& body) const override { return openai_chat::decode_request(body); }
  EncodedRequest encode_request(const Request& request, const EncodeOptions& options) const override {
    return openai_chat::encode_request(request, options);
  }
  Reply decode_reply(const core::Json& body) const override { return openai_chat::decode_reply(body); }
  core::Json encode_reply(const Reply& reply, const ReplyContext& context) const override {
    return openai_chat::encode_reply(reply, context);
  }
  core::Usage decode_usage(const core::Json& body) const override { return openai_chat::decode_usage(body); }
  std::unique_ptr<StreamDecoder> stream_decoder() const override { return openai_chat::stream_decoder(); }
  std::unique_ptr<StreamEncoder> stream_encoder(ReplyContext context) const override {
    return openai_chat::stream_encoder(std::move(context));
  }
  Fault decode_fault(int status, std::string_view body) const override { return read_fault(status, body); }
  EncodedFault encode_fault(const Fault& fault) const override {
    return {openai_fault(fault.kind).status, openai_fault_body(fault)};
  }
};

}  // namespace

const Dialect& openai_chat_dialect() {
  static const OpenAiChatDialect instance;
  return instance;
}

}  // namespace assistiv::inference
