// What becomes of every field between every two dialects, found by trying it: docs/dialect-matrix.md is
// written by these tests from tests/golden/inference/matrix/. A field whose loss nobody is told of fails.
#include <cstdlib>
#include <map>
#include <set>

#include "inference/translate/citations.h"
#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace matrix {

const std::string kDocument = std::string(ASSISTIV_SOURCE_DIR) + "/docs/dialect-matrix.md";

struct Client {
  DialectId id;
  const char* file;
  const char* title;
};
constexpr std::array kClients = {
    Client{DialectId::OpenAiChat, "openai_chat", "OpenAI chat completions"},
    Client{DialectId::OpenAiResponses, "openai_responses", "OpenAI Responses"},
    Client{DialectId::Anthropic, "anthropic", "Anthropic Messages"},
    Client{DialectId::Gemini, "gemini", "Gemini generateContent"},
};

struct Provider {
  DialectId id;
  const char* flavor;
  const char* model;
  const char* title;
};
constexpr std::array kProviders = {
    Provider{DialectId::OpenAiChat, "openai", "gpt", "OpenAI chat"},
    Provider{DialectId::OpenAiChat, "xai", "grok", "xAI"},
    Provider{DialectId::OpenAiChat, "compatible", "local", "compatible"},
    Provider{DialectId::OpenAiResponses, "openai", "gpt", "Responses"},
    Provider{DialectId::Anthropic, "anthropic", "claude", "Anthropic"},
    Provider{DialectId::Gemini, "google", "gemini-3-flash", "Gemini"},
};

Json table_of(const Client& client, const char* kind) {
  return Json::parse(golden(std::string("matrix/") + client.file + "." + kind + ".json"));
}

// The base with the feature, or with what the feature is measured against.
Json body_of(const Json& table, const Json& feature, bool with) {
  Json body = table["base"];
  if (with) {
    body.merge_patch(feature["body"]);
  } else if (feature.contains("without")) {
    body.merge_patch(feature["without"]);
  }
  return body;
}

// ---- requests ----

// A model that thinks where the feature is about that, else one that takes sampling.
EncodeOptions options_for_feature(const Provider& provider, const Json& feature, Unsupported mode) {
  auto options = options_for(provider.flavor, mode);
  options.target.name = provider.model;
  const bool thinks = feature["group"] == "reasoning";
  options.target.reasoning = thinks;
  options.target.effort = thinks;
  options.target.efforts = {"low", "medium", "high"};
  if (thinks && provider.id == DialectId::Anthropic) options.target.thinking = "adaptive";
  return options;
}

Request decoded(const Client& client, Json body) {
  const bool streamed = client.id == DialectId::Gemini && body.value("stream", false);
  if (client.id == DialectId::Gemini) body.erase("stream");  // stands in the path there
  auto request = dialect(client.id).decode_request(body);
  request.stream = request.stream || streamed;
  return request;
}

struct Outcome {
  std::string word;
  std::set<std::string> names;  // listed
};

struct Tried {
  EncodedRequest request;
  std::optional<core::Error> refusal;
};

Tried try_encode(const Client& client, const Provider& provider, const Json& body, const Json& feature,
                 Unsupported mode) {
  Tried out;
  try {
    out.request = dialect(provider.id)
                      .encode_request(decoded(client, body), options_for_feature(provider, feature, mode));
  } catch (const core::Error& error) {
    out.refusal = error;
  }
  return out;
}

// Strict refuses what drop lists, naming a member that is there.
void expect_strict_names(const Tried& strict, const Json& body, const std::set<std::string>& names,
                         const std::string& where) {
  ASSERT_TRUE(strict.refusal) << where;
  EXPECT_EQ(strict.refusal->kind(), core::ErrorKind::InvalidArgument) << where;
  const auto& field = strict.refusal->field();
  EXPECT_TRUE(body.contains(Json::json_pointer(field))) << where << " names " << field;
  EXPECT_FALSE(names.empty()) << where;
}

