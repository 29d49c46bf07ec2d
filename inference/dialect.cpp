#include "inference/dialect.h"

namespace assistiv::inference {

std::string_view to_string(DialectId id) {
  switch (id) {
    case DialectId::OpenAiChat:
      return "openai.chat";
    case DialectId::OpenAiResponses:
      return "openai.responses";
    case DialectId::Anthropic:
      return "anthropic";
    case DialectId::Gemini:
      return "gemini";
  }
  return "";
}

const Dialect& dialect(DialectId id) {
  switch (id) {
    case DialectId::OpenAiChat:
      return openai_chat_dialect();
    case DialectId::OpenAiResponses:
      return openai_responses_dialect();
    case DialectId::Anthropic:
      return anthropic_dialect();
    case DialectId::Gemini:
      return gemini_dialect();
  }
  return openai_chat_dialect();
}

}  // namespace assistiv::inference
