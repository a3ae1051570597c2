// Local sockets that carry short notes between two processes of one user: each note arrives whole and in order, and the
// system ends the connection the moment one of the processes dies, however it dies.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "trireme/core/base/fd.h"

namespace trireme::strategies::parameter_server::wire {

struct Note {
  enum class Kind : std::uint32_t { memory, whole, head, piece, freed, farewell };
  Kind kind = Kind::memory;
  std::uint32_t head_bytes = 0;  // whole: of the block's first part
  std::uint64_t offset = 0;      // of the block in the sender's memory (freed: in the receiver's)
  std::uint64_t bytes = 0;
};

enum class Transfer { done, later, broken };

// Names are abstract (no file) and end with the process. Raise Error.
Fd listen_locally(const std::string& name);
Fd call_locally(const std::string& name);
// Nothing: nobody waits, or somebody of another user did, who is turned away.
Fd accept_locally(int listener);

// `memory`: a descriptor that travels with the note; negative: none.
Transfer send_note(int socket, const Note& note, int memory = -1);
Transfer receive_note(int socket, Note& note, Fd& memory);

}  // namespace trireme::strategies::parameter_server::wire
