#pragma once
// How tools call their upstream: manifests in typed form. Made once by plan_parser.h and checked there, so
// that what runs a plan need not doubt it. Private to mcp/connectors.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/json.h"
#include "mcp/connectors/pointer.h"
#include "mcp/connectors/template.h"
#include "oauth/connect/connector_spec.h"

namespace assistiv::mcp {

// ---- responses ----

struct Shape;

// One member of a result: where it comes from and which type it must have. A value of another type is left
// out, so a result always conforms to the output schema that is made from its shape.
struct ShapeField {
  enum class Type { String, Integer, Number, Boolean, Strings, Object, List, One, Text };
  enum class Source { Response, Exists, Argument, Value };
  std::string name;
  Type type = Type::String;
  Source source = Source::Response;
  Pointer from;
  std::string argument;                // Source::Argument
  Pointer each;                        // Strings: into each item of the array
  std::shared_ptr<const Shape> shape;  // List, One
  std::string value_json;              // Source::Value
  std::string when;                    // present only when this argument is true
  std::size_t clip = 0;                // characters of a string that are kept; 0 for all
  std::string start_line, end_line;    // Text: names of the arguments that choose lines
  std::string about;
};

struct Shape {
  std::vector<ShapeField> fields;
};

struct ResultPlan {
  enum class Kind { Items, Item };
  Kind kind = Kind::Item;
  Pointer at;                        // the array or the object
  std::optional<Pointer> total;      // Items: the number of all matches
  std::optional<Pointer> leave_out;  // Items: those that have something here are no results
  // Items: only those whose text here contains the text of this argument, without case. For APIs that cannot
  // look for it themselves.
  Pointer match_at;
  std::string match;  // the argument; empty for all items
  std::shared_ptr<const Shape> shape;
};

// What a response that is no success means.
enum class FailureCode {
  ReauthRequired,
  ScopeMissing,
  Forbidden,
  NotFound,
  Validation,
  RateLimited,
  Conflict,
  Upstream,
  Cancelled
};

struct FailureRule {
  FailureCode code = FailureCode::Upstream;
  // All of the given conditions must hold.
  std::vector<int> statuses;
  std::vector<std::string> codes;                            // the upstream's error code
  std::vector<std::pair<std::string, std::string>> headers;  // name (lowercase) and value; "*" is any value
  std::string message;                                       // part of the upstream's message, without case
  // Headers that list the scopes of which one would do, and those that the token has: holds when none is
  // there.
  std::string accepted_scopes, granted_scopes;
  std::optional<Pointer> needed;  // where the body names the scope that is missing
  std::chrono::seconds wait{0};   // when the upstream does not say how long; 0 for the default
  std::string hint;               // added to what the caller is told
};

struct RateHeaders {
  std::string remaining, reset_at, reset_in, retry_after;  // lowercase; "" when the API has none
};

// ---- requests ----

enum class Encoding { Json, Form };

struct RequestPlan {
  std::string method;
  PathPattern path;
  NamedPatterns query, headers;
  std::optional<JsonPattern> body;
  Encoding encoding = Encoding::Json;
  bool safe = false;  // changes nothing: may be sent again after any failure
};

struct Step {
  RequestPlan request;
  std::string unless;                                 // left out when this name is bound already
  std::vector<std::pair<std::string, Pointer>> take;  // names to bind, from the response
};

// A value made from arguments before anything is rendered.
struct Derivation {
  enum class Kind {
    Base64,   // of the UTF-8 text of `from`
    Words,    // the patterns whose names are all bound, joined with spaces; a list makes a word of each item
    Replace,  // the text of `from` with some parts replaced
    Given,    // `value_json`, when `from` is there
    Objects,  // of each item of the list `from` an object with the item as `member`
    Joined,   // the items of the list `from` in one text, with commas
  };
  std::string name;
  Kind kind = Kind::Base64;
  std::string from, member;
  std::vector<TextPattern> words;
  std::vector<std::pair<std::string, std::string>> replacements;
  std::string value_json;
};

struct Paginator {
  enum class Kind { LinkHeader, PageNumber, Offset, BodyCursor };
  enum class Place { Query, Body };
  Kind kind = Kind::LinkHeader;
  Place place = Place::Query;
  NamedPatterns send;  // may use {limit} and {page}, {offset} or {cursor}
  std::vector<std::string>
      carry;     // LinkHeader: query parameters of the next link that are sent with the next page
  Pointer next;  // BodyCursor
  std::optional<Pointer> more;  // a boolean
  std::int64_t first = 1;       // PageNumber, Offset
  std::int64_t page_size_max = 100;
  std::int64_t items_max = 0;  // the API goes no further than this many; 0 for no such bound
};

struct ApiPlan {
  oauth::ConnectorSpec spec;
  std::string title;
  std::vector<std::string> override_hosts;  // instead of the spec's when the API is overridden
  Encoding encoding = Encoding::Json;
  std::chrono::milliseconds timeout{15000};
  std::size_t response_bytes_max = 4 << 20;
  oauth::OkRule ok;
  std::vector<Pointer> error_code, error_message, error_details;  // of each, the first that is there
  std::vector<FailureRule> failures;
  RateHeaders rate;
  std::string scope_help;
};

struct ToolPlan {
  std::shared_ptr<const ApiPlan> api;
  std::string slot;
  std::vector<std::pair<std::string, std::string>> slot_if;  // when this argument is true, this other slot
  std::vector<Derivation> derive;
  std::vector<Step> steps;  // the last one gives the result; the others are safe
  std::optional<Paginator> paginator;
  ResultPlan result;
  std::optional<oauth::OkRule> ok;         // instead of the API's
  std::vector<std::string> success_codes;  // error codes that mean that there was nothing left to do
  std::map<std::string, std::string> default_values;  // argument to JSON text
};

}  // namespace assistiv::mcp
