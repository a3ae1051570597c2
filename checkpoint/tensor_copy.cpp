#include "trireme/checkpoint/tensor_copy.h"

#include <fnmatch.h>

#include <algorithm>
#include <regex>

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

bool fits(const std::string& pattern, const std::string& name) {
  return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

// The expressions of --rename, compiled.
class Renames {
 public:
  explicit Renames(const CopyRules& rules) : body_(rules.body) {
    for (const auto& [from, to] : rules.renames) {
      try {
        list_.emplace_back(std::regex(from), to);
      } catch (const std::regex_error&) {
        fail_usage("rename: '{}' is no regular expression (as of ECMAScript)", from);
      }
    }
  }

  std::string apply(std::string name) const {
    const bool has = name.starts_with(kBodyPrefix);
    if (body_ == BodyPrefix::remove && has) {
      name.erase(0, kBodyPrefix.size());
    } else if (body_ == BodyPrefix::add && !has && !name.starts_with("lm_head.")) {
      name.insert(0, kBodyPrefix);
    }
    for (const auto& [from, to] : list_) {
      name = std::regex_replace(name, from, to);
    }
    return name;
  }

 private:
  BodyPrefix body_;
  std::vector<std::pair<std::regex, std::string>> list_;
};

std::string target_name(CopyTarget target, std::string_view kind, std::string own) {
  if (kind.starts_with(kOptimizerKind)) {
    return std::string(kind) + own;
  }
  if (target == CopyTarget::model_files) {
    return own;
  }
  return std::string(kind.empty() ? kModelKind : kind) + own;
}

DType target_dtype(const SavedTensor& tensor, const CopyRules& rules) {
  require(tensor.dtype.has_value(), "copy '{}': its dtype {} is none of Trireme's; leave it out with --skip '{}'",
          tensor.name, tensor.dtype_name, tensor.name);
  return rules.dtype && is_floating(*tensor.dtype) ? *rules.dtype : *tensor.dtype;
}

// Which patterns have fitted something.
class Patterns {
 public:
  Patterns(const std::vector<std::string>& list, std::string_view option)
      : list_(list), option_(option), used_(list.size(), false) {}

  bool fit(const std::string& saved, const std::string& own) {
    bool any = false;
    for (std::size_t i = 0; i < list_.size(); ++i) {
      if (fits(list_[i], saved) || fits(list_[i], own)) {
        any = used_[i] = true;
      }
    }
    return any;
  }
  void require_used() const {
    const auto unused = std::find(used_.begin(), used_.end(), false);
    if (unused != used_.end()) {
      fail_usage("{}: no tensor is called like '{}'", option_, list_[static_cast<std::size_t>(unused - used_.begin())]);
    }
  }

 private:
  const std::vector<std::string>& list_;
  std::string_view option_;
  std::vector<bool> used_;
};

}  // namespace

bool has_kinds(std::span<const SavedTensor> tensors) {
  return std::all_of(tensors.begin(), tensors.end(),
                     [](const SavedTensor& tensor) { return !split_name(tensor.name).kind.empty(); });
}

TensorName split_saved_name(const std::string& name, bool kinds) {
  const TensorName parts = split_name(name);
  return kinds || parts.kind.starts_with(kOptimizerKind) ? parts : TensorName{"", name};
}

std::vector<TensorCopy> plan_copies(std::span<const SavedTensor> tensors, const CopyRules& rules) {
  const bool kinds = has_kinds(tensors);
  const Renames renames(rules);
  Patterns only(rules.only, "--only");
  Patterns skip(rules.skip, "--skip");
  std::vector<TensorCopy> copies;
  for (const SavedTensor& tensor : tensors) {
    const TensorName parts = split_saved_name(tensor.name, kinds);
    const std::string own(parts.own);
    const bool chosen = rules.only.empty() || only.fit(tensor.name, own);
    if (skip.fit(tensor.name, own) || !chosen || (parts.kind.starts_with(kOptimizerKind) && !rules.optimizer)) {
      continue;
    }
    copies.push_back({&tensor, target_name(rules.target, parts.kind, renames.apply(own)), target_dtype(tensor, rules)});
  }
  only.require_used();
  skip.require_used();
  require(!copies.empty(), "copy: no tensor is left of the {} that are there; look at the options that choose some",
          tensors.size());
  return copies;
}

}  // namespace trireme::checkpoint
