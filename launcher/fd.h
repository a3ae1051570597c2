// A file descriptor that closes itself.
#pragma once

#include <unistd.h>

#include <utility>

namespace trireme::launcher {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() { reset(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void reset() {
    if (fd_ >= 0) {
      ::close(std::exchange(fd_, -1));
    }
  }

 private:
  int fd_ = -1;
};

struct FdPair {
  Fd ours;    // read end, or the launcher's side
  Fd theirs;  // write end, or the worker's side
};

// Both close on exec, so that no worker holds another one's end; `ours` never blocks. Raise Error.
FdPair make_pipe();
FdPair make_message_socket();  // AF_UNIX, SOCK_SEQPACKET

}  // namespace trireme::launcher
