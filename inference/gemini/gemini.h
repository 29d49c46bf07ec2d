#pragma once
// Google's generateContent, for what does not go through Dialect: the form of streams without alt=sse, and
// the media that Google does not fetch. In this dialect the model and the stream flag stand in the path; its
// door sets Request::model and Request::stream after decode_request.
#include <memory>
#include <vector>

#include "inference/canonical.h"
#include "inference/dialect.h"

namespace assistiv::inference {

// The client's stream without `alt=sse`: one JSON array, an element per chunk (content type
// application/json). A fault is the last element; encode() of StreamEnd or FaultEvent closes the array.
std::unique_ptr<StreamEncoder> gemini_array_encoder(ReplyContext context);

// The media of a request that stand behind an http or https URL, tool results' too, in order. Google's own
// files (Gemini API file URIs, YouTube) are not among them. Vertex and the Gemini API fetch none of these:
// the engine fetches each behind the URL guard and sets `data` and `media_type`, or refuses (rule G9). The
// pointers live as long as the request is not changed otherwise.
std::vector<MediaPart*> remote_media(Request& request);

}  // namespace assistiv::inference
