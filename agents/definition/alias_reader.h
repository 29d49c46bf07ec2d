#pragma once
// Models, toolsets and policies of a document. Internal to agents/definition.
#include <map>
#include <string>

#include "agents/definition/declarations.h"
#include "agents/definition/draft.h"
#include "core/json.h"

namespace assistiv::agents {

// With the alias "default" where the agent has a model of its own.
std::map<std::string, ModelAlias> read_models(const core::Json& document, const DefinitionWorld& world,
                                              Faults& faults);
std::map<std::string, Toolset> read_toolsets(const core::Json& document, const DefinitionWorld& world,
                                             const Variables& variables, Faults& faults);

// The members of `own`, and of `defaults` (null: none) where it has none.
Policies read_policies(const core::Json& own, const std::string& at, const core::Json* defaults,
                       const std::string& defaults_at, const cel::Declarations& variables, Faults& faults);

}  // namespace assistiv::agents
