#pragma once
// What a tool is to the protocol, and the one door through which every caller lists and calls tools.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/json.h"
#include "core/task.h"
#include "oauth/principal.h"

namespace assistiv::mcp {

struct ToolSelection;

// One tool as tools/list shows it. `definition_json` is the finished object, serialized once.
struct ToolView {
  std::string name;
  std::string definition_json;
  // What it is selected and found by. A tool of no app has an empty `app`.
  std::string app = {}, group = {}, title = {}, description = {};
  bool read_only = false, destructive = true, idempotent = false;
  std::string icons_json = {};  // beside the definition, for revisions that have icons; "" for none
};

// What a caller may see now. Immutable and shared between requests until a grant, connection or manifest
// changes.
struct ToolList {
  std::vector<ToolView> tools;  // in stable order
  // The definitions with their icons and commas between them: what goes inside "tools":[...] for revisions
  // that have icons, and for all where there are none.
  std::string joined_json;
  bool has_icons = false;
  std::string etag;  // changes exactly when the list changes
};

// Writes joined_json and has_icons.
void join_definitions(ToolList& list);

// What the client can be asked to do during a call, as it declared it.
struct ClientAbilities {
  bool elicitation_form = false;
  bool elicitation_url = false;
  bool sampling = false;
  bool roots = false;
  bool tasks = false;  // the extension io.modelcontextprotocol/tasks: a call may go on after its request
  bool operator==(const ClientAbilities&) const = default;
};

// An argument that modern clients repeat in the header Mcp-Param-<header>, so that infrastructure can route
// by it (x-mcp-header in the input schema). The protocol compares the two.
struct MirroredArgument {
  std::vector<std::string> path;  // property names from the root of the arguments
  std::string header;             // the part after "Mcp-Param-"
};

// Who calls, through which door, and how to report back. Built by the protocol from the credential and the
// request.
struct CallContext {
  oauth::PrincipalPtr principal;
  std::optional<std::string> app;  // /mcp/{app}: only this app's tools
  // What the session, or the modern request, works with; null: everything that the caller may use.
  std::shared_ptr<const ToolSelection> selection;
  std::string request_id;
  std::string run_id;  // of an agent run, else empty
  std::string traceparent;
  std::stop_token stop;          // requested when the call is cancelled
  bool keep_results = false;     // the caller can read what is kept of a result that is cut (result_keeper.h)
  bool resource_links = false;   // and knows links in results: from 2025-06-18 on
  bool icons = false;            // definitions may have icons: from 2025-11-25 on
  bool url_elicitation = false;  // the client can be asked to open a URL
  // Progress to the caller, when it asked for it: (done, total, message).
  std::function<core::Task<>(double, std::optional<double>, std::string)> progress;
  // Log messages to the caller, when it asked for them: (level, logger, JSON text). The level filter is the
  // protocol's.
  std::function<core::Task<>(std::string, std::string, std::string)> log;
  // Ends the answer's event stream while the call goes on, so that the client polls for the result; does
  // nothing where the client cannot resume (only legacy sessions from 2025-11-25 on can).
  std::function<core::Task<>()> release_stream;
  ClientAbilities client;
  // Set when this call repeats one that ended with InputRequired: the client's answers by key (an object;
  // untrusted, keys may be missing, wrong or unknown), and the state that was handed out (authentic: sealed
  // by the protocol for this caller, tool and arguments).
  std::shared_ptr<const core::Json> input_responses;
  std::string input_state;
  // A turn of a task (mcp/tasks): nobody waits for it, and what has to wait may do so for long.
  bool in_task = false;
  bool resumed = false;  // the node that ran this turn before died on the way
  // In a task, called before the tool does what must not be done twice. Throws when it must not be done now.
  std::function<core::Task<>()> before_act;
};

enum class ToolOutcome {
  Done,           // result_json is the CallToolResult
  ToolError,      // the same, with isError
  NotConnected,   // result_json is a CallToolResult with isError and the way to connect; connect_url is set
  Unknown,        // no such tool for this caller: unknown and not granted look the same
  InputRequired,  // input_requests_json says what the client is to be asked; the call is then repeated
  ProtocolError,  // the whole request fails with error_code (JSON-RPC) and `message`
  TaskRequired,   // only a client that takes tasks can be served
};

// The call can go on later, and not before. For a client that takes tasks it becomes one: the door is called
// again with `state` as its input_state. Any other client gets the result as it stands.
struct ToolWait {
  std::string state;
  std::optional<core::Time> until;           // when to go on,
  std::chrono::milliseconds after{0};        // or how long from now
  std::optional<core::ApprovalId> approval;  // or as soon as it is decided
  std::string message;                       // for people: what it waits for
};

struct ToolCallResult {
  ToolOutcome outcome = ToolOutcome::Done;
  std::string result_json;  // CallToolResult without resultType:
                            // {"content":[...],"structuredContent":...,"isError":...}
  std::string connect_url;
  std::string message;  // the text of an outcome that is not Done
  // The stable code of such an outcome: "not_connected", "denied", "approval_required", ...
  std::string code;
  // {"<key>": {"method": "elicitation/create"|"sampling/createMessage"|"roots/list", "params": {...}}}. In
  // the legacy protocol the same is asked with real requests. "" when only the state matters.
  std::string input_requests_json;
  std::string input_state;  // plain; the protocol seals it
  int error_code = 0;
  bool outcome_unknown = false;  // a ToolError, and a change may have been made all the same
  std::optional<ToolWait> wait;
};

class ToolDoor {
 public:
  virtual ~ToolDoor() = default;
  virtual core::Task<std::shared_ptr<const ToolList>> list(CallContext context) = 0;
  // `arguments` is an object (or null for none). Never throws for what a tool did; throws core::Error for our
  // faults.
  virtual core::Task<ToolCallResult> call(CallContext context, std::string name, core::Json arguments) = 0;
  // The names in `context.selection` that are no tools or toolsets here, also of apps that the caller cannot
  // use.
  virtual core::Task<std::vector<std::string>> unknown_names(CallContext /*context*/) {
    co_return std::vector<std::string>();
  }
  // The mirrored arguments of a tool; by name only, so that it costs nothing on tools that have none.
  virtual const std::vector<MirroredArgument>* mirrored(const std::string& /*name*/) const { return nullptr; }
};

}  // namespace assistiv::mcp
