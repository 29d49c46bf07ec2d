#pragma once
// One node of a document. Internal to agents/definition.
#include <functional>
#include <string>

#include "agents/definition/declarations.h"
#include "agents/definition/draft.h"
#include "core/json.h"

namespace assistiv::agents {

struct NodeWorld {
  const DefinitionWorld& world;
  GraphDraft& draft;  // with its state, models and tools
  const Variables& variables;
  Faults& faults;
  const core::Json* defaults = nullptr;  // of the document; null: none
  // The graph that a subgraph node names; null on a fault, which has been told.
  std::function<GraphPtr(const std::string& name, const std::string& at)> subgraph;
};

// The shape of `json` has been checked.
Node read_node(const std::string& id, const core::Json& json, const NodeWorld& world);

// What is wrong with the URL of an http node; "" for nothing. Its scheme and host are literal and public.
std::string http_url_fault(const std::string& url, const DefinitionWorld& world);

}  // namespace assistiv::agents
