#pragma once
// The schemas of components.json: they check request bodies and are the components of the OpenAPI document.
#include <memory>
#include <string>

#include "core/json.h"

namespace assistiv::api {

// Immutable after construction; thread-safe.
class BodySchemas {
 public:
  // Compiles every schema of the embedded components.json; throws std::logic_error when one is faulty.
  BodySchemas();
  ~BodySchemas();
  // Throws Error{InvalidArgument} with the JSON pointer of the first fault.
  void check(const std::string& name, const core::Json& body) const;
  const core::Json& components() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace assistiv::api