Outcome request_outcome(const Client& client, const Provider& provider, const Json& table,
                        const Json& feature) {
  const auto where = std::string(client.file) + " over " + provider.title + ": " + feature["name"].dump();
  const auto body = body_of(table, feature, true);
  const auto with = try_encode(client, provider, body, feature, Unsupported::Drop);
  const auto without =
      try_encode(client, provider, body_of(table, feature, false), feature, Unsupported::Drop);
  EXPECT_FALSE(without.refusal) << where;
  const auto strict = try_encode(client, provider, body, feature, Unsupported::Strict);
  Outcome out;
  if (with.refusal) {
    EXPECT_EQ(with.refusal->kind(), core::ErrorKind::InvalidArgument) << where;
    EXPECT_TRUE(strict.refusal) << where;
    out.word = "refused";
    return out;
  }
  out.names.insert(with.request.dropped.begin(), with.request.dropped.end());
  for (const auto& name : without.request.dropped) out.names.erase(name);
  const bool changed = with.request.body != without.request.body || with.request.path != without.request.path;
  if (out.names.empty() && !changed && feature.value("gateway", false)) {
    out.word = "done here";
  } else if (out.names.empty()) {
    EXPECT_TRUE(changed) << where << " is lost without a word";
    out.word = "carried";
  } else if (!strict.refusal) {
    out.word = changed ? "carried" : "left out";
  } else {
    expect_strict_names(strict, body, out.names, where);
    out.word = changed ? "in part" : "dropped";
  }
  return out;
}

void write_request_row(std::ostream& out, const Client& client, const Json& table, const Json& feature) {
  out << "| " << feature["name"].get<std::string>() << " |";
  std::set<std::string> names;
  for (const auto& provider : kProviders) {
    const bool untouched = provider.id == client.id && std::string_view(provider.flavor) != "xai";
    auto outcome = request_outcome(client, provider, table, feature);
    out << " " << (untouched ? "=" : outcome.word) << " |";
    if (!untouched) names.merge(outcome.names);
  }
  const char* separator = " ";
  for (const auto& name : names) {
    out << separator << "`" << name << "`";
    separator = ", ";
  }
  out << " |\n";
}

void write_requests(std::ostream& out) {
  for (const auto& client : kClients) {
    const auto table = table_of(client, "request");
    std::string group;
    out << "\n### " << client.title << "\n";
    for (const auto& feature : table["features"]) {
      if (feature["group"] != group) {
        group = feature["group"].get<std::string>();
        out << "\n| " << group << " |";
        for (const auto& provider : kProviders) out << " " << provider.title << " |";
        out << " listed as |\n|---|---|---|---|---|---|---|---|\n";
      }
      write_request_row(out, client, table, feature);
    }
  }
}

// ---- replies ----

ReplyContext context() {
  auto out = context_for_test();
  out.id = "id-1";
  return out;
}

std::string reply_outcome(const Client& client, const Client& provider, const Json& table,
                          const Json& feature) {
  const auto& from = dialect(provider.id);
  const auto& to = dialect(client.id);
  const auto with = from.decode_reply(body_of(table, feature, true));
  const auto without = from.decode_reply(body_of(table, feature, false));
  const bool changed = to.encode_reply(with, context()) != to.encode_reply(without, context());
  const bool listed = left_out_for(client.id, with) != left_out_for(client.id, without);
  EXPECT_TRUE(changed || listed) << provider.file << " to " << client.file << ": " << feature["name"]
                                 << " is lost without a word";
  if (!changed) return "left out";
  return listed ? "in part" : "carried";
}

