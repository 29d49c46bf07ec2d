#pragma once
// What an endpoint can offer besides tools. A door that is absent takes its methods and its capability away.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "core/task.h"
#include "mcp/tools/tool.h"

namespace assistiv::mcp {

// Finished JSON objects in stable order. Immutable and shared between requests.
struct DefinitionList {
  std::vector<std::string> items;
  std::string etag;  // changes exactly when the list changes
};
using DefinitionListPtr = std::shared_ptr<const DefinitionList>;

enum class ReadOutcome { Done, Unknown, InvalidArguments, InputRequired };

// The answer of prompts/get, resources/read and completion/complete.
struct ReadResult {
  ReadOutcome outcome = ReadOutcome::Done;
  std::string result_json;          // the result object without resultType and cache hints
  std::string message;              // why it failed
  std::string input_requests_json;  // as in ToolCallResult
  std::string input_state;
};

class ResourceDoor {
 public:
  virtual ~ResourceDoor() = default;
  virtual core::Task<DefinitionListPtr> list(CallContext context) = 0;
  virtual core::Task<DefinitionListPtr> templates(CallContext context) = 0;
  virtual core::Task<ReadResult> read(CallContext context, std::string uri) = 0;
  // Whether resources/subscribe (legacy) and resourceSubscriptions (modern) are offered.
  virtual bool subscribable() const { return false; }
  // Whether this caller could read it now: nothing else can be subscribed to.
  virtual core::Task<bool> exists(CallContext /*context*/, std::string /*uri*/) { co_return true; }
  // A notice of this topic (Endpoint::on_notify) means that resources whose URIs begin so have changed, for
  // whom the notice is about; "" for none.
  virtual std::string_view changed_by(std::string_view /*topic*/) const { return {}; }
};

class PromptDoor {
 public:
  virtual ~PromptDoor() = default;
  virtual core::Task<DefinitionListPtr> list(CallContext context) = 0;
  // `arguments` is an object (or null for none).
  virtual core::Task<ReadResult> get(CallContext context, std::string name, core::Json arguments) = 0;
};

class CompletionDoor {
 public:
  virtual ~CompletionDoor() = default;
  // `params` as it was sent: ref, argument {name, value}, context. result_json is {"completion":{...}}.
  virtual core::Task<ReadResult> complete(CallContext context, core::Json params) = 0;
};

class TaskStore;

enum class LogSupport { No, Yes };

struct Doors {
  ToolDoor& tools;
  ResourceDoor* resources = nullptr;
  PromptDoor* prompts = nullptr;
  CompletionDoor* completions = nullptr;
  LogSupport logging = LogSupport::No;  // the tools log to the client
  TaskStore* tasks = nullptr;           // where calls that must wait become tasks
};

}  // namespace assistiv::mcp
