#pragma once
// What webhooks are told of runs: the event "agent.run.completed" (docs/webhooks.md), written in the
// transaction that ends the run.
#include "agents/store/run_store.h"
#include "billing/webhook.h"
#include "billing/webhook_store.h"
#include "core/ids.h"
#include "storage/database.h"

namespace assistiv::billing {
class WebhookEvents;
}

namespace assistiv::agents {

// The message of a run that is over. It names the run and how it went; neither what it was given nor what it
// holds, for which a receiver asks with its own key.
billing::WebhookMessage completed_message(core::PlatformId platform, const Run& run);

// Thread-safe.
class RunNotices {
 public:
  explicit RunNotices(billing::WebhookEvents& events) : events_(events) {}

  // As RunEndHook. The run's own webhook hears of it, and every endpoint that chose the type. A run of which
  // nobody hears costs nothing, one that is rolled back is told to nobody.
  void note(storage::Transaction& tx, const EndedRun& ended) const;

 private:
  billing::WebhookEvents& events_;
};

}  // namespace assistiv::agents
