#include "api/wire/protocol_messages.h"

#include <utility>

#include "core/json_read.h"

namespace assistiv::api {

namespace {

using core::Json;

constexpr std::size_t kBlocksMax = 300;            // of one message; three events each
constexpr std::size_t kToldMax = 64;               // unfinished messages of one node
constexpr std::size_t kArgumentsTold = 16 * 1024;  // then the arguments of a call come with its end

std::string text_member(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json member(const Json& object, const char* name) {
  return object.is_object() ? object.value(name, Json()) : Json();
}

std::string role_of(const Json& message) {
  const auto type = text_member(message, "type");
  return type.starts_with("AIMessage") || type.empty() ? "ai" : type;
}

bool is_reasoning(const std::string& type) {
  return type == "reasoning" || type == "thinking";
}

std::string reasoning_text(const Json& block) {
  const auto text = text_member(block, "reasoning");
  return text.empty() ? text_member(block, "thinking") : text;
}

// Calls of tools stand in the content of some providers too; they are told from the message's own list.
bool is_tool_block(const std::string& type) {
  return type == "tool_use" || type == "tool_call" || type == "tool_call_chunk" ||
         type == "input_json_delta" || type == "function_call";
}

Json content_block(const Json& block) {
  const auto type = text_member(block, "type");
  if (type == "text") return {{"type", "text"}, {"text", text_member(block, "text")}};
  if (is_reasoning(type)) return {{"type", "reasoning"}, {"reasoning", reasoning_text(block)}};
  if (type == "image" || type == "audio" || type == "video" || type == "file") return block;
  return {{"type", "non_standard"}, {"value", block}};
}

void add_content(const Json& content, std::vector<Json>& out) {
  if (content.is_string() && !content.get_ref<const std::string&>().empty())
    out.push_back({{"type", "text"}, {"text", content}});
  if (!content.is_array()) return;
  for (const auto& block : content) {
    if (out.size() >= kBlocksMax) return;
    if (block.is_object() && !is_tool_block(text_member(block, "type"))) out.push_back(content_block(block));
  }
}

void add_calls(const Json& calls, const char* type, std::vector<Json>& out) {
  if (!calls.is_array()) return;
  for (const auto& call : calls) {
    if (out.size() >= kBlocksMax) return;
    if (!call.is_object()) continue;
    Json block = {{"type", type},
                  {"id", member(call, "id")},
                  {"name", member(call, "name")},
                  {"args", member(call, "args")}};
    if (std::string_view(type) == "invalid_tool_call") block["error"] = member(call, "error");
    out.push_back(std::move(block));
  }
}

bool is_call(const Json& block) {
  const auto type = text_member(block, "type");
  return type == "tool_call" || type == "tool_call_chunk" || type == "invalid_tool_call";
}

bool same_kind(const Json& told, const Json& final) {
  if (is_call(told) != is_call(final)) return false;
  if (!is_call(told)) return told["type"] == final["type"];
  return told["id"].is_null() || told["id"] == final["id"];
}

// How a block begins that is told at once: a call as the chunk that it would have come in.
Json opening(const Json& block) {
  if (!is_call(block)) return block;
  const auto& args = block["args"];
  return {{"type", "tool_call_chunk"},
          {"id", block["id"]},
          {"name", block["name"]},
          {"args", args.is_string() ? args : Json(core::dump_json(args))}};
}

// A call whose arguments are all there.
Json closing(const Json& block) {
  if (text_member(block, "type") != "tool_call_chunk") return block;
  const auto text = text_member(block, "args");
  auto args = Json::parse(text.empty() ? "{}" : text, nullptr, false);
  Json out = {{"type", "tool_call"}, {"id", block["id"]}, {"name", block["name"]}};
  if (args.is_object()) {
    out["args"] = std::move(args);
    return out;
  }
  out["type"] = "invalid_tool_call";
  out["args"] = text;
  out["error"] = "The arguments are no JSON object.";
  return out;
}

MessageEvent block_event(const std::string& id, std::size_t index, const char* what, const char* event,
                         Json content) {
  return {id + ":b" + std::to_string(index) + ":" + what,
          {{"event", event}, {"index", index}, {"content", std::move(content)}}};
}

MessageEvent block_start(const std::string& id, std::size_t index, Json content) {
  return block_event(id, index, "start", "content-block-start", std::move(content));
}

MessageEvent block_finish(const std::string& id, std::size_t index, Json content) {
  return block_event(id, index, "finish", "content-block-finish", std::move(content));
}

MessageEvent message_start(const std::string& id, const Json& message, const std::string& run_id) {
  Json data = {{"event", "message-start"},
               {"role", role_of(message)},
               {"id", text_member(message, "id")},
               {"metadata", {{"run_id", run_id}}}};
  for (const char* name : {"tool_call_id", "name"}) {
    if (const auto text = text_member(message, name); !text.empty()) data[name] = text;
  }
  return {id + ":start", std::move(data)};
}

MessageEvent message_finish(const std::string& id, const Json& message) {
  Json data = {{"event", "message-finish"}};
  if (auto usage = member(message, "usage_metadata"); usage.is_object()) data["usage"] = std::move(usage);
  if (auto more = member(message, "response_metadata"); more.is_object() && !more.empty())
    data["responseMetadata"] = std::move(more);
  return {id + ":finish", std::move(data)};
}

void add_from(std::size_t from, const std::string& id, const std::vector<Json>& blocks, const Json& message,
              std::vector<MessageEvent>& out) {
  for (std::size_t i = from; i < blocks.size(); ++i) {
    out.push_back(block_start(id, i, opening(blocks[i])));
    out.push_back(block_finish(id, i, blocks[i]));
  }
  out.push_back(message_finish(id, message));
}

}  // namespace

std::vector<Json> message_blocks(const Json& message) {
  std::vector<Json> out;
  const auto thought = text_member(
      member(message, "additional_kwargs").is_object() ? message["additional_kwargs"] : Json::object(),
      "reasoning_content");
  if (!thought.empty()) out.push_back({{"type", "reasoning"}, {"reasoning", thought}});
  add_content(member(message, "content"), out);
  add_calls(member(message, "tool_calls"), "tool_call", out);
  add_calls(member(message, "invalid_tool_calls"), "invalid_tool_call", out);
  return out;
}

void LiveMessages::begin_block(Open& open, Json block, int tool, std::vector<MessageEvent>& out) {
  if (!open.blocks.empty()) {
    out.push_back(block_finish(open.id, open.blocks.size() - 1, closing(open.blocks.back())));
    open.finished_any = true;
  }
  out.push_back(block_start(open.id, open.blocks.size(), block));
  open.blocks.push_back(std::move(block));
  open.tool_index.push_back(tool);
}

void LiveMessages::text(Open& open, const char* type, const std::string& delta,
                        std::vector<MessageEvent>& out) {
  if (delta.empty()) return;
  if (open.blocks.empty() || text_member(open.blocks.back(), "type") != type) {
    if (open.blocks.size() >= kBlocksMax) return;
    begin_block(open, {{"type", type}, {type, ""}}, -1, out);
  }
  auto& so_far = open.blocks.back()[type].get_ref<std::string&>();
  // By its place in the block: two streams, one of them opened later, name it alike.
  const auto at = std::to_string(open.content) + "." + std::to_string(so_far.size());
  so_far += delta;
  const auto index = open.blocks.size() - 1;
  const bool plain = std::string_view(type) == "text";
  out.push_back({open.id + ":b" + std::to_string(index) + ":" + (plain ? std::to_string(open.content) : at),
                 {{"event", "content-block-delta"},
                  {"index", index},
                  {"delta", {{"type", std::string(type) + "-delta"}, {type, delta}}}}});
  if (plain) open.content += delta.size();
}

void LiveMessages::tool_chunk(Open& open, const Json& chunk, std::vector<MessageEvent>& out) {
  const auto tool = member(chunk, "index").is_number_integer() ? chunk["index"].get<int>() : 0;
  const bool goes_on = !open.tool_index.empty() && open.tool_index.back() == tool;
  for (const int known : open.tool_index) {
    // Its block is finished: the rest comes with the whole message.
    if (known == tool && !goes_on) return;
  }
  if (!goes_on) {
    if (open.blocks.size() >= kBlocksMax) return;
    begin_block(open,
                {{"type", "tool_call_chunk"},
                 {"id", member(chunk, "id")},
                 {"name", member(chunk, "name")},
                 {"args", ""}},
                tool, out);
  }
  auto& block = open.blocks.back();
  for (const char* name : {"id", "name"}) {
    if (block[name].is_null()) block[name] = member(chunk, name);
  }
  const auto args = text_member(chunk, "args");
  if (args.empty()) return;
  block["args"].get_ref<std::string&>() += args;
  const auto index = open.blocks.size() - 1;
  if (block["args"].get_ref<const std::string&>().size() <= kArgumentsTold) {
    out.push_back({open.id + ":b" + std::to_string(index) + ":" + std::to_string(open.args),
                   {{"event", "content-block-delta"},
                    {"index", index},
                    {"delta", {{"type", "block-delta"}, {"fields", block}}}}});
  }
  open.args += args.size();
}

std::vector<MessageEvent> LiveMessages::piece(const std::string& place, const Json& chunk,
                                              const std::string& run_id) {
  std::vector<MessageEvent> out;
  const auto id = chunk.is_object() ? text_member(chunk, "id") : std::string();
  auto& told = told_[place];
  if (id.empty() || (!told.contains(id) && told.size() >= kToldMax)) return out;
  const auto is_open = open_.find(place);
  if (is_open != open_.end() && is_open->second != id) return out;
  const bool first = !told.contains(id);
  auto& open = told[id];
  if (open.cut_off || open.waiting) return out;
  const auto at = member(chunk, "langgraph");
  const auto content = at.is_object() ? at.value("content", open.content) : open.content;
  const auto args = at.is_object() ? at.value("args", open.args) : open.args;
  if (first) {
    open.id = id;
    open_[place] = id;
    // Of a message that is seen from the middle only its text has a place that is known.
    open.waiting = args > 0 || (content > 0 && !member(chunk, "tool_call_chunks").empty());
    open.gap = content > 0;
    if (open.waiting) return out;
    out.push_back(message_start(id, chunk, run_id));
  } else if (content != open.content || args != open.args) {
    open.gap = true;
  }
  open.content = content;
  open.args = args;
  text(open, "reasoning",
       text_member(
           member(chunk, "additional_kwargs").is_object() ? chunk["additional_kwargs"] : Json::object(),
           "reasoning_content"),
       out);
  const auto said = member(chunk, "content");
  if (said.is_string()) text(open, "text", said.get<std::string>(), out);
  if (said.is_array()) {
    for (const auto& block : said) {
      if (!block.is_object()) continue;
      const auto type = text_member(block, "type");
      if (type == "text") text(open, "text", text_member(block, "text"), out);
      if (is_reasoning(type)) text(open, "reasoning", reasoning_text(block), out);
    }
  }
  const auto chunks = member(chunk, "tool_call_chunks");
  if (chunks.is_array()) {
    for (const auto& one : chunks)
      if (one.is_object()) tool_chunk(open, one, out);
  }
  return out;
}

std::vector<MessageEvent> LiveMessages::whole(const std::string& place, const Json& message,
                                              const std::string& run_id) {
  std::vector<MessageEvent> out;
  const auto id = message.is_object() ? text_member(message, "id") : std::string();
  if (id.empty() || role_of(message) == "remove") return out;
  const auto blocks = message_blocks(message);
  auto& told = told_[place];
  const auto found = told.find(id);
  const bool was_told = found != told.end() && !found->second.waiting;
  Open open = found == told.end() ? Open{} : std::move(found->second);
  if (found != told.end()) told.erase(found);
  // Another one of this node is open: clients take what follows for its own, so it is told anew later.
  if (const auto other = open_.find(place); other != open_.end()) {
    if (other->second != id) told[other->second].cut_off = true;
    open_.erase(other);
  }
  if (told.empty()) told_.erase(place);
  if (!was_told) {
    out.push_back(message_start(id, message, run_id));
    add_from(0, id, blocks, message, out);
    return out;
  }
  bool fits = !open.cut_off && open.blocks.size() <= blocks.size() && !(open.gap && open.finished_any);
  for (std::size_t i = 0; fits && i < open.blocks.size(); ++i) fits = same_kind(open.blocks[i], blocks[i]);
  if (!fits) {
    out.push_back(message_start(id + ":again", message, run_id));
    add_from(0, id + ":again", blocks, message, out);
    return out;
  }
  if (!open.blocks.empty()) {
    const auto last = open.blocks.size() - 1;
    out.push_back(block_finish(id, last, blocks[last]));
  }
  add_from(open.blocks.size(), id, blocks, message, out);
  return out;
}

std::vector<LiveMessages::Abandoned> LiveMessages::give_up() {
  std::vector<Abandoned> out;
  for (const auto& [place, id] : open_) {
    if (told_[place][id].waiting) continue;
    out.push_back(
        {place, {id + ":error", {{"event", "error"}, {"message", "The message was not finished."}}}});
  }
  open_.clear();
  told_.clear();
  return out;
}

}  // namespace assistiv::api
