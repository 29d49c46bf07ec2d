#include "support/mcp_world.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "core/json_read.h"
#include "mcp/tools/tool_selection.h"

namespace assistiv::test {

namespace {

constexpr std::chrono::seconds kPatience{10};

core::Task<McpReply> serve(mcp::Endpoint* endpoint, core::HttpRequest request, oauth::PrincipalPtr who,
                           std::optional<std::string> app, std::stop_source connection, bool sse = false) {
  core::HttpReply reply =
      co_await (sse ? endpoint->handle_sse(std::move(request), std::move(who))
                    : endpoint->handle(std::move(request), std::move(who), std::move(app)));
  McpReply out;
  out.status = reply.status;
  out.headers = std::move(reply.headers);
  out.connection = connection;
  if (!reply.stream) {
    out.body = std::move(reply.body);
    co_return out;
  }
  out.events = std::make_shared<EventTap>();
  if (!reply.body.empty()) co_await out.events->write(std::move(reply.body));
  auto settled = std::make_shared<std::promise<void>>();
  out.events->done = settled->get_future();
  // The writer runs on while the test reads.
  boost::asio::co_spawn(co_await core::current_executor(), reply.stream(out.events),
                        [settled](std::exception_ptr) { settled->set_value(); });
  co_return out;
}

}  // namespace

Json Event::json() const {
  return Json::parse(data);
}

core::Task<bool> EventTap::write(std::string bytes) {
  while (held()) co_await released_.wait_for(kPatience);
  {
    std::lock_guard lock(mutex_);
    if (gone_) co_return false;
    bytes_ += bytes;
    unread_ += bytes;
    while (parse_one()) {
    }
  }
  changed_.notify_all();
  co_return true;
}

bool EventTap::parse_one() {
  const auto end = unread_.find("\n\n");
  if (end == std::string::npos) return false;
  Event event;
  bool any = false;
  std::size_t at = 0;
  while (at < end) {
    const auto line_end = std::min(unread_.find('\n', at), end);
    const std::string line = unread_.substr(at, line_end - at);
    at = line_end + 1;
    if (line.starts_with(":")) {
      ++comments_;
      continue;
    }
    any = true;
    if (line.starts_with("id: ")) event.id = line.substr(4);
    if (line.starts_with("data: ")) event.data += line.substr(6);
    if (line.starts_with("retry: ")) event.retry = std::stoi(line.substr(7));
  }
  unread_.erase(0, end + 2);
  if (any) events_.push_back(std::move(event));
  return true;
}

Event EventTap::next() {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_for(lock, kPatience, [this] { return !events_.empty(); })) {
    ADD_FAILURE() << "no event came";
    return {};
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Json EventTap::next_message() {
  for (int i = 0; i < 100; ++i) {
    const Event event = next();
    if (!event.data.empty()) return event.json();
    if (testing::Test::HasFailure()) break;
  }
  return Json::object();
}

bool EventTap::wait_for_comment() {
  std::unique_lock lock(mutex_);
  const std::size_t before = comments_;
  return changed_.wait_for(lock, kPatience, [&] { return comments_ > before; });
}

bool EventTap::ended() {
  return done.wait_for(kPatience) == std::future_status::ready;
}

bool EventTap::held() {
  std::lock_guard lock(mutex_);
  return held_;
}

void EventTap::hold() {
  std::lock_guard lock(mutex_);
  held_ = true;
}

void EventTap::release() {
  {
    std::lock_guard lock(mutex_);
    held_ = false;
  }
  released_.set();
}

void EventTap::leave() {
  std::lock_guard lock(mutex_);
  gone_ = true;
}

std::string EventTap::written() {
  std::lock_guard lock(mutex_);
  return bytes_;
}

std::size_t EventTap::pending() {
  std::lock_guard lock(mutex_);
  return events_.size();
}

std::string McpReply::header(std::string_view name) const {
  return std::string(headers.get(name).value_or(""));
}

Json McpReply::json() const {
  if (!streamed()) return body.empty() ? Json() : Json::parse(body);
  for (int i = 0; i < 50; ++i) {
    const Json message = events->next_message();
    if (message.contains("result") || message.contains("error") || message.is_array()) return message;
    if (message.empty()) break;
  }
  return {};
}

void McpReply::leave() {
  if (events) events->leave();
  connection.request_stop();
}

void ScriptedTools::add(std::string name, Run run) {
  std::lock_guard lock(mutex_);
  tools_[std::move(name)] = std::move(run);
}

void ScriptedTools::set_list(std::vector<std::string> names, std::string etag,
                             const std::string& icons_json) {
  auto list = std::make_shared<mcp::ToolList>();
  for (auto& name : names) {
    std::string definition = R"({"name":")" + name + R"(","inputSchema":{"type":"object"}})";
    list->tools.push_back({.name = std::move(name), .definition_json = std::move(definition)});
    list->tools.back().icons_json = icons_json;
  }
  mcp::join_definitions(*list);
  list->etag = std::move(etag);
  std::lock_guard lock(mutex_);
  list_ = std::move(list);
}

void ScriptedTools::mirror(std::string tool, std::vector<mcp::MirroredArgument> arguments) {
  mirrored_[std::move(tool)] = std::move(arguments);
}

core::Task<std::shared_ptr<const mcp::ToolList>> ScriptedTools::list(mcp::CallContext) {
  std::lock_guard lock(mutex_);
  co_return list_ ? list_ : std::make_shared<mcp::ToolList>();
}

core::Task<mcp::ToolCallResult> ScriptedTools::call(mcp::CallContext context, std::string name,
                                                    Json arguments) {
  Run run;
  {
    std::lock_guard lock(mutex_);
    const auto it = tools_.find(name);
    if (it != tools_.end()) run = it->second;
  }
  if (!run) {
    mcp::ToolCallResult unknown;
    unknown.outcome = mcp::ToolOutcome::Unknown;
    co_return unknown;
  }
  co_return co_await run(std::move(context), std::move(arguments));
}

const std::vector<mcp::MirroredArgument>* ScriptedTools::mirrored(const std::string& name) const {
  const auto it = mirrored_.find(name);
  return it == mirrored_.end() ? nullptr : &it->second;
}

// What is in no list.
core::Task<std::vector<std::string>> ScriptedTools::unknown_names(mcp::CallContext context) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& name : context.selection->tools) {
    if (!tools_.contains(name)) out.push_back(name);
  }
  co_return out;
}

