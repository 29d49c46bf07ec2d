// The cases T1 to T25 of translation, one wire file each (tests/golden/inference/cases/): a test's name and
// its file's begin with the number. What a file says is checked, in the order of the functions below:
//   request            a client's, encoded for the providers of "expect" (JSON pointers into what is sent;
//   null: not
//                      there), "dropped" (listed), "refused" (in either setting) and "strict" (the field of
//                      the 400)
//   round_trip         the request to every dialect and back
//   stream             a provider's, told to every client; "reply" is the same as one body
//   attempts           what providers answer one after the other, and what the caller is told
//   raw, unknown       bodies that pass as they stand, or with all that we do not know
#include <filesystem>
#include <set>

#include "billing/price.h"
#include "support/dialect_fixture.h"
#include "support/engine_fakes.h"

namespace assistiv::inference::dialect_test {

namespace {

namespace numbered {

using test::EngineWorld;
using test::ScriptedReply;

constexpr std::array kAll = {DialectId::OpenAiChat, DialectId::OpenAiResponses, DialectId::Anthropic,
                             DialectId::Gemini};

std::vector<std::string> case_files() {
  std::vector<std::string> out;
  const auto folder = std::string(ASSISTIV_SOURCE_DIR) + "/tests/golden/inference/cases";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    out.push_back(entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

DialectId dialect_named(const std::string& name) {
  for (const auto id : kAll)
    if (to_string(id) == name) return id;
  ADD_FAILURE() << "no dialect " << name;
  return DialectId::OpenAiChat;
}

const char* flavor_of(DialectId id) {
  return id == DialectId::Anthropic ? "anthropic" : id == DialectId::Gemini ? "google" : "openai";
}

class Case {
 public:
  explicit Case(const std::string& file) : json_(Json::parse(golden("cases/" + file + ".json"))) {}

  void check() {
    if (json_.contains("expect") || json_.contains("refused")) check_requests();
    if (json_.contains("round_trip")) check_round_trip();
    if (json_.contains("expect_stream")) check_stream();
    if (json_.contains("attempts")) check_attempts();
    if (json_.contains("raw")) check_raw();
    if (json_.contains("unknown")) check_unknown();
  }

 private:
  EncodeOptions options(DialectId provider, Unsupported mode = Unsupported::Drop) const {
    auto out = options_for(flavor_of(provider), mode);
    const auto target = json_.value("target", Json::object());
    out.target.json_schema_fields = target.value("json_schema_fields", true);
    if (target.contains("max_output_tokens")) out.target.max_output_tokens = target["max_output_tokens"];
    out.keep_system_in_place = json_.value("keep_system_in_place", false);
    return out;
  }

  Request request() const { return dialect(dialect_named(json_["client"])).decode_request(json_["request"]); }

  EncodedRequest sent_to(const std::string& provider, Unsupported mode = Unsupported::Drop) const {
    const auto id = dialect_named(provider);
    return dialect(id).encode_request(request(), options(id, mode));
  }

  Json member(const char* name) const { return json_.value(name, Json::object()); }

  void check_requests() const {
    const Json expect = member("expect");
    const Json dropped = member("dropped");
    const Json refused = member("refused");
    const Json strict = member("strict");
    for (const auto& [provider, members] : expect.items()) {
      const auto body = sent_to(provider).body;
      for (const auto& [pointer, value] : members.items()) {
        const Json::json_pointer at(pointer);
        EXPECT_EQ(body.contains(at) ? body[at] : Json(), value) << provider << pointer << "\n"
                                                                << body.dump(1);
      }
    }
    for (const auto& [provider, names] : dropped.items())
      EXPECT_THAT(sent_to(provider).dropped, testing::IsSupersetOf(names.get<std::vector<std::string>>()));
    for (const auto& [provider, field] : refused.items())
      EXPECT_EQ(refused_field([&] { sent_to(provider); }), field.get<std::string>()) << provider;
    for (const auto& [provider, field] : strict.items())
      EXPECT_EQ(refused_field([&] { sent_to(provider, Unsupported::Strict); }), field.get<std::string>())
          << provider;
  }

  // Text, names, ids and arguments, each kind in its order.
  static Json essence(const Request& request) {
    Json out = {{"system", ""}, {"text", ""}, {"calls", Json::array()}, {"results", ""}};
    for (const auto& message : request.messages) {
      for (const auto& part : message.parts) {
        auto& said = out[message.role == Role::System ? "system" : "text"].get_ref<std::string&>();
        if (const auto* text = std::get_if<TextPart>(&part)) said += text->text;
        if (const auto* call = std::get_if<ToolCallPart>(&part))
          out["calls"].push_back({call->id, call->name, Json::parse(call->arguments)});
        if (const auto* result = std::get_if<ToolResultPart>(&part))
          out["results"].get_ref<std::string&>() +=
              result->call_id + "=" + std::get<TextPart>(result->parts.at(0)).text + ";";
      }
    }
    return out;
  }

  // Gemini knows a call by its name and its place: there and back its ids are others, the same for a call and
  // its result.
  static Json without_ids(Json essence) {
    for (std::size_t i = 0; i < essence["calls"].size(); ++i) {
      auto& results = essence["results"].get_ref<std::string&>();
      const auto id = essence["calls"][i][0].get<std::string>();
      if (const auto at = results.find(id); at != std::string::npos)
        results.replace(at, id.size(), "#" + std::to_string(i));
      essence["calls"][i][0] = "#" + std::to_string(i);
    }
    return essence;
  }

  void check_round_trip() const {
    const auto& client = dialect(dialect_named(json_["client"]));
    const auto before = request();
    for (const auto id : kAll) {
      const auto there = dialect(id).encode_request(before, options(id)).body;
      const auto heard = dialect(id).decode_request(there);
      const auto back = client.decode_request(client.encode_request(heard, options(client.id())).body);
      const bool nameless = id == DialectId::Gemini;
      EXPECT_EQ(nameless ? without_ids(essence(before)) : essence(before),
                nameless ? without_ids(essence(back)) : essence(back))
          << to_string(id) << there.dump(1);
    }
  }

  std::string wire(const Json& frames, DialectId provider) const {
    std::string out;
    for (const auto& frame : frames) {
      const auto data = frame.get<std::string>();
      if (provider == DialectId::Anthropic)
        out += "event: " + Json::parse(data)["type"].get<std::string>() + "\n";
      out += "data: " + data + "\n\n";
    }
    return out;
  }

  static void expect_gathered(const Gathered& out, const Json& expected, const std::string& where) {
    SCOPED_TRACE(where);
    EXPECT_EQ(out.text, expected.value("text", ""));
    Json calls = Json::array();
    for (const auto& call : out.calls) {
      if (expected.contains("calls"))
        calls.push_back({call.name, Json::parse(call.arguments.empty() ? "{}" : call.arguments)});
    }
    EXPECT_EQ(calls, expected.value("calls", Json::array()));
    EXPECT_EQ(out.ended, expected.value("ended", false));
    EXPECT_EQ(out.fault.has_value(), expected.contains("fault"));
    if (expected.contains("input")) {
      EXPECT_EQ(out.usage.input, expected["input"].get<std::int64_t>());
    }
    if (expected.contains("output")) {
      EXPECT_EQ(out.usage.output.value_or(0), expected["output"].get<std::int64_t>());
    }
    if (expected.contains("cache_read")) {
      EXPECT_EQ(out.usage.cache_read.value_or(0), expected["cache_read"].get<std::int64_t>());
    }
    if (expected.contains("finish") && out.finish) {
      const std::map<std::string, Finish> words = {{"stop", Finish::Stop},
                                                   {"tool_calls", Finish::ToolCalls},
                                                   {"content_filter", Finish::ContentFilter}};
      EXPECT_EQ(*out.finish, words.at(expected["finish"]));
    }
  }

  void check_stream() const {
    const auto provider = dialect_named(json_["provider"]);
    const auto bytes = wire(json_["stream"], provider);
    const auto& expected = json_["expect_stream"];
    for (const std::size_t piece : json_.value("pieces", std::vector<std::size_t>{bytes.size() + 1})) {
      const auto decoder = dialect(provider).stream_decoder();
      std::vector<StreamEvent> events;
      const auto take = [&](std::vector<StreamEvent> some) {
        for (auto& one : some) events.push_back(std::move(one));
      };
      for (const auto& event : sse_events(bytes, piece)) take(decoder->feed(event.type, event.data));
      take(decoder->finish());
      const auto heard = gather(events);
      expect_gathered(heard, expected, json_["provider"]);
      if (heard.fault) {
        EXPECT_EQ(heard.fault->code, expected["fault"].get<std::string>());
      }
      for (const auto client : kAll)
        expect_gathered(gather(decode_stream(dialect(client), encode_stream(dialect(client), events))),
                        expected, "as told to " + std::string(to_string(client)));
      if (json_.contains("reply")) check_whole(provider, heard);
    }
  }

  void check_whole(DialectId provider, const Gathered& streamed) const {
    const auto reply = dialect(provider).decode_reply(json_["reply"]);
    EXPECT_EQ(reply.choices.at(0).finish, streamed.finish);
    EXPECT_EQ(reply.usage, streamed.usage);
    billing::Price price;
    price.base.input = 1'000'000'000;
    price.base.output = 2'000'000'000;
    price.base.cache_read = 100'000'000;
    EXPECT_EQ(billing::cost_of(price, reply.usage), billing::cost_of(price, streamed.usage));
    EXPECT_GT(billing::cost_of(price, reply.usage).nanos, 0);
  }

  ScriptedReply scripted(const Json& attempt) const {
    ScriptedReply out;
    if (attempt.contains("stream")) {
      const auto bytes = wire(attempt["stream"], dialect_named(attempt["provider"]));
      out = ScriptedReply::sse(bytes.empty() ? std::vector<std::string>{} : std::vector<std::string>{bytes});
    } else {
      out = ScriptedReply::json(attempt["status"], attempt["body"].dump());
    }
    const Json headers = attempt.value("headers", Json::object());
    for (const auto& [name, value] : headers.items()) out.headers.add(name, value.get<std::string>());
    return out;
  }

  void check_attempts() const {
    EngineWorld world;
    if (json_.contains("now"))
      world.clock.advance(std::chrono::duration_cast<std::chrono::milliseconds>(
          *core::parse_time(json_["now"].get<std::string>()) - world.clock.now()));
    if (json_.contains("refused_fetch"))
      world.http.always("GET", json_["refused_fetch"],
                        test::FakeHttpClient::fails(core::OutboundFailure::Refused));
    std::vector<std::shared_ptr<Target>> targets;
    for (const auto& attempt : json_["attempts"]) {
      targets.push_back(
          test::test_target("p" + std::to_string(targets.size()), dialect_named(attempt["provider"])));
      world.upstream.next(scripted(attempt));
    }
    world.offer(targets);
    auto reply = world.run(world.call(json_["request"].dump(), dialect_named(json_["client"])));
    const auto& answer = json_["answer"];
    const auto said = reply.stream ? world.stream(reply) : reply.body;
    EXPECT_EQ(reply.status, answer["status"].get<int>()) << said;
    EXPECT_EQ(world.upstream.requests().size(), answer["asked"].get<std::size_t>());
    EXPECT_THAT(said, testing::HasSubstr(answer["holds"].get<std::string>()));
    if (answer.contains("retry_after")) {
      EXPECT_EQ(reply.headers.get("retry-after"), answer["retry_after"].get<std::string>());
    }
    EXPECT_EQ(world.ledger.lost(), 0);
  }

  void check_raw() const {
    for (const auto& [name, raw] : json_["raw"].items()) {
      EngineWorld world;
      const auto id = dialect_named(name);
      auto target = test::test_target("one", id);
      target->model.name = "asked-model";
      world.offer({target});
      world.upstream.next(ScriptedReply::json(500, "{}"));
      auto call = world.call(raw, id);
      call.request.model = "asked-model";
      world.run(std::move(call));
      EXPECT_EQ(world.upstream.requests().at(0).body, raw.get<std::string>()) << name;
    }
  }

  void check_unknown() const {
    for (const auto& [name, body] : json_["unknown"].items()) {
      const auto& one = dialect(dialect_named(name));
      auto options = options_for("compatible");
      options.target.name = "asked-model";
      const auto out = one.encode_request(one.decode_request(body), options);
      auto sent = out.body;
      if (!body.contains("store")) sent.erase("store");
      for (const auto& [member, value] : body.items()) {
        // A message or part that was written in short may be written out.
        if (member == "messages" || member == "input" || member == "contents") {
          EXPECT_THAT(sent[member].dump(), testing::HasSubstr("\"odd\":1")) << name;
        } else if (member != "model") {
          EXPECT_EQ(sent.value(member, Json()), value) << name << "." << member;
        }
      }
      EXPECT_THAT(out.dropped, testing::IsEmpty()) << name;
    }
  }

  Json json_;
};

}  // namespace numbered

}  // namespace

class Translation : public testing::TestWithParam<std::string> {};

TEST_P(Translation, does_what_the_wire_file_says) {
  numbered::Case(GetParam()).check();
}

INSTANTIATE_TEST_SUITE_P(Cases, Translation, testing::ValuesIn(numbered::case_files()),
                         [](const auto& info) { return "T" + info.param.substr(1); });

TEST(TranslationCases, every_number_from_1_to_25_has_a_file) {
  std::set<int> numbers;
  for (const auto& name : numbered::case_files()) numbers.insert(std::stoi(name.substr(1, 2)));
  for (int i = 1; i <= 25; ++i) EXPECT_TRUE(numbers.contains(i)) << "T" << i;
}

}  // namespace assistiv::inference::dialect_test
