#include "trireme/checkpoint/safetensors_json.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kDimsMax = 32;

// A control character in a name would tear log lines and C strings; no framework writes one.
bool printable(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20; });
}

// Depth 1: the tensors. Depth 2: one tensor's fields, or the metadata. Lists only below "shape" and "data_offsets".
class HeaderReader final : public nlohmann::json_sax<Json> {
 public:
  JsonHeader header;
  std::string problem;

  bool null() override { return refuse("null"); }
  bool boolean(bool) override { return refuse("a boolean"); }
  bool number_float(double, const std::string&) override { return refuse("a fraction or too large a number"); }
  bool number_integer(std::int64_t) override { return refuse("a negative number"); }
  bool binary(Json::binary_t&) override { return refuse("binary data"); }

  bool number_unsigned(std::uint64_t value) override {
    if (!in_list_) {
      return refuse("a number where none belongs");
    }
    if (field_ == "shape") {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) ||
          tensor().shape.size() == kDimsMax) {
        return refuse("an impossible shape");
      }
      tensor().shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    if (offsets_seen_ == 2) {
      return refuse("more than two data_offsets");
    }
    (offsets_seen_++ == 0 ? tensor().begin : tensor().end) = value;
    return true;
  }

  bool string(std::string& value) override {
    if (depth_ == 2 && in_metadata_) {
      return header.metadata.emplace(field_, value).second || refuse("a metadata key that occurs twice");
    }
    if (depth_ == 2 && field_ == "dtype" && !in_list_) {
      tensor().dtype = value;
      return true;
    }
    return refuse("a text where none belongs");
  }

  bool start_object(std::size_t) override {
    if (depth_ == 2 || in_list_) {
      return refuse("an object where none belongs");
    }
    ++depth_;
    seen_.fill(false);
    offsets_seen_ = 0;
    return true;
  }

  bool end_object() override {
    if (depth_ == 2 && !in_metadata_ && seen_ != std::array{true, true, true}) {
      return refuse("a tensor without dtype, shape or data_offsets");
    }
    --depth_;
    in_metadata_ = false;
    return true;
  }

  bool key(std::string& name) override {
    if (depth_ == 2) {
      field_ = name;
      return in_metadata_ || note_field();
    }
    if (!printable(name)) {
      return refuse("an empty name or one with control characters");
    }
    in_metadata_ = name == "__metadata__";
    if (in_metadata_) {
      return !std::exchange(metadata_seen_, true) || refuse("__metadata__ twice");
    }
    header.tensors.push_back({});
    tensor().name = name;
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || in_list_ || (field_ != "shape" && field_ != "data_offsets")) {
      return refuse("a list where none belongs");
    }
    in_list_ = true;
    return true;
  }

  bool end_array() override {
    in_list_ = false;
    return field_ == "shape" || offsets_seen_ == 2 || refuse("data_offsets that are not two numbers");
  }

  bool parse_error(std::size_t position, const std::string&, const Json::exception&) override {
    return refuse(fmt::format("no valid JSON at byte {}", position));
  }

 private:
  JsonTensor& tensor() { return header.tensors.back(); }

  bool note_field() {
    constexpr std::array<std::string_view, 3> kFields = {"dtype", "shape", "data_offsets"};
    const auto found = std::find(kFields.begin(), kFields.end(), field_);
    if (found == kFields.end()) {
      return refuse("an unknown field of a tensor");
    }
    bool& seen = seen_[static_cast<std::size_t>(found - kFields.begin())];
    return !std::exchange(seen, true) || refuse("a field that occurs twice");
  }

  bool refuse(std::string what) {
    problem = std::move(what);
    return false;
  }

  int depth_ = 0;
  bool in_list_ = false;
  bool in_metadata_ = false;
  bool metadata_seen_ = false;
  std::array<bool, 3> seen_{};
  int offsets_seen_ = 0;
  std::string field_;
};

struct DTypeRow {
  std::string_view name;
  std::uint64_t bytes;
};
constexpr std::array kDTypes = {
    DTypeRow{"BOOL", 1},    DTypeRow{"U8", 1},  DTypeRow{"I8", 1},  DTypeRow{"F8_E5M2", 1},
    DTypeRow{"F8_E4M3", 1}, DTypeRow{"I16", 2}, DTypeRow{"U16", 2}, DTypeRow{"F16", 2},
    DTypeRow{"BF16", 2},    DTypeRow{"I32", 4}, DTypeRow{"U32", 4}, DTypeRow{"F32", 4},
    DTypeRow{"F64", 8},     DTypeRow{"I64", 8}, DTypeRow{"U64", 8}, DTypeRow{"C64", 8},
};

}  // namespace

JsonHeader parse_header_json(std::string_view json, const std::string& path) {
  HeaderReader reader;
  const bool complete = Json::sax_parse(json.begin(), json.end(), &reader);
  require(complete, "{}: the header has {}{}; the file is damaged or no safetensors file", path, reader.problem,
          reader.header.tensors.empty() ? "" : " at or after tensor '" + reader.header.tensors.back().name + "'");
  return std::move(reader.header);
}

std::optional<std::uint64_t> element_bytes_of(std::string_view dtype) {
  for (const DTypeRow& row : kDTypes) {
    if (row.name == dtype) {
      return row.bytes;
    }
  }
  return std::nullopt;
}

}  // namespace trireme::checkpoint
