#include "support/scripted_upstream.h"

#include "core/task.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

namespace assistiv::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr std::size_t kReadBytes = 2048;
constexpr std::chrono::seconds kUpstreamPatience{10};

struct Happy {
  std::string whole;
  std::vector<std::string> events;  // of a stream
};

std::string data(const std::string& json) {
  return "data: " + json + "\n\n";
}
std::string event(const std::string& name, const std::string& json) {
  return "event: " + name + "\n" + data(json);
}

Happy happy_chat(std::size_t tokens) {
  const std::string head =
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"mock",)";
  const std::string usage = R"("usage":{"prompt_tokens":10,"completion_tokens":)" + std::to_string(tokens) +
                            R"(,"total_tokens":)" + std::to_string(tokens + 10) + "}}";
  Happy happy;
  happy.whole =
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"mock","choices":[{"index":0,)"
      R"("message":{"role":"assistant","content":"Hello there."},"finish_reason":"stop"}],)" +
      usage;
  happy.events.push_back(data(
      head + R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]})"));
  for (std::size_t i = 0; i < tokens; ++i)
    happy.events.push_back(
        data(head + R"("choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]})"));
  happy.events.push_back(data(head + R"("choices":[{"index":0,"delta":{},"finish_reason":"stop"}]})"));
  happy.events.push_back(data(head + R"("choices":[],)" + usage) + data("[DONE]"));
  return happy;
}

Happy happy_anthropic(std::size_t tokens) {
  Happy happy;
  const std::string count = std::to_string(tokens);
  happy.whole =
      R"({"id":"msg_1","type":"message","role":"assistant","model":"mock","content":[{"type":"text",)"
      R"("text":"Hello there."}],"stop_reason":"end_turn","stop_sequence":null,)"
      R"("usage":{"input_tokens":10,"output_tokens":)" +
      count + "}}";
  happy.events.push_back(
      event("message_start",
            R"({"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant",)"
            R"("model":"mock","content":[],"stop_reason":null,"stop_sequence":null,)"
            R"("usage":{"input_tokens":10,"output_tokens":1}}})"));
  happy.events.push_back(event("content_block_start", R"({"type":"content_block_start","index":0,)"
                                                      R"("content_block":{"type":"text","text":""}})"));
  for (std::size_t i = 0; i < tokens; ++i)
    happy.events.push_back(event("content_block_delta", R"({"type":"content_block_delta","index":0,)"
                                                        R"("delta":{"type":"text_delta","text":"word "}})"));
  happy.events.push_back(event("content_block_stop", R"({"type":"content_block_stop","index":0})"));
  happy.events.push_back(
      event("message_delta",
            R"({"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},)"
            R"("usage":{"output_tokens":)" +
                count + "}}") +
      event("message_stop", R"({"type":"message_stop"})"));
  return happy;
}

Happy happy_gemini(std::size_t tokens) {
  const auto piece = [](const std::string& text, const std::string& rest) {
    return R"({"candidates":[{"content":{"role":"model","parts":[{"text":")" + text + R"("}]},"index":0)" +
           rest + R"(,"modelVersion":"mock"})";
  };
  const std::string end = R"(,"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":10,)"
                          R"("candidatesTokenCount":)" +
                          std::to_string(tokens) + R"(,"totalTokenCount":)" + std::to_string(tokens + 10) +
                          "}";
  Happy happy;
  happy.whole = piece("Hello there.", end);
  for (std::size_t i = 1; i < tokens; ++i) happy.events.push_back(data(piece("word ", "}]")));
  happy.events.push_back(data(piece("end.", end)));
  return happy;
}

Happy happy_responses(std::size_t tokens) {
  const std::string usage = R"("usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},)"
                            R"("output_tokens":)" +
                            std::to_string(tokens) +
                            R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)" +
                            std::to_string(tokens + 10) + "}";
  const std::string item = R"({"type":"message","id":"msg_1","status":"completed","role":"assistant",)"
                           R"("content":[{"type":"output_text","text":"Hello there.","annotations":[]}]})";
  const std::string base = R"({"id":"resp_1","object":"response","created_at":1,"model":"mock","status":")";
  const std::string whole = base + R"(completed","output":[)" + item + "]," + usage + "}";
  std::size_t number = 0;
  const auto say = [&](const std::string& name, const std::string& rest) {
    return event(name,
                 R"({"type":")" + name + R"(","sequence_number":)" + std::to_string(number++) + rest + "}");
  };
  Happy happy;
  happy.whole = whole;
  happy.events.push_back(say("response.created", R"(,"response":)" + base + R"(in_progress","output":[]})"));
  happy.events.push_back(
      say("response.output_item.added",
          R"(,"output_index":0,"item":{"type":"message","id":"msg_1","status":"in_progress",)"
          R"("role":"assistant","content":[]})"));
  happy.events.push_back(say("response.content_part.added",
                             R"(,"item_id":"msg_1","output_index":0,"content_index":0,)"
                             R"("part":{"type":"output_text","text":"","annotations":[]})"));
  for (std::size_t i = 0; i < tokens; ++i)
    happy.events.push_back(say("response.output_text.delta",
                               R"(,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"word ")"));
  happy.events.push_back(say("response.output_item.done", R"(,"output_index":0,"item":)" + item));
  happy.events.push_back(say("response.completed", R"(,"response":)" + whole));
  return happy;
}

