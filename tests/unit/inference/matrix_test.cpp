// T24 and T25: 500 conversations by fixed seeds through every pair of dialects in turn, there and back.
#include <random>

#include "support/dialect_fixture.h"

namespace assistiv::inference::dialect_test {

namespace {

constexpr std::array kDialects = {DialectId::OpenAiChat, DialectId::OpenAiResponses, DialectId::Anthropic,
                                  DialectId::Gemini};

class Maker {
 public:
  explicit Maker(unsigned seed) : random_(seed) {}

  int pick(int below) { return static_cast<int>(random_() % static_cast<unsigned>(below)); }

  std::string words() {
    static const char* kPieces[] = {"plain",       "Grüße",       "🌍🌍",   "\"quoted\"",
                                    "back\\slash", "line\nbreak", "tab\tx", "日本語"};
    std::string out = "w";
    for (int i = pick(6); i >= 0; --i) out.append(" ").append(kPieces[pick(8)]);
    return out;
  }

  std::string arguments() {
    if (pick(5) == 0) return "{}";
    Json out = {{"n", pick(1000)}, {"s", words()}};
    if (pick(2) == 0) out["deep"] = {{"list", {1, words(), nullptr, true}}};
    return out.dump();
  }

  Message reply() {
    Message out;
    out.role = Role::Assistant;
    if (pick(4) != 0) out.parts.emplace_back(text());
    const int calls = pick(4);
    for (int i = 0; i < calls; ++i) {
      ToolCallPart call;
      call.id = "call_" + std::to_string(++calls_);
      call.name = pick(2) == 0 ? "look" : "ping";
      call.arguments = arguments();
      out.parts.emplace_back(std::move(call));
    }
    if (out.parts.empty()) out.parts.emplace_back(text());
    return out;
  }

  Request request(DialectId dialect) {
    Request out;
    out.dialect = dialect;
    out.model = "asked-model";
    if (pick(2) == 0) add(out, Role::System, {text()});
    add(out, Role::User, {text()});
    for (const char* name : {"look", "ping"}) {
      ToolDefinition tool;
      tool.name = name;
      tool.parameters = {{"type", "object"}, {"properties", Json::object()}};
      out.tools.push_back(std::move(tool));
    }
    for (int turn = pick(4); turn > 0; --turn) {
      auto said = reply();
      std::vector<Part> results;
      for (const auto& part : said.parts) {
        if (const auto* call = std::get_if<ToolCallPart>(&part)) results.emplace_back(result(*call));
      }
      add(out, Role::Assistant, std::move(said.parts));
      const bool called = !results.empty();
      // Chat has a message for each result.
      if (dialect == DialectId::OpenAiChat) {
        for (auto& one : results) add(out, Role::User, {std::move(one)});
      } else if (called) {
        add(out, Role::User, std::move(results));
      }
      if (!called) add(out, Role::User, {text()});
    }
    return out;
  }

  core::Usage usage() {
    core::Usage out;
    out.cache_read = pick(50);
    out.input = *out.cache_read + pick(1000);
    out.reasoning = pick(30);
    out.output = *out.reasoning + pick(500);
    return out;
  }

 private:
  TextPart text() {
    TextPart out;
    out.text = words();
    return out;
  }
  ToolResultPart result(const ToolCallPart& call) {
    ToolResultPart out;
    out.call_id = call.id;
    out.name = call.name;
    out.parts.emplace_back(text());
    return out;
  }
  static void add(Request& request, Role role, std::vector<Part> parts) {
    Message message;
    message.role = role;
    message.parts = std::move(parts);
    message.origin = "/messages/" + std::to_string(request.messages.size());
    request.messages.push_back(std::move(message));
  }

