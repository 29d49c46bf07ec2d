#pragma once
// JSON Schema 2020-12 (json-schema.org/draft/2020-12), compiled once and used from any thread. Everything is
// within the document: a $ref to another document is a fault of the schema, nothing is ever fetched. Patterns
// run in linear time (RE2), so look-around and back-references are faults too.
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/json.h"

namespace assistiv::mcp {

// What is wrong and where: a JSON pointer into the checked value (or into the schema, for faults of
// compile()).
struct SchemaFault {
  std::string pointer;
  std::string message;  // tells a model or a person what to change, e.g. "must be at most 100"
};

enum class Formats {
  Annotate,  // "format" is checked for nothing (the default of 2020-12)
  Assert,    // date-time, date, uri, email and uuid are checked; other formats stay annotations
};

struct SchemaLimits {
  std::size_t nodes_max = 20'000;     // subschemas of one document
  std::size_t depth_max = 128;        // nesting of the schema, and of schema applications while checking
  std::size_t steps_max = 1'000'000;  // schema applications while checking one value
  std::size_t faults_max = 16;        // reported per value
  std::size_t pattern_bytes_max = 1024;
};

class JsonSchema {
 public:
  struct Compiled {
    std::shared_ptr<const JsonSchema> schema;  // null when there are faults
    std::vector<SchemaFault> faults;
  };
  // `document` is copied: it may die.
  static Compiled compile(const core::Json& document, Formats formats = Formats::Annotate,
                          SchemaLimits limits = {});

  // Empty when the value is valid. Bounded: a value or schema that needs more than the limits is a fault.
  std::vector<SchemaFault> check(const core::Json& value) const;

  ~JsonSchema();
  JsonSchema(const JsonSchema&) = delete;
  JsonSchema& operator=(const JsonSchema&) = delete;

 private:
  struct Impl;
  explicit JsonSchema(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// "/limit must be at most 100; /owner is required": the faults in one line for a reply.
std::string describe(const std::vector<SchemaFault>& faults);

}  // namespace assistiv::mcp
