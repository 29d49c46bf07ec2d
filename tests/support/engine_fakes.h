#pragma once
// The engine's world in memory: providers that answer from a script, a ledger and a rate gate that write down
// what they were told, a plan of targets. Thread-safe.
#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/async.h"
#include "core/json_read.h"
#include "core/random.h"
#include "inference/engine/inference_service.h"
#include "support/fake_http_client.h"
#include "support/manual_clock.h"
#include "support/run_task.h"

namespace assistiv::test {

// One answer of a provider.
struct ScriptedReply {
  int status = 200;
  core::HttpHeaders headers;
  std::vector<std::string> pieces;               // of the body, one per read
  std::optional<core::OutboundFailure> no_head;  // instead of a reply
  std::optional<core::OutboundFailure> breaks;   // after the pieces, instead of the end
  bool hangs = false;                            // after the pieces (or instead of the head): until stopped

  static ScriptedReply json(int status, std::string body) {
    ScriptedReply reply;
    reply.status = status;
    reply.headers.add("content-type", "application/json");
    reply.pieces = {std::move(body)};
    return reply;
  }
  static ScriptedReply sse(std::vector<std::string> pieces) {
    ScriptedReply reply;
    reply.headers.add("content-type", "text/event-stream");
    reply.pieces = std::move(pieces);
    return reply;
  }
  static ScriptedReply failing(core::OutboundFailure failure) {
    ScriptedReply reply;
    reply.no_head = failure;
    return reply;
  }
};

class FakeUpstream final : public core::UpstreamClient {
 public:
  void next(ScriptedReply reply) {
    std::lock_guard lock(mutex_);
    replies_.push_back(std::move(reply));
  }
  std::vector<core::UpstreamRequest> requests() const {
    std::lock_guard lock(mutex_);
    return requests_;
  }
  // Replies that were dropped before their end.
  int dropped() const {
    std::lock_guard lock(mutex_);
    return *dropped_;
  }

  core::Task<std::unique_ptr<core::UpstreamReply>> open(core::UpstreamRequest request) override {
    const auto stop = request.stop;
    ScriptedReply reply;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
      if (replies_.empty()) throw core::OutboundError(core::OutboundFailure::Refused, "nothing was scripted");
      reply = std::move(replies_.front());
      replies_.pop_front();
    }
    if (reply.hangs && reply.pieces.empty()) {
      co_await core::sleep_for(std::chrono::hours(1), stop);
      throw core::OutboundError(core::OutboundFailure::Cancelled, "stopped");
    }
    if (reply.no_head) throw core::OutboundError(*reply.no_head, "scripted");
    co_return std::make_unique<Reply>(std::move(reply), stop, dropped_);
  }

 private:
  class Reply final : public core::UpstreamReply {
   public:
    Reply(ScriptedReply script, std::stop_token stop, std::shared_ptr<int> dropped)
        : script_(std::move(script)), stop_(std::move(stop)), dropped_(std::move(dropped)) {}
    ~Reply() override {
      if (!ended_) ++*dropped_;
    }
    int status() const override { return script_.status; }
    const core::HttpHeaders& headers() const override { return script_.headers; }
    core::Task<std::string> read(std::size_t max) override {
      auto piece = co_await read_within(max, std::chrono::hours(1), {});
      co_return piece.value_or("");
    }
    core::Task<std::optional<std::string>> read_within(std::size_t max, std::chrono::milliseconds patience,
                                                       std::stop_token wake) override {
      if (at_ < script_.pieces.size()) {
        auto& piece = script_.pieces[at_];
        std::string out = piece.substr(0, max);
        piece.erase(0, out.size());
        if (piece.empty()) ++at_;
        co_return out;
      }
      if (script_.hangs) {
        co_await core::sleep_for(patience, wake.stop_possible() ? wake : stop_);
        if (stop_.stop_requested()) throw core::OutboundError(core::OutboundFailure::Cancelled, "stopped");
        co_return std::nullopt;
      }
      ended_ = true;
      if (script_.breaks) throw core::OutboundError(*script_.breaks, "scripted");
      co_return std::string();
    }

   private:
    ScriptedReply script_;
    const std::stop_token stop_;
    const std::shared_ptr<int> dropped_;
    std::size_t at_ = 0;
    bool ended_ = false;
  };

  mutable std::mutex mutex_;
  std::deque<ScriptedReply> replies_;
  std::vector<core::UpstreamRequest> requests_;
  std::shared_ptr<int> dropped_ = std::make_shared<int>(0);
};

class FakeLedger final : public billing::Ledger {
 public:
  // What the payer has; nothing is no limit.
  void set_available(std::optional<core::NanoUsd> amount) { available_ = amount; }
  // What other nodes hold of it and would give back: not available, but admitted.
  void set_elsewhere(core::NanoUsd amount) { elsewhere_ = amount; }
  std::vector<billing::AdmissionRequest> admissions() const { return book_->admissions; }
  std::vector<billing::Settlement> settlements() const { return book_->settlements; }
  int lost() const { return book_->lost; }
  int settled_twice() const { return book_->twice; }

  core::Task<billing::Admission> admit(billing::AdmissionRequest request) override {
    if (available_ && request.bound > *available_ + elsewhere_) {
      billing::Refusal refusal{
          billing::Refusal::Level::Wallet, "wallet_insufficient", "Not enough.", 0, 0, 0, 0, {}};
      refusal.limit = (*available_ + elsewhere_).nanos;
      refusal.requested = request.bound.nanos;
      co_return refusal;
    }
    const auto bound = request.bound;
    book_->admissions.push_back(std::move(request));
    co_return std::make_unique<FakeHold>(book_, bound);
  }
  core::Task<std::optional<core::NanoUsd>> available(billing::Payer) override { co_return available_; }

