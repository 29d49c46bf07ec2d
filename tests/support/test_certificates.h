#pragma once
// A certificate authority of one test, with the certificates it issues, as PEM files in a temporary
// directory.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace assistiv::test {

struct IssuedCertificate {
  std::string certificate;  // paths
  std::string private_key;
};

class TestCertificates {
 public:
  TestCertificates();
  ~TestCertificates();
  TestCertificates(const TestCertificates&) = delete;
  TestCertificates& operator=(const TestCertificates&) = delete;

  std::string ca_file() const;
  // A server's certificate for these subject alternative names ("DNS:localhost", "IP:127.0.0.1").
  IssuedCertificate issue(const std::vector<std::string>& names) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assistiv::test
