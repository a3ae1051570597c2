#include "trireme/checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <numeric>

#include "trireme/checkpoint/safetensors_json.h"
#include "trireme/core/base/error.h"

namespace trireme::checkpoint {
namespace {

// In the order of DType's enumerators.
constexpr std::array<std::string_view, 8> kNames = {"F32", "F64", "BF16", "F16", "I64", "I32", "U8", "BOOL"};

// Product of the sizes and the element size; nothing on overflow.
std::optional<std::uint64_t> bytes_of(const std::vector<std::int64_t>& shape, std::uint64_t element_bytes) {
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) {
    return 0;
  }
  std::uint64_t product = element_bytes;
  for (const std::int64_t size : shape) {
    if (__builtin_mul_overflow(product, static_cast<std::uint64_t>(size), &product)) {
      return std::nullopt;
    }
  }
  return product;
}

TensorEntry make_entry(JsonTensor&& parsed, const std::string& path) {
  const std::optional<std::uint64_t> element_bytes = element_bytes_of(parsed.dtype);
  require(element_bytes.has_value(),
          "{}: tensor '{}' has dtype '{}', which safetensors does not know; the file is damaged", path, parsed.name,
          parsed.dtype);
  TensorEntry entry{
      std::move(parsed.name), std::move(parsed.dtype), std::nullopt, std::move(parsed.shape), parsed.begin, parsed.end};
  const auto known = std::find(kNames.begin(), kNames.end(), entry.dtype_name);
  if (known != kNames.end()) {
    entry.dtype = static_cast<DType>(known - kNames.begin());
  }
  const std::optional<std::uint64_t> bytes = bytes_of(entry.shape, *element_bytes);
  require(bytes && entry.begin <= entry.end && entry.bytes() == *bytes,
          "{}: tensor '{}' claims data_offsets [{}, {}], which do not fit its dtype and shape; the file is damaged",
          path, entry.name, entry.begin, entry.end);
  return entry;
}

void require_contiguous(const std::vector<TensorEntry>& tensors, std::uint64_t data_bytes, const std::string& path) {
  std::vector<const TensorEntry*> order;
  order.reserve(tensors.size());
  for (const TensorEntry& tensor : tensors) {
    order.push_back(&tensor);
  }
  std::sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  std::uint64_t at = 0;
  for (const TensorEntry* tensor : order) {
    require(tensor->begin == at,
            "{}: tensor '{}' begins at data byte {}, but the one before ends at {}; the file is damaged", path,
            tensor->name, tensor->begin, at);
    at = tensor->end;
  }
  require(at == data_bytes,
          "{}: the header describes {} bytes of data, the file has {}; it was cut short or overwritten", path, at,
          data_bytes);
}

std::string quoted(const std::string& text) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::exception&) {
    fail("safetensors: a tensor or metadata name is not valid UTF-8; rename it");
  }
}

std::string entry_text(const TensorToWrite& tensor, std::uint64_t begin, std::uint64_t end) {
  std::string shape;
  for (const std::int64_t size : tensor.shape) {
    shape.append(shape.empty() ? "" : ",").append(std::to_string(size));
  }
  return fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", quoted(tensor.name),
                     safetensors_dtype(tensor.dtype), shape, begin, end);
}

std::string metadata_text(const Metadata& metadata) {
  std::string text;
  for (const auto& [key, value] : metadata) {
    text.append(text.empty() ? "" : ",").append(quoted(key)).append(":").append(quoted(value));
  }
  return R"("__metadata__":{)" + text + "}";
}

std::vector<std::size_t> file_order(std::span<const TensorToWrite> tensors) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const std::size_t size_a = size_of(tensors[a].dtype);
    const std::size_t size_b = size_of(tensors[b].dtype);
    return size_a != size_b ? size_a > size_b : tensors[a].name < tensors[b].name;
  });
  return order;
}

bool storable(const std::string& name) {
  const bool control =
      std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  return !name.empty() && name != "__metadata__" && !control;
}

