#pragma once
// Numbers the parts of one stream, and ends what is still open when it must.
#include <utility>
#include <vector>

#include "inference/canonical.h"

namespace assistiv::inference {

class PartTracker {
 public:
  int open(Part part, std::vector<StreamEvent>& out) {
    const int index = next_++;
    open_.push_back(index);
    out.emplace_back(PartStart{index, std::move(part)});
    return index;
  }
  void close(int index, std::vector<StreamEvent>& out) {
    if (std::erase(open_, index) > 0) out.emplace_back(PartEnd{index});
  }
  void close_all(std::vector<StreamEvent>& out) {
    for (const int index : open_) out.emplace_back(PartEnd{index});
    open_.clear();
  }
  int count() const { return next_; }

 private:
  int next_ = 0;
  std::vector<int> open_;
};

}  // namespace assistiv::inference