Happy happy_for(const std::string& path, std::size_t tokens) {
  if (path.find("/messages") != std::string::npos) return happy_anthropic(tokens);
  if (path.find("enerateContent") != std::string::npos) return happy_gemini(tokens);
  if (path.find("/responses") != std::string::npos) return happy_responses(tokens);
  if (path.find("/embeddings") != std::string::npos)
    return {
        R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"model":"mock",)"
        R"("usage":{"prompt_tokens":4,"total_tokens":4}})",
        {}};
  return happy_chat(tokens);
}

bool wants_stream(const UpstreamSeen& seen) {
  return seen.target.find(":streamGenerateContent") != std::string::npos ||
         seen.body.find("\"stream\":true") != std::string::npos ||
         seen.body.find("\"stream\": true") != std::string::npos;
}

std::string chunk(const std::string& bytes) {
  char size[20];
  const auto end = std::to_chars(size, size + sizeof(size), bytes.size(), 16).ptr;
  return std::string(size, end) + "\r\n" + bytes + "\r\n";
}

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

// Head and body out of `in`, when they are whole.
std::optional<UpstreamSeen> take_request(std::string& in) {
  const auto head_end = in.find("\r\n\r\n");
  if (head_end == std::string::npos) return {};
  UpstreamSeen seen;
  const std::string_view head(in.data(), head_end + 2);
  const auto line_end = head.find("\r\n");
  const auto first = head.find(' '), second = head.find(' ', first + 1);
  seen.method = head.substr(0, first);
  seen.target = head.substr(first + 1, second - first - 1);
  for (std::size_t at = line_end + 2; at < head.size();) {
    const auto end = head.find("\r\n", at);
    const auto line = head.substr(at, end - at);
    const auto colon = line.find(':');
    if (colon != std::string_view::npos)
      seen.headers.add(
          std::string(line.substr(0, colon)),
          std::string(line.substr(std::min(line.find_first_not_of(' ', colon + 1), line.size()))));
    at = end + 2;
  }
  std::size_t length = 0;
  if (const auto text = seen.headers.get("content-length"))
    std::from_chars(text->data(), text->data() + text->size(), length);
  if (in.size() < head_end + 4 + length) return {};
  seen.body = in.substr(head_end + 4, length);
  in.erase(0, head_end + 4 + length);
  return seen;
}

}  // namespace

struct ScriptedUpstream::State {
  State(std::uint16_t port, UpstreamPace the_pace, bool remembers)
      : pace(the_pace),
        remember(remembers),
        acceptor(context, tcp::endpoint(asio::ip::address_v4::loopback(), port)) {}

  const UpstreamPace pace;
  const bool remember;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::map<std::string, std::deque<WireReply>> scripted;
  std::vector<UpstreamSeen> seen;
  std::size_t accepted = 0;
  std::size_t open = 0;
  // Last: the coroutines that it destroys use what stands above.
  asio::io_context context{1};
  tcp::acceptor acceptor;
  std::jthread thread;

  std::optional<WireReply> next_reply(const UpstreamSeen& request) {
    std::lock_guard lock(mutex);
    if (remember) seen.push_back(request);
    const auto found = scripted.find(request.target.substr(0, request.target.find('?')));
    if (found == scripted.end() || found->second.empty()) return {};
    auto reply = std::move(found->second.front());
    found->second.pop_front();
    return reply;
  }

  static core::Task<> accept(State* state);
  static core::Task<> serve(State* state, std::shared_ptr<tcp::socket> socket, std::size_t number);
  static core::Task<bool> send(std::shared_ptr<tcp::socket> socket, std::string bytes);
  static core::Task<bool> send_wire(State* state, std::shared_ptr<tcp::socket> socket, WireReply reply);
  static core::Task<bool> send_happy(State* state, std::shared_ptr<tcp::socket> socket, UpstreamSeen request);
  static core::Task<> sleep(State* state, std::chrono::milliseconds time);
};