mcp::ToolCallResult text_answer(std::string text) {
  mcp::ToolCallResult result;
  result.result_json = Json{{"content", {{{"type", "text"}, {"text", std::move(text)}}}}}.dump();
  return result;
}

oauth::PrincipalPtr end_user(std::uint8_t platform, std::uint8_t user) {
  auto principal = std::make_shared<oauth::Principal>();
  principal->kind = oauth::PrincipalKind::EndUser;
  principal->platform_id.uuid.bytes[0] = platform;
  principal->end_user_id.emplace().uuid.bytes = {platform, user};
  principal->key_id.uuid.bytes = {platform, user, 1};
  return principal;
}

std::unique_ptr<oauth::Vault> test_vault(core::Random& random) {
  const auto path = std::filesystem::temp_directory_path() / ("vault_" + core::random_hex(random, 8));
  auto vault = oauth::Vault::open_file(path.string(), random);
  std::filesystem::remove(path);
  return vault;
}

McpNode::McpNode(IoThread& io, mcp::EndpointOptions options, mcp::Doors doors, mcp::EndpointWorld world)
    : io_(io), endpoint_(std::move(options), doors, std::move(world)) {}

McpNode::~McpNode() {
  endpoint_.stop();
  for (auto& stream : streams_) EXPECT_TRUE(stream->ended()) << "a stream outlives its endpoint";
}

McpReply McpNode::send(core::HttpRequest request, oauth::PrincipalPtr who, std::optional<std::string> app) {
  std::stop_source connection;
  request.gone = connection.get_token();
  auto reply = io_.run(serve(&endpoint_, std::move(request), std::move(who), std::move(app), connection));
  std::lock_guard lock(mutex_);
  if (reply.events) streams_.push_back(reply.events);
  return reply;
}

McpReply McpNode::send_sse(core::HttpRequest request, oauth::PrincipalPtr who) {
  std::stop_source connection;
  request.gone = connection.get_token();
  auto reply = io_.run(serve(&endpoint_, std::move(request), std::move(who), {}, connection, true));
  std::lock_guard lock(mutex_);
  if (reply.events) streams_.push_back(reply.events);
  return reply;
}

