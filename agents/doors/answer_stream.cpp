#include "agents/doors/answer_stream.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agents/doors/agent_door.h"

namespace assistiv::agents {

namespace {

// A message, or [message, metadata].
const core::Json& message_of(const core::Json& data) {
  return data.is_array() && !data.empty() ? data.front() : data;
}

std::string text_of_event(const RunEvent& event) {
  const auto& message = message_of(event.data);
  if (!message.is_object()) return {};
  const auto type = message.value("type", core::Json());
  if (type != "ai" && type != "AIMessageChunk") return {};
  return text_of_content(message.value("content", core::Json()));
}

}  // namespace

AnswerStream::AnswerStream(const Graph& graph) {
  const auto key = messages_key(graph);
  for (const auto& node : graph.nodes) {
    const auto written = written_keys(graph, node);
    if (!key.empty() && std::find(written.begin(), written.end(), key) != written.end())
      nodes_.insert(node.id);
  }
}

std::string AnswerStream::feed(const RunEvent& event) {
  if (event.method != "messages" || !event.ns.empty() || !nodes_.contains(event.node)) return {};
  return event.seq == 0 ? piece(event) : complete(event);
}

std::string AnswerStream::finish(const std::string& answer) {
  if (answer.empty() || answer == last_) return {};
  if (!open_.empty() && answer.starts_with(open_)) return answer.substr(open_.size());
  if (!open_.empty() || !last_.empty()) break_ = true;
  return show(answer);
}

std::string AnswerStream::show(const std::string& text) {
  return (std::exchange(break_, false) ? "\n\n" : "") + text;
}

// While one speaks, what others say at the same time waits until it is whole.
std::string AnswerStream::piece(const RunEvent& event) {
  const auto text = text_of_event(event);
  if (text.empty() || (!speaker_.empty() && speaker_ != event.node)) return {};
  speaker_ = event.node;
  open_ += text;
  return show(text);
}

std::string AnswerStream::complete(const RunEvent& event) {
  const auto text = text_of_event(event);
  if (speaker_ == event.node) {
    speaker_.clear();
    const auto shown = std::exchange(open_, {});
    if (text.empty()) return {};
    last_ = text;
    const auto rest = text.starts_with(shown) ? show(text.substr(shown.size())) : std::string();
    break_ = true;
    return rest;
  }
  // Another one is in the middle of a message: this one is whole in the thread, and the answer comes anyway.
  if (text.empty() || !speaker_.empty()) return {};
  last_ = text;
  auto out = show(text);
  break_ = true;
  return out;
}

}  // namespace assistiv::agents