core::Task<> ScriptedUpstream::State::sleep(State* state, std::chrono::milliseconds time) {
  if (time.count() == 0) co_return;
  asio::steady_timer timer(state->context, time);
  error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

core::Task<bool> ScriptedUpstream::State::send(std::shared_ptr<tcp::socket> socket, std::string bytes) {
  error_code error;
  co_await asio::async_write(*socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

core::Task<bool> ScriptedUpstream::State::send_wire(State* state, std::shared_ptr<tcp::socket> socket,
                                                    WireReply reply) {
  co_await sleep(state, reply.first_delay);
  const std::size_t step = reply.piece_bytes ? reply.piece_bytes : reply.bytes.size();
  std::string piece;
  for (std::size_t at = 0; at < reply.bytes.size(); at += step) {
    if (at > 0) co_await sleep(state, reply.pause);
    piece = reply.bytes.substr(at, step);
    if (!co_await send(socket, piece)) co_return false;
  }
  while (reply.endless) {
    co_await sleep(state, reply.pause);
    if (!co_await send(socket, piece)) co_return false;
  }
  error_code ignored;
  if (reply.hang) {
    char byte = 0;
    co_await socket->async_read_some(asio::buffer(&byte, 1),
                                     asio::redirect_error(asio::use_awaitable, ignored));
    co_return false;
  }
  if (reply.reset) socket->set_option(asio::socket_base::linger(true, 0), ignored);
  co_return !reply.reset && !reply.close;
}

core::Task<bool> ScriptedUpstream::State::send_happy(State* state, std::shared_ptr<tcp::socket> socket,
                                                     UpstreamSeen request) {
  const auto happy = happy_for(request.target, state->pace.tokens);
  if (!wants_stream(request)) co_return co_await send(socket, wire_json(200, happy.whole).bytes);
  if (state->pace.per_token.count() == 0) co_return co_await send(socket, wire_stream(happy.events).bytes);
  if (!co_await send(socket, std::string(kStreamHead))) co_return false;
  for (const auto& one : happy.events) {
    if (!co_await send(socket, chunk(one))) co_return false;
    co_await sleep(state, state->pace.per_token);
  }
  co_return co_await send(socket, "0\r\n\r\n");
}

core::Task<> ScriptedUpstream::State::serve(State* state, std::shared_ptr<tcp::socket> socket,
                                            std::size_t number) {
  std::string in;
  for (bool alive = true; alive;) {
    if (auto request = take_request(in)) {
      request->connection = number;
      if (auto reply = state->next_reply(*request)) {
        alive = co_await send_wire(state, socket, *std::move(reply));
      } else {
        alive = co_await send_happy(state, socket, *std::move(request));
      }
      continue;
    }
    const std::size_t size = in.size();
    in.resize(size + kReadBytes);
    error_code error;
    const auto got = co_await socket->async_read_some(asio::buffer(in.data() + size, kReadBytes),
                                                      asio::redirect_error(asio::use_awaitable, error));
    in.resize(size + got);
    alive = !error;
  }
  error_code ignored;
  socket->close(ignored);
  std::lock_guard lock(state->mutex);
  --state->open;
  state->changed.notify_all();
}

core::Task<> ScriptedUpstream::State::accept(State* state) {
  while (true) {
    error_code error;
    auto socket = std::make_shared<tcp::socket>(state->context);
    co_await state->acceptor.async_accept(*socket, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    socket->set_option(tcp::no_delay(true), error);
    std::size_t number = 0;
    {
      std::lock_guard lock(state->mutex);
      number = ++state->accepted;
      ++state->open;
    }
    asio::co_spawn(state->context, serve(state, std::move(socket), number), [](std::exception_ptr) {});
  }
}

ScriptedUpstream::ScriptedUpstream(std::uint16_t port, UpstreamPace pace, bool remember)
    : state_(std::make_shared<State>(port, pace, remember)) {
  asio::co_spawn(state_->context, State::accept(state_.get()), [](std::exception_ptr) {});
  state_->thread = std::jthread([state = state_.get()] { state->context.run(); });
}

ScriptedUpstream::~ScriptedUpstream() {
  state_->context.stop();
  state_->thread.join();
}

std::uint16_t ScriptedUpstream::port() const {
  return state_->acceptor.local_endpoint().port();
}

std::string ScriptedUpstream::url(std::string_view path) const {
  return "http://127.0.0.1:" + std::to_string(port()) + std::string(path);
}

void ScriptedUpstream::next(const std::string& path, WireReply reply) {
  std::lock_guard lock(state_->mutex);
  state_->scripted[path].push_back(std::move(reply));
}

std::vector<UpstreamSeen> ScriptedUpstream::requests() const {
  std::lock_guard lock(state_->mutex);
  return state_->seen;
}

std::size_t ScriptedUpstream::connections() const {
  std::lock_guard lock(state_->mutex);
  return state_->accepted;
}

bool ScriptedUpstream::wait_until_closed() const {
  std::unique_lock lock(state_->mutex);
  return state_->changed.wait_for(lock, kUpstreamPatience, [&] { return state_->open == 0; });
}

WireReply wire_json(int status, const std::string& body, const std::string& headers) {
  WireReply reply;
  reply.bytes = "HTTP/1.1 " + std::to_string(status) + " X\r\ncontent-type: application/json\r\n" + headers +
                "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  return reply;
}

WireReply wire_stream(const std::vector<std::string>& chunks) {
  WireReply reply;
  reply.bytes = kStreamHead;
  for (const auto& one : chunks) reply.bytes += chunk(one);
  reply.bytes += "0\r\n\r\n";
  return reply;
}

}  // namespace assistiv::test