std::future<McpReply> McpNode::start(core::HttpRequest request, oauth::PrincipalPtr who,
                                     std::stop_source connection) {
  request.gone = connection.get_token();
  return io_.start(serve(&endpoint_, std::move(request), std::move(who), {}, connection));
}

McpWorld::McpWorld(mcp::EndpointOptions options)
    : vault(test_vault(random)),
      sessions(clock, std::chrono::hours(24)),
      tasks(clock),
      node(io, std::move(options), {.tools = tools, .logging = mcp::LogSupport::Yes, .tasks = &tasks},
           {sessions, *vault, clock, random}),
      runner({tasks, tools, clock, random}) {
  tasks.announce_to([this](std::string_view topic, std::string_view payload) {
    node.endpoint().on_notify(topic, payload);
    runner.on_notify(topic, payload);
  });
  sessions.announce_to([this](std::string_view topic, std::string_view payload) {
    node.endpoint().on_notify(topic, payload);
  });
  tools.set_list({"echo"}, "one");
}

McpWorld::~McpWorld() {
  runner.stop();
  node.endpoint().stop();
}

core::HttpRequest McpWorld::request(std::string method, std::string body, Fields headers) {
  core::HttpRequest out;
  out.method = std::move(method);
  out.path = "/mcp";
  out.body = std::move(body);
  out.request_id = "req_test";
  const auto given = [&](std::string_view name) {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const auto& field) { return core::equals_ignore_case(field.first, name); });
  };
  if (!given("host")) out.headers.add("host", "localhost:8080");
  if (out.method == "POST" && !given("content-type")) out.headers.add("content-type", "application/json");
  if (!given("accept")) out.headers.add("accept", "application/json, text/event-stream");
  for (auto& [name, value] : headers) {
    if (value != "-") out.headers.add(name, value);  // "-" leaves a default header out
  }
  return out;
}

McpReply McpWorld::post_text(std::string body, Fields headers) {
  return node.send(request("POST", std::move(body), std::move(headers)), caller);
}

McpReply McpWorld::post(const Json& message, Fields headers) {
  return post_text(message.dump(), std::move(headers));
}

McpReply McpWorld::get(Fields headers) {
  return node.send(request("GET", "", std::move(headers)), caller);
}

McpReply McpWorld::del(Fields headers) {
  return node.send(request("DELETE", "", std::move(headers)), caller);
}

Json McpWorld::modern_message(const std::string& method, Json params, Json capabilities) {
  Json& meta = params["_meta"];
  if (!meta.contains("io.modelcontextprotocol/protocolVersion")) {
    meta["io.modelcontextprotocol/protocolVersion"] = kModern;
  }
  meta["io.modelcontextprotocol/clientCapabilities"] = std::move(capabilities);
  return {{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}};
}

Fields McpWorld::modern_headers(const std::string& method, const Json& params) {
  Fields out = {{"mcp-protocol-version", kModern}, {"mcp-method", method}};
  for (const char* member : {"name", "taskId"}) {
    if (params.contains(member) && params.at(member).is_string())
      out.emplace_back("mcp-name", params.at(member).get<std::string>());
  }
  return out;
}

McpReply McpWorld::modern(const std::string& method, Json params, Fields headers, Json capabilities) {
  Fields all = modern_headers(method, params);
  std::erase_if(all, [&](const auto& field) {
    return std::any_of(headers.begin(), headers.end(),
                       [&](const auto& own) { return own.first == field.first; });
  });
  all.insert(all.end(), headers.begin(), headers.end());
  return post(modern_message(method, std::move(params), std::move(capabilities)), std::move(all));
}

McpReply McpWorld::legacy(const std::string& method, Json params, Fields headers) {
  return post({{"jsonrpc", "2.0"}, {"id", 1}, {"method", method}, {"params", std::move(params)}},
              std::move(headers));
}

Fields McpWorld::open_session(const std::string& version, Json capabilities) {
  const auto reply = legacy("initialize", {{"protocolVersion", version},
                                           {"capabilities", std::move(capabilities)},
                                           {"clientInfo", {{"name", "test"}, {"version", "1"}}}});
  EXPECT_EQ(reply.status, 200);
  return {{"mcp-session-id", reply.header("mcp-session-id")}, {"mcp-protocol-version", version}};
}

}  // namespace assistiv::test
