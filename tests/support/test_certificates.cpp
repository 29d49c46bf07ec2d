#include "support/test_certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <cstdio>
#include <stdexcept>

namespace assistiv::test {

namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

Key new_key() {
  return Key(EVP_EC_gen("P-256"));
}

void add_extension(X509* certificate, X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
  if (!extension) throw std::runtime_error("cannot make the certificate extension " + value);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate new_certificate(const std::string& common_name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                            const std::string& alternative_names) {
  static long serial = 1;
  Certificate certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 86400);
  X509_set_pubkey(certificate.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  X509* signer = issuer ? issuer : certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer));
  add_extension(certificate.get(), signer, NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE");
  if (!alternative_names.empty())
    add_extension(certificate.get(), signer, NID_subject_alt_name, alternative_names);
  X509_sign(certificate.get(), issuer_key, EVP_sha256());
  return certificate;
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

}  // namespace

struct TestCertificates::State {
  std::filesystem::path directory;
  Key key = new_key();
  Certificate ca = new_certificate("Test CA", key.get(), nullptr, key.get(), {});
  int issued = 0;

  File open(const std::string& name) const { return File(std::fopen((directory / name).c_str(), "w")); }
};

TestCertificates::TestCertificates() : state_(std::make_unique<State>()) {
  std::string pattern = (std::filesystem::temp_directory_path() / "certificates-XXXXXX").string();
  if (!::mkdtemp(pattern.data())) throw std::runtime_error("cannot make a temporary directory");
  state_->directory = pattern;
  PEM_write_X509(state_->open("ca.pem").get(), state_->ca.get());
}

TestCertificates::~TestCertificates() {
  std::filesystem::remove_all(state_->directory);
}

std::string TestCertificates::ca_file() const {
  return state_->directory / "ca.pem";
}

IssuedCertificate TestCertificates::issue(const std::vector<std::string>& names) const {
  std::string joined;
  for (const auto& name : names) joined += (joined.empty() ? "" : ",") + name;
  const Key key = new_key();
  const auto certificate = new_certificate("server", key.get(), state_->ca.get(), state_->key.get(), joined);
  const std::string stem = "server" + std::to_string(++state_->issued);
  PEM_write_X509(state_->open(stem + ".pem").get(), certificate.get());
  PEM_write_PrivateKey(state_->open(stem + ".key").get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {state_->directory / (stem + ".pem"), state_->directory / (stem + ".key")};
}

}  // namespace assistiv::test
