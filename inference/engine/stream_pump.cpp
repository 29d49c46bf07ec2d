#include "inference/engine/stream_pump.h"

#include <algorithm>

#include "inference/engine/fact_headers.h"

namespace assistiv::inference {

using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kCopyMax = 1 << 20;

std::string_view id_prefix(DialectId dialect) {
  switch (dialect) {
    case DialectId::OpenAiChat:
      return "chatcmpl-";
    case DialectId::OpenAiResponses:
      return "resp_";
    case DialectId::Anthropic:
      return "msg_";
    case DialectId::Gemini:
      return "";
  }
  return "";
}

// Renders the pieces of one stream for its caller.
class Renderer {
 public:
  Renderer(Engine& engine, const CallState& state)
      : state_(state),
        signatures_(engine.signatures, signature_owner(state.call)),
        same_(state.prepared.same_dialect),
        encoder_(dialect(state.call.dialect).stream_encoder(reply_context(engine, state))) {}

  // `copy`, when there is one, gets what a later caller may see too: not the cost of this call.
  std::string render(const Pieces& pieces, const Meter& meter, std::string* copy) {
    std::string out;
    for (const auto& piece : pieces) {
      const bool ends = std::any_of(piece.events.begin(), piece.events.end(), [](const StreamEvent& event) {
        return std::holds_alternative<StreamEnd>(event);
      });
      // Google's client reads its stream by a pattern that knows no comments.
      if (ends && state_.call.dialect != DialectId::Gemini)
        out += cost_comment(state_.failed_cost + meter.cost());
      const auto bytes = same_ ? as_it_came(piece) : encoded(piece);
      if (copy != nullptr) *copy += bytes;
      out += bytes;
    }
    return out;
  }
  std::string keep_alive() const { return encoder_->keep_alive(); }

 private:
  std::string encoded(const Piece& piece) {
    std::string out;
    for (const auto& event : piece.events) out += encoder_->encode(event);
    if (!same_ && state_.target->dialect == DialectId::Gemini)
      for (const auto& event : piece.events) signatures_.saw(event, SteadyClock::now());
    return out;
  }

  std::string as_it_came(const Piece& piece) {
    // The encoder of Responses counts its events; it must have seen all of them to write a fault of ours.
    // A provider's own words of a fault may hold its account, and bytes that cannot be read are no fault's.
    const bool ours = piece.raw.empty() || is_fault(piece);
    if (ours || state_.call.dialect == DialectId::OpenAiResponses) {
      const auto text = encoded(piece);
      if (ours) return text;
    }
    if (state_.prepared.strip_usage && only_usage(piece)) return {};
    return piece.raw;
  }

  static bool is_fault(const Piece& piece) {
    return std::any_of(piece.events.begin(), piece.events.end(),
                       [](const StreamEvent& event) { return std::holds_alternative<FaultEvent>(event); });
  }

  // The chunk that stream_options.include_usage adds: no choices.
  static bool only_usage(const Piece& piece) {
    const bool usage = std::any_of(piece.events.begin(), piece.events.end(), [](const StreamEvent& event) {
      return std::holds_alternative<UsageEvent>(event);
    });
    return usage && (piece.raw.find("\"choices\":[]") != std::string::npos ||
                     piece.raw.find("\"choices\": []") != std::string::npos);
  }

  const CallState& state_;
  SignatureMemory::Listener signatures_;
  const bool same_;
  std::unique_ptr<StreamEncoder> encoder_;
};

// The caller is not there any more: what the provider still says of the usage is worth a short wait.
core::Task<> drain(std::shared_ptr<CallState> state) {
  const auto until = SteadyClock::now() + state->settings().gone_grace;
  const std::size_t bytes_until = state->stream->bytes_read() + state->settings().gone_grace_bytes;
  while (!state->stream->meter().settled() && state->stream->bytes_read() < bytes_until) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - SteadyClock::now());
    if (left.count() <= 0) break;
    const auto pieces = co_await state->stream->step(left, {});
    if (!pieces || pieces->empty()) break;
  }
  state->stream->abandon(billing::CallOutcome::ClientGone);
}

void keep(const StreamCopy& copy, const CallState& state, std::string bytes) {
  auto reply = std::make_shared<CachedReply>();
  reply->body = std::move(bytes);
  reply->content_type = "text/event-stream";
  reply->provider = state.facts.provider;
  reply->model = state.facts.model;
  reply->provider_model = state.facts.provider_model;
  copy.cache->put(copy.key, std::move(reply), SteadyClock::now() + state.settings().cache_ttl);
}

bool has_fault(const Pieces& pieces) {
  for (const auto& piece : pieces)
    for (const auto& event : piece.events)
      if (std::holds_alternative<FaultEvent>(event)) return true;
  return false;
}

// The token of a caller who is gone is also requested at a shutdown. Then somebody still reads, to whom a
// stream that just ends would look whole.
Piece stopping() {
  Fault fault;
  fault.kind = Fault::Kind::Overloaded;
  fault.message = kStoppingMessage;
  Piece out;
  out.events.push_back(FaultEvent{std::move(fault)});
  return out;
}

}  // namespace

ReplyContext reply_context(const Engine& engine, const CallState& state) {
  ReplyContext context;
  const auto& id = state.call.request_id;
  context.id = std::string(id_prefix(state.call.dialect)) + (id.starts_with("req_") ? id.substr(4) : id);
  context.model = state.call.request.model;
  context.created = core::to_epoch_seconds(engine.world.clock.now());
  context.include_usage = state.call.request.include_usage;
  context.include_reasoning = !state.call.request.reasoning || state.call.request.reasoning->include;
  context.input_estimate = state.prepared.input_estimate;
  context.request_body = state.call.body;
  return context;
}

core::Task<> pump(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state, StreamCopy copy,
                  std::shared_ptr<core::EventSink> sink) {
  Renderer renderer(*engine, *state);
  std::string copied;
  bool whole = copy.cache != nullptr;
  while (true) {
    const auto pieces = co_await state->stream->step(engine->options.keep_alive, state->call.gone);
    if (!pieces && state->call.gone.stop_requested()) {
      co_await sink->write(renderer.render({stopping()}, state->stream->meter(), nullptr));
      break;
    }
    if (pieces && pieces->empty()) {
      if (whole) keep(copy, *state, std::move(copied));
      if (state->ticket) state->ticket->settle(core::total_tokens(state->stream->meter().usage()));
      co_return;
    }
    auto bytes = pieces ? renderer.render(*pieces, state->stream->meter(), whole ? &copied : nullptr)
                        : renderer.keep_alive();
    if (pieces && whole) whole = !has_fault(*pieces) && copied.size() <= kCopyMax;
    if (!bytes.empty() && !co_await sink->write(std::move(bytes))) break;
  }
  co_await drain(state);
  if (state->ticket) state->ticket->settle(core::total_tokens(state->stream->meter().usage()));
}

}  // namespace assistiv::inference
