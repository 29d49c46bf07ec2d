#pragma once
// The methods of the protocol as one table. A method runs in either era or in both, needs a door or not, and
// says whether its answer may become a stream. `initialize` and `subscriptions/listen` are not here: they
// make sessions and streams, and belong to their transports (legacy_post.cpp, listen_stream.cpp).
#include <span>
#include <string_view>

#include "mcp/protocol/call.h"
#include "mcp/protocol/doors.h"

namespace assistiv::mcp {

enum class Eras : unsigned { Legacy = 1, Modern = 2, Both = 3 };
enum class Streams { Never, May };

struct Method {
  std::string_view name;
  Eras eras;
  Streams streams;
  bool (*offered)(const Doors& doors);
  core::Task<Reply> (*run)(CallPtr call);
};

std::span<const Method> all_methods();
// Null when the endpoint does not have it in that era.
const Method* find_method(std::string_view name, Version version, const Doors& doors);

// Runs the method; whatever is thrown becomes a fault that is fit for the caller.
core::Task<Reply> run_method(CallPtr call, const Method* method);
Fault unknown_method(const Call& call);

// The runs of the table, by file.
core::Task<Reply> run_ping(CallPtr call);            // methods_core.cpp
core::Task<Reply> run_discover(CallPtr call);        //
core::Task<Reply> run_set_log_level(CallPtr call);   //
core::Task<Reply> run_complete(CallPtr call);        //
core::Task<Reply> run_list_tools(CallPtr call);      // methods_tools.cpp
core::Task<Reply> run_call_tool(CallPtr call);       //
core::Task<Reply> run_list_resources(CallPtr call);  // methods_content.cpp
core::Task<Reply> run_list_templates(CallPtr call);  //
core::Task<Reply> run_read_resource(CallPtr call);   //
core::Task<Reply> run_subscribe(CallPtr call);       //
core::Task<Reply> run_unsubscribe(CallPtr call);     //
core::Task<Reply> run_list_prompts(CallPtr call);    //
core::Task<Reply> run_get_prompt(CallPtr call);      //
core::Task<Reply> run_get_task(CallPtr call);        // methods_tasks.cpp
core::Task<Reply> run_update_task(CallPtr call);     //
core::Task<Reply> run_cancel_task(CallPtr call);     //

}  // namespace assistiv::mcp
