#include "inference/engine/media_fetch.h"

#include "core/encoding.h"
#include "core/error.h"
#include "core/log.h"
#include "core/url_text.h"
#include "inference/gemini/gemini.h"

namespace assistiv::inference {

namespace {

constexpr std::size_t kFetchedMax = 8;              // per call
constexpr std::size_t kFetchedBytesMax = 20 << 20;  // of a call; Google takes no larger one

[[noreturn]] void refuse(const std::string& why) {
  throw core::bad_request("An image of the messages " + why + " Send it as data instead.", "messages");
}

core::Task<> fetch_one(core::HttpClient* http, MediaPart* media, std::size_t bytes_max,
                       std::stop_token stop) {
  core::OutboundRequest request;
  request.url = media->url;
  request.allowed_hosts = {core::url_authority(media->url)};
  request.response_bytes_max = bytes_max;
  request.stop = std::move(stop);
  core::OutboundResponse response;
  bool failed = false;
  try {
    response = co_await http->send(std::move(request));
  } catch (const core::OutboundError& error) {
    core::log::info("inference.image_not_fetched", {{"error", error.what()}});
    failed = true;
  }
  if (failed || response.status != 200 || response.body.empty()) refuse("cannot be fetched.");
  std::string type(response.headers.get("content-type").value_or(""));
  type.resize(std::min(type.find(';'), type.size()));
  if (!type.starts_with("image/") && type != "application/pdf" && !type.starts_with("audio/"))
    refuse("is none: its address gives another content type.");
  media->media_type = std::move(type);
  media->data = core::base64_encode(response.body);
  media->url.clear();
}

}  // namespace

core::Task<> fetch_media(std::shared_ptr<Engine> engine, std::shared_ptr<CallState> state, TargetPtr target) {
  if (target->dialect != DialectId::Gemini || state->call.dialect == DialectId::Gemini) co_return;
  const auto found = remote_media(state->call.request);
  if (found.empty()) co_return;
  if (engine->options.on_premise_only || state->settings().on_premise_only)
    refuse("is on the network, which may not be asked here.");
  if (found.size() > kFetchedMax) refuse("is one too many to fetch.");
  std::size_t left = kFetchedBytesMax;
  for (auto* media : found) {
    if (left == 0) refuse("is one too many: together they are too large.");
    const auto most = std::min(engine->options.image_bytes_max, left);
    co_await fetch_one(&engine->world.http, media, most, state->call.gone);
    left -= std::min(left, media->data.size() / 4 * 3);  // as it came, before base64
  }
}

}  // namespace assistiv::inference
