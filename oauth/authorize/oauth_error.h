#pragma once
// A fault as OAuth words it (RFC 6749 section 5.2, RFC 7591 section 3.2.2, RFC 8707): the code is the
// protocol's, the description tells the client's developer what to mend and quotes no secret.
#include <exception>
#include <string>

namespace assistiv::oauth {

class OAuthError : public std::exception {
 public:
  OAuthError(std::string code, std::string description, int status = 400)
      : code_(std::move(code)), description_(std::move(description)), status_(status) {}
  const std::string& code() const { return code_; }
  const std::string& description() const { return description_; }
  int status() const { return status_; }
  const char* what() const noexcept override { return description_.c_str(); }

 private:
  std::string code_, description_;
  int status_;
};

}  // namespace assistiv::oauth
