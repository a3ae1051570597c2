#include "trireme/comm/message/letter.h"

#include <algorithm>
#include <cstring>

namespace trireme::comm::message {

Letter::Letter(LetterHead head, std::string_view text, std::span<const std::byte> body) {
  text = text.substr(0, kMaxLetterText);
  head.text_bytes = static_cast<std::uint16_t>(text.size());
  size_ = sizeof head + text.size() + body.size();
  require(size_ <= sizeof bytes_, "letter: {} bytes given, at most {} expected", size_, sizeof bytes_);
  std::memcpy(bytes_, &head, sizeof head);
  std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), bytes_ + sizeof head);
  std::copy_n(body.data(), body.size(), bytes_ + sizeof head + text.size());
}

std::optional<LetterView> read_letter(std::span<const std::byte> bytes) {
  LetterView view;
  if (bytes.size() < sizeof view.head) {
    return std::nullopt;
  }
  std::memcpy(&view.head, bytes.data(), sizeof view.head);
  bytes = bytes.subspan(sizeof view.head);
  if (view.head.kind > LetterKind::answer || view.head.dtype > DType::boolean || view.head.text_bytes > bytes.size()) {
    return std::nullopt;
  }
  view.text = {reinterpret_cast<const char*>(bytes.data()), view.head.text_bytes};
  view.body = bytes.subspan(view.head.text_bytes);
  return view;
}

}  // namespace trireme::comm::message
