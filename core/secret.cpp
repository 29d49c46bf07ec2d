#include "core/secret.h"

#include <openssl/crypto.h>

namespace assistiv::core {

void Secret::wipe() {
  value_.resize(value_.capacity());
  OPENSSL_cleanse(value_.data(), value_.size());
  value_.clear();
}

}  // namespace assistiv::core
