#pragma once
// What the router chooses among: one model at one provider with one key. The snapshot of a platform's targets
// is made elsewhere (api/ plugs it) and read here for every call.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "billing/price.h"
#include "core/http.h"
#include "core/ids.h"
#include "core/money.h"
#include "core/secret.h"
#include "core/task.h"
#include "inference/dialect.h"

namespace assistiv::inference {

// Immutable and shared. Several keys at one provider are several targets.
struct Target {
  std::string provider;   // slug: "openai"; also of the price and the x-aig-provider header
  std::string config_id;  // names the key: circuit breaker and cooldown are per config_id
  std::string base_url;   // "https://api.openai.com/v1", without a slash at the end
  DialectId dialect = DialectId::OpenAiChat;
  core::Secret api_key;       // empty: no credential is sent (a local server)
  core::HttpHeaders headers;  // sent besides, e.g. openai-organization
  bool local = false;         // on the premises: may be private addresses, allowed in on-premise mode
  TargetModel model;
  // The price that bills it; null: unknown (or none, for a local one).
  billing::PricePtr price;
  int priority = 0;  // the lower number goes first
  int weight = 1;    // share among targets of the same priority; 0: only when nothing else is left
  bool is_default = false;
  // A compatible server that refuses `stream_options`: usage is then counted by us.
  bool accepts_stream_options = true;
};
using TargetPtr = std::shared_ptr<const Target>;

// The order within one priority.
enum class Strategy { Weight, LowestLatency, LowestCost };

// A platform's settings for inference; the defaults are those of a platform that has set nothing.
struct InferenceSettings {
  Strategy strategy = Strategy::Weight;
  Unsupported unsupported = Unsupported::Drop;
  bool keep_system_in_place = false;
  // Only targets marked local may be called, and with http images nothing is fetched.
  bool on_premise_only = false;
  // What a call to a model without a price is held and billed at (the platform's unknown_price_ceiling);
  // null: refused. Local targets without a price are free.
  billing::PricePtr unknown_price;
  bool cache = false;  // opt-in; x-cache: force asks for it per request
  std::chrono::seconds cache_ttl{300};
  // After the client has gone: how long and how many bytes of the stream are still read for its usage.
  std::chrono::milliseconds gone_grace{2000};
  std::size_t gone_grace_bytes = 256 << 10;
  int attempts_max = 4;  // upstream requests per call, over all targets
  std::chrono::milliseconds total_timeout{600'000};
  std::chrono::milliseconds first_byte_timeout{120'000};
  std::chrono::milliseconds idle_timeout{60'000};
};

// What may answer a call, in the order of preference: the model asked for (aliases resolved), then the
// platform's fallback models. Inactive configurations are not in it.
struct TargetPlan {
  std::shared_ptr<const InferenceSettings> settings;
  struct Model {
    std::string name;  // the slug, as the caller may name it
    std::vector<TargetPtr> targets;
  };
  std::vector<Model> models;
};
using TargetPlanPtr = std::shared_ptr<const TargetPlan>;

// Thread-safe. On the path of every call: answers from memory when it can.
class TargetSource {
 public:
  virtual ~TargetSource() = default;
  // Throws Error{NotFound} with code "model_not_found" for a model that no configuration of the platform
  // offers.
  virtual core::Task<TargetPlanPtr> targets(core::PlatformId platform_id, std::string model) = 0;
};

}  // namespace assistiv::inference