  std::mt19937 random_;
  int calls_ = 0;
};

// What must survive, whatever the dialects merge or reorder within a turn.
struct Essence {
  std::string system;
  std::string said;
  std::vector<std::string> calls;  // name and arguments
  std::vector<std::string> ids;
  std::string results;
  bool operator==(const Essence&) const = default;
};

void take_parts(const Message& message, Essence& out) {
  for (const auto& part : message.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      (message.role == Role::System ? out.system : out.said) += text->text;
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      const auto arguments = call->arguments.empty() ? Json::object() : Json::parse(call->arguments);
      out.calls.push_back(call->name + arguments.dump());
      out.ids.push_back(call->id);
    } else if (const auto* result = std::get_if<ToolResultPart>(&part)) {
      for (const auto& inner : result->parts) {
        if (const auto* answer = std::get_if<TextPart>(&inner)) out.results += answer->text;
      }
    }
  }
}

template <class Messages>
Essence essence_of(const Messages& messages) {
  Essence out;
  for (const auto& message : messages) take_parts(message, out);
  return out;
}

std::vector<StreamEvent> events_of(const Message& message, const core::Usage& usage) {
  std::vector<StreamEvent> out = {StreamStart{"id", "m", 1, {}}};
  int index = 0;
  bool called = false;
  for (const auto& part : message.parts) {
    if (const auto* text = std::get_if<TextPart>(&part)) {
      out.emplace_back(PartStart{index, TextPart()});
      out.emplace_back(TextDelta{index, text->text});
    } else if (const auto* call = std::get_if<ToolCallPart>(&part)) {
      ToolCallPart start = *call;
      start.arguments.clear();
      out.emplace_back(PartStart{index, start});
      out.emplace_back(ArgumentsDelta{index, call->arguments.substr(0, 1)});
      if (call->arguments.size() > 1) out.emplace_back(ArgumentsDelta{index, call->arguments.substr(1)});
      called = true;
    }
    out.emplace_back(PartEnd{index++});
  }
  out.emplace_back(FinishEvent{called ? Finish::ToolCalls : Finish::Stop, {}, {}});
  out.emplace_back(UsageEvent{usage});
  out.emplace_back(StreamEnd{});
  return out;
}

EncodeOptions plain_options() {
  auto options = options_for("compatible");
  options.target.name = "asked-model";
  return options;
}

std::string pair_name(DialectId a, DialectId b) {
  return std::string(to_string(a)) + " over " + std::string(to_string(b));
}

// Each conversation goes through one pair; each pair gets more than thirty of them.
template <class F>
void for_every_conversation(F check) {
  const auto conversations = Json::parse(golden("cases/t25_seeds.json"))["conversations"].get<unsigned>();
  for (unsigned i = 0; i < conversations && !testing::Test::HasFailure(); ++i) {
    const auto a = kDialects[i % kDialects.size()];
    const auto b = kDialects[i / kDialects.size() % kDialects.size()];
    SCOPED_TRACE(pair_name(a, b) + ", seed " + std::to_string(i));
    check(dialect(a), dialect(b), Maker(i));
  }
}

}  // namespace

TEST(Matrix, T25_ConversationsKeepTextIdsAndArguments) {
  for_every_conversation([](const Dialect& a, const Dialect& b, Maker maker) {
    const auto original = maker.request(a.id());
    const auto wire = a.encode_request(original, plain_options()).body;
    const auto read = a.decode_request(wire);
    auto sent = b.encode_request(read, plain_options());
    std::erase(sent.dropped, "store");  // the Responses encoder always says it
    const auto before = essence_of(read.messages);
    auto after = essence_of(b.decode_request(sent.body).messages);
    if (b.id() == DialectId::Gemini) after.ids = before.ids;  // a call is known by name and order there
    EXPECT_EQ(before.said, after.said) << sent.body.dump(1);
    EXPECT_EQ(before.system, after.system);
    EXPECT_EQ(before.calls, after.calls);
    EXPECT_EQ(before.ids, after.ids);
    EXPECT_EQ(before.results, after.results);
    EXPECT_EQ(essence_of(original.messages).calls, before.calls);
    EXPECT_THAT(sent.dropped, testing::IsEmpty());
  });
}

TEST(Matrix, T25_RepliesKeepTextIdsArgumentsAndUsage) {
  for_every_conversation([](const Dialect& client, const Dialect& provider, Maker maker) {
    Reply original;
    original.model = "m";
    original.usage = maker.usage();
    auto& choice = original.choices.emplace_back();
    choice.message = maker.reply();
    const auto wire = provider.encode_reply(original, context_for_test());
    const auto seen = client.encode_reply(provider.decode_reply(wire), context_for_test());
    const auto last = client.decode_reply(seen);
    const auto before = essence_of(std::array{choice.message});
    auto after = essence_of(std::array{last.choices.at(0).message});
    if (client.id() == DialectId::Gemini || provider.id() == DialectId::Gemini) after.ids = before.ids;
    EXPECT_EQ(before, after) << seen.dump(1);
    EXPECT_EQ(core::total_tokens(original.usage), core::total_tokens(last.usage)) << wire.dump(1);
    EXPECT_EQ(original.usage.cache_read, last.usage.cache_read);
  });
}

TEST(Matrix, T25_StreamsKeepTextIdsArgumentsAndUsage) {
  for_every_conversation([](const Dialect& client, const Dialect& provider, Maker maker) {
    const auto usage = maker.usage();
    const auto message = maker.reply();
    const auto wire = encode_stream(provider, events_of(message, usage));
    const auto seen = encode_stream(client, decode_stream(provider, wire));
    const auto last = gather(decode_stream(client, seen));
    const auto before = essence_of(std::array{message});
    Essence after;
    after.said = last.text;
    for (const auto& call : last.calls) {
      after.calls.push_back(call.name + Json::parse(call.arguments.empty() ? "{}" : call.arguments).dump());
      after.ids.push_back(call.id);
    }
    if (client.id() == DialectId::Gemini || provider.id() == DialectId::Gemini) after.ids = before.ids;
    EXPECT_EQ(before, after) << seen;
    EXPECT_TRUE(last.ended) << seen;
    EXPECT_EQ(core::total_tokens(usage), core::total_tokens(last.usage)) << seen;
  });
}

}  // namespace assistiv::inference::dialect_test