// The frames that a provider's stream of this reply has.
std::string chat_frames(const Json& reply) {
  std::string out;
  for (const auto& choice : reply["choices"]) {
    Json delta = choice["message"];
    if (delta.contains("tool_calls"))
      for (std::size_t i = 0; i < delta["tool_calls"].size(); ++i) delta["tool_calls"][i]["index"] = i;
    Json chunk = {{"id", "c"}, {"choices", Json::array({{{"index", choice["index"]}, {"delta", delta}}})}};
    out += "data: " + chunk.dump() + "\n\n";
    chunk["choices"][0]["delta"] = Json::object();
    chunk["choices"][0]["finish_reason"] = choice["finish_reason"];
    out += "data: " + chunk.dump() + "\n\n";
  }
  return out + "data: [DONE]\n\n";
}

std::string event_frame(const Json& event) {
  return "event: " + event["type"].get<std::string>() + "\ndata: " + event.dump() + "\n\n";
}

std::string text_frames(const Json& part, Json where) {
  const bool refusal = part["type"] == "refusal";
  std::string out;
  where["type"] = refusal ? "response.refusal.delta" : "response.output_text.delta";
  where["delta"] = part[refusal ? "refusal" : "text"];
  out += event_frame(where);
  where.erase("delta");
  for (const auto& annotation : part.value("annotations", Json::array())) {
    where["type"] = "response.output_text.annotation.added";
    where["annotation"] = annotation;
    out += event_frame(where);
  }
  where["type"] = refusal ? "response.refusal.done" : "response.output_text.done";
  return out + event_frame(where);
}

std::string responses_frames(const Json& reply) {
  std::string out;
  for (std::size_t i = 0; i < reply["output"].size(); ++i) {
    const auto& item = reply["output"][i];
    out += event_frame({{"type", "response.output_item.added"}, {"output_index", i}, {"item", item}});
    if (item["type"] == "message")
      for (std::size_t k = 0; k < item["content"].size(); ++k)
        out += text_frames(item["content"][k], {{"output_index", i}, {"content_index", k}});
    out += event_frame({{"type", "response.output_item.done"}, {"output_index", i}, {"item", item}});
  }
  return out + event_frame({{"type", "response." + reply["status"].get<std::string>()}, {"response", reply}});
}

std::string block_frames(const Json& block, std::size_t index) {
  Json start = block;
  start.erase("citations");
  if (start.contains("signature")) start["signature"] = "";
  std::string out =
      event_frame({{"type", "content_block_start"}, {"index", index}, {"content_block", start}});
  const auto delta = [&](Json value) {
    out += event_frame({{"type", "content_block_delta"}, {"index", index}, {"delta", std::move(value)}});
  };
  for (const auto& citation : block.value("citations", Json::array()))
    delta({{"type", "citations_delta"}, {"citation", citation}});
  if (block.contains("signature")) delta({{"type", "signature_delta"}, {"signature", block["signature"]}});
  return out + event_frame({{"type", "content_block_stop"}, {"index", index}});
}

std::string anthropic_frames(const Json& reply) {
  std::string out = event_frame({{"type", "message_start"}, {"message", {{"id", "m"}}}});
  for (std::size_t i = 0; i < reply["content"].size(); ++i) out += block_frames(reply["content"][i], i);
  const Json delta = {{"stop_reason", reply["stop_reason"]},
                      {"stop_sequence", reply.value("stop_sequence", Json())}};
  out += event_frame({{"type", "message_delta"}, {"delta", delta}, {"usage", reply["usage"]}});
  return out + event_frame({{"type", "message_stop"}});
}

std::string stream_of(DialectId id, const Json& reply) {
  switch (id) {
    case DialectId::OpenAiChat:
      return chat_frames(reply);
    case DialectId::OpenAiResponses:
      return responses_frames(reply);
    case DialectId::Anthropic:
      return anthropic_frames(reply);
    case DialectId::Gemini:
      return "data: " + reply.dump() + "\n\n";
  }
  return {};
}

