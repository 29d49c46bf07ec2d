#include "net/reply_head.h"

#include <algorithm>
#include <boost/beast/http/rfc7230.hpp>
#include <boost/beast/http/status.hpp>
#include <cstring>

#include "core/json.h"
#include "nlohmann/json.hpp"

namespace assistiv::net {

namespace {

bool is_edge_field(std::string_view name) {
  static constexpr std::string_view kNames[] = {"connection", "content-length", "date", "keep-alive",
                                                "transfer-encoding"};
  return std::any_of(std::begin(kNames), std::end(kNames),
                     [&](std::string_view one) { return core::equals_ignore_case(one, name); });
}

void field(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

std::string_view reason(int status) {
  const auto text =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(static_cast<unsigned>(status)));
  return {text.data(), text.size()};
}

void frame_fields(std::string& out, const core::HttpReply& reply, const ReplyFrame& frame) {
  if (frame.framing == Framing::Chunked) {
    field(out, "transfer-encoding", "chunked");
  } else if (frame.framing == Framing::Length && !bodiless(reply.status)) {
    field(out, "content-length", std::to_string(reply.body.size()));
  }
  if (frame.close) {
    field(out, "connection", "close");
  } else if (frame.keep_alive) {
    field(out, "connection", "keep-alive");
  }
}

void stream_fields(std::string& out, const core::HttpReply& reply) {
  const auto type = reply.headers.get("content-type");
  if (!type || !type->starts_with("text/event-stream")) return;
  if (!reply.headers.get("cache-control")) field(out, "cache-control", "no-cache");
  if (!reply.headers.get("x-accel-buffering")) field(out, "x-accel-buffering", "no");
}

}  // namespace

bool sendable(const core::HttpHeaders& headers) {
  return std::all_of(headers.fields().begin(), headers.fields().end(),
                     [](const core::HttpHeaders::Field& one) {
                       const auto& [name, value] = one;
                       return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
                         return boost::beast::http::detail::is_token_char(c);
                       }) && value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos;
                     });
}

bool bodiless(int status) {
  return status < 200 || status == 204 || status == 304;
}

std::string reply_head(const core::HttpReply& reply, const ReplyFrame& frame) {
  std::string out;
  out.reserve(256);
  out.append("HTTP/1.1 ").append(std::to_string(reply.status)).append(" ");
  out.append(reason(reply.status)).append("\r\n");
  for (const auto& [name, value] : reply.headers.fields())
    if (!is_edge_field(name)) field(out, name, value);
  if (!reply.headers.get("x-request-id")) field(out, "x-request-id", frame.request_id);
  if (!frame.date.empty()) field(out, "date", frame.date);
  stream_fields(out, reply);
  frame_fields(out, reply, frame);
  out.append("\r\n");
  return out;
}

core::HttpReply refusal_reply(const Refusal& refusal, std::string_view request_id) {
  const nlohmann::json error = {{"code", std::string(refusal.code)},
                                {"message", refusal.message},
                                {"request_id", std::string(request_id)}};
  return core::json_reply(refusal.status, nlohmann::json{{"error", error}}.dump(
                                              -1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace assistiv::net