 private:
  struct Book {
    std::vector<billing::AdmissionRequest> admissions;
    std::vector<billing::Settlement> settlements;
    int lost = 0;
    int twice = 0;
  };
  class FakeHold final : public billing::Hold {
   public:
    FakeHold(std::shared_ptr<Book> book, core::NanoUsd bound) : book_(std::move(book)), bound_(bound) {}
    ~FakeHold() override { book_->lost += settled_ ? 0 : 1; }
    void settle(billing::Settlement settlement) override {
      if (std::exchange(settled_, true)) {
        ++book_->twice;
        return;
      }
      book_->settlements.push_back(std::move(settlement));
    }
    core::NanoUsd bound() const override { return bound_; }

   private:
    const std::shared_ptr<Book> book_;
    const core::NanoUsd bound_;
    bool settled_ = false;
  };
  std::shared_ptr<Book> book_ = std::make_shared<Book>();
  std::optional<core::NanoUsd> available_;
  core::NanoUsd elsewhere_;
};

class OpenGate final : public inference::RateGate {
 public:
  std::vector<std::int64_t> settled() const { return *settled_; }
  core::Task<std::unique_ptr<inference::RateTicket>> enter(billing::Payer, std::string,
                                                           std::int64_t) override {
    co_return std::make_unique<Ticket>(settled_);
  }

 private:
  class Ticket final : public inference::RateTicket {
   public:
    explicit Ticket(std::shared_ptr<std::vector<std::int64_t>> settled) : settled_(std::move(settled)) {}
    void settle(std::int64_t tokens) override { settled_->push_back(tokens); }
    const core::HttpHeaders& headers() const override { return headers_; }

   private:
    const std::shared_ptr<std::vector<std::int64_t>> settled_;
    core::HttpHeaders headers_;
  };
  std::shared_ptr<std::vector<std::int64_t>> settled_ = std::make_shared<std::vector<std::int64_t>>();
};

class FixedTargets final : public inference::TargetSource {
 public:
  inference::TargetPlan plan;
  inference::InferenceSettings settings;
  core::Task<inference::TargetPlanPtr> targets(core::PlatformId, std::string) override {
    auto copy = std::make_shared<inference::TargetPlan>(plan);
    copy->settings = std::make_shared<inference::InferenceSettings>(settings);
    co_return copy;
  }
};

// Collects what a stream writes; can stop taking.
class CollectingSink final : public core::EventSink {
 public:
  std::string bytes;
  int writes_max = 1'000'000;
  int writes = 0;
  bool throws = false;
  core::Task<bool> write(std::string more) override {
    if (throws) throw core::internal("a fault of ours");
    if (writes >= writes_max) co_return false;
    ++writes;
    bytes += more;
    co_return true;
  }
};

inline billing::PricePtr test_price() {
  auto price = std::make_shared<billing::Price>();
  price->base.input = 1'000'000'000;  // 1 USD per million tokens: 1,000 nano-USD each
  price->base.output = 2'000'000'000;
  return price;
}

inline std::shared_ptr<inference::Target> test_target(
    const std::string& name, inference::DialectId dialect = inference::DialectId::OpenAiChat) {
  auto target = std::make_shared<inference::Target>();
  target->provider = name;
  target->config_id = "config-" + name;
  target->base_url = "https://" + name + ".example/v1";
  target->dialect = dialect;
  target->api_key = core::Secret("key-of-" + name);
  target->model.name = "served-model";
  target->model.flavor = dialect == inference::DialectId::Anthropic ? "anthropic"
                         : dialect == inference::DialectId::Gemini  ? "google"
                                                                    : "openai";
  target->model.max_output_tokens = 1000;
  target->price = test_price();
  return target;
}

// The service with all of it, and one thread.
struct EngineWorld {
  FakeUpstream upstream;
  FakeHttpClient http;
  FixedTargets targets;
  FakeLedger ledger;
  OpenGate rates;
  ManualClock clock;
  core::SystemRandom random;
  inference::InferenceOptions options;
  IoThread io;
  std::optional<inference::InferenceService> service_;
  std::stop_source gone;

  inference::InferenceService& service() {
    if (!service_)
      service_.emplace(options,
                       inference::InferenceWorld{upstream, http, targets, ledger, rates, clock, random});
    return *service_;
  }
  // One model with these targets, in the order of their priority.
  void offer(std::vector<std::shared_ptr<inference::Target>> all) {
    inference::TargetPlan::Model model{"asked-model", {}};
    for (auto& one : all) {
      one->priority = static_cast<int>(model.targets.size());
      model.targets.push_back(one);
    }
    targets.plan.models = {std::move(model)};
  }
  inference::InferenceCall call(const std::string& body,
                                inference::DialectId dialect = inference::DialectId::OpenAiChat) {
    inference::InferenceCall out;
    auto principal = std::make_shared<oauth::Principal>();
    principal->kind = oauth::PrincipalKind::Platform;
    out.principal = principal;
    out.request_id = "req_0123456789abcdef01234567";
    out.gone = gone.get_token();
    out.dialect = dialect;
    out.request_type = "chat.completion";
    out.raw = body;
    out.request = inference::dialect(dialect).decode_request(core::parse_json(body));
    return out;
  }
  core::HttpReply run(inference::InferenceCall call) { return io.run(service().run(std::move(call))); }
  // The reply's stream, whole.
  std::string stream(core::HttpReply& reply, std::shared_ptr<CollectingSink> sink = nullptr) {
    if (!sink) sink = std::make_shared<CollectingSink>();
    io.run(reply.stream(sink));
    reply.stream = nullptr;
    return sink->bytes;
  }
};

}  // namespace assistiv::test