// A stream's headers are gone when its parts come: what is left out of it is told here only.
std::string stream_outcome(const Client& client, const Client& provider, const Json& table,
                           const Json& feature) {
  const auto across = [&](bool with) {
    const auto wire = stream_of(provider.id, body_of(table, feature, with));
    const auto events = decode_stream(dialect(provider.id), wire);
    EXPECT_TRUE(gather(events).ended) << provider.file << ": " << feature["name"] << wire;
    return encode_stream(dialect(client.id), events, context());
  };
  return across(true) != across(false) ? "carried" : "left out";
}

void write_replies(std::ostream& out) {
  for (const auto& provider : kClients) {
    const auto table = table_of(provider, "reply");
    out << "\n### From " << provider.title << "\n\n| part |";
    for (const auto& client : kClients) out << " " << client.title << " |";
    out << "\n|---|---|---|---|---|\n";
    for (const auto& feature : table["features"]) {
      out << "| " << feature["name"].get<std::string>() << " |";
      for (const auto& client : kClients) {
        if (client.id == provider.id) {
          out << " = |";
          continue;
        }
        const auto whole = reply_outcome(client, provider, table, feature);
        const auto streamed = stream_outcome(client, provider, table, feature);
        out << " " << whole << (whole == streamed ? "" : "; streamed: " + streamed) << " |";
      }
      out << "\n";
    }
  }
}

std::string stop_word(DialectId client, const Json& reply) {
  switch (client) {
    case DialectId::OpenAiChat:
      return reply["choices"][0]["finish_reason"].get<std::string>();
    case DialectId::OpenAiResponses: {
      const auto& details = reply["incomplete_details"];
      return reply["status"].get<std::string>() +
             (details.is_null() ? "" : ": " + details["reason"].get<std::string>());
    }
    case DialectId::Anthropic:
      return reply["stop_reason"].get<std::string>();
    case DialectId::Gemini:
      return reply["candidates"][0]["finishReason"].get<std::string>();
  }
  return {};
}

void write_stops(std::ostream& out) {
  out << "\n| provider | says |";
  for (const auto& client : kClients) out << " " << client.title << " |";
  out << "\n|---|---|---|---|---|---|\n";
  for (const auto& provider : kClients) {
    const auto table = table_of(provider, "reply");
    for (const auto& stop : table["stops"]) {
      const auto reply = dialect(provider.id).decode_reply(body_of(table, stop, true));
      out << "| " << provider.title << " | " << stop["name"].get<std::string>() << " |";
      for (const auto& client : kClients) {
        out << " "
            << (client.id == provider.id
                    ? "="
                    : stop_word(client.id, dialect(client.id).encode_reply(reply, context())))
            << " |";
      }
      out << "\n";
    }
  }
}

// ---- usage ----

struct UsagePart {
  const char* name;
  std::optional<std::int64_t> core::Usage::*member;
};
constexpr std::array kUsageParts = {
    UsagePart{"input, with all that was cached", &core::Usage::input},
    UsagePart{"output, with reasoning", &core::Usage::output},
    UsagePart{"read from the cache", &core::Usage::cache_read},
    UsagePart{"written to the cache (5 minutes, or unsaid)", &core::Usage::cache_write_5m},
    UsagePart{"written to the cache (1 hour)", &core::Usage::cache_write_1h},
    UsagePart{"reasoning", &core::Usage::reasoning},
    UsagePart{"audio in", &core::Usage::input_audio},
    UsagePart{"images in", &core::Usage::input_image},
    UsagePart{"audio out", &core::Usage::output_audio},
    UsagePart{"images out", &core::Usage::output_image},
};

