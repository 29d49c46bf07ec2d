#include "agents/effects/run_context.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/encoding.h"
#include "core/random.h"
#include "oauth/principal.h"

namespace assistiv::agents {
namespace {

constexpr std::size_t kTraceIdAt = 3;
constexpr std::size_t kTraceIdSize = 32;

std::string trace_id_of_run(const std::string& run) {
  std::string out;
  std::copy_if(run.begin(), run.end(), std::back_inserter(out), [](char c) { return c != '-'; });
  const bool hex = out.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hex && out.size() == kTraceIdSize ? out : core::sha256_hex(run).substr(0, kTraceIdSize);
}

}  // namespace

Span begin_span(const RunContext& context, const Act& act) {
  Span out;
  const auto& parent = context.identity.traceparent;
  const bool has_parent = parent.size() >= 55;
  out.trace_id = has_parent ? parent.substr(kTraceIdAt, kTraceIdSize) : trace_id_of_run(act.run);
  out.span_id = core::random_hex(context.world.random, 8);
  out.traceparent = "00-" + out.trace_id + "-" + out.span_id + "-" +
                    (has_parent ? parent.substr(53, 2) : std::string("01"));
  return out;
}

void log_act(std::string_view event, const RunContext& context, const Act& act, const Span& span,
             std::int64_t ms, const core::Error* failure, core::log::Fields more) {
  core::log::Fields fields = {{"run_id", act.run},
                              {"thread_id", act.thread},
                              {"gen_ai.agent.name", context.identity.agent},
                              {"agent_version", context.identity.agent_version},
                              {"node", act.node},
                              {"trace_id", span.trace_id},
                              {"span_id", span.span_id},
                              {"ms", ms}};
  const auto& principal = *context.identity.principal;
  fields.emplace_back("platform_id", principal.platform_id.str());
  if (principal.end_user_id) fields.emplace_back("end_user_id", principal.end_user_id->str());
  if (failure != nullptr) fields.emplace_back("error.type", failure->code());
  std::move(more.begin(), more.end(), std::back_inserter(fields));
  core::log::info(event, std::move(fields));
}

std::string request_id_of(const RunContext& context, const Act& act) {
  return "act_" + act.idempotency_key.substr(0, 20) + "-" + core::random_hex(context.world.random, 6);
}

core::Error run_cancelled() {
  return core::Error(core::ErrorKind::Cancelled, "the run was cancelled").with_code("cancelled");
}

}  // namespace assistiv::agents
