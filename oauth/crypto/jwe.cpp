#include "oauth/crypto/jwe.h"

#include <cjose/header.h>
#include <cjose/jwe.h>
#include <cjose/jwk.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

#include "core/encoding.h"
#include "core/error.h"

namespace assistiv::oauth {

namespace {

constexpr std::size_t kIvChars = 16;   // 96 bits in base64url
constexpr std::size_t kTagChars = 22;  // 128 bits: cjose would accept a shortened tag

struct FreeJwk {
  void operator()(cjose_jwk_t* jwk) const {
    OPENSSL_cleanse(cjose_jwk_get_keydata(jwk, nullptr), cjose_jwk_get_keysize(jwk, nullptr) / 8);
    cjose_jwk_release(jwk);
  }
};
struct FreeJwe {
  void operator()(cjose_jwe_t* jwe) const { cjose_jwe_release(jwe); }
};
struct FreeHeader {
  void operator()(cjose_header_t* header) const { cjose_header_release(header); }
};
struct FreeText {
  void operator()(char* text) const { std::free(text); }
};
using JwkPtr = std::unique_ptr<cjose_jwk_t, FreeJwk>;
using JwePtr = std::unique_ptr<cjose_jwe_t, FreeJwe>;
using HeaderPtr = std::unique_ptr<cjose_header_t, FreeHeader>;
using TextPtr = std::unique_ptr<char, FreeText>;

// Only the kind of fault is told: cjose's own text never holds plaintext, but it says nothing more either.
core::Error jwe_fault(const char* doing, const cjose_err& fault) {
  return core::internal(std::string("vault: cannot ") + doing + " (cjose error " +
                        std::to_string(fault.code) + ")");
}

JwkPtr make_jwk(const core::Secret& key) {
  cjose_err fault{};
  JwkPtr jwk(cjose_jwk_create_oct_spec(reinterpret_cast<const std::uint8_t*>(key.reveal().data()),
                                       key.reveal().size(), &fault));
  if (!jwk) throw jwe_fault("use the key", fault);
  return jwk;
}

void set_header(cjose_header_t* header, const std::string& name, const std::string& value) {
  cjose_err fault{};
  // cjose takes C strings: a NUL would silently cut the value.
  const bool whole = value.find('\0') == std::string::npos;
  if (!whole || !cjose_header_set(header, name.c_str(), value.c_str(), &fault))
    throw jwe_fault("set a header", fault);
}

HeaderPtr make_header(const JweHeader& entries) {
  cjose_err fault{};
  HeaderPtr header(cjose_header_new(&fault));
  if (!header) throw jwe_fault("make a header", fault);
  set_header(header.get(), CJOSE_HDR_ALG, CJOSE_HDR_ALG_DIR);
  set_header(header.get(), CJOSE_HDR_ENC, CJOSE_HDR_ENC_A256GCM);
  for (const auto& [name, value] : entries) set_header(header.get(), name, value);
  return header;
}

// cjose ignores the unused bits of the last character; with them a changed text would still open.
bool ends_canonically(std::string_view base64url) {
  return core::base64url_decode(base64url.substr(base64url.size() / 4 * 4)).has_value();
}

// header "." no encrypted key "." 96-bit IV "." ciphertext "." 128-bit tag
bool has_our_shape(std::string_view jwe) {
  std::array<std::string_view, 5> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto end = jwe.find('.');
    if ((end == std::string_view::npos) != (i + 1 == parts.size())) return false;
    parts[i] = jwe.substr(0, end);
    jwe.remove_prefix(std::min(jwe.size(), parts[i].size() + 1));
  }
  const auto& [header, encrypted_key, iv, ciphertext, tag] = parts;
  return !header.empty() && encrypted_key.empty() && iv.size() == kIvChars && ends_canonically(ciphertext) &&
         tag.size() == kTagChars && ends_canonically(tag);
}

std::string header_value(cjose_jwe_t* jwe, const char* name) {
  cjose_err ignored{};
  const char* value = cjose_header_get(cjose_jwe_get_protected(jwe), name, &ignored);
  return value == nullptr ? std::string() : std::string(value);
}

JwePtr import(std::string_view text, cjose_err& fault) {
  if (!has_our_shape(text)) return nullptr;
  JwePtr jwe(cjose_jwe_import(text.data(), text.size(), &fault));
  if (!jwe || header_value(jwe.get(), CJOSE_HDR_ALG) != CJOSE_HDR_ALG_DIR ||
      header_value(jwe.get(), CJOSE_HDR_ENC) != CJOSE_HDR_ENC_A256GCM) {
    return nullptr;
  }
  return jwe;
}

// Takes over the buffer that cjose allocated.
core::Secret take_plaintext(std::uint8_t* bytes, std::size_t size) {
  struct Wipe {
    std::span<std::uint8_t> buffer;
    ~Wipe() {
      OPENSSL_cleanse(buffer.data(), buffer.size());
      std::free(buffer.data());
    }
  } wipe{{bytes, size}};
  return core::Secret(std::string(reinterpret_cast<const char*>(bytes), size));
}

}  // namespace

std::string jwe_encrypt(const core::Secret& key, const JweHeader& header, const core::Secret& plaintext) {
  const auto jwk = make_jwk(key);
  const auto entries = make_header(header);
  cjose_err fault{};
  const JwePtr jwe(cjose_jwe_encrypt(jwk.get(), entries.get(),
                                     reinterpret_cast<const std::uint8_t*>(plaintext.reveal().data()),
                                     plaintext.reveal().size(), &fault));
  if (!jwe) throw jwe_fault("seal", fault);
  const TextPtr text(cjose_jwe_export(jwe.get(), &fault));
  if (!text) throw jwe_fault("write a sealed text", fault);
  return text.get();
}

core::Secret jwe_decrypt(const core::Secret& key, const JweHeader& expected, std::string_view text) {
  cjose_err fault{};
  const auto jwe = import(text, fault);
  if (!jwe) throw jwe_fault("read a sealed text", fault);
  const auto jwk = make_jwk(key);
  std::size_t size = 0;
  auto* bytes = cjose_jwe_decrypt(jwe.get(), jwk.get(), &size, &fault);
  if (bytes == nullptr)
    throw jwe_fault("open a sealed text: it was changed, or sealed with another key", fault);
  auto plaintext = take_plaintext(bytes, size);
  for (const auto& [name, value] : expected) {
    if (header_value(jwe.get(), name.c_str()) != value) {
      throw core::internal("vault: a sealed text is not of this row (" + name + " differs)");
    }
  }
  return plaintext;
}

std::string jwe_header_value(std::string_view text, const char* name) {
  cjose_err ignored{};
  const auto jwe = import(text, ignored);
  return jwe ? header_value(jwe.get(), name) : std::string();
}

}  // namespace assistiv::oauth