void write_usage(std::ostream& out) {
  core::Usage all;
  std::int64_t count = 1000;
  for (const auto& part : kUsageParts) all.*part.member = count /= 2;
  std::map<DialectId, core::Usage> read;
  std::map<DialectId, core::Usage> told;
  for (const auto& one : kClients) {
    const auto& subject = dialect(one.id);
    read[one.id] = subject.decode_usage(table_of(one, "reply")["usage"]);
    EXPECT_EQ(core::total_tokens(read[one.id]), 150) << one.file;
    Reply reply;
    reply.choices.emplace_back();
    reply.usage = all;
    told[one.id] = subject.decode_usage(subject.encode_reply(reply, context()));
    EXPECT_EQ(core::total_tokens(told[one.id]), core::total_tokens(all)) << one.file;
  }
  out << "\n| part |";
  for (const auto& one : kClients) out << " " << one.title << " |";
  out << "\n|---|---|---|---|---|\n";
  for (const auto& part : kUsageParts) {
    out << "| " << part.name << " |";
    for (const auto& one : kClients) {
      const bool reads = (read[one.id].*part.member).value_or(0) > 0;
      const bool tells = (told[one.id].*part.member).value_or(0) > 0;
      out << " " << (reads && tells ? "read, told" : reads ? "read" : tells ? "told" : "-") << " |";
    }
    out << "\n";
  }
}

constexpr const char* kIntroduction = R"(# Dialect matrix

Generated by `tests/unit/inference/dialect_matrix_test.cpp`, which sends each line through the encoders and looks
what came out; do not edit. To write it anew:

    ASSISTIV_WRITE_DOCS=1 build/dev/tests/unit_inference --gtest_filter='DialectMatrix.*'

The rows are the client's own words, the columns the provider's dialect. xAI and the compatible servers (Ollama, vLLM,
llama.cpp, ...) speak chat completions with differences, so they have columns of their own.

| word | meaning |
|---|---|
| = | the same dialect: the bytes pass untouched, but for the model's name, the output limit and `stream_options` |
| carried | the provider gets it, in its own form |
| in part | the provider gets the nearest that it takes, and it is listed |
| dropped | listed in `x-aig-dropped`; a platform whose setting is `strict` gets a 400 that names it instead |
| done here | the gateway acts on it itself, the provider need not know |
| left out | of no use to this provider by its nature, e.g. what another one signed: listed, never refused |
| refused | a 400 in either setting, because to leave it out would change what was asked |

The last column is what the header says.

## Requests

A model that thinks in the lines about reasoning, one that does not in the others. `previous_response_id`, `store` and
tools of type `mcp` of Responses are done by the gateway itself and reach no provider. Images by URL are fetched for
Gemini behind the address guard.
)";

constexpr const char* kReplies = R"(
## Replies

What a provider says, as each client is told it. What is left out of a whole reply is listed in `x-aig-dropped` as
`reply.<name>`; the headers of a stream are gone by then, so for streams this table is the only word.
)";

constexpr const char* kStops = R"(
## Stop reasons

A reply of Gemini that ends in MALFORMED_FUNCTION_CALL, UNEXPECTED_TOOL_CALL or OTHER with nothing said is a fault that
another target may answer (502 when none does), and so is no line here.
)";

constexpr const char* kUsage = R"(
## Usage

A part reaches the client when the provider's dialect reads it and the client's tells it; sums are kept always. What is
read is on the usage row whatever the client is told.
)";

std::string document() {
  std::ostringstream out;
  out << kIntroduction;
  write_requests(out);
  out << kReplies;
  write_replies(out);
  out << kStops;
  write_stops(out);
  out << kUsage;
  write_usage(out);
  return out.str();
}

std::string committed() {
  std::ifstream in(kDocument, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

}  // namespace matrix

}  // namespace

TEST(DialectMatrix, the_document_says_what_the_encoders_do) {
  const auto now = matrix::document();
  if (std::getenv("ASSISTIV_WRITE_DOCS") != nullptr)
    std::ofstream(matrix::kDocument, std::ios::binary) << now;
  EXPECT_TRUE(now == matrix::committed())
      << "docs/dialect-matrix.md is out of date. Write it anew: ASSISTIV_WRITE_DOCS=1 "
         "build/dev/tests/unit_inference --gtest_filter='DialectMatrix.*'";
}

}  // namespace assistiv::inference::dialect_test
