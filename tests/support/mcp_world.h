#pragma once
// An MCP endpoint without HTTP: requests in, replies and events out, a tool door that the test scripts.
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/http.h"
#include "core/random.h"
#include "mcp/protocol/endpoint.h"
#include "mcp/sessions/memory_session_store.h"
#include "mcp/tasks/memory_task_store.h"
#include "mcp/tasks/task_runner.h"
#include "support/manual_clock.h"
#include "support/run_task.h"

namespace assistiv::test {

using core::Json;

// One server-sent event as a client reads it.
struct Event {
  std::string id, data;
  std::optional<int> retry;
  Json json() const;
};

// The client's end of an event stream.
class EventTap final : public core::EventSink {
 public:
  core::Task<bool> write(std::string bytes) override;
  // The next event, comments left out; fails the test after a few seconds without one.
  Event next();
  // The next event with data, as JSON.
  Json next_message();
  bool wait_for_comment();
  // Waits for the server to end the stream; false when it does not.
  bool ended();
  // Between the two the server's writes do not return: a client that does not read.
  void hold();
  void release();
  // From now on the server's writes fail, as after a closed connection.
  void leave();
  std::string written();
  // All events so far that next() has not taken.
  std::size_t pending();

  std::future<void> done;  // of the server's writer

 private:
  bool parse_one();
  bool held();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string bytes_, unread_;
  std::deque<Event> events_;
  std::size_t comments_ = 0;
  bool held_ = false;
  core::AsyncEvent released_;
  bool gone_ = false;
};

struct McpReply {
  int status = 0;
  core::HttpHeaders headers;
  std::string body;
  std::shared_ptr<EventTap> events;  // null for a plain reply
  std::stop_source connection;

  bool streamed() const { return events != nullptr; }
  std::string header(std::string_view name) const;
  // The body, or the one event with an answer.
  Json json() const;
  int error_code() const { return json().at("error").at("code").get<int>(); }
  // The client closes the connection.
  void leave();
};

// A door whose tools are functions.
class ScriptedTools final : public mcp::ToolDoor {
 public:
  using Run = std::function<core::Task<mcp::ToolCallResult>(mcp::CallContext, Json)>;
  void add(std::string name, Run run);
  void set_list(std::vector<std::string> names, std::string etag, const std::string& icons_json = {});
  void mirror(std::string tool, std::vector<mcp::MirroredArgument> arguments);

  core::Task<std::shared_ptr<const mcp::ToolList>> list(mcp::CallContext context) override;
  core::Task<mcp::ToolCallResult> call(mcp::CallContext context, std::string name, Json arguments) override;
  const std::vector<mcp::MirroredArgument>* mirrored(const std::string& name) const override;
  core::Task<std::vector<std::string>> unknown_names(mcp::CallContext context) override;

 private:
  std::mutex mutex_;
  std::map<std::string, Run> tools_;
  std::map<std::string, std::vector<mcp::MirroredArgument>> mirrored_;
  std::shared_ptr<const mcp::ToolList> list_;
};

mcp::ToolCallResult text_answer(std::string text);
oauth::PrincipalPtr end_user(std::uint8_t platform, std::uint8_t user);
std::unique_ptr<oauth::Vault> test_vault(core::Random& random);

inline constexpr const char* kModern = "2026-07-28";
inline constexpr const char* kLegacy = "2025-11-25";

using Fields = std::vector<std::pair<std::string, std::string>>;

// One node: an endpoint that runs on `io`, which must outlive all that the endpoint works with.
class McpNode {
 public:
  McpNode(IoThread& io, mcp::EndpointOptions options, mcp::Doors doors, mcp::EndpointWorld world);
  ~McpNode();  // ends all streams

  McpReply send(core::HttpRequest request, oauth::PrincipalPtr who, std::optional<std::string> app = {});
  // Over the transport of 2024-11-05.
  McpReply send_sse(core::HttpRequest request, oauth::PrincipalPtr who);
  std::future<McpReply> start(core::HttpRequest request, oauth::PrincipalPtr who,
                              std::stop_source connection = {});
  mcp::Endpoint& endpoint() { return endpoint_; }

 private:
  IoThread& io_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<EventTap>> streams_;
  mcp::Endpoint endpoint_;
};

// A world with one node, sessions in memory, and a caller.
class McpWorld {
 public:
  explicit McpWorld(mcp::EndpointOptions options = {});
  ~McpWorld();

  McpReply post(const Json& message, Fields headers = {});
  McpReply post_text(std::string body, Fields headers = {});
  McpReply get(Fields headers);
  McpReply del(Fields headers);
  // A well-formed modern request.
  McpReply modern(const std::string& method, Json params = Json::object(), Fields headers = {},
                  Json capabilities = Json::object());
  // A bare legacy request, or one of a session when the headers name it.
  McpReply legacy(const std::string& method, Json params = Json::object(), Fields headers = {});
  // The headers of a new session.
  Fields open_session(const std::string& version = kLegacy, Json capabilities = Json::object());
  static Json modern_message(const std::string& method, Json params, Json capabilities = Json::object());
  static core::HttpRequest request(std::string method, std::string body, Fields headers);
  static Fields modern_headers(const std::string& method, const Json& params);

  IoThread io;
  ManualClock clock;
  core::SystemRandom random;
  std::unique_ptr<oauth::Vault> vault;
  ScriptedTools tools;
  mcp::MemorySessionStore sessions;
  mcp::MemoryTaskStore tasks;
  McpNode node;
  mcp::TaskRunner runner;  // runs nothing until it is started
  oauth::PrincipalPtr caller = end_user(1, 1);
};

}  // namespace assistiv::test