void require_distinct_names(std::span<const TensorToWrite> tensors) {
  std::vector<std::string_view> names;
  for (const TensorToWrite& tensor : tensors) {
    require(storable(tensor.name), "safetensors: the tensor name '{}' cannot be stored; rename it", tensor.name);
    names.push_back(tensor.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require(twice == names.end(), "safetensors: two tensors are called '{}'; names must differ",
          twice == names.end() ? "" : *twice);
}

std::string length_prefix(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) {
    bytes += static_cast<char>((length >> (8 * i)) & 0xffu);
  }
  return bytes;
}

}  // namespace

const TensorEntry* SafetensorsHeader::find(std::string_view name) const {
  const auto found = std::lower_bound(tensors.begin(), tensors.end(), name,
                                      [](const TensorEntry& entry, std::string_view key) { return entry.name < key; });
  return found != tensors.end() && found->name == name ? &*found : nullptr;
}

std::uint64_t parse_safetensors_length(std::span<const std::byte, 8> prefix, std::uint64_t file_bytes,
                                       const std::string& path) {
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) {
    length = (length << 8) | std::to_integer<std::uint64_t>(prefix[i]);
  }
  require(length <= kHeaderBytesMax,
          "{}: the header claims {} bytes, at most {} are allowed; this is no safetensors file", path, length,
          kHeaderBytesMax);
  require(file_bytes >= 8 && length <= file_bytes - 8,
          "{}: the header claims {} bytes, but the file has only {}; it was cut short", path, length, file_bytes);
  return length;
}

SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t file_bytes, const std::string& path) {
  require(json.starts_with('{'), "{}: the header does not begin with '{{'; this is no safetensors file", path);
  JsonHeader parsed = parse_header_json(json, path);
  SafetensorsHeader header;
  header.metadata = std::move(parsed.metadata);
  header.data_begin = 8 + json.size();
  require(header.data_begin <= file_bytes, "{}: the file has {} bytes, less than its header; it was cut short", path,
          file_bytes);
  header.tensors.reserve(parsed.tensors.size());
  for (JsonTensor& tensor : parsed.tensors) {
    header.tensors.push_back(make_entry(std::move(tensor), path));
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  for (std::size_t i = 1; i < header.tensors.size(); ++i) {
    require(header.tensors[i - 1].name != header.tensors[i].name,
            "{}: two tensors are called '{}'; the file is damaged", path, header.tensors[i].name);
  }
  require_contiguous(header.tensors, file_bytes - header.data_begin, path);
  return header;
}

std::string_view safetensors_dtype(DType dtype) { return kNames[static_cast<std::size_t>(dtype)]; }

PlannedFile plan_safetensors(std::span<const TensorToWrite> tensors, const Metadata& metadata,
                             std::uint64_t alignment) {
  require_distinct_names(tensors);
  PlannedFile plan;
  plan.begins.resize(tensors.size());
  std::string json = metadata.empty() ? "" : metadata_text(metadata);
  std::uint64_t at = 0;
  for (const std::size_t i : file_order(tensors)) {
    const std::uint64_t end = at + static_cast<std::uint64_t>(tensors[i].shape.count()) * size_of(tensors[i].dtype);
    json.append(json.empty() ? "" : ",").append(entry_text(tensors[i], at, end));
    plan.begins[i] = at;
    at = end;
  }
  json = "{" + json + "}";
  json.resize((8 + json.size() + alignment - 1) / alignment * alignment - 8, ' ');
  require(json.size() <= kHeaderBytesMax, "safetensors: {} tensors need a header of {} bytes, at most {} are allowed",
          tensors.size(), json.size(), kHeaderBytesMax);
  plan.header = length_prefix(json.size()) + json;
  for (std::uint64_t& begin : plan.begins) {
    begin += plan.header.size();
  }
  plan.file_bytes = plan.header.size() + at;
  return plan;
}

}  // namespace trireme::checkpoint
