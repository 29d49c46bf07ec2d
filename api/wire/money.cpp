#include "api/wire/money.h"

#include <nlohmann/json.hpp>

#include "core/json_read.h"
#include "oauth/principal.h"

namespace assistiv::api {

namespace {

// Finds the text of one number among the members of an object; nothing else is kept.
class LiteralFinder final : public nlohmann::json_sax<core::Json> {
 public:
  explicit LiteralFinder(std::string_view member) : member_(member) {}
  const std::string& literal() const { return literal_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t value) override { return keep(std::to_string(value)); }
  bool number_unsigned(number_unsigned_t value) override { return keep(std::to_string(value)); }
  bool number_float(number_float_t, const string_t& text) override { return keep(text); }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ > 0; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t) override { return ++depth_ > 0; }
  bool end_array() override { return --depth_ >= 0; }
  bool key(string_t& name) override {
    if (depth_ == 1) here_ = name == member_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool keep(const std::string& text) {
    if (here_ && depth_ == 1) literal_ = text;
    return true;
  }
  std::string_view member_;
  std::string literal_;
  int depth_ = 0;
  bool here_ = false;
};

std::optional<std::string> digits_of(const core::Json& object, std::string_view text,
                                     const std::string& member) {
  const auto it = object.find(member);
  if (it == object.end() || it->is_null()) return std::nullopt;
  if (it->is_string()) return it->get<std::string>();
  LiteralFinder finder(member);
  core::Json::sax_parse(text, &finder);
  return finder.literal();
}

std::optional<core::NanoUsd> read_usd(const core::Json& object, std::string_view text,
                                      const std::string& member) {
  const auto digits = digits_of(object, text, member);
  if (!digits) return std::nullopt;
  const auto amount = core::parse_usd(*digits);
  if (!amount) {
    throw core::bad_request("\"" + member +
                                "\" must be an amount in USD: decimal text such as \"12.50\", at most nine "
                                "digits after the point, no exponent.",
                            "/" + member);
  }
  return amount;
}

}  // namespace

std::optional<core::NanoUsd> optional_usd(const Call& call, const std::string& member) {
  return read_usd(*call.body, call.request.body, member);
}

core::NanoUsd required_usd(const Call& call, const std::string& member) {
  const auto amount = optional_usd(call, member);
  if (!amount) throw core::bad_request("\"" + member + "\" is missing.", "/" + member);
  return *amount;
}

std::optional<core::NanoUsd> usd_in(std::string_view text, const std::string& member) {
  const auto object = core::try_parse_json(text);
  if (!object || !object->is_object()) return std::nullopt;
  return read_usd(*object, text, member);
}

billing::Actor actor_of(const oauth::AuditContext& context) {
  billing::Actor out;
  if (context.actor) {
    out.kind = oauth::to_string(context.actor->kind);
    out.key_id = context.actor->key_id;
  }
  out.request_id = context.request_id;
  return out;
}

billing::ListRequest list_request(const Call& call) {
  return {call.page(), call.limit()};
}

std::string object_text(const Call& call, const std::string& member) {
  const core::JsonReader body(*call.body);
  const core::Json* object = body.object(member);
  return object == nullptr ? "{}" : core::dump_json(*object);
}

billing::MoneyWrite money_write(const Call& call) {
  billing::MoneyWrite out{actor_of({call.principal, call.request.request_id}), {}};
  const auto key = call.request.headers.get("idempotency-key");
  if (!key) return out;
  if (call.request.headers.count("idempotency-key") > 1) {
    throw core::bad_request("Send one Idempotency-Key only.", "Idempotency-Key");
  }
  billing::check_idempotency_key(*key);
  const bool is_operator = call.principal->kind == oauth::PrincipalKind::Operator;
  out.key = billing::IdempotencyKey{
      is_operator ? "operator" : "platform", std::string(*key),
      billing::fingerprint_of(call.request.method, call.request.path, call.request.body)};
  return out;
}

core::HttpReply money_reply(const billing::MoneyReply& reply) {
  auto out = core::json_reply(reply.status, "{\"data\":" + reply.body + "}");
  if (reply.replayed) out.headers.add("idempotent-replayed", "true");
  return out;
}

core::HttpReply page_reply(const billing::JsonPage& page, const Call& call) {
  return core::json_reply(200, "{\"data\":" + page.rows + ",\"total\":" + std::to_string(page.total) +
                                   ",\"page\":" + std::to_string(call.page()) +
                                   ",\"limit\":" + std::to_string(call.limit()) + "}");
}

}  // namespace assistiv::api
