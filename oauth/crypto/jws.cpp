#include "oauth/crypto/jws.h"

#include <cjose/header.h>
#include <cjose/jwk.h>
#include <cjose/jws.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/encoding.h"
#include "core/error.h"
#include "core/json_read.h"

namespace assistiv::oauth {

namespace {

constexpr int kHeaderDepth = 4;

struct ReleaseJwk {
  void operator()(cjose_jwk_t* jwk) const { cjose_jwk_release(jwk); }
};
struct ReleaseJws {
  void operator()(cjose_jws_t* jws) const { cjose_jws_release(jws); }
};
struct ReleaseHeader {
  void operator()(cjose_header_t* header) const { cjose_header_release(header); }
};
using EcKeyPtr = std::unique_ptr<cjose_jwk_t, ReleaseJwk>;
using JwsPtr = std::unique_ptr<cjose_jws_t, ReleaseJws>;
using JwsHeaderPtr = std::unique_ptr<cjose_header_t, ReleaseHeader>;

core::Error jws_fault(const char* doing, const cjose_err& fault) {
  return core::internal(std::string("signing: cannot ") + doing + " (cjose error " +
                        std::to_string(fault.code) + ")");
}

std::string jwk_text(const cjose_jwk_t* jwk, bool with_private) {
  cjose_err fault{};
  char* text = cjose_jwk_to_json(jwk, with_private, &fault);
  if (text == nullptr) throw jws_fault("write a key", fault);
  std::string out(text);
  std::free(text);
  return out;
}

EcKeyPtr read_jwk(const std::string& text, cjose_err& fault) {
  return EcKeyPtr(cjose_jwk_import(text.data(), text.size(), &fault));
}

JwsHeaderPtr es256_header(const JweHeader& entries) {
  cjose_err fault{};
  JwsHeaderPtr header(cjose_header_new(&fault));
  if (!header || !cjose_header_set(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_ES256, &fault)) {
    throw jws_fault("make a header", fault);
  }
  for (const auto& [name, value] : entries) {
    if (!cjose_header_set(header.get(), name.c_str(), value.c_str(), &fault))
      throw jws_fault("set a header", fault);
  }
  return header;
}

bool is_es256(std::string_view jws) {
  const auto header = jws_header(jws);
  return header && header->value("alg", "") == CJOSE_HDR_ALG_ES256 && !header->contains("crit");
}

}  // namespace

SigningKeyPair make_es256_key(const std::string& kid) {
  cjose_err fault{};
  const EcKeyPtr jwk(cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &fault));
  if (!jwk || !cjose_jwk_set_kid(jwk.get(), kid.data(), kid.size(), &fault))
    throw jws_fault("make a key", fault);
  return {core::Secret(jwk_text(jwk.get(), true)), jwk_text(jwk.get(), false)};
}

std::string jws_sign(const core::Secret& private_jwk, const JweHeader& header, std::string_view payload) {
  cjose_err fault{};
  const auto jwk = read_jwk(private_jwk.reveal(), fault);
  if (!jwk) throw jws_fault("read a key", fault);
  const auto entries = es256_header(header);
  const JwsPtr jws(cjose_jws_sign(jwk.get(), entries.get(),
                                  reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(),
                                  &fault));
  const char* text = nullptr;  // belongs to jws
  if (!jws || !cjose_jws_export(jws.get(), &text, &fault)) throw jws_fault("sign", fault);
  return text;
}

std::optional<core::Json> jws_header(std::string_view jws) {
  const auto bytes = core::base64url_decode(jws.substr(0, jws.find('.')));
  if (!bytes) return std::nullopt;
  auto header = core::try_parse_json(*bytes, kHeaderDepth);
  if (!header || !header->is_object()) return std::nullopt;
  for (const auto* name : {"alg", "kid", "typ"}) {
    if (header->contains(name) && !header->at(name).is_string()) return std::nullopt;
  }
  return header;
}

std::optional<std::string> jws_verify(const std::string& public_jwk, std::string_view text) {
  return is_es256(text) ? jws_open(public_jwk, text) : std::nullopt;
}

std::optional<std::string> jws_open(const std::string& public_jwk, std::string_view text) {
  cjose_err fault{};
  const auto jwk = read_jwk(public_jwk, fault);
  const JwsPtr jws(cjose_jws_import(text.data(), text.size(), &fault));
  if (!jwk || !jws || !cjose_jws_verify(jws.get(), jwk.get(), &fault)) return std::nullopt;
  std::uint8_t* payload = nullptr;  // belongs to jws
  std::size_t size = 0;
  if (!cjose_jws_get_plaintext(jws.get(), &payload, &size, &fault)) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(payload), size);
}

}  // namespace assistiv::oauth
