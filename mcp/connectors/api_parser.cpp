#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_read.h"
#include "mcp/connectors/plan_parser.h"

namespace assistiv::mcp {

namespace {

std::string lowercase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : static_cast<char>(c);
  });
  return text;
}

FailureCode parse_failure_code(const ManifestNode& node) {
  const auto name = node.choice({"reauth_required", "scope_missing", "forbidden", "not_found", "validation",
                                 "rate_limited", "conflict", "upstream"});
  if (name == "reauth_required") return FailureCode::ReauthRequired;
  if (name == "scope_missing") return FailureCode::ScopeMissing;
  if (name == "forbidden") return FailureCode::Forbidden;
  if (name == "not_found") return FailureCode::NotFound;
  if (name == "validation") return FailureCode::Validation;
  if (name == "rate_limited") return FailureCode::RateLimited;
  if (name == "conflict") return FailureCode::Conflict;
  return FailureCode::Upstream;
}

FailureRule parse_failure(const ManifestNode& node) {
  node.only({"as", "status", "codes", "headers", "message", "lacking", "needed", "wait_s", "hint"});
  FailureRule rule;
  rule.code = parse_failure_code(node["as"]);
  rule.statuses = node["status"].statuses();
  rule.codes = node["codes"].texts();
  node["headers"].each_member([&](const std::string& name, const ManifestNode& value) {
    rule.headers.emplace_back(lowercase(name), value.text(1, 200));
  });
  rule.message = lowercase(node["message"].optional_text(200));
  if (const auto lacking = node["lacking"]) {
    lacking.only({"accepted", "granted"});
    rule.accepted_scopes = lowercase(lacking["accepted"].text(1, 100));
    rule.granted_scopes = lowercase(lacking["granted"].text(1, 100));
  }
  rule.needed = node["needed"].optional_pointer();
  if (rule.needed && rule.code != FailureCode::ScopeMissing) {
    node["needed"].fault("goes with \"as\": \"scope_missing\"");
  }
  rule.wait = std::chrono::seconds(node["wait_s"].integer(1, 86'400, 0));
  rule.hint = node["hint"].optional_text(300);
  const bool any = !rule.statuses.empty() || !rule.codes.empty() || !rule.headers.empty() ||
                   !rule.message.empty() || !rule.accepted_scopes.empty();
  if (!any) node.fault("needs a condition: status, codes, headers, message or lacking");
  return rule;
}

RateHeaders parse_rate(const ManifestNode& node) {
  RateHeaders rate;
  if (!node) return rate;
  node.only({"remaining", "reset_at", "reset_in", "retry_after"});
  rate.remaining = lowercase(node["remaining"].optional_text(100));
  rate.reset_at = lowercase(node["reset_at"].optional_text(100));
  rate.reset_in = lowercase(node["reset_in"].optional_text(100));
  rate.retry_after = lowercase(node["retry_after"].optional_text(100));
  return rate;
}

void apply_api_override(ApiPlan& api, const std::string& url) {
  if (url.empty() || api.spec.api.base.empty()) return;
  api.spec.api.base = oauth::moved_url(api.spec.api.base, url);
  api.override_hosts = {api.spec.api.base.host().text()};
}

Paginator::Kind paginator_kind(const ManifestNode& node) {
  const auto name = node.choice({"link_header", "page", "offset", "body_cursor"});
  if (name == "page") return Paginator::Kind::PageNumber;
  if (name == "offset") return Paginator::Kind::Offset;
  return name == "body_cursor" ? Paginator::Kind::BodyCursor : Paginator::Kind::LinkHeader;
}

const char* paginator_variable(Paginator::Kind kind) {
  switch (kind) {
    case Paginator::Kind::PageNumber:
      return "page";
    case Paginator::Kind::Offset:
      return "offset";
    case Paginator::Kind::BodyCursor:
      return "cursor";
    case Paginator::Kind::LinkHeader:
      return "";
  }
  return "";
}

void check_paginator(const ManifestNode& node, const Paginator& paginator) {
  bool sends_position = false;
  const std::string variable = paginator_variable(paginator.kind);
  for (const auto& [name, pattern] : paginator.send) {
    for (const auto& used : pattern.names()) {
      sends_position |= used == variable;
      if (used != "limit" && used != variable)
        node["send"].fault("uses {" + used + "}, which this type does not have");
    }
  }
  if (paginator.kind == Paginator::Kind::LinkHeader && paginator.carry.empty()) {
    node["carry"].fault("must name the query parameters of the next link that lead to the next page");
  }
  if (paginator.kind != Paginator::Kind::LinkHeader && !sends_position) {
    node["send"].fault("must send {" + variable + "}");
  }
  if (paginator.kind == Paginator::Kind::BodyCursor && !node.has("next")) node["next"].fault("is required");
}

Paginator parse_paginator(const ManifestNode& node) {
  node.only({"type", "in", "send", "carry", "next", "more", "first", "page_size_max", "items_max"});
  Paginator out;
  out.kind = paginator_kind(node["type"]);
  out.place = node["in"].choice({"query", "body"}, "query") == "body" ? Paginator::Place::Body
                                                                      : Paginator::Place::Query;
  out.send = parse_patterns(node["send"]);
  out.carry = node["carry"].texts();
  out.next = node["next"].pointer_value();
  out.more = node["more"].optional_pointer();
  out.first = node["first"].integer(0, 1, out.kind == Paginator::Kind::Offset ? 0 : 1);
  out.page_size_max = node["page_size_max"].integer(1, 1000, 100);
  out.items_max = node["items_max"].integer(0, 1'000'000, 0);
  check_paginator(node, out);
  return out;
}

}  // namespace

oauth::OkRule parse_ok(const ManifestNode& node) {
  oauth::OkRule rule;
  if (!node) return rule;
  node.only({"status", "absent", "equals"});
  rule.statuses = node["status"].statuses();
  rule.absent = node["absent"].texts();
  node["equals"].each_member([&](const std::string& pointer, const ManifestNode& value) {
    rule.equals.emplace_back(pointer, core::dump_json(value.json()));
  });
  const auto check = [&node](const std::string& pointer) {
    if (pointer.empty() || !Pointer::parse(pointer)) node.fault("\"" + pointer + "\" must be a JSON pointer");
  };
  for (const auto& pointer : rule.absent) check(pointer);
  for (const auto& [pointer, value] : rule.equals) check(pointer);
  return rule;
}

NamedPatterns parse_patterns(const ManifestNode& node) {
  NamedPatterns out;
  node.each_member([&](const std::string& name, const ManifestNode& value) {
    value.guard([&] { out.emplace_back(name, JsonPattern::parse(value.json(), "")); });
  });
  return out;
}

std::map<std::string, Paginator> parse_paginators(const ManifestNode& node) {
  std::map<std::string, Paginator> out;
  node.each_member(
      [&](const std::string& name, const ManifestNode& value) { out.emplace(name, parse_paginator(value)); });
  return out;
}

std::shared_ptr<const ApiPlan> parse_api(const ManifestNode& manifest, const std::string& override_url) {
  auto api = std::make_shared<ApiPlan>();
  try {
    api->spec = oauth::ConnectorSpec::parse(manifest.json());
    apply_api_override(*api, override_url);
  } catch (const core::Error& error) {
    manifest.fault_at(error.field(), error.message());
  }
  const auto node = manifest["api"];
  node.only({"base", "auth_header", "headers", "encoding", "timeout_ms", "max_response_bytes", "ok", "error",
             "failures", "rate", "scope_help"});
  api->title = manifest["title"].optional_text(80);
  api->encoding =
      node["encoding"].choice({"json", "form"}, "json") == "form" ? Encoding::Form : Encoding::Json;
  api->timeout = std::chrono::milliseconds(node["timeout_ms"].integer(100, 120'000, 15'000));
  api->response_bytes_max =
      static_cast<std::size_t>(node["max_response_bytes"].integer(1024, 32 << 20, 4 << 20));
  api->ok = parse_ok(node["ok"]);
  if (const auto error = node["error"]) {
    error.only({"code", "message", "details"});
    api->error_code = error["code"].pointers();
    api->error_message = error["message"].pointers();
    api->error_details = error["details"].pointers();
  }
  node["failures"].each_item([&](const ManifestNode& rule) { api->failures.push_back(parse_failure(rule)); });
  api->rate = parse_rate(node["rate"]);
  api->scope_help = node["scope_help"].optional_text(400);
  return api;
}

}  // namespace assistiv::mcp
