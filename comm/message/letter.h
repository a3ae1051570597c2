// What ranks tell each other by letter (link.h): failures, farewells, messages and questions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "trireme/comm/message/link.h"

namespace trireme::comm::message {

enum class LetterKind : std::uint8_t {
  abort,         // the communicator is broken: number = collectives that the sender completed before, text = the cause,
                 // body = the ranks to blame
  leave,         // no more operations: number = collectives that this rank has completed
  farewell,      // the answer to leave: everything that came before it has been received
  message,       // a send: tag, dtype, number = its identity, count, text = its name, body = its bytes if they fit
  received,      // the answer to a message, when its bytes are there: number = its identity
  introduction,  // the first of all: number = the process, text = its host
  query,         // what are you doing? number = the question's identity
  answer,        // number = the query's, body = a report (rank_report.h)
};

struct LetterHead {
  LetterKind kind = LetterKind::abort;
  DType dtype = DType::f32;
  std::uint16_t text_bytes = 0;
  std::int32_t tag = 0;
  std::int64_t number = 0;
  std::int64_t count = 0;
};
static_assert(sizeof(LetterHead) == 24);

// Text beyond this is cut.
inline constexpr std::size_t kMaxLetterText = 3072;
// The longest body beside a name.
inline constexpr std::size_t kMaxLetterBody = Link::kMaxLetterBytes - sizeof(LetterHead) - 96;

// A letter in memory of its own, ready to be posted.
class Letter {
 public:
  Letter(LetterHead head, std::string_view text, std::span<const std::byte> body = {});
  std::span<const std::byte> bytes() const { return {bytes_, size_}; }

 private:
  std::byte bytes_[Link::kMaxLetterBytes];
  std::size_t size_ = 0;
};

// A letter as it arrived; points into it.
struct LetterView {
  LetterHead head;
  std::string_view text;
  std::span<const std::byte> body;
};
// Nothing if the bytes are no letter.
std::optional<LetterView> read_letter(std::span<const std::byte> bytes);

}  // namespace trireme::comm::message
